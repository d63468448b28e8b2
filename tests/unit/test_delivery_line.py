"""How far a message is, as the code page tells it, from every kind of timeline."""

import pytest
from msgspec.structs import replace

from dastak.core.events import (
    AnyEvent,
    CallNoted,
    MessageDelivered,
    MessageDropped,
    MessageQueued,
    MessageRefused,
    MessageSubmitted,
    MessageUndelivered,
    ReceiptNoted,
)
from dastak.core.verification import State
from dastak.web.code.delivery_line import Way, way_of
from tests.support.samples import some_verification


def text(n: int) -> AnyEvent:
    return MessageQueued(0, n, "sms", 1)


def call(n: int) -> AnyEvent:
    return MessageQueued(0, n, "voice", 0)


def taken(n: int) -> AnyEvent:
    return MessageSubmitted(0, n, "north", "ref", 1)


def arrived(n: int) -> AnyEvent:
    return MessageDelivered(0, n, "DELIVRD")


def lost(n: int, outcome: str) -> AnyEvent:
    return MessageUndelivered(0, n, outcome, "")


@pytest.mark.parametrize(
    ("timeline", "way"),
    [
        ((), None),
        ((text(0),), Way.SENDING),
        ((text(0), MessageRefused(0, 0, "north", "x", "throttled")), Way.SENDING),
        ((text(0), taken(0)), Way.SENT),
        ((text(0), taken(0), arrived(0)), Way.DELIVERED),
        ((text(0), taken(0), ReceiptNoted(0, 0, "handset_off", "")), Way.OFF),
        ((text(0), taken(0), ReceiptNoted(0, 0, "enroute", "")), Way.SENT),
        ((text(0), taken(0), lost(0, "absent_subscriber")), Way.OFF),
        ((text(0), taken(0), lost(0, "handset_busy_or_memory")), Way.STUCK),
        ((text(0), taken(0), ReceiptNoted(0, 0, "network_temporary", "")), Way.STUCK),
        ((text(0), taken(0), lost(0, "expired"), call(1)), Way.STUCK),
        ((text(0), taken(0), lost(0, "barred_or_dnd")), Way.FAILED),
        ((text(0), MessageDropped(0, 0, "late")), Way.FAILED),
        ((text(0), taken(0), lost(0, "absent_subscriber"), text(1)), Way.SENDING),
        ((text(0), taken(0), lost(0, "absent_subscriber"), call(1)), Way.OFF),
        ((text(0), taken(0), lost(0, "dlt_template"), call(1), CallNoted(0, 1, "ringing")), Way.CALLING),
        ((text(0), lost(0, "dlt_template"), call(1), taken(1), arrived(1)), Way.CALLED),
        ((text(0), lost(0, "dlt_template"), call(1), taken(1), lost(1, "declined")), Way.MISSED),
        ((text(0), lost(0, "dlt_template"), call(1), lost(1, "absent_subscriber")), Way.OFF),
        ((text(0), taken(0), arrived(0), call(1), taken(1), lost(1, "busy")), Way.DELIVERED),
        ((text(0), taken(0), lost(0, "expired"), arrived(0)), Way.DELIVERED),
        ((call(0),), Way.CALLING),
    ],
)
def test_newest_message_decides_what_is_told(timeline: tuple[AnyEvent, ...], way: Way | None) -> None:
    assert way_of(some_verification(), timeline) is way


def test_number_that_cannot_be_reached_is_told_so() -> None:
    gone = replace(some_verification(), state=State.FAILED)

    assert way_of(gone, (text(0), taken(0))) is Way.FAILED
