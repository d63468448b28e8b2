"""Sends and hears the sound of all calls of a process, on one ticker.

1. One ticker for all calls, never a task for each. Every 5 ms a quarter of the calls send, so that packets
   leave spread over the 20 ms and not in one burst.
2. Deadlines lie on the monotonic clock. A tick that comes late is caught up by the next ones; after more than
   `CAUGHT_UP_S` of standstill time starts afresh, for a burst would only overrun the peer's jitter buffer.
3. What stops the loop is heard as a gap: this runs in a process that does nothing else.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Final, Self

from dastak.voice.sound.g711 import FRAME_MS
from dastak.voice.sound.media_leg import MediaLeg
from dastak.voice.sound.media_ports import MediaPorts

SLOTS: Final = 4
TICK_S: Final = FRAME_MS / 1_000 / SLOTS
CAUGHT_UP_S: Final = 0.2

_log = logging.getLogger(__name__)


def next_due_s(due_s: float, now_s: float) -> tuple[float, bool]:
    """Return the deadline after this one, and whether time starts afresh."""
    following_s = due_s + TICK_S
    if now_s - following_s > CAUGHT_UP_S:
        return now_s + TICK_S, True
    return following_s, False


class Media:
    """The sound of all calls; `async with` it.

    Args:
        address: What to bind to, in digits.
        ports: The range; two for each call.
        entropy: Gives random octets.
        unix_s: The wall's time, for reports.

    Attributes:
        standstills: How often time started afresh, because something had stopped the loop.
    """

    def __init__(
        self,
        address: str,
        ports: range,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self.standstills = 0
        self._entropy = entropy
        self._unix_s = unix_s
        self._ports = MediaPorts(address, ports, first=int.from_bytes(entropy(2), "big"))
        self._open: set[MediaLeg] = set()
        self._slots: tuple[list[MediaLeg], ...] = tuple([] for _ in range(SLOTS))
        self._turn = 0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for leg in tuple(self._open):
            leg.close()

    def open(
        self, *, on_key: Callable[[str], None], on_end: Callable[[], None], symmetric: bool = True
    ) -> MediaLeg:
        """Take ports for a call that is about to be placed; it is silent and deaf until `start`.

        Args:
            on_key: Hears each key that is pressed, once.
            on_end: Called when the source of sound, given by `speak`, has no more.
            symmetric: Whether to follow the peer to where it sends from, as `Latch` does.

        Raises:
            Overloaded: Every port is in use.
        """
        leg = MediaLeg(
            self._ports.bind(),
            entropy=self._entropy,
            unix_s=self._unix_s,
            on_start=self._add,
            on_close=self._remove,
            on_key=on_key,
            on_end=on_end,
            symmetric=symmetric,
        )
        self._open.add(leg)
        return leg

    def _add(self, leg: MediaLeg) -> None:
        min(self._slots, key=len).append(leg)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due_s = loop.time() + TICK_S
            self._timer = loop.call_at(self._due_s, self._tick, loop)

    def _remove(self, leg: MediaLeg) -> None:
        self._open.discard(leg)
        for slot in self._slots:
            if leg in slot:
                slot.remove(leg)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        # First the next deadline: whatever happens below, the others go on.
        self._due_s, afresh = next_due_s(self._due_s, loop.time())
        self.standstills += afresh
        self._timer = loop.call_at(self._due_s, self._tick, loop)
        slot = self._slots[self._turn]
        self._turn = (self._turn + 1) % SLOTS
        for leg in tuple(slot):
            try:
                leg.tick()
            except Exception:
                # This is the voice process's worker loop: one call's defect may not silence the others.
                _log.exception("the sound of a call failed")
                leg.fail()
