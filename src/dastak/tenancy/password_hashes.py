"""Hash passwords slowly with argon2id, in threads that yield to everything else.

1. A hash takes some 25 ms of a core: half of the cores hash at most, at a lower priority than the rest.
2. Who is nobody costs as much as somebody with a wrong password.
3. What too many wait for is refused, and nothing else has to wait.

Source: OWASP Password Storage Cheat Sheet (argon2id, m=19456 KiB, t=2, p=1); RFC 9106.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dastak.core.errors import Overloaded
from dastak.core.person import read_password
from dastak.tenancy.known_passwords import is_known

T = TypeVar("T")

MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
# At 40 hashes a second and core a few seconds of waiting; who waits longer has gone.
WAITING_MAX: Final = 100
RETRY_AFTER_S: Final = 5
# Checks of codes and carriers come first.
_NICENESS: Final = 10


class PasswordHashes:
    """The port `Passwords`.

    Args:
        breached: Passwords that nobody may choose, beside the most common ones; in lower case.
    """

    def __init__(self, breached: Container[str] = frozenset()) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        workers = max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(workers, "dastak-argon2", initializer=_yield_to_others)
        self._breached = breached
        self._waiting = 0
        self._nobody: str | None = None

    async def make(self, clear: str) -> str:
        """See `Passwords.make`."""
        return await self._in_thread(lambda: self._hasher.hash(read_password(clear)))

    async def holds(self, kept: str | None, clear: str) -> bool:
        """See `Passwords.holds`."""
        if self._nobody is None:
            self._nobody = await self.make(os.urandom(16).hex())
        against = kept or self._nobody
        matched = await self._in_thread(lambda: self._holds(against, read_password(clear)))
        return matched and bool(kept)

    def is_outdated(self, kept: str) -> bool:
        """See `Passwords.is_outdated`."""
        return self._hasher.check_needs_rehash(kept)

    def is_known(self, clear: str) -> bool:
        """See `Passwords.is_known`."""
        return is_known(clear, self._breached)

    def _holds(self, kept: str, clear: str) -> bool:
        try:
            return self._hasher.verify(kept, clear)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded("Too many sign in at this moment.", retry_after_s=RETRY_AFTER_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _yield_to_others() -> None:
    """Lower the priority of this thread alone; where the system has none for threads, go on without."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
