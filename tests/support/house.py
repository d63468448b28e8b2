"""All that the flows touch: a real store in a folder, a clock that stands still, routes that do as told."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from dastak.core.call_rules import CallRules
from dastak.core.errors import CarrierError
from dastak.core.events import AnyEvent, Event
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState, MessageStep, Receipt
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy
from dastak.core.ports import Change, Filter, Held, Once, Ports, Replayed
from dastak.core.tenant import Caller, Mode
from dastak.core.verification import Judgement, Step, Verification
from dastak.core.way_out import Outgoing
from dastak.delivery.routing import RouteTable
from dastak.dlt.registers import Registers
from dastak.flows.cancel import cancel
from dastak.flows.check import Attempt, check
from dastak.flows.compose import code_of
from dastak.flows.deliver import deliver
from dastak.flows.resend import Resent, resend
from dastak.flows.settle import Settlement, receipt_overdue, settle
from dastak.flows.start import Ask, Started, start
from dastak.guard.buckets import Rate
from dastak.guard.call_limits import TEST as MANY_CALLS
from dastak.guard.call_limits import CallLimits, CallSettings
from dastak.guard.limits import LIMITS, LimitSettings, SendLimits
from dastak.store.seal import AesGcmSealer
from dastak.telemetry.publisher import Publisher
from tests.support.samples import MSISDN, NOW, RING, some_key, some_service, some_tenant
from tests.support.stores import open_sqlite

Happening = TypeVar("Happening", bound=Event)

WIDE = LimitSettings(**{name: Rate(count=100_000, per_s=1) for name in LIMITS})
# No power is cut in tests of the flows, so the disk need not be waited for.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
PLAIN = Policy()
ANY_TIME = CallRules()
PRICE_MICROS = 10_000
RECEIPT_WITHIN_S = 8


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = NOW
        self._bells: list[tuple[datetime, Callable[[], None]]] = []

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        due = [entry for entry in self._bells if entry[0] <= self._now]
        self._bells = [entry for entry in self._bells if entry[0] > self._now]
        for _, bell in due:
            bell()
        return self._now

    def ring(self, after_s: float, bell: Callable[[], None]) -> Callable[[], None]:
        entry = (self._now + timedelta(seconds=after_s), bell)
        self._bells.append(entry)
        return lambda: self._bells.remove(entry) if entry in self._bells else None


class ScriptedRoute:
    """Writes down what it is offered and does what its script says next; past its end it accepts.

    Args:
        name: Also the beginning of the ids it gives.
        script: Refusals to raise, and things to await before it accepts.
    """

    def __init__(self, name: str, *script: CarrierError | Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self.available = True
        self.in_flight_max = 1000
        self.offered: list[Outgoing] = []
        self.script = list(script)

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        self.offered.append(outgoing)
        ref = CarrierRef(self.name, f"{self.name}-{len(self.offered)}")
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, CarrierError):
                raise step
            await step()
        return ref


class House:
    """Everything the flows touch; what was published and handed over is kept to look at.

    Attributes:
        told: What was published, in its order.
        told_of_each: The same, for each verification.
        handed: What was handed over and not delivered yet.
        learned: The routes whose deadline for a receipt is learned.
    """

    def __init__(
        self,
        store: Any,
        clock: FakeClock,
        routes: Sequence[ScriptedRoute],
        *,
        policy: Policy = PLAIN,
        limits: LimitSettings = WIDE,
        call_limits: CallSettings = MANY_CALLS,
        cap_micros: int = 10**9,
        calls: CallRules = ANY_TIME,
        judged: bool = False,
        seed: int = 0,
    ) -> None:
        self.store, self.clock = store, clock
        self.told: list[Event] = []
        self.told_of_each: defaultdict[VerificationId, list[Event]] = defaultdict(list)
        self.handed: list[tuple[Verification, Message]] = []
        self.learned: set[str] = set()
        self.settlement = Settlement()
        call_counts = CallLimits(live=call_limits, test=call_limits, judged=judged)
        self._publisher = Publisher((self.settlement, call_counts))
        self._news = asyncio.Event()
        service = some_service(n=1, policy=policy, countries=("IN",), domains=("login.acme.in",), calls=calls)
        self.caller = Caller(some_key(), some_tenant(n=1, daily_spend_cap_micros=cap_micros), service)
        self.registers = Registers()
        self.ports = Ports(
            clock=clock,
            entropy=random.Random(seed).randbytes,
            store=store,
            limits=SendLimits(live=limits, test=limits, judged=judged),
            calls=call_counts,
            routes=RouteTable(carriers=(), simulated=()),
            keys=RING,
            sealer=AesGcmSealer(RING),
            dlt=self.registers,
            publish=self._publish,
            hand_over=lambda verification, message: self.handed.append((verification, message)),
            look_for=lambda message: None,
            service_of=lambda n: replace(service, n=n),
            tenant_of=lambda n: replace(self.caller.tenant, n=n),
            is_stopped=store.is_stopped,
            receipt_within_s=lambda route, msisdn: RECEIPT_WITHIN_S,
            deadline_is_learned=lambda route, msisdn: route in self.learned,
            price_micros=lambda: PRICE_MICROS,
        )
        self.use(*routes)
        self.settlement.begin(self.ports)

    def use(self, *carriers: ScriptedRoute) -> None:
        """Send by these carriers from now on."""
        self.routes = carriers
        self.ports = replace(
            self.ports, routes=RouteTable(carriers=carriers, simulated=[ScriptedRoute("box")])
        )

    def caller_of(self, tenant: int = 1, service: int = 1, mode: Mode = Mode.LIVE) -> Caller:
        """Return somebody else who asks."""
        return Caller(
            replace(self.caller.key, mode=mode),
            replace(self.caller.tenant, n=tenant),
            replace(self.caller.service, n=service, tenant=tenant),
        )

    async def start(
        self, to: str = MSISDN, *, caller: Caller | None = None, once: Once | None = None, **asked: Any
    ) -> Verification:
        """Start a verification that must not be refused."""
        started = await self.ask(to, caller=caller, once=once, **asked)
        assert isinstance(started, Started)
        return started.verification

    async def ask(
        self, to: str = MSISDN, *, caller: Caller | None = None, once: Once | None = None, **asked: Any
    ) -> Started | Replayed:
        return await start(self.ports, caller or self.caller, Ask(to=to, **asked), once=once)

    async def check(self, verification: Verification, code: str, **transaction: str) -> Judgement:
        judged = await check(
            self.ports, verification.tenant, verification.id, Attempt(code=code, **transaction)
        )
        assert isinstance(judged, Judgement)
        return judged

    async def resend(self, verification: Verification, channel: Channel | None = None) -> Resent:
        sent = await resend(self.ports, self.caller, verification.id, channel)
        assert isinstance(sent, Resent)
        return sent

    async def cancel(self, verification: Verification) -> Verification:
        ended = await cancel(self.ports, verification.tenant, verification.id)
        assert isinstance(ended, Step)
        return ended.verification

    async def deliver(self) -> list[MessageStep]:
        """Deliver all that was handed over, late: what waited is read again, as when it is due."""
        handed, self.handed = self.handed, []
        return [
            await deliver(self.ports, await self.found(verification), message)
            for verification, message in handed
        ]

    async def deliver_due(self) -> list[MessageStep]:
        """Do what is due now, as the worker does."""
        due = await self.store.due(self.clock.now(), lease_until=self.clock.now(), limit=100)
        return [
            await deliver(self.ports, held.verification, held.message)
            if held.message.state is MessageState.QUEUED
            else await receipt_overdue(self.ports, held)
            for held in due
        ]

    async def receive(self, ref: str, outcome: Outcome) -> bool:
        """Settle a receipt; `ref` begins with the name of its route."""
        return await settle(self.ports, receipt(ref, outcome))

    def code(self, verification: Verification, generation: int = 0) -> str:
        return code_of(self.ports, verification, generation)

    def wrong(self, verification: Verification) -> str:
        """Return a code that none of its texts has."""
        sent = {self.code(verification, n) for n in range(verification.generation + 1)}
        return next(code for code in ("0" * 6, "1" * 6, "2" * 6) if code not in sent)

    async def found(self, verification: Verification) -> Verification:
        """Return it as the store has it."""
        held = await self.store.find(verification.tenant, verification.id)
        return held.verification

    async def message(self, verification: Verification, ordinal: int = 0) -> Message:
        """Return a message as the store has it."""

        def look(held: Held) -> Change[Message]:
            assert held.message is not None
            return Change(answer=held.message)

        found = await self.store.decide(MessageKey(verification.id, ordinal), look)
        assert isinstance(found, Message)
        return found

    async def message_state(self, verification: Verification, ordinal: int = 0) -> MessageState:
        return (await self.message(verification, ordinal)).state

    async def timeline(self, verification: Verification) -> Sequence[AnyEvent]:
        return await self.store.timeline(verification.tenant, verification.id)

    async def all(self, tenant: int = 1) -> Sequence[Verification]:
        """Return all verifications of a tenant, newest first."""
        return (await self.store.list(Filter(tenant=tenant, limit=200))).verifications

    def told_of(self, kind: type[Happening]) -> list[Happening]:
        return [event for event in self.told if isinstance(event, kind)]

    async def sees(self, kind: type[Happening], count: int = 1) -> list[Happening]:
        """Wait until so many events of a kind were published."""
        async with asyncio.timeout(10):
            while len(seen := self.told_of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return seen

    def _publish(self, verification: Verification, events: Sequence[Event]) -> None:
        self.told += events
        self.told_of_each[verification.id] += events
        self._publisher.publish(verification, events)
        self._news.set()


@asynccontextmanager
async def open_house(
    folder: Path, *routes: ScriptedRoute, clock: FakeClock | None = None, **settings: Any
) -> AsyncIterator[House]:
    """Open a house in a folder; the same folder again is the same house after a restart."""
    async with open_sqlite(folder) as store:
        yield House(store, clock or FakeClock(), routes or (ScriptedRoute("north"),), **settings)


def receipt(ref: str, outcome: Outcome) -> Receipt:
    """Return what a carrier reports of the message it named `ref`."""
    return Receipt(CarrierRef(ref.partition("-")[0], ref), outcome, f"stat:{outcome}")
