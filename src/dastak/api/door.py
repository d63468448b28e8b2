"""Who may stay connected, and for how long: the deadlines and counts behind every connection.

1. A request is whole within four seconds, or it ends in 408; a slow sender cannot hold a place.
2. An address may keep fifty connections that have not sent a request for a second; the oldest others end.
3. Past the most connections a new one is told 503, and nobody who is being served notices. One address
   has at most half of the places, so that nobody alone shuts the door.

Why these figures: docs/explanation/edge.md.
"""

import asyncio
import contextlib
import math
import resource
from collections import Counter
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

LOOK_EVERY_S: Final = 0.25
# Sockets, files and the database need some descriptors that connections must not take.
DESCRIPTORS_RESERVED: Final = 64
# Of those; more who were told 503 are not waited for until they have read it.
LINGERING_MAX: Final = 16


class DoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the door is.

    Attributes:
        request_s: For the headers, and again for the body.
        idle_s: Between two requests of one connection.
        linger_s: For a refused sender to read why.
        stalled_s: After this long without a whole request a connection counts as stalled.
        stalled_per_address_max: Stalled connections one address may keep.
        connections_per_address_max: Connections of one address, whatever they do.
        connections_max: Connections in all; fewer where the system gives fewer descriptors.
        body_octets_max: Octets of a request's body.
        upload_octets_max: Octets of a form with files, which only the console takes.
        upload_s: For all of such a form, on a slow line.
        head_octets_max: Octets of a request's headers.
        line_octets_max: Octets of a request's address.
    """

    request_s: float = 4.0
    idle_s: float = 4.5
    linger_s: float = 1.0
    stalled_s: float = 1.0
    stalled_per_address_max: int = 50
    connections_per_address_max: int = 1_000
    connections_max: int = 10_000
    body_octets_max: int = 16 * 1024
    upload_octets_max: int = 4_100_000
    upload_s: float = 60.0
    head_octets_max: int = 16 * 1024
    line_octets_max: int = 4 * 1024


class Visitor(Protocol):
    """What the door knows of a connection.

    Attributes:
        address: The other end.
        since: When it last began to owe us something (loop time); infinite while it owes nothing.
        deadline: When our patience ends (loop time); infinite while we owe the answer.
    """

    address: str
    since: float
    deadline: float

    def overdue(self) -> None:
        """End it: its time is over."""


class Door:
    """Counts connections and ends those whose time is over, as an async context.

    Attributes:
        closing: Whether each answer is the last one of its connection.
    """

    def __init__(self, settings: DoorSettings) -> None:
        self.settings = settings
        self.closing = False
        # Insertion order is age: the oldest visitor comes first.
        self._visitors: dict[Visitor, None] = {}
        self._per_address: Counter[str] = Counter()
        self._lingering: dict[Visitor, None] = {}
        self._places = min(settings.connections_max, _descriptors() - DESCRIPTORS_RESERVED)
        self._places_per_address = min(settings.connections_per_address_max, max(1, self._places // 2))
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    def enter(self, visitor: Visitor) -> bool:
        """Let a connection in; False when there is no place for it."""
        of_address = self._per_address.get(visitor.address, 0)
        if len(self._visitors) >= self._places or of_address >= self._places_per_address:
            return False
        self._visitors[visitor] = None
        self._per_address[visitor.address] = of_address + 1
        return True

    def linger(self, visitor: Visitor) -> bool:
        """Keep a connection that got no place until it has read so; False when too many are kept for that."""
        if len(self._lingering) >= LINGERING_MAX:
            return False
        self._lingering[visitor] = None
        return True

    def leave(self, visitor: Visitor) -> None:
        """Forget a connection; twice is fine."""
        self._lingering.pop(visitor, None)
        if self._visitors.pop(visitor, self) is self:
            return
        self._per_address[visitor.address] -= 1
        if not self._per_address[visitor.address]:
            del self._per_address[visitor.address]

    def forgive(self, seconds: float) -> None:
        """Give everybody time back that was lost on our side: what they sent meanwhile is not read yet."""
        for visitor in (*self._visitors, *self._lingering):
            visitor.since += seconds
            visitor.deadline += seconds

    def look(self, now: float) -> None:
        """End the connections whose deadline is over, and the oldest stalled ones of a crowded address."""
        stalled: dict[str, list[Visitor]] = {}
        for visitor in (*self._visitors, *self._lingering):
            if now >= visitor.deadline:
                visitor.overdue()
            elif now - visitor.since >= self.settings.stalled_s:
                stalled.setdefault(visitor.address, []).append(visitor)
        for crowd in stalled.values():
            for visitor in crowd[: max(0, len(crowd) - self.settings.stalled_per_address_max)]:
                visitor.overdue()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = loop.time()
            self.forgive(now - looked - LOOK_EVERY_S)
            self.look(now)
            looked = now


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft in (resource.RLIM_INFINITY, math.inf) else soft
