"""How many short messages a text takes, and where it may be cut.

1. What belongs together stays in one part: an escape and its septet, a surrogate pair, and the grapheme
   clusters that general categories show: a letter with its marks, an emoji sequence, a flag. Hangul jamo
   and Indic conjuncts may be cut between letters; phones join the parts again before they show them.
2. Only a cluster larger than a whole part is cut, and then between code points.

Source: 3GPP TS 23.040, section 9.2.3.24.1 and 9.2.3.24.8 (the concatenation headers).
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from dastak.sms import gsm7

MESSAGE_OCTETS: Final = 140
HEADER_OCTETS: Final = 6  # with an 8-bit reference number, the one every phone understands
WIDE_HEADER_OCTETS: Final = 7  # with a 16-bit reference number


class Alphabet(StrEnum):
    """How the characters of a short message are written."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


class Capacity(NamedTuple):
    """What fits, in septets or UTF-16 units: alone, and per part under either header."""

    alone: int
    part: int
    wide_part: int


class Measure(NamedTuple):
    """What a text takes: `units` are septets or UTF-16 units."""

    alphabet: Alphabet
    units: int
    segments: int


CAPACITY: Final[Mapping[Alphabet, Capacity]] = {
    Alphabet.GSM7: Capacity(160, 153, 152),
    Alphabet.UCS2: Capacity(70, 67, 66),
}
for _alphabet, _bits in ((Alphabet.GSM7, 7), (Alphabet.UCS2, 16)):
    assert CAPACITY[_alphabet] == tuple(
        (MESSAGE_OCTETS - header) * 8 // _bits for header in (0, HEADER_OCTETS, WIDE_HEADER_OCTETS)
    )

_ZERO_WIDTH_JOINER: Final = "\u200d"


def measure(text: str) -> Measure:
    """Return the alphabet a text needs, its units, and its parts under an 8-bit reference.

    Raises:
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    alphabet, units = _weigh(text)
    if units <= CAPACITY[alphabet].alone:
        return Measure(alphabet, units, 1)
    return Measure(alphabet, units, len(split(text)))


def parts_of(text: str) -> int:
    """Return how many short messages a text takes under an 8-bit reference.

    Raises:
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    return measure(text).segments


def split(text: str, *, wide: bool = False) -> tuple[str, ...]:
    """Cut a text into the parts it is sent in; one that fits alone stays whole.

    Args:
        text: At least as much of it fits each part as a greedy cut allows.
        wide: Leave room for a 16-bit reference number.

    Raises:
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    alphabet, units = _weigh(text)
    capacity = CAPACITY[alphabet]
    if units <= capacity.alone:
        return (text,)
    return cut(text, partial(_cost, alphabet=alphabet), capacity.wide_part if wide else capacity.part)


def cut(text: str, cost: Callable[[str], int], room: int) -> tuple[str, ...]:
    """Cut a text into parts of which none costs more than `room`.

    Args:
        text: Anything that `cost` can weigh.
        cost: Returns septets or UTF-16 units; those of two texts together are the sum of both.
        room: At least two.
    """
    parts = []
    start = end = filled = 0
    for cluster in _pieces(text, cost, room):
        cluster_cost = cost(cluster)
        if filled + cluster_cost > room:
            parts.append(text[start:end])
            start, filled = end, 0
        filled += cluster_cost
        end += len(cluster)
    return (*parts, text[start:])


def utf16_units(text: str) -> int:
    """Count the UTF-16 units of a text.

    Raises:
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    return len(text.encode("utf-16-be")) // 2


def _weigh(text: str) -> tuple[Alphabet, int]:
    alphabet = Alphabet.UCS2 if gsm7.first_foreign(text) else Alphabet.GSM7
    return alphabet, _cost(text, alphabet)


def _cost(text: str, alphabet: Alphabet) -> int:
    """Return septets or UTF-16 units."""
    if alphabet is Alphabet.GSM7:
        return len(gsm7.encode(text))
    return utf16_units(text)


def _pieces(text: str, cost: Callable[[str], int], room: int) -> Iterator[str]:
    """Yield what must not be cut."""
    for cluster in _clusters(text):
        if cost(cluster) <= room:
            yield cluster
        else:
            yield from cluster


def _clusters(text: str) -> Iterator[str]:
    start = 0
    for place in range(1, len(text)):
        if not _clings(text, start, place):
            yield text[start:place]
            start = place
    if text:
        yield text[start:]


def _clings(text: str, start: int, place: int) -> bool:
    """Tell whether the character at `place` belongs to the cluster that begins at `start`."""
    char, before = text[place], text[place - 1]
    if unicodedata.category(char)[0] == "M" or char == _ZERO_WIDTH_JOINER or _is_skin_tone(char):
        return True
    if before == _ZERO_WIDTH_JOINER:
        return unicodedata.category(char) == "So"  # an emoji sequence; between letters it only shapes
    # A flag is two regional indicators; the third begins the next flag.
    return _is_regional(char) and _is_regional(before) and place - start == 1


def _is_skin_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
