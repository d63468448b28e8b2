"""Look up what a carrier's code or word means, in tables that may have ranges of numbers."""

import re
from collections.abc import Mapping
from typing import Final

from dastak.core.outcome import Outcome

_RANGE: Final = re.compile(r"(\d{1,9})-(\d{1,9})")
_TOLD: Final = re.compile(r"[^A-Za-z0-9_.:/ -]")
_DIGITS: Final = re.compile(r"[0-9]{4,}")
TOLD_CHARACTERS_MAX: Final = 40
# A code has at most so many characters; what is longer, or has blanks, may repeat a number or a text.
CODE_CHARACTERS_MAX: Final = 24


def outcome_of(code: str, *tables: Mapping[str, Outcome]) -> Outcome | None:
    """Return what a code means by the first table that has it, whatever its case; None by none.

    What stands before a `#` is a name space (AWS).
    """
    if not code:
        return None
    lower = code.lower().rpartition("#")[2]
    for table in tables:
        for written, outcome in table.items():
            if written.lower() == lower or _in_range(written, code):
                return outcome
    return None


def told(code: str) -> str:
    """Return a carrier's code so that it can be kept and shown: short, and of a sentence no number in it."""
    plain = _TOLD.sub("", code)
    return (_DIGITS.sub("#", plain) if " " in plain or len(plain) > CODE_CHARACTERS_MAX else plain)[
        :TOLD_CHARACTERS_MAX
    ]


def _in_range(written: str, code: str) -> bool:
    span = _RANGE.fullmatch(written)
    return bool(
        span and code.isascii() and code.isdecimal() and int(span[1]) <= int(code[:10]) <= int(span[2])
    )
