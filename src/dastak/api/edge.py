"""The HTTP connection: uvicorn's protocol with bounds on everything, and a short way for our own API.

1. Every octet a stranger may send is bounded, in number and in time (`api/door.py`).
2. A request to our API is answered without ASGI, at half the cost; pages, HTTP/1.0, `Expect` and pipelined
   requests go the ASGI way. Both ways call the same `respond` and give the same answer (a test holds it).
3. One request of a connection is answered at a time.

It leans on uvicorn's `HttpToolsProtocol` (pinned minor version): its cycle, pipeline and shutdown are kept.
"""

import asyncio
import http
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dastak.api import problems
from dastak.api.door import Door
from dastak.api.exchange import Request, Response

Respond = Callable[[Request], Awaitable[Response]]

API_PREFIX: Final = b"/v1/"

# What every answer of the API says besides its own: nobody may store, sniff or frame it.
_FIXED_HEADERS: Final = (
    b"cache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
)
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}

log = logging.getLogger("dastak.edge")


class _NobodyWaits:
    """The event of a request on the short way, which begins when its body is whole."""

    def set(self) -> None:
        """Wake nobody."""


class _Cycle:
    """One request on the short way; it has what uvicorn's protocol asks of a cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete")

    message_event = _NobodyWaits()

    def __init__(self, keep_alive: bool) -> None:
        self.body = bytearray()
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = False
        self.response_complete = False


class EdgeProtocol(HttpToolsProtocol):
    """One connection. `edge_protocol` makes the class with its door and its API."""

    door: Door
    respond: Respond

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or say at once that there is no place."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.since = self.loop.time()
        self.deadline = self.since + self.door.settings.request_s
        self.head_octets = 0
        self.served = False
        self.refused = False
        if not self.door.enter(self):
            self._refuse("too_many_connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever still works for it finds the transport closing."""
        self.door.leave(self)
        super().connection_lost(exc)

    def overdue(self) -> None:
        """End it: an unfinished request is told so, an idle connection just closes."""
        if self.refused or self.transport.is_closing():
            self.transport.abort()
        elif self.served and not self.head_octets:
            self.transport.close()
        else:
            self._refuse("request_timeout")

    def data_received(self, data: bytes) -> None:
        """Take octets, but never more of a head than allowed."""
        if self.refused:
            return
        self.head_octets += len(data)
        super().data_received(data)
        # What is still counted here belongs to a head that is not whole yet.
        if self.head_octets > self.door.settings.head_octets_max and self._owes_head():
            self._refuse("headers_too_large")

    def send_400_response(self, msg: str) -> None:
        """Answer octets that are not HTTP."""
        del msg
        self._refuse("malformed_http")

    def on_message_begin(self) -> None:
        """Begin a request; the scope of ASGI is made only for those that need it."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.head_octets = max(self.head_octets, 1)
        if self.since == math.inf or self.served:
            self.since = self.loop.time()
            self.deadline = self.since + self.door.settings.request_s

    def on_headers_complete(self) -> None:
        """Choose the way of a request whose head is whole."""
        if self.refused:
            return
        self.head_octets = 0
        self.deadline = self.loop.time() + self.door.settings.request_s
        fault = self._head_fault()
        if fault is not None:
            self._refuse(fault)
        elif self._takes_short_way():
            self.cycle = _Cycle(self.parser.should_keep_alive())  # type: ignore[assignment]
        else:
            self._take_asgi_way()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, within its bound."""
        if self.refused:
            return
        super().on_body(body)
        if len(self.cycle.body) > self.door.settings.body_octets_max:
            self._refuse("body_too_large")

    def on_message_complete(self) -> None:
        """The request is whole: now we owe the answer."""
        if self.refused:
            return
        self.deadline = self.since = math.inf
        super().on_message_complete()
        cycle: Any = self.cycle
        if isinstance(cycle, _Cycle):
            task = self.loop.create_task(self._answer(cycle, self._request(bytes(cycle.body))))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """The answer is out: the other end owes us the next request, or nothing."""
        self.served = True
        self.since = self.loop.time()
        self.deadline = self.since + self.door.settings.idle_s
        super().on_response_complete()
        # Our door keeps the time; uvicorn's own timer would be a second one.
        self._unset_keepalive_if_required()

    def _head_fault(self) -> str | None:
        """Name what is wrong with a head, before a body is waited for."""
        settings = self.door.settings
        if len(self.url) > settings.line_octets_max:
            return "uri_too_long"
        if sum(len(name) + len(value) for name, value in self.headers) > settings.head_octets_max:
            return "headers_too_large"
        for name, value in self.headers:
            if name == b"content-length" and int(value) > settings.body_octets_max:
                return "body_too_large"
        return None

    def _owes_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _takes_short_way(self) -> bool:
        return (
            self.url.startswith(API_PREFIX)
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    def _take_asgi_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expect
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _request(self, body: bytes) -> Request:
        path, _, query = self.url.partition(b"?")
        return Request(
            self.parser.get_method().decode("ascii"),
            unquote(path.decode("ascii")) if b"%" in path else path.decode("ascii"),
            query.decode("ascii"),
            dict(self.headers),
            body,
            self.address,
        )

    async def _answer(self, cycle: _Cycle, request: Request) -> None:
        try:
            response = await self.respond(request)
        except Exception:
            log.exception("a request could not be answered")
            response = problems.of_http("internal")
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        self.transport.write(self._octets(response, keep_alive=cycle.keep_alive))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _octets(self, response: Response, *, keep_alive: bool) -> bytes:
        parts = [
            _STATUS_LINES[response.status],
            b"content-type: ",
            response.content_type,
            b"\r\n",
            _FIXED_HEADERS,
        ]
        for name, value in (*self.server_state.default_headers, *response.headers):
            parts += (name, b": ", value, b"\r\n")
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"content-length: %d\r\n\r\n" % len(response.body))
        parts.append(response.body)
        return b"".join(parts)

    def _refuse(self, code: str) -> None:
        """Say what is wrong and hang up, leaving the other end a moment to read it.

        Closing at once would reset a sender in mid-body, and the reset would swallow the answer.
        """
        self.refused = True
        self.since = math.inf
        self.deadline = self.loop.time() + self.door.settings.linger_s
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(self._octets(problems.of_http(code), keep_alive=False))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()


def edge_protocol(door: Door, respond: Respond) -> type[EdgeProtocol]:
    """Make the protocol class that uvicorn creates one of for each connection."""
    return type("Edge", (EdgeProtocol,), {"door": door, "respond": staticmethod(respond)})


def asgi(respond: Respond) -> Callable[..., Awaitable[None]]:
    """Make the ASGI application of our API, for requests that cannot take the short way."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        peer = scope["client"][0] if scope.get("client") else ""
        request = Request(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("ascii"),
            dict(scope["headers"]),
            body,
            peer,
        )
        response = await respond(request)
        fixed = [tuple(line.split(b": ", 1)) for line in _FIXED_HEADERS.split(b"\r\n") if line]
        headers = [
            (b"content-type", response.content_type),
            *fixed,
            *response.headers,
            (b"content-length", str(len(response.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return application
