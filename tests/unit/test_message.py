"""The state machine of a message: receipts late, twice, shuffled and contradicting."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.events import MessageDelivered, MessageRefused, MessageUndelivered, ReceiptNoted
from dastak.core.message import (
    MESSAGE_TRANSITIONS,
    CarrierRef,
    Message,
    MessageKey,
    MessageState,
    Receipt,
    Report,
    dropped,
    refused,
    settle,
    submitted,
)
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.policy import Channel

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
CARRIER = CarrierRef("sim", "7")
QUEUED = Message(key=MessageKey(bytes(16), 0), channel=Channel.SMS, generation=0, segments=1, due_at=NOW)
SUBMITTED = submitted(QUEUED, CARRIER, latency_ms=3, now=NOW).message


def receipt(outcome: Outcome) -> Receipt:
    return Receipt(CARRIER, outcome, "stat:X err:000")


def test_table_never_leaves_delivered_or_expired() -> None:
    assert not {state for state, _ in MESSAGE_TRANSITIONS} & {MessageState.DELIVERED, MessageState.EXPIRED}
    assert {report for _, report in MESSAGE_TRANSITIONS} == set(Report)


def test_submitted_message_is_not_due_any_more() -> None:
    assert (SUBMITTED.state, SUBMITTED.carrier, SUBMITTED.due_at) == (MessageState.SUBMITTED, CARRIER, None)


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_does_what_its_advice_says(outcome: Outcome) -> None:
    step = settle(SUBMITTED, receipt(outcome), now=NOW)

    if outcome is Outcome.DELIVERED:
        expected = (MessageState.DELIVERED, MessageDelivered)
    elif OUTCOMES[outcome].terminal:
        expected = (MessageState.UNDELIVERED, MessageUndelivered)
    else:
        expected = (MessageState.SUBMITTED, ReceiptNoted)
    assert (step.message.state, type(step.events[0])) == expected


@given(st.lists(st.sampled_from(Outcome), max_size=12))
def test_delivered_wins_in_whatever_order_receipts_come(outcomes: list[Outcome]) -> None:
    message, told = SUBMITTED, []
    for outcome in outcomes:
        step = settle(message, receipt(outcome), now=NOW)
        message = step.message
        told += step.events

    assert (message.state is MessageState.DELIVERED) == (Outcome.DELIVERED in outcomes)
    assert sum(isinstance(event, MessageDelivered) for event in told) <= 1
    assert sum(isinstance(event, MessageUndelivered) for event in told) <= 1


def test_refused_message_waits_or_gives_up() -> None:
    no = MessageRefused(1, 0, "sim", "ESME_RTHROTTLED", Outcome.THROTTLED)

    waiting = refused(QUEUED, (no,), again_at=NOW)
    given_up = refused(QUEUED, (no,), again_at=None)

    assert (waiting.message.state, waiting.message.tries, waiting.message.due_at) == (
        MessageState.QUEUED,
        1,
        NOW,
    )
    assert given_up.message.state is MessageState.UNDELIVERED
    assert given_up.events == (no, MessageUndelivered(1, 0, Outcome.THROTTLED, "ESME_RTHROTTLED"))


def test_message_nobody_waits_for_is_dropped_but_never_a_submitted_one() -> None:
    assert dropped(QUEUED, "approved", now=NOW).message.state is MessageState.EXPIRED
    assert dropped(SUBMITTED, "approved", now=NOW).message == SUBMITTED
