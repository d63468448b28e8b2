"""What became of a call: the tables, which of them wins, and a trunk's own rows."""

import pytest

from dastak.core.outcome import Outcome
from dastak.voice.sip.call_outcomes import (
    BY_CAUSE,
    BY_STATUS,
    OUTCOME_OF,
    OVERRIDES_MAX,
    VAGUE_STATUSES,
    CallOutcome,
    call_outcome,
    read_overrides,
)


def test_every_outcome_means_one_that_all_messages_know() -> None:
    assert set(OUTCOME_OF) == set(CallOutcome)
    assert set(BY_STATUS) > VAGUE_STATUSES
    # Whoever spoke the code says so, and nobody else.
    assert [call for call, outcome in OUTCOME_OF.items() if outcome is Outcome.DELIVERED] == [
        CallOutcome.COMPLETED
    ]


def test_no_status_is_a_delivery() -> None:
    said = {*BY_STATUS.values(), *BY_CAUSE.values()}

    assert CallOutcome.COMPLETED not in said
    assert not said & {CallOutcome.NO_HUMAN, CallOutcome.REMOTE_HANGUP, CallOutcome.MAX_DURATION}


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        (486, 17, CallOutcome.BUSY),
        (600, 17, CallOutcome.BUSY),
        (603, 21, CallOutcome.DECLINED),
        (607, None, CallOutcome.DECLINED),
        (404, 1, CallOutcome.INVALID_NUMBER),
        (484, 28, CallOutcome.INVALID_NUMBER),
        (480, None, CallOutcome.NO_ANSWER),
        (480, 20, CallOutcome.ABSENT),
        (480, 18, CallOutcome.NO_ANSWER),
        (487, None, CallOutcome.NO_ANSWER),
        (503, 34, CallOutcome.TRUNK_DOWN),
        (503, 17, CallOutcome.BUSY),
        (503, 99, CallOutcome.TRUNK_DOWN),
        (408, None, CallOutcome.UNREACHABLE),
        (403, 21, CallOutcome.FORBIDDEN),
        (486, 20, CallOutcome.BUSY),
        (488, None, CallOutcome.CODEC),
        (407, None, CallOutcome.AUTH_FAILED),
        (420, None, CallOutcome.FAILED),
        (420, 17, CallOutcome.BUSY),
        (420, 16, CallOutcome.FAILED),
    ],
)
def test_outcome_is_named_by_status_and_cause(status: int, cause: int | None, outcome: CallOutcome) -> None:
    assert call_outcome(status, cause) is outcome


def test_more_particular_row_of_a_trunk_wins() -> None:
    own = read_overrides({"503/17": "trunk_down", "480/*": "absent", "*/31": "no_answer", "480/31": "failed"})

    assert call_outcome(503, 17, own) is CallOutcome.TRUNK_DOWN
    assert call_outcome(503, 20, own) is CallOutcome.ABSENT
    assert call_outcome(480, 18, own) is CallOutcome.ABSENT
    assert call_outcome(480, 31, own) is CallOutcome.FAILED
    assert call_outcome(503, 31, own) is CallOutcome.NO_ANSWER
    assert call_outcome(503, None, own) is CallOutcome.TRUNK_DOWN


@pytest.mark.parametrize(
    "settings",
    [
        {"503": "busy"},
        {"*/*": "busy"},
        {"503/999": "busy"},
        {"99/17": "busy"},
        {"503/17": "engaged"},
        {f"{status}/*": "busy" for status in range(100, 101 + OVERRIDES_MAX)},
    ],
)
def test_rows_that_mean_nothing_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"outcome|pair"):
        read_overrides(settings)
