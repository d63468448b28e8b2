"""A forgotten password whose number is locked: nothing is sent there, and no stranger sees a difference."""

import re
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dastak.core.ids import digest_of
from dastak.core.lockout import WRONG_CONSECUTIVE_MAX, Tally
from dastak.core.people_store import PasswordLink
from dastak.core.ports import Change
from dastak.core.sign_in_state import SignInLine, Stage
from tests.flow.test_login_ways import ANY, Login, enrolled, lock, owning, password_passed
from tests.support.house import House
from tests.support.samples import MSISDN, NOW
from tests.unit.test_even_answers import HastyClock

FORGOTTEN = "/login/acme/login/forgotten"
LINK = f"{FORGOTTEN}/link/token"
COOKIE = "dastak-forgotten-1"


async def name_and_guess(login: Login, name: str = "asha") -> list[tuple[int, str | None, str]]:
    """Say in a new browser that a password is forgotten, and type a wrong code; return what is seen."""
    login.browser.cookies.clear()
    named = await login.send(FORGOTTEN, username=name)
    page = await login.get(f"{FORGOTTEN}/code")
    typed = await login.send(f"{FORGOTTEN}/code", code="000000")
    return [
        (one.status_code, one.headers.get("location"), re.sub(r'name="form" value="[^"]*"', "", one.text))
        for one in (named, page, typed)
    ]


async def test_number_that_is_locked_is_sent_nothing_and_the_answers_are_those_of_nobody(
    house: House,
) -> None:
    house.ports = replace(house.ports, clock=HastyClock())
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        of_nobody = await name_and_guess(login, "nobody")
        sent_before = len(house.handed)
        when_open = await name_and_guess(login)
        sent_open = len(house.handed)
        await lock(house)
        handed = list(house.handed)
        when_locked = await name_and_guess(login)
        session = await login.people.session_of(digest_of(login.browser.cookies[COOKIE]))
        lines = await login.people.lines_of(login.person.id, limit=9)

    assert (sent_before, sent_open) == (0, 1)
    assert house.handed == handed
    assert of_nobody == when_open == when_locked
    assert session is not None
    assert (session.stage, session.asked) == (Stage.FORGOT, None)
    assert [line.what for line in lines] == ["password_forgotten"], "it tells of what was sent"


async def give_link(login: Login) -> None:
    """Make the link that those who run the site hand to the person."""
    link = PasswordLink(
        digest=digest_of("token"), person=login.person.id, expires_at=NOW + timedelta(hours=2)
    )
    await login.people.put_password_link(link, line=SignInLine(at=NOW, what="password_link_made"))


@pytest.mark.parametrize("locked", [True, False])
async def test_link_of_the_tenant_offers_no_text_to_a_number_that_is_locked(
    house: House, *, locked: bool
) -> None:
    house.ports = replace(house.ports, clock=HastyClock())
    made = await enrolled(house)
    async with password_passed(house, ANY, **owning(made), proved_at=NOW) as login:
        await give_link(login)
        if locked:
            await lock(house)
        handed = list(house.handed)

        opened = await login.send(LINK)
        page = await login.get(f"{FORGOTTEN}/new")
        await login.send(f"{FORGOTTEN}/new", do="use-sms")

    assert opened.headers["location"] == f"{FORGOTTEN}/new"
    assert "authenticator shows" in page.text
    assert re.findall('value="(use-.*?)"', page.text) == ([] if locked else ["use-sms", "use-voice"])
    assert len(house.handed) == len(handed) + (not locked)


async def test_link_is_kept_while_the_number_is_locked_and_nothing_else_could_be_proved(house: House) -> None:
    house.ports = replace(house.ports, clock=HastyClock())
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        await give_link(login)
        await lock(house)
        handed = list(house.handed)

        refused = await login.send(LINK)
        kept = await login.people.password_link_of(digest_of("token"))
        await house.store.unlock(1, MSISDN)
        opened = await login.send(LINK)

    assert refused.status_code == 422
    assert "Too many tries. Wait 60 min," in refused.text
    assert kept is not None
    assert opened.headers["location"] == f"{FORGOTTEN}/new"
    assert len(house.handed) == len(handed) + 1


async def test_link_is_kept_while_the_number_waits_for_somebody_to_open_it(house: House) -> None:
    house.ports = replace(house.ports, clock=HastyClock())
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=NOW) as login:
        await give_link(login)
        closed: Change[None] = Change(answer=None, tally=Tally(WRONG_CONSECUTIVE_MAX))
        await house.store.decide((await house.start()).id, lambda _held: closed)

        refused = await login.send(LINK)
        kept = await login.people.password_link_of(digest_of("token"))

    assert (refused.status_code, kept is None) == (422, False)
    assert "We cannot send a text to this number." in refused.text


@pytest.mark.parametrize("has", ["recovery codes", "no factor"])
async def test_lock_keeps_nobody_from_a_link_to_whom_the_number_makes_no_difference(
    house: House, has: str
) -> None:
    house.ports = replace(house.ports, clock=HastyClock())
    proved_at = NOW if has == "recovery codes" else None
    async with password_passed(house, ANY, msisdn=MSISDN, proved_at=proved_at) as login:
        await give_link(login)
        await lock(house)
        if has == "recovery codes":
            line = SignInLine(at=NOW, what="recovery_codes_made")
            await login.people.put_recovery_codes(login.person.id, [b"one"], line=line)

        opened = await login.send(LINK)
        page = await login.get(f"{FORGOTTEN}/new")

    assert opened.headers["location"] == f"{FORGOTTEN}/new"
    assert ('name="recovery"' in page.text) is (has == "recovery codes")
