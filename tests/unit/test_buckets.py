from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dastak.guard.buckets import US_PER_S, Buckets, Met, Rate, forget_oldest, take

S = US_PER_S
START_US = 1_800_000_000 * S

rates = st.builds(
    Rate,
    count=st.integers(1, 1_000),
    per_s=st.integers(1, 86_400),
    burst=st.none() | st.integers(1, 50),
)


def burst_of(rate: Rate) -> int:
    return rate.count if rate.burst is None else rate.burst


def passes(buckets: Buckets, at_us: int) -> bool:
    return take([(buckets, "key")], at_us) is None


class TokenBucket:
    """The same limit in other words: tokens drip in at an exact rate, up to the burst."""

    def __init__(self, rate: Rate) -> None:
        self._full = Fraction(burst_of(rate))
        self._per_us = Fraction(1, rate.interval_us)
        self._tokens, self._at_us = self._full, 0

    def passes(self, at_us: int) -> bool:
        self._tokens = min(self._full, self._tokens + (at_us - self._at_us) * self._per_us)
        self._at_us = at_us
        allowed = self._tokens >= 1
        self._tokens -= allowed
        return allowed


@given(rates, st.lists(st.integers(0, 400 * S), max_size=60))
def test_bucket_answers_as_exact_token_bucket(rate: Rate, gaps_us: list[int]) -> None:
    buckets, tokens, at_us = Buckets("limit", rate), TokenBucket(rate), START_US
    for gap_us in gaps_us:
        at_us += gap_us
        assert passes(buckets, at_us) == tokens.passes(at_us)


@given(rates, st.integers(0, 30))
def test_eager_key_passes_burst_and_one_per_interval(rate: Rate, intervals: int) -> None:
    assume(burst_of(rate) < 60)
    buckets, passed = Buckets("limit", rate), 0
    for interval in range(intervals + 1):
        at_us = START_US + interval * rate.interval_us
        while passes(buckets, at_us):
            passed += 1
        assert not passes(buckets, at_us + rate.interval_us - 1)

        assert passed == burst_of(rate) + interval


@given(rates, st.lists(st.integers(0, 20 * S), min_size=1, max_size=60))
def test_no_stretch_of_time_passes_more_than_its_share(rate: Rate, gaps_us: list[int]) -> None:
    buckets, at_us, passed_us = Buckets("limit", rate), START_US, []
    for gap_us in gaps_us:
        at_us += gap_us
        if passes(buckets, at_us):
            passed_us.append(at_us)

    for first, from_us in enumerate(passed_us):
        for last, to_us in enumerate(passed_us[first:], start=first):
            assert last - first + 1 <= burst_of(rate) + (to_us - from_us) // rate.interval_us


@given(st.lists(rates, min_size=1, max_size=4), st.lists(st.integers(0, 100 * S), max_size=40))
def test_waiting_as_told_passes_and_a_second_less_does_not(limits: list[Rate], gaps_us: list[int]) -> None:
    every = [(Buckets(str(n), rate), "key") for n, rate in enumerate(limits)]
    at_us = START_US
    for gap_us in gaps_us:
        at_us += gap_us
        met = take(every, at_us)
        if met is None:
            continue
        assert met.retry_after_s >= 1
        assert take(every, at_us + (met.retry_after_s - 1) * S) is not None
        at_us += met.retry_after_s * S
        assert take(every, at_us) is None


@given(st.lists(rates, min_size=2, max_size=4), st.lists(st.integers(0, 100 * S), max_size=40))
def test_all_limits_count_or_none_does(limits: list[Rate], gaps_us: list[int]) -> None:
    every = [(Buckets(str(n), rate), "key") for n, rate in enumerate(limits)]
    at_us = START_US
    for gap_us in gaps_us:
        at_us += gap_us
        before = [dict(buckets.full_at_us) for buckets, _ in every]
        met = take(every, at_us)
        after = [dict(buckets.full_at_us) for buckets, _ in every]
        moved = [was != now for was, now in zip(before, after, strict=True)]

        assert all(moved) if met is None else not any(moved)


def test_refusal_names_limit_with_longest_wait() -> None:
    soon, late = Buckets("soon", Rate(count=1, per_s=5)), Buckets("late", Rate(count=1, per_s=90))
    take([(soon, 1), (late, 1)], START_US)

    met = take([(soon, 1), (late, 1)], START_US + S)

    assert met == Met("late", 89)


def test_keys_do_not_count_for_one_another() -> None:
    buckets = Buckets("limit", Rate(count=1, per_s=60))

    met = [take([(buckets, key)], START_US) for key in ("a", "b", "a")]

    assert met == [None, None, Met("limit", 60)]


def test_wait_of_a_fraction_is_rounded_up() -> None:
    buckets = Buckets("limit", Rate(count=50, per_s=1, burst=1))
    passes(buckets, START_US)

    assert take([(buckets, "key")], START_US + 1) == Met("limit", 1)


def test_interval_is_never_rounded_down() -> None:
    assert Rate(count=3, per_s=1).interval_us == 333_334


@pytest.mark.parametrize("wrong", [{"count": 0}, {"per_s": 0}, {"burst": 0}, {"count": -1}])
def test_rate_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rate(**{"count": 1, "per_s": 1, **wrong})


def test_sweep_forgets_full_buckets_only_and_looks_at_few() -> None:
    buckets = Buckets("limit", Rate(count=1, per_s=10))
    for number in range(100):
        buckets.spend(number, START_US + (number % 2) * 5 * S)

    left = []
    for _ in range(5):
        buckets.sweep(START_US + 10 * S, looks_max=20)
        left.append(len(buckets.full_at_us))

    assert left == [90, 80, 70, 60, 50]
    assert all(number % 2 for number in buckets.full_at_us)


def test_sweep_survives_buckets_made_and_gone_meanwhile() -> None:
    buckets = Buckets("limit", Rate(count=1, per_s=10))
    for number in range(4):
        buckets.spend(number, START_US)
    buckets.sweep(START_US, looks_max=1)
    del buckets.full_at_us[0]
    buckets.spend(9, START_US)
    for _ in range(4):
        buckets.sweep(START_US + 10 * S, looks_max=2)

    assert buckets.full_at_us == {}


def test_forget_oldest_keeps_the_newest() -> None:
    entries = dict.fromkeys(range(10), 0)

    forget_oldest(entries, keep=3)

    assert list(entries) == [7, 8, 9]
