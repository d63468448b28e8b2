"""Bring one message to a carrier: offer it to one route after the other until one accepts.

1. A route that refuses makes room for the next one at once.
2. One that does not answer in time keeps the message, for it may have it, and another message with the same
   code follows by the next route; later, where too many do already (`delivery/hedging.py`). Its late answer
   is written down, so that its receipts find their message. Where nothing may follow, it is waited for.
3. What a carrier was asked and said is written down as soon as the store can: else the text would go twice.
4. Which route comes next, whether one is asked again and when, is decided in `delivery/failover.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core import message as rules
from dastak.core.call_terms import CALL_BARS
from dastak.core.codes import MATCH_DIGITS
from dastak.core.errors import (
    CarrierError,
    CarrierUnavailable,
    DastakError,
    Overloaded,
    RateLimited,
)
from dastak.core.events import FallbackDue, MessageDelivered, MessageRefused
from dastak.core.message import CarrierRef, Message, MessageState, MessageStep
from dastak.core.outcome import OUTCOMES, Outcome, When
from dastak.core.policy import Channel
from dastak.core.ports import Ports
from dastak.core.verification import State, Verification
from dastak.core.way_out import HeldElsewhere, Outgoing, Route
from dastak.delivery.failover import (
    ANSWER_WITHIN_S,
    USEFUL_LIFE_S,
    Action,
    Cause,
    Next,
    Silence,
    next_step,
)
from dastak.delivery.hedging import SILENT_S
from dastak.flows.compose import code_of, text_of
from dastak.flows.fall_back import situation, wanted
from dastak.flows.record import Decision, cause_of, in_same_hands, pause, record, words_of
from dastak.flows.spending import count_call

# From the dial to the end of a call at the latest, with some to spare.
CALL_S_MAX: Final = 150.0
# What carriers said is written again after this, when the store could not.
KEEP_AGAIN_S: Final = 1.0
# Why a message is dropped that could leave, but not arrive in time.
LATE: Final = "late"
# Of a call that nobody asked for.
ARRIVED: Final = "text_arrived"


async def deliver(
    ports: Ports, verification: Verification, message: Message, ways: Sequence[Route] | None = None
) -> MessageStep:
    """Offer a queued message to the routes and write down what came of it.

    Args:
        ports: The outside world.
        verification: As it was just committed or just read; it is read again before a second route is tried.
        message: What to offer.
        ways: The routes to ask, as `ways_of` returns them; without them it is asked.

    Raises:
        Overloaded: The store cannot write; the message is offered again when its lease is over.
    """
    now = ports.clock.now()
    cause = await _not_wanted_now(ports, verification, now)
    if cause is not None:
        return await drop(ports, message, cause)
    ways = ways_of(ports, verification, message, now) if ways is None else ways
    if message.channel is Channel.VOICE:
        barred = await _call_barred(ports, verification, message, ways, now)
        if barred is not None:
            cause, why = barred
            return await drop(ports, message, cause, why=why)
    elif not ways and ports.routes.carry(
        verification.mode, message.channel, verification.tenant, verification.msisdn
    ):
        left_s = (verification.expires_at - now).total_seconds()
        why = f"the code lives {left_s:.1f} s more, and no route is that fast half of the time"
        return await drop(ports, message, LATE, why=why)
    return await _Delivery(ports, verification, message, ways).run()


async def _call_barred(
    ports: Ports, verification: Verification, message: Message, ways: Sequence[Route], now: datetime
) -> tuple[str, str] | None:
    """Say why a call may not be dialled any more, if so, and why; else count it."""
    rules = ports.service_of(verification.service).calls
    terms = ports.call_terms(verification.mode, verification.tenant, rules, verification.msisdn)
    if not ways and terms.bar is not None:
        return terms.bar, CALL_BARS[terms.bar].means
    if await _text_arrived(ports, verification, message):
        return ARRIVED, "the text that it follows arrived after all"
    if message.tries:
        return None  # counted already
    try:
        await count_call(ports, verification, message, now)
    except RateLimited as often:
        return "call_limit", often.detail
    return None


async def _text_arrived(ports: Ports, verification: Verification, call: Message) -> bool:
    """Say whether the text arrived that a call follows which nobody asked for."""
    told = await ports.store.timeline(verification.tenant, verification.id)
    followed = any(isinstance(e, FallbackDue) and e.followed_by == call.key.ordinal for e in told)
    return followed and any(isinstance(event, MessageDelivered) for event in told)


def ways_of(ports: Ports, verification: Verification, message: Message, now: datetime) -> Sequence[Route]:
    """Return the routes to ask, best first; none a second time that refused this message for good."""
    ways = ports.routes.order(wanted(ports, verification, message, now))
    if not message.tries:
        return ways
    return [route for route in ways if route.name not in message.tried] or ways


async def drop(
    ports: Ports, message: Message, cause: str, *refusals: MessageRefused, why: str = ""
) -> MessageStep:
    """Put a message away that nobody waits for any more, or that would come too late."""
    now = ports.clock.now()
    return await _write(
        ports,
        message,
        lambda found: (rules.dropped(found, cause, why=why, refusals=refusals, now=now), None),
    )


class _Delivery:
    """One message on its way along its routes."""

    def __init__(
        self, ports: Ports, verification: Verification, message: Message, ways: Sequence[Route]
    ) -> None:
        self._ports, self._verification, self._message = ports, verification, message
        self._ways = ways
        self._refusals: list[MessageRefused] = []
        self._steps: list[Next] = []
        self._hedging: asyncio.Task[bool] | None = None

    async def run(self) -> MessageStep:
        """Offer it to one route after the other."""
        ports, verification, message = self._ports, self._verification, self._message
        for n, route in enumerate(self._ways):
            if self._refusals:
                if route.name in message.tried:
                    continue  # it had this code; the ones before had not
                # The route before may have taken its time; much may have happened since.
                cause = await self._not_wanted_any_more()
                if cause is not None:
                    return await drop(ports, message, cause, *self._refusals)
            offered_at = ports.clock.now()
            left = self._ways[n + 1 :]
            try:
                carrier = await self._offer(
                    route, _outgoing(ports, verification, message, route.name, offered_at)
                )
            except CarrierError as refusal:
                if await self._followed():
                    return await self._refused_late(route, refusal)
                if self._refused(route, refusal, left).action is not Action.OTHER_ROUTE:
                    break
            except HeldElsewhere as elsewhere:
                return await self._passed_on(elsewhere.node)
            else:
                return await self._taken(carrier, offered_at, late=await self._followed())
        return await self._not_taken()

    async def _not_wanted_any_more(self) -> str | None:
        """Say why the next route should not be asked, if so; a call is not needed once its text arrived."""
        ports = self._ports
        cause = await _not_wanted_now(ports, await self._latest(), ports.clock.now())
        if cause is None and self._message.channel is Channel.VOICE:
            cause = ARRIVED if await _text_arrived(ports, self._verification, self._message) else None
        return cause

    async def _offer(self, route: Route, outgoing: Outgoing) -> CarrierRef:
        """Offer it to one route; when that does not answer in time, have another message follow meanwhile."""
        self._hedging = None
        ports = self._ports

        def follow() -> None:
            self._hedging = asyncio.get_running_loop().create_task(self._unanswered(route))

        def hedge() -> None:
            if ports.may_hedge(route.name):
                follow()
            else:
                unwanted.append(ports.clock.ring(SILENT_S - ANSWER_WITHIN_S, follow))

        if self._message.channel is not Channel.SMS:
            return await route.submit(outgoing)  # two calls at once are no help
        unwanted = [ports.clock.ring(ANSWER_WITHIN_S, hedge)]
        try:
            return await route.submit(outgoing)
        finally:
            for bell in unwanted:
                bell()

    async def _followed(self) -> bool:
        """Say whether another message follows because the route did not answer in time."""
        return self._hedging is not None and await self._hedging

    async def _unanswered(self, route: Route) -> bool:
        """Have another message follow, if there is a way; else the answer may take as long as it likes."""
        had = (*self._message.tried, *(refusal.route for refusal in self._refusals), route.name)
        handed = msgspec.structs.replace(self._message, tried=had)
        now = self._ports.clock.now()
        step = next_step(Silence.NO_ANSWER, situation(self._ports, self._verification, handed, now))
        if step.action is Action.STOP:
            return False
        told = self._refusal(route.name, Silence.NO_ANSWER, Outcome.UNKNOWN, step.why)

        def decide(found: Message) -> Decision:
            step = rules.unanswered(found, (*self._refusals, told))
            return step, Silence.NO_ANSWER if step.events else None

        try:
            return bool((await _write(self._ports, self._message, decide)).events)
        except DastakError:  # the store cannot write now; the answer is still waited for
            return False

    def _refused(self, route: Route, refusal: CarrierError, left: Sequence[Route]) -> Next:
        """Note a refusal and decide what comes next."""
        status, outcome = words_of(refusal)
        cause = cause_of(status, outcome)
        step = self._next(cause, left)
        self._steps.append(step)
        self._refusals.append(self._refusal(route.name, status, outcome, step.why))
        return step

    async def _refused_late(self, route: Route, refusal: CarrierError) -> MessageStep:
        """Note what a route said after another message followed; silent to the end, it may have this one."""
        if isinstance(refusal, CarrierUnavailable) and refusal.outcome_unknown:
            return MessageStep(self._message)
        status, outcome = words_of(refusal)
        told = self._refusal(route.name, status, outcome)
        return await self._keep(lambda found: (rules.refused_late(found, told), outcome))

    async def _taken(self, carrier: CarrierRef, offered_at: datetime, *, late: bool) -> MessageStep:
        """Note who took the message, who did not before, and when its receipt should be there."""
        ports, now = self._ports, self._ports.clock.now()
        latency_ms = int((now - offered_at).total_seconds() * 1000)
        within_s = (
            ports.receipt_within_s(carrier.route, self._verification.msisdn)
            if self._message.channel is Channel.SMS
            else CALL_S_MAX
        )
        receipt_by = now + timedelta(seconds=within_s)
        refusals = () if late else tuple(self._refusals)  # what came before was told with the silence

        def decide(found: Message) -> Decision:
            step = rules.submitted(found, carrier, latency_ms=latency_ms, now=now, receipt_by=receipt_by)
            return MessageStep(step.message, (*refusals, *step.events)), None

        return await self._keep(decide)

    async def _passed_on(self, node: int) -> MessageStep:
        """Give the message into the hands of the node that holds the route's binds."""
        told, now = tuple(self._refusals), self._ports.clock.now()
        return await _write(
            self._ports,
            self._message,
            lambda found: (rules.passed_on(found, told, to=node, now=now), None),
        )

    async def _not_taken(self) -> MessageStep:
        """Note who refused the message; offer it again, have something else follow, or give it up."""
        now = self._ports.clock.now()
        if not self._refusals:
            step = self._next(Silence.NOT_TAKEN, ())
            self._steps.append(step)
            self._refusals.append(self._refusal("", "no_route", Outcome.NETWORK_TEMPORARY, step.why))
        told, step = tuple(self._refusals), self._last_step()
        again_at = now + timedelta(seconds=step.at_s) if step.action is Action.SAME_ROUTE else None
        outcome = Outcome(told[-1].outcome)

        def decide(found: Message) -> Decision:
            step = rules.refused(found, told, again_at=again_at)
            return step, outcome if step.message.state is MessageState.UNDELIVERED else None

        return await self._keep(decide)

    async def _keep(self, decide: Callable[[Message], Decision]) -> MessageStep:
        """Write down what carriers said, however long the store is away while the code lives.

        Raises:
            Overloaded: The code is over; nobody waits for it any more.
        """
        while True:
            try:
                return await _write(self._ports, self._message, decide)
            except Overloaded:
                if self._ports.clock.now() >= self._verification.expires_at:
                    raise
            await pause(self._ports, KEEP_AGAIN_S)

    def _last_step(self) -> Next:
        """Return what to do when all routes were asked; one that refused for now may be asked again."""
        last = OUTCOMES[Outcome(self._refusals[-1].outcome)]
        if self._steps[-1].action is not Action.STOP or last.other_route is When.NEVER:
            return self._steps[-1]
        causes = [cause_of(told.status, Outcome(told.outcome)) for told in reversed(self._refusals)]
        steps = [self._next(cause, ()) for cause in causes]
        return next((step for step in steps if step.action is Action.SAME_ROUTE), self._steps[-1])

    def _next(self, cause: Cause, left: Sequence[Route]) -> Next:
        tried = self._message.tried
        others = sum(route.name not in tried for route in left)
        now = self._ports.clock.now()
        return next_step(
            cause, situation(self._ports, self._verification, self._message, now, other_routes=others)
        )

    def _refusal(self, route: str, status: str, outcome: Outcome, why: str = "") -> MessageRefused:
        return MessageRefused(
            _ms(self._ports.clock.now()), self._message.key.ordinal, route, status, outcome, why
        )

    async def _latest(self) -> Verification:
        verification = self._verification
        return (await self._ports.store.find(verification.tenant, verification.id)).verification


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
    if message.channel is Channel.VOICE:
        return _call(ports, verification, message, now)
    code = code_of(ports, verification, message.generation)
    text = text_of(ports, verification, code)
    sender = ports.service_of(verification.service).sender
    return Outgoing(
        key=message.key,
        msisdn=verification.msisdn,
        text=text,
        sender=sender,
        validity_s=int((verification.expires_at - now).total_seconds()),
        dlt=ports.dlt.fields(verification, sender, text, route, now),
        code=code,
    )


def _call(ports: Ports, verification: Verification, message: Message, now: datetime) -> Outgoing:
    """Make what a call says: no text, but a code once a person is there, or the question for a number."""
    matched = verification.particulars.match
    service = ports.service_of(verification.service)
    return Outgoing(
        key=message.key,
        msisdn=verification.msisdn,
        text="",
        sender=service.calls.caller or service.sender,
        validity_s=int((verification.expires_at - now).total_seconds()),
        code="" if matched else code_of(ports, verification, message.generation),
        match_digits=MATCH_DIGITS if matched else 0,
        locale=verification.particulars.locale,
        brand=service.brand,
        tenant=verification.tenant,
    )


async def _write(ports: Ports, message: Message, decide: Callable[[Message], Decision]) -> MessageStep:
    """Write down what became of a message. Raises: Conflict (another node has taken it since)."""
    decide = in_same_hands(message, decide)
    return (await record(ports, message.key, decide, now=ports.clock.now())).step


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
