"""By which ways a password's owner gets in: those that the service wants and the person has, and no other."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from html import unescape
from typing import Any, cast

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from dastak.core import oath
from dastak.core.ids import VerificationId, digest_of
from dastak.core.lockout import WRONG_CONSECUTIVE_MAX, WRONG_PER_HOUR_MAX, Tally
from dastak.core.login_settings import LoginSettings
from dastak.core.oidc import TokenKind
from dastak.core.people_store import Asker, Entry, LoginPorts, Passwords, PeopleStore
from dastak.core.person import PERSON_ID_OCTETS, Owned, Person, PersonId, name_key, with_password
from dastak.core.policy import ATTEMPTS_MAX, Channel
from dastak.core.ports import Change
from dastak.core.sign_in_state import BrowserSession, Device, Purpose, Stage, amr_of, ask
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.flows import factors
from dastak.flows.factors import Enrolled
from dastak.tenancy.directory import Directory
from dastak.web.code_step import CodeStep
from dastak.web.login.login_house import LoginHouse
from dastak.web.login.login_routes import login_routes
from dastak.web.login.sign_in_desk import SignInDesk
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates
from tests.flow.test_fall_back import with_calls
from tests.support.house import House
from tests.support.oidc_samples import some_client, some_grant, some_login, some_token
from tests.support.samples import MSISDN, NOW, some_msisdn

URL = "http://otp.example.in"
CODE, ACCOUNT = "/login/acme/login/code", "/account/acme/login"
SECRET, COOKIE = "s" * 43, "dastak-login-1"
AUTHENTICATORS = LoginSettings(service=1, mode=Mode.LIVE, required=True, factors=(Channel.TOTP,))
ANY = LoginSettings(service=1, mode=Mode.LIVE, required=True)
BY_CODE = {"stage": Stage.SIGNED_IN, "second_at": NOW, "amr": amr_of(Channel.SMS)}
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Login:
    """The pages of a login, and one browser in which the password of one person was right."""

    def __init__(self, house: House, person: Person, browser: httpx.AsyncClient) -> None:
        self.house, self.people, self.person, self.browser = house, house.store.people, person, browser

    async def get(self, path: str) -> httpx.Response:
        return await self.browser.get(path)

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Open a page and send its first form."""
        form = (await self.get(path)).text.partition("<form")[2].partition("</form>")[0]
        hidden = {name: unescape(value) for name, value in _HIDDEN.findall(form)}
        return await self.browser.post(path, data={**hidden, **fields})

    async def session(self) -> BrowserSession:
        """Return the session of now."""
        secret = self.browser.cookies[COOKIE]
        found: BrowserSession | None = await self.people.session_of(digest_of(secret))
        assert found is not None
        return found

    async def bind(self, asked: VerificationId, purpose: Purpose) -> None:
        await self.people.move_session(digest_of(SECRET), lambda one: ask(one, asked, purpose))

    async def asked(self) -> Verification:
        newest, *_ = await self.house.all()
        return newest

    async def has(self) -> Person:
        """Return the person as it is now."""
        found: Person | None = await self.people.find_person(self.person.id)
        assert found is not None
        return found


@asynccontextmanager
async def password_passed(
    house: House, settings: LoginSettings, *, passwords: Any = None, **changes: Any
) -> AsyncIterator[Login]:
    """Open the pages to a browser whose password was right; the person is as `changes` says."""
    tenant = await house.store.put_tenant(replace(house.caller.tenant, n=0))
    await house.store.put_service(replace(house.caller.service, n=0, tenant=tenant.n))
    directory = Directory(lambda: NOW)
    await directory.refresh(house.store)
    people = house.store.people
    await people.put_login(settings)
    who = PersonId(bytes(PERSON_ID_OCTETS - 1) + b"\x01")
    plain = Person(id=who, service=1, mode=Mode.LIVE, username="asha", created_at=NOW)
    person = await people.put_person(replace(plain, **changes), name_key("asha"))
    await people.enter(Entry(session=passed(person)))
    pages = PageHouse(
        ports=house.ports, directory=directory, templates=PageTemplates(PageFiles()), public_url=URL
    )
    ports = LoginPorts(
        ports=house.ports, people=people, passwords=cast(Passwords, passwords), asks_elsewhere=cast(Any, None)
    )
    rooms = LoginHouse(
        house=pages,
        login=ports,
        desk=SignInDesk(pages, people),
        step=CodeStep(pages),
        tally=house.store.oidc.tally,
    )
    transport = httpx.ASGITransport(Starlette(routes=login_routes(rooms)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as browser:
        browser.cookies.set(COOKIE, SECRET, domain="otp.example.in")
        yield Login(house, person, browser)


def passed(person: Person, **changes: Any) -> BrowserSession:
    plain = BrowserSession(
        digest=digest_of(SECRET),
        person=person.id,
        service=1,
        stage=Stage.PASSWORD_PASSED,
        created_at=NOW,
        seen_at=NOW,
        auth_at=NOW,
    )
    return replace(plain, **changes)


async def enrolled(house: House) -> Enrolled:
    return await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))


