"""One end of the private socket between the main program and the voice process."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

import msgspec

from dastak.voice.engine.engine_messages import (
    FromEngine,
    MalformedEngineMessage,
    MessageFramer,
    ToEngine,
    framed,
)

# Thousands of messages: who has read none of them will not read the next one either.
UNSENT_OCTETS_MAX: Final = 4 * 1024 * 1024
log = logging.getLogger("dastak.voice")

M = TypeVar("M")


class EngineWire(asyncio.Protocol, Generic[M]):
    """Sends messages, and tells those of the other end.

    Args:
        decoder: Of what comes in: `TO_ENGINE` or `FROM_ENGINE`.
        take: Told of each.

    Attributes:
        lost: Set once the other end is gone.
    """

    def __init__(self, decoder: msgspec.msgpack.Decoder[M], take: Callable[[M], None]) -> None:
        self.lost = asyncio.Event()
        self._framer = MessageFramer(decoder)
        self._take = take
        self._transport: asyncio.Transport | None = None

    async def open(self, end: socket.socket) -> None:
        """Speak over a connected socket, which is closed here in the end."""
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def send(self, message: ToEngine | FromEngine) -> None:
        """Send a message; to one who is gone, or reads no more, it is lost."""
        if self._transport is None or self.lost.is_set():
            return
        if self._transport.get_write_buffer_size() > UNSENT_OCTETS_MAX:
            self._transport.abort()
        else:
            self._transport.write(framed(message))

    def close(self) -> None:
        """Send what is pending, then close; twice is fine."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # uvloop's is of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            for message in self._framer.feed(data):
                self._take(message)
        except MalformedEngineMessage as error:
            log.error("%s", error)
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del exc
        self.lost.set()
