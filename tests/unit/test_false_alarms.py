"""Honest routes are marked less than once in ten thousand windows: computed exactly, not sampled.

Of an honest route and of the others the same share of codes is typed, so how many of a window are typed
and how many of the others' texts are both binomial. The rule says for each pair of figures whether it marks;
summed over the chances of all pairs that is the rate. Two windows in a row are judged by the same texts of
the others here, which is the worst case: an unlucky estimate is then unlucky twice.
"""

from functools import cache
from math import comb

import pytest

from dastak.delivery.false_receipts import (
    BLOCK,
    OTHERS_MIN,
    WHOLE_SECONDS_MIN,
    WHOLE_SECONDS_S,
    FalseReceipts,
)
from dastak.delivery.networks import Place
from tests.support.scripted_traffic import Script, Traffic

FALSE_ALARMS_MAX = 1e-4
NEVER = 1e-9
INDIA = Place("IN")


def is_marked(others_typed: int, others: int, *typed: int) -> bool:
    """Say whether windows with so many typed codes each make a route untrusted, beside others with theirs."""
    suspicion = FalseReceipts()
    for route, of, good in (("other", others, others_typed), *(("honest", BLOCK, k) for k in typed)):
        for n in range(of):
            suspicion.note_trial(route, INDIA, 1, entered=n < good, now_s=0.0)
    return "honest" in suspicion.marks


@cache
def most_marked(others_typed: int, others: int, windows: int) -> int:
    """Return with how many typed codes a window is still bad enough; -1 if with none."""
    below, above = -1, BLOCK + 1
    while above - below > 1:
        middle = (below + above) // 2
        if is_marked(others_typed, others, *[middle] * windows):
            below = middle
        else:
            above = middle
    return below


def binomial(k: int, n: int, p: float) -> float:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def at_most(k: int, n: int, p: float) -> float:
    return sum(binomial(i, n, p) for i in range(k + 1))


def false_alarms(p: float, others: int) -> float:
    """Return how many of its windows make an honest route untrusted, at most."""
    rate = 0.0
    for good in range(others + 1):
        chance = binomial(good, others, p)
        # What hardly ever happens need not be looked at: it counts as if it always marked.
        if chance > NEVER:
            once = at_most(most_marked(good, others, 1), BLOCK, p)
            twice = at_most(most_marked(good, others, 2), BLOCK, p) ** 2
            chance *= min(1.0, once + twice)
        rate += chance
    return rate


@pytest.mark.parametrize("others", [OTHERS_MIN, 200])
@pytest.mark.parametrize("share_typed", [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99])
def test_honest_route_is_marked_less_than_once_in_ten_thousand_windows(
    share_typed: float, others: int
) -> None:
    assert false_alarms(share_typed, others) < FALSE_ALARMS_MAX


@pytest.mark.parametrize("others", [OTHERS_MIN, 200])
def test_lying_route_is_marked_in_most_of_its_windows(others: int) -> None:
    good = round(0.85 * others)
    found = at_most(most_marked(good, others, 2), BLOCK, 0.85 * 0.65) ** 2

    # The same rule that spares the honest must find who lets 30 points of codes vanish.
    assert found > 0.5


def test_receipts_after_whole_seconds_do_not_come_so_by_chance() -> None:
    by_chance = 2 * WHOLE_SECONDS_S
    tail = sum(binomial(k, BLOCK, by_chance) for k in range(WHOLE_SECONDS_MIN, BLOCK + 1))

    assert tail < FALSE_ALARMS_MAX


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_honest_routes_of_unlike_speed_and_reach_stay_believed(seed: int) -> None:
    scripts = (
        Script("quick", latency_s=1.9),
        Script("slow", latency_s=6.0),
        Script("poor", reaches=0.8),
    )
    traffic = Traffic(*scripts, seed=seed)

    traffic.run(3600, per_s=2.0)

    assert len(traffic.offers) > 100 * BLOCK
    assert traffic.health.marks() == {}
