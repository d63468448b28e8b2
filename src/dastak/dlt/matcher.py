"""Hold a text against a registered template before it is sent, and say where and why it differs.

1. The whole text must match, exact in case and white space.
2. An explanation shows no digit of the text, and nothing of the code it is told: not even how far into the
   code a variable would have taken it.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from operator import eq
from typing import Final

import msgspec

from dastak.dlt.culprits import CURES, Culprit, cure_pieces
from dastak.dlt.readings import Reading, Span, Whitelist, after_fixed, ends_of, is_whole, read, spans_of
from dastak.dlt.template_tags import Kind, Pattern

SHOWN_CHARACTERS_MAX: Final = 32
# Where a fixed piece was meant to stand is guessed from so many places, by so much of it.
_ALIGNMENTS_MAX: Final = 256
_ALIGNED_CHARACTERS_MAX: Final = 64
_TRUSTED_CHARACTERS: Final = 3

WORDS: Final = {
    Kind.NUMERIC: "a digit",
    Kind.ALPHANUMERIC: "a letter or digit",
    Kind.URL: "a registered link",
    Kind.URLOTT: "a registered link",
    Kind.CBN: "a registered number",
    Kind.EMAIL: "an e-mail address",
    Kind.VAR: "any character but a line break",
}
assert set(WORDS) == set(Kind)


class Matched(msgspec.Struct, frozen=True):
    """The text is one of the template's; `spans` has the place of each variable."""

    spans: tuple[Span, ...]

    def values(self, text: str) -> tuple[str, ...]:
        """Return what stands in the variables of the text that was matched."""
        return tuple(text[span.start : span.end] for span in self.spans)


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """The text is none of the template's.

    Attributes:
        place: The first character that differs, from 0, in the reading that agrees most; the length of the
            text where it ends too soon.
        expected: What would have to stand there, in words.
        found: What stands there, with stars for digits and for the code; empty at the end.
        variable: The number, from 1, of the variable that is wrong or stands before the place.
        too_long: The number of the variable that has more characters than it may.
        culprits: What, if it were mended, would make the text match.
    """

    place: int
    expected: str
    found: str
    variable: int | None = None
    too_long: int | None = None
    culprits: tuple[Culprit, ...] = ()

    @property
    def sentence(self) -> str:
        """Say it in one sentence."""
        found = f"`{self.found}`" if self.found else "the end of the text"
        told = f"At character {self.place + 1}: expected {self.expected}, found {found}"
        return f"{told}; look at {', '.join(self.culprits)}." if self.culprits else f"{told}."


class _Difference(msgspec.Struct, frozen=True):
    """Where and how a text differs; the attributes are those of `Mismatch`."""

    place: int
    expected: str
    variable: int | None
    too_long: int | None = None


def match(
    pattern: Pattern, text: str, *, whitelist: Whitelist | None = None, code: str = ""
) -> Matched | Mismatch:
    """Hold a text against a template.

    Args:
        pattern: The template.
        text: As it would be sent.
        whitelist: What links and numbers may be; None takes any that have the form of one.
        code: Hidden in an explanation.
    """
    found = fit(pattern, text, whitelist=whitelist)
    return found if found is not None else explain(pattern, text, whitelist=whitelist, code=code)


def fit(pattern: Pattern, text: str, *, whitelist: Whitelist | None = None) -> Matched | None:
    """Return where the variables stand, or None if the text is none of the template's."""
    reading = read(pattern, text, whitelist)
    return Matched(spans_of(pattern, reading, text)) if is_whole(pattern, reading, text) else None


def explain(pattern: Pattern, text: str, *, whitelist: Whitelist | None = None, code: str = "") -> Mismatch:
    """Say where and why a text differs that does not fit."""
    reading = read(pattern, text, whitelist)
    difference = _overlong(pattern, reading, text, whitelist) or _difference(pattern, reading, text)
    place = _before_code(text, code, difference.place)
    return Mismatch(
        place=place,
        expected=difference.expected,
        found=masked(text, code)[place:][:SHOWN_CHARACTERS_MAX],
        variable=difference.variable,
        too_long=difference.too_long,
        culprits=_culprits(pattern, text, whitelist),
    )


def masked(text: str, code: str = "") -> str:
    """Return a text with stars for its digits and for the code, as long as it was."""
    hidden = text.replace(code, "*" * len(code)) if code else text
    return re.sub(r"\d", "*", hidden)


