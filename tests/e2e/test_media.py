"""The sound of calls over real sockets, bit for bit, against a phone that takes RTP apart by itself."""

import asyncio
import os
import random
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
from pylibsrtp import Policy, Session

from dastak.core.errors import Overloaded
from dastak.voice.sound.g711 import SILENT_FRAME, ulaw_to_alaw
from dastak.voice.sound.media import Media
from dastak.voice.sound.media_leg import MediaLeg
from dastak.voice.sound.rtcp import Bye, ReportBlock, SenderReport, SourceDescription, read_compound
from dastak.voice.sound.sdes import Crypto, Suite, new_keys
from dastak.voice.sound.sdp import Audio, Codec, Direction, Ours
from tests.support.needed import missing
from tests.support.rtp_phone import WAIT_S, Heard, RtpPhone, parse

# Below the ports that the system gives away by itself; pairs in use are passed over.
PORTS = range(20_000, 30_000)
OURS = Ours(address="127.0.0.1", port=0, session_id=1)


def at(phone: RtpPhone, **changes: object) -> Audio:
    """Return what this phone would say in its answer."""
    answer = Audio(
        address="127.0.0.1",
        port=phone.port,
        codec=Codec.PCMU,
        payload_type=0,
        telephone_event=101,
        direction=Direction.SENDRECV,
        rtcp_port=phone.port + 1,
    )
    return replace(answer, **changes)


