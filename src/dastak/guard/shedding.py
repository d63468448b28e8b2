"""Decide who is sent away when more is asked than can be done: before any work, and by a measured delay.

1. Nobody waits in a queue of ours: a request begins at once or is refused at once. How many are under way at
   most is the window, and the delay of those that were answered moves it: no rate is fixed.
2. What finishes something goes first: a check before a start, a start before a resend, that before a look.
   Each kind may fill its share of the window, so that those before it find room.
3. Once half of the room for a kind is taken, no tenant may have more of it than each of those who ask lately.
4. A delay is no reason for less than was done of late: a machine that others use too is slow for a moment,
   and who lets nobody in then does nothing. And each step of the window is judged before the next one.
5. The more are refused, the shorter the others may wait: refusals stand in the same queue as they, and so do
   the answers of carriers, which make room for the next texts.
6. Whoever is refused is told when to come again, each another second: they shall not come back together.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

# What the way through the program may add to an answer; half of it where nearly all are refused. Under it
# nobody notices; over it, it only grows.
DELAY_S_MAX: Final = 0.1
# The fastest answers wait for the disk as well, which is no queue. More than this is taken for one.
FLOOR_S_MAX: Final = 0.25
# What was fastest and what was most is forgotten after one or two of these: a disk may have become slower.
MEMORY_S: Final = 10.0
# How often the window is moved: longer than most commits, shorter than anybody's patience.
PERIOD_S: Final = 0.1
# Answers that say something about a period.
ANSWERS_MIN: Final = 4
WINDOW_MIN: Final = 16
WINDOW_FIRST: Final = 128
WINDOW_MAX: Final = 4_096
SHRINK_MAX: Final = 0.5
GROW: Final = 1.05
GROW_FAST: Final = 1.2
# Callers spread their return over as many seconds as there are times too many of them.
RETRY_S_MAX: Final = 10
# Who asked in the last second of these counts as asking.
ASKERS_EVERY_S: Final = 1.0
# Multiples of this, without their whole part, are never close to one another: chance without chance.
GOLDEN: Final = 0.6180339887498949


class Kind(StrEnum):
    """What is asked for, in the order in which it goes."""

    CHECK = "check"
    START = "start"
    RESEND = "resend"
    LOOK = "look"


# How much of the window may be taken when a kind still gets in. Checks are several to a start, and short.
SHARES: Final[Mapping[Kind, float]] = {
    Kind.CHECK: 4.0,
    Kind.START: 1.0,
    Kind.RESEND: 0.75,
    Kind.LOOK: 0.5,
}
assert list(SHARES) == list(Kind) == sorted(SHARES, key=lambda kind: -SHARES[kind])


class Entered(msgspec.Struct):
    """A request under way."""

    kind: Kind
    tenant: int
    at_s: float


class Shedding:
    """Counts what is under way and moves the window.

    Attributes:
        window: How many starts may be under way now.
        delay_s: How long the answers of the last period took, beyond the fastest of late.
    """

    def __init__(self, now_s: float) -> None:
        self.window = float(WINDOW_FIRST)
        self.delay_s = 0.0
        self._under_way = 0
        self._of_tenants: Counter[int] = Counter()
        self._askers: set[int] = set()
        self._asked_lately = 1
        self._asked_since_s = self._period_since_s = self._best_since_s = self._moved_s = now_s
        self._floor_s = self._next_floor_s = FLOOR_S_MAX
        self._most_per_s = self._next_most_per_s = 0.0
        self._took_s, self._judged, self._answers, self._refused, self._let_in = 0.0, 0, 0, 0, 0
        self._spread_s = 1
        self._turn = 0.0

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return self._under_way

    @property
    def crowded(self) -> bool:
        """Whether some start may be refused now."""
        return 2 * self._under_way >= self.window

    def enter(self, kind: Kind, tenant: int, now_s: float) -> Entered | None:
        """Let a request in; None sends it away.

        Args:
            kind: What is asked for.
            tenant: Who asks.
            now_s: The time; it never runs backwards.
        """
        if self.refuse(kind, tenant, now_s):
            return None
        self._let_in += 1
        self._under_way += 1
        self._of_tenants[tenant] += 1
        return Entered(kind, tenant, now_s)

    def refuse(self, kind: Kind, tenant: int, now_s: float) -> bool:
        """Send a request away if there is no room for it, and count it then."""
        self._move(now_s)
        self._askers.add(tenant)
        if self._has_room(kind, tenant):
            return False
        self._refused += 1
        return True

    def leave(self, entered: Entered, now_s: float, *, worked: bool) -> None:
        """Note that a request was answered.

        Args:
            entered: As it was let in.
            now_s: The time.
            worked: Whether it went the whole way to the database. A refusal is quick and says nothing of it.
        """
        self._under_way -= 1
        self._of_tenants[entered.tenant] -= 1
        if not self._of_tenants[entered.tenant]:
            del self._of_tenants[entered.tenant]
        if worked and entered.kind is not Kind.LOOK:
            took_s = now_s - entered.at_s
            self._answers += 1
            if entered.at_s >= self._moved_s:
                self._took_s += took_s
                self._judged += 1
            self._floor_s = min(self._floor_s, took_s)
            self._next_floor_s = min(self._next_floor_s, took_s)
        self._move(now_s)

    def retry_after_s(self) -> int:
        """Return the whole seconds that the next one who is refused shall wait."""
        self._turn = (self._turn + GOLDEN) % 1.0
        return 1 + int(self._turn * self._spread_s)

    def _has_room(self, kind: Kind, tenant: int) -> bool:
        room = self.window * SHARES[kind]
        if self._under_way >= room:
            return False
        if 2 * self._under_way < room:
            return True
        return self._of_tenants[tenant] < max(1.0, room / max(self._asked_lately, len(self._askers)))

    def _move(self, now_s: float) -> None:
        """Move the window when a period is over."""
        if now_s - self._asked_since_s >= ASKERS_EVERY_S:
            self._asked_lately, self._asked_since_s = len(self._askers), now_s
            self._askers.clear()
        period_s = now_s - self._period_since_s
        if period_s < PERIOD_S:
            return
        if now_s - self._best_since_s >= MEMORY_S:
            self._floor_s, self._next_floor_s = self._next_floor_s, FLOOR_S_MAX
            self._most_per_s, self._next_most_per_s = self._next_most_per_s, 0.0
            self._best_since_s = now_s
        self._next_most_per_s = max(self._next_most_per_s, self._answers / period_s)
        if self._judged >= ANSWERS_MIN:
            self._judge(now_s)
        elif not self._under_way:
            self.delay_s = 0.0
        times = (self._let_in + self._refused) / max(1, self._let_in)
        self._spread_s = min(RETRY_S_MAX, max(1, round(times)))
        self._answers, self._refused, self._let_in = 0, 0, 0
        self._period_since_s = now_s

    def _judge(self, now_s: float) -> None:
        """Move the window by the delay of those who came since it was moved last."""
        self.delay_s = max(0.0, self._took_s / self._judged - self._floor_s)
        self._took_s, self._judged = 0.0, 0
        window = self.window
        delay_s_max = DELAY_S_MAX * (1 - self._refused / max(1, self._refused + self._let_in) / 2)
        if self.delay_s > delay_s_max:
            done_of_late = max(self._most_per_s, self._next_most_per_s) * delay_s_max
            window = min(window, max(window * SHRINK_MAX, window * delay_s_max / self.delay_s, done_of_late))
        elif self._refused:
            window = window * (GROW_FAST if 2 * self.delay_s < delay_s_max else GROW) + 1
        window = min(max(window, WINDOW_MIN), WINDOW_MAX)
        if window != self.window:
            self.window, self._moved_s = window, now_s
