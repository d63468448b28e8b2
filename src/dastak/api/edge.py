"""The HTTP connection: uvicorn's protocol with bounds on everything, and a short way for our own API.

1. Every octet a stranger may send is bounded, in number and in time (`api/door.py`).
2. A request to our API is answered without ASGI, at half the cost; pages, HTTP/1.0, `Expect` and pipelined
   requests go the ASGI way. Both ways call the same `respond` and give the same answer (a test holds it).
3. One request of a connection is answered at a time, in order; a few more may wait behind it.
4. Who does not read our answers is waited for no longer than who does not send.
5. What the gate (`api/gate.py`) refuses is answered at once, without a task.
6. When the server stops, a request that came before is read and answered, and the answer is the last one.

It leans on uvicorn's `HttpToolsProtocol` (pinned minor version): its cycle, pipeline and shutdown are kept.
"""

import asyncio
import fcntl
import logging
import math
import sys
import termios
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dastak.api import problems
from dastak.api.door import Door
from dastak.api.exchange import AnswerWriting, Request, Response
from dastak.api.gate import Gate
from dastak.guard.shedding import Entered

Respond = Callable[[Request], Awaitable[Response]]

API_PREFIX: Final = b"/v1/"
# Clients that pipeline send two or three; what comes after these is not read.
PIPELINED_MAX: Final = 16
# Where forms with files are sent to. Who is not signed in there is answered before the body is read.
UPLOADS: Final = b"/console/"
UPLOAD_TYPE: Final = b"multipart/form-data"
# What a proxy may read otherwise than we do if it stands twice.
# Source: RFC 9110, section 5.3; RFC 9112, section 3.2.
_ONCE: Final = (b"authorization", b"content-encoding", b"content-type", b"host", b"idempotency-key")

_INTERNAL: Final = problems.of_http("internal")

log = logging.getLogger("dastak.edge")


class _NobodyWaits:
    """The event of a request on the short way, which begins when its body is whole."""

    def set(self) -> None:
        """Wake nobody."""


