"""HTTP connections of a customer's program: kept, made again after a fault, honest about what was lost."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, Final, NamedTuple

from chaos.asked_calls import NO_ANSWER, NOT_SENT

# Longer than Dastak may take to refuse; a customer's program gives up then.
ANSWER_S_MAX: Final = 10.0
HEAD_END: Final = b"\r\n\r\n"
# The server closes a connection that was idle for 4.5 s; one that old is not trusted.
IDLE_S_MAX: Final = 3.0
# Where nobody listened so lately, nobody is asked for: thousands who knock in vain would keep the load itself
# from being on time.
REFUSED_S: Final = 0.02


class Answer(NamedTuple):
    """What came back, and when on the monotonic clock it was asked, sent whole and answered."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    asked_s: float
    answered_s: float
    sent_s: float

    @property
    def retry_after_s(self) -> int | None:
        """What a refusal asks its caller to wait."""
        told = self.headers.get("retry-after", "")
        return int(told) if told.isdecimal() else None


class _Line(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_s: float


class ApiLines:
    """At most so many connections to one port; who finds none free waits.

    Attributes:
        port: Where requests go; it may change, as when a proxy comes between.
        key: What they are asked with.
    """

    def __init__(self, port: int, key: str, *, connections: int) -> None:
        self.port = port
        self.key = key
        self._room = asyncio.Semaphore(connections)
        self._idle: list[_Line] = []
        self._refused_s = 0.0

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, idempotency_key: str = ""
    ) -> Answer:
        """Send a request and wait for its answer; the status says what became of it."""
        async with self._room:
            asked_s = time.monotonic()
            try:
                line = await self._open()
            except OSError:
                return Answer(NOT_SENT, {}, {}, asked_s, time.monotonic(), 0.0)
            line.writer.write(self._octets(method, path, body, idempotency_key))
            sent_s = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    return await self._answer(line, asked_s, sent_s)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                line.writer.transport.abort()
                return Answer(NO_ANSWER, {}, {}, asked_s, time.monotonic(), sent_s)

    def close(self) -> None:
        """Hang up."""
        for line in self._idle:
            line.writer.transport.abort()
        self._idle.clear()

    async def _open(self) -> _Line:
        while self._idle:
            line = self._idle.pop()
            fresh = time.monotonic() - line.used_s < IDLE_S_MAX
            if fresh and not line.reader.at_eof() and not line.writer.is_closing():
                return line
            line.writer.transport.abort()
        if time.monotonic() - self._refused_s < REFUSED_S:
            raise ConnectionRefusedError
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            self._refused_s = time.monotonic()
            raise
        return _Line(reader, writer, 0.0)

    async def _answer(self, line: _Line, asked_s: float, sent_s: float) -> Answer:
        head = await line.reader.readuntil(HEAD_END)
        status_line, *lines = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        octets = await line.reader.readexactly(int(headers.get("content-length", "0")))
        answered_s = time.monotonic()
        if headers.get("connection", "").lower() == "close":
            line.writer.close()
        else:
            self._idle.append(_Line(line.reader, line.writer, answered_s))
        body: dict[str, Any] = {}
        with suppress(json.JSONDecodeError):
            body = json.loads(octets)
        return Answer(int(status_line.split(" ", 2)[1]), headers, body, asked_s, answered_s, sent_s)

    def _octets(self, method: str, path: str, body: dict[str, Any] | None, idempotency_key: str) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: chaos",
            f"authorization: Bearer {self.key}",
            "content-type: application/json",
            f"content-length: {len(content)}",
        ]
        if idempotency_key:
            lines.append(f"idempotency-key: {idempotency_key}")
        return "\r\n".join((*lines, "", "")).encode() + content
