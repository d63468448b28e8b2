"""Have this node live in the list of nodes, and let everything go when that cannot be said in time.

1. A beat a second renews whatever this node holds; who could not renew for `HOLD_S` holds nothing, by its own
   monotonic clock, whether the database is away or the process was stopped.
2. A node that was taken for dead comes back under a new number, and holds nothing of what it had.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Final, Self

from dastak.core.errors import DastakError
from dastak.core.node import BEAT_EVERY_S, HOLD_S, Beat, NodeStore, Role
from dastak.core.way_out import Queue

# A farewell is a courtesy: without it the others wait until this node is dead.
LEAVE_S_MAX: Final = 1.0

log = logging.getLogger("dastak.nodes")


class Pulse:
    """The life of this node among the others, as an async context.

    Args:
        store: Where nodes are written down.
        name: For people.
        roles: What it does.
        up: Returns the carriers that it is bound to.
        queues: Returns who waits here, by route.
        on_beat: Told after every beat who lives and what they hold.
        on_lost: Told when this node must hold nothing any more.
    """

    def __init__(
        self,
        store: NodeStore,
        *,
        name: str,
        roles: Collection[Role],
        up: Callable[[], Collection[str]],
        queues: Callable[[], Mapping[str, Queue]],
        on_beat: Callable[[Beat], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._store, self._name, self._roles = store, name, roles
        self._up, self._queues, self._on_beat, self._on_lost = up, queues, on_beat, on_lost
        self._beating: asyncio.Task[None] | None = None
        self._end: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Join the nodes, unless there can be no other one."""
        if not self._store.alone:
            self._loop = asyncio.get_running_loop()
            await self._join()
            await self._beat()
            self._beating = self._loop.create_task(self._go_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave, so that the others need not wait; what this node held must be closed by now."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        self._beating = None
        if self._end is not None:
            self._end.cancel()
        try:
            async with asyncio.timeout(LEAVE_S_MAX):
                await self._store.leave()
        except (DastakError, TimeoutError):
            log.warning("the other nodes could not be told that this one stops")

    async def _join(self) -> None:
        number = await self._store.join(self._name, self._roles)
        log.info("this is node %d (%s), %s", number, self._name, ", ".join(self._roles))

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY_S)
            try:
                await self._beat()
            except DastakError as error:
                log.warning("a beat of this node was lost: %s", error.detail)
            except Exception:
                log.exception("a beat of this node failed")

    async def _beat(self) -> None:
        began_at = self._loop.time()
        heard = await self._store.beat(self._up(), self._queues())
        if heard is None:
            log.warning("the other nodes took this one for dead")
            self._on_lost()
            await self._join()
            return
        if self._end is not None:
            self._end.cancel()
        # From when the beat was sent: the others count from when it came to the database, which is later.
        self._end = self._loop.call_at(began_at + HOLD_S, self._lose)
        if self._loop.time() < began_at + HOLD_S:
            self._on_beat(heard)

    def _lose(self) -> None:
        log.error("this node could not renew what it holds for %s s: it lets its binds go", HOLD_S)
        self._on_lost()
