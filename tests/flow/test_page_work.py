"""When a landing page has a sum done first: not below the budgets, and then once for each code."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import httpx
import pytest

from dastak.web.landing.proof_of_work import GOOD_FOR_S
from dastak.web.landing.work_gate import FROM_NETWORK, OF_PAGE, WAIT_S, WAITS_OF_NETWORK
from tests.support.house import House
from tests.support.landing_visitors import ANSWERS, Landing, Visitor, field, open_landing
from tests.support.page_work import solve

PATH = "/f/diwali?lang=en"
NUMBERS: Iterator[int] = count(9_800_000_000)


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        await opened.published()
        yield opened


async def send(visitor: Visitor, **more: str) -> httpx.Response:
    """Send the form of somebody new in."""
    return await visitor.send_in(PATH, **{"number": str(next(NUMBERS)), **more})


async def use_up(landing: Landing) -> Visitor:
    """Ask for as many codes as a network may, and prove none."""
    for _ in range(FROM_NETWORK.attempts):
        assert (await send(landing.visitor())).status_code == 303
    return landing.visitor()


async def test_nobody_is_asked_below_the_budget(landing: Landing) -> None:
    visitor = await use_up(landing)

    asked = await send(visitor)

    assert asked.status_code == 429
    assert asked.headers["retry-after"] == str(WAIT_S)
    assert f"Wait {WAIT_S} s, then press the button again." in asked.text
    assert 'value="Ravi"' in asked.text
    assert len(await landing.house.all()) == FROM_NETWORK.attempts


async def test_form_with_the_answer_goes_on_and_its_code_is_sent_once(landing: Landing) -> None:
    visitor = await use_up(landing)
    number = str(next(NUMBERS))
    asked = await send(visitor, number=number)
    form = {"form": field(asked), **ANSWERS, "number": number, "altcha": solve(field(asked, "altcha"))}

    first = await visitor.post(PATH, form)
    second = await visitor.post(PATH, form)

    assert first.status_code == 303
    assert second.headers["location"] == first.headers["location"]
    assert len(await landing.house.all()) == FROM_NETWORK.attempts + 1


async def test_answer_is_good_once_whoever_brings_it(landing: Landing) -> None:
    visitor = await use_up(landing)
    answer = solve(field(await send(visitor), "altcha"))

    first, second = await send(visitor, altcha=answer), await send(landing.visitor(), altcha=answer)

    assert (first.status_code, second.status_code) == (303, 429)
    # It goes on by itself once; who was refused decides.
    assert "data-goes" not in second.text


@pytest.mark.parametrize("late_s", [GOOD_FOR_S - 1, GOOD_FOR_S])
async def test_answer_is_refused_when_its_time_is_over(landing: Landing, late_s: int) -> None:
    visitor = await use_up(landing)
    answer = solve(field(await send(visitor), "altcha"))
    landing.house.clock.advance(late_s)

    sent = await send(visitor, altcha=answer)

    assert sent.status_code == (429 if late_s == GOOD_FOR_S else 303)


async def test_who_has_no_script_waits_and_few_may(landing: Landing) -> None:
    visitor = await use_up(landing)
    carried = [field(await send(visitor), "altcha") for _ in range(WAITS_OF_NETWORK.attempts + 1)]
    early = await send(visitor, altcha=carried[0])
    landing.house.clock.advance(WAIT_S)

    waited = [(await send(landing.visitor(), altcha=one)).status_code for one in carried]
    twice = await send(visitor, altcha=carried[0])

    assert early.status_code == 429
    assert waited == [303] * WAITS_OF_NETWORK.attempts + [429]
    assert twice.status_code == 429


async def test_code_that_was_proved_counts_no_more(landing: Landing) -> None:
    for _ in range(FROM_NETWORK.attempts + 2):
        visitor = landing.visitor()
        asking = await visitor.asked(PATH, number=str(next(NUMBERS)))
        assert (await visitor.type(asking, await landing.code())).status_code == 303
        landing.house.clock.advance(60)

    assert (await send(landing.visitor())).status_code == 303


async def test_page_that_many_networks_ask_for_codes_asks_everybody(landing: Landing) -> None:
    await landing.published(slug="holi")
    sent = []
    for n in range(OF_PAGE.attempts + 1):
        sent.append((await send(landing.visitor(f"198.18.{n}.1"))).status_code)

    elsewhere = await landing.visitor("198.19.1.1").send_in("/f/holi?lang=en", number=str(next(NUMBERS)))

    assert sent == [303] * OF_PAGE.attempts + [429]
    # Whatever the limits on texts say to so many, that page asks for no sum.
    assert elsewhere.status_code != 429
    assert 'name="altcha"' not in elsewhere.text
