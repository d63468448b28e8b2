"""Numbers of phones that no other test has: many tests share one running program."""

from itertools import count
from typing import Final

FRESH: Final = count(9_300_000_001)
