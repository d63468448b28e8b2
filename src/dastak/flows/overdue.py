"""Take the next way when a carrier took a message and said nothing more of it."""

from datetime import timedelta

from dastak.core import message as rules
from dastak.core.message import Message, MessageStep
from dastak.core.ports import Held, Ports
from dastak.flows.fall_back import NO_RECEIPT, another_text
from dastak.flows.record import Decision, record


async def receipt_overdue(ports: Ports, held: Held) -> MessageStep:
    """Note that a receipt is late, and do what is due: another route at once, a call when its time has come.

    Raises:
        Overloaded: The store cannot write; the message is looked at again when its lease is over.
    """
    now, verification, message = ports.clock.now(), held.verification, held.message
    assert message is not None
    call_at = verification.last_sent_at + timedelta(seconds=verification.policy.call_after_s)
    waits = now < call_at and not another_text(ports, verification, message, now)
    waited_ms = int((now - verification.last_sent_at).total_seconds() * 1000)

    def decide(found: Message) -> Decision:
        step = rules.overdue(found, waited_ms=waited_ms, again_at=call_at if waits else None, now=now)
        return step, NO_RECEIPT if step.events else None

    return (await record(ports, message.key, decide, now=now)).step
