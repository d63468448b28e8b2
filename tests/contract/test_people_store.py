"""What every store keeps of people: one owner of a name, one use of a code, one commit for each gain."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import Conflict, NotFound, Refused
from dastak.core.factor import FactorState
from dastak.core.login_settings import LoginSettings
from dastak.core.oidc import Client, Token, TokenKind
from dastak.core.people_store import Entry, Invitation, PasswordLink
from dastak.core.person import Owned, Person, PersonId, exact_key, name_key, with_password, without_owned
from dastak.core.policy import Channel
from dastak.core.sign_in_limits import FROM_THERE, STRANGERS, Claim
from dastak.core.sign_in_state import DEVICES_MAX, SIGN_INS_KEPT, BrowserSession, Device, SignInLine, Stage
from dastak.core.tenant import Mode
from tests.contract.test_factor_store import some_factor, some_list
from tests.support.oidc_samples import some_client, some_grant, some_login, some_token
from tests.support.samples import NOW, some_id


def some_person(**changes: Any) -> Person:
    plain = Person(
        id=PersonId(some_id()), service=1, mode=Mode.LIVE, username="Asha", password="hash", created_at=NOW
    )
    return replace(plain, **changes)


def some_session(person: Person, digest: bytes = b"one", **changes: Any) -> BrowserSession:
    plain = BrowserSession(
        digest=digest,
        person=person.id,
        service=1,
        stage=Stage.PASSWORD_PASSED,
        created_at=NOW,
        seen_at=NOW,
        auth_at=NOW,
    )
    return replace(plain, **changes)


def some_device(person: Person, digest: bytes, **changes: Any) -> Device:
    plain = Device(
        digest=digest, person=person.id, created_at=NOW, expires_at=NOW + timedelta(days=9), agent="Firefox"
    )
    return replace(plain, **changes)


def line(what: str) -> SignInLine:
    return SignInLine(at=NOW, what=what, by=("pwd",), network="192.0.2.0/24")


async def test_settings_of_a_login_are_read_back_and_replaced(store: Any) -> None:
    settings = LoginSettings(service=7, mode=Mode.TEST, check_secret=b"\x00sealed", remember_days=3)

    nothing = await store.people.login_of(7)
    await store.people.put_login(settings)
    first = await store.people.login_of(7)
    await store.people.put_login(replace(settings, remember_days=0))

    assert nothing is None
    assert first == settings
    assert (await store.people.login_of(7)).remember_days == 0


async def test_name_has_one_owner_in_each_service_and_mode(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")

    with pytest.raises(Conflict):
        await store.people.put_person(some_person(), "asha")
    await store.people.put_person(some_person(mode=Mode.TEST), "asha")
    await store.people.put_person(some_person(service=2), "asha")
    assert await store.people.person_named(1, Mode.LIVE, "asha") == person
    assert await store.people.find_person(person.id) == person
    assert await store.people.person_named(3, Mode.LIVE, "asha") is None
    assert list(await store.people.people_of(1, limit=9))[-1] == person


async def test_person_is_moved_by_one_rule_at_a_time(store: Any) -> None:
    person = await store.people.put_person(some_person(username=""), "asha")

    await asyncio.gather(
        *(
            store.people.move_person(person.id, lambda one: replace(one, username=one.username + "x"))
            for _ in range(50)
        )
    )

    assert (await store.people.find_person(person.id)).username == "x" * 50
    with pytest.raises(NotFound):
        await store.people.move_person(PersonId(some_id()), lambda one: one)


async def test_last_of_what_a_person_owns_stays_however_many_take_it_away_at_once(store: Any) -> None:
    kinds = (Channel.TOTP, Channel.HOTP, Channel.HASH_CHAIN)
    owned = tuple(Owned(kind, some_id().hex()) for kind in kinds)
    person = await store.people.put_person(some_person(owned=owned), "asha")

    taken = await asyncio.gather(
        *(
            store.people.move_person(
                person.id, lambda one, kind=kind: without_owned(one, kind, kinds, required=True)
            )
            for kind in kinds
        ),
        return_exceptions=True,
    )

    (kept,) = (await store.people.find_person(person.id)).owned
    assert [isinstance(one, Refused) for one in taken] == [kind is kept.kind for kind in kinds]


async def test_a_hundred_attempts_at_once_spend_ten(store: Any) -> None:
    there, everywhere = Claim(b"there", FROM_THERE), Claim(b"everywhere", STRANGERS)

    refusals = await asyncio.gather(*(store.people.claim((there, everywhere), now=NOW) for _ in range(100)))

    assert refusals.count(None) == FROM_THERE.attempts
    assert set(refusals) == {None, there}
    elsewhere = [
        await store.people.claim((Claim(b"%d" % n, FROM_THERE), everywhere), now=NOW) for n in range(95)
    ]
    assert elsewhere.count(None) == STRANGERS.attempts - FROM_THERE.attempts, (
        "what was refused was not counted"
    )


async def test_budget_is_there_again_after_its_time(store: Any) -> None:
    claim = Claim(b"there", FROM_THERE)
    for _ in range(FROM_THERE.attempts):
        await store.people.claim((claim,), now=NOW)
    later = NOW + timedelta(seconds=FROM_THERE.window_s)

    assert await store.people.claim((claim,), now=later - timedelta(seconds=2)) == claim
    assert await store.people.claim((claim,), now=later) is None


async def test_gain_of_trust_replaces_one_session_once(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    await store.people.enter(Entry(session=some_session(person)))
    entries = [
        Entry(session=some_session(person, b"%d" % n, stage=Stage.SIGNED_IN), replaces=b"one")
        for n in range(20)
    ]

    entered = await asyncio.gather(*map(store.people.enter, entries))

    assert sum(entered) == 1
    assert await store.people.session_of(b"one") is None
    assert (await store.people.session_of(b"%d" % entered.index(True))).stage is Stage.SIGNED_IN


async def given_in(store: Any, client: Client, person: Person, visit: bytes) -> Token:
    """Give a site something in a person's session."""
    token = some_token(TokenKind.ACCESS)
    login = some_login(who=f"person:{person.id.hex()}", account=person.id.hex())
    await store.oidc.open_grant(some_grant(client, login=login, visit=visit), token)
    return token