def owning(made: Enrolled) -> Mapping[str, Any]:
    return {"msisdn": MSISDN, "owned": (Owned(Channel.TOTP, made.factor.id.hex()),)}


def code_of(made: Enrolled) -> str:
    return oath.totp(oath.Authenticator(seed=made.seed or b""), at_s=int(NOW.timestamp()))


# A number that counts where texts do not, and one that was never proved: an operator's who began without it.
WANTED = [(AUTHENTICATORS, NOW), (ANY, None)]


@pytest.mark.parametrize(("settings", "proved_at"), WANTED)
@pytest.mark.parametrize("do", ["resend", "call"])
async def test_form_that_asks_for_a_text_instead_of_the_authenticator_gets_none(
    house: House, settings: LoginSettings, proved_at: Any, do: str
) -> None:
    with_calls(house)
    made = await enrolled(house)
    async with password_passed(house, settings, **owning(made), proved_at=proved_at) as login:
        chosen = await login.send(CODE, do="use-totp")
        refused = await login.send(CODE, do=do)

        assert (chosen.status_code, refused.status_code) == (303, 422)
        assert "authenticator shows" in refused.text
        assert (await login.asked()).particulars.channel is Channel.TOTP
        assert house.handed == []

        entered = await login.send(CODE, do="check", code=code_of(made))

        assert entered.headers["location"] == ACCOUNT
        assert (await login.session()).stage is Stage.SIGNED_IN


@pytest.mark.parametrize(("settings", "proved_at"), WANTED)
async def test_right_code_by_a_way_that_is_no_factor_of_the_person_lets_nobody_in(
    house: House, settings: LoginSettings, proved_at: Any
) -> None:
    made = await enrolled(house)
    async with password_passed(house, settings, **owning(made), proved_at=proved_at) as login:
        await login.send(CODE, do="use-totp")
        # The customer's own program may have a text sent; it still is no factor of this login.
        await house.resend(await login.asked(), Channel.SMS)
        answer = await login.send(CODE, do="check", code=house.code(await login.asked()))
        account = await login.get(ACCOUNT)

        assert answer.headers["location"] == "/login/acme/login?again=1"
        assert account.headers["location"].startswith("/login/acme/login?")
        assert await login.people.session_of(digest_of(SECRET)) is None
        lines = await login.people.lines_of(login.person.id, limit=9)
        assert [line.what for line in lines] == ["wrong_code"]


async def test_number_that_a_stranger_locked_takes_nothing_from_sites_the_person_uses(house: House) -> None:
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        given, client = some_token(TokenKind.ACCESS), await house.store.oidc.put_client(some_client())
        whose = login.person.id.hex()
        site = some_login(who=f"person:{whose}", account=whose)
        await house.store.oidc.open_grant(some_grant(client, login=site, visit=b"had"), given)
        await login.people.move_session(digest_of(SECRET), lambda one: replace(one, before=b"had"))
        await lock(house)
        asked = await house.start()
        await login.bind(asked.id, Purpose.SIGN_IN)

        answer = await login.send(CODE, do="check", code=house.code(asked))

        assert answer.headers["location"] == "/login/acme/login?again=1&wait=60"
        assert await login.people.session_of(digest_of(SECRET)) is None
        assert (await house.store.oidc.token(given.digest)).grant.revoked_at is None
        later = replace(passed(login.person), digest=b"later", stage=Stage.SIGNED_IN)
        await login.people.enter(Entry(session=later, ends=digest_of(login.browser.cookies[COOKIE])))
        await login.people.end_session(b"later", now=NOW)
        assert (await house.store.oidc.token(given.digest)).grant.revoked_at == NOW


