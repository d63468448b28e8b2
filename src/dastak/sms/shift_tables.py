"""The national language shift tables: texts of thirteen languages as septets, where a route allows them.

1. A locking table replaces the default alphabet for a whole part, a single shift table its extension.
2. Which tables a text uses stands in its user data header; a phone that cannot read that shows wrong letters,
   so that a route must ask for it.
3. A septet is held in an octet of its own, as in `gsm7`.

Source: 3GPP TS 23.038, section 6.2.1.2 and annex A; TS 23.040, section 9.2.3.24.15 and 16.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
import msgspec.toml

from dastak.sms import gsm7

IDENTIFIER_SINGLE: Final = 0x24
IDENTIFIER_LOCKING: Final = 0x25
# Each table costs three octets of header: identifier, length, language.
ELEMENT_OCTETS: Final = 3
RESERVED: Final = "----"


class Language(StrEnum):
    """The languages that have tables."""

    TURKISH = "turkish"
    SPANISH = "spanish"
    PORTUGUESE = "portuguese"
    BENGALI = "bengali"
    GUJARATI = "gujarati"
    HINDI = "hindi"
    KANNADA = "kannada"
    MALAYALAM = "malayalam"
    ORIYA = "oriya"
    PUNJABI = "punjabi"
    TAMIL = "tamil"
    TELUGU = "telugu"
    URDU = "urdu"


class Shift(NamedTuple):
    """Which tables a text uses; None is the default alphabet, or its extension."""

    locking: Language | None = None
    single: Language | None = None


DEFAULT_SHIFT: Final = Shift()


class _Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identifier: int
    single: tuple[str, ...]
    locking: tuple[str, ...] = ()


class _Codec(NamedTuple):
    """Characters to one or two septets, and septets back."""

    septets: Mapping[int, str]
    basic: Mapping[int, str]
    extension: Mapping[int, str]
    foreign: re.Pattern[str]


def shifts(languages: Iterable[Language]) -> tuple[Shift, ...]:
    """Return the shifts that languages make possible: locking, single, and both together."""
    found = []
    for language in languages:
        has_locking = bool(_tables()[language].locking)
        found += [Shift(None, language)]
        found += [Shift(language, None), Shift(language, language)] if has_locking else []
    return tuple(found)


def fits(text: str, shift: Shift) -> bool:
    """Say whether a text can be written with these tables."""
    return _codec(shift).foreign.search(text) is None


def encode(text: str, shift: Shift) -> bytes:
    """Write a text as septets, one in each octet.

    Raises:
        UnicodeEncodeError: The tables lack a character.
    """
    codec = _codec(shift)
    foreign = codec.foreign.search(text)
    if foreign:
        raise UnicodeEncodeError("gsm7", text, foreign.start(), foreign.end(), "not in the shift tables")
    return text.translate(codec.septets).encode("ascii")


def decode(septets: bytes, shift: Shift) -> str:
    """Read septets as a phone would show them: what is reserved shows as a space.

    Raises:
        UnicodeDecodeError: An octet is above 7F.
    """
    codec = _codec(shift)
    text, escaped = [], False
    for char in septets.decode("ascii"):
        value = ord(char)
        if escaped:
            # What the extension lacks shows as the character of the main table; two escapes show as a space.
            text.append(codec.extension.get(value) or codec.basic.get(value, " "))
            escaped = False
        elif value == gsm7.ESC:
            escaped = True
        else:
            text.append(codec.basic.get(value, " "))
    return "".join(text) + " " * escaped


def elements(shift: Shift) -> bytes:
    """Write the elements of the user data header that name the tables; no header length before them."""
    octets = b""
    for identifier, language in ((IDENTIFIER_LOCKING, shift.locking), (IDENTIFIER_SINGLE, shift.single)):
        if language is not None:
            octets += bytes((identifier, 1, _tables()[language].identifier))
    return octets


def shift_of(found: Mapping[int, bytes]) -> Shift:
    """Return the tables that the elements of a header name; an unknown language is as if it was not named."""
    return Shift(
        *(_named(found.get(identifier, b"")) for identifier in (IDENTIFIER_LOCKING, IDENTIFIER_SINGLE))
    )


def _named(element: bytes) -> Language | None:
    return _by_identifier().get(element[0]) if len(element) == 1 else None


@cache
def _tables() -> Mapping[Language, _Tables]:
    octets = (files("dastak.sms") / "data" / "shift_tables.toml").read_bytes()
    return MappingProxyType(msgspec.toml.decode(octets, type=dict[Language, _Tables]))


@cache
def _by_identifier() -> Mapping[int, Language]:
    return MappingProxyType({tables.identifier: language for language, tables in _tables().items()})


@cache
def _codec(shift: Shift) -> _Codec:
    basic = (
        dict(enumerate(gsm7.BASIC))
        if shift.locking is None
        else _read(_tables()[shift.locking].locking or _missing(shift.locking))
    )
    basic.pop(gsm7.ESC, None)
    extension = (
        {value: char for char, value in gsm7.EXTENSION.items()}
        if shift.single is None
        else _read(_tables()[shift.single].single)
    )
    # Of two places of one character the first counts, and one septet is better than two.
    septets = {ord(char): chr(gsm7.ESC) + chr(value) for value, char in reversed(extension.items())}
    septets |= {ord(char): chr(value) for value, char in reversed(basic.items())}
    alphabet = "".join(map(chr, septets))
    return _Codec(septets, basic, extension, re.compile(f"[^{re.escape(alphabet)}]"))


def _read(rows: Sequence[str]) -> dict[int, str]:
    """Read the rows of a table; reserved places are left out."""
    codes = " ".join(rows).split()
    return {value: chr(int(code, 16)) for value, code in enumerate(codes) if code != RESERVED}


def _missing(language: Language) -> tuple[str, ...]:
    raise ValueError(f"{language} has no locking shift table")
