"""Apply a carrier's receipt to its message, or its absence; it never approves or reopens a verification."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from dastak.core import message as rules
from dastak.core.errors import DastakError, NotFound, Refused
from dastak.core.events import MessageSubmitted
from dastak.core.message import CarrierRef, Message, MessageState, MessageStep, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import OUTCOMES, UNANSWERED, Outcome, When
from dastak.core.ports import Held, Ports
from dastak.core.verification import Verification
from dastak.delivery.failover import Silence, next_step
from dastak.delivery.receipts import EarlyReceipts
from dastak.flows.fall_back import situation
from dastak.flows.record import Decision, Recorded, anybody, begin, finish, in_same_hands, look_for, record

Acknowledge = Callable[[bool], None]

log = logging.getLogger("dastak.settle")


class Settlement:
    """Takes receipts from the routes, in whatever order they come; what comes at once is written together."""

    hears: Final = (MessageSubmitted,)

    def __init__(self) -> None:
        self._ports: Ports | None = None
        self._early = EarlyReceipts()
        self._burst: list[tuple[Receipt, Acknowledge]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ports: Ports) -> None:
        """Settle from now on; earlier receipts are asked for again."""
        self._ports = ports

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        """Settle a receipt; the carrier is told once it is durable, or that it must come again."""
        if self._ports is None:
            acknowledge(False)
            return
        self._burst.append((receipt, acknowledge))
        if len(self._burst) == 1:
            self._spawn(self._settle_burst(self._ports))

    def on_event(self, verification: Verification, event: MessageSubmitted) -> None:
        """Settle what came early, as soon as its message has the carrier's id."""
        del verification
        if len(self._early):
            for receipt in self._early.claim(CarrierRef(event.route, event.carrier_ref)):
                self.take(receipt, _nobody)

    async def look_again(self, ports: Ports) -> None:
        """Settle early receipts whose message another node has named since."""
        waiting = self._early.waiting(now=ports.clock.now())
        await asyncio.gather(*(self._look_for(ports, receipt) for receipt in waiting))

    async def _look_for(self, ports: Ports, receipt: Receipt) -> None:
        with suppress(NotFound):
            await settle(ports, receipt)
            for early in self._early.claim(receipt.carrier):
                if early != receipt:
                    self.take(early, _nobody)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_burst(self, ports: Ports) -> None:
        burst, self._burst = self._burst, []
        now = ports.clock.now()
        begun = [
            begin(ports, receipt.carrier, _decision(ports, receipt, now), now=now, of=_whose(receipt))
            for receipt, _ in burst
        ]
        for (receipt, acknowledge), (writing, noted) in zip(burst, begun, strict=True):
            try:
                recorded = finish(ports, await writing)
            except (NotFound, Refused) as error:  # by its other names, or without what costs too much
                error.__traceback__ = None  # it holds this frame, which holds it
                self._spawn(_settle(ports, self._early, receipt, acknowledge))
            except DastakError as why:
                look_for(ports, noted.message, why)
                acknowledge(False)
            except Exception:
                log.exception("a receipt could not be settled")
                acknowledge(False)
            else:
                _learn(ports, receipt, recorded)
                acknowledge(True)


async def settle(ports: Ports, receipt: Receipt) -> bool:
    """Write one receipt down; when this returns it is durable and may be acknowledged.

    Returns:
        Whether it changed anything; a repeated one does not.

    Raises:
        NotFound: No message has this carrier's id (yet); `delivery.receipts` keeps it for a while.
        Overloaded: The store cannot write now; the carrier shall send it again.
    """
    now = ports.clock.now()
    of = _whose(receipt)
    for carrier in receipt.refs:
        with suppress(NotFound):
            recorded = await record(ports, carrier, _decision(ports, receipt, now), now=now, of=of)
            _learn(ports, receipt, recorded)
            return bool(recorded.events)
    raise NotFound("No message has this carrier's id.")


def _whose(receipt: Receipt) -> Callable[[Msisdn], bool]:
    """Say to which numbers a message may be that a receipt is about.

    An id that can be read in several ways may be those of several messages: the number tells which is meant,
    as it must where the node that took the receipt did not send the message.
    """
    return receipt.may_be_of if receipt.alternatives else anybody


async def receipt_overdue(ports: Ports, held: Held) -> MessageStep:
    """Note that a receipt is late, and do what is due: another route at once, a call when its time has come.

    Raises:
        Overloaded: The store cannot write; the message is looked at again when its lease is over.
    """
    now, verification, message = ports.clock.now(), held.verification, held.message
    assert message is not None
    step = next_step(Silence.NO_RECEIPT, situation(ports, verification, message, now))
    again_at = now + timedelta(seconds=step.at_s) if step.at_s else None
    waited_ms = int((now - verification.last_sent_at).total_seconds() * 1000)

    def decide(found: Message) -> Decision:
        step = rules.overdue(found, waited_ms=waited_ms, again_at=again_at, now=now)
        return step, Silence.NO_RECEIPT if step.events else None

    return (await record(ports, message.key, in_same_hands(message, decide), now=now)).step


def _decision(ports: Ports, receipt: Receipt, now: datetime) -> Callable[[Message], Decision]:
    def decide(found: Message) -> Decision:
        step = rules.settle(found, receipt, believed=ports.believes(receipt.carrier.route), now=now)
        step = msgspec.structs.replace(step, answered_s=_answered_s(receipt))
        return step, _failure(receipt, step)

    return decide


def _answered_s(receipt: Receipt) -> float | None:
    """Return how long a call lasted from the answer on, where that is known."""
    return 0.0 if receipt.answered_s is None and receipt.outcome in UNANSWERED else receipt.answered_s


def _learn(ports: Ports, receipt: Receipt, recorded: Recorded) -> None:
    if receipt.operator:
        ports.learn_network(recorded.verification.msisdn, receipt.operator)


def _failure(receipt: Receipt, step: MessageStep) -> Outcome | None:
    """Return why the message does not arrive, if this receipt is the first to say so."""
    if step.message.state is not MessageState.UNDELIVERED:
        # Its carrier may go on trying, but something better may be due already.
        urgent = OUTCOMES[receipt.outcome].same_route is not When.NEVER
        return receipt.outcome if step.message.state is MessageState.SUBMITTED and urgent else None
    # That the number is nobody's counts even after another reason.
    return receipt.outcome if step.events or receipt.outcome is Outcome.UNKNOWN_NUMBER else None


def _nobody(taken: bool) -> None:
    """Acknowledge to nobody: the carrier heard of an early receipt when it was put away."""


async def _settle(ports: Ports, early: EarlyReceipts, receipt: Receipt, acknowledge: Acknowledge) -> None:
    try:
        await settle(ports, receipt)
    except NotFound:
        # Another carrier's, a very late one, or one that overtook the answer to its submit.
        early.keep(receipt, now=ports.clock.now())
        acknowledge(True)
        if receipt.alternatives:
            await _settle_named_meanwhile(ports, receipt)
    except DastakError:
        acknowledge(False)
    else:
        acknowledge(True)


async def _settle_named_meanwhile(ports: Ports, receipt: Receipt) -> None:
    """Settle an early receipt whose message got its ref while the others were looked for.

    Nobody claimed it then, for it was not on the shelf yet. A second time changes nothing.
    """
    with suppress(DastakError):
        await settle(ports, receipt)
