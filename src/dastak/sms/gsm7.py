"""The GSM 7-bit default alphabet: a text as septets, septets as a text, and what keeps a text out of it.

1. A septet is held in an octet of its own, as SMPP carries it under data_coding 0; `pack` is for the air.
2. Nothing is replaced silently: `REPLACEMENTS` only advises, for a registered text must stay as it is.
3. Octet 00 is a letter (`@`), so nothing here ends at a zero.

Source: 3GPP TS 23.038, section 6.2.1 and 6.2.1.1.
"""

import re
from collections.abc import Mapping
from typing import Final

ESC: Final = 0x1B

# Position is value; ESC stands at 1B and is no character of a text.
BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
assert len(set(BASIC)) == 128
assert BASIC[ESC] == "\x1b"

# Each costs two septets: ESC and the value.
EXTENSION: Final[Mapping[str, int]] = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}

# What editors, keyboards and word processors put in by themselves, and what to offer in its place.
REPLACEMENTS: Final[Mapping[str, str]] = {
    "₹": "Rs.",
    "`": "'",
    "´": "'",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "«": '"',
    "»": '"',
    "‐": "-",
    "‑": "-",
    "–": "-",
    "—": "-",
    "−": "-",
    "•": "-",
    "…": "...",
    "ç": "c",
    "\t": " ",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{THIN SPACE}": " ",
    "\N{ZERO WIDTH SPACE}": "",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "",
}

_ALPHABET: Final = BASIC.replace("\x1b", "") + "".join(EXTENSION)
_FOREIGN: Final = re.compile(f"[^{re.escape(_ALPHABET)}]")
_TO_SEPTETS: Final = str.maketrans(
    {char: chr(value) for value, char in enumerate(BASIC)}
    | {char: chr(ESC) + chr(value) for char, value in EXTENSION.items()}
)
_FROM_SEPTETS: Final = str.maketrans({chr(value): char for value, char in enumerate(BASIC)})
_FROM_EXTENSION: Final = {value: char for char, value in EXTENSION.items()}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)


def first_foreign(text: str) -> tuple[int, str] | None:
    """Find the first character that would turn a whole text into UCS-2.

    Returns:
        Its index and itself, or None if the text fits the alphabet.
    """
    found = _FOREIGN.search(text)
    return (found.start(), found[0]) if found else None


def foreign_beyond(code_point_max: int) -> re.Pattern[str]:
    """Return what finds the characters that are not in the alphabet, or above a code point."""
    allowed = "".join(char for char in _ALPHABET if ord(char) <= code_point_max)
    return re.compile(f"[^{re.escape(allowed)}]")


def encode(text: str) -> bytes:
    """Write a text as septets, one in each octet.

    Raises:
        UnicodeEncodeError: The text has a foreign character; the error's sentence names it and its place.
    """
    foreign = _FOREIGN.search(text)
    if foreign:
        raise UnicodeEncodeError("gsm7", text, foreign.start(), foreign.end(), "not in the default alphabet")
    return text.translate(_TO_SEPTETS).encode("ascii")


def encoded(text: str) -> bytes | None:
    """Write a text as septets, one in each octet; None when it has a foreign character."""
    return None if _FOREIGN.search(text) else text.translate(_TO_SEPTETS).encode("ascii")


def decode(septets: bytes) -> str:
    """Read septets, one in each octet, as a phone would show them.

    An unknown extension shows as the character of the default table, a lone ESC as a space.

    Raises:
        UnicodeDecodeError: An octet is above 7F; whoever sent it does not speak GSM 7-bit.
    """
    basic = septets.decode("ascii")
    if ESC not in septets:
        return basic.translate(_FROM_SEPTETS)
    pieces = _ESCAPED.split(basic)  # plain, escaped, plain, escaped, ... plain
    pieces[::2] = [plain.translate(_FROM_SEPTETS) for plain in pieces[::2]]
    pieces[1::2] = [_show_extension(escaped) for escaped in pieces[1::2]]
    return "".join(pieces)


def pack(septets: bytes) -> bytes:
    """Pack septets into octets, least significant bits first, as they travel over the air.

    Args:
        septets: One in each octet, each 0 to 127.

    Returns:
        ceil(7 * len(septets) / 8) octets; spare high bits are zero.

    Source: 3GPP TS 23.038, section 6.1.2.1.
    """
    assert septets.isascii()
    bits = 0
    for place, septet in enumerate(septets):
        bits |= septet << 7 * place
    return bits.to_bytes((7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, count: int) -> bytes:
    """Unpack `count` septets; the count is needed, for seven spare bits look like one more `@`.

    Raises:
        ValueError: There are fewer septets than that.

    Source: 3GPP TS 23.038, section 6.1.2.1.
    """
    if 7 * count > 8 * len(octets):
        raise ValueError(f"{len(octets)} octets hold no {count} septets")
    bits = int.from_bytes(octets, "little")
    return bytes(bits >> 7 * place & 0x7F for place in range(count))


def _show_extension(escaped: str) -> str:
    if escaped in ("", "\x1b"):
        return " "
    value = ord(escaped)
    return _FROM_EXTENSION.get(value, BASIC[value])
