"""A phone of the tests' own: it takes RTP apart by itself, keeps every packet, and presses keys."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import NamedTuple, Self

# Far beyond any wait; a test that takes so long has failed.
WAIT_S = 20.0


class Heard(NamedTuple):
    """One RTP packet, as the phone reads it."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, tuple[str, int]]] = []
        self.came = asyncio.Event()
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.datagrams.append((data, addr))
        self.came.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.datagrams) < count:
                self.came.clear()
                await self.came.wait()


class RtpPhone:
    """Two sockets on an address of this machine, one for sound and one for reports; `async with` it."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.sequence = 1_000
        self.timestamp = 50_000
        self.ssrc = 0xCA11EE

        self.host = host

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        rtp, rtcp = free_pair(self.host)
        self.port = rtp.getsockname()[1]
        self._rtp, self._sound = await loop.create_datagram_endpoint(_Inbox, sock=rtp)
        self._rtcp, self._reports = await loop.create_datagram_endpoint(_Inbox, sock=rtcp)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._rtp.close()
        self._rtcp.close()
        await self._sound.closed.wait()
        await self._reports.closed.wait()

    @property
    def datagrams(self) -> list[bytes]:
        """What came to the port of sound, as it came."""
        return [octets for octets, _ in self._sound.datagrams]

    @property
    def packets(self) -> list[Heard]:
        return [parse(octets) for octets in self.datagrams]

    @property
    def reports(self) -> list[bytes]:
        return [octets for octets, _ in self._reports.datagrams]

    async def hears(self, count: int) -> list[Heard]:
        """Wait until so many packets came, counted from the first, and return them."""
        await self._sound.until(count)
        return self.packets[:count]

    async def hears_more(self, count: int) -> list[Heard]:
        """Wait for so many packets from now on."""
        before = len(self._sound.datagrams)
        await self._sound.until(before + count)
        return self.packets[before : before + count]

    async def reads_report(self, number: int = 1) -> bytes:
        await self._reports.until(number)
        return self.reports[number - 1]

    def sends(self, octets: bytes, port: int) -> None:
        self._rtp.sendto(octets, ("127.0.0.1", port))

    def sends_report(self, octets: bytes, port: int) -> None:
        self._rtcp.sendto(octets, ("127.0.0.1", port + 1))

    def packet(self, payload: bytes, payload_type: int, *, timestamp: int | None = None) -> bytes:
        """Make the next packet of what this phone says."""
        at = self.timestamp if timestamp is None else timestamp
        octets = struct.pack(">BBHII", 0x80, payload_type, self.sequence, at, self.ssrc) + payload
        self.sequence += 1
        self.timestamp += 160
        return octets

    def speaks(self, port: int, *, payload_type: int = 0) -> None:
        self.sends(self.packet(b"\x55" * 160, payload_type), port)

    def press(self, key: str, *, payload_type: int = 101) -> list[bytes]:
        """Make the packets of one key press: three while it lasts, and its end three times."""
        event, began = "0123456789*#".index(key), self.timestamp
        durations = [160, 320, 480, 640, 640, 640]
        return [
            self.packet(
                struct.pack(">BBH", event, 0x0A | (0x80 if place >= 3 else 0), duration),
                payload_type,
                timestamp=began,
            )
            for place, duration in enumerate(durations)
        ]

    def presses(self, key: str, port: int, *, payload_type: int = 101) -> None:
        for octets in self.press(key, payload_type=payload_type):
            self.sends(octets, port)


def parse(octets: bytes) -> Heard:
    """Take a packet apart that has neither CSRC nor extension nor padding, as ours are."""
    assert octets[0] == 0x80, octets[:1].hex()
    second, sequence, timestamp, ssrc = struct.unpack(">BHII", octets[1:12])
    return Heard(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, octets[12:])


def free_pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Bind an even port and the odd one above it."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((host, 0))
        port = rtp.getsockname()[1]
        with suppress(OSError):
            rtcp.bind((host, port + 1))
            if port % 2 == 0:
                return rtp, rtcp
        rtp.close()
        rtcp.close()
