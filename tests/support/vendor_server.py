"""A small real HTTP server that stands for a vendor: it keeps what it is sent and answers as told."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self


class Seen(NamedTuple):
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Say(NamedTuple):
    """One answer; `silent` gives none, `cut` hangs up before it, `half` hangs up within it."""

    status: int = 200
    body: bytes = b""
    fault: str = ""
    headers: Sequence[str] = ()


class VendorServer:
    """Listens while the context lasts.

    Attributes:
        url: Where, without a slash at the end.
        seen: What came, but for HEAD, which only keeps connections warm.
        answers: Taken from the front; the last one stays.
        connections: How many were opened.
        came: Set by every request but HEAD.
    """

    def __init__(self, *answers: Say) -> None:
        self.answers = list(answers)
        self.seen: list[Seen] = []
        self.connections = 0
        self.came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other end is gone, or the test is over
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "HEAD":
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return True
        self.seen.append(Seen(method, target, headers, body))
        self.came.set()
        say = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if say.fault == "silent":
            await asyncio.Event().wait()
        if say.fault == "cut":
            return False
        extra = "".join(f"{line}\r\n" for line in say.headers)
        writer.write(f"HTTP/1.1 {say.status} X\r\n{extra}content-length: {len(say.body)}\r\n\r\n".encode())
        writer.write(say.body[: len(say.body) // 2] if say.fault == "half" else say.body)
        await writer.drain()
        return say.fault != "half"
