"""When the next quarter of the calls sends: on time, caught up, or afresh after a standstill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.media import CAUGHT_UP_S, TICK_S, next_due_s


def test_deadlines_lie_a_tick_apart_however_late_each_is_met() -> None:
    due_s = 100.0
    for late_s in (0.0, 0.004, 0.1, 0.0):
        due_s, afresh = next_due_s(due_s, due_s + late_s)
        assert not afresh

    assert due_s == pytest.approx(100.0 + 4 * TICK_S)


def test_after_a_standstill_time_starts_afresh() -> None:
    now_s = 100.0 + CAUGHT_UP_S + 2 * TICK_S

    assert next_due_s(100.0, now_s) == (now_s + TICK_S, True)


@given(st.floats(0, 1e6), st.floats(-1, 10))
def test_no_deadline_is_ever_further_behind_than_what_is_caught_up(due_s: float, late_s: float) -> None:
    now_s = due_s + late_s

    following_s, afresh = next_due_s(due_s, now_s)

    assert now_s - following_s <= CAUGHT_UP_S
    assert following_s > due_s
    assert afresh == (now_s - (due_s + TICK_S) > CAUGHT_UP_S)
