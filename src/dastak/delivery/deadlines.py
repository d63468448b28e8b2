"""Learn how long a route takes to the phone, and from that by when a receipt should be there.

1. A latency is counted into fixed buckets; when a lot is counted all buckets are halved, so that the newest
   few hundred decide and silence forgets nothing.
2. A deadline is learned from receipts that came, late ones included, and never leaves its bounds.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgspec

DEADLINE_FIRST_S: Final = 8.0
DEADLINE_S_MIN: Final = 6.0
DEADLINE_S_MAX: Final = 30.0
# Half as long again as all but one in twenty take.
PATIENCE: Final = 1.5
# With fewer receipts the 95th percentile is the slowest of them, and says little.
RECEIPTS_MIN: Final = 20
COUNTED_MAX: Final = 400
# Before anything is known. The radio network alone takes 1.8 s (measured, facts of the project).
MEDIAN_FIRST_S: Final = 4.0


def _bounds() -> Iterator[float]:
    """Yield bounds a tenth apart from 50 ms to two minutes: fine enough for a deadline."""
    bound = 0.05
    while bound < 120.0:
        yield round(bound, 3)
        bound *= 1.1


BOUNDS_S: Final = tuple(_bounds())


class Latencies(msgspec.Struct, kw_only=True):
    """How long messages took.

    Attributes:
        counts: One more than there are bounds; the last one counts what took longer.
    """

    counts: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(BOUNDS_S) + 1))
    total: float = 0.0

    def note(self, seconds: float) -> None:
        """Count one message."""
        if self.total >= COUNTED_MAX:
            self.counts = [count / 2 for count in self.counts]
            self.total /= 2
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total += 1

    def quantile(self, share: float) -> float | None:
        """Return how long that share of the messages took at most; None before the first.

        Within a bucket messages are taken for evenly spread.
        """
        if not self.total:
            return None
        left = share * self.total
        for n, count in enumerate(self.counts):
            if count and left <= count:
                below = BOUNDS_S[n - 1] if n else 0.0
                above = BOUNDS_S[min(n, len(BOUNDS_S) - 1)]
                return below + (above - below) * left / count
            left -= count
        return BOUNDS_S[-1]


def deadline_s(latencies: Latencies | None) -> float:
    """Return by when a receipt should be there."""
    if latencies is None or latencies.total < RECEIPTS_MIN:
        return DEADLINE_FIRST_S
    p95 = latencies.quantile(0.95)
    assert p95 is not None
    return min(max(DEADLINE_S_MIN, PATIENCE * p95), DEADLINE_S_MAX)


def median_s(latencies: Latencies | None) -> float:
    """Return how long half of the messages take."""
    if latencies is None or latencies.total < RECEIPTS_MIN:
        return MEDIAN_FIRST_S
    p50 = latencies.quantile(0.5)
    assert p50 is not None
    return p50
