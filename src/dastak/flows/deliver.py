"""Bring one message to a carrier: offer it to one route after the other until one accepts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from dastak.core import message as rules
from dastak.core.errors import CarrierError, CarrierRejected
from dastak.core.events import MessageRefused
from dastak.core.message import CarrierRef, Message, MessageState, MessageStep
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.ports import Outgoing, Ports
from dastak.core.verification import State, Verification
from dastak.flows.compose import code_of, text_of
from dastak.flows.fall_back import USEFUL_LIFE_S, calls_at_once, wanted
from dastak.flows.record import Decision, record

# After all routes refused, the next round; the last wait repeats while the code lives.
RETRY_S: Final = (1, 2, 5, 10)


async def deliver(ports: Ports, verification: Verification, message: Message) -> MessageStep:
    """Offer a queued message to the routes and write down what came of it.

    Args:
        ports: The outside world.
        verification: As it was just committed or just read; it is read again before a second route is tried.
        message: What to offer.

    Raises:
        Overloaded: The store cannot write; the message is offered again when its lease is over.
    """
    now = ports.clock.now()
    cause = await _not_wanted_now(ports, verification, now)
    if cause is not None:
        return await _write(ports, message, lambda found: (rules.dropped(found, cause, now=now), None))
    refusals: list[MessageRefused] = []
    for route in ports.routes.order(wanted(verification, message, now)):
        # The route before may have taken its time; much may have happened since.
        if refusals and await _not_wanted_now(ports, await _latest(ports, verification), ports.clock.now()):
            break
        offered_at = ports.clock.now()
        try:
            carrier = await route.submit(_outgoing(ports, verification, message, route.name, offered_at))
        except CarrierError as refusal:
            refusals.append(_refused(ports, message, route.name, refusal))
            if not OUTCOMES[Outcome(refusals[-1].outcome)].other_route:
                break
        else:
            return await _taken(
                ports, verification, message, carrier, refusals=refusals, offered_at=offered_at
            )
    return await _not_taken(ports, verification, message, refusals)


async def _taken(
    ports: Ports,
    verification: Verification,
    message: Message,
    carrier: CarrierRef,
    *,
    refusals: list[MessageRefused],
    offered_at: datetime,
) -> MessageStep:
    """Note who took the message, who did not before, and when its receipt should be there."""
    now = ports.clock.now()
    latency_ms = int((now - offered_at).total_seconds() * 1000)
    receipt_by = now + timedelta(seconds=ports.receipt_within_s(carrier.route, verification.msisdn))

    def decide(found: Message) -> Decision:
        step = rules.submitted(found, carrier, latency_ms=latency_ms, now=now, receipt_by=receipt_by)
        return MessageStep(step.message, (*refusals, *step.events)), None

    return await _write(ports, message, decide)


async def _not_taken(
    ports: Ports, verification: Verification, message: Message, refusals: list[MessageRefused]
) -> MessageStep:
    """Note who refused the message; offer it again later, unless the last word was final or a call is due."""
    now = ports.clock.now()
    told = tuple(refusals) or (_no_route(ports, message),)
    cause = told[-1].outcome
    again_at = (
        None
        if calls_at_once(ports, verification, message, cause)
        else _again_at(verification, message, refusals, now)
    )

    def decide(found: Message) -> Decision:
        step = rules.refused(found, told, again_at=again_at)
        return step, cause if step.message.state is MessageState.UNDELIVERED else None

    return await _write(ports, message, decide)


async def _latest(ports: Ports, verification: Verification) -> Verification:
    return (await ports.store.find(verification.tenant, verification.id)).verification


async def _not_wanted_now(ports: Ports, verification: Verification, now: datetime) -> str | None:
    """Say why a message should not be sent any more, if so; the person may have asked for no more."""
    if await ports.is_stopped(verification.tenant, verification.mode, verification.msisdn):
        return "stopped"
    return _not_wanted(verification, now)


def _not_wanted(verification: Verification, now: datetime) -> str | None:
    """Say why a message should not be sent any more, if so."""
    if verification.state is not State.PENDING:
        return verification.state
    if verification.expires_at - now < timedelta(seconds=USEFUL_LIFE_S):
        return "expired"
    if verification.own_code_digest is not None and verification.own_code_sealed is None:
        return "superseded"
    return None


def _outgoing(
    ports: Ports, verification: Verification, message: Message, route: str, now: datetime
) -> Outgoing:
    """Make what a route carries. Raises: CarrierRejected (it may not carry this text)."""
    text = text_of(ports, verification, message.generation)
    sender = ports.service_of(verification.service).sender
    return Outgoing(
        key=message.key,
        msisdn=verification.msisdn,
        text=text,
        sender=sender,
        validity_s=int((verification.expires_at - now).total_seconds()),
        dlt=ports.dlt.fields(verification, sender, text, route, now),
        code=code_of(ports, verification, message.generation),
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


async def _write(ports: Ports, message: Message, decide: Callable[[Message], Decision]) -> MessageStep:
    return (await record(ports, message.key, decide, now=ports.clock.now())).step


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