class _Trailers(list[tuple[bytes, bytes]]):
    """What stands after a chunked body. Nobody asked for it, and none of it is a header."""

    def append(self, _trailer: tuple[bytes, bytes]) -> None:
        """Keep nothing."""


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
    writing: AnswerWriting
    respond: Respond
    gate: Gate

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or say at once that there is no place."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.since = self.loop.time()
        self.deadline = self.since + self.door.settings.request_s
        # What came since a request was last whole, and in all pieces that a head may stand in.
        self.octets = self.octets_read = 0
        self.body_octets = 0
        self.body_octets_max = self.door.settings.body_octets_max
        self.fields: dict[bytes, bytes] = {}
        self.served = False
        self.refused = False
        if self.door.enter(self):
            return
        if self.door.linger(self):
            self._refuse("too_many_connections")
        else:
            self.refused = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever still works for it finds the transport closing."""
        self.door.leave(self)
        super().connection_lost(exc)

    def overdue(self) -> None:
        """End it: an unfinished request is told so, an idle connection just closes."""
        if self.refused or self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self.served and not self.octets:
            self.transport.close()
        else:
            self._refuse("request_timeout")

    def shutdown(self) -> None:
        """End it unless something is under way, be it only in the system's buffer."""
        if self._owes_answer() or not (self.octets or self._unread_octets()):
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Take octets, but never more of a head or a body than allowed."""
        if self.refused or self._refuse_unread(data):
            return
        self.octets_read = len(data) + (self.octets_read if self.octets else 0)
        self.octets += len(data)
        super().data_received(data)
        settings = self.door.settings
        # What is still counted here belongs to a request that is not whole yet.
        if self.octets <= settings.head_octets_max:
            return
        if self.cycle is None or not self.cycle.more_body:
            self._refuse("headers_too_large")
        # Around a body in chunks there may be as much as before it.
        elif self.octets > 2 * settings.head_octets_max + self.body_octets_max:
            self._refuse("body_too_large")

    def pause_writing(self) -> None:
        """Wait for the other end to read our answers."""
        super().pause_writing()
        self.since = self.loop.time()
        self.deadline = self.since + self.door.settings.request_s

    def resume_writing(self) -> None:
        """They were read: go on as before."""
        super().resume_writing()
        if self._owes_answer():
            self._wait(math.inf, math.inf)
        else:
            now = self.loop.time()
            self._wait(now, now + self.door.settings.idle_s)

    def send_400_response(self, msg: str) -> None:
        """Answer octets that are not HTTP."""
        del msg
        self._refuse("malformed_http")

    def on_message_begin(self) -> None:
        """Begin a request; the scope of ASGI is made only for those that need it."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.body_octets = 0
        self.octets = max(self.octets, 1)
        if self.since == math.inf or self.served:
            now = self.loop.time()
            self._wait(now, now + self.door.settings.request_s)

    def on_headers_complete(self) -> None:
        """Choose the way of a request whose head is whole."""
        if self.refused:
            return
        self.fields, settings = dict(self.headers), self.door.settings
        uploads = self._uploads()
        self.body_octets_max = settings.upload_octets_max if uploads else settings.body_octets_max
        self._wait(self.since, self.loop.time() + (settings.upload_s if uploads else settings.request_s))
        fault = self._head_fault()
        if fault is not None:
            self._refuse(fault)
        elif len(self.pipeline) == PIPELINED_MAX:
            # The connection ends after the last answer, and the other end asks again for the rest.
            self.refused = True
        elif self._takes_short_way():
            self.cycle = _Cycle(self.parser.should_keep_alive())  # type: ignore[assignment]
        else:
            self._take_asgi_way()
        self.headers = _Trailers()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, within its bound."""
        if self.refused:
            return
        super().on_body(body)
        self.body_octets += len(body)
        if self.body_octets > self.body_octets_max:
            self._refuse("body_too_large")

    def on_message_complete(self) -> None:
        """The request is whole: now we owe the answer."""
        if self.refused:
            return
        self.octets = 0
        self._wait(math.inf, math.inf)
        super().on_message_complete()
        cycle: Any = self.cycle
        # uvicorn leaves that out where the answer was earlier than the body.
        cycle.more_body = False
        if isinstance(cycle, _Cycle):
            request = self._request(bytes(cycle.body))
            entered = self.gate.enter(request)
            if isinstance(entered, Response):
                self._end(cycle, entered)
                return
            task = self.loop.create_task(self._answer(cycle, request, entered))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """The answer is out: the other end owes us the next request, or nothing."""
        self.served = True
        if self.pipeline:
            super().on_response_complete()
            return
        # As uvicorn has it, but for its timer: our door keeps the time.
        self.server_state.total_requests += 1
        if self.refused:
            self.transport.close()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            now = self.loop.time()
            self._wait(now, now + self.door.settings.idle_s)

    def _refuse_unread(self, data: bytes) -> bool:
        """Refuse a start before it is parsed, where nothing else is under way here and the gate says so."""
        if self.octets or self.flow.write_paused or self.transport.is_closing():
            return False
        if self.pipeline or not (self.cycle is None or self.cycle.response_complete):
            return False
        refusal = self.gate.refuse_unread(data, octets_max=self.door.settings.head_octets_max)
        if refusal is not None:
            self.transport.write(self._octets(refusal, keep_alive=True))
            self.served = True
            now = self.loop.time()
            self._wait(now, now + self.door.settings.idle_s)
        return refusal is not None

    def _head_fault(self) -> str | None:
        """Name what is wrong with a head, before a body is waited for."""
        settings = self.door.settings
        if len(self.url) > settings.line_octets_max:
            return "uri_too_long"
        # Where so few came, nobody need count which of them are this head's.
        most = settings.head_octets_max
        if self.octets_read > most and sum(len(name) + len(value) for name, value in self.headers) > most:
            return "headers_too_large"
        if int(self.fields.get(b"content-length", b"0")) > self.body_octets_max:
            return "body_too_large"
        # A coding before the chunks would be a body that nobody unpacks.
        if self.fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return "unsupported_media_type"
        if len(self.fields) < len(self.headers):
            names = [name for name, _ in self.headers]
            if any(names.count(name) > 1 for name in _ONCE):
                return "header_twice"
        return None

    def _uploads(self) -> bool:
        kind = self.fields.get(b"content-type", b"").lower()
        return self.url.startswith(UPLOADS) and kind.startswith(UPLOAD_TYPE)

    def _wait(self, since: float, deadline: float) -> None:
        """Note what the other end owes us, unless it is to read our answers first."""
        if not self.flow.write_paused:
            self.since, self.deadline = since, deadline

    def _owes_answer(self) -> bool:
        """Say whether a whole request waits for its answer."""
        cycle = self.cycle
        return bool(self.pipeline) or (
            cycle is not None and not cycle.response_complete and not cycle.more_body
        )

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
        if self.door.closing:
            cast("Any", self.cycle).keep_alive = False

    def _unread_octets(self) -> int:
        """Return how many octets came that nobody has read yet."""
        count = fcntl.ioctl(self.transport.get_extra_info("socket"), termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    def _request(self, body: bytes) -> Request:
        path, _, query = self.url.partition(b"?")
        return Request(
            self.parser.get_method().decode("ascii"),
            unquote(path.decode("ascii")) if b"%" in path else path.decode("ascii"),
            query.decode("ascii"),
            self.fields,
            body,
            self.address,
        )

    async def _answer(self, cycle: _Cycle, request: Request, entered: Entered) -> None:
        response = _INTERNAL
        try:
            response = await self.respond(request)
        except Exception:
            log.exception("a request could not be answered")
        finally:
            self.gate.leave(entered, response.status)
        self._end(cycle, response)

    def _end(self, cycle: _Cycle, response: Response) -> None:
        """Write the answer, unless nobody is there any more."""
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        keep_alive = cycle.keep_alive and not self.door.closing
        self.transport.write(self._octets(response, keep_alive=keep_alive))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _octets(self, response: Response, *, keep_alive: bool) -> bytes:
        return self.writing.octets(response, self.server_state.default_headers, keep_alive=keep_alive)

    def _refuse(self, code: str) -> None:
        """Say what is wrong and hang up, leaving the other end a moment to read it.

        Closing at once would reset a sender in mid-body, and the reset would swallow the answer. Where an
        earlier request waits for its answer, the other end would take this one for that.
        """
        if self.refused:
            return
        self.refused = True
        if self._owes_answer():
            self.transport.abort()
            return
        self.headers = []
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


def edge_protocol(door: Door, gate: Gate, respond: Respond) -> type[EdgeProtocol]:
    """Make the protocol class that uvicorn creates one of for each connection."""
    parts = {"door": door, "gate": gate, "writing": AnswerWriting(), "respond": staticmethod(respond)}
    return type("Edge", (EdgeProtocol,), parts)
