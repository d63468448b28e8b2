"""The ears of the exchange: one port, over UDP and over TCP."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dastak.simulator.exchange.called_dialog import Hop, Packet
from dastak.voice.sip.sip_headers import MalformedSip
from dastak.voice.sip.sip_message import Address, StreamFramer
from dastak.voice.sip.sip_sockets import RECEIVE_BUFFER_OCTETS, UNSENT_OCTETS_MAX

CONNECTIONS_MAX: Final = 200
# A free UDP port may be taken over TCP; then another is tried.
TRIES_MAX: Final = 20
_READ_OCTETS: Final = 64 * 1024

Hear = Callable[[bytes, Hop], None]


class ExchangeSockets(asyncio.DatagramProtocol):
    """Both sockets.

    Args:
        hear: Takes each message.

    Attributes:
        address: Where they listen; known once they are open.
    """

    def __init__(self, hear: Hear) -> None:
        self.address: Address = ("", 0)
        self._hear = hear
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._streams: dict[Address, asyncio.StreamWriter] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes one that is free over both. Raises: OSError."""
        for left in reversed(range(TRIES_MAX if port == 0 else 1)):
            try:
                await self._open(host, port)
            except OSError:
                if not left:
                    raise
            else:
                return

    async def close(self) -> None:
        """Hear nothing any more; twice is fine."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def send(self, packet: Packet) -> None:
        """Send one message; what cannot be sent is lost, as messages may be."""
        if not packet.to.reliable:
            if self._datagrams is not None:
                self._datagrams.sendto(packet.octets, packet.to.address)
            return
        writer = self._streams.get(packet.to.address)
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > UNSENT_OCTETS_MAX:
            writer.transport.abort()
        else:
            writer.write(packet.octets)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: D102
        self._hear(data, Hop("UDP", (addr[0], addr[1])))

    async def _open(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        wire = datagrams.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        name = datagrams.get_extra_info("sockname")
        try:
            self._server = await asyncio.start_server(self._accept, host, name[1])
        except OSError:
            datagrams.close()
            raise
        self._datagrams, self.address = datagrams, (name[0], name[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        source: Address = (peer[0], peer[1])
        if len(self._streams) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._streams[source] = writer
        framer = StreamFramer()
        try:
            with suppress(OSError, MalformedSip):
                while octets := await reader.read(_READ_OCTETS):
                    for message in framer.feed(octets):
                        self._hear(message, Hop("TCP", source))
        finally:
            del self._streams[source]
            writer.close()
