"""Put away a message that cannot be written: what we do with it raises, however often it is tried.

1. Each time is told in its timeline, so that the count outlives the process and is the same on every node.
2. After the third it is a dead letter: dropped, with the cause `broken`, and nobody else waits behind it.
3. What is told names the kind of the error and nothing of its words, which may hold a number or a code.
"""

import logging
from datetime import timedelta
from typing import Final

import msgspec

from dastak.core import ids
from dastak.core.errors import DastakError
from dastak.core.events import MessageRefused
from dastak.core.message import BROKEN, Message, MessageState, MessageStep
from dastak.core.outcome import Outcome
from dastak.core.ports import Ports
from dastak.flows.deliver import drop
from dastak.flows.record import Decision, in_same_hands, record

BREAKS_MAX: Final = 3
AGAIN_S: Final = 5.0

log = logging.getLogger("dastak.dead_letter")


async def broke(ports: Ports, message: Message, error: Exception) -> None:
    """Note that a delivery raised what nobody expects; after the third time put the message away.

    Args:
        ports: The outside world.
        message: As its delivery held it; where another node has taken it over since, nothing is done.
        error: What was raised.
    """
    now, key = ports.clock.now(), message.key
    told = MessageRefused(
        int(now.timestamp() * 1000), key.ordinal, "", BROKEN, Outcome.UNKNOWN, type(error).__name__
    )

    def decide(found: Message) -> Decision:
        if found.state is not MessageState.QUEUED:
            return MessageStep(found), None
        again = msgspec.structs.replace(found, due_at=now + timedelta(seconds=AGAIN_S))
        return MessageStep(again, (told,)), None

    try:
        recorded = await record(ports, key, in_same_hands(message, decide), now=now)
        if recorded.step.message.state is not MessageState.QUEUED:
            return
        timeline = await ports.store.timeline(recorded.verification.tenant, key.verification)
        breaks = sum(
            isinstance(event, MessageRefused) and event.ordinal == key.ordinal and event.status == BROKEN
            for event in timeline
        )
        if breaks >= BREAKS_MAX:
            why = f"{type(error).__name__}, {breaks} times"
            await drop(ports, recorded.step.message, BROKEN, why=why)
            log.error("a dead letter: message %d of %s: %s", key.ordinal, ids.show(key.verification), why)
    except DastakError as refusal:  # its lease brings it back
        log.warning("a broken message could not be put away: %s", refusal.detail)