async def is_revoked(store: Any, token: Token) -> bool:
    held = await store.oidc.token(token.digest)
    return held.grant.revoked_at is not None


async def test_session_that_a_browser_had_is_over_and_its_person_goes_on_in_the_next(store: Any) -> None:
    person, other = some_person(), some_person(username="Ravi")
    client = await store.oidc.put_client(some_client())
    for digest in (b"one", b"two", b"three"):
        await store.people.enter(Entry(session=some_session(person, digest, stage=Stage.SIGNED_IN)))
    given = {}
    for visit in (b"one", b"two", b"three"):
        given[visit] = await given_in(store, client, person, visit)

    async def revoked() -> list[bytes]:
        return [visit for visit, code in given.items() if await is_revoked(store, code)]

    theirs = some_session(other, b"two.", stage=Stage.SIGNED_IN)
    await store.people.enter(Entry(session=some_session(person, b"one."), ends=b"one"))
    await store.people.enter(Entry(session=theirs, ends=b"two"))
    await store.people.enter(Entry(session=some_session(person, b"new"), ends=b"of nobody"))
    at_first = await revoked()
    in_code = some_session(person, b"one..", stage=Stage.SIGNED_IN)
    entered = await store.people.enter(Entry(session=in_code, replaces=b"one.", ends=b"one."))
    await store.people.end_session(b"one.", now=NOW)
    between = await revoked()
    await store.people.end_session(b"one..", now=NOW)

    over = [await store.people.session_of(one) for one in (b"one", b"two", b"one.")]
    kept = [await store.people.session_of(one) for one in (b"two.", b"three", b"new")]
    assert over == [None] * 3
    assert None not in kept
    assert at_first == [b"two"], "who signs in where somebody else was ends what that one gave"
    assert (entered, between) == (True, [b"two"])
    assert await revoked() == [b"one", b"two"], "a sign-out ends what was given in all sessions before"


async def test_password_and_a_failed_second_step_end_nothing_and_the_next_sign_out_does(store: Any) -> None:
    person = some_person()
    given = await given_in(store, await store.oidc.put_client(some_client()), person, b"had")
    await store.people.enter(Entry(session=some_session(person, b"had", stage=Stage.SIGNED_IN)))

    for twice in (b"first", b"second"):
        await store.people.enter(Entry(session=some_session(person, twice), ends=b"had"))
    await store.people.drop_session(b"second")
    failed = await is_revoked(store, given)
    await store.people.enter(Entry(session=some_session(person, b"third"), ends=b"second"))
    await store.people.enter(Entry(session=some_session(person, b"fourth"), ends=b"third"))
    inside = some_session(person, b"inside", stage=Stage.SIGNED_IN)
    await store.people.enter(Entry(session=inside, replaces=b"fourth"))
    entered = await is_revoked(store, given)
    over = [await store.people.session_of(one) for one in (b"had", b"second", b"third", b"fourth")]
    kept = await store.people.session_of(b"inside")
    await store.people.end_session(b"inside", now=NOW)

    assert (failed, entered) == (False, False)
    assert over == [None] * 4
    assert kept == inside, "who is signed in has nothing before"
    assert await is_revoked(store, given)


