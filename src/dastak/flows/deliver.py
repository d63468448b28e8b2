"""Bring one message to a carrier: offer it to one route after the other until one accepts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from dastak.core import message as rules
from dastak.core.errors import CarrierError, CarrierRejected
from dastak.core.events import MessageRefused
from dastak.core.message import CarrierRef, Message, MessageState, MessageStep
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.ports import Change, Held, Outgoing, Ports, Wanted
from dastak.core.verification import State, Verification
from dastak.flows.compose import text_of

# After all routes refused, the next round; the last wait repeats while the code lives.
RETRY_S: Final = (1, 2, 5, 10)
# A text that arrives with less life than this only confuses.
USEFUL_LIFE_S: Final = 5


async def deliver(ports: Ports, verification: Verification, message: Message) -> MessageStep:
    """Offer a queued message to the routes and write down what came of it.

    Args:
        ports: The outside world.
        verification: As it was just committed or just read; it is read again before a second route is tried.
        message: What to offer.

    Raises:
        Overloaded: The store cannot write; the message is offered again when its lease is over.
    """
    cause = _not_wanted(verification, ports.clock.now())
    if cause is not None:
        now = ports.clock.now()
        return await _write(ports, verification, message, lambda held: rules.dropped(held, cause, now=now))
    refusals: list[MessageRefused] = []
    for route in ports.routes.order(_wanted(verification, message, ports.clock.now())):
        # The route before may have taken its time; much may have happened since.
        if refusals and _not_wanted(await _latest(ports, verification), ports.clock.now()) is not None:
            break
        offered_at = ports.clock.now()
        try:
            carrier = await route.submit(_outgoing(ports, verification, message, offered_at))
        except CarrierError as refusal:
            refusals.append(_refused(ports, message, route.name, refusal))
            if not OUTCOMES[Outcome(refusals[-1].outcome)].other_route:
                break
        else:
            taken_at = ports.clock.now()
            latency_ms = int((taken_at - offered_at).total_seconds() * 1000)
            took = partial(
                _submitted, carrier=carrier, refusals=refusals, latency_ms=latency_ms, now=taken_at
            )
            return await _write(ports, verification, message, took)
    again_at = _again_at(verification, message, refusals, ports.clock.now())
    told = tuple(refusals) or (_no_route(ports, message),)
    return await _write(
        ports, verification, message, lambda held: rules.refused(held, told, again_at=again_at)
    )


async def _latest(ports: Ports, verification: Verification) -> Verification:
    return (await ports.store.find(verification.tenant, verification.id)).verification


def _not_wanted(verification: Verification, now: datetime) -> str | None:
    """Say why a message should not be sent any more, if so."""
    if verification.state is not State.PENDING:
        return verification.state
    if verification.expires_at - now < timedelta(seconds=USEFUL_LIFE_S):
        return "expired"
    if verification.own_code_digest is not None and verification.own_code_sealed is None:
        return "superseded"
    return None


def _wanted(verification: Verification, message: Message, now: datetime) -> Wanted:
    return Wanted(
        mode=verification.mode,
        channel=message.channel,
        tenant=verification.tenant,
        msisdn=verification.msisdn,
        remaining_s=(verification.expires_at - now).total_seconds(),
        anew=verification.sends > 1,
    )


def _outgoing(ports: Ports, verification: Verification, message: Message, now: datetime) -> Outgoing:
    return Outgoing(
        key=message.key,
        msisdn=verification.msisdn,
        text=text_of(ports, verification, message.generation),
        sender=ports.service_of(verification.service).sender,
        validity_s=int((verification.expires_at - now).total_seconds()),
    )


def _refused(ports: Ports, message: Message, route: str, refusal: CarrierError) -> MessageRefused:
    at_ms, ordinal = _ms(ports.clock.now()), message.key.ordinal
    if isinstance(refusal, CarrierRejected):
        return MessageRefused(at_ms, ordinal, route, refusal.status, refusal.outcome)
    return MessageRefused(at_ms, ordinal, route, refusal.code, Outcome.NETWORK_TEMPORARY)


def _no_route(ports: Ports, message: Message) -> MessageRefused:
    return MessageRefused(
        _ms(ports.clock.now()), message.key.ordinal, "", "no_route", Outcome.NETWORK_TEMPORARY
    )


def _again_at(
    verification: Verification, message: Message, refusals: list[MessageRefused], now: datetime
) -> datetime | None:
    """Return when to try again; None when the last refusal is final or the code's life is too short."""
    if refusals:
        advice = OUTCOMES[Outcome(refusals[-1].outcome)]
        if advice.terminal and not advice.other_route:
            return None
    again_at = now + timedelta(seconds=RETRY_S[min(message.tries, len(RETRY_S) - 1)])
    lives = verification.expires_at - again_at >= timedelta(seconds=USEFUL_LIFE_S)
    return again_at if lives else None


def _submitted(
    message: Message, carrier: CarrierRef, refusals: list[MessageRefused], *, latency_ms: int, now: datetime
) -> MessageStep:
    """Note who took the message, and who did not before."""
    step = rules.submitted(message, carrier, latency_ms=latency_ms, now=now)
    return MessageStep(step.message, (*refusals, *step.events))


async def _write(
    ports: Ports, verification: Verification, message: Message, decide: Callable[[Message], MessageStep]
) -> MessageStep:
    def rule(held: Held) -> Change[MessageStep]:
        assert held.message is not None
        step = decide(held.message)
        return Change(
            answer=step,
            verification=_without_sealed_code(held.verification, step),
            message=None if step.message is held.message else step.message,
            trace=step.events,
        )

    step = await ports.store.decide(message.key, rule)
    assert isinstance(step, MessageStep)
    if step.events:
        ports.publish(verification, step.events)
    return step


def _without_sealed_code(verification: Verification, step: MessageStep) -> Verification | None:
    """Erase the caller's own code once its last message has left; a digest is left to check."""
    last = step.message.key.ordinal >= verification.policy.resends_max
    if verification.own_code_sealed is None or not last or step.message.state is MessageState.QUEUED:
        return None
    return msgspec.structs.replace(verification, own_code_sealed=None)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
