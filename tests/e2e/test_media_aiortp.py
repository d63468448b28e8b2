"""The sound of a call against RTP of other authors: aiortp as the phone, and captured key presses."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiortp import RTPSession

from dastak.voice.sound.g711 import ulaw_to_alaw, ulaw_to_pcm
from dastak.voice.sound.media import Media
from dastak.voice.sound.media_leg import MediaLeg
from dastak.voice.sound.sdp import Audio, Codec, Direction, Ours
from tests.support.needed import program
from tests.support.rtp_phone import WAIT_S, RtpPhone, free_pair

PORTS = range(20_000, 30_000)
OURS = Ours(address="127.0.0.1", port=0, session_id=1)
# sipp brings them; they were captured from a phone.
CAPTURES = Path("/usr/share/sip-tester")
FILES = {"*": "star", "#": "pound"}
# Ethernet, IPv4 and UDP before the RTP of each packet; the file's head and each record's.
HEADS_OCTETS, FILE_OCTETS, RECORD = 14 + 20 + 8, 24, struct.Struct("<IIII")


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    # With no randomness the first report is due after half of the usual time.
    async with Media("127.0.0.1", PORTS, entropy=bytes) as opened:
        yield opened


class Callee:
    """One leg of ours with aiortp at its other end."""

    def __init__(self, media: Media) -> None:
        self.keys: asyncio.Queue[str] = asyncio.Queue()
        self.leg: MediaLeg = media.open(on_key=self.keys.put_nowait, on_end=lambda: None)
        self.heard: list[bytes] = []
        self.reported = asyncio.Event()
        self._came = asyncio.Event()

    async def answer(self, *, payload_type: int, telephone_event: int) -> None:
        pair = free_pair()
        port = pair[0].getsockname()[1]
        for half in pair:
            half.close()
        self.session = await RTPSession.create(
            ("127.0.0.1", port),
            ("127.0.0.1", self.leg.port),
            payload_type,
            dtmf_payload_type=telephone_event,
            rtcp_interval=0.2,
        )
        self.session.on_audio = self._hear
        audio = Audio(
            address="127.0.0.1",
            port=port,
            codec=Codec.PCMA if payload_type == 8 else Codec.PCMU,
            payload_type=payload_type,
            telephone_event=telephone_event,
            direction=Direction.SENDRECV,
            rtcp_port=port + 1,
        )
        self.leg.start(audio, OURS)

    def _hear(self, pcm: bytes, timestamp: int) -> None:
        self.heard.append(pcm)
        self._came.set()

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.heard) < count:
                self._came.clear()
                await self._came.wait()


@pytest.mark.parametrize("payload_type", [0, 8])
async def test_aiortp_plays_what_was_said(media: Media, payload_type: int) -> None:
    callee, said = Callee(media), [os.urandom(160) for _ in range(15)]
    frames: Iterator[bytes] = iter(said)
    callee.leg.speak(lambda: next(frames, None))

    await callee.answer(payload_type=payload_type, telephone_event=101)
    await callee.hears(15)
    await callee.session.close()

    if payload_type == 0:
        assert callee.heard[:15] == [ulaw_to_pcm(frame) for frame in said]
    else:
        encode = callee.session.codec.encode
        assert [encode(pcm) for pcm in callee.heard[:15]] == [ulaw_to_alaw(frame) for frame in said]
    assert callee.session.stats["packets_lost"] == 0


async def test_aiortp_presses_keys_with_its_own_number(media: Media) -> None:
    callee = Callee(media)
    await callee.answer(payload_type=0, telephone_event=97)

    for place, key in enumerate("170*#"):
        callee.session.send_dtmf(key, timestamp=8_000 * place)

    async with asyncio.timeout(WAIT_S):
        assert [await callee.keys.get() for _ in range(5)] == list("170*#")
    await callee.session.close()


async def test_aiortp_and_we_understand_each_others_reports(media: Media) -> None:
    callee = Callee(media)
    await callee.answer(payload_type=0, telephone_event=101)
    understood = asyncio.Event()
    callee.session.on_receiver_report = lambda report: understood.set()
    callee.session.send_audio(bytes(160), 0)

    async with asyncio.timeout(WAIT_S):
        await understood.wait()
        # Its next report answers ours, and so tells the round trip.
        while (at_callee := callee.leg.counts.at_callee) is None or at_callee.round_trip_ms is None:
            heard = len(callee.heard)
            await callee.hears(heard + 1)
    await callee.session.close()

    assert at_callee.lost == 0
    assert 0 <= at_callee.round_trip_ms < WAIT_S * 1_000
    assert callee.leg.counts.lost == 0


async def test_captured_key_presses_count_once_each(media: Media) -> None:
    program("sipp")
    pressed = {key: captured(CAPTURES / f"dtmf_2833_{FILES.get(key, key)}.pcap") for key in "0123456789*#"}
    callee = Callee(media)
    async with RtpPhone() as phone:
        callee.leg.start(
            Audio(
                address="127.0.0.1",
                port=phone.port,
                codec=Codec.PCMU,
                payload_type=0,
                telephone_event=101,
                direction=Direction.SENDRECV,
                rtcp_port=phone.port + 1,
            ),
            OURS,
        )
        for packets in pressed.values():
            for octets in packets:
                phone.sends(octets, callee.leg.port)

        async with asyncio.timeout(WAIT_S):
            assert [await callee.keys.get() for _ in range(12)] == list("0123456789*#")
        # The last press has more packets than its first, and they count no more.
        await phone.hears_more(2)

    assert callee.keys.empty()
    assert min(map(len, pressed.values())) > 3


def captured(path: Path) -> list[bytes]:
    """Return the RTP of a capture."""
    octets, at, packets = path.read_bytes(), FILE_OCTETS, []
    while at < len(octets):
        _, _, kept, _ = RECORD.unpack_from(octets, at)
        at += RECORD.size
        packets.append(octets[at + HEADS_OCTETS : at + kept])
        at += kept
    return packets
