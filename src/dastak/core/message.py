"""One text or one call on its way to a phone, apart from the verification it serves.

1. Terminal states never go back, but `DELIVERED` wins over `UNDELIVERED`: the phone has it after all.
2. A receipt comes late, twice, shuffled or before the answer to the submit; each is applied at most once.
3. A message is not submitted after its verification ended.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from dastak.core.events import (
    Event,
    MessageDelivered,
    MessageDropped,
    MessageRefused,
    MessageSubmitted,
    MessageUndelivered,
    ReceiptNoted,
    ReceiptOverdue,
)
from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import OUTCOMES, Outcome, When
from dastak.core.policy import Channel
from dastak.core.spend import Reserve

EVIDENCE_CHARACTERS_MAX: Final = 160
# Of a message that cannot be written: in the place of a carrier's status, and the cause why it was dropped.
BROKEN: Final = "broken"


class MessageState(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"


class Report(StrEnum):
    """What can happen to a message."""

    ACCEPTED = "accepted"
    ARRIVED = "arrived"
    LOST = "lost"
    NOT_WANTED = "not_wanted"


# Every pair that is not here leaves the state as it is.
MESSAGE_TRANSITIONS: Final[Mapping[tuple[MessageState, Report], MessageState]] = {
    (MessageState.QUEUED, Report.ACCEPTED): MessageState.SUBMITTED,
    (MessageState.QUEUED, Report.LOST): MessageState.UNDELIVERED,
    (MessageState.QUEUED, Report.NOT_WANTED): MessageState.EXPIRED,
    (MessageState.SUBMITTED, Report.ARRIVED): MessageState.DELIVERED,
    (MessageState.SUBMITTED, Report.LOST): MessageState.UNDELIVERED,
    (MessageState.UNDELIVERED, Report.ARRIVED): MessageState.DELIVERED,
}


class MessageKey(msgspec.Struct, frozen=True):
    """Which message: the `ordinal`-th of its verification, from 0."""

    verification: VerificationId
    ordinal: int


class CarrierRef(msgspec.Struct, frozen=True):
    """Which message, by the id its carrier gave it."""

    route: str
    ref: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it stands.

    Attributes:
        generation: Which code of its verification it carries.
        tries: How often it was offered to routes.
        due_at: When it shall be offered next, or its receipt should be there; None when nothing is due.
        segments: How many short messages its text takes.
        carrier: The route that took it and the carrier's id for it; a submitted message has none while its
            carrier may have it and has not answered.
        tried: The routes that had this code before, by earlier messages, or that refused this one for good,
            or did not answer.
        reserve: What is set aside for a call until it is over.
        owner: The node that has it in hand, where several share the work; 0 is nobody.
        fence: Rises whenever somebody else takes it; who has a smaller one has it no more.
    """

    key: MessageKey
    channel: Channel
    generation: int
    segments: int
    state: MessageState = MessageState.QUEUED
    tries: int = 0
    due_at: datetime | None = None
    carrier: CarrierRef | None = None
    tried: tuple[str, ...] = ()
    reserve: Reserve | None = None
    owner: int = 0
    fence: int = 0


class Receipt(msgspec.Struct, frozen=True):
    """What a carrier says became of a message: the outcome in our words, the evidence in theirs.

    Attributes:
        alternatives: Which message else it may be about, where the carrier's id can be read in several ways.
        operator: MCC and MNC of the phone's network, where the carrier tells.
        answered_s: Of a call, how long it lasted from the answer on; 0 if nobody answered, None if unknown.
        phones: The last digits of the addresses in it, one of which is the phone's; none where it tells none.
    """

    carrier: CarrierRef
    outcome: Outcome
    evidence: str
    alternatives: tuple[CarrierRef, ...] = ()
    operator: str = ""
    answered_s: float | None = None
    phones: tuple[str, ...] = ()

    def may_be_of(self, msisdn: Msisdn) -> bool:
        """Say whether it may be about a message to a number."""
        return not self.phones or msisdn.endswith(self.phones)

    @property
    def refs(self) -> tuple[CarrierRef, ...]:
        """Every message it may be about, the likeliest first."""
        return (self.carrier, *self.alternatives)


class DeadLetter(NamedTuple):
    """A message that could not be written, however often it was tried, and was put away."""

    tenant: int
    key: MessageKey
    at_ms: int
    why: str


class RecordedText(NamedTuple):
    """One text that was sent, as routing saw it; `route` took it, or nobody.

    `at_ms` is the start of its verification.
    """

    tenant: int
    msisdn: Msisdn
    segments: int
    route: str
    at_ms: int


class MessageStep(msgspec.Struct, frozen=True):
    """What a rule decided about a message, and the events that tell of it.

    Attributes:
        answered_s: Of a call that is over, as its receipt has it.
    """

    message: Message
    events: tuple[Event, ...] = ()
    answered_s: float | None = 0.0


def submitted(
    message: Message,
    carrier: CarrierRef,
    *,
    latency_ms: int,
    now: datetime,
    receipt_by: datetime | None = None,
) -> MessageStep:
    """Note that a carrier took the message, and when the next way is due without a receipt."""
    told = MessageSubmitted(_ms(now), message.key.ordinal, carrier.route, carrier.ref, latency_ms)
    if is_unanswered(message):
        # Another message follows it already, so that nothing is due; its receipt shall find it.
        return MessageStep(msgspec.structs.replace(message, carrier=carrier), (told,))
    return _move(message, Report.ACCEPTED, told, carrier=carrier, due_at=receipt_by)


