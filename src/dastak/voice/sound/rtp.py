"""RTP packets: their header, and the running numbers of a stream that we send.

Source: RFC 3550, sections 5.1 and 5.3.1; RFC 5761, section 4, for what is no RTP.
"""

from struct import Struct
from typing import Final, NamedTuple

# Version 2; marker and payload type; sequence, timestamp, SSRC.
_HEADER: Final = Struct(">BBHII")
HEADER_OCTETS: Final = _HEADER.size
_VERSION: Final = 2
_VERSION_BITS: Final = _VERSION << 6
_PADDED: Final = 0x20
_EXTENDED: Final = 0x10
_MARKER: Final = 0x80
_EXTENSION: Final = Struct(">HH")
CSRCS_MAX: Final = 15
_WORD: Final = 4
_EXTENSION_WORDS_MAX: Final = 0xFFFF
_PADDING_OCTETS_MAX: Final = 255

PAYLOAD_TYPE_MAX: Final = 127
# With the marker bit these are types of RTCP packets; a peer may send both to one port.
RTCP_LOOKALIKES: Final = range(64, 96)

_16_BITS: Final = 0xFFFF
_32_BITS: Final = 0xFFFF_FFFF
# A sequence number that starts in the lower half cannot roll over in a call of minutes, and SRTP's count of
# roll-overs is not put to the test. At 50 packets a second the upper half lasts 655 s.
_FIRST_SEQUENCE_MAX: Final = 0x7FFF
START_OCTETS: Final = 10


class MalformedRtp(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets are no RTP packet."""


class RtpPacket(NamedTuple):
    """One packet; a tuple, for fifty of them are made each second for each call.

    Attributes:
        timestamp: In samples of 1/8000 s, from a random start.
        csrcs: Whom a mixer has mixed; at most 15.
        extension: The profile's number and whole words of it, if there is one.
        padding_octets: How many octets follow the payload, the last of them saying so.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    padding_octets: int = 0


def write_rtp(packet: RtpPacket) -> bytes:
    """Write a packet with everything that it may have.

    Raises:
        MalformedRtp: It has more than the format can carry.
    """
    if len(packet.csrcs) > CSRCS_MAX or not 0 <= packet.padding_octets <= _PADDING_OCTETS_MAX:
        raise MalformedRtp("more CSRCs or padding than a header can count")
    first = _VERSION_BITS | len(packet.csrcs)
    parts = [b"".join(csrc.to_bytes(4, "big") for csrc in packet.csrcs)]
    if packet.extension is not None:
        profile, octets = packet.extension
        if len(octets) % _WORD or len(octets) // _WORD > _EXTENSION_WORDS_MAX:
            raise MalformedRtp("an extension is a whole number of 32-bit words")
        first |= _EXTENDED
        parts += [_EXTENSION.pack(profile, len(octets) // _WORD), octets]
    parts.append(packet.payload)
    if packet.padding_octets:
        first |= _PADDED
        parts.append(packet.padding_octets.to_bytes(packet.padding_octets, "big"))
    second = packet.payload_type | (_MARKER if packet.marker else 0)
    return b"".join([_HEADER.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc), *parts])


def read_rtp(octets: bytes) -> RtpPacket:
    """Read a packet.

    Raises:
        MalformedRtp: Too few octets for what its header says, another version, or RTCP.
    """
    if len(octets) < HEADER_OCTETS:
        raise MalformedRtp(f"{len(octets)} octets are less than a header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(octets)
    if first >> 6 != _VERSION:
        raise MalformedRtp(f"version {first >> 6}, not {_VERSION}")
    if second & PAYLOAD_TYPE_MAX in RTCP_LOOKALIKES:
        raise MalformedRtp("this is RTCP")
    payload_type, marker = second & PAYLOAD_TYPE_MAX, second >= _MARKER
    if first == _VERSION_BITS:
        # Telephones send nothing more, so the way of nearly all packets is short.
        return RtpPacket(payload_type, sequence, timestamp, ssrc, octets[HEADER_OCTETS:], marker)
    csrcs, extension, at = _read_extras(octets, first)
    padding_octets = octets[-1] if first & _PADDED else 0
    end = len(octets) - padding_octets
    if end < at or (first & _PADDED and not padding_octets):
        raise MalformedRtp(f"{padding_octets} octets of padding do not fit in")
    return RtpPacket(
        payload_type, sequence, timestamp, ssrc, octets[at:end], marker, csrcs, extension, padding_octets
    )


def _read_extras(octets: bytes, first: int) -> tuple[tuple[int, ...], tuple[int, bytes] | None, int]:
    """Read CSRCs and extension; return them and where the payload begins."""
    at = HEADER_OCTETS + _WORD * (first & CSRCS_MAX)
    if at > len(octets):
        raise MalformedRtp("the CSRCs are cut off")
    csrcs = tuple(int.from_bytes(octets[i : i + _WORD], "big") for i in range(HEADER_OCTETS, at, _WORD))
    if not first & _EXTENDED:
        return csrcs, None, at
    begins = at + _EXTENSION.size
    if begins > len(octets):
        raise MalformedRtp("the extension is cut off")
    profile, words = _EXTENSION.unpack_from(octets, at)
    at = begins + _WORD * words
    if at > len(octets):
        raise MalformedRtp("the extension is cut off")
    return csrcs, (profile, octets[begins:at]), at


class RtpSender:
    """The running numbers of one stream that we send.

    Args:
        payload_type: What the peer calls the codec.
        start: `START_OCTETS` random octets; nobody may guess where a stream begins.
        frame_samples: How far each packet moves the timestamp.

    Attributes:
        packets: How many were made.
        octets: Of payload, as sender reports count them.
    """

    __slots__ = (
        "_frame_samples",
        "_marker",
        "_sequence",
        "octets",
        "packets",
        "payload_type",
        "ssrc",
        "timestamp",
    )

    def __init__(self, *, payload_type: int, start: bytes, frame_samples: int) -> None:
        assert len(start) == START_OCTETS
        self.payload_type = payload_type
        self._sequence = int.from_bytes(start[:2], "big") & _FIRST_SEQUENCE_MAX
        self.timestamp = int.from_bytes(start[2:6], "big")
        self.ssrc = int.from_bytes(start[6:], "big")
        self._frame_samples = frame_samples
        self._marker = _MARKER
        self.packets = 0
        self.octets = 0

    def packet(self, payload: bytes) -> bytes:
        """Make the next packet. The first, and the first after a pause, has the marker."""
        octets = (
            _HEADER.pack(
                _VERSION_BITS, self.payload_type | self._marker, self._sequence, self.timestamp, self.ssrc
            )
            + payload
        )
        self._marker = 0
        self._sequence = self._sequence + 1 & _16_BITS
        self.timestamp = self.timestamp + self._frame_samples & _32_BITS
        self.packets += 1
        self.octets += len(payload)
        return octets

    def pause(self) -> None:
        """Let the time of one frame go by without a packet."""
        self.timestamp = self.timestamp + self._frame_samples & _32_BITS
        self._marker = _MARKER
