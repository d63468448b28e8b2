"""Apply a carrier's receipt to its message; a receipt never approves or reopens a verification."""

from dastak.core import message as rules
from dastak.core import verification as verification_rules
from dastak.core.events import Event
from dastak.core.message import MessageState, Receipt
from dastak.core.outcome import Outcome
from dastak.core.ports import Change, Held, Ports
from dastak.core.verification import Verification


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
        unreachable = receipt.outcome is Outcome.UNKNOWN_NUMBER and step.message.state is MessageState.UNDELIVERED
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
