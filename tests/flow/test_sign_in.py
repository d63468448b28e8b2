"""What signing in decides over time: trust that ends, hashes made anew, attempts that are given back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from dastak.core.errors import InvalidRequest, Overloaded, RateLimited
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Asker, LoginPorts, Passwords, PeopleStore
from dastak.core.person import PERSON_ID_OCTETS, Person, PersonId, name_key
from dastak.core.policy import Channel
from dastak.core.sign_in_limits import ADDRESS, FROM_THERE, KNOWN_BROWSER, Claim
from dastak.core.sign_in_state import FRESH, BrowserSession, Stage
from dastak.core.tenant import Mode
from dastak.flows import forgotten, sign_in
from dastak.flows.enrol import may_change
from dastak.flows.sign_in import Passed, Visitor
from dastak.flows.sign_up import change_password, sign_up
from dastak.tenancy.password_hashes import PasswordHashes
from tests.support.house import House, open_house
from tests.support.samples import MSISDN, NOW

PASSWORD = "a bridge of seven lemons"
SETTINGS = LoginSettings(service=1, mode=Mode.LIVE, remember_days=30)
ELSEWHERE = replace(SETTINGS, check_url="https://bank.example/check")
HOME = Visitor(address="192.0.2.7", agent="Firefox")
AWAY = Visitor(address="198.51.100.7")
WEAKER = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1)


class Login:
    """A house that people sign in to.

    Attributes:
        answers: What a customer's own system says next; None is a refusal without a word.
        accounts: Whom it knows otherwise, with their passwords; `spelled` says how it reads a name.
        asked: The names it was asked about.
        gate: Where its first answers wait for each other, if set.
    """

    def __init__(self, house: House, passwords: PasswordHashes) -> None:
        self.house, self.clock = house, house.clock
        self.answers: list[bool | Overloaded | None] = []
        self.accounts: Mapping[str, str] = {}
        self.spelled: Callable[[str], str] = str
        self.asked: list[str] = []
        self.gate: asyncio.Barrier | None = None
        self.ports = LoginPorts(
            ports=house.ports,
            people=house.store.people,
            passwords=passwords,
            asks_elsewhere=self._ask,
        )

    async def _ask(self, _settings: LoginSettings, username: str, password: str) -> bool | None:
        self.asked.append(username)
        if self.gate is not None and len(self.asked) <= self.gate.parties:
            await self.gate.wait()
        if not self.answers:
            return self.accounts.get(self.spelled(username)) == password
        answer = self.answers.pop(0)
        if isinstance(answer, Overloaded):
            raise answer
        return answer

    async def person(self, **changes: Any) -> Person:
        person = await sign_up(self.ports, SETTINGS, HOME, "Asha", PASSWORD)
        return await self.ports.people.move_person(person.id, lambda one: replace(one, **changes))

    async def password(
        self, password: str = PASSWORD, visitor: Visitor = HOME, settings: LoginSettings = SETTINGS
    ) -> Passed | None:
        return await sign_in.pass_password(self.ports, settings, visitor, "asha", password)

    async def elsewhere(self, name: str, password: str, visitor: Visitor = HOME) -> Passed | None:
        """Sign in where the customer's own system knows the passwords."""
        return await sign_in.pass_password(self.ports, ELSEWHERE, visitor, name, password)

    async def begin(self, digest: bytes, visitor: Visitor = HOME, **wish: Any) -> BrowserSession:
        passed = await self.password(visitor=visitor)
        assert passed is not None
        wished = sign_in.wished(self.ports, SETTINGS, visitor, digest, **wish)
        session = await sign_in.begin(
            self.ports, SETTINGS, visitor, passed, wished, device_digest=digest + b" device"
        )
        assert session is not None
        return session

    async def finish(self, session: BrowserSession, visitor: Visitor = HOME) -> Visitor:
        """Type the right code; return the browser as it is known from then."""
        entered = await sign_in.finish(
            self.ports,
            SETTINGS,
            visitor,
            session,
            session_digest=session.digest + b"+",
            device_digest=b"known",
            channel=Channel.SMS,
        )
        assert entered is not None
        return replace(visitor, device=b"known")


@asynccontextmanager
async def a_login(folder: Path) -> AsyncIterator[Login]:
    async with open_house(folder) as house, PasswordHashes() as passwords:
        yield Login(house, passwords)


