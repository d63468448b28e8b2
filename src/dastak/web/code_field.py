"""Read what a person typed or pasted into the one field for a code, before anything is judged.

1. What cannot be a code is said back and costs no attempt.
2. Where two things could be the code none is chosen: the person is asked for the code alone.
3. Letters are never searched for in prose: any word could be a code.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final, NamedTuple

from dastak.core.codes import SYMBOLS, TYPED_CHARACTERS_MAX, Alphabet

# What people and keyboards put between: white space, dashes, stops, and marks that nobody sees.
_BETWEEN: Final = re.compile(
    r"[\s\u00a0\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d.\u00b7]+"
)
# The last line of our own texts; carriers may have made its line break a space.
# Source: WICG, Origin-bound one-time codes delivered via SMS.
_BOUND_LINE: Final = re.compile(r"(?:^|\s)@[A-Za-z0-9.-]+ #(\S+)")
_UPPER: Final = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}


class Misread(StrEnum):
    """Why what was typed is no code."""

    LENGTH = "length"  # digits alone, but too few or too many
    UNREADABLE = "unreadable"  # no code in it, or two


class FieldRead(NamedTuple):
    """What was read: a code as it was sent, or why there is none, and then how many digits were typed."""

    code: str = ""
    misread: Misread | None = None
    digits: int = 0


_NOTHING: Final = FieldRead(misread=Misread.UNREADABLE)


def read_digits(raw: str, length: int) -> FieldRead:
    """Read a code of digits of any script, alone or in a whole text that was pasted.

    Args:
        raw: Past `TYPED_CHARACTERS_MAX` characters it is not read.
        length: How many digits the code has.
    """
    if len(raw) > TYPED_CHARACTERS_MAX:
        return _NOTHING
    text = _fold(raw)
    alone = _BETWEEN.sub("", text)
    if re.fullmatch(r"[0-9]+", alone):
        if len(alone) == length:
            return FieldRead(alone)
        return FieldRead(misread=Misread.LENGTH, digits=len(alone))
    whole = re.compile(f"[0-9]{{{length}}}")
    bound = _bound(text, whole)
    found = bound or set(re.findall(f"(?<![0-9])[0-9]{{{length}}}(?![0-9])", text))
    return FieldRead(found.pop()) if len(found) == 1 else _NOTHING


def read_letters(raw: str, length: int, *, own: bool = False) -> FieldRead:
    """Read a code of letters and digits, alone or named by the last line of our own text.

    Args:
        raw: Past `TYPED_CHARACTERS_MAX` characters it is not read.
        length: How many characters the code has.
        own: The caller chose the code, so that its case counts and any letter may be in it.
    """
    if len(raw) > TYPED_CHARACTERS_MAX:
        return _NOTHING
    text = _fold(raw)
    whole = re.compile(f"[{'0-9A-Za-z' if own else SYMBOLS[Alphabet.ALPHANUMERIC]}]{{{length}}}")
    alone = _BETWEEN.sub("", text)
    alone = alone if own else alone.translate(_UPPER)
    if whole.fullmatch(alone):
        return FieldRead(alone)
    bound = _bound(text, whole)
    return FieldRead(bound.pop()) if len(bound) == 1 else _NOTHING


def _bound(text: str, whole: re.Pattern[str]) -> set[str]:
    return {code for code in _BOUND_LINE.findall(text) if whole.fullmatch(code)}


def _fold(text: str) -> str:
    """Write digits of every script in ASCII; a raised or circled one is no digit of a code."""
    return "".join(
        character if value < 0 else str(value)
        for character in text
        for value in (unicodedata.decimal(character, -1),)
    )
