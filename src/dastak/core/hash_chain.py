"""One-time passwords by a chain of hashes: each password is the hash of the one that comes after it.

1. The verifier keeps only the last password it accepted, so what is stolen from it opens nothing.
2. The sequence number strictly falls; a chain that ends is replaced by one with another seed.
3. MD5 and SHA-1 are the standard's. Collisions, which broke them elsewhere, do not help against a chain.
"""

import hashlib
import hmac
import re
import struct
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dastak.core.errors import Conflict, InvalidRequest

PASSWORD_OCTETS: Final = 8
# What a sequence number may be at most, so that a chain is worked out in milliseconds.
SEQUENCE_MAX: Final = 9999
# From here on the person is asked to begin a new chain.
SEQUENCE_LOW: Final = 10
PASSPHRASE_CHARACTERS_MIN: Final = 10
PASSPHRASE_CHARACTERS_MAX: Final = 63

_SEED: Final = re.compile("[0-9A-Za-z]{1,16}")
_HEX_CHARACTERS_MAX: Final = 64
_HEX: Final = re.compile(f"[0-9A-Fa-f]{{{2 * PASSWORD_OCTETS}}}")


class ChainHash(StrEnum):
    """The hash of a chain, as challenges name it."""

    MD5 = "otp-md5"
    SHA1 = "otp-sha1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a verifier keeps of a chain.

    Attributes:
        seed: In lower case; different for every chain of a person.
        sequence: The sequence number of `password`; the next one accepted has the number below.
        password: The last password accepted, or the one the chain began with; 8 octets.
    """

    hash_function: ChainHash
    seed: str
    sequence: int
    password: bytes


def begin(passphrase: str, seed: str, sequence: int, hash_function: ChainHash) -> Chain:
    """Make a chain from a passphrase. The verifier that keeps it need not have seen the passphrase.

    A passphrase has 10 to 63 ASCII characters, a seed 1 to 16 ASCII letters and digits in any case. There are
    as many passwords as `sequence` says, 0 to 9999.

    Raises:
        InvalidRequest: One of them is out of its range.

    Source: RFC 2289, section 6.
    """
    if not _SEED.fullmatch(seed):
        raise InvalidRequest("`seed` must be 1 to 16 ASCII letters and digits.", field="seed")
    if not (
        passphrase.isascii() and PASSPHRASE_CHARACTERS_MIN <= len(passphrase) <= PASSPHRASE_CHARACTERS_MAX
    ):
        raise InvalidRequest("`passphrase` must be 10 to 63 ASCII characters.", field="passphrase")
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise InvalidRequest(f"`sequence` must be 0 to {SEQUENCE_MAX}.", field="sequence")
    seed = seed.lower()
    *_, password = _made(passphrase, seed, sequence, hash_function)
    return Chain(hash_function=hash_function, seed=seed, sequence=sequence, password=password)


def passwords(passphrase: str, seed: str, sequence: int, hash_function: ChainHash) -> tuple[str, ...]:
    """Return the passwords of the chain that `begin` makes of the same, in the order they are asked for.

    The first one has the number `sequence` - 1, as `challenge` names it, and the last one has 0.
    """
    *asked_for, _begun_with = _made(passphrase, seed.lower(), sequence, hash_function)
    return tuple(show_password(password) for password in reversed(asked_for))


def challenge(chain: Chain) -> str:
    """Ask for the next password, in the words that calculators read: `otp-md5 98 test`.

    Raises:
        Conflict: The chain is used up.

    Source: RFC 2289, section 6.
    """
    if chain.sequence < 1:
        raise Conflict("The chain is used up; begin a new one.")
    return f"{chain.hash_function} {chain.sequence - 1} {chain.seed}"


def accept(chain: Chain, password: bytes) -> Chain | None:
    """Return the chain after this password, or None if it is not the next one or there is none left."""
    if chain.sequence < 1 or len(password) != PASSWORD_OCTETS:
        return None
    if not hmac.compare_digest(_fold(password, chain.hash_function), chain.password):
        return None
    return Chain(
        hash_function=chain.hash_function, seed=chain.seed, sequence=chain.sequence - 1, password=password
    )


def running_low(chain: Chain) -> bool:
    """Say whether the person should begin a new chain soon."""
    return chain.sequence < SEQUENCE_LOW


def check_renewal(fresh: Chain, *, used_seeds: Set[str]) -> Chain:
    """Return a new chain if it may replace an old one.

    The same seed would bring back passwords that somebody may have seen, under a number that rose.

    Raises:
        Conflict: A chain with this seed was used before.
        InvalidRequest: The new chain is too short to be of use.

    Source: RFC 2289.
    """
    if fresh.seed in used_seeds:
        raise Conflict("This seed was used before; take another one.")
    if running_low(fresh):
        raise InvalidRequest(f"`sequence` must be {SEQUENCE_LOW} to {SEQUENCE_MAX}.", field="sequence")
    return fresh


def show_password(password: bytes) -> str:
    """Write a password as calculators do: `9E87 6134 D904 99DD`."""
    return password.hex(" ", 2).upper()


def read_password(text: str) -> bytes | None:
    """Read a password of 16 hexadecimal digits in any case, with white space anywhere; None if it is not one.

    Source: RFC 2289, section 6.
    """
    if len(text) > _HEX_CHARACTERS_MAX:
        return None
    digits = "".join(text.split())
    return bytes.fromhex(digits) if _HEX.fullmatch(digits) else None


def _made(passphrase: str, seed: str, sequence: int, hash_function: ChainHash) -> list[bytes]:
    """Return the passwords with the numbers 0 to `sequence`."""
    made = [_fold((seed + passphrase).encode("ascii"), hash_function)]
    for _ in range(sequence):
        made.append(_fold(made[-1], hash_function))
    return made


def _fold(octets: bytes, hash_function: ChainHash) -> bytes:
    """Hash once and fold the result to 8 octets.

    Source: RFC 2289, appendix A.
    """
    if hash_function is ChainHash.MD5:
        left, right = struct.unpack(">2Q", hashlib.md5(octets, usedforsecurity=False).digest())
        return struct.pack(">Q", left ^ right)
    a, b, c, d, e = struct.unpack(">5I", hashlib.sha1(octets, usedforsecurity=False).digest())
    # Its words are sent least significant octet first, as those of MD5 are by nature.
    return struct.pack("<2I", a ^ c ^ e, b ^ d)
