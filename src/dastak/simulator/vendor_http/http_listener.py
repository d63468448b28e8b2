"""A small HTTP/1.1 server that can also do what no sound server does: hang, hang up, and talk nonsense.

1. Everything is bounded: connections, head, body, requests that wait, and the time for each.
2. What is answered, or not, is decided by whoever made the listener.
3. A connection that was hushed stays open and swallows what comes, until the other end goes away.
"""

import asyncio
import http
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import Final, Self, cast

import httptools
import msgspec

CONNECTIONS_MAX: Final = 500
HEAD_OCTETS_MAX: Final = 16 * 1024
BODY_OCTETS_MAX: Final = 64 * 1024
PIPELINED_MAX: Final = 16
# For a whole request; and for the next one to begin.
REQUEST_S: Final = 10.0
IDLE_S: Final = 75.0

log = logging.getLogger("dastak.simulator")


class Asked(msgspec.Struct, frozen=True):
    """One request, whole.

    Attributes:
        path: Without the query.
        headers: By lower-case name; of a repeated one the last.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show neither secret nor code."""
        return f"Asked({self.method}, {len(self.body)} octets)"


class Said(msgspec.Struct, frozen=True):
    """One answer, whole."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"

    def __repr__(self) -> str:
        """Show no code."""
        return f"Said({self.status}, {len(self.body)} octets)"


class Hush(Enum):
    """What comes in place of an answer."""

    SILENT = "silent"
    CUT = "cut"


Respond = Callable[[Asked], Awaitable[Said | Hush]]


class HttpListener:
    """Listens while the context lasts.

    Args:
        respond: Answers each request.
        host: The address to listen on.
        port: Zero takes a free one; see the attribute after the start.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, respond: Respond, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.port = port
        self._respond = respond
        self._host = host
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut all connections; stopping twice is fine."""
        if self._server is None:
            return
        self._server.close()
        serving = [link.task for link in self._links if link.task is not None]
        self.drop_links()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    def drop_links(self) -> None:
        """Cut every connection, as a broken cable would."""
        for link in tuple(self._links):
            link.cut()

    def _accept(self) -> "_Link":
        return _Link(self._respond, self._links)


class _Link(asyncio.Protocol):
    """One connection; the parser calls its `on_` methods."""

    def __init__(self, respond: Respond, links: "set[_Link]") -> None:
        self.task: asyncio.Task[None] | None = None
        self._respond = respond
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Asked, bool]] = deque()
        self._hushed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._links.add(self)
        if len(self._links) > CONNECTIONS_MAX:
            self.cut()
        else:
            self._wait(IDLE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._links.discard(self)
        self._wait(None)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._hushed:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError, _TooMuchError):
            self._refuse()

    def cut(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()
        self._wait(REQUEST_S)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.decode("ascii").lower()] = value.decode("latin-1")
        self._count_head(len(name) + len(value))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body
        if len(self._body) > BODY_OCTETS_MAX:
            raise _TooMuchError

    def on_message_complete(self) -> None:
        """Answer it, in its turn."""
        if len(self._waiting) >= PIPELINED_MAX:
            raise _TooMuchError
        path = self._url.decode("ascii").partition("?")[0]
        asked = Asked(self._parser.get_method().decode("ascii"), path, self._headers, bytes(self._body))
        self._waiting.append((asked, self._parser.should_keep_alive()))
        self._wait(None)
        if self.task is None:
            self.task = self._loop.create_task(self._serve())

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_octets = 0
        self._body = bytearray()

    def _count_head(self, octets: int) -> None:
        self._head_octets += octets
        if self._head_octets > HEAD_OCTETS_MAX:
            raise _TooMuchError

    async def _serve(self) -> None:
        while self._waiting and not self._transport.is_closing():
            asked, kept = self._waiting.popleft()
            try:
                said = await self._respond(asked)
            except Exception:
                log.exception("a request to the simulated carrier could not be answered")
                said = Said(500)
            if isinstance(said, Hush):
                self._fall_silent(said)
                break
            self._transport.write(_octets(said, head_only=asked.method == "HEAD", kept=kept))
            if not kept:
                self._transport.close()
        self.task = None
        if not self._hushed:
            self._wait(IDLE_S)

    def _fall_silent(self, hush: Hush) -> None:
        self._hushed = True
        self._waiting.clear()
        if hush is Hush.CUT:
            self.cut()

    def _refuse(self) -> None:
        """Tell what sends no HTTP, or too much, and hang up."""
        self._hushed = True
        self._waiting.clear()
        self._transport.write(_octets(Said(400), head_only=False, kept=False))
        self._transport.close()

    def _wait(self, seconds: float | None) -> None:
        """Cut the connection unless something happens in time; None waits for nothing."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and not self._transport.is_closing():
            self._deadline = self._loop.call_later(seconds, self.cut)


class _TooMuchError(Exception):
    """A request is larger than any vendor takes."""


def _octets(said: Said, *, head_only: bool, kept: bool) -> bytes:
    connection = "" if kept else "connection: close\r\n"
    head = (
        f"HTTP/1.1 {said.status} {_phrase(said.status)}\r\ncontent-type: {said.media_type}\r\n"
        f"{connection}content-length: {len(said.body)}\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else said.body)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"  # a fault may ask for any
