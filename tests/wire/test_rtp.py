"""RTP on the wire: golden octets, round trips, a second author, rubbish, and the numbers of a stream."""

from contextlib import suppress

import aiortp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.rtp import (
    HEADER_OCTETS,
    PAYLOAD_TYPE_MAX,
    RTCP_LOOKALIKES,
    START_OCTETS,
    MalformedRtp,
    RtpPacket,
    RtpSender,
    read_rtp,
    write_rtp,
)

UINT_32 = st.integers(0, 2**32 - 1)
EXTENSIONS = st.tuples(st.integers(0, 65_535), st.integers(0, 20).map(lambda words: bytes(range(4 * words))))
PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, PAYLOAD_TYPE_MAX).filter(lambda number: number not in RTCP_LOOKALIKES),
    sequence=st.integers(0, 65_535),
    timestamp=UINT_32,
    ssrc=UINT_32,
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrcs=st.lists(UINT_32, max_size=15).map(tuple),
    extension=st.none() | EXTENSIONS,
    padding_octets=st.integers(0, 255),
)

# Laid out by hand from the drawing in RFC 3550, section 5.1.
GOLDEN = {
    "80 80 0001 000000a0 deadbeef ffff": RtpPacket(
        payload_type=0, marker=True, sequence=1, timestamp=160, ssrc=0xDEADBEEF, payload=b"\xff\xff"
    ),
    "b1 65 ffff ffffffff 00000001 0000002a bede0001 10aa0000 010203 00000004": RtpPacket(
        payload_type=101,
        sequence=65_535,
        timestamp=2**32 - 1,
        ssrc=1,
        payload=b"\x01\x02\x03",
        csrcs=(42,),
        extension=(0xBEDE, b"\x10\xaa\x00\x00"),
        padding_octets=4,
    ),
}


@pytest.mark.parametrize(("octets", "packet"), GOLDEN.items())
def test_golden_octets_are_read_and_written(octets: str, packet: RtpPacket) -> None:
    wire = bytes.fromhex(octets)

    assert read_rtp(wire) == packet
    assert write_rtp(packet) == wire


@given(PACKETS)
def test_packet_comes_back_as_it_was(packet: RtpPacket) -> None:
    assert read_rtp(write_rtp(packet)) == packet


@given(PACKETS)
def test_aiortp_reads_the_same_and_we_read_what_it_writes(packet: RtpPacket) -> None:
    # Of extensions it keeps only those of browsers.
    plain = packet._replace(extension=None)

    theirs = aiortp.RtpPacket.parse(write_rtp(packet))

    assert (theirs.payload_type, theirs.marker, theirs.sequence_number) == (
        packet.payload_type,
        packet.marker,
        packet.sequence,
    )
    assert (theirs.timestamp, theirs.ssrc, tuple(theirs.csrc)) == (
        packet.timestamp,
        packet.ssrc,
        packet.csrcs,
    )
    assert (theirs.payload, theirs.padding_size) == (packet.payload, packet.padding_octets)
    assert read_rtp(theirs.serialize()) == plain


@given(PACKETS, st.data())
def test_cut_packet_is_read_or_refused_by_its_own_error(packet: RtpPacket, data: st.DataObject) -> None:
    octets = write_rtp(packet)
    cut = octets[: data.draw(st.integers(0, len(octets)))]

    with suppress(MalformedRtp):
        assert len(read_rtp(cut).payload) <= len(cut)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda octets: b"\xbf\x00" + octets))
def test_rubbish_is_read_or_refused_by_its_own_error(octets: bytes) -> None:
    with suppress(MalformedRtp):
        assert write_rtp(read_rtp(octets))[:HEADER_OCTETS] == octets[:HEADER_OCTETS]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "less than a header"),
        (bytes(12), "version 0"),
        (b"\x80\xc8" + bytes(10), "RTCP"),
        (b"\x81\x00" + bytes(10), "CSRCs"),
        (b"\x90\x00" + bytes(10), "extension"),
        (b"\x90\x00" + bytes(10) + b"\x00\x00\x00\x01", "extension"),
        (b"\xa0\x00" + bytes(10), "padding"),
        (b"\xa0\x00" + bytes(10) + b"\x00", "padding"),
        (b"\xa0\x00" + bytes(10) + b"\x02", "padding"),
    ],
)
def test_what_is_no_packet_is_refused_with_the_reason(octets: bytes, reason: str) -> None:
    with pytest.raises(MalformedRtp, match=reason):
        read_rtp(octets)


@pytest.mark.parametrize(
    "too_much",
    [{"csrcs": (1,) * 16}, {"padding_octets": 256}, {"extension": (1, b"abc")}],
)
def test_what_no_header_can_say_is_not_written(too_much: dict[str, object]) -> None:
    packet = RtpPacket(payload_type=0, sequence=0, timestamp=0, ssrc=0, payload=b"", **too_much)

    with pytest.raises(MalformedRtp):
        write_rtp(packet)


@given(st.binary(min_size=START_OCTETS, max_size=START_OCTETS))
def test_stream_counts_on_from_a_random_start(start: bytes) -> None:
    sender = RtpSender(payload_type=8, start=start, frame_samples=160)
    first, second = (read_rtp(sender.packet(bytes([place]) * 160)) for place in range(2))
    sender.pause()
    third = read_rtp(sender.packet(b"\x02" * 160))

    assert first.sequence < 32_768
    assert [first.marker, second.marker, third.marker] == [True, False, True]
    assert [second.sequence - first.sequence, third.sequence - first.sequence] == [1, 2]
    assert [(later.timestamp - first.timestamp) % 2**32 for later in (second, third)] == [160, 480]
    assert {packet.ssrc for packet in (first, second, third)} == {int.from_bytes(start[6:], "big")}
    assert [packet.payload for packet in (first, second)] == [bytes(160), b"\x01" * 160]
    assert (sender.packets, sender.octets) == (3, 480)
