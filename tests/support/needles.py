"""Every guise in which a code might be hidden in octets, for tests that prove it is nowhere."""

import base64
import codecs
import hashlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

WORDS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def needles(code: str) -> set[bytes]:
    """Return a code as text, number, octets, digest and words, in the encodings that wires know."""
    found = {one for text in {code, code[::-1], code.lower()} for one in _written(text)}
    if code.isdigit():
        found |= set(_counted(code))
        for between in (" ", "-", "", ","):
            found.add(between.join(WORDS[int(digit)] for digit in code).encode())
    return found


def _written(text: str) -> Iterator[bytes]:
    octets = text.encode()
    for between in (" ", "-", ".", ",", ", ", "_", "\t", "%20", "+", "\\", "<break/>", "w"):
        yield between.join(text).encode()
    yield octets
    for wide in ("utf-16-le", "utf-16-be", "utf-32-le"):
        yield text.encode(wide)
    for one in (octets, *(hashlib.new(name, octets).digest() for name in ("md5", "sha1", "sha256"))):
        yield one
        yield one.hex().encode()
        yield one.hex().upper().encode()
        yield one.hex(" ").encode()
        yield one.hex(":").encode()
        yield base64.b32encode(one).rstrip(b"=")
        # Whatever stands before it, one of three alignments is its own.
        for before in range(3):
            coded = base64.b64encode(b"\0" * before + one + b"\0")
            whole = coded[(0, 2, 3)[before] : len(coded) - 4]
            yield whole
            yield whole.translate(bytes.maketrans(b"+/", b"-_"))
    yield "".join(f"%{octet:02X}" for octet in octets).encode()
    yield "".join(f"\\u{octet:04x}" for octet in octets).encode()
    yield "".join(f"\\x{octet:02x}" for octet in octets).encode()
    yield "".join(f"&#{octet};" for octet in octets).encode()
    yield quote(text).encode()
    yield codecs.encode(text, "rot13").encode()
    yield bytes(255 - octet for octet in octets)


def _counted(code: str) -> Iterator[bytes]:
    """Yield the octets of the number, and its digits packed two in an octet either way round."""
    number = int(code)
    octets = max(3, (number.bit_length() + 7) // 8)
    for order in ("big", "little"):
        yield number.to_bytes(octets, order)  # type: ignore[arg-type]
    yield f"{number:x}".encode()
    yield f"{number:X}".encode()
    even = code if len(code) % 2 == 0 else f"{code}f"
    yield bytes.fromhex(even)
    yield bytes.fromhex("".join(even[at + 1] + even[at] for at in range(0, len(even), 2)))
    yield even.translate(str.maketrans("0123456789", "abcdefghij")).encode()
