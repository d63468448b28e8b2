"""RTCP on the wire: golden octets, round trips, a second author, rubbish, and how a way is timed."""

from contextlib import suppress

import aiortp
import pytest
from aiortp.packet import RtcpReceiverInfo, RtcpSenderInfo, RtcpSourceInfo
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.rtcp import (
    RTCP_OCTETS_MAX,
    Bye,
    MalformedRtcp,
    ReceiverReport,
    Report,
    ReportBlock,
    SenderReport,
    SourceDescription,
    middle_of,
    ntp_of,
    read_compound,
    round_trip_s,
    write_compound,
)

UINT_32 = st.integers(0, 2**32 - 1)
BLOCKS = st.lists(
    st.builds(
        ReportBlock,
        ssrc=UINT_32,
        fraction_lost=st.integers(0, 255),
        lost=st.integers(-(2**23), 2**23 - 1),
        highest=UINT_32,
        jitter=UINT_32,
        last_report=UINT_32,
        delay=UINT_32,
    ),
    max_size=31,
).map(tuple)
REPORTS = st.builds(ReceiverReport, ssrc=UINT_32, blocks=BLOCKS) | st.builds(
    SenderReport,
    ssrc=UINT_32,
    ntp=st.integers(0, 2**64 - 1),
    timestamp=UINT_32,
    packets=UINT_32,
    octets=UINT_32,
    blocks=BLOCKS,
)

# Laid out by hand from the drawings in RFC 3550, sections 6.4.1, 6.5 and 6.6.
GOLDEN = {
    "81c8000c 0000002a e6a1b2c380000000 000000a0 00000032 00001f40"
    "0000002b 40fffffe 00010005 00000011 b2c38000 00018000"
    "81ca0003 0000002a 010361406200 0000"
    "81cb0001 0000002a": (
        SenderReport(
            ssrc=42,
            ntp=0xE6A1B2C3_80000000,
            timestamp=160,
            packets=50,
            octets=8_000,
            blocks=(
                ReportBlock(
                    ssrc=43,
                    fraction_lost=64,
                    lost=-2,
                    highest=0x10005,
                    jitter=17,
                    last_report=0xB2C38000,
                    delay=0x18000,
                ),
            ),
        ),
        SourceDescription(ssrc=42, cname=b"a@b"),
        Bye(ssrcs=(42,)),
    ),
}


@pytest.mark.parametrize(("octets", "parts"), GOLDEN.items())
def test_golden_octets_are_read_and_written(
    octets: str, parts: tuple[Report, SourceDescription, Bye]
) -> None:
    wire = bytes.fromhex(octets)

    assert read_compound(wire) == parts
    assert write_compound(parts[0], b"a@b", leaving=True) == wire


@given(REPORTS, st.binary(min_size=1, max_size=255), st.booleans())
def test_compound_comes_back_as_it_was(report: Report, cname: bytes, leaving: bool) -> None:
    octets = write_compound(report, cname, leaving=leaving)

    assert len(octets) % 4 == 0
    assert read_compound(octets) == (
        report,
        SourceDescription(ssrc=report.ssrc, cname=cname),
        *([Bye(ssrcs=(report.ssrc,))] if leaving else []),
    )


def theirs(report: Report) -> aiortp.RtcpSrPacket | aiortp.RtcpRrPacket:
    """Write a report down as aiortp has it."""
    blocks = [
        RtcpReceiverInfo(
            ssrc=block.ssrc,
            fraction_lost=block.fraction_lost,
            packets_lost=block.lost,
            highest_sequence=block.highest,
            jitter=block.jitter,
            lsr=block.last_report,
            dlsr=block.delay,
        )
        for block in report.blocks
    ]
    if isinstance(report, ReceiverReport):
        return aiortp.RtcpRrPacket(ssrc=report.ssrc, reports=blocks)
    sent = RtcpSenderInfo(
        ntp_timestamp=report.ntp,
        rtp_timestamp=report.timestamp,
        packet_count=report.packets,
        octet_count=report.octets,
    )
    return aiortp.RtcpSrPacket(ssrc=report.ssrc, sender_info=sent, reports=blocks)