async def test_weaker_hash_is_made_anew_at_the_next_right_password(tmp_path: Path) -> None:
    weaker = WEAKER.hash(PASSWORD)
    async with a_login(tmp_path) as login:
        person = await login.person(password=weaker)

        await login.password("a wrong but long one")
        before = await login.ports.people.find_person(person.id)
        await login.password()
        after = await login.ports.people.find_person(person.id)

        assert before is not None
        assert before.password == weaker
        assert after is not None
        assert not login.ports.passwords.is_outdated(after.password)
        assert await login.password() is not None


class ChangedMeanwhile:
    """Passwords; while one is hashed, or looked at, its person changes it."""

    def __init__(self, passwords: Passwords, change: Callable[[], Awaitable[Any]], at: str = "make") -> None:
        self._passwords, self._change, self._at = passwords, change, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._passwords, name)

    async def make(self, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b"") -> str:
        made = await self._passwords.make(clear, asker, whose)
        if self._at == "make":
            await self._change()
        return made

    async def holds(
        self, kept: str | None, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b""
    ) -> bool:
        right = await self._passwords.holds(kept, clear, asker, whose)
        if self._at == "holds":
            await self._change()
        return right


async def test_password_that_was_changed_meanwhile_is_not_put_back_by_a_stronger_hash(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        person, people = await login.person(password=WEAKER.hash(PASSWORD)), login.ports.people

        async def change() -> None:
            await people.move_person(person.id, lambda one: replace(one, password="changed"))

        changing = ChangedMeanwhile(login.ports.passwords, change)
        login.ports = replace(login.ports, passwords=cast(Passwords, changing))
        await login.password()
        kept = await people.find_person(person.id)

        assert kept is not None
        assert kept.password == "changed"


@pytest.mark.parametrize(("weaker", "at"), [(True, "make"), (True, "holds"), (False, "holds")])
async def test_password_that_is_changed_while_it_is_looked_at_lets_nobody_in_any_more(
    tmp_path: Path, *, weaker: bool, at: str
) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person(**({"password": WEAKER.hash(PASSWORD)} if weaker else {}))
        plain = login.ports

        async def change() -> None:
            await forgotten.set_password(plain, AWAY, person.id, "changed")

        changing = ChangedMeanwhile(plain.passwords, change, at)
        login.ports = replace(plain, passwords=cast(Passwords, changing))
        passed = await login.password()
        wish = sign_in.wished(plain, SETTINGS, HOME, b"1")
        entered = passed and await sign_in.begin(
            plain, SETTINGS, HOME, passed, wish, device_digest=b"1 device"
        )
        lines = await plain.people.lines_of(person.id, limit=9)

        assert (passed is None) is weaker
        assert entered is None
        assert await plain.people.session_of(b"1") is None
        assert await plain.people.device_of(b"1 device", person.id) is None
        assert [line.what for line in lines] == ["password_reset"]


@pytest.mark.parametrize(("weaker", "at"), [(True, "make"), (True, "holds"), (False, "holds")])
async def test_hash_that_another_sign_in_makes_anew_at_the_same_moment_keeps_nobody_out(
    tmp_path: Path, *, weaker: bool, at: str
) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person(**({"password": WEAKER.hash(PASSWORD)} if weaker else {}))
        people, anew = login.ports.people, WEAKER.hash(PASSWORD)

        async def rehash() -> None:
            await people.move_person(person.id, lambda one: replace(one, password=anew))

        rehashing = ChangedMeanwhile(login.ports.passwords, rehash, at)
        login.ports = replace(login.ports, passwords=cast(Passwords, rehashing))
        session = await login.begin(b"1")

        assert session.stage is Stage.SIGNED_IN
        assert await people.session_of(b"1") == session


async def test_old_password_changes_nothing_once_another_change_came_before(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        person, plain = await login.person(), login.ports

        async def change() -> None:
            await forgotten.set_password(plain, AWAY, person.id, "changed")

        changing = ChangedMeanwhile(plain.passwords, change)
        ports = replace(plain, passwords=cast(Passwords, changing))
        changed = await change_password(ports, HOME, person, old=PASSWORD, new="a bridge of eight lemons")
        kept = await plain.people.find_person(person.id)

        assert not changed
        assert kept is not None
        assert kept.password == "changed"


@pytest.mark.parametrize("blocked", [True, False])
async def test_hash_is_not_made_anew_for_somebody_who_is_not_let_in(tmp_path: Path, *, blocked: bool) -> None:
    async with a_login(tmp_path) as login:
        weaker = WEAKER.hash(PASSWORD)
        person = await login.person(password=weaker, blocked=blocked)
        for _ in range(0 if blocked else FROM_THERE.attempts):
            await login.password("a wrong but long one")

        passed = await login.password()
        kept = await login.ports.people.find_person(person.id)

        assert passed is None
        assert kept is not None
        assert kept.password == weaker


class NoEnding:
    """People of whom no session can be ended now."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    def __getattr__(self, name: str) -> Any:
        return getattr(self._people, name)

    async def end_sessions(self, *_whose: Any, **_how: Any) -> None:
        raise Overloaded("The database is away.", retry_after_s=1)


async def test_password_stays_as_it_was_where_the_sessions_of_the_old_one_go_on(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person()
        ports = replace(login.ports, people=cast(PeopleStore, NoEnding(login.ports.people)))

        with pytest.raises(Overloaded):
            await change_password(ports, HOME, person, old=PASSWORD, new="a bridge of eight lemons")
        with pytest.raises(Overloaded):
            await forgotten.set_password(ports, HOME, person.id, "another hash")

        assert await login.ports.people.find_person(person.id) == person


@pytest.mark.parametrize(
    ("days", "after_days", "stage"),
    [
        (30, 0, Stage.SIGNED_IN),
        (29, 0, Stage.PASSWORD_PASSED),
        (29, 1, Stage.SIGNED_IN),
        (0, 0, Stage.PASSWORD_PASSED),
        (0, 29, Stage.PASSWORD_PASSED),
        (90, 29, Stage.SIGNED_IN),
        (90, 30, Stage.PASSWORD_PASSED),
    ],
)
async def test_browser_is_remembered_no_longer_than_the_service_wants_now(
    tmp_path: Path, days: int, after_days: int, stage: Stage
) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        known = await login.finish(await login.begin(b"1", remember=True))
        login.clock.advance(after_days * 86_400)
        settings = replace(SETTINGS, remember_days=days)

        passed = await login.password(visitor=known, settings=settings)
        assert passed is not None
        wish = sign_in.wished(login.ports, settings, known, b"2")
        session = await sign_in.begin(login.ports, settings, known, passed, wish, device_digest=b"2 device")

        assert session is not None
        assert session.stage is stage


async def test_browser_is_trusted_for_its_days_and_then_asked_again(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        first = await login.begin(b"1", remember=True)
        known = await login.finish(first)

        remembered = await login.begin(b"2", known)
        fresh = await login.begin(b"3", replace(known, device=b"2 device"), fresh=True)
        stranger = await login.begin(b"4", AWAY)
        login.clock.advance(30 * 86_400)
        later = await login.begin(b"5", replace(known, device=b"2 device"))

        stages = [one.stage for one in (first, remembered, fresh, stranger, later)]
        between = Stage.PASSWORD_PASSED
        assert stages == [between, Stage.SIGNED_IN, between, between, between]
        assert [one.trusted for one in (first, remembered, fresh, stranger, later)] == [
            False,
            True,
            *[False] * 3,
        ]
        assert remembered.amr == ("pwd",), "nothing more was proved"


async def test_browser_that_was_not_to_be_remembered_is_known_but_not_trusted(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        known = await login.finish(await login.begin(b"1"))

        again = await login.begin(b"2", known)
        passed = await login.password(visitor=known)

        assert again.stage is Stage.PASSWORD_PASSED
        assert passed is not None
        assert passed.known is not None


async def test_second_factor_that_is_required_lets_nobody_in_without(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person()
        passed = await login.password()
        assert passed is not None
        required = replace(SETTINGS, required=True)
        wish = sign_in.wished(login.ports, required, HOME, b"1")

        session = await sign_in.begin(login.ports, required, HOME, passed, wish, device_digest=b"")

        assert session is not None
        assert session.stage is Stage.PASSWORD_PASSED


async def test_remembered_browser_of_who_has_no_factor_that_is_wanted_now_lets_nobody_in(
    tmp_path: Path,
) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        known = await login.finish(await login.begin(b"1", remember=True))
        narrowed = replace(SETTINGS, required=True, factors=(Channel.TOTP,))
        passed = await login.password(visitor=known, settings=narrowed)
        assert passed is not None
        wish = sign_in.wished(login.ports, narrowed, known, b"2")

        session = await sign_in.begin(login.ports, narrowed, known, passed, wish, device_digest=b"2 device")

        assert session is not None
        assert session.stage is Stage.PASSWORD_PASSED, "so that one can be set up"
        assert not session.trusted


async def test_right_password_does_not_open_a_lock_before_its_time(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person()
        for _ in range(FROM_THERE.attempts):
            assert await login.password("a wrong but long one") is None

        locked, elsewhere = await login.password(), await login.password(visitor=AWAY)
        login.clock.advance(FROM_THERE.window_s)
        after = await login.password()

        assert locked is None
        assert elsewhere is not None
        assert after is not None


class CountedWrites:
    """People whose commits of attempts are counted: a claim that is refused writes nothing."""

    def __init__(self, people: PeopleStore) -> None:
        self._people, self.writes = people, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._people, name)

    async def claim(self, claims: Sequence[Claim], *, now: datetime) -> Claim | None:
        used_up = await self._people.claim(claims, now=now)
        self.writes += used_up is None
        return used_up

    async def give_back(self, claims: Sequence[Claim], *, now: datetime) -> None:
        self.writes += 1
        await self._people.give_back(claims, now=now)


async def test_locked_account_costs_as_many_commits_as_a_wrong_password(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person()
        counted = CountedWrites(login.ports.people)
        login.ports = replace(login.ports, people=cast(PeopleStore, counted))
        writes = []
        for _ in range(FROM_THERE.attempts + 1):
            before = counted.writes
            await login.password("a wrong but long one")
            writes.append(counted.writes - before)
        locked = await login.password()
        login.clock.advance(FROM_THERE.window_s)

        assert locked is None
        assert set(writes) == {1}
        assert await login.password() is not None, "a lock is no longer for what was written beside it"


async def test_address_that_tries_many_names_is_told_to_wait(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        for n in range(ADDRESS.attempts):
            await sign_in.pass_password(login.ports, SETTINGS, HOME, f"name{n}", "a wrong but long one")

        with pytest.raises(RateLimited):
            await login.password()


async def test_system_that_does_not_answer_costs_no_attempt(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        for _ in range(3 * FROM_THERE.attempts):
            login.answers = [Overloaded("down")]
            with pytest.raises(Overloaded):
                await login.password(settings=ELSEWHERE)
        login.answers = [True]
        passed = await login.password(settings=ELSEWHERE)

        assert passed is not None
        assert passed.person.username == "asha"
        assert passed.person.password == ""


def ids(*passed: Passed | None) -> list[PersonId | None]:
    return [None if one is None else one.person.id for one in passed]


@pytest.mark.parametrize(
    ("hers", "theirs"),
    [("Asha", "asha"), ("asha", "Ａｓｈａ"), ("straße", "STRASSE"), ("café", "cafe\u0301")],
)
async def test_accounts_whose_names_are_spellings_of_one_are_two_people(
    tmp_path: Path, hers: str, theirs: str
) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {hers: "the password of her", theirs: "another one"}
        first = await login.elsewhere(hers, "the password of her")
        other = await login.elsewhere(theirs, "another one")
        login.asked.clear()
        again = await login.elsewhere(f" {theirs} ", "another one")
        hers_again = await login.elsewhere(hers, "the password of her")

        assert len({*ids(first, other)}) == 2
        assert ids(hers_again, again) == ids(first, other)
        assert login.asked == [theirs, hers], "whoever is known is not looked for among others"
        assert other is not None
        assert (other.person.username, other.claims) == (theirs, ()), "the try at her account counts"


async def test_browser_of_one_person_is_not_known_to_another_spelling(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {"Asha": "the password of her", "asha": "another one"}
        hers = await login.elsewhere("Asha", "the password of her")
        assert hers is not None
        wish = sign_in.wished(login.ports, ELSEWHERE, HOME, b"1")
        await sign_in.begin(login.ports, ELSEWHERE, HOME, hers, wish, device_digest=b"known")
        known = replace(HOME, device=b"known")

        other = await login.elsewhere("asha", "another one", known)
        hers_again = await login.elsewhere("Asha", "the password of her", known)

        assert other is not None
        assert other.known is None
        assert hers_again is not None
        assert hers_again.known is not None


async def test_spellings_that_the_customers_system_takes_for_one_are_one_person(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts, login.spelled = {"asha": PASSWORD}, str.casefold
        first = await login.elsewhere("Asha", PASSWORD)
        login.asked.clear()
        again = await login.elsewhere("ASHA", PASSWORD)
        wrong = await login.elsewhere("ASHA", "a wrong but long one")

        assert ids(first, again, wrong) == [*ids(first), *ids(first), None]
        assert login.asked == ["ASHA", "Asha", "ASHA"]


async def test_second_question_that_nobody_answers_makes_nobody_and_counts_nothing(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts, login.spelled = {"asha": PASSWORD}, str.casefold
        first = await login.elsewhere("Asha", PASSWORD)
        for _ in range(3 * FROM_THERE.attempts):
            login.answers = [True, Overloaded("down")]
            with pytest.raises(Overloaded):
                await login.elsewhere("ASHA", PASSWORD)
        people = await login.ports.people.people_of(1, limit=9)
        again = await login.elsewhere("ASHA", PASSWORD)

        assert first is not None
        assert [one.id for one in people] == ids(first)
        assert ids(again) == ids(first)


async def test_refusal_of_the_second_question_makes_nobody_and_counts_at_the_account(tmp_path: Path) -> None:
    """Else whoever has the other spelling tries passwords of this one; and a lock is told to nobody."""
    async with a_login(tmp_path) as login:
        login.accounts, login.spelled = {"asha": PASSWORD}, str.casefold
        first = await login.elsewhere("Asha", PASSWORD)
        # The first one was an attempt as well, until its sign-in goes on.
        for _ in range(FROM_THERE.attempts - 1):
            login.answers = [True, None]
            with pytest.raises(Overloaded):
                await login.elsewhere("ASHA", PASSWORD)
        login.asked.clear()
        login.answers = [True, Overloaded("down")]
        locked = await login.elsewhere("ASHA", PASSWORD)
        people = await login.ports.people.people_of(1, limit=9)

    assert (locked, login.asked) == (None, ["ASHA"])
    assert [one.id for one in people] == ids(first)


async def test_refusal_without_a_word_lets_nobody_in_and_counts(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {"Asha": PASSWORD}
        login.answers = [None] * FROM_THERE.attempts

        refused = [await login.elsewhere("Asha", PASSWORD) for _ in range(FROM_THERE.attempts)]

        assert refused == [None] * FROM_THERE.attempts
        assert await login.elsewhere("Asha", PASSWORD) is None, "it is locked"


@pytest.mark.parametrize("typed", ["Asha", "asha"])
async def test_record_of_an_earlier_version_is_found_by_the_account_it_was_made_for(
    tmp_path: Path, typed: str
) -> None:
    async with a_login(tmp_path) as login:
        login.accounts, login.spelled = {"asha": PASSWORD}, str.casefold
        kept = Person(
            id=PersonId(bytes(PERSON_ID_OCTETS)), service=1, mode=Mode.LIVE, username="Asha", created_at=NOW
        )
        await login.ports.people.put_person(kept, name_key("Asha"))

        passed = await login.elsewhere(typed, PASSWORD)

        assert ids(passed) == [kept.id]


@pytest.mark.parametrize("name", ["a" * 65, "a" * 64 + "b", "ß" * 33, "ﷺ" * 4, " " + "आ" * 65])
async def test_name_that_is_too_long_is_nobodys_and_nobody_is_asked(tmp_path: Path, name: str) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {name.strip(): PASSWORD}

        passed = await login.elsewhere(name, PASSWORD)

        assert passed is None
        assert login.asked == []


async def test_first_sign_ins_at_once_make_one_person_of_each_account(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts, login.gate = {"Asha": PASSWORD}, asyncio.Barrier(3)

        passed = await asyncio.gather(*(login.elsewhere("Asha", PASSWORD) for _ in range(3)))

        assert None not in passed
        assert len({*ids(*passed)}) == 1


async def test_first_sign_ins_at_once_of_two_spellings_make_two_people(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {"Asha": "the password of her", "asha": "another one"}
        login.gate = asyncio.Barrier(2)

        passed = await asyncio.gather(
            login.elsewhere("Asha", "the password of her"), login.elsewhere("asha", "another one")
        )

        assert [None if one is None else one.person.username for one in passed] == ["Asha", "asha"]
        assert len({*ids(*passed)}) == 2


async def test_name_means_the_exact_spelling_first_where_names_are_known_elsewhere(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        login.accounts = {"Asha": "the password of her", "asha": "another one"}
        hers = await login.elsewhere("Asha", "the password of her")
        other = await login.elsewhere("asha", "another one")

        people = login.ports.people
        meant = [await sign_in.person_called(people, ELSEWHERE, name) for name in ("Asha", "asha", "ASHA")]

        assert hers is not None
        assert other is not None
        assert meant == [hers.person, other.person, hers.person]
        assert await sign_in.person_called(people, SETTINGS, "asha") == hers.person


async def test_another_sign_in_ends_the_session_the_browser_had(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        known = await login.finish(await login.begin(b"1"))
        inside = replace(known, session=b"1+")
        before = await login.ports.people.session_of(b"1+")

        passed = await login.begin(b"2", inside, fresh=True)
        between = await login.ports.people.session_of(b"1+")
        await login.finish(passed, replace(known, session=b"2"))

        assert before is not None
        assert between is None
        assert await login.ports.people.session_of(b"2") is None
        assert await login.ports.people.session_of(b"2+") is not None


class HeardPasswords:
    """Passwords of which is noted for whom they are hashed."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self.askers: list[Asker] = []
        self.accounts: set[bytes] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._passwords, name)

    def holds(
        self, kept: str | None, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b""
    ) -> Awaitable[bool]:
        self.askers.append(asker)
        self.accounts.add(whose)
        return self._passwords.holds(kept, clear, asker, whose)


async def test_known_browser_waits_apart_and_who_only_comes_to_the_console_does_not(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person(msisdn=MSISDN, proved_at=NOW)
        known = await login.finish(await login.begin(b"1"))
        heard = HeardPasswords(login.ports.passwords)
        login.ports = replace(login.ports, passwords=cast(Passwords, heard))

        unknown = [HOME, replace(HOME, device=b"of nobody"), replace(HOME, console=True)]
        for visitor in (known, replace(known, console=True), *unknown):
            await login.password("a wrong but long one", visitor)
        first = list(heard.askers)
        for _ in range(KNOWN_BROWSER.attempts - 1):
            await login.password("a wrong but long one", known)

        assert first == [Asker.KNOWN, Asker.CONSOLE, *[Asker.STRANGER] * len(unknown)]
        assert heard.accounts == {person.id}
        assert heard.askers[-2:] == [Asker.KNOWN, Asker.STRANGER], (
            "who used up its tries has no place before others"
        )


async def test_recovery_codes_cannot_be_guessed_for_ever(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        await login.person(msisdn=MSISDN, proved_at=NOW)
        session = await login.begin(b"1")

        for n in range(20):
            assert not await sign_in.recover(login.ports, session, f"AAAAA-{n:05}")
        with pytest.raises(RateLimited):
            await sign_in.recover(login.ports, session, "AAAAA-AAAAA")


@pytest.mark.parametrize("password", ["short", "asha1234", "x" * 257, "password!"])
async def test_password_that_protects_nothing_is_refused(tmp_path: Path, password: str) -> None:
    async with a_login(tmp_path) as login:
        with pytest.raises(InvalidRequest):
            await sign_up(login.ports, SETTINGS, HOME, "Asha", password)


async def test_factors_are_changed_for_ten_minutes_after_a_code_and_by_no_password_alone(
    tmp_path: Path,
) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person(msisdn=MSISDN, proved_at=NOW)
        passed = await login.begin(b"1", remember=True)
        known = await login.finish(passed)
        inside = await login.ports.people.session_of(b"1+")
        trusted = await login.begin(b"2", known)
        assert inside is not None

        def may(session: BrowserSession) -> bool:
            return may_change(login.ports, SETTINGS, person, session)

        at_once = [may(one) for one in (passed, inside, trusted)]
        login.clock.advance(FRESH.total_seconds() - 1)
        just = may(inside)
        login.clock.advance(1)

        assert trusted.stage is Stage.SIGNED_IN, "a remembered browser is in, and proved nothing more"
        assert at_once == [False, True, False]
        assert [just, may(inside)] == [True, False]


async def test_who_has_no_factor_yet_sets_the_first_one_up_soon_after_the_password(tmp_path: Path) -> None:
    async with a_login(tmp_path) as login:
        person = await login.person()
        session = await login.begin(b"1")

        at_once = may_change(login.ports, SETTINGS, person, session)
        login.clock.advance(FRESH.total_seconds())
        later = may_change(login.ports, SETTINGS, person, session)

        assert [at_once, later] == [True, False]
