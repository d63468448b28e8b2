"""What an exchange and a voicemail let a caller hear: tones, as frames of G.711 µ-law.

Source: ITU-T E.180 for the ringing tone, as most of Europe has it.
"""

import math
import struct
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS, SAMPLES_PER_S, SILENT_FRAME, pcm_to_ulaw

_LOUD: Final = 8_000
_RING_HZ, _RING_S, _PAUSE_S = 425, 1.0, 4.0
_BEEP_HZ, _BEEP_S = 1_000, 0.5


def ringing_tone() -> Iterator[bytes]:
    """Return one second of tone and four of silence, without end."""
    return cycle([*_tone(_RING_HZ, _RING_S), *[SILENT_FRAME] * int(_PAUSE_S * 1_000 / FRAME_MS)])


def beep() -> Iterator[bytes]:
    """Return what comes before "leave a message"."""
    return iter(_tone(_BEEP_HZ, _BEEP_S))


def _tone(hz: int, seconds: float) -> list[bytes]:
    samples = (
        round(_LOUD * math.sin(2 * math.pi * hz * n / SAMPLES_PER_S))
        for n in range(int(seconds * SAMPLES_PER_S))
    )
    octets = pcm_to_ulaw(b"".join(struct.pack("<h", sample) for sample in samples))
    return [octets[at : at + FRAME_OCTETS] for at in range(0, len(octets), FRAME_OCTETS)]
