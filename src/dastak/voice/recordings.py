"""A customer's own recordings of the prompts: WAV files in, telephone frames out.

1. `FOLDER/LANGUAGE/NAME.wav`, as `packs/*.toml` and the docs name languages and clips; any part of a language
   may be there. 16 bits, one channel, 8, 16, 24 or 48 kHz.
2. What is wrong is told with the file and what to change; nothing is skipped in silence.
3. Plain Python: it runs once at a start, and needs no program of the machine.
"""

import math
import struct
from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import mul
from pathlib import Path
from typing import Final

from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.sound.g711 import FRAME_OCTETS, SAMPLES_PER_S, SILENT_FRAME, pcm_to_ulaw

# How many samples become one of the telephone's 8,000 a second.
DECIMATIONS: Final = {8_000: 1, 16_000: 2, 24_000: 3, 48_000: 6}
RECORDING_S_MAX: Final = 15
# The longest recording at the highest rate, and room for what else a WAV file may say.
FILE_OCTETS_MAX: Final = RECORDING_S_MAX * 48_000 * 2 + 65_536
# Quieter than this at its loudest is a microphone that was off: 1 % of full scale.
PEAK_MIN: Final = 328
# What counts as silence at both ends, of the loudest sample.
SILENT_SHARE: Final = 0.01
# Kept around what was trimmed, so that no soft beginning is cut off.
MARGIN_S: Final = 0.02
# -3 dB: as loud as the shipped packs.
PEAK: Final = 23_197
# Half the telephone's rate less its guard band.
BAND_HZ: Final = 3_400
# Of the low-pass, for each sample of the decimation: under a Blackman window 16 are 60 dB down above 4.1 kHz.
TAPS_A_SIDE: Final = 16

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE


def read_recordings(folder: Path) -> Mapping[str, Mapping[str, bytes]]:
    """Read a folder with a folder for each language.

    Returns:
        For each language the clips by name, each whole frames of G.711 u-law.

    Raises:
        ValueError: A folder or file has a name that nothing uses, or a file is no recording that can be used.
        OSError: Something cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    languages = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    return {entry.name: _language(entry) for entry in languages}


def telephone(wav: bytes) -> bytes:
    """Turn a WAV file into whole frames of G.711 u-law: trimmed, band-limited, as loud as the shipped packs.

    Raises:
        ValueError: It is no WAV file of the kinds that are taken, too long, or silent; told in words.

    Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0, chapter 3.
    """
    rate, samples = _samples(wav)
    if len(samples) > RECORDING_S_MAX * rate:
        raise ValueError(f"it is longer than {RECORDING_S_MAX} s")
    narrow = (
        _decimated(samples, DECIMATIONS[rate]) if DECIMATIONS[rate] > 1 else [float(it) for it in samples]
    )
    mean = sum(narrow) / max(1, len(narrow))
    narrow = _trimmed([sample - mean for sample in narrow])
    loudest = max(map(abs, narrow), default=0.0)
    scaled = array("h", (round(sample * PEAK / loudest) for sample in narrow))
    frames = pcm_to_ulaw(struct.pack(f"<{len(scaled)}h", *scaled))
    return frames + SILENT_FRAME[: -len(frames) % FRAME_OCTETS]


def _language(folder: Path) -> Mapping[str, bytes]:
    if folder.name not in all_words() or not folder.is_dir():
        raise ValueError(f"{folder} is no folder of a language: {', '.join(all_words())}")
    clips = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        if file.suffix != ".wav" or file.stem not in CLIPS:
            raise ValueError(
                f"{file}: nothing uses it; a recording is NAME.wav, NAME one of {', '.join(CLIPS)}"
            )
        if file.stat().st_size > FILE_OCTETS_MAX:
            raise ValueError(f"{file}: it is larger than {FILE_OCTETS_MAX} octets")
        try:
            clips[file.stem] = telephone(file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return clips


def _samples(wav: bytes) -> tuple[int, Sequence[int]]:
    """Return the rate and the samples of a WAV file."""
    if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        raise ValueError("it is no WAV file")
    form, at = b"", 12
    while at + 8 <= len(wav):
        name, octets = struct.unpack_from("<4sI", wav, at)
        body = wav[at + 8 : at + 8 + octets]
        if len(body) < octets:
            raise ValueError("it ends before it is complete")
        if name == b"fmt ":
            form = body
        if name == b"data":
            return _rate(form), struct.unpack(f"<{octets // 2}h", body[: octets // 2 * 2])
        at += 8 + octets + octets % 2  # a chunk of an odd length is padded
    raise ValueError("it has no sound in it")


def _rate(form: bytes) -> int:
    """Return the samples a second that the format chunk tells, if it is a format that is taken."""
    if len(form) < 16:
        raise ValueError("it does not say its format before its sound")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    if tag != _PCM or bits != 16:
        raise ValueError("it is not 16-bit PCM; save it as such")
    if channels != 1:
        raise ValueError(f"it has {channels} channels; mix it down to one")
    if rate not in DECIMATIONS:
        raise ValueError(f"it has {rate} samples a second; take one of {', '.join(map(str, DECIMATIONS))}")
    return int(rate)


def _decimated(samples: Sequence[int], step: int) -> list[float]:
    """Take every `step`-th sample after a low-pass: a sinc under a Blackman window."""
    side = TAPS_A_SIDE * step
    cutoff = BAND_HZ / (SAMPLES_PER_S * step)
    taps = [_sinc(2 * cutoff * place) * _blackman(place, side) for place in range(-side, side + 1)]
    total = sum(taps)
    taps = [tap / total for tap in taps]
    padded = [*repeat(0, side), *samples, *repeat(0, side)]
    return [sum(map(mul, padded[at : at + 2 * side + 1], taps)) for at in range(0, len(samples), step)]


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _blackman(place: int, side: int) -> float:
    phase = math.pi * place / side
    return 0.42 + 0.5 * math.cos(phase) + 0.08 * math.cos(2 * phase)


def _trimmed(samples: list[float]) -> list[float]:
    loudest = max(map(abs, samples), default=0.0)
    if loudest < PEAK_MIN:
        raise ValueError("it is silent, or nearly so")
    heard = [place for place, sample in enumerate(samples) if abs(sample) >= loudest * SILENT_SHARE]
    margin = round(MARGIN_S * SAMPLES_PER_S)
    return samples[max(0, heard[0] - margin) : heard[-1] + margin]
