"""What a phone hears: RTP packets laid in their places by their timestamps, whatever order they come in.

What does not come is silence, as long as what is missing; what comes twice is there once.
"""

from typing import Final

from dastak.voice.sound.g711 import SAMPLES_PER_S, ULAW_SILENCE

HEARD_OCTETS_MAX: Final = 150 * SAMPLES_PER_S
# A stream that jumps by more than this is a new one, which goes on where the old one ended.
JUMP_SAMPLES_MAX: Final = 10 * SAMPLES_PER_S
_TIMESTAMPS: Final = 1 << 32
_SILENCE: Final = bytes([ULAW_SILENCE])


class Playout:
    """The sound of one call.

    Attributes:
        heard: From the first packet on, G.711 µ-law.
    """

    def __init__(self) -> None:
        self.heard = bytearray()
        self._ssrc: int | None = None
        self._begins = 0

    def hear(self, ssrc: int, timestamp: int, ulaw: bytes) -> bytes:
        """Take one packet, and return what is new at the end of what was heard."""
        end = len(self.heard)
        at = (timestamp - self._begins) % _TIMESTAMPS
        if at >= _TIMESTAMPS // 2:
            at -= _TIMESTAMPS
        if ssrc != self._ssrc or not -end <= at - end <= JUMP_SAMPLES_MAX:
            self._ssrc, self._begins, at = ssrc, (timestamp - end) % _TIMESTAMPS, end
        if at + len(ulaw) > HEARD_OCTETS_MAX:
            return b""
        if at > end:
            self.heard += _SILENCE * (at - end)
        self.heard[at : at + len(ulaw)] = ulaw
        return bytes(self.heard[end:])
