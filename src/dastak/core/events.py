"""Facts that happened, one small record each; timelines, metrics, logs and webhooks are views of them.

1. An event is written in the same commit as the change it tells of, and never altered.
2. It never holds a code, a whole number or a credential.
3. Its stored form is one JSON array a line, tag first, so that a timeline can be read in any SQL shell.
"""

from typing import Final

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True):
    """What all events have.

    Attributes:
        at_ms: When, in milliseconds since 1970 UTC.
    """

    at_ms: int


class VerificationStarted(Event, frozen=True, tag="started"):
    """A verification began; `channel` is what was asked for."""

    channel: str


class MatchAsked(Event, frozen=True, tag="match_asked"):
    """No code is spoken in its calls: the page shows a number, and the person types it into the phone."""


class MatchEnded(Event, frozen=True, tag="match_ended"):
    """A text was asked for instead, so that its code counts from now on and the number does not."""


class AttemptMissed(Event, frozen=True, tag="missed"):
    """A code, or the number of the page, was typed and was not the right one."""

    reason: str
    attempts_remaining: int


class NumberLocked(Event, frozen=True, tag="locked"):
    """This wrong attempt met a limit of its number; checks are refused until it opens."""

    limit: str


class VerificationApproved(Event, frozen=True, tag="approved"):
    """The right code, or the number of the page, was typed in time."""


class VerificationExhausted(Event, frozen=True, tag="exhausted"):
    """The last attempt was wrong."""


class VerificationExpired(Event, frozen=True, tag="expired"):
    """Its time ran out."""


class VerificationCanceled(Event, frozen=True, tag="canceled"):
    """It was called off: `canceled`, `superseded`, `transaction_changed`, or `reported` by the person."""

    cause: str


class VerificationFailed(Event, frozen=True, tag="failed"):
    """No way to this number is left; `cause` is the delivery outcome."""

    cause: str


class MessageQueued(Event, frozen=True, tag="queued"):
    """A text or call was written down to be sent."""

    ordinal: int
    channel: str
    segments: int


class MessageRefused(Event, frozen=True, tag="refused"):
    """A route did not take the message, or did not answer in time; `why` is the rule of what comes next."""

    ordinal: int
    route: str
    status: str
    outcome: str
    why: str = ""


class MessageSubmitted(Event, frozen=True, tag="submitted"):
    """A carrier took the message under its own id."""

    ordinal: int
    route: str
    carrier_ref: str
    latency_ms: int


class MessageDelivered(Event, frozen=True, tag="delivered"):
    """The carrier reports the message on the phone."""

    ordinal: int
    evidence: str


class MessageUndelivered(Event, frozen=True, tag="undelivered"):
    """The message will not arrive: its normalised outcome, and the carrier's own words."""

    ordinal: int
    outcome: str
    evidence: str


class MessageDropped(Event, frozen=True, tag="dropped"):
    """The message was not sent: its code was no longer wanted, or it would come too `late`, says `why`."""

    ordinal: int
    cause: str
    why: str = ""


class ReceiptNoted(Event, frozen=True, tag="receipt"):
    """A receipt that settles nothing yet: on its way, a state not known, or delivered and not believed."""

    ordinal: int
    outcome: str
    evidence: str


class ReceiptOverdue(Event, frozen=True, tag="overdue"):
    """The carrier took the message and said nothing more of it, for so long that the next way is due."""

    ordinal: int
    route: str
    waited_ms: int


class FallbackDue(Event, frozen=True, tag="fallback"):
    """A message did not arrive and the next way is due: message `followed_by`, or none; `why` is the rule."""

    ordinal: int
    channel: str
    cause: str
    followed_by: int | None = None
    why: str = ""


class PageOpened(Event, frozen=True, tag="page_opened"):
    """A browser opened the page that asks for the code; no other one can from now on."""


class ReplyHeard(Event, frozen=True, tag="reply"):
    """The person wrote back: `stop`, `start`, `help` or `other`; the list of replies has the words."""

    kind: str
    route: str


class PhoneReturned(Event, frozen=True, tag="returned"):
    """The phone that was away is back, so its text goes out again as message `followed_by`, once."""

    ordinal: int
    route: str
    followed_by: int


class CallNoted(Event, frozen=True, tag="call"):
    """A step of a call, such as `ringing` or `answered`; `detail` is the word of the trunk."""

    ordinal: int
    step: str
    detail: str = ""


class CallPriced(Event, frozen=True, tag="priced"):
    """A call is over and paid: how long it was answered, what it cost, and what was set aside for it."""

    ordinal: int
    route: str
    answered_s: float | None
    micros: int
    reserved_micros: int


class CallReported(Event, frozen=True, tag="reported"):
    """The person who was called says that they did not ask for it; the list of reports has the number."""

    ordinal: int


class MessageResumed(Event, frozen=True, tag="resumed"):
    """The program was started again while this message was in its hands; a carrier may have it."""

    ordinal: int


AnyEvent = (
    VerificationStarted
    | MatchAsked
    | MatchEnded
    | AttemptMissed
    | NumberLocked
    | VerificationApproved
    | VerificationExhausted
    | VerificationExpired
    | VerificationCanceled
    | VerificationFailed
    | MessageQueued
    | MessageRefused
    | MessageSubmitted
    | MessageDelivered
    | MessageUndelivered
    | MessageDropped
    | ReceiptNoted
    | ReceiptOverdue
    | FallbackDue
    | PageOpened
    | ReplyHeard
    | PhoneReturned
    | MessageResumed
    | CallNoted
    | CallPriced
    | CallReported
)

# After these nobody waits for a code any more.
ENDS: Final = (
    VerificationApproved,
    VerificationCanceled,
    VerificationExhausted,
    VerificationExpired,
    VerificationFailed,
)

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AnyEvent)


def to_lines(events: tuple[Event, ...]) -> bytes:
    """Write events in their stored form: one JSON array and a newline each."""
    # msgspec 0.22 never lets go of the iterator of anything but a list: 64 octets for each call.
    return _ENCODER.encode_lines(list(events))


def from_lines(lines: bytes) -> list[AnyEvent]:
    """Read stored events back, in the order they were written.

    Raises:
        msgspec.DecodeError: The lines are not events; a bug or a damaged database.
    """
    return _DECODER.decode_lines(lines)