async def test_form_that_is_sent_twice_leaves_nothing_to_the_session_nobody_has(store: Any) -> None:
    person = some_person()
    given = await given_in(store, await store.oidc.put_client(some_client()), person, b"had")
    await store.people.enter(Entry(session=some_session(person, b"had", stage=Stage.SIGNED_IN)))

    for twice in (b"first", b"second"):
        await store.people.enter(Entry(session=some_session(person, twice), ends=b"had"))
    inside = some_session(person, b"inside", stage=Stage.SIGNED_IN)
    await store.people.enter(Entry(session=inside, replaces=b"second"))
    await store.people.end_session(b"inside", now=NOW)

    assert await is_revoked(store, given)


async def test_password_of_somebody_else_ends_nothing_before_the_second_step(store: Any) -> None:
    person, other = some_person(), some_person(username="Ravi")
    client = await store.oidc.put_client(some_client())
    given = {visit: await given_in(store, client, person, visit) for visit in (b"one", b"two")}
    for visit in given:
        await store.people.enter(Entry(session=some_session(person, visit, stage=Stage.SIGNED_IN)))
        await store.people.enter(Entry(session=some_session(other, visit + b"."), ends=visit))

    at_first = [await is_revoked(store, token) for token in given.values()]
    inside = some_session(other, b"inside", stage=Stage.SIGNED_IN)
    await store.people.enter(Entry(session=inside, replaces=b"one."))
    then = [await is_revoked(store, token) for token in given.values()]
    await store.people.end_session(b"two.", now=NOW)

    assert (at_first, then) == ([False, False], [True, False])
    assert await is_revoked(store, given[b"two"]), "a sign-out in this browser is one"


async def test_name_with_a_nul_is_asked_about_as_any_other(store: Any) -> None:
    person = await store.people.put_person(some_person(username="as\0ha"), name_key("as\0ha"))

    assert await store.people.person_named(1, Mode.LIVE, name_key("As\0ha")) == person
    assert await store.people.person_named(1, Mode.LIVE, exact_key("as\0ha")) is None


