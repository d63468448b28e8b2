"""The pace of a queue is counted while there is one, and whom it put out is not forgotten."""

import pytest

from dastak.core.node import LEASE_S
from dastak.delivery.lane_pace import EARLY_LEFT_MIN, PACE_S, SURE_AFTER_S, LanePace

BEGAN_S = 1_000.0


def test_pace_is_not_known_at_once() -> None:
    pace = LanePace(BEGAN_S)
    for _ in range(EARLY_LEFT_MIN - 1):
        pace.left(BEGAN_S)

    assert pace.per_s(BEGAN_S + SURE_AFTER_S - 0.1) is None
    assert pace.per_s(BEGAN_S + SURE_AFTER_S) == (EARLY_LEFT_MIN - 1) / SURE_AFTER_S


def test_pace_is_known_after_a_second_where_many_left() -> None:
    pace = LanePace(BEGAN_S)
    for _ in range(EARLY_LEFT_MIN):
        pace.left(BEGAN_S + 0.5)

    assert pace.per_s(BEGAN_S + 0.9) is None
    assert pace.per_s(BEGAN_S + 1) == EARLY_LEFT_MIN


def test_pace_of_a_queue_that_stands_is_at_most_one_in_the_time_it_was_watched() -> None:
    pace = LanePace(BEGAN_S)

    assert pace.per_s(BEGAN_S + SURE_AFTER_S) == 1 / SURE_AFTER_S
    assert pace.per_s(BEGAN_S + 100 * PACE_S) == 1 / PACE_S


@pytest.mark.parametrize("after_s", [PACE_S, 1.5 * PACE_S, 3 * PACE_S])
def test_pace_follows_what_leaves_of_late(after_s: float) -> None:
    pace = LanePace(BEGAN_S)
    for tenth in range(int(20 * PACE_S)):
        pace.left(BEGAN_S + tenth / 10)
    now_s = BEGAN_S + 2 * PACE_S
    for tenth in range(int(after_s * 10)):
        now_s = BEGAN_S + 2 * PACE_S + tenth / 10
        for _ in range(5):
            pace.left(now_s)

    assert pace.per_s(now_s) == pytest.approx(50, rel=0.02)


def test_those_put_out_are_counted_for_a_lease_each() -> None:
    pace = LanePace(BEGAN_S)
    for second in range(LEASE_S):
        pace.put_out(1, BEGAN_S + second)
        pace.put_out(2, BEGAN_S + second)
        pace.put_out(2, BEGAN_S + second)

    assert pace.outside(BEGAN_S + LEASE_S - 1) == {1: LEASE_S, 2: 2 * LEASE_S}
    assert pace.outside(BEGAN_S + 1.5 * LEASE_S) == {1: LEASE_S / 2, 2: LEASE_S}
    assert pace.outside(BEGAN_S + 3 * LEASE_S) == {1: 0, 2: 0}