class Owner:
    """Who owns a leg: hears its keys and the end of its sound."""

    def __init__(self, media: Media, *, symmetric: bool = True) -> None:
        self.keys: asyncio.Queue[str] = asyncio.Queue()
        self.ends = 0
        self.ended = asyncio.Event()
        self.leg: MediaLeg = media.open(on_key=self.keys.put_nowait, on_end=self._end, symmetric=symmetric)

    def _end(self) -> None:
        self.ends += 1
        self.ended.set()

    async def key(self) -> str:
        async with asyncio.timeout(WAIT_S):
            return await self.keys.get()

    async def end(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()


def source(frames: list[bytes]) -> Callable[[], bytes | None]:
    """Give the frames one by one, then None."""
    left: Iterator[bytes] = iter(frames)
    return lambda: next(left, None)


def frames(count: int) -> list[bytes]:
    return [os.urandom(160) for _ in range(count)]


def check_stream(packets: list[Heard], *, payload_type: int = 0) -> None:
    """Check what must hold of packets that were sent without a pause."""
    first = packets[0]
    assert {packet.ssrc for packet in packets} == {first.ssrc}
    assert {packet.payload_type for packet in packets} == {payload_type}
    assert [packet.sequence for packet in packets] == [
        first.sequence + place for place in range(len(packets))
    ]
    assert [packet.timestamp for packet in packets] == [
        (first.timestamp + 160 * place) % 2**32 for place in range(len(packets))
    ]


def mutated(octets: bytes, chance: random.Random) -> bytes:
    """Change a few octets, and sometimes cut the end off."""
    changed = bytearray(octets)
    for _ in range(chance.randrange(4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.choice([len(changed), chance.randrange(1, len(changed))])])


async def until(phone: RtpPhone, look: Callable[[], bool]) -> None:
    """Wait for something that datagrams bring about; the packets of the call are the clock."""
    async with asyncio.timeout(WAIT_S):
        while not look():
            await phone.hears_more(1)


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    async with Media("127.0.0.1", PORTS) as opened:
        yield opened


@pytest.fixture
async def phone() -> AsyncIterator[RtpPhone]:
    async with RtpPhone() as opened:
        yield opened


@pytest.mark.parametrize(("codec", "payload_type"), [(Codec.PCMU, 0), (Codec.PCMA, 8), (Codec.PCMA, 110)])
async def test_phone_hears_the_frames_bit_for_bit(
    media: Media, phone: RtpPhone, codec: Codec, payload_type: int
) -> None:
    said, owner = frames(20), Owner(media)

    owner.leg.start(at(phone, codec=codec, payload_type=payload_type), OURS)
    silent = await phone.hears(3)
    owner.leg.speak(source(said))
    await owner.end()
    await phone.hears_more(2)

    packets, turned = phone.packets, ulaw_to_alaw if codec is Codec.PCMA else bytes
    check_stream(packets, payload_type=payload_type)
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    assert packets[0].sequence < 32_768
    spoken = b"".join(packet.payload for packet in packets)
    begins = next(place for place, packet in enumerate(packets) if packet.payload != turned(SILENT_FRAME))
    assert begins >= len(silent)
    assert spoken[160 * begins :][: 160 * 20] == turned(b"".join(said))
    assert {packet.payload for packet in packets[begins + 20 :]} == {turned(SILENT_FRAME)}
    assert owner.ends == 1


async def test_calls_do_not_mix(media: Media) -> None:
    async with RtpPhone() as one, RtpPhone() as two:
        owners, said = [Owner(media), Owner(media)], [frames(10), frames(10)]

        for owner, phone, sound in zip(owners, (one, two), said, strict=True):
            owner.leg.start(at(phone), OURS)
            owner.leg.speak(source(sound))
        await asyncio.gather(one.hears(10), two.hears(10))

        for phone, sound in zip((one, two), said, strict=True):
            assert [packet.payload for packet in phone.packets[:10]] == sound
        assert one.packets[0].ssrc != two.packets[0].ssrc
        assert owners[0].leg.port % 2 == owners[1].leg.port % 2 == 0


@pytest.mark.parametrize("payload_type", [101, 96])
async def test_keys_come_once_by_our_number_and_by_the_peers_own(
    media: Media, phone: RtpPhone, payload_type: int
) -> None:
    owner = Owner(media)
    owner.leg.start(at(phone, telephone_event=96), OURS)

    for key in "7*#7":
        phone.presses(key, owner.leg.port, payload_type=payload_type)

    assert [await owner.key() for _ in range(4)] == ["7", "*", "#", "7"]
    await until(phone, lambda: owner.leg.counts.received == 24)
    assert owner.keys.empty()


async def test_key_that_comes_by_info_as_well_counts_once(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    owner.leg.start(at(phone), OURS)
    phone.presses("4", owner.leg.port)
    assert await owner.key() == "4"

    owner.leg.hear_info(b"Signal=4\r\nDuration=160\r\n")
    owner.leg.hear_info(b"Signal=9\r\nDuration=160\r\n")
    owner.leg.hear_info(b"<xml/>")

    assert await owner.key() == "9"
    assert owner.keys.empty()


async def test_keys_before_the_answer_do_not_count(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    phone.presses("1", owner.leg.port)
    # The loop reads what came before this call has its turn again.
    async with RtpPhone() as other:
        clock = Owner(media)
        clock.leg.start(at(other), OURS)
        await other.hears(3)

    owner.leg.start(at(phone), OURS)
    phone.presses("2", owner.leg.port)

    assert await owner.key() == "2"


async def test_sound_waits_during_a_hold_and_time_runs_on(media: Media, phone: RtpPhone) -> None:
    said, owner = frames(12), Owner(media)
    async with RtpPhone() as other:
        clock = Owner(media)
        clock.leg.start(at(other), OURS)
        owner.leg.start(at(phone), OURS)
        owner.leg.speak(source(said))
        before = (await phone.hears(4))[-1]

        owner.leg.change(at(phone, direction=Direction.SENDONLY), OURS)
        await other.hears_more(8)
        held = len(phone.datagrams)
        await other.hears_more(4)
        assert len(phone.datagrams) == held
        owner.leg.change(at(phone), OURS)
        await phone.hears(12)

    packets = phone.packets[:12]
    before, after = packets[held - 1], packets[held]
    assert [packet.payload for packet in packets] == said
    assert [packet.sequence for packet in packets] == [packets[0].sequence + place for place in range(12)]
    assert after.marker
    paused = (after.timestamp - before.timestamp) % 2**32
    assert paused % 160 == 0
    assert paused > 160 * 4


async def test_sound_follows_a_stream_from_elsewhere_and_no_second_one(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    async with RtpPhone() as behind_nat, RtpPhone() as stranger:
        owner.leg.start(at(phone), OURS)
        await phone.hears(1)

        # A packet that no phone of this call would send frees nothing, nor do packets that do not follow.
        stranger.sends(stranger.packet(b"x", 34), owner.leg.port)
        stranger.speaks(owner.leg.port)
        await until(phone, lambda: owner.leg.counts.strangers == 2)
        for _ in range(3):
            behind_nat.speaks(owner.leg.port)
        await behind_nat.hears(2)
        for _ in range(3):
            stranger.speaks(owner.leg.port)
        stranger.presses("1", owner.leg.port)
        behind_nat.presses("2", owner.leg.port)

        assert await owner.key() == "2"
        await behind_nat.hears_more(2)
        assert owner.keys.empty()
        assert owner.leg.counts.strangers == 2 + 2 + 9
        assert stranger.datagrams == []
        check_stream(phone.packets + behind_nat.packets)


async def test_thief_who_guessed_the_port_gets_nothing_of_a_phone_that_sends(
    media: Media, phone: RtpPhone
) -> None:
    said, owner = frames(10), Owner(media)
    async with RtpPhone("127.0.0.66") as thief:
        owner.leg.start(at(phone), OURS)
        phone.speaks(owner.leg.port)
        await until(phone, lambda: owner.leg.counts.received == 1)
        for _ in range(20):
            thief.speaks(owner.leg.port)
        thief.presses("7", owner.leg.port)
        thief.sends_report(bytes.fromhex("81c9000100ca11ee"), owner.leg.port)
        owner.leg.speak(source(said))
        await owner.end()
        await phone.hears_more(2)

        assert b"".join(said) in b"".join(packet.payload for packet in phone.packets)
        assert owner.leg.counts.strangers == 27
        assert owner.keys.empty()
        assert (thief.datagrams, thief.reports) == ([], [])


async def test_described_phone_takes_its_sound_back_from_a_thief_who_was_first(
    media: Media, phone: RtpPhone
) -> None:
    said, owner = frames(10), Owner(media)
    async with RtpPhone("127.0.0.66") as thief:
        owner.leg.start(at(phone), OURS)
        for _ in range(3):
            thief.speaks(owner.leg.port)
        await thief.hears(2)
        phone.speaks(owner.leg.port)
        await phone.hears_more(3)
        stolen = len(thief.datagrams)
        for _ in range(9):
            thief.speaks(owner.leg.port)
        owner.leg.speak(source(said))
        await owner.end()
        await phone.hears_more(2)

        assert b"".join(said) in b"".join(packet.payload for packet in phone.packets)
        assert len(thief.datagrams) == stolen
        assert {packet.payload for packet in thief.packets} == {SILENT_FRAME}


async def test_sound_follows_a_new_description_and_then_who_sends(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    async with RtpPhone() as moved, RtpPhone() as behind_nat:
        owner.leg.start(at(phone), OURS)
        phone.speaks(owner.leg.port)
        await phone.hears(2)

        owner.leg.change(at(moved), OURS)
        await moved.hears(2)
        for _ in range(3):
            behind_nat.speaks(owner.leg.port)
        await behind_nat.hears(2)

        assert owner.leg.counts.strangers == 2


async def test_sound_stays_when_it_shall_not_follow_and_the_described_host_alone_is_heard(
    media: Media, phone: RtpPhone
) -> None:
    owner = Owner(media, symmetric=False)
    async with RtpPhone("127.0.0.66") as stranger, RtpPhone() as other_port:
        owner.leg.start(at(phone), OURS)

        for _ in range(5):
            stranger.speaks(owner.leg.port)
        stranger.presses("1", owner.leg.port)
        other_port.presses("2", owner.leg.port)
        key = await owner.key()
        await phone.hears_more(2)

        assert (key, owner.leg.counts.strangers) == ("2", 11)
        assert (stranger.datagrams, other_port.datagrams) == ([], [])


async def test_rubbish_is_counted_and_changes_nothing(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    owner.leg.start(at(phone), OURS)
    await phone.hears(1)

    for octets in (
        b"\r\n",
        os.urandom(5),
        b"\x00" * 172,
        b"\x80\xc8" + bytes(26),
        phone.packet(b"\x01", 101),
    ):
        phone.sends(octets, owner.leg.port)
    phone.sends_report(b"\x80\xc9\x00\x09", owner.leg.port)
    await until(phone, lambda: owner.leg.counts.junk == 6)

    phone.presses("5", owner.leg.port)
    assert await owner.key() == "5"
    check_stream(phone.packets)


async def test_mutated_packets_stop_nothing(
    media: Media, phone: RtpPhone, caplog: pytest.LogCaptureFixture
) -> None:
    owner, chance = Owner(media), random.Random(4733)
    owner.leg.start(at(phone), OURS)
    await phone.hears(1)
    good = [*phone.press("1"), phone.packet(bytes(160), 0), b"\xbf\x65" + bytes(80)]
    report = bytes.fromhex("81c90007 00ca11ee 00000001" + "00" * 20 + "81ca0003 00ca11ee 0103614062000000")

    # No more at a time than the socket holds.
    for _ in range(40):
        for _ in range(25):
            phone.sends(mutated(chance.choice(good), chance), owner.leg.port)
            phone.sends_report(mutated(report, chance), owner.leg.port)
        await phone.hears_more(1)
    await until(phone, lambda: owner.leg.counts.received + owner.leg.counts.junk >= 1_000)
    phone.presses("*", owner.leg.port)

    # What was pressed among them may come before it.
    while await owner.key() != "*":
        pass
    assert owner.leg.counts.strangers == 0
    assert caplog.messages == []
    check_stream(phone.packets)


async def test_call_over_ipv6_is_heard(phone: RtpPhone) -> None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    class Inbox(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.put_nowait(data)

    try:
        transport, _ = await loop.create_datagram_endpoint(Inbox, local_addr=("::1", 0))
    except OSError:
        missing("needs the IPv6 loopback")
    async with Media("::1", PORTS) as media:
        owner, port = Owner(media), transport.get_extra_info("sockname")[1]
        owner.leg.start(at(phone, address="::1", port=port, rtcp_port=port), replace(OURS, address="::1"))
        async with asyncio.timeout(WAIT_S):
            packets = [parse(await heard.get()) for _ in range(3)]
        for octets in phone.press("6"):
            transport.sendto(octets, ("::1", owner.leg.port))

        assert await owner.key() == "6"
        assert owner.leg.counts.strangers == 0
        check_stream(packets)
    transport.close()


async def test_what_the_peer_loses_on_its_way_is_counted(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    owner.leg.start(at(phone), OURS)

    phone.speaks(owner.leg.port)
    phone.sequence += 3
    phone.speaks(owner.leg.port)
    await until(phone, lambda: owner.leg.counts.received == 2)
    phone.ssrc += 1
    phone.speaks(owner.leg.port)
    await until(phone, lambda: owner.leg.counts.received == 3)

    counts = owner.leg.counts
    assert (counts.received, counts.lost, counts.junk, counts.unsent) == (3, 3, 0, 0)


async def test_farewell_says_what_was_sent(media: Media, phone: RtpPhone) -> None:
    owner = Owner(media)
    owner.leg.start(at(phone), OURS)
    await phone.hears(5)

    sent = owner.leg.counts.sent
    owner.leg.close()
    owner.leg.close()

    report, name, bye = read_compound(await phone.reads_report())
    ssrc = phone.packets[0].ssrc
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (ssrc, sent, 160 * sent)
    assert isinstance(name, SourceDescription)
    assert len(name.cname) == 24
    assert bye == Bye(ssrcs=(ssrc,))
    assert len(phone.reports) == 1


async def test_reports_go_both_ways(phone: RtpPhone) -> None:
    # With no randomness the first report is due after half of the usual time.
    async with Media("127.0.0.1", PORTS, entropy=bytes, unix_s=lambda: 1_000_000.0) as media:
        owner = Owner(media)
        owner.leg.start(at(phone), OURS)
        phone.speaks(owner.leg.port)
        phone.sends_report(
            bytes.fromhex("80c80006 00ca11ee 0000000100020000 00000000 00000001 000000a0"), owner.leg.port
        )
        ours, _ = read_compound(await phone.reads_report())
        assert isinstance(ours, SenderReport)
        (block,) = ours.blocks
        assert block == ReportBlock(
            ssrc=phone.ssrc,
            fraction_lost=0,
            lost=0,
            highest=1_000,
            jitter=0,
            last_report=0x10002,
            delay=block.delay,
        )
        assert block.delay > 0

        # 3 of 4 lost, 12 in all, 80 samples of jitter; heard at once and answered half a second later.
        last = ours.ntp >> 16 & 0xFFFF_FFFF
        body = struct.pack(
            ">IIIIIIII", 0x81C9_0007, phone.ssrc, ours.ssrc, 192 << 24 | 12, 0, 80, last - 0x10000, 0x8000
        )
        phone.sends_report(body, owner.leg.port)
        await until(phone, lambda: owner.leg.counts.at_callee is not None)

        at_callee = owner.leg.counts.at_callee
        assert at_callee is not None
        assert (at_callee.lost, at_callee.fraction_lost, at_callee.jitter_ms) == (12, 0.75, 10.0)
        assert at_callee.round_trip_ms == 500.0


@pytest.mark.parametrize(
    ("suite", "profile"),
    [
        (Suite.AES_CM_128_HMAC_SHA1_80, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
        (Suite.AES_CM_128_HMAC_SHA1_32, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
    ],
)
async def test_encrypted_call_speaks_and_hears_keys(
    media: Media, phone: RtpPhone, suite: Suite, profile: int
) -> None:
    our_key, their_key, said = os.urandom(30), os.urandom(30), frames(10)
    opens = Session(Policy(key=our_key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
    seals = Session(Policy(key=their_key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    ours = replace(OURS, cryptos=(Crypto(tag=1, suite=suite, key=our_key),))
    owner = Owner(media)

    owner.leg.start(at(phone, crypto=Crypto(tag=1, suite=suite, key=their_key)), ours)
    owner.leg.speak(source(said))
    await phone.hears(10)
    phone.presses("3", owner.leg.port)
    sealed = [seals.protect(octets) for octets in phone.press("8")]
    for octets in [*sealed, *sealed]:
        phone.sends(octets, owner.leg.port)

    assert await owner.key() == "8"
    # Six without the key, and six that were heard before.
    await until(phone, lambda: owner.leg.counts.junk == 12)
    assert owner.keys.empty()
    packets = [parse(opens.unprotect(octets)) for octets in phone.datagrams]
    check_stream(packets)
    assert [packet.payload for packet in packets[:10]] == said
    assert said[0][:20] not in b"".join(phone.datagrams)

    owner.leg.close()
    report, _, bye = read_compound(opens.unprotect_rtcp(await phone.reads_report()))
    assert report.ssrc == packets[0].ssrc
    assert bye == Bye(ssrcs=(report.ssrc,))


async def test_encrypted_call_is_held_and_resumed_with_the_same_keys(media: Media, phone: RtpPhone) -> None:
    keys = new_keys(os.urandom)
    theirs = Crypto(tag=1, suite=keys[0].suite, key=os.urandom(30))
    opens = Session(Policy(key=keys[0].key, ssrc_type=Policy.SSRC_ANY_INBOUND))
    seals = Session(Policy(key=theirs.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    ours, owner = replace(OURS, cryptos=keys), Owner(media)
    owner.leg.start(at(phone, crypto=theirs), ours)
    await phone.hears(3)

    owner.leg.change(at(phone, crypto=theirs, direction=Direction.INACTIVE), ours)
    for octets in phone.press("1"):
        phone.sends(seals.protect(octets), owner.leg.port)
    assert await owner.key() == "1"
    owner.leg.change(at(phone, crypto=theirs), ours)
    await phone.hears_more(3)

    packets = [parse(opens.unprotect(octets)) for octets in phone.datagrams]
    assert [packet.sequence - packets[0].sequence for packet in packets] == list(range(len(packets)))
    assert owner.leg.counts.junk == 0


async def test_defect_of_one_call_leaves_the_others_speaking(
    media: Media, phone: RtpPhone, caplog: pytest.LogCaptureFixture
) -> None:
    # Five calls, so that two of them share a quarter of the ticker.
    async with RtpPhone() as other:
        broken = [Owner(media) for _ in range(4)]
        for owner in broken:
            owner.leg.start(at(other), OURS)
            owner.leg.speak(lambda: b"too short")
        well = Owner(media)
        well.leg.start(at(phone), OURS)

        for owner in broken:
            await owner.end()
        check_stream(await phone.hears_more(3))

    assert [owner.ends for owner in broken] == [1] * 4
    assert caplog.messages == ["the sound of a call failed"] * 4


async def test_ports_run_out_and_come_back() -> None:
    async with RtpPhone() as taken:
        async with Media("127.0.0.1", range(taken.port - 1, taken.port + 2)) as media:
            with pytest.raises(Overloaded, match="1 pairs"):
                Owner(media)
        port = taken.port
    async with Media("127.0.0.1", range(port, port + 2)) as media:
        first = Owner(media)
        with pytest.raises(Overloaded):
            Owner(media)
        first.leg.close()

        assert Owner(media).leg.port == port


def test_range_without_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair"):
        Media("127.0.0.1", range(20_001, 20_003))
