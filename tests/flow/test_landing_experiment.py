"""Two variants of a page are compared by those alone who came while both were published as they are."""

import re
from collections.abc import AsyncIterator, Mapping

import pytest
from msgspec.structs import replace

from dastak.core.landing import LandingPage, PageVersion, Step, Variant
from dastak.web.landing.console_room import HOME
from dastak.web.landing.design import Design, Experiment, Hero, encode, experiment_of
from dastak.web.landing.starter import begin
from tests.support.house import House
from tests.support.landing_visitors import Landing, Visitor, open_landing
from tests.support.samples import NOW

PLAIN = begin("Acme", ("en",), theme="plum")
TRIED = replace(
    PLAIN,
    experiment=Experiment(hero=Hero(title={"en": "Half price today"}), button={"en": "Get it"}, planned=100),
)
AGAIN = replace(
    PLAIN,
    experiment=Experiment(hero=Hero(title={"en": "Two for one"}), button={"en": "Get it"}, planned=100),
)


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def publish(landing: Landing, page: LandingPage, design: Design) -> None:
    body = encode(design)
    await landing.store.publish(
        PageVersion(page=page.n, version=0, at=NOW, author="Asha", reason="more", body=body)
    )


async def proved(landing: Landing, visitor: Visitor, number: str) -> None:
    await visitor.type(await visitor.asked(number=number), await landing.code())


async def reached(
    landing: Landing, page: LandingPage, design: Design | None = None, began: int = 0
) -> Mapping[Step, int]:
    """Return how far visits came: all of the page, or those of one run, which began with a version."""
    counts = await landing.store.funnel(page.n, "" if design is None else experiment_of(design, began))
    tally = {step: sum(one.visits for one in counts if one.step is step) for step in Step}
    return {step: visits for step, visits in tally.items() if visits}


async def results(landing: Landing, page: LandingPage) -> str:
    return (await landing.visitor().get(f"{HOME}/{page.n}/results")).text


async def test_whoever_came_before_the_second_variant_is_in_no_comparison_and_in_the_whole(
    landing: Landing,
) -> None:
    page = await landing.published(PLAIN)
    for n in range(3):
        await proved(landing, landing.visitor(), f"987650000{n}")
    late = landing.visitor()
    asking, code = await late.asked(number="9876500009"), await landing.code()

    await publish(landing, page, TRIED)
    shown = await results(landing, page)
    await late.type(asking, code)
    before = await reached(landing, page, TRIED, 2)
    seen = {Variant.A: 0, Variant.B: 0}
    for n in range(8):
        visitor = landing.visitor()
        drawn = await visitor.get("/f/diwali?lang=en")
        seen[Variant.B if "Half price today" in drawn.text else Variant.A] += 1
        await proved(landing, visitor, f"987651000{n}")
    after = await results(landing, page)

    assert "A has 0, B has 0." in shown
    assert "0 of 0 proved their number" in shown
    assert before == {}
    assert dict.fromkeys(Step, 8) == await reached(landing, page, TRIED, 2)
    assert dict.fromkeys(Step, 12) == await reached(landing, page)
    assert f"A has {seen[Variant.A]}, B has {seen[Variant.B]}." in after


async def test_counts_of_an_experiment_stay_when_its_visits_are_over(landing: Landing) -> None:
    page = await landing.published(TRIED)
    await proved(landing, landing.visitor(), "9876500000")
    await publish(landing, page, AGAIN)
    await landing.visitor().asked(number="9876500001")

    async def all_three() -> list[Mapping[Step, int]]:
        return [await reached(landing, page, *one) for one in ((), (TRIED, 1), (AGAIN, 2))]

    before = await all_three()
    now = landing.house.clock.advance(3 * 3600)
    await landing.house.store.sweep(now, keep_after=NOW, limit=100)
    after = await all_three()

    asked = {Step.SEEN: 1, Step.GIVEN: 1}
    assert before == after
    assert before[1:] == [dict.fromkeys(Step, 1), asked]
    assert before[0][Step.SEEN] == 2