@given(REPORTS, st.binary(min_size=1, max_size=255))
def test_aiortp_reads_the_same_and_we_read_what_it_writes(report: Report, cname: bytes) -> None:
    name = aiortp.RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=report.ssrc, items=[(1, cname)])])
    bye = aiortp.RtcpByePacket(sources=[report.ssrc])

    assert aiortp.RtcpPacket.parse(write_compound(report, cname, leaving=True)) == [theirs(report), name, bye]
    assert read_compound(bytes(theirs(report)) + bytes(name) + bytes(bye)) == (
        report,
        SourceDescription(ssrc=report.ssrc, cname=cname),
        Bye(ssrcs=(report.ssrc,)),
    )


@given(REPORTS, st.data())
def test_changed_packet_is_read_or_refused_by_its_own_error(report: Report, data: st.DataObject) -> None:
    octets = bytearray(write_compound(report, b"call@host", leaving=True))
    for _ in range(data.draw(st.integers(0, 6))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))

    with suppress(MalformedRtcp):
        read_compound(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


@given(st.binary(max_size=200), st.sampled_from([200, 201, 202, 203, 204]), st.integers(0, 63))
def test_rubbish_behind_a_report_is_read_or_refused(body: bytes, kind: int, low: int) -> None:
    whole = body[: len(body) // 4 * 4]
    report = write_compound(ReceiverReport(ssrc=1), b"x")

    with suppress(MalformedRtcp):
        read_compound(report + bytes([0x80 | low, kind]) + (len(whole) // 4).to_bytes(2, "big") + whole)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x80",
        bytes.fromhex("80cb0000"),  # begins with a farewell
        bytes.fromhex("a0c90001 00000001"),  # padding in the first part
        bytes.fromhex("81c90001 00000001"),  # a block is promised and missing
        bytes.fromhex("80c90001 00000001 40c90001 00000001"),  # the second has version 1
        bytes.fromhex("80c90001 00000001 80000001 00000001"),  # the second is no RTCP
        bytes.fromhex("80c90001 00000001 a0ca0000"),  # padding without a place for it
        bytes.fromhex("80c90001 00000001 a0ca0001 00000003"),  # half a word of padding
        bytes.fromhex("80c80001 00000001"),  # a sender report without its numbers
        bytes.fromhex("80c90000"),
        bytes(RTCP_OCTETS_MAX + 1),
    ],
)
def test_what_is_not_compound_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedRtcp):
        read_compound(octets)


def test_padding_and_unknown_types_are_passed_over() -> None:
    octets = bytes.fromhex("80c90001 00000001" + "80cc0002 00000001 41424344" + "a1cb0002 00000001 00000004")

    assert read_compound(octets) == (ReceiverReport(ssrc=1), Bye(ssrcs=(1,)))


@pytest.mark.parametrize("cname", [b"", b"x" * 256])
def test_name_that_does_not_fit_is_not_written(cname: bytes) -> None:
    with pytest.raises(MalformedRtcp):
        write_compound(ReceiverReport(ssrc=1), cname)


def test_more_loss_than_can_be_said_is_said_as_the_most() -> None:
    block = ReportBlock(ssrc=1, fraction_lost=0, lost=10**9, highest=0, jitter=0)

    (report, _) = read_compound(write_compound(ReceiverReport(ssrc=1, blocks=(block,)), b"x"))

    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].lost == 2**23 - 1


def test_round_trip_is_that_of_the_example() -> None:
    # RFC 3550, figure 2: A = b710:8000, last report b705:2000, delay 5.250 s; 6.125 s under way.
    block = ReportBlock(
        ssrc=1, fraction_lost=0, lost=0, highest=0, jitter=0, last_report=0xB705_2000, delay=0x0005_4000
    )

    assert round_trip_s(block, ntp=0xB44D_B710_8000_0000) == 6.125


def test_no_round_trip_without_a_report_or_after_a_clock_was_set_back() -> None:
    block = {"ssrc": 1, "fraction_lost": 0, "lost": 0, "highest": 0, "jitter": 0}
    ntp = ntp_of(1_000.0)

    assert round_trip_s(ReportBlock(**block), ntp=ntp) is None
    assert round_trip_s(ReportBlock(**block, last_report=middle_of(ntp) + 65_536), ntp=ntp) is None


def test_ntp_begins_seventy_years_before_unix() -> None:
    assert ntp_of(0.5) == 2_208_988_800 << 32 | 1 << 31
