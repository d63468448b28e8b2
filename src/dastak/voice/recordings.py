"""A customer's own recordings of the prompts: WAV files in, telephone frames out.

1. `FOLDER/LANGUAGE/NAME.wav`, as `packs/*.toml` and the docs name languages and clips; any part of a language
   may be there. `FOLDER/brands/BRAND.wav` is a brand, in whatever language is spoken. 16 bits, one channel.
2. What is wrong is told with the file and what to change, and the rest is used; nothing is passed over in
   silence.
3. Plain Python: it runs at a start and when a file has changed, and needs no program of the machine.
"""

import math
import struct
import wave
from array import array
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import repeat
from operator import mul
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.sound.g711 import FRAME_OCTETS, SAMPLES_PER_S, SILENT_FRAME, pcm_to_ulaw, ulaw_to_pcm

BRANDS: Final = "brands"
# Samples a second that are taken; each becomes the telephone's 8,000.
RATES: Final = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
RECORDING_S_MAX: Final = 15
# Of all languages there are not nine hundred clips; the rest is room for brands.
FILES_MAX: Final = 5_000
# The longest recording at the highest rate, and room for what else a WAV file may say.
FILE_OCTETS_MAX: Final = RECORDING_S_MAX * 48_000 * 2 + 65_536
# Quieter than this at its loudest is a microphone that was off: 1 % of full scale.
PEAK_MIN: Final = 328
# A tenth of full scale: made so much louder, the noise of a room is heard.
QUIET: Final = 3_277
# At the very end of what 16 bits hold, and how many samples may be there by chance.
CLIPPED: Final = 32_766
CLIPPED_MAX: Final = 20
# The longest of the shipped clips take some eight.
LONG_S: Final = 9
# What counts as silence at both ends, of the loudest sample.
SILENT_SHARE: Final = 0.01
# Kept around what was trimmed, so that no soft beginning is cut off.
MARGIN_S: Final = 0.02
# -3 dB: as loud as the shipped packs.
PEAK: Final = 23_197
# Half the telephone's rate less its guard band.
BAND_HZ: Final = 3_400
# Of the low-pass, for each sample of the telephone: under a Blackman window 16 are 60 dB down above 4.1 kHz.
TAPS_A_SIDE: Final = 16

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE


class Recordings(NamedTuple):
    """What a folder holds.

    Attributes:
        clips: For each language the clips by name, each whole frames of G.711 u-law.
        brands: How each brand is spoken.
        faults: What cannot be used: the file, and what to change.
    """

    clips: Mapping[str, Mapping[str, bytes]] = MappingProxyType({})
    brands: Mapping[str, bytes] = MappingProxyType({})
    faults: tuple[str, ...] = ()


class RecordingsFolder:
    """A folder of recordings; a file that did not change is not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, int], bytes | str]] = {}

    def read(self) -> Recordings:
        """Read what is new, and return all of it."""
        clips: dict[str, dict[str, bytes]] = {}
        brands: dict[str, bytes] = {}
        faults: list[str] = []
        seen: dict[Path, tuple[tuple[int, int], bytes | str]] = {}
        try:
            for file in _files(self._folder, faults):
                if len(seen) >= FILES_MAX:
                    faults.append(f"{self._folder}: of more than {FILES_MAX} recordings the rest is not used")
                    break
                seen[file] = self._once(file)
                read = seen[file][1]
                if isinstance(read, str):
                    faults.append(f"{file}: {read}")
                elif file.parent.name == BRANDS:
                    brands[file.stem] = read
                else:
                    clips.setdefault(file.parent.name, {})[file.stem] = read
        except OSError as error:
            faults.append(f"{self._folder}: it cannot be read: {error.strerror}")
        self._read = seen
        return Recordings(clips, brands, tuple(faults))

    def _once(self, file: Path) -> tuple[tuple[int, int], bytes | str]:
        """Return a file's stamp with its frames, or with what is wrong."""
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(file)
            if known is not None and known[0] == stamp:
                return known
            if status.st_size > FILE_OCTETS_MAX:
                return stamp, f"it is larger than {FILE_OCTETS_MAX} octets"
            return stamp, telephone(file.read_bytes())
        except ValueError as error:
            return stamp, str(error)
        except OSError as error:
            return (0, 0), f"it cannot be read: {error.strerror}"


