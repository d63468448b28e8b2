"""How fast the queue of one route moves, measured as long as there is one, and whom it put out meanwhile."""

from collections.abc import Mapping
from typing import Final

from dastak.core.node import LEASE_S

# The pace is counted over this time, at most.
PACE_S: Final = 10.0
# It is told after this time; sooner where so many have left. Carriers answer in bursts.
SURE_AFTER_S: Final = 5.0
EARLY_AFTER_S: Final = 1.0
EARLY_LEFT_MIN: Final = 20


class LanePace:
    """The pace of one queue.

    Args:
        now_s: When it began; all instants are of one clock.
    """

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._left = _Recently(PACE_S, now_s)
        self._outside: dict[int, _Recently] = {}

    def left(self, now_s: float) -> None:
        """Count one that left to be sent."""
        self._left.add(now_s)

    def put_out(self, tenant: int, now_s: float) -> None:
        """Count one that was put out, for the queue is full; it is back when its lease is over."""
        self._outside.setdefault(tenant, _Recently(LEASE_S, now_s)).add(now_s)

    def per_s(self, now_s: float) -> float | None:
        """Return how many leave in a second; None as long as that is not known."""
        over_s, left = now_s - self._began_s, self._left.count(now_s)
        early = over_s >= EARLY_AFTER_S and left >= EARLY_LEFT_MIN
        if over_s < SURE_AFTER_S and not early:
            return None
        # Nobody yet is at most one.
        return max(left, 1.0) / min(over_s, PACE_S)

    def outside(self, now_s: float) -> Mapping[int, int]:
        """Return how many of each tenant wait outside: each of them is put out once in a lease."""
        return {tenant: round(recently.count(now_s)) for tenant, recently in self._outside.items()}


class _Recently:
    """How often something happened in the last so many seconds, in two slots of that size."""

    def __init__(self, period_s: float, now_s: float) -> None:
        self._period_s, self._slot_s = period_s, now_s
        self._count = self._count_before = 0

    def add(self, now_s: float) -> None:
        self._turn(now_s)
        self._count += 1

    def count(self, now_s: float) -> float:
        """Return the count; that of the slot before by proportion."""
        self._turn(now_s)
        gone = (now_s - self._slot_s) / self._period_s
        return self._count + self._count_before * (1 - gone)

    def _turn(self, now_s: float) -> None:
        slots = int((now_s - self._slot_s) / self._period_s)
        if slots > 0:
            self._count_before = self._count if slots == 1 else 0
            self._count = 0
            self._slot_s += slots * self._period_s
