"""One try of one carrier: connect, bind, send a text, wait for its receipt, and say what each step took.

1. A trial has a route of its own, so it can try a carrier that is drained or off, and disturbs no other bind.
2. Its receipt is never taken for one of a verification; what comes for others, it leaves to them.
3. It ends in bounded time, and says at the step that failed why, and what to do next.
4. No secret, no text and no whole number is told.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from dastak.carriers.carrier_kinds import (
    KINDS,
    NO_CALLBACK,
    Acknowledge,
    LivingRoute,
    TakeReceipt,
    open_route,
)
from dastak.carriers.link_remedies import link_remedy
from dastak.carriers.trial_report import Errand, Report, Step, StepName, Told
from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.errors import CarrierError, CarrierRejected, CarrierUnavailable, DastakError
from dastak.core.ids import ID_OCTETS, VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.msisdn import Msisdn, mask
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.remedies import REMEDIES, Remedy, remedy_of
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_route import Callback
from dastak.sms.bind_group import BindView
from dastak.sms.esme import BindState
from dastak.sms.pdu_words import Seen
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings

# A carrier's own time limits for connecting and binding count, but no longer than this together.
LINK_S_MAX: Final = 20.0
# As long as a code lives, so that the carrier tries as it will for one.
VALIDITY_S: Final = 300
# What a template of a vendor's own is filled with, for it takes no text; nobody asked for this code.
CODE: Final = "000000"
# Receipts that passed by before the carrier's id was known.
OVERHEARD_MAX: Final = 1000
# A link that fails tells nobody but who looks.
_LOOK_EVERY_S: Final = 0.02


Opener = Callable[[TakeReceipt], LivingRoute]


@runtime_checkable
class Observed(Protocol):
    """What a route with binds shows of them."""

    def watch(self, tap: Callable[[Seen], None]) -> Callable[[], None]:
        """Show what is said."""

    def binds(self) -> tuple[BindView, ...]:
        """Return every bind as it stands."""


@runtime_checkable
class Warmed(Protocol):
    """What a route shows that connects for each request, and is called back with receipts."""

    async def wait_warm(self) -> None:
        """Return as soon as the carrier was connected to, or could not be."""

    @property
    def fault(self) -> str:
        """Why the carrier cannot be connected to; empty when it can."""

    @property
    def unheard(self) -> str:
        """What to do so that its receipts come in here; empty when they do."""


@runtime_checkable
class Rings(Protocol):
    """What a route shows that brings calls and no texts."""

    @property
    def rings_phones(self) -> bool:
        """That it does."""


class _Standing(NamedTuple):
    up: bool
    reason: str


def opener(carrier: Carrier, settings: Mapping[str, Any], callback: Callback = NO_CALLBACK) -> Opener:
    """Return what makes the route of a trial; it has one bind of each kind, whatever the carrier has.

    Args:
        carrier: As it is written down.
        settings: Its own, with its secrets.
        callback: Where its webhooks come in, where a server takes them.
    """
    wanted = {**settings, **KINDS[carrier.kind].for_trial}
    return lambda take: open_route(
        carrier.kind, carrier.name, wanted, take, take_reply=refuse, callback=callback
    )


def opener_of_file(name: str, settings: SmppSettings) -> Opener:
    """Return the same for a carrier of the settings file."""
    one = msgspec.structs.replace(settings, **KINDS[CarrierKind.SMPP].for_trial)
    return partial(SmppRoute, name, one, take_reply=refuse)


class Trial:
    """One trial.

    Args:
        name: Of the carrier.
        open_one: Makes its route.
        errand: What to try.
        tell: Told of every step and PDU as it happens.
        others: Given the receipts that are not the trial's.
    """

    def __init__(
        self,
        name: str,
        open_one: Opener,
        errand: Errand,
        *,
        tell: Callable[[Told], None],
        others: TakeReceipt,
    ) -> None:
        self.name = name
        self._open_one, self._errand, self._tell, self._others = open_one, errand, tell, others
        self._steps: list[Step] = []
        self._pdus: list[Seen] = []
        self._heard = asyncio.Event()
        self._ref: CarrierRef | None = None
        self._submitting = False
        self._held: list[tuple[Receipt, Acknowledge]] = []
        self._overheard: list[Receipt] = []
        self._receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self._outcome: Outcome | None = None
        self._linked = False
        self._calls = False

    async def run(self) -> Report:
        """Try, and return what it came to; it raises nothing for what is wrong with the carrier."""
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        try:
            route = self._open_one(self.take)
        except DastakError as error:
            self._step(StepName.CONNECT, error.detail, next_=link_remedy(error.detail, self.name))
        except OSError as error:
            words = f"its TLS files cannot be used: {error}"
            self._step(StepName.CONNECT, words, next_=link_remedy("TLS files", self.name))
        else:
            await self._try(route)
        return Report(
            carrier=self.name,
            linked=self._linked,
            delivered=self._outcome is Outcome.DELIVERED,
            outcome=self._outcome,
            steps=tuple(self._steps),
            pdus=tuple(self._pdus),
        )

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        """Take a receipt that came over the trial's own route."""
        if self._submitting:
            # It cannot be told yet whose it is; the link bounds how many wait.
            self._held.append((receipt, acknowledge))
        elif self._is_mine(receipt):
            acknowledge(True)
            self._receipts.put_nowait(receipt)
        else:
            self._others(receipt, acknowledge)

    def overhears(self, receipt: Receipt) -> bool:
        """Look at a receipt that came over another bind of the account; True takes it away."""
        if receipt.carrier.route != self.name:
            return False
        if self._is_mine(receipt):
            self._receipts.put_nowait(receipt)
            return True
        if self._submitting and len(self._overheard) < OVERHEARD_MAX:
            self._overheard.append(receipt)
        return False

    async def _try(self, route: LivingRoute) -> None:
        observed = isinstance(route, Observed)
        self._calls = isinstance(route, Rings)
        if isinstance(route, Observed):
            route.watch(self._on_pdu)
        before = _standing(route)
        async with route:
            self._linked = await self._link_up(route, before)
            if self._linked and self._errand.to is not None:
                await self._send(route, self._errand.to)
        if self._linked and observed:
            self._step(StepName.UNBIND, "the link is closed", ok=True)

    async def _link_up(self, route: LivingRoute, before: tuple[_Standing, ...]) -> bool:
        """Wait until all binds are up, or one of them tells why it is not."""
        observed = isinstance(route, Observed)
        try:
            async with asyncio.timeout(LINK_S_MAX):
                if isinstance(route, Warmed):
                    await route.wait_warm()
                    if route.fault:
                        return self._no_link(route.fault)
                while not all(bind.up for bind in _standing(route)):
                    for bind, was in zip(_standing(route), before, strict=True):
                        if not bind.up and bind != was:
                            return self._no_link(bind.reason)
                    await self._wait_for_news()
        except TimeoutError:
            return self._no_link("no answer in time")
        if observed:
            self._step(StepName.BIND, "the carrier took it", ok=True)
        else:
            self._step(StepName.CONNECT, route.reason if self._calls else "connected", ok=True)
        return True

    async def _wait_for_news(self) -> None:
        self._heard.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._heard.wait()

    def _no_link(self, reason: str) -> bool:
        step = StepName.BIND if self._steps else StepName.CONNECT
        self._step(step, reason, next_=link_remedy(reason, self.name))
        return False

    async def _send(self, route: LivingRoute, to: Msisdn) -> None:
        sender, text = self._errand.sender, self._errand.text
        self._step(StepName.SUBMIT, _errand_words(route, to, self._errand), ok=True)
        dlt = self._errand.dlt
        key = MessageKey(VerificationId(os.urandom(ID_OCTETS)), 0)
        self._submitting = True
        try:
            async with asyncio.timeout(self._errand.timeout_s):
                self._ref = await route.submit(Outgoing(key, to, text, sender, VALIDITY_S, dlt, CODE))
        except TimeoutError:
            self._unanswered(CarrierUnavailable("no answer in time", outcome_unknown=True), route)
        except CarrierError as error:
            self._unanswered(error, route)
        finally:
            self._submitting = False
            self._release()
        if self._ref is not None:
            self._outcome = Outcome.ACCEPTED
            took = "it rings, as" if self._calls else "the carrier took it as"
            self._step(StepName.ANSWER, f"{took} {self._ref.ref}", ok=True)
            unheard = route.unheard if isinstance(route, Warmed) else ""
            if unheard:
                self._step(StepName.RECEIPT, "no receipt can come in here", next_=unheard)
            else:
                await self._wait_for_receipt(self._ref)

    def _unanswered(self, error: CarrierError, route: LivingRoute) -> None:
        """Tell why the carrier did not take it."""
        if isinstance(error, CarrierRejected):
            self._outcome = _outcome(error.outcome)
            remedy = REMEDIES[self._outcome]
            words = f"{error.detail} ({self._outcome}): the carrier {remedy.means}"
            self._step(StepName.ANSWER, words, next_=remedy.action)
            return
        request, patience = _request_and_patience(route)
        action = f"try again; if it stays, ask the carrier what it does with your {request}"
        if isinstance(error, CarrierUnavailable) and error.outcome_unknown:
            action = (
                f"look whether the text came all the same; if so, raise {patience}, after which codes "
                "take the next route"
            )
        self._step(StepName.ANSWER, error.detail, next_=action)

    async def _wait_for_receipt(self, ref: CarrierRef) -> None:
        """Wait for the final receipt, and tell of those before it."""
        try:
            async with asyncio.timeout(self._errand.timeout_s):
                while not OUTCOMES[(receipt := await self._receipts.get()).outcome].terminal:
                    self._outcome = receipt.outcome
                    self._step(StepName.RECEIPT, _told(receipt), ok=True)
        except TimeoutError:
            words = f"no final receipt within {self._errand.timeout_s:g} s"
            where = "give the call longer: --timeout 120" if self._calls else self._where_receipts_are(ref)
            self._step(StepName.RECEIPT, words, next_=where)
            return
        self._outcome = receipt.outcome
        delivered = receipt.outcome is Outcome.DELIVERED
        self._step(StepName.RECEIPT, _told(receipt), ok=delivered, next_=_remedy(receipt).action)

    def _where_receipts_are(self, ref: CarrierRef) -> str:
        """Say what to do where no receipt came."""
        where = "to this account" if self._pdus else f"where dastak carrier hook {self.name} says"
        return (
            f"look whether the text came: if so, have the carrier send receipts {where}; if not, ask "
            f"it what became of {ref.ref}"
        )

    def _release(self) -> None:
        """Hand on what came before it could be told whose it is."""
        held, self._held = self._held, []
        for receipt, acknowledge in held:
            self.take(receipt, acknowledge)
        overheard, self._overheard = self._overheard, []
        for receipt in filter(self._is_mine, overheard):
            self._receipts.put_nowait(receipt)

    def _is_mine(self, receipt: Receipt) -> bool:
        return self._ref is not None and self._ref in receipt.refs

    def _on_pdu(self, seen: Seen) -> None:
        """Show a PDU; the first one of ours says that the connection is made."""
        if seen.sent and not self._steps:
            self._step(StepName.CONNECT, "connected", ok=True)
        seen = msgspec.structs.replace(seen, at_ms=self._now_ms())
        self._pdus.append(seen)
        self._tell(seen)
        self._heard.set()

    def _step(self, name: StepName, words: str, *, ok: bool = False, next_: str = "") -> None:
        at_ms = self._now_ms()
        took_ms = at_ms - (self._steps[-1].at_ms if self._steps else 0)
        step = Step(
            name=name,
            at_ms=at_ms,
            took_ms=took_ms,
            pdus_before=len(self._pdus),
            ok=ok,
            words=_plain(words),
            next=next_,
        )
        self._steps.append(step)
        self._tell(step)

    def _now_ms(self) -> int:
        return int((self._loop.time() - self._began_at) * 1000)


