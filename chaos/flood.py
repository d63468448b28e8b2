"""Starts from a schedule that waits for nobody, in a process of its own.

`python -m chaos.flood` reads its orders from standard input and writes what came back to standard output. It
asks without asyncio, whose loop alone would take more than the share of two cores that is left for it.
"""

import asyncio
import gc
import itertools
import random
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from bench.load import AGAIN_AFTER_S, HEAD_END, LENGTH, LOST, TOO_BUSY, post

# So many that no start waits for one, and from so many addresses that each has as few silent ones as it may.
CONNECTIONS_MAX: Final = 4_000
ADDRESSES: Final = tuple(f"127.0.1.{n}" for n in range(1, 81))
TOGETHER: Final = 64
# How long the answers to the last starts are waited for.
PATIENCE_S: Final = 10.0
# Connections are looked at so often at least.
LOOK_EVERY_S: Final = 0.05
PATH: Final = "/v1/verifications"
ROOT: Final = Path(__file__).resolve().parents[1]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        per_s: Starts a second; None asks for the next one as soon as there is an answer.
        first: The first number.
    """

    port: int
    key: str
    per_s: float | None
    seconds: float
    first: int


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one start got, `LOST` being no answer.

    Attributes:
        late_s: How much later than due the load came to it.
        took_s: From then on, with the wait for a connection when all of them were busy.
        at_s: When it was answered, from the beginning of the flood.
        answered_s: The same by the machine's monotonic clock, which is that of all processes.
    """

    number: str
    status: int
    late_s: float
    took_s: float
    at_s: float
    answered_s: float
    says_when: bool


async def flood(orders: Orders) -> list[Reply]:
    """Have it done by another process, and return what came back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos.flood"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        told, _ = await process.communicate(msgspec.json.encode(orders))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return msgspec.json.decode(told, type=list[Reply])


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """A start that the load came to."""

    number: str
    due_s: float
    came_s: float


class _Line:
    """A connection with at most one start on it."""

    __slots__ = ("asked", "octets", "socket")

    def __init__(self, port: int, address: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), source_address=(address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.asked: _Asked | None = None
        self.octets = b""


class _Flood:
    """What is asked and what came back."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._lines: dict[int, _Line] = {}
        self._free: deque[_Line] = deque()
        # Starts that found every connection busy.
        self._waiting: deque[_Asked] = deque()
        # Connections that ask nothing until then.
        self._resting: deque[tuple[float, _Line]] = deque()
        self._addresses = itertools.cycle(ADDRESSES)
        self._ready = select.epoll()
        self._count = 0
        self._began_s = 0.0
        self.replies: list[Reply] = []

    def run(self) -> None:
        """Ask until the time is over, and take the answers."""
        per_s = self._orders.per_s
        for _ in range(TOGETHER if per_s is None else min(CONNECTIONS_MAX, max(TOGETHER, int(per_s)))):
            self._connect()
        chance = random.Random(1)
        self._began_s = now_s = due_s = time.monotonic()
        end_s = self._began_s + self._orders.seconds
        while now_s < end_s:
            if per_s is None:
                while self._resting and self._resting[0][0] <= now_s:
                    self._free.append(self._resting.popleft()[1])
                while self._free:
                    self._ask(self._next(now_s, now_s))
                pause_s = LOOK_EVERY_S
            else:
                while due_s <= now_s:
                    self._ask(self._next(due_s, now_s))
                    due_s += chance.expovariate(per_s)
                pause_s = max(0.0, min(LOOK_EVERY_S, due_s - now_s))
            self._take_answers(pause_s)
            now_s = time.monotonic()
        while len(self.replies) < self._count and time.monotonic() < end_s + PATIENCE_S:
            self._take_answers(LOOK_EVERY_S)
        for line in self._lines.values():
            if line.asked is not None:
                self._note(line.asked, LOST, says_when=False)
        for asked in self._waiting:
            self._note(asked, LOST, says_when=False)

    def _next(self, due_s: float, now_s: float) -> _Asked:
        number = f"+{self._orders.first + self._count}"
        self._count += 1
        return _Asked(number, due_s, now_s)

    def _connect(self) -> None:
        try:
            line = _Line(self._orders.port, next(self._addresses))
        except OSError:
            return
        self._lines[line.socket.fileno()] = line
        self._ready.register(line.socket, select.EPOLLIN)
        self._free.append(line)

    def _ask(self, asked: _Asked) -> None:
        """Send by the connection that was free longest, so that none falls idle."""
        if not self._free:
            self._waiting.append(asked)
            return
        line = self._free.popleft()
        line.asked = asked
        try:
            line.socket.send(post(PATH, self._orders.key, b'{"to":"%s"}' % asked.number.encode()))
        except OSError:
            self._lose(line)

    def _take_answers(self, pause_s: float) -> None:
        for descriptor, _ in self._ready.poll(pause_s):
            line = self._lines[descriptor]
            try:
                octets = line.socket.recv(65_536)
            except OSError:
                octets = b""
            if not octets:
                self._lose(line)
            elif line.asked is not None:
                self._take(line, line.asked, line.octets + octets)

    def _take(self, line: _Line, asked: _Asked, octets: bytes) -> None:
        head_end = octets.find(HEAD_END)
        length_at = octets.find(LENGTH) + len(LENGTH)
        whole = head_end >= 0 and len(octets) - head_end - len(HEAD_END) >= int(
            octets[length_at : octets.index(b"\r", length_at)]
        )
        line.octets = b"" if whole else octets
        if whole:
            status = int(octets[9:12])
            self._note(asked, status, says_when=b'"retry_after_s":' in octets)
            line.asked = None
            if self._orders.per_s is None and status == TOO_BUSY:
                self._resting.append((time.monotonic() + AGAIN_AFTER_S, line))
            else:
                self._free.append(line)
                self._ask_those_who_wait()

    def _ask_those_who_wait(self) -> None:
        while self._waiting and self._free:
            self._ask(self._waiting.popleft())

    def _lose(self, line: _Line) -> None:
        """Note that no answer came, and connect again."""
        if line.asked is not None:
            self._note(line.asked, LOST, says_when=False)
        elif line in self._free:
            self._free.remove(line)
        del self._lines[line.socket.fileno()]
        line.socket.close()
        self._connect()
        self._ask_those_who_wait()

    def _note(self, asked: _Asked, status: int, *, says_when: bool) -> None:
        now_s = time.monotonic()
        late_s, took_s, at_s = asked.came_s - asked.due_s, now_s - asked.came_s, now_s - self._began_s
        self.replies.append(Reply(asked.number, status, late_s, took_s, at_s, now_s, says_when))


def main() -> None:
    """Do as ordered."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    gc.disable()
    crowd = _Flood(orders)
    crowd.run()
    sys.stdout.buffer.write(msgspec.json.encode(crowd.replies))


if __name__ == "__main__":
    main()
