"""A closed-loop HTTP load: so many connections, each sending its next request when it has its answer."""

import asyncio
import time
from collections.abc import Callable, Iterator

HEAD_END = b"\r\n\r\n"


class Figures:
    """What a run measured: how many answers, how many of each status, and every latency in seconds."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.statuses: dict[int, int] = {}
        self.wall_s = 0.0

    def quantile_ms(self, share: float) -> float:
        """Return a latency quantile in milliseconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.wall_s if self.wall_s else 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, run: "_Run") -> None:
        self.run = run
        self.buffer = b""
        self.began_s = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.next()

    def next(self) -> None:
        octets = self.run.next_request()
        if octets is None:
            self.transport.close()
            return
        self.began_s = time.perf_counter()
        self.transport.write(octets)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(HEAD_END)
        if end < 0:
            return
        start = self.buffer.find(b"content-length: ") + 16
        length = int(self.buffer[start : self.buffer.index(b"\r", start)])
        if len(self.buffer) < end + 4 + length:
            return
        body = self.buffer[end + 4 :]
        status = int(self.buffer[9:12])
        self.buffer = b""
        self.run.answered(status, body, time.perf_counter() - self.began_s)
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.ended()


class _Run:
    def __init__(
        self, requests: Iterator[bytes], connections: int, on_answer: Callable[[int, bytes], None] | None
    ):
        self.requests = requests
        self.figures = Figures()
        self.open = connections
        self.on_answer = on_answer
        self.done = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        return next(self.requests, None)

    def answered(self, status: int, body: bytes, latency_s: float) -> None:
        self.figures.latencies_s.append(latency_s)
        self.figures.statuses[status] = self.figures.statuses.get(status, 0) + 1
        if self.on_answer is not None:
            self.on_answer(status, body)

    def ended(self) -> None:
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


async def closed_loop(
    port: int,
    requests: Iterator[bytes],
    *,
    connections: int,
    on_answer: Callable[[int, bytes], None] | None = None,
) -> Figures:
    """Send all requests over so many connections and return the figures."""
    loop = asyncio.get_running_loop()
    run = _Run(requests, connections, on_answer)
    began_s = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
    await run.done
    run.figures.wall_s = time.perf_counter() - began_s
    return run.figures


def post(path: str, key: str, body: bytes) -> bytes:
    """Write one request."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