def _before_code(text: str, code: str, place: int) -> int:
    """Return a place, or where the code begins that it lies within."""
    begins = text.find(code, max(0, place - len(code) + 1)) if code else -1
    return begins if 0 <= begins < place else place


def _failed(reading: Reading) -> int:
    """Return which piece fits nowhere, in the order of `Reading.places`; past the last one, the end."""
    return len(reading.places) - (1 if reading.places[-1] else 2)


def _difference(pattern: Pattern, reading: Reading, text: str) -> _Difference:
    """Say where a piece of the template, or the end of the text, does not stand."""
    failed = _failed(reading)
    before = reading.places[failed]
    number = (failed + 1) // 2 or None
    if failed == len(pattern.fixed) + len(pattern.variables):
        return _Difference(before[-1], "the end of the text", len(pattern.variables) or None)
    if failed % 2:
        kind = pattern.variables[failed // 2].kind
        return _Difference(before[-1], f"{WORDS[kind]} (variable {number})", number)
    fixed = pattern.fixed[failed // 2]
    start, agreed = _nearest(fixed, text, before)
    expected = f"`{fixed[agreed:][:SHOWN_CHARACTERS_MAX]}`"
    if not agreed and number is not None:
        expected = f"{WORDS[pattern.variables[number - 1].kind]} or {expected}"
    return _Difference(start + agreed, expected, number)


def _nearest(fixed: str, text: str, starts: Sequence[int]) -> tuple[int, int]:
    """Return where a fixed piece was probably meant to stand, and how many of its characters agree there.

    It is where the most of its beginning stands. A variable that takes anything can swallow the true place:
    unless a few characters of that beginning agree, it is rather where more than half of the piece stands.
    """

    def agreed(start: int) -> int:
        lengths = range(1, len(fixed) + 1)
        return bisect_left(lengths, True, key=lambda length: not text.startswith(fixed[:length], start))

    def common(start: int) -> int:
        return sum(map(eq, fixed[:_ALIGNED_CHARACTERS_MAX], text[start : start + _ALIGNED_CHARACTERS_MAX]))

    meant = max(starts, key=lambda start: start + agreed(start))
    if agreed(meant) < _TRUSTED_CHARACTERS:
        aligned = max(starts[:_ALIGNMENTS_MAX], key=common)
        if 2 * common(aligned) > min(len(fixed), _ALIGNED_CHARACTERS_MAX):
            meant = aligned
    return meant, agreed(meant)


def _overlong(
    pattern: Pattern, reading: Reading, text: str, whitelist: Whitelist | None
) -> _Difference | None:
    """Find out whether the text could be read on if the variable before were allowed to be longer."""
    failed = _failed(reading)
    at_end = failed == len(pattern.fixed) + len(pattern.variables)
    number = (failed - at_end) // 2
    if failed % 2 != at_end or not number:
        return None
    variable = pattern.variables[number - 1]
    longer = msgspec.structs.replace(variable, characters_max=len(text))
    ends = ends_of(longer, text, reading.places[2 * number - 1], whitelist)
    fixed = pattern.fixed[number]
    for end in sorted(ends):
        after = after_fixed(fixed, text, (end,))
        if end not in reading.starts[number - 1] and after and (not at_end or after[0] == len(text)):
            most = variable.characters_max
            return _Difference(
                ends[end] + most, f"at most {most} characters in variable {number}", number, number
            )
    return None


def _culprits(pattern: Pattern, text: str, whitelist: Whitelist | None) -> tuple[Culprit, ...]:
    """Return what alone would make the text match if it were mended; else what would, all mended together."""
    if len(text) > 2 * pattern.characters_max + SHOWN_CHARACTERS_MAX:
        return ()

    def cures(cured: Pattern, mended: str) -> bool:
        return is_whole(cured, read(cured, mended, whitelist), mended)

    alone, together, mended = [], [], text
    fixed = pattern.fixed
    for culprit, cure in CURES.items():
        if cures(Pattern(cure_pieces(culprit, pattern.fixed), pattern.variables), cure(text)):
            alone.append(culprit)
        cured = cure_pieces(culprit, fixed), cure(mended)
        if cured != (fixed, mended):
            together.append(culprit)
        fixed, mended = cured
    if alone:
        return tuple(alone)
    return tuple(together) if cures(Pattern(fixed, pattern.variables), mended) else ()
