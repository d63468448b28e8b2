"""Apply a carrier's receipt to its message; a receipt never approves or reopens a verification."""

import asyncio
from collections.abc import Callable, Sequence

from dastak.core import message as rules
from dastak.core import verification as verification_rules
from dastak.core.errors import DastakError, NotFound
from dastak.core.events import Event, MessageSubmitted
from dastak.core.message import CarrierRef, MessageState, Receipt
from dastak.core.outcome import Outcome
from dastak.core.ports import Change, Held, Ports
from dastak.core.verification import Verification
from dastak.delivery.receipts import EarlyReceipts

Acknowledge = Callable[[bool], None]


class Settlement:
    """Takes receipts from the routes, in whatever order they come."""

    def __init__(self) -> None:
        self._ports: Ports | None = None
        self._early = EarlyReceipts()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ports: Ports) -> None:
        """Settle from now on; earlier receipts are asked for again."""
        self._ports = ports

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        """Settle a receipt; the carrier is told once it is durable, or that it must come again."""
        if self._ports is None:
            acknowledge(False)
            return
        task = asyncio.get_running_loop().create_task(_settle(self._ports, self._early, receipt, acknowledge))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_events(self, verification: Verification, events: Sequence[Event]) -> None:
        """Settle what came early, as soon as its message has the carrier's id."""
        del verification
        if not len(self._early):
            return
        for event in events:
            if isinstance(event, MessageSubmitted):
                for receipt in self._early.claim(CarrierRef(event.route, event.carrier_ref)):
                    self.take(receipt, _nobody)


async def settle(ports: Ports, receipt: Receipt) -> bool:
    """Write one receipt down; when this returns it is durable and may be acknowledged.

    Returns:
        Whether it changed anything; a repeated one does not.

    Raises:
        NotFound: No message has this carrier's id (yet); `delivery.receipts` keeps it for a while.
        Overloaded: The store cannot write now; the carrier shall send it again.
    """
    now = ports.clock.now()

    def rule(held: Held) -> Change[tuple[Verification, tuple[Event, ...]]]:
        assert held.message is not None
        step = rules.settle(held.message, receipt, now=now)
        unreachable = (
            receipt.outcome is Outcome.UNKNOWN_NUMBER and step.message.state is MessageState.UNDELIVERED
        )
        ended = (
            verification_rules.give_up(held.verification, receipt.outcome, now=now)
            if unreachable
            else verification_rules.Step(held.verification)
        )
        return Change(
            answer=(ended.verification, (*step.events, *ended.events)),
            verification=None if ended.verification is held.verification else ended.verification,
            events=ended.events,
            message=None if step.message is held.message else step.message,
            trace=step.events,
        )

    answer = await ports.store.decide(receipt.carrier, rule)
    assert isinstance(answer, tuple)
    verification, events = answer
    if events:
        ports.publish(verification, events)
    return bool(events)


def _nobody(taken: bool) -> None:
    """Acknowledge to nobody: the carrier heard of an early receipt when it was put away."""


async def _settle(ports: Ports, early: EarlyReceipts, receipt: Receipt, acknowledge: Acknowledge) -> None:
    try:
        await settle(ports, receipt)
    except NotFound:
        # Another carrier's, a very late one, or one that overtook the answer to its submit.
        early.keep(receipt, now=ports.clock.now())
        acknowledge(True)
    except DastakError:
        acknowledge(False)
    else:
        acknowledge(True)