async def lock(house: House) -> None:
    """Type as many wrong codes as lock a number, as a stranger may."""
    for _ in range(WRONG_PER_HOUR_MAX // ATTEMPTS_MAX):
        strangers = await house.start()
        for _ in range(ATTEMPTS_MAX):
            await house.check(strangers, "000000")


@pytest.mark.parametrize("right", [True, False])
async def test_right_code_and_a_wrong_one_of_a_locked_number_have_one_answer_that_says_until_when(
    house: House, *, right: bool
) -> None:
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        await lock(house)
        house.clock.advance(600)
        asked = await house.start()
        await login.bind(asked.id, Purpose.SIGN_IN)

        answer = await login.send(CODE, do="check", code=house.code(asked) if right else "000000")
        page = await login.get(answer.headers["location"])

        assert answer.headers["location"] == "/login/acme/login?again=1&wait=50"
        assert "Too many tries. Wait 50 min, then go back to Acme and begin again." in page.text
        assert "That did not work" not in page.text


@pytest.mark.parametrize("wait", ["0", "1441", "99999", "-5", "٣", "x"])
async def test_address_has_the_login_name_no_time_that_no_lock_lasts(house: House, wait: str) -> None:
    async with password_passed(house, ANY) as login:
        page = await login.get(f"/login/acme/login?again=1&wait={wait}")

        assert "Too many tries" not in page.text
        assert "That did not work, or its time is over." in page.text


@pytest.mark.parametrize("do", ["use-sms", "use-voice", "resend", "call"])
async def test_nothing_is_sent_to_a_number_that_is_locked_and_the_page_offers_what_lets_in(
    house: House, do: str
) -> None:
    with_calls(house)
    made = await enrolled(house)
    async with password_passed(house, ANY, **owning(made), proved_at=NOW) as login:
        await lock(house)
        await login.bind((await house.start()).id, Purpose.SIGN_IN)
        house.clock.advance(120)
        handed = list(house.handed)

        answer = await login.send(CODE, do=do)
        page = await login.get(CODE)

        assert (answer.status_code, answer.headers["location"]) == (303, CODE)
        assert house.handed == handed
        assert "Too many tries. Wait 58 min," in page.text
        assert re.findall('value="(use-.*?|recover)"', page.text) == ["use-totp", "recover"]

        await login.send(CODE, do="use-totp")
        page = await login.get(CODE)

        assert "Too many tries" not in page.text
        assert re.findall('value="(use-.*?|recover)"', page.text) == ["recover"]


async def test_number_that_stays_locked_until_somebody_opens_it_is_told_from_one_that_opens_by_itself(
    house: House,
) -> None:
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        closed: Change[None] = Change(answer=None, tally=Tally(WRONG_CONSECUTIVE_MAX))
        asked = await house.start()
        await house.store.decide(asked.id, lambda _held: closed)
        handed = list(house.handed)

        await login.send(CODE, do="use-sms")
        page = await login.get(CODE)

        assert house.handed == handed
        assert "We cannot send a text to this number." in page.text
        assert "Too many tries" not in page.text

        await house.store.unlock(1, MSISDN)
        await login.send(CODE, do="use-sms")

        assert len(house.handed) == len(handed) + 1


async def test_number_that_is_locked_for_test_keys_gets_its_code_all_the_same(house: House) -> None:
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        closed: Change[None] = Change(answer=None, tally=Tally(WRONG_CONSECUTIVE_MAX))
        asked = await house.start(caller=house.caller_of(mode=Mode.TEST))
        await house.store.decide(asked.id, lambda _held: closed)
        handed = list(house.handed)

        await login.send(CODE, do="use-sms")

        assert len(house.handed) == len(handed) + 1


async def test_number_that_somebody_was_still_proving_is_no_factor_once_the_person_has_its_own(
    house: House,
) -> None:
    async with password_passed(house, ANY) as login:
        planted = await house.start(some_msisdn(7))
        await login.bind(planted.id, Purpose.NUMBER)
        await login.people.move_person(
            login.person.id, lambda one: replace(one, msisdn=MSISDN, proved_at=NOW)
        )

        answer = await login.send(CODE, do="check", code=house.code(planted))

        assert answer.headers["location"] == "/login/acme/login?again=1"
        assert await login.people.session_of(digest_of(SECRET)) is None


async def test_authenticator_that_is_no_more_the_persons_own_lets_nobody_in(house: House) -> None:
    before, now = await enrolled(house), await enrolled(house)
    async with password_passed(house, AUTHENTICATORS, **owning(before), proved_at=NOW) as login:
        await login.send(CODE, do="use-totp")
        await login.people.move_person(login.person.id, lambda one: replace(one, **owning(now)))

        answer = await login.send(CODE, do="check", code=code_of(before))

        assert answer.headers["location"] == "/login/acme/login?again=1"
        assert await login.people.session_of(digest_of(SECRET)) is None


@pytest.mark.parametrize("do", ["resend", "call"])
async def test_authenticator_that_is_being_set_up_is_proved_by_its_own_code_alone(
    house: House, do: str
) -> None:
    with_calls(house)
    made = await enrolled(house)
    async with password_passed(house, AUTHENTICATORS, msisdn=MSISDN, proved_at=NOW) as login:
        asked = await house.start(factor=made.factor.id)
        await login.bind(asked.id, Purpose.AUTHENTICATOR)

        refused = await login.send(f"{ACCOUNT}/code", do=do)

        assert (refused.status_code, house.handed) == (422, [])
        assert (await login.has()).owned == ()

        await login.send(f"{ACCOUNT}/code", do="check", code=code_of(made))

        assert (await login.has()).owned == (Owned(Channel.TOTP, made.factor.id.hex()),)
        assert (await login.session()).stage is Stage.SIGNED_IN


async def test_text_sets_no_authenticator_up(house: House) -> None:
    made = await enrolled(house)
    async with password_passed(house, AUTHENTICATORS, msisdn=MSISDN, proved_at=NOW) as login:
        asked = await house.start(factor=made.factor.id)
        await login.bind(asked.id, Purpose.AUTHENTICATOR)
        await house.resend(asked, Channel.SMS)

        answer = await login.send(f"{ACCOUNT}/code", do="check", code=house.code(asked))

        assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
        assert (await login.has()).owned == ()
        assert (await login.session()).stage is Stage.PASSWORD_PASSED


async def test_number_alone_lets_nobody_in_where_only_an_authenticator_counts(house: House) -> None:
    async with password_passed(house, AUTHENTICATORS) as login:
        await login.send(ACCOUNT, do="number", msisdn=MSISDN)
        answer = await login.send(f"{ACCOUNT}/code", do="check", code=house.code(await login.asked()))
        account = await login.get(ACCOUNT)

        assert (answer.status_code, answer.headers["location"]) == (303, ACCOUNT)
        assert ((await login.has()).msisdn, (await login.has()).proved_at) == (MSISDN, NOW)
        assert (await login.session()).stage is Stage.PASSWORD_PASSED
        assert 'value="add-totp"' in account.text
        assert await login.people.recovery_codes_left(login.person.id) == 0


async def test_number_on_ones_account_is_not_read_as_of_the_first_country_of_the_alphabet(
    house: House,
) -> None:
    house.caller = replace(house.caller, service=replace(house.caller.service, countries=("AE", "IN")))
    async with password_passed(house, ANY) as login:
        answer = await login.send(ACCOUNT, do="number", msisdn=f"{MSISDN[3:8]} {MSISDN[8:]}")

        assert (answer.status_code, answer.headers.get("location")) == (303, f"{ACCOUNT}/code")
        assert (await login.asked()).msisdn == MSISDN


@pytest.mark.parametrize("kind", ["sms", "voice"])
async def test_number_is_not_taken_away_as_an_authenticator_is(house: House, kind: str) -> None:
    made = await enrolled(house)
    async with password_passed(house, ANY, **owning(made), proved_at=NOW) as login:
        await login.people.move_session(digest_of(SECRET), lambda one: replace(one, **BY_CODE))

        answer = await login.send(ACCOUNT, do=f"drop-{kind}")

        assert (answer.status_code, await login.has()) == (403, login.person)
        assert "This is not possible here." in answer.text


@pytest.mark.parametrize(
    ("required", "proved", "has", "inside"),
    [
        (False, {}, {}, True),
        (True, {}, {}, False),
        # Someone who set up the first factor, and lost it by an operator's hand, had proved it.
        (True, {"amr": ("pwd", "otp", "mfa")}, {}, True),
        # A browser that is remembered, and one that was for a factor which counts no more.
        (True, {"trusted": True}, {"msisdn": MSISDN, "proved_at": NOW}, True),
        (True, {"trusted": True}, {}, False),
    ],
)
async def test_who_came_by_the_password_alone_sets_up_what_the_service_wants_from_now_on(
    house: House, *, required: bool, proved: Mapping[str, Any], has: Mapping[str, Any], inside: bool
) -> None:
    async with password_passed(house, replace(ANY, required=False), **has) as login:
        await login.people.move_session(
            digest_of(SECRET), lambda one: replace(one, stage=Stage.SIGNED_IN, **proved)
        )
        await login.people.put_login(replace(ANY, required=required))

        on = await login.get("/login/acme/login/on?next=/authorize")
        first = await login.get("/login/acme/login?next=/authorize")
        account = await login.get(ACCOUNT)

        assert (on.status_code, first.status_code) == ((200, 303) if inside else (303, 200))
        assert on.headers.get("location") == (None if inside else "/login/acme/login?next=%2Fauthorize")
        assert account.status_code == 200, "a factor may be set up at once"


@pytest.mark.parametrize("required", [True, False])
async def test_factor_set_up_in_one_browser_lets_no_other_in_that_came_by_the_password_alone(
    house: House, *, required: bool
) -> None:
    async with password_passed(house, ANY) as login:
        await login.people.put_login(replace(ANY, required=required))
        other = passed(login.person, digest=digest_of("t" * 43), stage=Stage.SIGNED_IN)
        await login.people.enter(Entry(session=other))
        await login.send(ACCOUNT, do="number", msisdn=MSISDN)
        await login.send(f"{ACCOUNT}/code", do="check", code=house.code(await login.asked()))

        async def seen() -> list[int]:
            paths = (ACCOUNT, "/login/acme/login/on?next=/authorize")
            return [(await login.get(path)).status_code for path in paths]

        own = await seen()
        login.browser.cookies.clear()
        login.browser.cookies.set(COOKIE, "t" * 43, domain="otp.example.in")
        others = await seen()
        form = await login.get("/login/acme/login")

        assert own == [200, 200]
        assert others == ([303, 303] if required else [200, 200])
        assert form.status_code == (200 if required else 303), "it signs in anew"


class ChangedAfterwards:
    """Passwords that are kept as they are; one that is right is changed a moment after it was looked at."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def holds(self, kept: str | None, clear: str, _asker: Asker, whose: bytes) -> bool:
        if kept == clear:
            await self._people.move_person(PersonId(whose), partial(with_password, kept="another one"))
        return kept == clear

    def is_outdated(self, _kept: str) -> bool:
        return False


async def test_password_that_was_right_a_moment_ago_gets_the_answer_of_a_wrong_one(house: House) -> None:
    passwords = ChangedAfterwards(house.store.people)
    async with password_passed(house, ANY, passwords=passwords, password="the one") as login:
        first = "/login/acme/login"

        wrong = await login.send(first, username="asha", password="no such")
        right = await login.send(first, username="asha", password="the one")

        assert (await login.has()).password == "another one", "it was right"
        assert (right.status_code, right.text) == (wrong.status_code, wrong.text)
        assert login.browser.cookies[COOKIE] == SECRET


async def test_account_lists_the_browsers_of_now_and_how_long_each_is_trusted(house: House) -> None:
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        day, whose = timedelta(days=1), login.person.id
        trusted, known, lapsed, forgotten = (
            Device(digest=digest_of(name), person=whose, created_at=NOW - 9 * day, expires_at=NOW + 365 * day)
            for name in ("trusted", "known", "lapsed", "forgotten")
        )
        for device in (
            replace(trusted, trusted_until=NOW + 28.5 * day),
            known,
            replace(lapsed, trusted_until=NOW),
            replace(forgotten, expires_at=NOW + timedelta(minutes=1), trusted_until=NOW + 9 * day),
        ):
            inside = passed(login.person, digest=device.digest, stage=Stage.SIGNED_IN, second_at=NOW)
            await login.people.enter(Entry(session=inside, device=device))
        await login.people.move_session(digest_of(SECRET), lambda one: replace(one, **BY_CODE))

        house.clock.advance(60)
        shown = (await login.get(ACCOUNT)).text
        listed = {
            digest: line for line, digest in re.findall(r"<li>(.*?)forget-([0-9a-f]+)", shown, re.DOTALL)
        }

        assert set(listed) == {one.digest.hex() for one in (trusted, known, lapsed)}
        assert "(days: 29)" in listed[trusted.digest.hex()]
        assert "2026-12-22</time>" in listed[trusted.digest.hex()]
        assert [listed[one.digest.hex()].count("(days:") for one in (known, lapsed)] == [0, 0]

        await login.people.put_login(replace(ANY, remember_days=28))
        shorter = (await login.get(ACCOUNT)).text

        assert f"forget-{trusted.digest.hex()}" in shorter
        assert "(days:" not in shorter, "it is asked for a code again"
