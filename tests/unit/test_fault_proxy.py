"""The fault proxy between a client and an echo: what passes, what is lost, and how connections end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chaos.fault_proxy import FaultProxy, Mode, Weather

WAIT_S = 10.0
# Long enough that it cannot be the noise of a loaded machine, and only a lower bound is asserted.
DELAY_MS = 80.0

Ends = tuple[FaultProxy, "Echo"]


class Echo:
    """A server that says everything back, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended = asyncio.Event()
        self.moved = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(4096):
                self.heard += octets
                self.moved.set()
                writer.write(octets)
        except OSError:
            pass
        finally:
            self.ended.set()
            writer.close()

    async def until_heard(self, count: int) -> None:
        while len(self.heard) < count:
            self.moved.clear()
            await soon(self.moved.wait())


async def soon(awaited):
    async with asyncio.timeout(WAIT_S):
        return await awaited


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy, echo
    server.close()


@asynccontextmanager
async def client(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()


async def until_joined(proxy: FaultProxy, echo: Echo, reader, writer) -> None:
    """Send one octet through, so that the pair is there."""
    writer.write(b".")
    assert await soon(reader.readexactly(1)) == b"."
    echo.heard.clear()
    assert proxy.open_pairs == 1


async def test_everything_passes_both_ways_and_the_end_too(ends: Ends) -> None:
    proxy, echo = ends
    sent = bytes(range(256)) * 400
    async with client(proxy) as (reader, writer):
        writer.write(sent)
        got = await soon(reader.readexactly(len(sent)))
        writer.write_eof()
        end = await soon(reader.read())
        await soon(echo.ended.wait())

    assert got == sent
    assert end == b""
    assert proxy.swallowed == 0


async def test_delays_add_up_and_keep_the_order(ends: Ends) -> None:
    proxy, echo = ends
    clock = asyncio.get_running_loop().time
    async with client(proxy) as (reader, writer):
        await until_joined(proxy, echo, reader, writer)
        proxy.turn(Weather(up_ms=DELAY_MS, down_ms=DELAY_MS))
        began_s = clock()
        for n in range(50):
            writer.write(b"%02d" % n)
            await asyncio.sleep(0)
        got = await soon(reader.readexactly(100))

    assert clock() - began_s >= 2 * DELAY_MS / 1000
    assert got == b"".join(b"%02d" % n for n in range(50))


async def test_narrow_line_takes_its_time(ends: Ends) -> None:
    proxy, echo = ends
    clock = asyncio.get_running_loop().time
    async with client(proxy) as (reader, writer):
        await until_joined(proxy, echo, reader, writer)
        proxy.turn(Weather(kbps=50))
        began_s = clock()
        writer.write(bytes(10_000))
        await soon(reader.readexactly(10_000))

    assert clock() - began_s >= 0.2


async def test_half_brings_the_request_and_loses_the_answer(ends: Ends) -> None:
    proxy, echo = ends
    async with client(proxy) as (reader, writer):
        await until_joined(proxy, echo, reader, writer)
        proxy.turn(Weather(mode=Mode.HALF))
        writer.write(b"commit")
        await echo.until_heard(6)
        writer.write_eof()
        await soon(echo.ended.wait())
        still_open = not reader.at_eof()
        proxy.turn(Weather())
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())

    assert still_open
    assert proxy.swallowed == 6


async def test_blackhole_swallows_everything_and_ends_in_a_reset(ends: Ends) -> None:
    proxy, echo = ends
    async with client(proxy) as (reader, writer):
        await until_joined(proxy, echo, reader, writer)
        proxy.turn(Weather(mode=Mode.BLACKHOLE))
        writer.write(b"lost")
        async with asyncio.timeout(WAIT_S):
            while proxy.swallowed < 4:  # noqa: ASYNC110 - the proxy tells nobody
                await asyncio.sleep(0)
        pairs = proxy.open_pairs
        proxy.turn(Weather())
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())
        async with client(proxy) as (again, asks):
            asks.write(b"new")
            assert await soon(again.readexactly(3)) == b"new"

    assert pairs == 1
    assert bytes(echo.heard) == b"new"


async def test_down_resets_what_is_open_and_what_comes(ends: Ends) -> None:
    proxy, echo = ends
    async with client(proxy) as (reader, writer):
        await until_joined(proxy, echo, reader, writer)
        proxy.turn(Weather(mode=Mode.DOWN))
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())
    async with client(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())

    assert proxy.open_pairs == 0


async def test_answer_is_cut_at_the_octet_that_was_asked_for(ends: Ends) -> None:
    proxy, _ = ends
    proxy.turn(Weather(close_after=10))
    got = bytearray()

    async def read_all(reader: asyncio.StreamReader) -> None:
        while True:
            got.extend(await soon(reader.readexactly(1)))

    async with client(proxy) as (reader, writer):
        writer.write(b"abcdefghijklmnopq")
        with pytest.raises(ConnectionResetError):
            await read_all(reader)

    # A reset may overtake the last octets, so fewer may be read, and never more.
    assert b"abcdefghij".startswith(bytes(got))


async def test_server_that_is_not_there_resets_the_client() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with FaultProxy(port) as proxy, client(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await soon(reader.read())
