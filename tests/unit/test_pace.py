"""The rate of one bind, by an advancing clock."""

from hypothesis import given
from hypothesis import strategies as st

from dastak.sms.pace import Pace


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
