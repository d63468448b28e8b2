"""Passwords by Argon2id; an unknown name costs as much time as a wrong password."""

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LENGTH_MIN: Final = 8
LENGTH_MAX: Final = 128

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Each takes a core and its memory; whoever floods the login waits, and the other pages go on.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
# Of nobody: its password was random and is forgotten.
_NOBODY: Final = _HASHER.hash("8b5f1c9a-nobody-knows-this-one")


def hash_password(password: str) -> str:
    """Return what may be kept of a password."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Return whether this is the password; None is somebody who is not there, and takes as long."""
    try:
        with _AT_ONCE:
            return _HASHER.verify(kept or _NOBODY, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Return whether a hash was made with other settings than today's."""
    return _HASHER.check_needs_rehash(kept)
