"""Where a SIP trunk is, and the sockets that lead there: UDP, TCP or TLS."""

import asyncio
import ipaddress
import socket
import ssl
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_headers import MalformedSip
from dastak.voice.sip.sip_message import Address, StreamFramer
from dastak.voice.sip.sip_registration import Registrar

UNSENT_OCTETS_MAX: Final = 1024 * 1024
CONNECT_S_MAX: Final = 5.0
# Many phones may answer at once; what does not fit here is lost and comes again half a second later.
RECEIVE_BUFFER_OCTETS: Final = 1024 * 1024
_READ_OCTETS: Final = 64 * 1024


class Hears(Protocol):
    """Whose socket it is."""

    def hear(self, octets: bytes, source: Address) -> None:
        """Take one message from the network."""

    def lost(self) -> None:
        """Learn that the connection is gone."""


class TrunkUnreachable(OSError):  # noqa: N818 - what it is
    """No connection to the trunk can be had, or its name cannot be found."""


class LineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trunk is and how it is reached.

    Attributes:
        trunk: How we look to it; `sent_by` and `contact` are set when the socket is there.
        host: Of the trunk or its proxy, name or address.
        port: None means what SRV records say, or else the usual one of the transport.
        credentials: None for a trunk that knows us by our address.
        local_host: Where to listen; empty means whatever address reaches the trunk.
        advertised: Host and port that the trunk sees, where they are not the local ones.
        name_server: Whom names are asked of; None asks those of the system.
        reopen_s: How long to wait before a lost connection is tried again.
        registrar: For trunks that want us in their book.
        probe_uri: Whom OPTIONS ask, such as `sip:trunk.example`.
        probe_s: How often the trunk is asked whether it is there; 0 never asks.
        tls: For transport TLS: whose certificates are believed.
    """

    trunk: SipTrunk
    host: str
    port: int | None = None
    credentials: Credentials | None = None
    local_host: str = ""
    local_port: int = 0
    advertised: Address | None = None
    name_server: Address | None = None
    reopen_s: float = 5.0
    registrar: Registrar | None = None
    probe_uri: str = ""
    probe_s: float = 0.0
    tls: ssl.SSLContext | None = None


class Datagrams(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, line: Hears) -> None:
        self._line = line
        self._transport: asyncio.DatagramTransport | None = None
        self._trunk: Address = ("", 0)

    async def open(self, settings: LineSettings, address: Address) -> Address:
        """Open it, and return our own address. Raises: TrunkUnreachable."""
        self._trunk = address
        loop = asyncio.get_running_loop()
        try:
            host = settings.local_host or local_host_to(address)
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, local_addr=(host, settings.local_port)
            )
        except OSError as error:
            raise TrunkUnreachable("no UDP socket can be had for the trunk") from error
        wire = self._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        name = self._transport.get_extra_info("sockname")
        return str(name[0]), int(name[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: D102
        self._line.hear(data, (addr[0], addr[1]))

    def send(self, octets: bytes, to: Address | None) -> None:
        """Send one message; one to an address that this socket cannot reach is lost, as a datagram may be."""
        if self._transport is not None:
            # Where the peer wants to be reached is for the peer to say: perhaps over IPv6, and this is IPv4.
            with suppress(ValueError):
                self._transport.sendto(octets, to or self._trunk)

    async def close(self) -> None:
        """Close it; twice is fine."""
        if self._transport is not None:
            self._transport.close()


class Stream:
    """One TCP or TLS connection."""

    def __init__(self, line: Hears) -> None:
        self._line = line
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self, settings: LineSettings, address: Address) -> Address:
        """Open it, and return our own address. Raises: TrunkUnreachable."""
        tls = settings.trunk.transport == "TLS"
        context = (settings.tls or ssl.create_default_context()) if tls else None
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                reader, self._writer = await asyncio.open_connection(
                    *address, ssl=context, server_hostname=settings.host if tls else None
                )
        except (OSError, TimeoutError) as error:
            raise TrunkUnreachable(
                f"no connection to {settings.host}: {error or 'it took too long'}"
            ) from error
        self._reading = asyncio.create_task(self._read(reader, address))
        name = self._writer.get_extra_info("sockname")
        return str(name[0]), int(name[1])

    async def _read(self, reader: asyncio.StreamReader, source: Address) -> None:
        framer = StreamFramer()
        with suppress(OSError, MalformedSip):
            while octets := await reader.read(_READ_OCTETS):
                for message in framer.feed(octets):
                    self._line.hear(message, source)
        assert self._writer is not None
        self._writer.close()
        if not self._closing:
            self._line.lost()

    def send(self, octets: bytes, to: Address | None) -> None:  # noqa: ARG002 - all go the same way
        """Send one message."""
        if self._writer is None or self._writer.is_closing():
            return  # asyncio takes nothing for a TLS connection that was closed
        if self._writer.transport.get_write_buffer_size() > UNSENT_OCTETS_MAX:
            self._writer.transport.abort()  # the trunk reads no more; reading ends, and with it the line
        else:
            self._writer.write(octets)

    async def close(self) -> None:
        """Close it; twice is fine."""
        self._closing = True
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            with suppress(OSError):
                await self._writer.wait_closed()


def is_address(host: str) -> bool:
    """Say whether a host is written in digits, so that nobody has to be asked for it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def local_host_to(address: Address) -> str:
    """Return the address of ours from which another is reached; nothing is sent for that."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])