async def test_right_attempt_is_given_back_with_the_session(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    claim = Claim(b"there", FROM_THERE)
    for n in range(3 * FROM_THERE.attempts):
        refused = await store.people.claim((claim,), now=NOW)
        assert refused is None
        await store.people.enter(Entry(session=some_session(person, b"s%d" % n), back=(claim,)))


async def test_session_is_moved_and_ended(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    for digest in (b"one", b"two", b"three"):
        await store.people.enter(Entry(session=some_session(person, digest)))

    moved = await store.people.move_session(b"one", lambda one: replace(one, remember=True), line("moved"))
    await store.people.end_session(b"two", now=NOW)
    nothing = await store.people.move_session(b"two", lambda one: one)

    assert moved.remember
    assert await store.people.session_of(b"one") == moved
    assert nothing is None
    assert [one.what for one in await store.people.lines_of(person.id, limit=9)] == ["moved"]
    await store.people.end_sessions(person.id, but=b"one", line=line("out"))
    assert await store.people.session_of(b"three") is None
    assert await store.people.session_of(b"one") == moved


async def test_browser_is_known_to_each_of_its_people_under_its_newest_secret_alone(store: Any) -> None:
    one = await store.people.put_person(some_person(), "asha")
    two = await store.people.put_person(some_person(), "ravi")

    await store.people.enter(Entry(session=some_session(one, b"1"), device=some_device(one, b"old")))
    await store.people.enter(
        Entry(session=some_session(two, b"2"), device=some_device(two, b"new"), forgets=b"old")
    )

    assert await store.people.device_of(b"old", one.id) is None
    assert await store.people.device_of(b"new", one.id) == some_device(one, b"new")
    assert await store.people.device_of(b"new", two.id) == some_device(two, b"new")
    assert await store.people.forget_device(one.id, b"new")
    assert not await store.people.forget_device(one.id, b"new")
    assert list(await store.people.devices_of(two.id)) == [some_device(two, b"new")]


async def test_person_has_so_many_browsers_and_lines_at_most(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    for n in range(SIGN_INS_KEPT + 5):
        device = some_device(person, b"d%d" % n, expires_at=NOW + timedelta(seconds=n + 1))
        session = some_session(person, b"s%d" % n)
        await store.people.enter(Entry(session=session, device=device, line=line(str(n))))

    lines = await store.people.lines_of(person.id, limit=1000)
    devices = await store.people.devices_of(person.id)

    assert [one.what for one in lines] == [str(n) for n in range(SIGN_INS_KEPT + 4, 4, -1)]
    assert len(devices) == DEVICES_MAX
    assert devices[0].digest == b"d%d" % (SIGN_INS_KEPT + 4)


async def test_recovery_code_is_used_once_by_a_hundred_at_once(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    await store.people.put_recovery_codes(person.id, [b"a", b"b"], line=line("made"))

    used = await asyncio.gather(
        *(store.people.spend_recovery_code(person.id, [b"x", b"a"], now=NOW) for _ in range(100))
    )

    assert sum(used) == 1
    assert await store.people.recovery_codes_left(person.id) == 1
    assert not await store.people.spend_recovery_code(PersonId(some_id()), [b"b"], now=NOW)
    await store.people.put_recovery_codes(person.id, [b"c"], line=line("made"))
    assert not await store.people.spend_recovery_code(person.id, [b"b"], now=NOW)


async def test_invitation_makes_one_person(store: Any) -> None:
    invitation = Invitation(digest=b"token", username="ops", expires_at=NOW + timedelta(days=1))
    await store.people.put_invitation(invitation)
    people = [some_person(username=str(n)) for n in range(5)]

    found = await store.people.invitation_of(b"token")
    made = await asyncio.gather(
        *(store.people.put_person(one, one.username, invited_by=b"token") for one in people),
        return_exceptions=True,
    )

    assert found == invitation
    assert sum(isinstance(one, Person) for one in made) == 1
    assert sum(isinstance(one, NotFound) for one in made) == 4
    assert await store.people.invitation_of(b"token") is None


async def test_taken_name_leaves_the_invitation(store: Any) -> None:
    await store.people.put_person(some_person(), "ops")
    invitation = Invitation(digest=b"token", username="ops", expires_at=NOW)
    await store.people.put_invitation(invitation)

    with pytest.raises(Conflict):
        await store.people.put_person(some_person(), "ops", invited_by=b"token")
    assert await store.people.invitation_of(b"token") == invitation


async def test_nothing_of_a_removed_person_is_left(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    await store.people.enter(
        Entry(session=some_session(person), device=some_device(person, b"d"), line=line("in"))
    )
    await store.people.put_recovery_codes(person.id, [b"a"], line=line("made"))

    await store.people.remove_person(person.id)

    assert await store.people.find_person(person.id) is None
    assert await store.people.session_of(b"one") is None
    assert await store.people.device_of(b"d", person.id) is None
    assert await store.people.recovery_codes_left(person.id) == 0
    assert not await store.people.lines_of(person.id, limit=9)
    with pytest.raises(NotFound):
        await store.people.remove_person(person.id)


async def test_secrets_that_a_removed_person_had_are_gone_and_those_of_others_stay(store: Any) -> None:
    authenticator, printed, other = [
        await store.factors.put_factor(made) for made in (some_factor(), some_list(), some_factor())
    ]
    has = (Owned(Channel.TOTP, authenticator.id.hex()), Owned(Channel.HASH_CHAIN, printed.id.hex()))
    lost = Owned(Channel.HOTP, some_id().hex())
    person = await store.people.put_person(some_person(owned=(*has, lost)), "asha")

    await store.people.remove_person(person.id)

    gone = [await store.factors.find_factor(1, one.id) for one in (authenticator, printed)]
    assert [(one.state, one.sealed) for one in gone] == [(FactorState.REMOVED, None)] * 2
    assert gone[1].chain.password == b""
    assert await store.factors.find_factor(1, other.id) == other


async def test_person_is_changed_and_its_sessions_are_over_in_one_commit(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    for digest in (b"one", b"two"):
        await store.people.enter(Entry(session=some_session(person, digest)))

    def fails(_person: Person) -> Person:
        raise Conflict("not now")

    with pytest.raises(Conflict):
        await store.people.end_sessions(person.id, but=None, line=line("no"), rule=fails)
    before = await store.people.session_of(b"two")
    changed = replace(person, password="another hash")
    await store.people.end_sessions(person.id, but=b"one", line=line("yes"), rule=lambda _one: changed)

    assert before is not None
    assert await store.people.find_person(person.id) == changed
    assert await store.people.session_of(b"one") is not None
    assert await store.people.session_of(b"two") is None
    assert [one.what for one in await store.people.lines_of(person.id, limit=9)] == ["yes"]
    with pytest.raises(NotFound):
        await store.people.end_sessions(some_person().id, but=None, line=line("no"), rule=lambda one: one)


async def test_session_is_opened_with_the_password_of_now_alone_however_it_is_hashed(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    await store.people.move_person(person.id, lambda one: replace(one, password="hashed anew"))
    same = await store.people.enter(Entry(session=some_session(person, b"same"), password_n=0))
    await store.people.move_person(person.id, partial(with_password, kept="another one"))

    entries = [
        Entry(session=some_session(whose, digest), password_n=n, line=line("in"), ends=b"same")
        for whose, digest, n in ((person, b"old", 0), (person, b"new", 1), (some_person(), b"of nobody", 0))
    ]
    entered = [await store.people.enter(entry) for entry in entries]

    assert same
    assert entered == [False, True, False]
    kept = [await store.people.session_of(entry.session.digest) is not None for entry in entries]
    assert kept == entered
    assert [one.what for one in await store.people.lines_of(person.id, limit=9)] == ["in"]


async def test_password_that_was_right_opens_no_session_of_somebody_who_is_blocked(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    entries = [
        Entry(session=some_session(person, digest), password_n=0, line=line("in"))
        for digest in (b"before", b"blocked", b"undone")
    ]

    entered = []
    for entry, blocked in zip(entries, (False, True, False), strict=True):
        await store.people.move_person(person.id, lambda one, now=blocked: replace(one, blocked=now))
        entered.append(await store.people.enter(entry))

    assert entered == [True, False, True]
    kept = [await store.people.session_of(entry.session.digest) is not None for entry in entries]
    assert kept == entered
    assert [one.what for one in await store.people.lines_of(person.id, limit=9)] == ["in", "in"]


async def test_what_other_sites_were_given_ends_with_all_sessions_of_a_person(store: Any) -> None:
    person, other = some_person(), some_person(username="Ravi")
    client = await store.oidc.put_client(some_client())
    theirs = {
        "offline": (person, None),
        "elsewhere": (person, b"two"),
        "here": (person, b"one"),
        "another's": (other, None),
    }
    codes = {}
    for name, (whose, visit) in theirs.items():
        codes[name] = some_token(TokenKind.REFRESH)
        login = some_login(who=f"person:{whose.id.hex()}", account=whose.id.hex())
        await store.oidc.open_grant(some_grant(client, login=login, visit=visit), codes[name])
    codes["phone alone"] = some_token(TokenKind.REFRESH)
    await store.oidc.open_grant(some_grant(client), codes["phone alone"])

    async def revoked() -> set[str]:
        held = {name: await store.oidc.token(code.digest) for name, code in codes.items()}
        return {name for name, one in held.items() if one.grant.revoked_at is not None}

    await store.people.end_sessions(person.id, but=b"one", line=line("password_changed"))
    but_one = await revoked()
    await store.people.end_sessions(person.id, but=None, line=line("password_reset"))

    assert but_one == {"offline", "elsewhere"}
    assert await revoked() == {"offline", "elsewhere", "here"}


def some_link(person: Person, digest: bytes = b"link") -> PasswordLink:
    return PasswordLink(digest=digest, person=person.id, expires_at=NOW + timedelta(hours=1))


async def test_password_link_opens_one_session_of_a_hundred_at_once(store: Any) -> None:
    person = await store.people.put_person(some_person(), "asha")
    link = await store.people.put_password_link(some_link(person), line=line("password_link_made"))
    sessions = [some_session(person, b"%d" % n, stage=Stage.VOUCHED) for n in range(100)]

    found = await store.people.password_link_of(b"link")
    entered = await asyncio.gather(
        *(store.people.enter(Entry(session=one, link=b"link")) for one in sessions)
    )
    opened = [await store.people.session_of(one.digest) for one in sessions]

    assert found == link
    assert entered.count(True) == 1
    assert [one for one in opened if one is not None] == [sessions[entered.index(True)]]
    assert await store.people.password_link_of(b"link") is None
    assert [one.what for one in await store.people.lines_of(person.id, limit=9)] == ["password_link_made"]


async def test_password_link_ends_with_a_newer_one_and_with_all_sessions(store: Any) -> None:
    person, other = some_person(), some_person(username="Ravi")
    for whose, digest in ((person, b"1"), (person, b"2"), (other, b"3")):
        await store.people.put_password_link(some_link(whose, digest), line=line("password_link_made"))
    kept = [await store.people.password_link_of(digest) for digest in (b"1", b"2", b"3")]

    await store.people.end_sessions(person.id, but=None, line=line("signed_out_everywhere"))

    assert kept == [None, some_link(person, b"2"), some_link(other, b"3")]
    assert await store.people.password_link_of(b"2") is None
    assert await store.people.password_link_of(b"3") is not None
