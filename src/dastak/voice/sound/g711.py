"""Sound as telephones send it: mu-law, A-law and 16-bit samples, each turned into the other by a table.

A call needs no arithmetic: prompts are kept as mu-law frames, and one table makes A-law of them. Linear
samples are for people's recordings and for the phone in the browser.
Source: ITU-T G.711.
"""

import sys
from array import array
from typing import Final

SAMPLES_PER_S: Final = 8_000
FRAME_MS: Final = 20
FRAME_OCTETS: Final = 160
assert FRAME_OCTETS == SAMPLES_PER_S * FRAME_MS // 1_000

# One sign, eight segments of sixteen steps; every other bit of A-law is inverted on the line.
_SIGN: Final = 0x80
_STEP_MASK: Final = 0x0F
_ULAW_INVERTED: Final = 0xFF
_ALAW_INVERTED: Final = 0x55
# Mu-law counts in 14 bits, A-law in 13, both from the top of 16.
_ULAW_SHIFT: Final = 2
_ALAW_SHIFT: Final = 3
_ULAW_BIAS: Final = 33
_ULAW_MAGNITUDE_MAX: Final = 8_158
_ALAW_MAGNITUDE_MAX: Final = 4_095


def ulaw_to_alaw(octets: bytes) -> bytes:
    """Turn mu-law octets into the A-law octets that sound nearest."""
    return octets.translate(_ALAW_OF_ULAW)


def alaw_to_ulaw(octets: bytes) -> bytes:
    """Turn A-law octets into the mu-law octets that sound nearest."""
    return octets.translate(_ULAW_OF_ALAW)


def ulaw_to_pcm(octets: bytes) -> bytes:
    """Turn mu-law octets into signed 16-bit samples, little end first as WAV files have them."""
    return _little_endian(array("h", map(_SAMPLE_OF_ULAW.__getitem__, octets)))


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """Turn signed 16-bit samples, little end first, into mu-law octets.

    Raises:
        ValueError: There is half a sample too many.
    """
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} octets are no whole number of 16-bit samples")
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(_ulaw_of, samples))


def _little_endian(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _ulaw_of(sample: int) -> int:
    sign = _SIGN if sample < 0 else 0
    magnitude = sample >> _ULAW_SHIFT
    biased = min(-magnitude if sign else magnitude, _ULAW_MAGNITUDE_MAX) + _ULAW_BIAS
    # The bias makes the first segment begin at 32, so the leading bit names the segment.
    segment = biased.bit_length() - 6
    return (sign | segment << 4 | biased >> segment + 1 & _STEP_MASK) ^ _ULAW_INVERTED


def _sample_of_ulaw(octet: int) -> int:
    plain = octet ^ _ULAW_INVERTED
    segment, step = plain >> 4 & 7, plain & _STEP_MASK
    magnitude = ((2 * step + _ULAW_BIAS) << segment) - _ULAW_BIAS << _ULAW_SHIFT
    return -magnitude if plain & _SIGN else magnitude


def _alaw_of(sample: int) -> int:
    magnitude = sample >> _ALAW_SHIFT
    sign = 0 if sample < 0 else _SIGN
    magnitude = min(magnitude if sign else -magnitude - 1, _ALAW_MAGNITUDE_MAX)
    # The first two segments have steps of one size.
    segment = max(0, magnitude.bit_length() - 5)
    return (sign | segment << 4 | magnitude >> max(1, segment) & _STEP_MASK) ^ _ALAW_INVERTED


def _sample_of_alaw(octet: int) -> int:
    plain = octet ^ _ALAW_INVERTED
    segment, step = plain >> 4 & 7, plain & _STEP_MASK
    magnitude = 2 * step + 1 if segment == 0 else 2 * step + _ULAW_BIAS << segment - 1
    return (magnitude if plain & _SIGN else -magnitude) << _ALAW_SHIFT


_SAMPLE_OF_ULAW: Final = tuple(map(_sample_of_ulaw, range(256)))
_ALAW_OF_ULAW: Final = bytes(map(_alaw_of, _SAMPLE_OF_ULAW))
_ULAW_OF_ALAW: Final = bytes(_ulaw_of(_sample_of_alaw(octet)) for octet in range(256))

ULAW_SILENCE: Final = _ulaw_of(0)
ALAW_SILENCE: Final = _alaw_of(0)
assert (ULAW_SILENCE, ALAW_SILENCE) == (0xFF, 0xD5)
# What is sent from the answer on, until there is something to say.
SILENT_FRAME: Final = bytes([ULAW_SILENCE]) * FRAME_OCTETS
