"""Whose number is locked, at a landing page or at the login by phone alone, is told so and sent nothing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from dastak.core import oath
from dastak.core.lockout import WRONG_CONSECUTIVE_MAX, Tally
from dastak.core.policy import Channel
from dastak.core.ports import Change
from dastak.core.tenant import Mode
from dastak.flows import factors
from dastak.web.oidc.phone_login import LOCKS_OF_ADDRESS
from tests.flow.test_login_ways import lock
from tests.flow.test_page_login import authorize, shop
from tests.support.house import House
from tests.support.landing_visitors import RAVI, Landing, Visitor, field, open_landing
from tests.support.samples import MSISDN

LOCKED = "Too many tries. Wait 50 min, then go back to {brand} and begin again."


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def locked(landing: Landing) -> None:
    """Have strangers lock the number, ten minutes ago."""
    await lock(landing.house)
    landing.house.clock.advance(600)


async def closed(landing: Landing, mode: Mode = Mode.LIVE) -> None:
    """Have the number closed until somebody opens it."""
    asked = await landing.house.start(caller=landing.house.caller_of(mode=mode))
    change: Change[None] = Change(answer=None, tally=Tally(WRONG_CONSECUTIVE_MAX))
    await landing.house.store.decide(asked.id, lambda _held: change)
    landing.house.clock.advance(600)


async def with_authenticators(landing: Landing) -> None:
    """Have the service ask for an authenticator where a number has one, which this one has."""
    service = landing.pages.directory.service_of(1)
    policy = replace(service.policy, channels=(Channel.TOTP, Channel.SMS))
    await landing.house.store.put_service(replace(service, policy=policy))
    await landing.pages.directory.refresh(landing.house.store)
    caller = landing.pages.directory.page_caller(1, Mode.LIVE)
    made = await factors.enrol(landing.house.ports, caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    proving = await landing.house.start(caller=caller, factor=made.factor.id)
    authenticator = oath.Authenticator(seed=made.seed or b"")
    code = oath.totp(authenticator, at_s=int(landing.house.clock.now().timestamp()))
    judged = await landing.house.check(proving, code)
    assert judged.approved


class AtPage:
    """Somebody who comes to a landing page."""

    brand = "Acme"

    def __init__(self, landing: Landing) -> None:
        self.landing, self.visitor = landing, landing.visitor()

    async def give(self, number: str = RAVI) -> httpx.Response:
        """Give a number."""
        if not await self.landing.store.pages(None):
            await self.landing.published()
        return await self.visitor.send_in(number=number)


class AtSite:
    """Somebody who logs in at a site by phone alone."""

    brand = "Shop"

    def __init__(self, landing: Landing) -> None:
        self.landing, self.visitor = landing, landing.visitor()
        self.client: Any = None

    async def give(self, number: str = RAVI) -> httpx.Response:
        """Give a number."""
        self.client = self.client or await shop(self.landing)
        shown = await self.visitor.get((await authorize(self.visitor, self.client)).headers["location"])
        form = {"form": field(shown), "do": "begin", "number": number}
        return await self.visitor.post(str(shown.request.url), form)


Way = type[AtPage] | type[AtSite]
both = pytest.mark.parametrize("way", [AtPage, AtSite])


async def pressed(visitor: Visitor, shown: httpx.Response, do: str) -> httpx.Response:
    """Press a button of the page for the code."""
    form = {"form": field(shown), "at": field(shown, "at"), "do": do, "code": "12 34"}
    return await visitor.post(str(shown.request.url), form)


@both
async def test_number_that_is_locked_gets_no_code_and_the_page_says_for_how_long(
    landing: Landing, way: Way
) -> None:
    await locked(landing)
    there, handed = way(landing), list(landing.house.handed)

    told = await there.give()
    landing.house.clock.advance(3000)
    later = await there.give()

    assert told.status_code == 429
    assert told.headers["retry-after"] == "3000"
    assert LOCKED.format(brand=there.brand) in told.text
    assert f'value="{RAVI}"' in told.text
    assert later.status_code == 303
    assert len(landing.house.handed) == len(handed) + 1


@both
async def test_number_that_somebody_has_to_open_gets_no_code_and_is_promised_no_time(
    landing: Landing, way: Way
) -> None:
    await closed(landing)
    handed = list(landing.house.handed)

    told = await way(landing).give()

    assert told.status_code == 429
    assert "retry-after" not in told.headers
    assert "We cannot send a text to this number." in told.text
    assert "Too many tries" not in told.text
    assert landing.house.handed == handed


@both
async def test_lock_of_test_keys_and_of_another_number_keeps_nobody_from_a_code(
    landing: Landing, way: Way
) -> None:
    await closed(landing, Mode.TEST)
    handed = list(landing.house.handed)

    same = await way(landing).give()
    await locked(landing)
    other = await way(landing).give("98765 00000")

    assert [same.status_code, other.status_code] == [303, 303]
    assert len(landing.house.handed) > len(handed)


@both
async def test_authenticator_of_a_number_that_is_locked_is_asked_for_all_the_same(
    landing: Landing, way: Way
) -> None:
    await locked(landing)
    await with_authenticators(landing)
    handed = list(landing.house.handed)

    asked = await way(landing).give()
    newest, *_ = await landing.house.all()

    assert asked.status_code == 303
    assert newest.particulars.channel is Channel.TOTP
    assert landing.house.handed == handed


@both
@pytest.mark.parametrize("do", ["resend", "call"])
async def test_nothing_is_sent_once_more_to_a_number_that_was_locked_since(
    landing: Landing, way: Way, do: str
) -> None:
    there = way(landing)
    shown = await there.visitor.get((await there.give()).headers["location"])
    landing.house.clock.advance(60)
    await locked(landing)
    handed = list(landing.house.handed)

    told = await pressed(there.visitor, shown, do)

    assert told.status_code == 429
    assert told.headers["retry-after"] == "3000"
    assert LOCKED.format(brand=there.brand) in told.text
    assert 'value="12 34"' in told.text or 'name="code"' not in told.text
    assert landing.house.handed == handed


async def test_locks_of_many_numbers_are_not_told_without_end_to_one_source(landing: Landing) -> None:
    await locked(landing)
    there = AtSite(landing)

    told = [(await there.give()).status_code for _ in range(LOCKS_OF_ADDRESS.attempts)]
    refused = await there.give()
    other = await there.give("98765 00000")
    elsewhere = AtSite(landing)
    elsewhere.client, elsewhere.visitor = there.client, landing.visitor("198.51.100.7")
    beside = await elsewhere.give()

    assert set(told) == {429}
    assert refused.status_code == 429
    assert "Too many tries" not in refused.text
    assert refused.headers["retry-after"] == str(LOCKS_OF_ADDRESS.window_s // LOCKS_OF_ADDRESS.attempts)
    assert other.status_code == 303
    assert LOCKED.format(brand=there.brand) in beside.text
