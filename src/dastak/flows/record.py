"""Write down what became of a message and what follows from it, in one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from dastak.core.errors import (
    OUTCOME_UNKNOWN,
    CarrierError,
    CarrierFull,
    CarrierRejected,
    CarrierUnavailable,
    Conflict,
    DastakError,
    NotFound,
    Overloaded,
    Refused,
)
from dastak.core.events import Event
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState, MessageStep
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.ports import Change, Held, Ports, Replayed
from dastak.core.verification import Verification
from dastak.delivery.failover import Cause, Silence
from dastak.flows.fall_back import Aftermath, fall_back, is_newest, may_follow
from dastak.flows.spending import settled_call

T = TypeVar("T")


class Recorded(msgspec.Struct, frozen=True):
    """What was written: the message with its new events, its verification, and the message to send now."""

    step: MessageStep
    verification: Verification
    events: tuple[Event, ...]
    follow_up: Message | None


class Means(NamedTuple):
    """What the caps of cost leave: whether anything may follow, and why no call may."""

    affordable: bool = True
    no_call: str = ""


ALL_MEANS: Final = Means()

# What became of a message, and the cause why it did not arrive if it did not.
Decision = tuple[MessageStep, Cause | None]


def in_same_hands(held: Message, decide: Callable[[Message], Decision]) -> Callable[[Message], Decision]:
    """Return a decision that raises Conflict where somebody else has taken the message since it was held."""

    def decided(found: Message) -> Decision:
        if found.fence != held.fence:
            raise Conflict("Another node has taken this message over.")
        return decide(found)

    return decided


class Noted(Generic[T]):
    """A rule for `Store.decide` that remembers which message it queued.

    Args:
        rule: The rule.
        queued: Returns from its answer the message that shall be sent at once, if there is one.
    """

    __slots__ = ("_queued", "_rule", "message")

    def __init__(self, rule: Callable[[Held], Change[T]], queued: Callable[[T], Message | None]) -> None:
        self._rule, self._queued = rule, queued
        self.message: Message | None = None

    def __call__(self, held: Held) -> Change[T]:
        """Do as the rule says."""
        change = self._rule(held)
        self.message = self._queued(change.answer)
        return change


@contextmanager
def looked_for(
    ports: Ports, rule: Callable[[Held], Change[T]], queued: Callable[[T], Message | None]
) -> Iterator[Noted[T]]:
    """Have the message looked for that a rule queues, where nobody knows whether it was committed.

    What is yielded takes the rule's place; see there.
    """
    noted = Noted(rule, queued)
    try:
        yield noted
    except Overloaded as why:
        look_for(ports, noted.message, why)
        raise


def look_for(ports: Ports, message: Message | None, why: DastakError) -> None:
    """Have a message looked for that the store may have committed before it raised."""
    if message is not None and isinstance(why, Overloaded) and why.may_be_done:
        ports.look_for(message)


def anybody(_msisdn: Msisdn) -> bool:
    """Take a message to whatever number."""
    return True


async def record(
    ports: Ports,
    key: MessageKey | CarrierRef,
    decide: Callable[[Message], Decision],
    *,
    now: datetime,
    of: Callable[[Msisdn], bool] = anybody,
) -> Recorded:
    """Decide on a message as it stands, write it with what follows, tell it, and hand the next one over.

    Raises:
        NotFound: There is no such message, or `of` says that it is none of this number's.
        Overloaded: The store cannot write now.
    """
    try:
        recorded = await _written(ports, key, decide, now=now, of=of)
    except Refused as dear:  # a cap of cost: what became of the message is written all the same
        recorded = await _begin_cheaper(ports, key, decide, now, dear.reason)
    return finish(ports, recorded)


async def _begin_cheaper(
    ports: Ports, key: MessageKey | CarrierRef, decide: Callable[[Message], Decision], now: datetime, cap: str
) -> Recorded | Replayed:
    try:  # a text may be within a cap where a call is not
        return await _written(ports, key, decide, now=now, means=Means(no_call=cap))
    except Refused:
        return await _written(ports, key, decide, now=now, means=Means(affordable=False))


async def _written(
    ports: Ports,
    key: MessageKey | CarrierRef,
    decide: Callable[[Message], Decision],
    *,
    now: datetime,
    means: Means = ALL_MEANS,
    of: Callable[[Msisdn], bool] = anybody,
) -> Recorded | Replayed:
    rule = partial(_change, ports, decide, now, means, of=of)
    with looked_for(ports, rule, _follow_up) as noted:
        return await ports.store.decide(key, noted)


def begin(
    ports: Ports,
    key: CarrierRef,
    decide: Callable[[Message], Decision],
    *,
    now: datetime,
    of: Callable[[Msisdn], bool],
) -> tuple[Awaitable[Recorded | Replayed], Noted[Recorded]]:
    """Have a decision written; for those who write many and wait for them together.

    Returns:
        What to wait for, and what to look for where it raises `Overloaded`. It also raises NotFound (there is
        no such message, or `of` says that it is none of this number's) and Refused (what follows would cost
        too much; nothing was written, and without it it would be).
    """
    noted = Noted(partial(_change, ports, decide, now, ALL_MEANS, of=of), _follow_up)
    writing = ports.store.decide(key, noted)
    return asyncio.ensure_future(writing), noted


def _follow_up(recorded: Recorded) -> Message | None:
    return recorded.follow_up


def finish(ports: Ports, recorded: Recorded | Replayed) -> Recorded:
    """Tell what was written, and hand the next message over."""
    assert isinstance(recorded, Recorded)
    if recorded.events:
        ports.publish(recorded.verification, recorded.events)
    if recorded.follow_up is not None:
        ports.hand_over(recorded.verification, recorded.follow_up)
    return recorded


async def pause(ports: Ports, seconds: float) -> None:
    """Wait, by the clock of the flows."""
    over = asyncio.Event()
    ports.clock.ring(seconds, over.set)
    await over.wait()


def words_of(refusal: CarrierError) -> tuple[str, Outcome]:
    """Return the status of a refusal and what it means."""
    if isinstance(refusal, CarrierRejected):
        return refusal.status, Outcome(refusal.outcome)
    if isinstance(refusal, CarrierFull):
        return refusal.status, Outcome.THROTTLED
    assert isinstance(refusal, CarrierUnavailable)
    return refusal.status, Outcome.NETWORK_TEMPORARY


def cause_of(status: str, outcome: Outcome) -> Cause:
    """Return what a refusal is a cause of."""
    return Silence.NOT_TAKEN if status in (CarrierUnavailable.code, OUTCOME_UNKNOWN) else outcome


def _change(
    ports: Ports,
    decide: Callable[[Message], Decision],
    now: datetime,
    means: Means,
    held: Held,
    *,
    of: Callable[[Msisdn], bool],
) -> Change[Recorded]:
    if not of(held.verification.msisdn):
        raise NotFound("The message is to another number.")
    assert held.message is not None
    step, cause = decide(held.message)
    step, correction = settled_call(ports, held.verification, step, now)
    after = Aftermath(verification=held.verification)
    if cause is not None:
        after = fall_back(
            ports, held, step.message, cause, now, affordable=means.affordable, no_call=means.no_call
        )
    if cause is Silence.NO_ANSWER and after.trace and after.follow_up is None:
        # There is no way after all, as over a cap of cost: without its route the text would be lost.
        step = MessageStep(held.message)
    verification = _without_sealed_code(ports, after.verification, step, after.follow_up, now)
    told = (*step.events, *after.trace, *after.follow_up_trace, *after.events)
    return Change(
        answer=Recorded(step, verification, told, after.follow_up if after.at_once else None),
        verification=None if verification is held.verification else verification,
        events=after.events,
        message=None if step.message is held.message else step.message,
        trace=(*step.events, *after.trace),
        follow_up=after.follow_up,
        follow_up_trace=after.follow_up_trace,
        spend=after.spend,
        correction=correction,
    )


def _without_sealed_code(
    ports: Ports, verification: Verification, step: MessageStep, follow_up: Message | None, now: datetime
) -> Verification:
    """Erase the caller's own code once no message can need it any more; a digest is left to check."""
    if verification.own_code_sealed is None or follow_up is not None:
        return verification
    message = step.message
    resends_left = verification.sends <= verification.policy.resends_max
    waiting = message.state is MessageState.QUEUED or not is_newest(verification, message)
    followed = message.state is MessageState.SUBMITTED and may_follow(ports, verification, message, now)
    if resends_left or waiting or followed:
        return verification
    return msgspec.structs.replace(verification, own_code_sealed=None)
