"""HTTP load: a closed loop for throughput, an open loop (a schedule that waits for nobody) for latency."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
# In the place of a status: the connection ended before its answer.
LOST = 0
# What is sent away for now is asked again so much later, sooner than it was told to.
TOO_BUSY = 503
AGAIN_AFTER_S = 0.1


class Request(NamedTuple):
    """What to send, and what the bench knows it by."""

    subject: Any
    octets: bytes


class Answer(NamedTuple):
    """What came back, and when (the bench's one clock, in seconds)."""

    subject: Any
    status: int
    body: bytes
    at_s: float


class Figures:
    """What a run measured; latencies in seconds."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.wall_s = 0.0

    @property
    def per_s(self) -> float:
        """Requests per second that came to an end."""
        return len(self.latencies_s) / self.wall_s

    @property
    def failed(self) -> int:
        """Answers that were not 2xx and had no second try."""
        return sum(count for status, count in self.statuses.items() if status // 100 != 2) - self.sent_away

    @property
    def sent_away(self) -> int:
        """How often somebody was told to come again."""
        return self.statuses[TOO_BUSY]


def quantile_ms(latencies_s: Iterable[float], share: float) -> float:
    """Return a quantile in milliseconds; not a number when there is nothing to look at."""
    ordered = sorted(latencies_s)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")


def post(path: str, key: str, body: bytes) -> bytes:
    """Write one request."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection(asyncio.Protocol):
    """One connection that is kept; it has one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: Callable[[int, bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, octets: bytes, answered: Callable[[int, bytes], None]) -> None:
        """Send a request; `answered` gets status and body."""
        self._answered = answered
        if self._transport.is_closing():
            self.connection_lost(None)
        else:
            self._transport.write(octets)

    def data_received(self, data: bytes) -> None:
        if self._answered is None:
            # The server says why it ends a connection that nobody used.
            self._transport.close()
            return
        buffer = self._buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(HEAD_END)
        if head_end < 0:
            return
        length_at = buffer.index(LENGTH) + len(LENGTH)
        body = buffer[head_end + len(HEAD_END) :]
        if len(body) < int(buffer[length_at : buffer.index(b"\r", length_at)]):
            return
        self._buffer = b""
        answered, self._answered = self._answered, None
        answered(int(buffer[9:12]), body)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._answered is not None:
            answered, self._answered = self._answered, None
            answered(LOST, b"")

    @property
    def is_open(self) -> bool:
        """Whether a request can still go out by it."""
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


async def connect(port: int, connections: int) -> list[Connection]:
    """Open so many connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]


async def closed_loop(
    ports: Sequence[int],
    requests: Iterator[Request],
    *,
    connections: int,
    on_answer: Callable[[Answer], None],
) -> Figures:
    """Send all requests, by as many connections to each port; each sends its next one once it is answered."""
    figures = Figures()
    busy = 0
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def ask(connection: Connection) -> None:
        request = next(requests, None)
        if request is None:
            retire()
            return
        began_s = time.perf_counter()
        connection.ask(request.octets, partial(take, connection, request, began_s))

    def take(connection: Connection, request: Request, began_s: float, status: int, body: bytes) -> None:
        at_s = time.perf_counter()
        figures.statuses[status] += 1
        if status == TOO_BUSY:
            octets, answered = request.octets, partial(take, connection, request, began_s)
            loop.call_later(AGAIN_AFTER_S, connection.ask, octets, answered)
            return
        figures.latencies_s.append(at_s - began_s)
        if status == LOST:
            retire()
            return
        on_answer(Answer(request.subject, status, body, at_s))
        ask(connection)

    def retire() -> None:
        nonlocal busy
        busy -= 1
        if not busy:
            done.set_result(None)

    opened = [one for port in ports for one in await connect(port, connections // len(ports))]
    busy = len(opened)
    began_s = time.perf_counter()
    for connection in opened:
        ask(connection)
    await done
    figures.wall_s = time.perf_counter() - began_s
    for connection in opened:
        connection.close()
    return figures


class Pool:
    """Connections for requests that come when they come; whoever finds none free waits in line.

    One that was lost is not used again, and when all are lost nobody gets an answer.
    """

    def __init__(self, opened: list[Connection]) -> None:
        self._opened = opened
        self._alive = len(opened)
        self._free = deque(opened)
        self._line: deque[tuple[bytes, Callable[[int, bytes], None]]] = deque()

    def ask(self, octets: bytes, answered: Callable[[int, bytes], None]) -> None:
        """Send on the connection that was free longest, so that none falls idle."""
        while self._free:
            connection = self._free.popleft()
            if connection.is_open:
                connection.ask(octets, partial(self._take, connection, answered))
                return
            self._alive -= 1
        self._line.append((octets, answered))
        if not self._alive:
            self._send_away()

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def _take(
        self, connection: Connection, answered: Callable[[int, bytes], None], status: int, body: bytes
    ) -> None:
        if status == LOST:
            self._alive -= 1
        else:
            self._free.append(connection)
        if not self._alive:
            self._send_away()
        elif self._free and self._line:
            self.ask(*self._line.popleft())
        answered(status, body)

    def _send_away(self) -> None:
        waiting, self._line = self._line, deque()
        for _, answered in waiting:
            answered(LOST, b"")


async def open_loop(
    requests: Iterable[Request], *, per_s: float, send: Callable[[Request, float], None]
) -> None:
    """Call `send` with each request and its due time, at the chance intervals of a Poisson stream.

    A late generator does not excuse the server, or itself: `send` measures from the due time.
    """
    chance = random.Random(1)
    due_s = time.perf_counter() + 0.1
    for request in requests:
        due_s += chance.expovariate(per_s)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        send(request, due_s)
