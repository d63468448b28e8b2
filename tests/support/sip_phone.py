"""A phone on a TCP or TLS port that answers our calls as it is told; for what SIPp cannot do."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dastak.voice.sip.sip_message import SipMessage, StreamFramer, parse
from tests.support.smpp_pair import soon


class SipPhone:
    """The phone.

    Attributes:
        heard: Every message, in order.
        port: Where it listens.
        connections: How many were made.
        called: One entry for each connection as it is made.
    """

    def __init__(self) -> None:
        self.heard: asyncio.Queue[SipMessage] = asyncio.Queue()
        self.port = 0
        self.connections = 0
        self.called: asyncio.Queue[int] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def hears(self, method: str) -> SipMessage:
        """Wait for the next message, which has to be of this kind."""
        message: SipMessage = await soon(self.heard.get())
        assert message.method == method
        return message

    def say(self, octets: bytes) -> None:
        """Send something on the newest connection."""
        assert self._writer is not None
        self._writer.write(octets)

    def cut(self) -> None:
        """End the newest connection."""
        assert self._writer is not None
        self._writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writer = writer
        self._serving[writer] = task
        self.connections += 1
        self.called.put_nowait(self.connections)
        framer = StreamFramer()
        while octets := await reader.read(4096):
            for message in framer.feed(octets):
                self.heard.put_nowait(parse(message))
        writer.close()

    async def end(self) -> None:
        """End all connections, so that none outlives the loop."""
        for writer in self._serving:
            if not writer.is_closing():
                writer.transport.abort()
        await asyncio.gather(*self._serving.values(), return_exceptions=True)


@asynccontextmanager
async def sip_phone(tls: ssl.SSLContext | None = None) -> AsyncIterator[SipPhone]:
    """Run a phone."""
    phone = SipPhone()
    async with await asyncio.start_server(phone.serve, "127.0.0.1", 0, ssl=tls) as server:
        phone.port = server.sockets[0].getsockname()[1]
        try:
            yield phone
        finally:
            await phone.end()
