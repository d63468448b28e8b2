"""A route that is slow has few of its texts sent twice, and one that answers has its budget back."""

from dastak.core.events import MessageSubmitted
from dastak.delivery.breaker import (
    HEDGE_SHARE_MAX,
    HEDGES_MIN,
    WINDOW_S,
    Answer,
    Breaker,
    answered,
)
from dastak.delivery.hedging import HedgeBudget
from tests.support.samples import some_verification

NOW_S = 1_000_000.0


def took(budget: HedgeBudget, count: int, *, route: str = "north", at_s: float = NOW_S) -> None:
    for n in range(count):
        budget.on_event(some_verification(), MessageSubmitted(int(at_s * 1000), 0, route, str(n), 3))


def hedged(budget: HedgeBudget, asked: int, *, route: str = "north", at_s: float = NOW_S) -> int:
    return sum(budget.take(route, at_s) for _ in range(asked))


def test_route_that_falls_silent_is_hedged_a_few_times() -> None:
    budget = HedgeBudget()

    assert hedged(budget, 1_000) == HEDGES_MIN


def test_budget_is_a_share_of_what_the_route_took() -> None:
    budget = HedgeBudget()
    took(budget, 10_000)

    count = hedged(budget, 10_000)

    assert HEDGE_SHARE_MAX * 10_000 < count <= HEDGE_SHARE_MAX * (10_000 + count) + 1


def test_each_route_has_its_own_budget() -> None:
    budget = HedgeBudget()
    hedged(budget, 1_000)

    assert hedged(budget, 1_000, route="south") == HEDGES_MIN


def test_budget_comes_back_with_time() -> None:
    budget = HedgeBudget()
    hedged(budget, 1_000)

    assert hedged(budget, 1_000, at_s=NOW_S + WINDOW_S - 6) == 0
    assert hedged(budget, 1_000, at_s=NOW_S + WINDOW_S + 5) == HEDGES_MIN


def test_budget_that_is_used_up_has_opened_the_breaker() -> None:
    for sent in (0, 50, 100, 137, 1_000):
        budget, breaker = HedgeBudget(), Breaker()
        took(budget, sent)
        breaker = answered(breaker, Answer.ACCEPTED, tenant=1, now_s=NOW_S, messages=max(1, sent))

        for _ in range(hedged(budget, 2_000)):
            breaker = answered(breaker, Answer.TIMED_OUT, tenant=1, now_s=NOW_S)

        assert breaker.trips, sent
