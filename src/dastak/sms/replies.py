"""What people write back to a sender: joined, read, masked, and sorted into STOP, START, HELP and the rest.

1. A reply is a word only when all of it is that word: a person who is blocked by mistake cannot log in.
2. What is handed on has no digits: people answer with codes.
3. Unfinished replies are bounded; the oldest is asked for again, later.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
import msgspec.toml

from dastak.core.reply import Reply, ReplyKind
from dastak.sms.pdu_bodies import Sm
from dastak.sms.user_data import part_of, read_text, user_data

UNFINISHED_MAX: Final = 256
TEXT_CHARACTERS_MAX: Final = 160
# A longer text is no word to us.
WORDS_MAX: Final = 8

_TON_INTERNATIONAL: Final = 1
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_MASK: Final = "•"
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
# Malayalam writes these letters in two ways, and normalisation knows of neither.
_CHILLUS: Final[Mapping[str, str]] = {
    "\u0d23\u0d4d\u200d": "\u0d7a",
    "\u0d28\u0d4d\u200d": "\u0d7b",
    "\u0d30\u0d4d\u200d": "\u0d7c",
    "\u0d32\u0d4d\u200d": "\u0d7d",
    "\u0d33\u0d4d\u200d": "\u0d7e",
    "\u0d15\u0d4d\u200d": "\u0d7f",
}


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data file: for each kind its phrases by language."""

    noise: tuple[str, ...]
    stop: dict[str, tuple[str, ...]]
    start: dict[str, tuple[str, ...]]
    help: dict[str, tuple[str, ...]]


class _Key(NamedTuple):
    phone: str
    to: str
    reference: int
    total: int


class _Unfinished(NamedTuple):
    parts: dict[int, bytes]
    handles: list[Any]


class Whole(NamedTuple):
    """A text with all its parts, and what was handed in with each."""

    text: str
    handles: tuple[Any, ...]


class ReplyParts:
    """Joins the parts of replies."""

    def __init__(self) -> None:
        self._unfinished: dict[_Key, _Unfinished] = {}

    def add(self, sm: Sm, handle: Any) -> tuple[Whole | None, tuple[Any, ...]]:
        """Take one deliver_sm.

        Args:
            sm: Not a receipt.
            handle: Comes back with the whole text.

        Returns:
            The text once all its parts are there, and the handles of a text that was given up for room.
        """
        elements, octets = user_data(sm)
        part = part_of(sm, elements)
        if part is None:
            return Whole(read_text(octets, sm.data_coding, elements), (handle,)), ()
        key = _Key(sm.source_addr, sm.destination_addr, part.reference, part.total)
        unfinished = self._unfinished.setdefault(key, _Unfinished({}, []))
        unfinished.parts[part.number] = octets
        unfinished.handles.append(handle)
        if len(unfinished.parts) == part.total:
            del self._unfinished[key]
            joined = b"".join(octets for _, octets in sorted(unfinished.parts.items()))
            return Whole(read_text(joined, sm.data_coding, elements), tuple(unfinished.handles)), ()
        if len(self._unfinished) > UNFINISHED_MAX:
            oldest = next(iter(self._unfinished))
            return None, tuple(self._unfinished.pop(oldest).handles)
        return None, ()


def read_reply(route: str, sm: Sm, text: str, *, country_code: str = "") -> Reply | None:
    """Make a reply of a text; None when its number is none.

    Args:
        route: The way it came.
        sm: The deliver_sm it came in, or the last one of them.
        text: All of it.
        country_code: Of numbers that come without one; empty where none do.
    """
    msisdn = phone_of(sm.source_addr, sm.source_addr_ton, country_code=country_code)
    if msisdn is None:
        return None
    return Reply(
        route=route,
        msisdn=msisdn,
        to=sm.destination_addr,
        kind=classify(text, to=sm.destination_addr),
        text_masked=mask_digits(text[:TEXT_CHARACTERS_MAX]),
    )


def phone_of(address: str, ton: int, *, country_code: str = "") -> str | None:
    """Read an address as an E.164 number; None when it cannot be one."""
    digits = address.removeprefix("+")
    if country_code and ton != _TON_INTERNATIONAL and not address.startswith("+"):
        national = digits.lstrip("0")
        known = digits.startswith(country_code) and len(digits) > 10  # it has its country code after all
        digits = digits if known else country_code + national
    msisdn = "+" + digits
    return msisdn if _E164.fullmatch(msisdn) else None


def classify(text: str, *, to: str = "") -> ReplyKind:
    """Say what a reply asks for.

    Args:
        text: As it was written.
        to: The sender it answers; its name in the text does not count.
    """
    phrases, noise = _phrases()
    words = _words(text)
    if len(words) > WORDS_MAX:
        return ReplyKind.OTHER
    whole = phrases.get(" ".join(words))
    if whole is not None:
        return whole
    named = set(_words(to))
    left = [word for word in words if word not in noise and word not in named]
    return phrases.get(" ".join(left), ReplyKind.OTHER)


def mask_digits(text: str) -> str:
    """Put a dot in place of every digit of any script."""
    return "".join(_MASK if char.isnumeric() else char for char in text)


def _words(text: str) -> list[str]:
    """Cut a text into words of letters, marks and digits, as if all people typed alike."""
    for written, letter in _CHILLUS.items():
        text = text.replace(written, letter)
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in text)
    return "".join(kept).split()


@cache
def _phrases() -> tuple[Mapping[str, ReplyKind], frozenset[str]]:
    octets = (files("dastak.sms") / "data" / "reply_words.toml").read_bytes()
    words = msgspec.toml.decode(octets, type=_Words)
    phrases = {
        " ".join(_words(phrase)): kind
        for kind, by_language in (
            (ReplyKind.STOP, words.stop),
            (ReplyKind.START, words.start),
            (ReplyKind.HELP, words.help),
        )
        for listed in by_language.values()
        for phrase in listed
    }
    noise = frozenset(word for written in words.noise for word in _words(written))
    return MappingProxyType(phrases), noise
