"""Make codes, compare them, and read what a person typed or pasted.

1. A code is derived from a key outside the database, the verification and a generation: it is never stored,
   and whoever holds the key makes the same one again.
2. Every code of an alphabet is equally likely, leading zeros included.
3. Codes are compared in constant time; a code that the caller chose is kept only as a keyed digest.
"""

import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from math import log2
from types import MappingProxyType
from typing import AnyStr, Final

from dastak.core.errors import InvalidRequest, Overloaded

CODE_CHARACTERS_MIN: Final = 4
CODE_CHARACTERS_MAX: Final = 10
# Three parts of a text have 459 characters; nothing longer was pasted from one of ours.
TYPED_CHARACTERS_MAX: Final = 500

# HMAC-SHA-256 keeps its full strength from 32 octets on (RFC 2104, section 3).
KEY_OCTETS_MIN: Final = 32
# 32 random octets have fewer different ones less than once in 10^36 keys; `changeme` repeated has seven.
KEY_DIFFERENT_OCTETS_MIN: Final = 8

# A node that lacks a key is given its file and started again.
KEY_AGAIN_S: Final = 5

# What a page shows and the person types into the phone. Two digits would be guessed blindly by one in a
# hundred of those who never saw the page, four are mistyped; docs/explanation/policy.md has the arithmetic.
MATCH_DIGITS: Final = 3
# Neither 0, which people leave out at the beginning, nor 9, by which they say that they did not ask, comes
# first.
MATCH_NUMBERS: Final = range(100, 900)
assert {len(str(number)) for number in MATCH_NUMBERS} == {MATCH_DIGITS}

# What is authenticated begins with its purpose, so that no code can be mistaken for a digest.
_CODE_DOMAIN: Final = b"dastak/code/1\x00"
_MATCH_DOMAIN: Final = b"dastak/match/1\x00"
_DIGEST_DOMAIN: Final = b"dastak/own-code/1\x00"
_MARK_DOMAIN: Final = b"dastak/key-mark/1\x00"
_MARK_OCTETS: Final = 16


class Alphabet(StrEnum):
    """What a code is written in."""

    NUMERIC = "numeric"
    ALPHANUMERIC = "alphanumeric"


# Nobody can tell 0 from O, or 1 from I and L, in every typeface, so letters and digits go without them.
SYMBOLS: Final[Mapping[Alphabet, str]] = {
    Alphabet.NUMERIC: "0123456789",
    Alphabet.ALPHANUMERIC: "23456789ABCDEFGHJKMNPQRSTUVWXYZ",
}
assert set(SYMBOLS) == set(Alphabet)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys that codes are derived with, by key id; new codes use `current`, old ones the id they name."""

    current: int
    keys: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse keys that protect nothing.

        Raises:
            ValueError: A key is too short or looks like a placeholder, or there is no current one.
        """
        if self.current not in self.keys:
            raise ValueError(f"The key ring has no key with the current id {self.current}.")
        for key_id, key in self.keys.items():
            if len(key) < KEY_OCTETS_MIN:
                raise ValueError(f"Key {key_id} is shorter than {KEY_OCTETS_MIN} octets.")
            if len(set(key)) < KEY_DIFFERENT_OCTETS_MIN:
                raise ValueError(f"Key {key_id} is not random; it looks like a placeholder.")
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))

    def key(self, key_id: int) -> bytes:
        """Return the key of something that was made with it.

        Raises:
            Overloaded: It came into use on another node, and is not in our file yet.
        """
        key = self.keys.get(key_id)
        if key is None:
            raise Overloaded(f"The key file of this node has no key {key_id} yet.", retry_after_s=KEY_AGAIN_S)
        return key

    def marks(self) -> dict[int, bytes]:
        """Return what tells each key from every other one, and says nothing else of it."""
        return {
            key_id: hmac.digest(key, _MARK_DOMAIN, "sha256")[:_MARK_OCTETS]
            for key_id, key in self.keys.items()
        }


def derive(key: bytes, *, verification_id: bytes, generation: int, length: int, alphabet: Alphabet) -> str:
    """Make the code of a verification; the same arguments always make the same code.

    `generation` is 0 for its first code and one more for each new one; `length` is 4 to 10 characters.
    Each octet of an HMAC stream becomes one symbol. Octets past the last whole multiple of the alphabet's
    size are dropped, or its first symbols would come more often.

    Source: RFC 2104 (HMAC); NIST SP 800-90A, appendix A.5.1 (simple discard).
    """
    assert CODE_CHARACTERS_MIN <= length <= CODE_CHARACTERS_MAX
    seed = _CODE_DOMAIN + generation.to_bytes(4) + verification_id
    symbols, block = b"", 0
    while len(symbols) < length:
        symbols += _symbols(hmac.digest(key, seed + block.to_bytes(1), "sha256"), alphabet)
        block += 1
    return symbols[:length].decode("ascii")


def match_number(key: bytes, *, verification_id: bytes, generation: int) -> str:
    """Make the number that a page shows; like a code, but a secret apart from it.

    Of 2^64 values 800 evenly; the rest of that division favours none of them by more than one in 10^16.
    """
    seed = _MATCH_DOMAIN + generation.to_bytes(4) + verification_id
    value = int.from_bytes(hmac.digest(key, seed, "sha256")[:8])
    return str(MATCH_NUMBERS[value % len(MATCH_NUMBERS)])


