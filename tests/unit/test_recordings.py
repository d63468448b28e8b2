"""A customer's WAV files become telephone frames, or are refused with the file and what to change."""

import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dastak.voice.prompts import pack
from dastak.voice.recordings import (
    FILE_OCTETS_MAX,
    RATES,
    RECORDING_S_MAX,
    RecordingsFolder,
    telephone,
)
from dastak.voice.sound.g711 import FRAME_OCTETS
from tests.support.heard_digits import heard, samples

EXTENSIBLE_PCM = (
    struct.pack("<HHI", 22, 16, 4) + b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
)


def wav(
    sound, rate: int = 8000, *, channels: int = 1, bits: int = 16, tag: int = 1, more: bytes = b""
) -> bytes:
    octets = np.clip(np.round(np.asarray(sound)), -32768, 32767).astype("<i2").tobytes()
    form = (
        struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
        + more
    )
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"odd\x00"  # of odd length, and padded
    chunks += b"data" + struct.pack("<I", len(octets)) + octets
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(hertz: float, rate: int, seconds: float = 0.5, peak: float = 10_000):
    return peak * np.sin(2 * math.pi * hertz * np.arange(int(rate * seconds)) / rate)


def strength(sound, hertz: float) -> float:
    """How loud one frequency is, of all there is."""
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    near = np.abs(np.fft.rfftfreq(len(sound), 1 / 8000) - hertz) < 20
    return float(spectrum[near].sum() / spectrum.sum())


@pytest.mark.parametrize("rate", RATES)
def test_tone_stays_the_tone_at_every_rate(rate: int) -> None:
    clip = telephone(wav(tone(1000, rate), rate))

    sound = samples(clip)
    assert len(clip) % FRAME_OCTETS == 0
    assert abs(len(clip) - 4000) <= FRAME_OCTETS
    assert strength(sound, 1000) > 0.97
    assert 0.68 < np.max(np.abs(sound)) < 0.74  # -3 dB


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > 11_025])
def test_sound_above_the_telephones_band_is_gone_and_not_folded(rate: int) -> None:
    high, low = tone(5000, rate), tone(1000, rate, peak=500)

    sound = samples(telephone(wav(high + low, rate)))

    assert strength(sound, 3000) < 0.001  # where 5 kHz would come back from 8 kHz
    assert strength(sound, 1000) > 0.95


