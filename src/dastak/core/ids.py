"""Names of things, random and prefixed in public, and what is kept of random secrets."""

from hashlib import sha256
from typing import Final, NewType

from dastak.core.errors import NotFound

VerificationId = NewType("VerificationId", bytes)
FactorId = NewType("FactorId", bytes)

# 128 random bits: an id can be neither guessed nor ordered.
ID_OCTETS: Final = 16
VERIFICATION_PREFIX: Final = "ver_"
FACTOR_PREFIX: Final = "fac_"


def show(verification_id: VerificationId) -> str:
    """Write an id as callers see it: `ver_` and 32 hexadecimal digits."""
    return VERIFICATION_PREFIX + verification_id.hex()


def read(text: str) -> VerificationId:
    """Read an id back.

    Raises:
        NotFound: It cannot be an id; it looks exactly like an id nobody has.
    """
    octets = _octets(text, VERIFICATION_PREFIX)
    if octets is None:
        raise NotFound("There is no such verification.")
    return VerificationId(octets)


def show_factor(factor_id: FactorId) -> str:
    """Write a factor's id as callers see it: `fac_` and 32 hexadecimal digits."""
    return FACTOR_PREFIX + factor_id.hex()


def read_factor(text: str) -> FactorId:
    """Read a factor's id back. Raises: NotFound, as `read` does."""
    octets = _octets(text, FACTOR_PREFIX)
    if octets is None:
        raise NotFound("There is no such factor.")
    return FactorId(octets)


def _octets(text: str, prefix: str) -> bytes | None:
    if len(text) != len(prefix) + 2 * ID_OCTETS or not text.startswith(prefix):
        return None
    try:
        octets = bytes.fromhex(text[len(prefix) :])
    except ValueError:
        return None
    return octets if len(octets) == ID_OCTETS else None


def digest_of(secret: str) -> bytes:
    """Return what the database keeps of a secret: 32 octets; so many random bits need no slow hash.

    Args:
        secret: Of at least 128 random bits. What is no Unicode text, and so none of ours, is no error.
    """
    return sha256(secret.encode("utf-8", "replace")).digest()
