"""Count against a rate with one number a key: the generic cell rate algorithm, on whole microseconds.

1. A key that nobody used for a while costs no memory: its bucket is full, and full buckets are not kept.
2. Several limits are asked together: all of them count, or none does.
3. In any stretch of t seconds a key passes at most `burst + floor(t / interval)` times, and exactly as often
   if it asks often enough.

Source: ITU-T I.371, annex A.1 (virtual scheduling); the "theoretical arrival time" is called `full_at` here.
"""

from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Final, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)

# Whole numbers cannot drift. Until the year 2255 microseconds fit into the 60 bits of a small Python int.
US_PER_S: Final = 1_000_000
# What one limit remembers at most; past it the oldest keys start afresh.
KEYS_MAX: Final = 1_000_000


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many in so many seconds.

    Attributes:
        burst: How many may come at once; None allows a whole `count`.
    """

    count: int
    per_s: int
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or self.per_s < 1 or (self.burst is not None and self.burst < 1):
            raise ValueError("A rate has a count, a time and a burst of at least 1.")

    @property
    def interval_us(self) -> int:
        """The time between two at full rate, rounded up so that the rate is never exceeded."""
        return -(-self.per_s * US_PER_S // self.count)


class Met(msgspec.Struct, frozen=True):
    """The limit that was met, and the whole seconds after which all that were asked let one more pass."""

    limit: str
    retry_after_s: int


class Buckets:
    """The buckets of one limit, a bucket for each key."""

    __slots__ = ("_round", "full_at_us", "interval_us", "limit", "slack_us")

    def __init__(self, limit: str, rate: Rate) -> None:
        burst = rate.count if rate.burst is None else rate.burst
        self.limit = limit
        self.interval_us = rate.interval_us
        self.slack_us = (burst - 1) * self.interval_us
        self.full_at_us: dict[Hashable, int] = {}
        self._round: list[Hashable] = []

    def spend(self, key: Hashable, now_us: int, times: int = 1) -> None:
        """Count one, whether the limit allows it or not; it may stand for several.

        Of a rate that is shared with others of whom nothing is known, one stands for as many as they are.
        """
        full_at_us = self.full_at_us.get(key, 0)
        self.full_at_us[key] = (full_at_us if full_at_us > now_us else now_us) + self.interval_us * times

    @property
    def window_us(self) -> int:
        """The time in which an empty bucket is full again."""
        return self.slack_us + self.interval_us

    def surely_passes(self, times_us: Sequence[int], now_us: int) -> bool:
        """Say whether one more passes whatever was before the window.

        Even a bucket that was empty at its beginning has filled since, but for what was taken in it.
        """
        taken = sum(at_us >= now_us - self.window_us for at_us in times_us)
        return taken * self.interval_us <= self.slack_us

    def give_back(self, key: Hashable) -> None:
        """Uncount one that was counted."""
        if key in self.full_at_us:
            self.full_at_us[key] -= self.interval_us

    def sweep(self, now_us: int, *, looks_max: int) -> None:
        """Forget full buckets, looking at so many of them; the next sweep goes on where this one ends."""
        if not self._round:
            forget_oldest(self.full_at_us, keep=KEYS_MAX)
            self._round = list(self.full_at_us)
        for key in self._round[-looks_max:]:
            if self.full_at_us.get(key, now_us + 1) <= now_us:
                del self.full_at_us[key]
        del self._round[-looks_max:]


def take(wanted: Sequence[tuple[Buckets, Hashable]], now_us: int) -> Met | None:
    """Count one against every limit, or against none.

    Args:
        wanted: Each limit with the key that asks.
        now_us: The time; it never runs backwards.

    Returns:
        None if it was counted, otherwise the limit with the longest wait.
    """
    met = longest_met(wanted, now_us)
    if met is None:
        for buckets, key in wanted:
            buckets.spend(key, now_us)
    return met


def longest_met(wanted: Sequence[tuple[Buckets, Hashable]], now_us: int) -> Met | None:
    """Return the limit with the longest wait; count nothing."""
    met, longest_us = None, 0
    for buckets, key in wanted:
        wait_us = buckets.full_at_us.get(key, 0) - buckets.slack_us - now_us
        if wait_us > longest_us:
            met, longest_us = buckets, wait_us
    return None if met is None else Met(met.limit, -(-longest_us // US_PER_S))


def forget_oldest(entries: dict[K, int], *, keep: int) -> None:
    """Delete the entries that were made first, until `keep` are left."""
    for key in list(islice(entries, max(0, len(entries) - keep))):
        del entries[key]
