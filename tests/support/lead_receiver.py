"""A customer's server that takes leads: it checks our signature as the standard says, and answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from standardwebhooks import Webhook


class Taken(NamedTuple):
    """A request whose signature held."""

    message_id: str
    timestamp: str
    body: bytes
    headers: dict[str, str]

    @property
    def said(self) -> Any:
        return json.loads(self.body)


class LeadReceiver:
    """Answers on a free port of this machine.

    Attributes:
        secret: What requests must be signed with, as it was shown: `whsec_...`.
        statuses: What it answers, one after the other; 200 when none is left; None hangs.
        headers: Sent with each answer.
        taken, refused: Requests with a signature that holds, and how many had none.
        came: Set by each request.
    """

    def __init__(self) -> None:
        self.secret = self.url = ""
        self.statuses: list[int | None] = []
        self.headers = ""
        self.taken: list[Taken] = []
        self.refused = 0
        self.came = asyncio.Event()
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request; who was cut off before it was whole sent none."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
            body = await reader.readexactly(int(headers["content-length"]))
        except asyncio.IncompleteReadError:
            writer.close()
            return
        taken = Taken(headers["webhook-id"], headers["webhook-timestamp"], body, headers)
        if self.proof(taken) in headers["webhook-signature"].split(" "):
            self.taken.append(taken)
        else:
            self.refused += 1
        status = self.statuses.pop(0) if self.statuses else 200
        self.came.set()
        if status is None:
            await self.over.wait()
        else:
            answer = f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n{self.headers}\r\n"
            writer.write(answer.encode())
        writer.close()

    def proof(self, taken: Taken) -> str:
        """Return the signature that a request must have, as another author makes it."""
        at = datetime.fromtimestamp(int(taken.timestamp), UTC)
        return Webhook(self.secret).sign(taken.message_id, at, taken.body.decode())


@asynccontextmanager
async def receiving() -> AsyncIterator[LeadReceiver]:
    """Run a server that takes leads."""
    receiver = LeadReceiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/leads"
    async with server:
        yield receiver
        receiver.over.set()