@pytest.mark.parametrize("rate", RATES)
def test_shipped_clip_is_the_same_after_being_recorded_at_any_rate(rate: int) -> None:
    speaking = pack("hi")
    narrow = samples(speaking.clip("gate_4")) * 20_000
    wide = np.interp(np.arange(len(narrow) * rate // 8000) * 8000 / rate, np.arange(len(narrow)), narrow)

    clip = telephone(wav(wide, rate))

    found = heard(samples(clip), {"4": speaking.clip("gate_4"), "5": speaking.clip("gate_5")}, "45")
    assert found == "4"


def test_silence_at_both_ends_and_a_constant_are_taken_away() -> None:
    quiet = np.zeros(8000)
    sound = np.concatenate([quiet, tone(800, 8000), quiet]) + 300

    clip = telephone(wav(sound))

    assert len(clip) < 0.6 * 8000
    assert abs(np.mean(samples(clip))) < 0.02


def test_extensible_format_is_taken() -> None:
    assert telephone(wav(tone(800, 8000), tag=0xFFFE, more=EXTENSIBLE_PCM))


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "no WAV file"),
        (b"ID3\x03 an MP3 file that was renamed", "no WAV file"),
        (b"RIFF\x04\x00\x00\x00WAVE", "no sound"),
        (b"RIFF\x04\x00\x00\x00WAVEdata\x02\x00\x00\x00\x01\x00", "format before its sound"),
        (wav(tone(800, 8000))[:-1], "ends before"),
        (wav(tone(800, 8000), channels=2), "2 channels; mix it down to one"),
        (wav(tone(800, 8000), bits=8), "not 16-bit PCM"),
        (wav(tone(800, 8000), tag=7), "not 16-bit PCM"),
        (wav(tone(800, 12000), 12000), "12000 samples a second; take one of 8000, 11025, 16000, 22050"),
        (wav([]), "silent"),
        (wav(np.zeros(8000)), "silent"),
        (wav(tone(800, 8000, peak=200)), "silent"),
        (wav(tone(800, 8000, seconds=RECORDING_S_MAX + 0.1)), "longer than 15 s"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_the_reason(file: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        telephone(file)


def test_folder_is_read_by_language_and_clip(tmp_path: Path) -> None:
    (tmp_path / "ta").mkdir()
    (tmp_path / "brands").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "ta" / ".hidden").write_bytes(b"")
    (tmp_path / "ta" / "gate_4.wav").write_bytes(wav(tone(500, 16000), 16000))
    (tmp_path / "ta" / "7.wav").write_bytes(wav(tone(700, 8000)))
    (tmp_path / "brands" / "Acme & Sons.wav").write_bytes(wav(tone(900, 44100), 44100))

    own = RecordingsFolder(tmp_path).read()

    assert {language: set(clips) for language, clips in own.clips.items()} == {"ta": {"gate_4", "7"}}
    assert pack("ta", own=own.clips).clip("7") == own.clips["ta"]["7"]
    assert strength(samples(own.clips["ta"]["gate_4"]), 500) > 0.97
    assert strength(samples(own.brands["Acme & Sons"]), 900) > 0.97
    assert own.faults == ()


@pytest.mark.parametrize(
    ("path", "file", "says"),
    [
        ("xx/7.wav", wav(tone(700, 8000)), "xx is no folder of a language, nor of brands: as, bn, en"),
        ("ta/seven.wav", wav(tone(700, 8000)), "seven.wav: nothing uses it; .* NAME one of 0, 1, 2"),
        ("brands/Acme.mp3", b"ID3", "Acme.mp3: nothing uses it; .* named as the brand"),
        ("ta/7.mp3", b"ID3", "7.mp3: nothing uses it"),
        ("ta/7.wav", b"ID3", "7.wav: it is no WAV file"),
        ("ta/7.wav", bytes(FILE_OCTETS_MAX + 1), "7.wav: it is larger than"),
        ("readme.txt", b"", "readme.txt is no folder of a language"),
    ],
)
def test_what_cannot_be_used_is_told_by_its_name_and_the_rest_is_used(
    tmp_path: Path, path: str, file: bytes, says: str
) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(file)
    (tmp_path / "hi").mkdir()
    (tmp_path / "hi" / "7.wav").write_bytes(wav(tone(700, 8000)))

    own = RecordingsFolder(tmp_path).read()

    (fault,) = own.faults
    assert re.search(says, fault)
    assert own.clips == {"hi": {"7": telephone(wav(tone(700, 8000)))}}


def test_folder_that_is_none_is_told(tmp_path: Path) -> None:
    own = RecordingsFolder(tmp_path / "missing").read()

    assert own.clips == own.brands == {}
    assert own.faults == (f"{tmp_path / 'missing'} is no folder",)


def test_file_is_read_again_when_it_changed_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "ta").mkdir()
    file = tmp_path / "ta" / "7.wav"
    file.write_bytes(b"half a file, as while it is copied")
    folder = RecordingsFolder(tmp_path)
    broken = folder.read()
    file.write_bytes(wav(tone(700, 8000)))
    whole, again = folder.read(), folder.read()
    file.unlink()
    gone = folder.read()

    assert (broken.clips, len(broken.faults)) == ({}, 1)
    assert whole.faults == ()
    assert again.clips["ta"]["7"] is whole.clips["ta"]["7"]
    assert gone.clips == {}


@settings(deadline=None)
@given(st.data())
def test_damaged_file_is_refused_or_read_and_never_breaks_the_start(data: st.DataObject) -> None:
    file = bytearray(wav(tone(700, 8000, seconds=0.1)))
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(file)))

    try:
        clip = telephone(bytes(file[:cut]))
    except ValueError:
        return

    assert clip
    assert len(clip) % FRAME_OCTETS == 0