def _errand_words(route: LivingRoute, to: Msisdn, errand: Errand) -> str:
    """Say what is tried, with neither a text nor a whole number."""
    if isinstance(route, Rings):
        return f"a call to {mask(to)}: press the digit that it asks for, and it speaks {CODE}"
    sender = f" from {errand.sender}" if errand.sender else ""
    return f"a text of {len(errand.text)} characters to {mask(to)}{sender}"


def _request_and_patience(route: LivingRoute) -> tuple[str, str]:
    """Return how the route asks, and which setting says how long it waits for an answer."""
    if isinstance(route, Rings) and not isinstance(route, Warmed):
        return "INVITE", "silence_s"
    return ("submit_sm", "response_timeout_s") if isinstance(route, Observed) else ("request", "total_s")


def refuse(_brought: Any, acknowledge: Acknowledge) -> None:
    """Leave a receipt or a text from a phone to somebody else: the carrier shall bring it again."""
    acknowledge(False)


def _plain(words: str) -> str:
    """Keep what a carrier wrote from writing to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in words)


def _standing(route: LivingRoute) -> tuple[_Standing, ...]:
    if isinstance(route, Observed):
        return tuple(_Standing(bind.state is BindState.BOUND, bind.reason) for bind in route.binds())
    return (_Standing(route.available, route.reason),)


def _outcome(told: str) -> Outcome:
    return Outcome(told) if told in Outcome.__members__.values() else Outcome.UNKNOWN


def _told(receipt: Receipt) -> str:
    return f"{receipt.outcome} ({receipt.evidence}): the carrier {_remedy(receipt).means}"


def _remedy(receipt: Receipt) -> Remedy:
    return remedy_of(receipt.outcome, call=receipt.evidence.startswith("call:"))
