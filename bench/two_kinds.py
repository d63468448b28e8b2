"""Do two kinds of request take different times, and how small a difference would have been seen?

A statistic that finds nothing says something only beside what it would have found: so the smallest difference
that it sees stands beside each result, and a kind with a planted delay goes through every measurement.

The slowest tenth of each kind is left out, for it is what else the machine does. It is Welch's t of the means
of the rest, with the errors that such means have.

Source: K. K. Yuen, The two-sample trimmed t for unequal population variances, Biometrika 61 (1974).
"""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, variance
from typing import Final, NamedTuple

# A chance difference is hardly ever larger (S-45 of the requirements).
T_MAX: Final = 4.5
# One-sided: 95 of 100 draws of the normal distribution lie below.
_NINETEEN_OF_TWENTY: Final = 1.645


class Beside(NamedTuple):
    """One kind beside another.

    Attributes:
        slower_s: How much longer the first kind takes.
        t: The same in standard errors.
        seen_s: The delay of one kind that nineteen of twenty such measurements would find.
    """

    slower_s: float
    t: float
    seen_s: float

    @property
    def differs(self) -> bool:
        """Whether time tells the two apart."""
        return abs(self.t) >= T_MAX


def compare(these_s: Sequence[float], those_s: Sequence[float]) -> Beside:
    """Compare the times of two kinds that were asked for by turns at random, a hundred of each or more."""
    (these, error), (those, other_error) = _faster_part(these_s), _faster_part(those_s)
    both = sqrt(error + other_error)
    return Beside(these - those, (these - those) / both, (T_MAX + _NINETEEN_OF_TWENTY) * both)


def _faster_part(times_s: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the faster nine tenths, and the square of its standard error."""
    ordered, left = sorted(times_s), len(times_s) * 9 // 10
    kept = ordered[:left]
    drawn_in = kept + kept[-1:] * (len(ordered) - left)
    return mean(kept), (len(ordered) - 1) * variance(drawn_in) / (left * (left - 1))
