"""The hours of calls that nobody asked for, by one clock, around midnight and around a change of it."""

from datetime import UTC, datetime

import pytest

from dastak.core.call_rules import CallRules, check_call_rules, closed_now
from dastak.core.errors import InvalidRequest

DAY = "08:00-21:00 Asia/Kolkata"
NIGHT = "21:30-06:00 Asia/Kolkata"
BERLIN = "09:00-24:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("hours", "utc", "is_open"),
    [
        ("", "03:00", True),
        # India is five hours and a half ahead.
        (DAY, "02:29", False),
        (DAY, "02:30", True),
        (DAY, "15:29", True),
        (DAY, "15:30", False),
        (NIGHT, "15:59", False),
        (NIGHT, "16:00", True),
        (NIGHT, "20:00", True),
        (NIGHT, "00:29", True),
        (NIGHT, "00:30", False),
        (BERLIN, "22:59", True),
        (BERLIN, "23:00", False),
    ],
)
def test_calls_are_made_from_the_first_minute_to_before_the_last(hours: str, utc: str, is_open: bool) -> None:
    now = datetime.fromisoformat(f"2026-11-23T{utc}:00").replace(tzinfo=UTC)

    assert (closed_now(hours, now) == "") is is_open


def test_summer_time_moves_the_hours() -> None:
    early = "08:00-21:00 Europe/Berlin"

    assert closed_now(early, datetime(2026, 7, 1, 6, 30, tzinfo=UTC)) == ""
    assert closed_now(early, datetime(2026, 12, 1, 6, 30, tzinfo=UTC)) != ""


def test_reason_tells_the_time_there_and_the_hours() -> None:
    told = closed_now(DAY, datetime(2026, 11, 23, 17, 44, tzinfo=UTC))

    assert told == (
        "it is 23:14 in Asia/Kolkata, and calls that nobody asked for are made 08:00-21:00 Asia/Kolkata"
    )


@pytest.mark.parametrize(
    "hours",
    [
        "08:00-21:00",
        "8:00-21:00 Asia/Kolkata",
        "08:00-21:00  Asia/Kolkata",
        "08:00-25:00 Asia/Kolkata",
        "08:00-08:00 Asia/Kolkata",
        "00:00-24:00 Asia/Kolkata",
        "08:00-21:00 Asia/Nowhere",
        "08:00-21:00 Asia/../../etc/passwd",
        "08:00-21:00 Asia/",
        "٠٨:٠٠-21:00 Asia/Kolkata",
        "08:00-21:00 Asia/Kolkata\n",
    ],
)
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(InvalidRequest, match="hours") as refused:
        check_call_rules(CallRules(hours=hours))

    assert refused.value.field == "calls"
    assert closed_now(hours, datetime(2026, 11, 23, tzinfo=UTC)) != ""
