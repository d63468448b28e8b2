"""The HTTP server stops: whoever asked before is answered, and told that it was the last time."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dastak import http_server
from dastak.api.asgi_way import asgi
from dastak.api.door import Door, DoorSettings
from dastak.api.exchange import Request, Response, answer
from dastak.api.gate import Gate
from dastak.core.errors import Unauthenticated
from dastak.core.tenant import Caller
from dastak.guard.shedding import Shedding
from dastak.http_server import serve

SHORT_WAY, ASGI_WAY = "/v1/x", "/page"


async def echo(request: Request) -> Response:
    return answer(200, {"path": request.path})


def nobody(_authorization: bytes | None) -> Caller:
    raise Unauthenticated("no key")


class Listener(socket.socket):
    """One that has no descriptor to spare at first."""

    short = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.short:
            self.short -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@asynccontextmanager
async def stopping(closing: Callable[[], None], *, short: int = 0) -> AsyncIterator[int]:
    """Serve on a port, and stop at the end; this is called when the stop begins."""
    gate = Gate(Shedding(0.0), caller_of=nobody, time_s=lambda: 0.0, on_shed=lambda _kind: None)
    listener = Listener()
    listener.short = short
    listener.bind(("127.0.0.1", 0))
    ready = asyncio.Event()
    async with Door(DoorSettings()) as door:
        serving = asyncio.create_task(
            serve(asgi(gate, echo), door, gate, echo, listener, ready=ready.set, closing=closing)
        )
        await ready.wait()
        yield listener.getsockname()[1]
        os.kill(os.getpid(), signal.SIGTERM)
        await serving


def asked(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def until_answered(kept: socket.socket) -> None:
    """Read the answer to a first request."""
    kept.sendall(asked(SHORT_WAY))
    octets = await asyncio.to_thread(kept.recv, 4096)
    assert octets.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in octets


async def until_over(kept: socket.socket) -> bytes:
    """Read until the other end hangs up."""
    octets = b""
    kept.settimeout(5)
    while more := await asyncio.to_thread(kept.recv, 4096):
        octets += more
    return octets


async def test_request_that_only_the_system_has_when_the_stop_begins_is_answered() -> None:
    path_of: dict[socket.socket, str] = {}

    def ask() -> None:
        # The server's loop does not run now, so it has neither accepted nor read any of these.
        for one, path in tuple(path_of.items()):
            one.sendall(asked(path))
        for path in (SHORT_WAY, ASGI_WAY):
            fresh = socket.create_connection(("127.0.0.1", port))
            fresh.sendall(asked(path))
            path_of[fresh] = path

    async with stopping(ask) as port:
        for path in (SHORT_WAY, ASGI_WAY):
            kept = socket.create_connection(("127.0.0.1", port))
            await until_answered(kept)
            path_of[kept] = path
    answers = {one: await until_over(one) for one in path_of}

    assert len(answers) == 4
    for one, octets in answers.items():
        assert octets.startswith(b"HTTP/1.1 200"), octets
        assert b"connection: close" in octets
        assert path_of[one].encode() in octets
        one.close()


async def test_connection_may_ask_once_more_while_the_server_stops_and_an_idle_one_ends() -> None:
    stopped = asyncio.Event()
    async with stopping(stopped.set) as port:
        kept, idle, half = (socket.create_connection(("127.0.0.1", port)) for _ in range(3))
        for one in (kept, idle):
            await until_answered(one)
        half.sendall(asked(SHORT_WAY)[:10])
        later = asyncio.create_task(_after(stopped, lambda: kept.sendall(asked(SHORT_WAY))))
        finishing = asyncio.create_task(_after(stopped, lambda: half.sendall(asked(SHORT_WAY)[10:])))
    await asyncio.gather(later, finishing)
    octets, silence, whole = [await until_over(one) for one in (kept, idle, half)]

    for answered in (octets, whole):
        assert answered.startswith(b"HTTP/1.1 200"), answered
        assert b"connection: close" in answered
    assert silence == b""
    for one in (kept, idle, half):
        one.close()


async def test_who_knocks_while_there_is_no_descriptor_is_let_in_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_server, "PAUSE_S", 0.05)
    async with stopping(lambda: None, short=2) as port:
        knocks = socket.create_connection(("127.0.0.1", port))
        await until_answered(knocks)
        knocks.close()

    assert [record.message for record in caplog.records if record.name == "dastak.edge"] == [
        "nobody is let in for 0.1 s: [Errno 24] Too many open files"
    ] * 2


async def _after(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    await asyncio.sleep(0.05)
    act()
