"""The clock codes live by: the wall's time, but never backwards and never slower than the monotonic clock.

1. A wall clock set back changes nothing: no code lives longer than its lifetime in monotonic seconds.
2. A wall clock set forward is followed at once and for good. It ends codes early, and that is the safe side.
3. `offset_s` tells how far this clock is from the wall; past two seconds somebody should look at the machine.
"""

import asyncio
import time
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

    def now(self) -> datetime:
        """Return the present instant, aware UTC, in whole microseconds."""
        return _EPOCH + timedelta(microseconds=self._now_ns() // _NS_PER_US)

    def ring(self, after_s: float, bell: Callable[[], None]) -> Callable[[], None]:
        """Call `bell` once after so many monotonic seconds, unless the answer is called before."""
        return asyncio.get_running_loop().call_later(after_s, bell).cancel

    def offset_s(self) -> float:
        """Return the seconds this clock is ahead of the wall; readiness alarms past two."""
        return (self._now_ns() - self._wall_ns()) / 1e9

    def _now_ns(self) -> int:
        # The wall first: a pause between the readings must not count as a step ahead, for that stays.
        wall_ns = self._wall_ns()
        monotonic_ns = self._monotonic_ns()
        self._ahead_ns = max(self._ahead_ns, wall_ns - monotonic_ns)
        return monotonic_ns + self._ahead_ns
