"""Keys of SRTP as session descriptions carry them; they are readable there, so the text must travel over TLS.

Source: RFC 4568, sections 4, 6 and 9.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# A master key of 16 octets and its salt of 14.
SRTP_KEY_OCTETS: Final = 30
TAG_MAX: Final = 999_999_999
_WORDS_MIN: Final = 3


class Suite(StrEnum):
    """How SRTP encrypts and signs."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One key: that of the side that describes, for what it sends.

    Attributes:
        tag: By which an answer says which key of the offer it takes.
        key: `SRTP_KEY_OCTETS` octets; never shown.
    """

    tag: int
    suite: Suite
    key: bytes = field(repr=False)


def new_keys(entropy: Callable[[int], bytes]) -> tuple[Crypto, ...]:
    """Return what we offer for one call: a fresh key of each suite, the longer signature first."""
    return tuple(
        Crypto(tag=tag, suite=suite, key=entropy(SRTP_KEY_OCTETS)) for tag, suite in enumerate(Suite, start=1)
    )


def write_crypto(crypto: Crypto) -> str:
    """Write the value of a crypto attribute."""
    assert len(crypto.key) == SRTP_KEY_OCTETS
    return f"{crypto.tag} {crypto.suite} inline:{base64.b64encode(crypto.key).decode()}"


def read_crypto(value: str) -> Crypto | None:
    """Read the value of a crypto attribute; None if it is malformed or wants what we do not do.

    That is: another suite, several keys, a master key identifier, or parameters that switch encryption off.
    """
    words = value.split()
    if len(words) < _WORDS_MIN or words[1] not in set(Suite):
        return None
    tag, suite, keys, *parameters = words
    key = _read_key(keys)
    # The size of a replay window is the one parameter that a sender may overlook.
    if key is None or any(not parameter.upper().startswith("WSH=") for parameter in parameters):
        return None
    if not (tag.isascii() and tag.isdigit()) or len(tag) > len(str(TAG_MAX)):
        return None
    return Crypto(tag=int(tag), suite=Suite(suite), key=key)


def _read_key(keys: str) -> bytes | None:
    method, _, inline = keys.partition(":")
    # What may follow is a lifetime, which no call outlives; with a colon it is an MKI.
    coded, *lifetime = inline.split("|")
    if method.lower() != "inline" or len(lifetime) > 1 or ":" in "".join(lifetime):
        return None
    try:
        key = base64.b64decode(coded, validate=True)
    except ValueError:
        return None
    return key if len(key) == SRTP_KEY_OCTETS else None