def digest(key: bytes, *, tenant: int, verification_id: bytes, code: str) -> bytes:
    """Return what is kept of a code that the caller chose: HMAC-SHA-256, 32 octets."""
    bound_to = tenant.to_bytes(8) + len(verification_id).to_bytes(1) + verification_id
    return hmac.digest(key, _DIGEST_DOMAIN + bound_to + _octets(code), "sha256")


def matches(expected: AnyStr, offered: AnyStr) -> bool:
    """Compare two codes or two digests, in a time that tells nothing but their length."""
    return hmac.compare_digest(_octets(expected), _octets(offered))


def entropy_bits(length: int, alphabet: Alphabet) -> float:
    """Return how hard a code is to guess: 19.9 for six digits."""
    return length * log2(len(SYMBOLS[alphabet]))


_RUNS: Final = (
    "0123456789" * 2,
    "9876543210" * 2,
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
)


def trivial(code: str) -> bool:
    """Say whether anybody would guess a code first: 000000, 123456, 654321, 121212, abcabc."""
    lower = code.lower()
    repeated = lower in (lower + lower)[1:-1]
    return repeated or any(lower in run for run in _RUNS)


_OWN_CODE: Final = re.compile(f"[0-9A-Za-z]{{{CODE_CHARACTERS_MIN},{CODE_CHARACTERS_MAX}}}")


def check_own_code(text: str) -> str:
    """Return a code that the caller chose, if it may be used.

    Raises:
        InvalidRequest: It is not 4 to 10 ASCII letters and digits.
    """
    if not _OWN_CODE.fullmatch(text):
        raise InvalidRequest(
            f"`code` must be {CODE_CHARACTERS_MIN} to {CODE_CHARACTERS_MAX} ASCII letters and digits.",
            field="code",
        )
    return text


# Marks that people and keyboards put between the symbols of a code: white space, dashes, stops.
_BETWEEN: Final = re.compile(r"[\s.·\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+")
_UPPER: Final = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
# The last line of our texts: `@login.acme.in #123456`. Carriers may have turned its line break into a space.
# Source: WICG, Origin-bound one-time codes delivered via SMS.
_BOUND_LINE: Final = re.compile(r"(?<!\S)@[^\s@#]+ #([0-9A-Za-z]+)")


def read_typed(text: str, *, length: int, alphabet: Alphabet | None) -> str | None:
    """Read a code from what a person typed, or from a whole text that was pasted.

    A pasted text's `@host #code` line decides if there is one. If not, the code is the only word of the right
    length in the right alphabet, or among several the one that opens the text, where our texts have it.

    Args:
        text: Digits of any script, with marks between; past `TYPED_CHARACTERS_MAX` it is not read.
        length: How many characters the code has.
        alphabet: None for a code that the caller chose: its case is kept, and in a longer text it needs a
            digit to be told from a word.

    Returns:
        The code as it was sent, or None if nothing or more than one thing could be it.
    """
    if len(text) > TYPED_CHARACTERS_MAX:
        return None
    if not text.isascii():
        text = _fold(text)
    whole, word = _patterns(length, alphabet)
    alone = _BETWEEN.sub("", text)
    if alphabet is Alphabet.ALPHANUMERIC:
        alone = alone.translate(_UPPER)
    if whole.fullmatch(alone):
        return alone
    bound = {match[1] for match in _BOUND_LINE.finditer(text) if whole.fullmatch(match[1])}
    if bound:
        return bound.pop() if len(bound) == 1 else None
    words = list(word.finditer(text))
    if len({match[0] for match in words}) == 1 or (words and _opens(text, words[0])):
        return words[0][0]
    return None


def _fold(text: str) -> str:
    """Write digits of every script in ASCII, and drop marks that have no width."""
    return "".join(
        character if value < 0 else str(value)
        for character in text
        if unicodedata.category(character) != "Cf"
        for value in (unicodedata.decimal(character, -1),)
    )


def _opens(text: str, word: re.Match[str]) -> bool:
    """Say whether nothing but marks stands before a word, as `<#>` before a code for Android."""
    return not any(character.isalnum() for character in text[: word.start()])


@cache
def _patterns(length: int, alphabet: Alphabet | None) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what a code is when it stands alone, and what it is as a word in a text.

    A word does not touch other letters or digits, nor `+` or `/` (an Android hash, a link, a date), and is
    not a part of an amount with a decimal point.
    """
    symbols = "0-9A-Za-z" if alphabet is None else SYMBOLS[alphabet]
    code = f"[{symbols}]{{{length}}}"
    has_digit = f"(?=[A-Za-z]{{0,{length - 1}}}[0-9])" if alphabet is None else ""
    before, after = r"(?<![0-9A-Za-z+/])(?<![0-9][.,])", r"(?![0-9A-Za-z+/])(?![.,][0-9])"
    return re.compile(code), re.compile(before + has_digit + code + after)


def _symbols(octets: bytes, alphabet: Alphabet) -> bytes:
    """Turn random octets into as many symbols of the alphabet as they evenly give."""
    table, dropped = _TRANSLATION[alphabet]
    return octets.translate(table, dropped)


def _translation(alphabet: Alphabet) -> tuple[bytes, bytes]:
    symbols = SYMBOLS[alphabet].encode("ascii")
    even = 256 - 256 % len(symbols)
    return bytes(symbols[octet % len(symbols)] for octet in range(256)), bytes(range(even, 256))


_TRANSLATION: Final = {alphabet: _translation(alphabet) for alphabet in Alphabet}


def _octets(code: str | bytes) -> bytes:
    # A JSON string may hold half a surrogate pair; it matches no code, but must not break the comparison.
    return code if isinstance(code, bytes) else code.encode("utf-8", "surrogatepass")
