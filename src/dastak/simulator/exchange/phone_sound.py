"""The sound of one virtual phone: RTP out every 20 ms, keys included, and what comes in.

1. From its start until its end a packet goes every 20 ms, silent if there is nothing to say; while the peer
   holds, none.
2. A key is packets of one timestamp for as long as it is pressed, and its end thrice (RFC 4733).
3. Who sends first is heard, and nobody else until the peer describes itself anew.
4. What the fault loses is lost after it was sent or before it was heard, by the call's own chance.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from dastak.simulator.call_faults import CallFault
from dastak.simulator.delays import hits
from dastak.simulator.exchange.playout import Playout
from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS, SILENT_FRAME, alaw_to_ulaw, ulaw_to_alaw
from dastak.voice.sound.media_ports import MediaPorts
from dastak.voice.sound.rtp import MalformedRtp, RtpPacket, read_rtp, write_rtp
from dastak.voice.sound.sdp import TELEPHONE_EVENT, Audio, Codec
from dastak.voice.sound.telephone_event import (
    KEYS,
    KeyPresses,
    MalformedEvent,
    TelephoneEvent,
    read_event,
    read_info,
    write_event,
)

FRAME_S: Final = FRAME_MS / 1_000
# After more than this of standstill time starts afresh.
LATE_S_MAX: Final = 0.2
KEY_FRAMES: Final = 5
ENDS: Final = 3
VOLUME: Final = 10
KEYS_WAITING_MAX: Final = 64
_DATAGRAM_OCTETS_MAX: Final = 2_048
_16_BITS: Final = 0xFFFF
_32_BITS: Final = 0xFFFF_FFFF


class PhoneSound:
    """One phone's pair of ports.

    Args:
        ports: Where pairs are taken from.
        fault: What gets lost.
        seed: Of what gets lost, and of the numbers that the stream begins with.
        on_sound: Hears what is new, in µ-law.
        on_key: Hears each key that who called presses.

    Raises:
        Overloaded: Every port is in use.
    """

    def __init__(
        self,
        ports: MediaPorts,
        fault: CallFault,
        seed: int,
        *,
        on_sound: Callable[[bytes], None],
        on_key: Callable[[str], None],
    ) -> None:
        self._pair = ports.bind()
        self.port = self._pair.port
        self.playout = Playout()
        self._fault = fault
        # Apart, so that what comes in, and when, does not change what is lost on the way out.
        self._chance_in, self._chance_out = Random(seed), Random(seed + 1)  # noqa: S311 - repeatable on purpose
        self._on_sound, self._on_key = on_sound, on_key
        self._loop = asyncio.get_running_loop()
        self._presses = KeyPresses()
        self._audio: Audio | None = None
        self._source: tuple[str, int] | None = None
        self._frames: Iterator[bytes] = iter(())
        self._keys: deque[str] = deque(maxlen=KEYS_WAITING_MAX)
        self._pressing: Iterator[RtpPacket] = iter(())
        self._sequence = self._chance_out.getrandbits(15)
        self._timestamp, self._ssrc = self._chance_out.getrandbits(32), self._chance_out.getrandbits(32)
        self._marker = True
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._closed = False
        self._loop.add_reader(self._pair.rtp, self._read)

    def start(self, audio: Audio) -> None:
        """Send to the peer from now on; again, where the peer is somewhere else or holds."""
        self._audio, self._source = audio, None
        if self._timer is None and not self._closed:
            self._due_s = self._loop.time()
            self._tick()

    def play(self, frames: Iterator[bytes]) -> None:
        """Send these frames of µ-law, and silence after them."""
        self._frames = frames

    def press(self, key: str) -> None:
        """Press a key, after those that are still pressed."""
        self._keys.append(key)

    def hear_info(self, body: bytes) -> None:
        """Take the body of a SIP INFO, which may tell of a key."""
        key = read_info(body)
        if key is not None and (key := self._presses.hear_info(key, at_s=self._loop.time())) is not None:
            self._on_key(key)

    def close(self) -> None:
        """Give the ports back; twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._pair.rtp)
        if self._timer is not None:
            self._timer.cancel()
        self._pair.close()

    def _tick(self) -> None:
        now_s = self._loop.time()
        self._due_s = now_s + FRAME_S if now_s - self._due_s > LATE_S_MAX else self._due_s + FRAME_S
        self._timer = self._loop.call_at(self._due_s, self._tick)
        assert self._audio is not None
        frame = next(self._frames, SILENT_FRAME)
        if self._audio.held:
            self._marker = True
        else:
            for packet in self._due(frame, self._audio):
                self._send(packet, self._audio)
        self._timestamp = (self._timestamp + FRAME_OCTETS) & _32_BITS

    def _due(self, frame: bytes, audio: Audio) -> list[RtpPacket]:
        """Return the packets of these 20 ms: sound, or what there is of a key."""
        event = next(self._pressing, None)
        if event is None and self._keys and audio.telephone_event is not None:
            self._pressing = self._press(self._keys.popleft(), audio.telephone_event)
            event = next(self._pressing)
        if event is not None:
            last = event.payload[1] & 0x80
            return [event, *(self._pressing if last else ())]
        payload = ulaw_to_alaw(frame) if audio.codec is Codec.PCMA else frame
        marker, self._marker = self._marker, False
        return [self._packet(audio.payload_type, self._timestamp, payload, marker=marker)]

    def _press(self, key: str, payload_type: int) -> Iterator[RtpPacket]:
        began = self._timestamp
        for n in range(KEY_FRAMES + ENDS - 1):
            event = TelephoneEvent(
                event=KEYS.index(key),
                end=n >= KEY_FRAMES - 1,
                volume=VOLUME,
                duration=min(n + 1, KEY_FRAMES) * FRAME_OCTETS,
            )
            yield self._packet(payload_type, began, write_event(event), marker=n == 0)
        self._marker = True

    def _packet(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> RtpPacket:
        self._sequence = (self._sequence + 1) & _16_BITS
        return RtpPacket(payload_type, self._sequence, timestamp, self._ssrc, payload, marker)

    def _send(self, packet: RtpPacket, audio: Audio) -> None:
        if hits(self._fault.loss_from_phone, self._chance_out):
            return
        try:
            self._pair.rtp.sendto(write_rtp(packet), (audio.address, audio.port))
        except OSError:
            # A full buffer, or a peer that is gone: sound is not worth sending later.
            return

    def _read(self) -> None:
        try:
            octets, source = self._pair.rtp.recvfrom(_DATAGRAM_OCTETS_MAX)
            packet = read_rtp(octets)
        except (OSError, MalformedRtp):
            return
        audio = self._audio
        if audio is None or not self._is_peer(source) or hits(self._fault.loss_to_phone, self._chance_in):
            return
        if packet.payload_type in {audio.telephone_event, TELEPHONE_EVENT}:
            self._hear_event(packet)
        elif packet.payload_type == audio.payload_type:
            ulaw = alaw_to_ulaw(packet.payload) if audio.codec is Codec.PCMA else packet.payload
            self._on_sound(self.playout.hear(packet.ssrc, packet.timestamp, ulaw))

    def _is_peer(self, source: tuple[str, int]) -> bool:
        """Hear whoever sent first: peers say one address, and send from another."""
        self._source = self._source or source
        return source == self._source

    def _hear_event(self, packet: RtpPacket) -> None:
        try:
            event = read_event(packet.payload)
        except MalformedEvent:
            return
        key = self._presses.hear_rtp(event, timestamp=packet.timestamp, at_s=self._loop.time())
        if key is not None:
            self._on_key(key)
