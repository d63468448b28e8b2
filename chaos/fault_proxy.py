"""A TCP proxy that delays, swallows or resets what passes between a client and a server on this machine.

1. Octets of one direction never overtake each other, whatever their delays.
2. While it swallows, neither side learns that the other has ended: a fault never turns into a clean close.
3. What has swallowed octets can never be healed, so its pairs are reset when the fault ends.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

CHUNK_OCTETS_MAX: Final = 65_536
# Chunks of one direction that wait for their time; then reading pauses.
CHUNKS_MAX: Final = 1_000
HERE: Final = "127.0.0.1"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    """What becomes of octets and connections."""

    OK = "ok"
    DOWN = "down"  # what is open is reset, and so is every new connection
    BLACKHOLE = "blackhole"  # connections stay and come, and nothing passes
    HALF = "half"  # requests pass, and answers do not


class Weather(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the line is.

    Attributes:
        up_ms: Delay of what goes to the server.
        down_ms: Delay of what comes from it.
        kbps: So many thousand octets a second in each direction at most; 0 is no limit.
        close_after: Reset a connection after so many octets from the server; 0 is never.
    """

    mode: Mode = Mode.OK
    up_ms: float = 0.0
    down_ms: float = 0.0
    kbps: float = 0.0
    close_after: int = 0


class _Chunk(NamedTuple):
    due_s: float
    octets: bytes


class _Pair:
    """Two connections, joined."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.from_server = 0

    def reset(self) -> None:
        """Cut both ends as a broken router does."""
        for end in self.ends:
            _reset(end)


class FaultProxy:
    """A proxy that listens while the context lasts.

    Args:
        target: The port of the server, on this machine.
        port: Where to listen; 0 takes a free one.
        door: A socket to listen on instead, as one on another machine of a network in a box.

    Attributes:
        host: Where it listens, and `port`.
        weather: How the line is; set it by `turn`.
        swallowed: How many octets were lost.
        joined: How many connections have passed through it so far.
    """

    def __init__(self, target: int, *, port: int = 0, door: socket.socket | None = None) -> None:
        self.host, self.port = HERE, port
        self._door = door
        self.weather = Weather()
        self.swallowed = self.joined = 0
        self._target = target
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_pairs(self) -> int:
        """How many connections pass through it now."""
        return len(self._pairs)

    async def __aenter__(self) -> Self:
        if self._door is None:
            self._door = socket.create_server((self.host, self.port))
        self._server = await asyncio.start_server(self._accept, sock=self._door)
        self.host, self.port = self._door.getsockname()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.reset()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def turn(self, weather: Weather) -> None:
        """Change the weather for what is open and for what comes."""
        healed = self._swallows(to_server=False) and weather.mode is Mode.OK
        self.weather = weather
        if healed or weather.mode is Mode.DOWN:
            self.reset()

    def reset(self) -> None:
        """Reset what is open, once."""
        for pair in tuple(self._pairs):
            pair.reset()

    def _swallows(self, *, to_server: bool) -> bool:
        return self.weather.mode is Mode.BLACKHOLE or (self.weather.mode is Mode.HALF and not to_server)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.mode is Mode.DOWN:
            _reset(writer)
            return
        try:
            from_server, to_server = await asyncio.open_connection(HERE, self._target)
        except OSError:
            _reset(writer)
            return
        pair = _Pair(writer, to_server)
        self._pairs.add(pair)
        self.joined += 1
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(pair, reader, to_server, to_server=True))
                both.create_task(self._pump(pair, from_server, writer, to_server=False))
        except* OSError:
            pair.reset()
        finally:
            self._pairs.discard(pair)
            for end in pair.ends:
                end.close()

    async def _pump(
        self, pair: _Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        """Carry one direction until it ends."""
        line: asyncio.Queue[_Chunk] = asyncio.Queue(CHUNKS_MAX)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read(source, line, to_server=to_server))
            both.create_task(self._write(pair, line, sink, to_server=to_server))

    async def _read(
        self, source: asyncio.StreamReader, line: asyncio.Queue[_Chunk], *, to_server: bool
    ) -> None:
        clock = asyncio.get_running_loop().time
        free_s = 0.0
        while octets := await source.read(CHUNK_OCTETS_MAX):
            weather = self.weather
            begin_s = max(clock(), free_s)
            free_s = begin_s + (len(octets) / (weather.kbps * 1000) if weather.kbps else 0.0)
            delay_s = (weather.up_ms if to_server else weather.down_ms) / 1000
            await line.put(_Chunk(free_s + delay_s, octets))
        await line.put(_Chunk(free_s, b""))

    async def _write(
        self, pair: _Pair, line: asyncio.Queue[_Chunk], sink: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        clock = asyncio.get_running_loop().time
        lost = 0
        while True:
            due_s, octets = await line.get()
            if (wait_s := due_s - clock()) > 0:
                await asyncio.sleep(wait_s)
            if not octets:
                break
            if self._swallows(to_server=to_server):
                lost += len(octets)
                self.swallowed += len(octets)
                continue
            if not to_server and self._counts_out(pair, octets, sink):
                return
            sink.write(octets)
            await sink.drain()
        if not lost and not self._swallows(to_server=to_server):
            with suppress(OSError, NotImplementedError):
                sink.write_eof()

    def _counts_out(self, pair: _Pair, octets: bytes, sink: asyncio.StreamWriter) -> bool:
        """Cut the pair inside these octets from the server, if that is its end; say whether it was."""
        left = self.weather.close_after - pair.from_server
        pair.from_server += len(octets)
        if not self.weather.close_after or len(octets) < left:
            return False
        sink.write(octets[: max(0, left)])
        pair.reset()
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets a reset, and not an end of file."""
    with suppress(OSError):
        sock: socket.socket | None = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    abort: Callable[[], None] = writer.transport.abort
    abort()
