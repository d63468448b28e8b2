"""Say in one line what happened to the newest message, from its receipts, and nothing of why.

A receipt approves nothing, and a code that arrives after all counts whatever stands here.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from dastak.core.events import (
    AnyEvent,
    CallNoted,
    MessageDelivered,
    MessageDropped,
    MessageQueued,
    MessageSubmitted,
    MessageUndelivered,
    ReceiptNoted,
)
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel
from dastak.core.verification import State, Verification
from dastak.flows.phone_back import AWAY


class Way(StrEnum):
    """How far the newest message is; `words/*.toml` has a sentence `way_...` for each."""

    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    OFF = "off"
    STUCK = "stuck"
    FAILED = "failed"
    CALLING = "calling"
    CALLED = "called"
    MISSED = "missed"


# The text does not get through, and a call may; everything else but a phone that is away is final.
_STUCK: Final = frozenset({Outcome.HANDSET_BUSY_OR_MEMORY, Outcome.EXPIRED, Outcome.NETWORK_TEMPORARY})
_NOT_THROUGH: Final = frozenset({Way.OFF, Way.STUCK})


def way_of(verification: Verification, timeline: Sequence[AnyEvent]) -> Way | None:
    """Return how far the newest message is; None where nothing is sent.

    Args:
        verification: As it stands.
        timeline: All its events and those of its messages, in order of time.
    """
    if verification.state is State.FAILED:
        return Way.FAILED
    ways: dict[int, Way] = {}
    voice: set[int] = set()
    for event in timeline:
        if isinstance(event, MessageQueued):
            if event.channel == Channel.VOICE:
                voice.add(event.ordinal)
            ways.setdefault(event.ordinal, Way.CALLING if event.ordinal in voice else Way.SENDING)
        else:
            ordinal = getattr(event, "ordinal", None)
            if ordinal in ways:
                ways[ordinal] = _after(event, ways[ordinal], called=ordinal in voice)
    return _newest(ways, _offered(timeline))


def _hindered(outcome: str) -> Way | None:
    """Return which hindrance an outcome is; None where it is none that passes."""
    return Way.OFF if outcome in AWAY else Way.STUCK if outcome in _STUCK else None


def _newest(ways: dict[int, Way], offered: set[int]) -> Way | None:
    if not ways:
        return None
    newest = max(ways)
    way = ways[newest]
    if way is Way.CALLING and newest not in offered:
        # Until it rings, the reason why we call says more.
        return ways[newest - 1] if ways.get(newest - 1) in (*_NOT_THROUGH, Way.FAILED) else way
    if way in (*_NOT_THROUGH, Way.FAILED, Way.MISSED) and Way.DELIVERED in ways.values():
        return Way.DELIVERED
    return way


def _offered(timeline: Sequence[AnyEvent]) -> set[int]:
    """Return the messages that somebody carries or rings with."""
    return {event.ordinal for event in timeline if isinstance(event, MessageSubmitted | CallNoted)}


def _after(event: AnyEvent, way: Way, *, called: bool) -> Way:
    if isinstance(event, MessageDelivered):
        return Way.CALLED if called else Way.DELIVERED
    if isinstance(event, MessageSubmitted):
        return Way.SENT if way is Way.SENDING else way
    if isinstance(event, MessageUndelivered):
        return _hindered(event.outcome) or (Way.MISSED if called else Way.FAILED)
    if isinstance(event, ReceiptNoted):
        return _hindered(event.outcome) or way
    if isinstance(event, MessageDropped):
        return Way.MISSED if called else Way.FAILED
    return way
