"""Names of things: random, prefixed in public, sixteen octets inside."""

from typing import Final, NewType

from dastak.core.errors import NotFound

VerificationId = NewType("VerificationId", bytes)

# 128 random bits: an id can be neither guessed nor ordered.
ID_OCTETS: Final = 16
VERIFICATION_PREFIX: Final = "ver_"
_TEXT_LENGTH: Final = len(VERIFICATION_PREFIX) + 2 * ID_OCTETS


def show(verification_id: VerificationId) -> str:
    """Write an id as callers see it: `ver_` and 32 hexadecimal digits."""
    return VERIFICATION_PREFIX + verification_id.hex()


def read(text: str) -> VerificationId:
    """Read an id back.

    Raises:
        NotFound: It cannot be an id; it looks exactly like an id nobody has.
    """
    if len(text) == _TEXT_LENGTH and text.startswith(VERIFICATION_PREFIX):
        try:
            octets = bytes.fromhex(text[len(VERIFICATION_PREFIX) :])
        except ValueError:
            octets = b""
        if len(octets) == ID_OCTETS:
            return VerificationId(octets)
    raise NotFound("There is no such verification.")
