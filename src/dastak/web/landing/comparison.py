"""Two variants of a page, compared honestly: an interval, a p-value, and no winner before its time.

1. What is compared is how many of those who saw a page proved a number.
2. Until both variants have the visitors that were planned before, there is no winner, whatever the figures
   say: who looks every day and stops at the first good day finds one by chance.
3. A comparison is of one run: the versions in which both variants said the same, with no other one between.

Source: R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in
Medicine 17 (1998), method 10; E. B. Wilson, JASA 22 (1927).
"""

from math import erfc, sqrt
from typing import Final, NamedTuple

from dastak.core.landing_store import LandingStore
from dastak.web.landing.design import Design, decode, experiment_of

# Versions whose run is remembered; they never change.
RUNS_KNOWN_MAX: Final = 1000
# Of the normal distribution, for 95 % between both ends.
_Z: Final = 1.959963984540054
P_MAX: Final = 0.05


class Arm(NamedTuple):
    """One variant: how many saw it, and how many of them proved a number."""

    seen: int
    approved: int

    @property
    def rate(self) -> float:
        """The share who did."""
        return self.approved / self.seen if self.seen else 0.0


class Comparison(NamedTuple):
    """What the figures of both variants say.

    Attributes:
        difference: Rate of B less rate of A.
        low, high: Its 95 % interval.
        p_value: How often chance alone would part equal variants so far, in a two-sided test.
        enough: Whether both have the visitors that were planned.
        winner: `a`, `b`, or nothing.
    """

    difference: float
    low: float
    high: float
    p_value: float
    enough: bool
    winner: str


class ExperimentRuns:
    """Says in which run of an experiment a version was published.

    Args:
        store: Where the versions are.
    """

    def __init__(self, store: LandingStore) -> None:
        self._store = store
        # Of a version what it says, and with which one its run began.
        self._known: dict[tuple[int, int], tuple[str, int]] = {}

    async def of(self, page: int, version: int, design: Design) -> str:
        """Return what tells the run of a version from every other; empty where it has one variant alone.

        Args:
            page: Whose version it is.
            version: Its number.
            design: What it says.
        """
        if design.experiment is None:
            return ""
        known = self._known.get((page, version))
        if known is None:
            said = experiment_of(design, 0)
            known = said, await self._began(page, version, said)
            if len(self._known) >= RUNS_KNOWN_MAX:
                self._known.clear()
            self._known[page, version] = known
        return experiment_of(design, known[1])

    async def _began(self, page: int, version: int, said: str) -> int:
        """Return the first of the versions up to this one that say the same, one after the other."""
        while version > 1:
            if (known := self._known.get((page, version - 1))) is not None:
                return known[1] if known[0] == said else version
            former = await self._store.version(page, version - 1)
            if experiment_of(decode(former.body), 0) != said:
                break
            version -= 1
        return version


def compare(a: Arm, b: Arm, *, planned: int) -> Comparison:
    """Compare two variants."""
    difference = b.rate - a.rate
    (low_a, high_a), (low_b, high_b) = wilson(a), wilson(b)
    low = difference - sqrt((b.rate - low_b) ** 2 + (high_a - a.rate) ** 2)
    high = difference + sqrt((high_b - b.rate) ** 2 + (a.rate - low_a) ** 2)
    p_value = _p_value(a, b)
    enough = min(a.seen, b.seen) >= planned
    clear = enough and p_value < P_MAX
    winner = ("b" if difference > 0 else "a") if clear else ""
    return Comparison(difference, max(-1.0, low), min(1.0, high), p_value, enough, winner)


def wilson(arm: Arm) -> tuple[float, float]:
    """Return the 95 % interval of one rate; everything is possible where nobody came."""
    if not arm.seen:
        return 0.0, 1.0
    n, rate = arm.seen, arm.rate
    middle = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _p_value(a: Arm, b: Arm) -> float:
    """Return the two-sided p-value of the pooled z test."""
    if not (a.seen and b.seen):
        return 1.0
    pooled = (a.approved + b.approved) / (a.seen + b.seen)
    spread = sqrt(pooled * (1 - pooled) * (1 / a.seen + 1 / b.seen))
    return erfc(abs(b.rate - a.rate) / spread / sqrt(2)) if spread else 1.0
