"""Hash passwords slowly, in processes of their own that yield to everything else.

1. A hash takes some 25 ms of a core, and the login around it work of the main process: in a storm both come
   between codes. So a quarter of the cores hash at most, at a lower priority than the rest; where there are
   fewer, they hash less of the time.
   Threads would not do: one of low priority that holds the interpreter's lock holds up every check.
2. Who is nobody costs as much as somebody with a wrong password.
3. What too many wait for is refused, and nothing else has to wait.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Container
from contextlib import suppress
from typing import Final, Self

import msgspec

from dastak.core.errors import Overloaded
from dastak.core.person import read_password
from dastak.tenancy.hashing_process import Answer, Question, hasher
from dastak.tenancy.known_passwords import is_known

# At 5 to 10 hashes a second for each core some seconds of waiting; who waits longer has gone.
WAITING_MAX: Final = 50
# One core in so many hashes.
CORES_FOR_ONE: Final = 4
# As long as a hash may take on a slow machine; what takes longer was waiting for the core itself.
HASH_S_MAX: Final = 0.1
RETRY_AFTER_S: Final = 5
_COMMAND: Final = (sys.executable, "-P", "-m", "dastak.tenancy.hashing_process")
_READ: Final = msgspec.json.Decoder(Answer)


class PasswordHashes:
    """The port `Passwords`; `async with` ends its processes, which begin with the first passwords.

    Args:
        breached: Passwords that nobody may choose, beside the most common ones; in lower case.
    """

    def __init__(self, breached: Container[str] = frozenset()) -> None:
        self._hasher = hasher()
        self._breached = breached
        cores = _cores()
        self._turn = asyncio.Semaphore(max(1, cores // CORES_FOR_ONE))
        self._rest = max(0.0, CORES_FOR_ONE / cores - 1)
        self._idle: list[Process] = []
        self._asking: set[asyncio.Task[Answer]] = set()
        self._nobody: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        while self._idle:
            await _end(self._idle.pop())

    async def make(self, clear: str) -> str:
        """See `Passwords.make`."""
        return (await self._answer(Question(read_password(clear)))).kept

    async def holds(self, kept: str | None, clear: str) -> bool:
        """See `Passwords.holds`."""
        if self._nobody is None:
            self._nobody = await self.make(os.urandom(16).hex())
        answer = await self._answer(Question(read_password(clear), kept or self._nobody))
        return answer.matched and bool(kept)

    def is_outdated(self, kept: str) -> bool:
        """See `Passwords.is_outdated`."""
        return self._hasher.check_needs_rehash(kept)

    def is_known(self, clear: str) -> bool:
        """See `Passwords.is_known`."""
        return is_known(clear, self._breached)

    async def _answer(self, question: Question) -> Answer:
        if len(self._asking) >= WAITING_MAX:
            raise Overloaded("Too many sign in at this moment.", retry_after_s=RETRY_AFTER_S)
        asking = asyncio.ensure_future(self._ask(question))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        # Who leaves does not take the answer along: the next one would get it.
        return await asyncio.shield(asking)

    async def _ask(self, question: Question) -> Answer:
        """Have a process answer in its turn, and let few cores rest before the next one."""
        await self._turn.acquire()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            return await self._answered(question)
        finally:
            took_s = min(loop.time() - began_s, HASH_S_MAX)
            loop.call_later(self._rest * took_s, self._turn.release)

    async def _answered(self, question: Question) -> Answer:
        process = self._idle.pop() if self._idle else await _begin()
        try:
            line = await _exchange(process, msgspec.json.encode(question) + b"\n")
        except BaseException:
            await _end(process)
            raise
        if not line:
            await _end(process)
            raise Overloaded("The process that hashes passwords ended.", retry_after_s=RETRY_AFTER_S)
        self._idle.append(process)
        return _READ.decode(line)


def _cores() -> int:
    """Return how many cores this process may use; some systems only say how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _begin() -> Process:
    return await asyncio.create_subprocess_exec(*_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)


async def _exchange(process: Process, line: bytes) -> bytes:
    """Return the answer to a line; nothing when the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):
        process.stdin.write(line)
        await process.stdin.drain()
    return await process.stdout.readline()


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
