"""RTCP reports: what we sent, what the callee says of how it arrived, and a farewell.

Every packet we make is compound, as the standard asks: a report, then our name, then perhaps a farewell.
Source: RFC 3550, section 6.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

_HEADER: Final = Struct(">BBH")
_VERSION: Final = 2
_VERSION_BITS: Final = _VERSION << 6
_PADDED: Final = 0x20
_COUNT_MAX: Final = 31
_WORD: Final = 4

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
BYE: Final = 203
TYPES: Final = range(192, 224)

_SENDER: Final = Struct(">QIII")
_BLOCK: Final = Struct(">IIIIII")
_SSRC: Final = Struct(">I")
_CNAME: Final = 1
_TEXT_OCTETS_MAX: Final = 255
# A datagram over this is no report of a telephone call.
RTCP_OCTETS_MAX: Final = 1_500

# NTP counts from 1900, Unix from 1970 (RFC 3550, section 4).
_NTP_OF_1970_S: Final = 2_208_988_800
_32_BITS: Final = 0xFFFF_FFFF
_LOST_MAX: Final = 0x7F_FFFF
_LOST_MIN: Final = -0x80_0000
# Half of what the middle 32 bits of an NTP time can hold: a round trip beyond it is a clock that was set.
_ROUND_TRIP_MAX: Final = 1 << 31


class MalformedRtcp(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets are no RTCP packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """How one stream arrived at who reports.

    Attributes:
        ssrc: Whose stream.
        fraction_lost: Since the report before, in 256ths.
        lost: Since the beginning; negative if more came twice.
        highest: The highest sequence number, with roll-overs above its 16 bits.
        jitter: In samples.
        last_report: The middle 32 bits of the NTP time of the sender report heard last; 0 if none was.
        delay: Between that report and this one, in 65536ths of a second.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """What one sender has sent until now.

    Attributes:
        ntp: When, as 64-bit NTP time.
        timestamp: The same instant as the stream's timestamps count it.
        octets: Of payload.
    """

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """What somebody heard who sends nothing."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """The lasting name of one source."""

    ssrc: int
    cname: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """Who leaves."""

    ssrcs: tuple[int, ...]


Report: TypeAlias = SenderReport | ReceiverReport
Part: TypeAlias = Report | SourceDescription | Bye


def ntp_of(unix_s: float) -> int:
    """Return a Unix time as 64-bit NTP time."""
    return int((unix_s + _NTP_OF_1970_S) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def middle_of(ntp: int) -> int:
    """Return the middle 32 bits of an NTP time, by which reports are told apart."""
    return ntp >> 16 & _32_BITS


def round_trip_s(block: ReportBlock, *, ntp: int) -> float | None:
    """Return how long our report and this answer to it, heard at that NTP time, were under way."""
    if not block.last_report:
        return None
    under_way = (middle_of(ntp) - block.last_report - block.delay) & _32_BITS
    return under_way / 65_536 if under_way < _ROUND_TRIP_MAX else None


def write_compound(report: Report, cname: bytes, *, leaving: bool = False) -> bytes:
    """Write a report, our name, and a farewell if we leave.

    Raises:
        MalformedRtcp: More blocks or a longer name than the format can carry.
    """
    if len(report.blocks) > _COUNT_MAX or not 0 < len(cname) <= _TEXT_OCTETS_MAX:
        raise MalformedRtcp("more blocks or a longer name than fit in")
    ssrc = _SSRC.pack(report.ssrc)
    body = b"".join(map(_write_block, report.blocks))
    if isinstance(report, SenderReport):
        sent = _SENDER.pack(report.ntp, report.timestamp, report.packets & _32_BITS, report.octets & _32_BITS)
        parts = [_write(SENDER_REPORT, len(report.blocks), ssrc + sent + body)]
    else:
        parts = [_write(RECEIVER_REPORT, len(report.blocks), ssrc + body)]
    item = ssrc + bytes([_CNAME, len(cname)]) + cname
    # The list of items ends with a zero, and the chunk with as many as make it whole words.
    parts.append(_write(SOURCE_DESCRIPTION, 1, item + bytes(_WORD - len(item) % _WORD)))
    if leaving:
        parts.append(_write(BYE, 1, ssrc))
    return b"".join(parts)


def read_compound(octets: bytes) -> tuple[Part, ...]:
    """Read the parts of a compound packet; types that we have no use for are passed over.

    Raises:
        MalformedRtcp: It is not compound, or a part of it is cut off.
    """
    if len(octets) > RTCP_OCTETS_MAX:
        raise MalformedRtcp(f"{len(octets)} octets are more than {RTCP_OCTETS_MAX}")
    parts: list[Part] = []
    at = 0
    while at < len(octets):
        if at + _HEADER.size > len(octets):
            raise MalformedRtcp("a header is cut off")
        first, kind, words = _HEADER.unpack_from(octets, at)
        end = at + _WORD * (words + 1)
        if first >> 6 != _VERSION or kind not in TYPES or end > len(octets):
            raise MalformedRtcp("no part of RTCP, or cut off")
        if at == 0 and (kind not in {SENDER_REPORT, RECEIVER_REPORT} or first & _PADDED):
            raise MalformedRtcp("a compound packet begins with a report")
        body = octets[at + _HEADER.size : end]
        if first & _PADDED:
            body = _without_padding(body, last=end == len(octets))
        read = _READERS.get(kind)
        if read is not None:
            parts += read(body, first & _COUNT_MAX)
        at = end
    if not parts:
        raise MalformedRtcp("no octets at all")
    return tuple(parts)


def _write(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(_VERSION_BITS | count, kind, len(body) // _WORD) + body


def _write_block(block: ReportBlock) -> bytes:
    lost = max(_LOST_MIN, min(block.lost, _LOST_MAX)) & 0xFF_FFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest & _32_BITS,
        block.jitter & _32_BITS,
        block.last_report,
        block.delay & _32_BITS,
    )


def _without_padding(body: bytes, *, last: bool) -> bytes:
    padding_octets = body[-1] if body else 0
    if not last or not 0 < padding_octets <= len(body) or padding_octets % _WORD:
        raise MalformedRtcp("padding that does not fit in")
    return body[:-padding_octets]


def _read_sender_report(body: bytes, count: int) -> list[Part]:
    begins = _SSRC.size + _SENDER.size
    if len(body) < begins:
        raise MalformedRtcp("a sender report is cut off")
    ntp, timestamp, packets, octets = _SENDER.unpack_from(body, _SSRC.size)
    return [
        SenderReport(
            ssrc=_SSRC.unpack_from(body)[0],
            ntp=ntp,
            timestamp=timestamp,
            packets=packets,
            octets=octets,
            blocks=_read_blocks(body[begins:], count),
        )
    ]


def _read_receiver_report(body: bytes, count: int) -> list[Part]:
    if len(body) < _SSRC.size:
        raise MalformedRtcp("a receiver report is cut off")
    return [ReceiverReport(ssrc=_SSRC.unpack_from(body)[0], blocks=_read_blocks(body[_SSRC.size :], count))]


def _read_blocks(octets: bytes, count: int) -> tuple[ReportBlock, ...]:
    """Read so many blocks; what a profile adds behind them is passed over."""
    if len(octets) < count * _BLOCK.size:
        raise MalformedRtcp("report blocks are cut off")
    blocks = []
    for place in range(count):
        ssrc, loss, highest, jitter, last_report, delay = _BLOCK.unpack_from(octets, place * _BLOCK.size)
        lost = loss & 0xFF_FFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                lost=lost - (1 << 24) if lost > _LOST_MAX else lost,
                highest=highest,
                jitter=jitter,
                last_report=last_report,
                delay=delay,
            )
        )
    return tuple(blocks)


def _read_source_description(body: bytes, count: int) -> list[Part]:
    names: list[Part] = []
    at = 0
    for _ in range(count):
        if at + _SSRC.size > len(body):
            raise MalformedRtcp("a source description is cut off")
        (ssrc,) = _SSRC.unpack_from(body, at)
        at += _SSRC.size
        while at < len(body) and body[at]:
            text_ends = at + 2 + body[at + 1] if at + 1 < len(body) else len(body) + 1
            if text_ends > len(body):
                raise MalformedRtcp("an item of a source description is cut off")
            if body[at] == _CNAME:
                names.append(SourceDescription(ssrc=ssrc, cname=body[at + 2 : text_ends]))
            at = text_ends
        at += _WORD - at % _WORD
    return names


def _read_bye(body: bytes, count: int) -> list[Part]:
    if len(body) < count * _SSRC.size:
        raise MalformedRtcp("a farewell is cut off")
    return [Bye(ssrcs=tuple(_SSRC.unpack_from(body, place * _SSRC.size)[0] for place in range(count)))]


_READERS: Final = {
    SENDER_REPORT: _read_sender_report,
    RECEIVER_REPORT: _read_receiver_report,
    SOURCE_DESCRIPTION: _read_source_description,
    BYE: _read_bye,
}
