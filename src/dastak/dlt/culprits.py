"""Differences nobody sees on a screen: what they are called, and the text as it would be without them.

They are only diagnosed. What is sent is never mended in silence: the registered text decides, not the eye.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final


class Culprit(StrEnum):
    """Something two texts may differ in while they look the same."""

    LINE_ENDS = "line ends"  # CRLF where the other has LF
    NO_BREAK_SPACE = "no-break space"
    DOUBLE_SPACE = "double space"
    QUOTES = "curly quotes"
    DASHES = "long dashes"
    INVISIBLE = "invisible characters"
    SPACE_AT_AN_EDGE = "space at the beginning or end"
    COMPOSITION = "composed letters"  # NFC or NFD
    CASE = "capital letters"


_SPACES: Final = re.compile("[\u00a0\u2007\u202f]")
_DASHES: Final = re.compile("[\u2010-\u2015\u2212]")
INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_STRAIGHT: Final = str.maketrans("‘’‚‛“”„‟′″", "''''\"\"\"\"'\"")

CURES: Final[Mapping[Culprit, Callable[[str], str]]] = {
    Culprit.LINE_ENDS: lambda text: text.replace("\r\n", "\n").replace("\r", "\n"),
    Culprit.NO_BREAK_SPACE: lambda text: _SPACES.sub(" ", text),
    Culprit.DOUBLE_SPACE: lambda text: re.sub(" {2,}", " ", text),
    Culprit.QUOTES: lambda text: text.translate(_STRAIGHT),
    Culprit.DASHES: lambda text: _DASHES.sub("-", text),
    Culprit.INVISIBLE: lambda text: INVISIBLE.sub("", text),
    Culprit.SPACE_AT_AN_EDGE: str.strip,
    Culprit.COMPOSITION: lambda text: unicodedata.normalize("NFC", text),
    Culprit.CASE: str.lower,
}
assert list(CURES) == list(Culprit)


def cure_pieces(culprit: Culprit, pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fixed pieces of a template without a culprit; only its outer ends have an edge."""
    if culprit is not Culprit.SPACE_AT_AN_EDGE:
        return tuple(map(CURES[culprit], pieces))
    head = pieces[0].lstrip()
    if len(pieces) == 1:
        return (head.rstrip(),)
    return (head, *pieces[1:-1], pieces[-1].rstrip())
