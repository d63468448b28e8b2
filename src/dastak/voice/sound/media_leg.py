"""The sound of one call: what is sent every 20 ms, what is heard, and what is counted of both.

1. From the answer to the end a packet goes every 20 ms, silent if there is nothing to say: it opens NATs and
   keeps the peer's time-outs quiet. Nothing goes while the peer holds, but time runs on.
2. Sound goes to whom the latch says. Packets from anywhere else are counted and change nothing.
3. What is heard is not listened to, but for keys.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS, SAMPLES_PER_S, SILENT_FRAME, ulaw_to_alaw
from dastak.voice.sound.latch import Latch
from dastak.voice.sound.media_ports import Pair
from dastak.voice.sound.reception import Reception
from dastak.voice.sound.rtcp import (
    RTCP_OCTETS_MAX,
    MalformedRtcp,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    middle_of,
    ntp_of,
    read_compound,
    round_trip_s,
    write_compound,
)
from dastak.voice.sound.rtp import START_OCTETS, MalformedRtp, RtpPacket, RtpSender, read_rtp
from dastak.voice.sound.sdp import PAYLOAD_TYPES, TELEPHONE_EVENT, Audio, Codec, Ours, our_key
from dastak.voice.sound.srtp import SRTP_EXTRA_OCTETS_MAX, RejectedSrtp, Srtp
from dastak.voice.sound.telephone_event import KeyPresses, MalformedEvent, read_event, read_info

Frame: TypeAlias = Callable[[], bytes | None]

# More than any packet of 20 ms; what is longer is cut, and then refused.
_DATAGRAM_OCTETS_MAX: Final = RTCP_OCTETS_MAX + SRTP_EXTRA_OCTETS_MAX
# Reports go every 5 s, each 0.5 to 1.5 times that, so that calls do not report in step (RFC 3550, 6.2).
_REPORT_TICKS: Final = 5_000 // FRAME_MS
_CNAME_OCTETS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AtCallee:
    """How our sound arrives, as the callee's last report says.

    Attributes:
        lost: Packets, since the beginning.
        fraction_lost: Since the report before, 0 to 1.
        round_trip_ms: None until a report answers one of ours.
    """

    lost: int
    fraction_lost: float
    jitter_ms: float
    round_trip_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCounts:
    """Packets of one call.

    Attributes:
        sent: Handed to the network.
        unsent: That it did not take.
        received: Of the peer.
        lost: Of the peer's that never came.
        strangers: From another address than the peer's.
        junk: That are no RTP or RTCP, or not of who has the key.
        at_callee: None until a report came.
    """

    sent: int
    unsent: int
    received: int
    lost: int
    strangers: int
    junk: int
    at_callee: AtCallee | None


class MediaLeg:
    """One call. `Media` makes it and calls `tick` every 20 ms from `start` on.

    Args:
        pair: Its sockets; the leg closes them.
        entropy: Gives random octets.
        unix_s: The wall's time; peers compare reports by it.
        on_start: Called when the leg wants to be ticked.
        on_close: Called when it does not any more.
        on_key: Hears each key that is pressed, once.
        on_end: Called when the source of sound has no more.
        symmetric: Whether to follow the peer to where it sends from; needless where no NAT is in between.
    """

    def __init__(
        self,
        pair: Pair,
        *,
        entropy: Callable[[int], bytes],
        unix_s: Callable[[], float],
        on_start: Callable[["MediaLeg"], None],
        on_close: Callable[["MediaLeg"], None],
        on_key: Callable[[str], None],
        on_end: Callable[[], None],
        symmetric: bool,
    ) -> None:
        self.port = pair.port
        self._loop = asyncio.get_running_loop()
        self._pair = pair
        self._entropy = entropy
        self._unix_s = unix_s
        self._on_start = on_start
        self._on_close = on_close
        self._on_key = on_key
        self._on_end = on_end
        self._symmetric = symmetric
        self._latch = Latch(symmetric=symmetric)
        self._cname = entropy(_CNAME_OCTETS).hex().encode()
        self._sender = RtpSender(
            payload_type=PAYLOAD_TYPES[Codec.PCMU], start=entropy(START_OCTETS), frame_samples=FRAME_OCTETS
        )
        self._presses = KeyPresses()
        self._audio: Audio | None = None
        self._held = False
        self._alaw = False
        self._srtp: Srtp | None = None
        self._frame: Frame | None = None
        self._rtcp_remote: Any = None
        self._ticks_to_report = 0
        self._reception: Reception | None = None
        self._received_earlier = self._lost_earlier = 0
        self._heard_report: tuple[int, float] | None = None
        self._at_callee: AtCallee | None = None
        self._unsent = self._strangers = self._junk = 0
        self._closed = False
        self._loop.add_reader(pair.rtp, self._read, pair.rtp, self._hear)
        self._loop.add_reader(pair.rtcp, self._read, pair.rtcp, self._hear_report)

    @property
    def counts(self) -> MediaCounts:
        """What was counted until now."""
        heard = self._reception
        return MediaCounts(
            sent=self._sender.packets - self._unsent,
            unsent=self._unsent,
            received=self._received_earlier + (heard.received if heard else 0),
            lost=self._lost_earlier + (heard.lost if heard else 0),
            strangers=self._strangers,
            junk=self._junk,
            at_callee=self._at_callee,
        )

    def start(self, audio: Audio, ours: Ours) -> None:
        """Send to the peer from now on: the call is answered.

        Raises:
            UnusableSdp: The peer's key is for none of ours.
            ImportError: The call is encrypted and the extra `voice-srtp` is not installed.
        """
        assert self._audio is None, "a call is answered once"
        self.change(audio, ours)
        self._ticks_to_report = self._report_ticks()
        self._on_start(self)

    def change(self, audio: Audio, ours: Ours) -> None:
        """Follow what a re-INVITE says: another address, codec or key, hold, or the end of a hold.

        Raises:
            UnusableSdp, ImportError: As `start`.
        """
        before = self._audio
        if audio.crypto is not None and (before is None or before.crypto != audio.crypto):
            self._srtp = Srtp.of(audio.crypto, our_key(ours, audio.crypto))
        if self._latch.describe(audio.address, audio.port):
            self._rtcp_remote = (audio.address, audio.rtcp_port)
        self._audio = audio
        self._held = audio.held
        self._alaw = audio.codec is Codec.PCMA
        self._sender.payload_type = audio.payload_type

    def speak(self, frame: Frame) -> None:
        """Send what this gives, 160 octets of mu-law at a time, until it gives None."""
        self._frame = frame

    def hear_info(self, body: bytes) -> None:
        """Take the body of a SIP INFO: perhaps a key, and perhaps one that came by RTP as well."""
        key = read_info(body)
        if key is not None:
            key = self._presses.hear_info(key, at_s=self._loop.time())
        if key is not None:
            self._on_key(key)

    def tick(self) -> None:
        """Send what is due now."""
        self._ticks_to_report -= 1
        if self._ticks_to_report <= 0:
            self._ticks_to_report = self._report_ticks()
            self._report()
        if self._held:
            self._sender.pause()
            return
        payload = self._next_frame()
        packet = self._sender.packet(ulaw_to_alaw(payload) if self._alaw else payload)
        if self._srtp is not None:
            packet = self._srtp.protect(packet)
        try:
            self._pair.rtp.sendto(packet, self._latch.remote)
        except OSError:
            # A full buffer or a network that is down: sound is not worth sending later.
            self._unsent += 1

    def close(self) -> None:
        """Say farewell and give the ports back; twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        self._loop.remove_reader(self._pair.rtp)
        self._loop.remove_reader(self._pair.rtcp)
        if self._audio is not None:
            self._report(leaving=True)
        self._pair.close()

    def fail(self) -> None:
        """Give up after a defect: no more sound, and `on_end` lets the owner hang up."""
        self._loop.call_soon(self._on_end)
        self.close()

    def _next_frame(self) -> bytes:
        if self._frame is None:
            return SILENT_FRAME
        payload = self._frame()
        if payload is None:
            self._frame = None
            self._loop.call_soon(self._on_end)
            return SILENT_FRAME
        assert len(payload) == FRAME_OCTETS
        return payload

    def _read(self, ours: socket.socket, hear: Callable[[bytes, Any], None]) -> None:
        # One at a time: mostly there is no second, and if there is we are woken again.
        try:
            octets, source = ours.recvfrom(_DATAGRAM_OCTETS_MAX + 1)
        except OSError:
            return
        if self._audio is not None:
            hear(octets, source)

    def _hear(self, octets: bytes, source: Any) -> None:
        try:
            packet = read_rtp(octets if self._srtp is None else self._srtp.unprotect(octets))
        except (MalformedRtp, RejectedSrtp):
            self._junk += 1
            return
        if not self._is_peer(packet, source):
            self._strangers += 1
            return
        now_s = self._loop.time()
        self._count(packet, int(now_s * SAMPLES_PER_S))
        if packet.payload_type in self._event_types():
            try:
                event = read_event(packet.payload)
            except MalformedEvent:
                self._junk += 1
                return
            key = self._presses.hear_rtp(event, timestamp=packet.timestamp, at_s=now_s)
            if key is not None:
                self._on_key(key)

    def _is_peer(self, packet: RtpPacket, source: Any) -> bool:
        went_to = self._latch.remote
        if source[:2] != went_to[:2] and packet.payload_type not in {
            *PAYLOAD_TYPES.values(),
            *self._event_types(),
        }:
            return False
        if not self._latch.hears(packet, source, keyed=self._srtp is not None):
            return False
        if self._latch.remote[:2] != went_to[:2]:
            assert self._audio is not None
            described = source[:2] == (self._audio.address, self._audio.port)
            # Which port a NAT gave to the reports they alone can tell; until then the next one is a guess.
            self._rtcp_remote = (source[0], self._audio.rtcp_port if described else source[1] + 1)
        return True

    def _event_types(self) -> tuple[int | None, int]:
        # The number that we gave is the right one; many peers send with their own.
        return (self._audio.telephone_event if self._audio else None, TELEPHONE_EVENT)

    def _count(self, packet: RtpPacket, arrival: int) -> None:
        heard = self._reception
        if heard is None or heard.ssrc != packet.ssrc:
            if heard is not None:
                self._received_earlier += heard.received
                self._lost_earlier += heard.lost
            heard = self._reception = Reception(packet.ssrc, packet.sequence)
        heard.hear(packet.sequence, packet.timestamp, arrival)

    def _hear_report(self, octets: bytes, source: Any) -> None:
        if source[0] != self._latch.remote[0]:
            self._strangers += 1
            return
        try:
            parts = read_compound(octets if self._srtp is None else self._srtp.unprotect_rtcp(octets))
        except (MalformedRtcp, RejectedSrtp):
            self._junk += 1
            return
        if self._symmetric:
            self._rtcp_remote = source
        for part in parts:
            if isinstance(part, SenderReport):
                self._heard_report = (middle_of(part.ntp), self._loop.time())
            if isinstance(part, SenderReport | ReceiverReport):
                for block in part.blocks:
                    if block.ssrc == self._sender.ssrc:
                        self._learn(block)

    def _learn(self, block: ReportBlock) -> None:
        took_s = round_trip_s(block, ntp=ntp_of(self._unix_s()))
        self._at_callee = AtCallee(
            lost=block.lost,
            fraction_lost=block.fraction_lost / 256,
            jitter_ms=block.jitter * 1_000 / SAMPLES_PER_S,
            round_trip_ms=None if took_s is None else took_s * 1_000,
        )

    def _report(self, *, leaving: bool = False) -> None:
        sender, blocks = self._sender, self._blocks()
        report: SenderReport | ReceiverReport = ReceiverReport(ssrc=sender.ssrc, blocks=blocks)
        if sender.packets:
            report = SenderReport(
                ssrc=sender.ssrc,
                ntp=ntp_of(self._unix_s()),
                timestamp=sender.timestamp,
                packets=sender.packets,
                octets=sender.octets,
                blocks=blocks,
            )
        octets = write_compound(report, self._cname, leaving=leaving)
        if self._srtp is not None:
            octets = self._srtp.protect_rtcp(octets)
        try:
            self._pair.rtcp.sendto(octets, self._rtcp_remote)
        except (OSError, OverflowError):
            # Reports are a courtesy; a port beyond the last is a guess of ours that went wrong.
            return

    def _blocks(self) -> tuple[ReportBlock, ...]:
        heard = self._reception
        if heard is None:
            return ()
        last_report, delay = 0, 0
        if self._heard_report is not None:
            last_report, heard_at_s = self._heard_report
            delay = int((self._loop.time() - heard_at_s) * 65_536)
        return (
            ReportBlock(
                ssrc=heard.ssrc,
                fraction_lost=heard.interval_fraction(),
                lost=heard.lost,
                highest=heard.highest,
                jitter=heard.jitter,
                last_report=last_report,
                delay=delay,
            ),
        )

    def _report_ticks(self) -> int:
        return _REPORT_TICKS // 2 + int.from_bytes(self._entropy(2), "big") % _REPORT_TICKS
