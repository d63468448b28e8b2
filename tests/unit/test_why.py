"""The last word on the newest message is the verdict, with the carrier's own code beside it."""

from typing import Any

import pytest

from dastak.commands.why import judge

STARTED = {"type": "started", "channel": "sms"}
QUEUED = {"type": "queued", "ordinal": 0, "channel": "sms", "segments": 1}
SUBMITTED = {"type": "submitted", "ordinal": 0, "route": "north", "carrier_ref": "a1", "latency_ms": 3}

REFUSED = {"type": "refused", "ordinal": 0, "route": "north", "status": "0x412", "outcome": "throttled"}
EVIDENCE = "stat:REJECTD err:633"
UNDELIVERED = {"type": "undelivered", "ordinal": 0, "outcome": "dlt_template", "evidence": EVIDENCE}


@pytest.mark.parametrize(
    ("last", "outcome", "raw", "next_"),
    [
        (
            UNDELIVERED,
            "dlt_template",
            "stat:REJECTD err:633",
            "registered wording",
        ),
        (
            REFUSED,
            "throttled",
            "0x412",
            "rate_per_s",
        ),
        (
            {"type": "receipt", "ordinal": 0, "outcome": "enroute", "evidence": "stat:ENROUTE"},
            "enroute",
            "stat:ENROUTE",
            "wait",
        ),
        (
            {"type": "delivered", "ordinal": 0, "evidence": "stat:DELIVRD"},
            "delivered",
            "stat:DELIVRD",
            "another phone",
        ),
        ({"type": "overdue", "ordinal": 0, "route": "north", "waited_ms": 8000}, "", "", "carrier_ref"),
    ],
)
def test_last_event_decides(last: dict[str, Any], outcome: str, raw: str, next_: str) -> None:
    verdict = judge([STARTED, QUEUED, SUBMITTED, last, {"type": "fallback", "ordinal": 0, "cause": "x"}])

    assert (verdict.last, verdict.outcome, verdict.raw) == (last["type"], outcome, raw)
    assert verdict.route == "north"
    assert next_ in verdict.next


def test_newest_message_decides_even_if_an_older_one_is_told_of_later() -> None:
    late = {"type": "undelivered", "ordinal": 0, "outcome": "expired", "evidence": "stat:EXPIRED"}
    verdict = judge([STARTED, QUEUED, SUBMITTED, QUEUED | {"ordinal": 1}, late])

    assert (verdict.last, verdict.route) == ("queued", "")


def test_timeline_without_a_message_says_so() -> None:
    assert judge([STARTED]).means == "no message was made"


def test_call_that_was_heard_is_no_text_on_a_phone() -> None:
    spoken = {"type": "delivered", "ordinal": 1, "evidence": "call:our BYE"}
    verdict = judge([STARTED, QUEUED, SUBMITTED, UNDELIVERED, QUEUED | {"ordinal": 1}, spoken])

    assert verdict.means.startswith("the call spoke the whole code")
    assert "somebody else answered" in verdict.next


CALLED = QUEUED | {"ordinal": 1, "channel": "voice"}


@pytest.mark.parametrize(
    ("last", "means", "next_"),
    [
        ({"type": "undelivered", "outcome": "absent_subscriber", "evidence": "call:SIP 480, cause 20"},
         "the trunk says that the phone is off", "not called again by itself"),
        ({"type": "undelivered", "outcome": "busy", "evidence": "call:SIP 486"},
         "the trunk finds the line busy", "call again"),
        ({"type": "undelivered", "outcome": "route_config", "evidence": "SIP 403"},
         "the trunk does not take our calls", "carrier test"),
        ({"type": "submitted", "route": "voice", "carrier_ref": "1", "latency_ms": 3},
         "the phone rings", "end of the call"),
        ({"type": "overdue", "route": "voice", "waited_ms": 150_000},
         "the call was begun and nobody told its end", "at its worst"),
        ({"type": "dropped", "cause": "call_no_price", "why": "no row"},
         "the trunk has a price list, and no row", "add the row"),
        ({"type": "dropped", "cause": "call_limit", "why": "too often"},
         "it was not made; its line says why", "send a text"),
        ({"type": "refused", "route": "", "status": "broken", "outcome": "unknown"},
         "writing it failed", "tried again"),
        ({"type": "dropped", "cause": "broken", "why": "KeyError, 3 times"},
         "it is a dead letter", "in the log"),
    ],
)  # fmt: skip
def test_call_is_told_in_words_of_calls(last: dict[str, Any], means: str, next_: str) -> None:
    verdict = judge([STARTED, QUEUED, SUBMITTED, UNDELIVERED, CALLED, last | {"ordinal": 1}])

    assert verdict.means.startswith(means)
    assert next_ in verdict.next
