"""The clock codes live by: the wall's time, but never backwards and never slower than the monotonic clock.

1. A wall clock set back changes nothing: no code lives longer than its lifetime in monotonic seconds.
2. A wall clock set forward is followed at once and for good. It ends codes early, and that is the safe side.
3. `offset_s` tells how far this clock is from the wall; past two seconds somebody should look at the machine.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_US: Final = 1_000


class SteadyClock:
    """A `core.ports.Clock` for one process."""

    def __init__(
        self,
        latest_at: datetime | None = None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start at the wall's time, or at the newest instant the database knows if that is later."""
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        # The most the wall was ever ahead of the monotonic clock. It only grows, and that is the whole rule.
        self._ahead_ns = wall_ns() - monotonic_ns()
        if latest_at is not None:
            latest_ns = (latest_at - _EPOCH) // timedelta(microseconds=1) * _NS_PER_US
            self._ahead_ns = max(self._ahead_ns, latest_ns - monotonic_ns())
        self._rows: dict[float, _Row] = {}

    def now(self) -> datetime:
        """Return the present instant, aware UTC, in whole microseconds."""
        # A float of this size is exact to a quarter of a microsecond.
        return datetime.fromtimestamp(self._now_ns() // _NS_PER_US / 1e6, UTC)

    def ring(self, after_s: float, bell: Callable[[], None]) -> Callable[[], None]:
        """Call `bell` once after so many monotonic seconds, unless the answer is called before."""
        row = self._rows.get(after_s)
        if row is None:
            row = self._rows[after_s] = _Row(after_s)
        return row.add(bell)

    def offset_s(self) -> float:
        """Return the seconds this clock is ahead of the wall; readiness alarms past two."""
        return (self._now_ns() - self._wall_ns()) / 1e9

    def _now_ns(self) -> int:
        # The wall first: a pause between the readings must not count as a step ahead, for that stays.
        wall_ns = self._wall_ns()
        monotonic_ns = self._monotonic_ns()
        self._ahead_ns = max(self._ahead_ns, wall_ns - monotonic_ns)
        return monotonic_ns + self._ahead_ns


class _Row:
    """Bells that ring after the same time, so the first to be added is the first to ring.

    Nearly all are unwanted long before their time, and a timer of the loop for each would cost more than the
    rest of what it guards; here one timer waits for the first, and who is unwanted goes with the next one.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._bells: deque[_Bell] = deque()
        self._waits = False

    def add(self, bell: Callable[[], None]) -> Callable[[], None]:
        """Ring a bell in time, unless the answer is called before."""
        loop = asyncio.get_running_loop()
        hung = _Bell(loop.time() + self._after_s, bell)
        self._forget_unwanted()
        self._bells.append(hung)
        if not self._waits:
            self._wait(loop)
        return hung.mute

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waits = bool(self._bells)
        if self._waits:
            loop.call_at(self._bells[0].at_s, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        while self._bells and self._bells[0].at_s <= now_s:
            loop.call_soon(self._bells.popleft().ring)
        self._forget_unwanted()
        self._wait(loop)

    def _forget_unwanted(self) -> None:
        while self._bells and self._bells[0].bell is None:
            self._bells.popleft()


class _Bell:
    __slots__ = ("at_s", "bell")

    def __init__(self, at_s: float, bell: Callable[[], None]) -> None:
        self.at_s = at_s
        self.bell: Callable[[], None] | None = bell

    def ring(self) -> None:
        if self.bell is not None:
            self.bell()

    def mute(self) -> None:
        self.bell = None
