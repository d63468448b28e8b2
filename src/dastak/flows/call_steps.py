"""Write down what happens in a call while it lasts: ringing, answered, which key, spoken, hung up.

The number that a person typed is judged and never written down.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from dastak.core.errors import DastakError
from dastak.core.events import CallNoted
from dastak.core.message import Message, MessageKey, MessageStep
from dastak.core.ports import Ports
from dastak.flows.match import match
from dastak.flows.record import Decision, record

# The step whose detail is the number that was typed.
TYPED: Final = "typed"

log = logging.getLogger("dastak.call_steps")


class CallSteps:
    """Takes the steps of all calls, in their order; each call has a dozen at most."""

    def __init__(self) -> None:
        self._ports: Ports | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ports: Ports) -> None:
        """Write down from now on."""
        self._ports = ports

    def take(self, key: MessageKey, step: str, detail: str = "") -> None:
        """Write one step down, as of now; the detail of `typed` is the number, which is judged."""
        if self._ports is None:
            return
        work = _judge(self._ports, key, detail) if step == TYPED else _note(self._ports, key, step, detail)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _judge(ports: Ports, key: MessageKey, typed: str) -> None:
    await _note(ports, key, TYPED, "")
    try:
        await match(ports, key.verification, typed)
    except DastakError as error:
        log.warning("a number that was typed into a phone is not judged: %s", error.detail)


async def _note(ports: Ports, key: MessageKey, step: str, detail: str) -> None:
    now = ports.clock.now()
    try:
        await record(ports, key, _noted(now, step, detail), now=now)
    except DastakError as error:  # the call goes on without its line in the timeline
        log.warning("a step of a call is not written down: %s", error.detail)


def _noted(now: datetime, step: str, detail: str) -> Callable[[Message], Decision]:
    at_ms = int(now.timestamp() * 1000)
    return lambda found: (MessageStep(found, (CallNoted(at_ms, found.key.ordinal, step, detail),)), None)