def is_unanswered(message: Message) -> bool:
    """Say whether a carrier may have the message and has not named it."""
    return message.state is MessageState.SUBMITTED and message.carrier is None


def unanswered(message: Message, refusals: tuple[MessageRefused, ...]) -> MessageStep:
    """Note that the last route did not answer in time; it may have the message, so nobody offers it again."""
    if message.state is not MessageState.QUEUED:
        return MessageStep(message)
    handed = msgspec.structs.replace(
        message,
        state=MESSAGE_TRANSITIONS[message.state, Report.ACCEPTED],
        tries=message.tries + 1,
        due_at=None,
        tried=_with_routes(message.tried, refusals),
        owner=0,
    )
    return MessageStep(handed, refusals)


def passed_on(
    message: Message, refusals: tuple[MessageRefused, ...], *, to: int, now: datetime
) -> MessageStep:
    """Give a message into the hands of another node, which holds the binds of a route that can take it."""
    if message.state is not MessageState.QUEUED:
        return MessageStep(message)
    for_good = tuple(refusal for refusal in refusals if _is_for_good(refusal))
    given = msgspec.structs.replace(
        message,
        due_at=now,
        tried=_with_routes(message.tried, for_good),
        owner=to,
        fence=message.fence + 1,
    )
    return MessageStep(given, refusals)


def refused_late(message: Message, refusal: MessageRefused) -> MessageStep:
    """Note the refusal of a route that let us wait so long that another message follows."""
    if not is_unanswered(message):
        return MessageStep(message)
    told = MessageUndelivered(refusal.at_ms, refusal.ordinal, refusal.outcome, refusal.status)
    return _move(message, Report.LOST, told)


def overdue(message: Message, *, waited_ms: int, again_at: datetime | None, now: datetime) -> MessageStep:
    """Note that no receipt came in time; it may still come. Ask again at `again_at`, or never."""
    if message.state is not MessageState.SUBMITTED or message.carrier is None:
        return MessageStep(message)
    waiting = msgspec.structs.replace(message, due_at=again_at)
    if again_at is not None:
        return MessageStep(waiting)
    told = ReceiptOverdue(_ms(now), message.key.ordinal, message.carrier.route, waited_ms)
    return MessageStep(waiting, (told,))


def refused(
    message: Message, refusals: tuple[MessageRefused, ...], *, again_at: datetime | None
) -> MessageStep:
    """Note that no route took the message; offer it again at `again_at`, or give up when that is None."""
    if message.state is not MessageState.QUEUED:
        return MessageStep(message)
    tried = msgspec.structs.replace(message, tries=message.tries + 1, due_at=again_at, owner=0)
    if again_at is not None:
        for_good = tuple(refusal for refusal in refusals if _is_for_good(refusal))
        tried = msgspec.structs.replace(tried, tried=_with_routes(message.tried, for_good))
        return MessageStep(tried, refusals)
    last = refusals[-1]
    tried = msgspec.structs.replace(tried, tried=_with_routes(message.tried, refusals))
    told = MessageUndelivered(last.at_ms, message.key.ordinal, last.outcome, last.status)
    step = _move(tried, Report.LOST, told)
    return MessageStep(step.message, (*refusals, *step.events))


def dropped(
    message: Message, cause: str, *, why: str = "", refusals: tuple[MessageRefused, ...] = (), now: datetime
) -> MessageStep:
    """Put away a message whose code nobody waits for any more, or would not come in time."""
    told = MessageDropped(_ms(now), message.key.ordinal, cause, why)
    step = _move(message, Report.NOT_WANTED, told, due_at=None)
    return MessageStep(step.message, (*refusals, *step.events)) if step.events else step


def settle(message: Message, receipt: Receipt, *, believed: bool = True, now: datetime) -> MessageStep:
    """Apply one receipt. A second one of the same meaning changes nothing.

    Args:
        message: As it stands.
        receipt: What its carrier says.
        believed: Whether this carrier's word is enough; if not, delivered is noted and the clocks run on.
        now: The present instant.
    """
    ordinal, evidence = message.key.ordinal, receipt.evidence[:EVIDENCE_CHARACTERS_MAX]
    if receipt.outcome is Outcome.DELIVERED and believed:
        return _move(message, Report.ARRIVED, MessageDelivered(_ms(now), ordinal, evidence))
    if OUTCOMES[receipt.outcome].terminal and receipt.outcome is not Outcome.DELIVERED:
        lost = MessageUndelivered(_ms(now), ordinal, receipt.outcome, evidence)
        return _move(message, Report.LOST, lost)
    if message.state is not MessageState.SUBMITTED:
        return MessageStep(message)
    return MessageStep(message, (ReceiptNoted(_ms(now), ordinal, receipt.outcome, evidence),))


def _is_for_good(refusal: MessageRefused) -> bool:
    return OUTCOMES[Outcome(refusal.outcome)].same_route is When.NEVER


def _with_routes(tried: tuple[str, ...], refusals: tuple[MessageRefused, ...]) -> tuple[str, ...]:
    named = (refusal.route for refusal in refusals if refusal.route)
    return tuple(dict.fromkeys((*tried, *named)))


def _move(
    message: Message,
    report: Report,
    event: Event,
    *,
    carrier: CarrierRef | None = None,
    due_at: datetime | None = None,
) -> MessageStep:
    to = MESSAGE_TRANSITIONS.get((message.state, report))
    if to is None:
        return MessageStep(message)
    moved = msgspec.structs.replace(
        message, state=to, carrier=carrier or message.carrier, due_at=due_at, owner=0
    )
    return MessageStep(moved, (event,))


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
