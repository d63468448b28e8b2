"""Captures in the format of pcap, made from octets that were carried on 127.0.0.1 by one path.

No right to listen on an interface is needed; what is made up are the headers of IP, UDP and TCP below.
Source: draft-ietf-opsawg-pcap; RFC 791, 768 and 9293 for the headers.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_RAW_IP: Final = 101
_MAGIC: Final = 0xA1B2C3D4
_HOST: Final = bytes([127, 0, 0, 1])
_TCP, _UDP = 6, 17
_SNAP_OCTETS: Final = 65_535
# Beyond an IP packet of 65535 octets a message must be cut; TCP would have cut it long before.
_SEGMENT_OCTETS: Final = 1_400


class Carried(NamedTuple):
    """One message or packet.

    Attributes:
        at_s: The wall's time.
        source: A port, as is `to`.
        sent: Whether the caller sent it.
    """

    at_s: float
    source: int
    to: int
    octets: bytes
    sent: bool
    signalling: bool


def write_capture(file: Path, carried: Sequence[Carried], *, tcp: bool) -> None:
    """Write a capture; signalling goes over TCP if so, all else over UDP."""
    counted = {True: 1, False: 1}
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP_OCTETS, _RAW_IP))
        for one in carried:
            pieces = [one.octets]
            if tcp and one.signalling:
                pieces = [
                    one.octets[at : at + _SEGMENT_OCTETS] for at in range(0, len(one.octets), _SEGMENT_OCTETS)
                ]
            for piece in pieces:
                if tcp and one.signalling:
                    packet = _ip(_TCP, _segment(one, piece, counted[one.sent], counted[not one.sent]))
                    counted[one.sent] += len(piece)
                else:
                    packet = _ip(_UDP, struct.pack(">HHHH", one.source, one.to, 8 + len(piece), 0) + piece)
                whole = int(one.at_s)
                out.write(
                    struct.pack("<IIII", whole, int((one.at_s - whole) * 1e6), len(packet), len(packet))
                )
                out.write(packet)


def _segment(one: Carried, octets: bytes, sequence: int, acknowledged: int) -> bytes:
    pushed = 0x18
    return (
        struct.pack(">HHIIBBHHH", one.source, one.to, sequence, acknowledged, 5 << 4, pushed, 65_535, 0, 0)
        + octets
    )


def _ip(protocol: int, octets: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(octets), 0, 0, 64, protocol, 0) + _HOST + _HOST
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack(">H", check) + head[12:] + octets
