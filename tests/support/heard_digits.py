"""A matched filter: finds which clips of a pack a recording holds, and where, in any language.

The recording is correlated with every clip; a hit is alike to 0.8 of what a perfect copy would be. Two clips
cannot sound at once, so of hits that overlap the better one is kept.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from dastak.voice.sound.g711 import ulaw_to_pcm

ALIKE_MIN = 0.8
Samples = NDArray[np.float64]


def samples(ulaw: bytes) -> Samples:
    """Turn telephone octets into samples from -1 to 1."""
    return np.frombuffer(ulaw_to_pcm(ulaw), dtype="<i2").astype(np.float64) / 32768


def heard(
    recording: Samples, clips: Mapping[str, bytes], names: Iterable[str], *, alike_min: float = ALIKE_MIN
) -> str:
    """Return the names of the clips that the recording holds, one after the other.

    Args:
        recording: What was heard.
        clips: The recordings of a pack.
        names: Of the clips that are listened for.
        alike_min: How alike a hit is at least; what lost packets took from a clip makes it less so.
    """
    hits = [
        (alike, place, length, name)
        for name in names
        for alike, place, length in _hits(recording, _sounding(samples(clips[name])), alike_min)
    ]
    kept: list[tuple[int, int, str]] = []
    for _, place, length, name in sorted(hits, reverse=True):
        if all(place + length <= at or at + taken <= place for at, taken, _ in kept):
            kept.append((place, length, name))
    return "".join(name for _, _, name in sorted(kept))


def _hits(recording: Samples, clip: Samples, alike_min: float) -> list[tuple[float, int, int]]:
    """Return how alike the best places are, where they are, and how long the clip is."""
    if len(clip) > len(recording):
        return []
    size = 1 << (len(recording) + len(clip)).bit_length()
    spectrum = np.fft.rfft(recording, size) * np.conj(np.fft.rfft(clip, size))
    product = np.fft.irfft(spectrum, size)[: len(recording) - len(clip) + 1]
    energy = np.concatenate([[0.0], np.cumsum(recording**2)])
    window = np.sqrt(np.maximum(energy[len(clip) :] - energy[: -len(clip)], 1e-6))
    alike = product / (window * np.sqrt(np.sum(clip**2)))
    hits = []
    while (best := int(np.argmax(alike))) >= 0 and alike[best] >= alike_min:
        hits.append((float(alike[best]), best, len(clip)))
        alike[max(0, best - len(clip) + 1) : best + len(clip)] = 0
    return hits


def _sounding(clip: Samples) -> Samples:
    """Leave out what was padded to a whole frame: it is the same in every clip."""
    return clip[: int(np.flatnonzero(clip)[-1]) + 1]
