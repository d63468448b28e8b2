"""The rate of one bind, by an advancing clock."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dastak.core.pace import Pace


def sent_in(pace: Pace, begin: float, seconds: float, step: float = 0.01) -> int:
    return sum(pace.take(begin + n * step) for n in range(1, round(seconds / step) + 1))


def test_pace_keeps_the_rate() -> None:
    assert 98 <= sent_in(Pace(10.0, 0.0), 0.0, 10.0) <= 103


def test_pace_halves_on_a_throttle_and_once_for_a_burst_of_them() -> None:
    pace = Pace(100.0, 0.0)

    for n in range(5):
        pace.throttled(1.0 + n / 100)

    assert pace.rate_per_s == 50.0


def test_pace_comes_back_to_its_ceiling_and_not_over_it() -> None:
    pace = Pace(100.0, 0.0)
    pace.take(1.0)
    pace.throttled(1.0)

    sent_in(pace, 1.0, 25.0)

    assert pace.rate_per_s == 100.0


@given(
    st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60),
    st.floats(0.1, 1000),
)
def test_pace_never_sends_more_than_rate_and_burst(
    steps: list[tuple[float, bool]], rate_per_s: float
) -> None:
    pace, now, sent = Pace(rate_per_s, 0.0), 0.0, 0
    for wait_s, throttled in steps:
        now += wait_s
        sent += pace.take(now)
        if throttled:
            pace.throttled(now)

    assert sent <= 1 + rate_per_s * now + max(1.0, rate_per_s * 0.2)
    assert 0 < pace.rate_per_s <= rate_per_s


def test_pace_without_a_contract_is_free_until_it_is_throttled() -> None:
    pace = Pace(None, 0.0)

    assert sent_in(pace, 0.0, 1.0, step=0.001) == 1000
    assert pace.rate_per_s is None


def test_throttle_halves_what_is_sent_and_not_what_is_allowed() -> None:
    free, contracted = Pace(None, 0.0), Pace(1000.0, 0.0)
    for pace in (free, contracted):
        sent_in(pace, 0.0, 4.0, step=0.05)

        pace.throttled(4.0)

        assert pace.rate_per_s is not None
        assert 9.0 <= pace.rate_per_s <= 10.5  # of 20 a second


def test_burst_after_silence_is_not_taken_for_a_stream() -> None:
    pace = Pace(None, 0.0)
    sent_in(pace, 60.0, 0.05, step=0.001)

    pace.throttled(60.06)

    assert pace.rate_per_s == 25.0


def test_pace_without_a_contract_rises_by_the_same_steps_and_is_free_again() -> None:
    pace = Pace(None, 0.0)
    sent_in(pace, 0.0, 2.0, step=0.02)
    pace.throttled(2.0)
    rates = []
    for second in range(2, 12):
        sent_in(pace, float(second), 1.0)
        rates.append(pace.rate_per_s or 0.0)

    rises = [after - before for before, after in pairwise(rates)]
    assert all(2.3 < rise < 2.7 for rise in rises)  # a twentieth of fifty a second
    sent_in(pace, 12.0, 25.0)
    assert pace.rate_per_s is None


def test_rate_never_falls_so_low_that_a_message_waits_in_vain() -> None:
    pace = Pace(None, 0.0)

    for second in range(1, 20):
        pace.take(float(second))
        pace.throttled(float(second))

    assert pace.rate_per_s == 1.0


def test_looking_takes_no_token() -> None:
    pace = Pace(1.0, 0.0)

    assert all(pace.open(0.0) for _ in range(3))
    assert pace.take(0.0)
    assert not pace.open(0.5)
    assert pace.open(1.0)


def test_two_sides_settle_near_what_the_carrier_allows() -> None:
    carrier, pace = Pace(50.0, 0.0), Pace(None, 0.0)
    taken = refused = 0
    for n in range(1, 30_000):  # a hundred a second wanted, for five minutes
        now = n / 100
        if not pace.take(now):
            continue
        if carrier.take(now):
            taken += 1
        else:
            refused += 1
            pace.throttled(now)

    assert taken >= 0.6 * 50 * 300
    assert refused <= 0.1 * taken
