from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.lockout import (
    CLEAN,
    DAY,
    HOUR,
    LEGACY_WRONG_PER_DAY_MAX,
    WRONG_CONSECUTIVE_MAX,
    WRONG_PER_DAY_MAX,
    WRONG_PER_HOUR_MAX,
    Lock,
    Tally,
    lock,
    matched,
    missed,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Wrong attempts are kept in whole seconds, so a window may be short by less than one.
SECOND = timedelta(seconds=1)


def wrong_at(*instants: datetime) -> Tally:
    tally = CLEAN
    for at in instants:
        tally = missed(tally, now=at)
    return tally


def every(gap: timedelta, count: int) -> list[datetime]:
    return [NOON + n * gap for n in range(count)]


def test_number_without_wrong_attempts_is_open() -> None:
    assert lock(CLEAN, now=NOON) is None


def test_tenth_wrong_attempt_in_an_hour_locks_until_the_first_is_an_hour_old() -> None:
    tally = wrong_at(*every(MINUTE, 9))
    assert lock(tally, now=NOON + 9 * MINUTE) is None

    tally = missed(tally, now=NOON + 9 * MINUTE)

    assert lock(tally, now=NOON + 9 * MINUTE) == Lock("wrong_per_hour", NOON + HOUR)
    assert lock(tally, now=NOON + HOUR - SECOND) is not None
    assert lock(tally, now=NOON + HOUR) is None


def test_twentieth_wrong_attempt_in_a_day_locks_until_the_first_is_a_day_old() -> None:
    tally = wrong_at(*every(HOUR, 20))

    assert lock(tally, now=NOON + 19 * HOUR) == Lock("wrong_per_day", NOON + DAY)
    assert lock(tally, now=NOON + DAY) is None


def test_fifth_wrong_attempt_in_a_day_locks_short_codes_only() -> None:
    tally = wrong_at(*every(MINUTE, 5))

    assert lock(tally, now=NOON + 5 * MINUTE, legacy=True) == Lock("wrong_per_day", NOON + DAY)
    assert lock(tally, now=NOON + 5 * MINUTE) is None


def test_lock_names_the_limit_that_opens_last() -> None:
    """Ten at noon and ten a minute short of a day later: their hour outlasts the day of the first ten."""
    late = NOON + DAY - MINUTE
    tally = wrong_at(*[NOON] * 10, *[late] * 10)

    assert lock(tally, now=late) == Lock("wrong_per_hour", late + HOUR)


def test_hundred_wrong_attempts_in_a_row_lock_until_somebody_unlocks() -> None:
    tally = wrong_at(*every(2 * HOUR, WRONG_CONSECUTIVE_MAX))
    much_later = NOON + 400 * DAY

    assert lock(wrong_at(*every(2 * HOUR, WRONG_CONSECUTIVE_MAX - 1)), now=much_later) is None
    assert lock(tally, now=much_later) == Lock("wrong_consecutive", None)
    assert lock(CLEAN, now=much_later) is None


def test_right_attempt_ends_the_run_and_opens_no_window() -> None:
    tally = matched(wrong_at(*every(MINUTE, 10)))

    assert tally.consecutive == 0
    assert lock(tally, now=NOON + 9 * MINUTE) == Lock("wrong_per_hour", NOON + HOUR)


def test_right_attempt_on_a_clean_number_leaves_it_clean() -> None:
    assert matched(CLEAN) == CLEAN


def test_tally_keeps_no_more_than_the_windows_need() -> None:
    tally = wrong_at(*every(MINUTE, 50))

    assert tally.consecutive == 50
    assert len(tally.wrong_at_s) == WRONG_PER_DAY_MAX
    assert len(missed(tally, now=NOON + 3 * DAY).wrong_at_s) == 1


# Guesses as an attacker makes them: bursts, pauses, and now and then the owner's right code.
guesses = st.lists(
    st.tuples(
        st.sampled_from([timedelta(0), SECOND / 3, MINUTE, 7 * MINUTE, HOUR, 5 * HOUR, DAY - MINUTE, DAY]),
        st.integers(1, 25),
        st.integers(0, 9),
    ),
    max_size=40,
)


def judged(plan: list[tuple[timedelta, int, int]], *, legacy: bool) -> tuple[list[datetime], Tally, datetime]:
    """Let every guess through that no lock stops; return when the wrong ones were, the tally and the time."""
    now, tally, wrong = NOON, CLEAN, []
    for gap, times, right in plan:
        for _ in range(times):
            now += gap
            if lock(tally, now=now, legacy=legacy) is not None:
                continue
            if right == 0:
                tally = matched(tally)
            else:
                tally = missed(tally, now=now)
                wrong.append(now)
    return wrong, tally, now


@given(guesses, st.booleans())
def test_no_window_ever_holds_more_wrong_attempts_than_allowed(
    plan: list[tuple[timedelta, int, int]], legacy: bool
) -> None:
    wrong, _, _ = judged(plan, legacy=legacy)
    per_day = LEGACY_WRONG_PER_DAY_MAX if legacy else WRONG_PER_DAY_MAX

    for allowed, window in ((WRONG_PER_HOUR_MAX, HOUR), (per_day, DAY)):
        for first, too_many in zip(wrong, wrong[allowed:], strict=False):
            assert too_many - first > window - SECOND


@given(guesses, st.booleans())
def test_waiting_for_a_lock_opens_the_number_and_less_does_not(
    plan: list[tuple[timedelta, int, int]], legacy: bool
) -> None:
    _, tally, now = judged(plan, legacy=legacy)
    met = lock(tally, now=now, legacy=legacy)
    if met is None or met.until is None:
        return

    assert met.until > now
    assert lock(tally, now=met.until, legacy=legacy) is None
    assert lock(tally, now=met.until - SECOND / 1000, legacy=legacy) is not None


@given(guesses)
def test_run_of_wrong_attempts_ends_at_a_hundred(plan: list[tuple[timedelta, int, int]]) -> None:
    _, tally, _ = judged(plan, legacy=False)

    assert tally.consecutive <= WRONG_CONSECUTIVE_MAX
    assert list(tally.wrong_at_s) == sorted(tally.wrong_at_s)
    assert all(later >= earlier for earlier, later in pairwise(tally.wrong_at_s))


@pytest.mark.parametrize("legacy", [False, True])
def test_guesses_every_five_minutes_pass_twenty_a_day(legacy: bool) -> None:
    """Right codes in between open nothing."""
    now, tally, wrong = NOON, CLEAN, 0
    while now < NOON + 3 * DAY:
        if lock(tally, now=now, legacy=legacy) is None:
            tally = matched(missed(tally, now=now))
            wrong += 1
        now += 5 * MINUTE

    assert wrong == 3 * (LEGACY_WRONG_PER_DAY_MAX if legacy else WRONG_PER_DAY_MAX)
