"""Read a text along a template, following every reading at once, in time that its length bounds.

1. For each piece of the template, fixed and variable by turns, there is the set of places where it can begin.
   Taking the first place where the next fixed piece fits would miss readings; a backtracking expression
   could be made to run for ever.
2. Of several readings, the last variable is the shortest that it can be, then the one before it, and so on.
3. Nothing is normalised: the scrubber does not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.dlt.template_tags import VALUE_CHARACTERS_MAX, Kind, Pattern, Variable

WHITELIST_MAX: Final = 100
# Shorter ones would let one link or number pass for another.
ENTRY_CHARACTERS_MIN: Final = 3

_Entries = Annotated[tuple[str, ...], msgspec.Meta(max_length=WHITELIST_MAX)]


class Whitelist(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a variable for links or numbers may hold.

    Attributes:
        urls: Links, each whole; also links to programs.
        prefixes: What a link may begin with, where the rest of it may vary.
        numbers: Numbers to call back, as they are written in texts.

    Raises:
        InvalidRequest: It is too long, or an entry is too short or too long.
    """

    urls: _Entries = ()
    prefixes: _Entries = ()
    numbers: _Entries = ()

    def __post_init__(self) -> None:
        for entries in (self.urls, self.prefixes, self.numbers):
            if len(entries) > WHITELIST_MAX:
                raise InvalidRequest(f"A whitelist has at most {WHITELIST_MAX} entries.", field="whitelist")
            if not all(ENTRY_CHARACTERS_MIN <= len(entry) <= VALUE_CHARACTERS_MAX for entry in entries):
                bounds = f"{ENTRY_CHARACTERS_MIN} to {VALUE_CHARACTERS_MAX}"
                raise InvalidRequest(f"An entry of a whitelist has {bounds} characters.", field="whitelist")


class Span(NamedTuple):
    """Where one variable stands in a text."""

    start: int
    end: int


class Reading(msgspec.Struct, frozen=True):
    """How far a text can be read.

    Attributes:
        places: Where each piece can begin, ascending, and last where the text can end. If the last is empty,
            the piece before it fits nowhere, and the pieces after it were not tried.
        starts: For each variable that was read, by where it ends, the latest place where it then begins.
    """

    places: tuple[Sequence[int], ...]
    starts: tuple[Mapping[int, int], ...]


# What a value is written with; an address is looked at again as a whole.
_LINK: Final = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]")
_CHARACTERS: Final[Mapping[Kind, re.Pattern[str]]] = {
    Kind.NUMERIC: re.compile(r"[0-9]"),
    Kind.ALPHANUMERIC: re.compile(r"[A-Za-z0-9]"),
    Kind.URL: _LINK,
    Kind.URLOTT: _LINK,
    Kind.CBN: re.compile(r"[0-9+-]"),
    Kind.VAR: re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"),  # no line break
}
assert set(_CHARACTERS) | {Kind.EMAIL} == set(Kind)
_SPACED: Final = re.compile(r"[A-Za-z0-9 ]")
_LOCAL: Final = re.compile(r"[A-Za-z0-9._%+-]")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]")
_HOST_WHOLE: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


def read(pattern: Pattern, text: str, whitelist: Whitelist | None) -> Reading:
    """Read a text as far as any reading goes.

    Args:
        pattern: The template.
        text: Any; what lies beyond the longest text of the template is not looked at.
        whitelist: What links and numbers may be; None takes any that have the form of one.
    """
    places: list[Sequence[int]] = [[0]]
    starts: list[Mapping[int, int]] = []
    for number, fixed in enumerate(pattern.fixed):
        places.append(after_fixed(fixed, text, places[-1]))
        if number == len(pattern.variables) or not places[-1]:
            break
        ends = ends_of(pattern.variables[number], text, places[-1], whitelist)
        starts.append(ends)
        places.append(sorted(ends))
        if not ends:
            break
    return Reading(tuple(places), tuple(starts))


def is_whole(pattern: Pattern, reading: Reading, text: str) -> bool:
    """Tell whether the reading goes through all pieces and ends where the text does."""
    every = len(pattern.fixed) + len(pattern.variables)
    return len(reading.places) == every + 1 and reading.places[-1][-1:] == [len(text)]


def spans_of(pattern: Pattern, reading: Reading, text: str) -> tuple[Span, ...]:
    """Return where the variables stand in a text that was read whole."""
    spans = []
    end = len(text)
    for fixed, starts in zip(reversed(pattern.fixed[1:]), reversed(reading.starts), strict=True):
        end -= len(fixed)
        spans.append(Span(starts[end], end))
        end = starts[end]
    return tuple(reversed(spans))


def after_fixed(fixed: str, text: str, places: Sequence[int]) -> list[int]:
    """Return where a fixed piece ends, of those places where it stands."""
    return [at + len(fixed) for at in places if text.startswith(fixed, at)]


def ends_of(
    variable: Variable, text: str, starts: Sequence[int], whitelist: Whitelist | None
) -> Mapping[int, int]:
    """Return where a variable can end, each with the latest place where it then begins."""
    kind, most = variable.kind, variable.characters_max
    if kind is Kind.EMAIL:
        return _email_ends(text, starts, most)
    if whitelist is not None and kind is Kind.CBN:
        return _listed_ends(text, starts, whitelist.numbers, most)
    if whitelist is not None and kind in (Kind.URL, Kind.URLOTT):
        return _link_ends(text, starts, whitelist, most)
    characters = _SPACED if variable.spaced else _CHARACTERS[kind]
    return _run_ends(text, starts, characters.match, 0 if kind is Kind.VAR else 1, most)


def _run_ends(
    text: str, starts: Sequence[int], allowed: Callable[[str, int], object], least: int, most: int
) -> dict[int, int]:
    """Return the ends of runs of allowed characters.

    The latest start comes first, and an earlier one stops at what a later one reaches: beyond it would only
    be longer. So each character is looked at about once, however many starts there are.
    """
    ends: dict[int, int] = {}
    for start in reversed(starts):
        for end in range(start, min(start + most, len(text)) + 1):
            if end - start >= least:
                if end in ends:
                    break
                ends[end] = start
            if end == len(text) or not allowed(text, end):
                break
    return ends


def _listed_ends(text: str, starts: Sequence[int], entries: Sequence[str], most: int) -> dict[int, int]:
    ends: dict[int, int] = {}
    for entry in entries:
        if len(entry) <= most:
            for start in starts:
                if text.startswith(entry, start):
                    ends[start + len(entry)] = max(start, ends.get(start + len(entry), 0))
    return ends


def _link_ends(text: str, starts: Sequence[int], whitelist: Whitelist, most: int) -> dict[int, int]:
    ends = _listed_ends(text, starts, whitelist.urls, most)
    for prefix in whitelist.prefixes:
        begun = _listed_ends(text, starts, (prefix,), most)
        runs = _run_ends(text, sorted(begun), _LINK.match, 0, most - len(prefix))
        for end, after in runs.items():
            ends[end] = max(begun[after], ends.get(end, 0))
    return ends


def _email_ends(text: str, starts: Sequence[int], most: int) -> dict[int, int]:
    """Return the ends of addresses; neither half has an @, so each end belongs to the last one before it."""
    names = _run_ends(text, starts, _LOCAL.match, 1, most)
    begun = {end + 1: start for end, start in names.items() if text.startswith("@", end)}
    hosts = _run_ends(text, sorted(begun), _HOST.match, 1, most)
    return {
        end: begun[after]
        for end, after in hosts.items()
        if end - begun[after] <= most and _HOST_WHOLE.fullmatch(text, after, end)
    }
