"""Keep what is learned of routes: across a restart, and each change of a weight in its carrier's history.

1. Nobody is judged for silence before the database was asked: receipts and codes come to any node.
2. A node that learned nothing does not write over what others did.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import msgspec

from dastak.core.carrier import CarrierChange
from dastak.core.carrier_store import CarrierStore
from dastak.core.errors import DastakError
from dastak.core.ports import Clock
from dastak.delivery.demotions import Demotion
from dastak.delivery.health import Health

NAME: Final = "route_health"
WHO: Final = "health"
TICK_S: Final = 1.0
# What a minute taught may be lost.
SAVE_EVERY_TICKS: Final = 60
# Timelines that are read together.
LOOK_MAX: Final = 100
# Changes that wait for the database; with more of them the oldest are only logged.
WAITING_MAX: Final = 1_000

log = logging.getLogger("dastak.routing")


class Learning:
    """Lets time pass for `Health`, as an async context; what was learned before is there when it begins.

    Args:
        store: Where it is kept.
        clock: The time.
        health: Makes the judge; given whom to tell of changes.

    Attributes:
        health: The judge.
    """

    def __init__(
        self, store: CarrierStore, clock: Clock, health: Callable[[Callable[[Demotion], None]], Health]
    ) -> None:
        self._store, self._clock = store, clock
        self._waiting: deque[Demotion] = deque(maxlen=WAITING_MAX)
        self._jobs = AsyncExitStack()
        self.health = health(self._tell)
        self._kept = b""

    async def __aenter__(self) -> Self:
        """Go on with what an earlier run learned."""
        kept = await self._store.learned(NAME)
        if kept is not None and not self.health.restore(kept):
            log.warning("what was learned of routes cannot be read by this version; learning anew")
        self._kept = self.health.snapshot()
        task = asyncio.create_task(self._run())
        self._jobs.push_async_callback(_ended, task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was learned; stopping twice is fine."""
        await self._jobs.aclose()
        await self._keep(scores=True)

    def _tell(self, demotion: Demotion) -> None:
        self._waiting.append(demotion)
        place = f" in {demotion.country}" if demotion.country else ""
        log.warning(
            "route %s%s has %.2f of its weight, before %.2f: %s",
            demotion.route,
            place,
            demotion.factor,
            demotion.before,
            demotion.why,
        )

    async def _run(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._clock.now().timestamp()
            self.health.tick(now_s, judges=await self._hear(now_s))
            ticks += 1
            await self._keep(scores=ticks % SAVE_EVERY_TICKS == 0)

    async def _hear(self, now_s: float) -> bool:
        """Read what became of the texts that are to be judged for silence; say whether that is known now."""
        unheard = self.health.unheard(now_s)
        try:
            for first in range(0, len(unheard), LOOK_MAX):
                some = unheard[first : first + LOOK_MAX]
                for (_, of), timeline in zip(some, await self._store.timelines(some), strict=True):
                    self.health.hear(of, timeline)
        except DastakError as error:
            log.info("texts are judged for silence later: %s", error.detail)
            return False
        return True

    async def _keep(self, *, scores: bool) -> None:
        """Write down what changed, and the scores; what the database cannot take now it takes later."""
        try:
            changed = await self._write_changes()
            if (scores or changed) and (body := self.health.snapshot()) != self._kept:
                await self._store.learn(NAME, body)
                self._kept = body
        except DastakError as error:
            log.warning("what was learned of routes is not kept: %s", error.detail)

    async def _write_changes(self) -> bool:
        changed = bool(self._waiting)
        while self._waiting:
            await self._store.note_change(_line(self._waiting[0]))
            self._waiting.popleft()
        return changed


def _line(demotion: Demotion) -> CarrierChange:
    """Return a change of weight as a line of its carrier's history."""
    after = {"revision": demotion.revision, "factor": demotion.factor, "figures": demotion.figures}
    return CarrierChange(
        carrier=demotion.route,
        at=datetime.fromtimestamp(demotion.at_s, UTC),
        who=WHO,
        what="demoted" if demotion.factor < demotion.before else "recovered",
        why=f"{demotion.country}: {demotion.why}" if demotion.country else demotion.why,
        before=_json({"factor": demotion.before}),
        after=_json(after),
    )


def _json(shown: object) -> str:
    return msgspec.json.encode(shown).decode()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
