"""Hash passwords slowly, in processes of their own that yield to everything else.

1. A hash takes some 25 ms of a core, and the login around it work of the main process: in a storm both come
   between codes. So a quarter of the cores hash at most, at a lower priority than the rest; where there are
   fewer, they hash less of the time.
   Threads would not do: one of low priority that holds the interpreter's lock holds up every check.
2. Who is nobody costs as much as somebody with a wrong password.
3. What too many wait for is refused, and nothing else has to wait.
4. Known browsers, those known at the console and strangers wait apart and take turns: however many come of
   one kind, the others have their places and at least every third turn.
5. Anybody may have an account and a browser that is known to it: of one account few wait apart at once, and
   what is more waits among strangers.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Container, Mapping
from contextlib import suppress
from typing import Final, Self

import msgspec

from dastak.core.errors import Overloaded
from dastak.core.people_store import Asker
from dastak.core.person import read_password
from dastak.tenancy.hashing_process import Answer, Question, hasher
from dastak.tenancy.known_passwords import is_known

# At 5 to 10 hashes a second for each core some seconds of waiting; who waits longer has gone.
WAITING_MAX: Final = 50
# Places of known browsers, and of those of the console: few people come back at one moment.
WAITING_APART_MAX: Final = 10
# A form that is sent twice is no storm; one account alone holds no more of those places.
WAITING_OF_ACCOUNT_MAX: Final = 2
assert WAITING_OF_ACCOUNT_MAX < WAITING_APART_MAX
_PLACES: Final[Mapping[Asker, int]] = {
    Asker.KNOWN: WAITING_APART_MAX,
    Asker.CONSOLE: WAITING_APART_MAX,
    Asker.STRANGER: WAITING_MAX,
}
assert set(_PLACES) == set(Asker)
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
        self._turns = _Turns(max(1, cores // CORES_FOR_ONE))
        self._rest = max(0.0, CORES_FOR_ONE / cores - 1)
        self._idle: list[Process] = []
        self._asking: dict[Asker, dict[asyncio.Task[Answer], bytes]] = {asker: {} for asker in Asker}
        self._nobody: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        under_way = [asking for askings in self._asking.values() for asking in askings]
        for asking in under_way:
            asking.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        while self._idle:
            await _end(self._idle.pop())

    async def make(self, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b"") -> str:
        """See `Passwords.make`."""
        return (await self._answer(Question(read_password(clear)), asker, whose)).kept

    async def holds(
        self, kept: str | None, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b""
    ) -> bool:
        """See `Passwords.holds`."""
        if self._nobody is None:
            self._nobody = await self.make(os.urandom(16).hex(), asker, whose)
        answer = await self._answer(Question(read_password(clear), kept or self._nobody), asker, whose)
        return answer.matched and bool(kept)

    def is_outdated(self, kept: str) -> bool:
        """See `Passwords.is_outdated`."""
        return self._hasher.check_needs_rehash(kept)

    def is_known(self, clear: str) -> bool:
        """See `Passwords.is_known`."""
        return is_known(clear, self._breached)

    async def _answer(self, question: Question, asker: Asker, whose: bytes) -> Answer:
        of_account = list(self._asking[asker].values()).count(whose)
        if asker is not Asker.STRANGER and of_account >= WAITING_OF_ACCOUNT_MAX:
            asker = Asker.STRANGER
        like_this = self._asking[asker]
        if len(like_this) >= _PLACES[asker]:
            raise Overloaded("Too many sign in at this moment.", retry_after_s=RETRY_AFTER_S)
        asking = asyncio.ensure_future(self._ask(question, asker))
        like_this[asking] = whose
        asking.add_done_callback(like_this.pop)
        # Who leaves does not take the answer along: the next one would get it.
        return await asyncio.shield(asking)

    async def _ask(self, question: Question, asker: Asker) -> Answer:
        """Have a process answer in its turn, and let few cores rest before the next one."""
        await self._turns.take(asker)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            return await self._answered(question)
        finally:
            took_s = min(loop.time() - began_s, HASH_S_MAX)
            loop.call_later(self._rest * took_s, self._turns.give)

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


class _Turns:
    """Turns to hash: each kind of asker that waits gets one after the other, and in each who came first.

    Args:
        at_once: How many have a turn at one moment.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[Asker, deque[asyncio.Future[None]]] = {asker: deque() for asker in Asker}
        self._order = deque(Asker)

    async def take(self, asker: Asker) -> None:
        """Wait for a turn."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[asker].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Hand a turn on to whoever is next."""
        for _ in Asker:
            waiting = self._waiting[self._order[0]]
            self._order.rotate(-1)
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


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