async def test_other_words_begin_another_experiment_and_the_same_browser_counts_in_each_once(
    landing: Landing,
) -> None:
    page, visitor = await landing.published(PLAIN), landing.visitor()
    for design in (None, TRIED, AGAIN):
        if design is not None:
            await publish(landing, page, design)
        for _ in range(3):
            await visitor.get("/f/diwali")

    counted = [await reached(landing, page, *run) for run in ((), (TRIED, 2), (AGAIN, 3))]

    assert counted == [{Step.SEEN: 1}] * 3


@pytest.mark.parametrize("between", [AGAIN, PLAIN], ids=["other words", "one variant"])
async def test_earlier_words_that_are_published_again_begin_anew(landing: Landing, between: Design) -> None:
    page, visitor = await landing.published(TRIED), landing.visitor()
    await proved(landing, visitor, "9876500000")
    late = landing.visitor()
    asking, code = await late.asked(number="9876500001"), await landing.code()
    await publish(landing, page, between)
    await visitor.get("/f/diwali")

    await publish(landing, page, TRIED)
    begun = await results(landing, page)
    for _ in range(3):
        await visitor.get("/f/diwali")
    await late.type(asking, code)

    assert "A has 0, B has 0." in begun
    assert await reached(landing, page, TRIED, 1) == dict.fromkeys(Step, 2)
    assert await reached(landing, page, TRIED, 3) == {Step.SEEN: 1}
    assert await reached(landing, page) == dict.fromkeys(Step, 2)


async def test_run_goes_on_while_something_else_of_the_page_is_changed(landing: Landing) -> None:
    page, visitor = await landing.published(PLAIN), landing.visitor()
    for n, design in enumerate(
        (TRIED, replace(TRIED, brand="Other"), replace(TRIED, blocks=TRIED.blocks[:-1]))
    ):
        await publish(landing, page, design)
        await visitor.get("/f/diwali")
        await proved(landing, landing.visitor(), f"987650000{n}")

    shown = await results(landing, page)

    counted = await reached(landing, page, TRIED, 2)
    arms = re.search(r"A has (\d+), B has (\d+)\.", shown)
    assert (counted[Step.SEEN], counted[Step.APPROVED]) == (4, 3)
    assert arms is not None
    assert int(arms[1]) + int(arms[2]) == 4


async def test_draft_changes_nothing_of_what_is_compared(landing: Landing) -> None:
    page = await landing.published(TRIED)
    await landing.visitor().get("/f/diwali")
    assert TRIED.experiment is not None
    hurried = replace(TRIED, experiment=replace(TRIED.experiment, planned=5000))
    await landing.store.put_page(replace(await landing.store.page(page.n), draft=encode(hurried)))

    shown = await results(landing, page)

    assert "You planned 100 visitors for each" in shown


async def test_comparison_is_still_there_when_its_second_variant_is_gone(landing: Landing) -> None:
    page = await landing.published(TRIED)
    await landing.visitor().get("/f/diwali")
    await publish(landing, page, PLAIN)
    await landing.visitor().get("/f/diwali")

    shown = await results(landing, page)

    tally = await landing.store.funnel(page.n, experiment_of(TRIED, 1))
    seen = {variant: sum(one.visits for one in tally if one.variant is variant) for variant in Variant}
    assert sum(seen.values()) == 1
    assert f"A has {seen[Variant.A]}, B has {seen[Variant.B]}." in shown


@pytest.mark.parametrize(
    "changed",
    [
        replace(TRIED, blocks=PLAIN.blocks[:1] + PLAIN.blocks[2:]),
        AGAIN,
        replace(TRIED, experiment=replace(TRIED.experiment, planned=200)),  # type: ignore[type-var]
        replace(TRIED, experiment=replace(TRIED.experiment, button={"en": "Take it"})),  # type: ignore[type-var]
    ],
    ids=["headline of A", "headline of B", "planned", "button of B"],
)
def test_experiment_is_what_its_variants_say_and_what_was_planned(changed: Design) -> None:
    assert len({experiment_of(TRIED, 1), experiment_of(changed, 1), experiment_of(TRIED, 2), ""}) == 4
    assert experiment_of(PLAIN, 1) == ""
    assert experiment_of(replace(TRIED, brand="Other", framed_by=("https://a.example",)), 1) == experiment_of(
        TRIED, 1
    )