def telephone(wav: bytes) -> bytes:
    """Turn a WAV file into whole frames of G.711 u-law: trimmed, band-limited, as loud as the shipped packs.

    Raises:
        ValueError: It is no WAV file of the kinds that are taken, too long, or silent; told in words.

    Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0, chapter 3.
    """
    rate, samples = _samples(wav)
    if len(samples) > RECORDING_S_MAX * rate:
        raise ValueError(f"it is longer than {RECORDING_S_MAX} s")
    narrow = _narrowed(samples, rate) if rate > SAMPLES_PER_S else [float(it) for it in samples]
    mean = sum(narrow) / max(1, len(narrow))
    narrow = _trimmed([sample - mean for sample in narrow])
    loudest = max(map(abs, narrow), default=0.0)
    scaled = array("h", (round(sample * PEAK / loudest) for sample in narrow))
    frames = pcm_to_ulaw(struct.pack(f"<{len(scaled)}h", *scaled))
    return frames + SILENT_FRAME[: -len(frames) % FRAME_OCTETS]


def listened_to(frames: bytes) -> bytes:
    """Return frames of G.711 u-law as a WAV file of 16 bits, to be listened to anywhere."""
    with BytesIO() as octets:
        with wave.open(octets, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(SAMPLES_PER_S)
            written.writeframes(ulaw_to_pcm(frames))
        return octets.getvalue()


def remarks(file: Path) -> list[str]:
    """Say what could be better of a recording that can be used; nothing of one that cannot."""
    try:
        rate, samples = _samples(file.read_bytes())
    except (ValueError, OSError):
        return []
    loudest = max((abs(sample) for sample in samples), default=0)
    said = []
    if 0 < loudest < QUIET:
        said.append(
            f"it is quiet, and was made {20 * math.log10(PEAK / loudest):.0f} dB louder, its noise too"
        )
    if sum(abs(sample) >= CLIPPED for sample in samples) > CLIPPED_MAX:
        said.append("it is clipped; record it less loud")
    if (took_s := len(samples) / rate) > LONG_S:
        said.append(f"it takes {took_s:.0f} s, silence included; people hang up early")
    return said


def _files(folder: Path, faults: list[str]) -> Iterator[Path]:
    """Return the recordings of a folder; what is none is told."""
    if not folder.is_dir():
        faults.append(f"{folder} is no folder")
        return
    for entry in _listed(folder):
        if not entry.is_dir() or entry.name not in (*all_words(), BRANDS):
            known = ", ".join((*all_words(), BRANDS))
            faults.append(f"{entry} is no folder of a language, nor of brands: {known}")
            continue
        for file in _listed(entry):
            if file.suffix == ".wav" and (entry.name == BRANDS or file.stem in CLIPS):
                yield file
            else:
                names = "named as the brand" if entry.name == BRANDS else f"NAME one of {', '.join(CLIPS)}"
                faults.append(f"{file}: nothing uses it; a recording is NAME.wav, {names}")


def _listed(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]


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
    if rate not in RATES:
        raise ValueError(f"it has {rate} samples a second; take one of {', '.join(map(str, RATES))}")
    return int(rate)


def _narrowed(samples: Sequence[int], rate: int) -> list[float]:
    """Take 8,000 samples a second, each between those that are there, after a low-pass.

    The low-pass is a sinc under a Blackman window. Where a sample falls between two, the window is moved; it
    falls into as many places as the rates have no divisor in common, so that many sets of taps are made.
    """
    common = math.gcd(rate, SAMPLES_PER_S)
    step, places = rate // common, SAMPLES_PER_S // common
    side = TAPS_A_SIDE * rate // SAMPLES_PER_S
    taps_at = [_taps(place / places, side, BAND_HZ / rate) for place in range(places)]
    padded = [*repeat(0, side), *samples, *repeat(0, side + 1)]
    narrow = []
    for n in range(len(samples) * places // step):
        at, place = divmod(n * step, places)
        narrow.append(sum(map(mul, padded[at : at + 2 * side + 2], taps_at[place])))
    return narrow


def _taps(moved: float, side: int, cutoff: float) -> list[float]:
    """Return the taps of a window whose middle lies so far behind a sample; together they are one."""
    places = [n - moved for n in range(-side, side + 2)]
    taps = [_sinc(2 * cutoff * place) * _blackman(place, side + 1) for place in places]
    total = sum(taps)
    return [tap / total for tap in taps]


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _blackman(place: float, side: int) -> float:
    if abs(place) > side:
        return 0.0
    phase = math.pi * place / side
    return 0.42 + 0.5 * math.cos(phase) + 0.08 * math.cos(2 * phase)


def _trimmed(samples: list[float]) -> list[float]:
    loudest = max(map(abs, samples), default=0.0)
    if loudest < PEAK_MIN:
        raise ValueError("it is silent, or nearly so")
    heard = [place for place, sample in enumerate(samples) if abs(sample) >= loudest * SILENT_SHARE]
    margin = round(MARGIN_S * SAMPLES_PER_S)
    return samples[max(0, heard[0] - margin) : heard[-1] + margin]
