"""`dastak voice`: what is spoken, which recordings can be used, and a call to listen to."""

import wave
from pathlib import Path

import numpy as np
import pytest

from dastak.cli import Exit
from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.prompts import pack
from dastak.voice.sound.g711 import FRAME_OCTETS, pcm_to_ulaw
from dastak.voice.speech import brand_file
from tests.support.virtual_caller import digits_in
from tests.unit.test_cli import Run, installed, run
from tests.unit.test_recordings import tone, wav

__all__ = ["installed", "run"]


def record(folder: Path, name: str, octets: bytes) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(octets)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a folder of recordings in the settings."""
    monkeypatch.setenv("DASTAK__VOICE__RECORDINGS", "own")
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def sound_of(file: Path) -> bytes:
    with wave.open(str(file)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (1, 2, 8000)
        return pcm_to_ulaw(read.readframes(read.getnframes()))


def test_list_says_of_each_language_what_is_known_and_heard(installed: Run) -> None:
    told = installed("voice", "list", "--json").document

    languages = {one["language"]: one for one in told["languages"]}
    assert set(languages) == set(all_words())
    assert (languages["as"]["known"], languages["as"]["heard"]) == ("unjudged", "bn")
    assert (languages["ta"]["known"], languages["ta"]["heard"]) == ("measured", "ta")
    assert told["brands"] == [{"brand": "Dastak", "spoken": "not spoken"}]


def test_list_follows_the_operators_settings(
    installed: Run, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASTAK__VOICE__LEAST", "measured")
    record(own, "brands/Dastak.wav", wav(tone(700, 8000)))
    record(own, "hi/7.wav", wav(tone(700, 8000)))
    record(own, "hi/seven.wav", b"")
    for name in CLIPS:
        record(own, f"kn/{name}.wav", wav(tone(700, 8000)))
    ran = installed("voice", "list")

    lines = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert "en instead" in lines["bn"]
    assert f"1 of {len(CLIPS)}" in lines["hi"]
    assert f"yes         {len(CLIPS)} of {len(CLIPS)}" in lines["kn"]
    assert lines["Dastak"].endswith("recorded")
    assert "hi instead" in lines["as"]
    assert "own/hi/seven.wav: nothing uses it" in ran.err


def test_rendered_brand_is_listed_as_such(installed: Run, tmp_path: Path) -> None:
    (tmp_path / "brands").mkdir()
    brand_file(tmp_path / "brands", "Dastak").write_bytes(bytes(FRAME_OCTETS))

    told = installed("voice", "list", "--json").document

    assert told["brands"] == [{"brand": "Dastak", "spoken": "rendered"}]


def test_check_passes_what_can_be_used_and_notes_what_could_be_better(installed: Run, own: Path) -> None:
    record(own, "ta/7.wav", wav(tone(700, 8000, peak=1000)))
    record(own, "ta/8.wav", wav(np.clip(tone(700, 8000, peak=90_000), -32768, 32767)))
    record(own, "ta/menu.wav", wav(tone(700, 16000, seconds=11), 16000))
    record(own, "ta/9.wav", wav(tone(700, 8000)))
    record(own, "brands/Acme.wav", wav(tone(700, 8000)))
    ran = installed("voice", "check")

    assert ran.status == Exit.OK
    assert ran.out.startswith("Tamil: 4 recordings; from the pack: 0, 1, 2, 3, 4, 5, 6, A and ")
    assert "brands: Acme" in ran.out
    notes = [line for line in ran.out.splitlines() if line.startswith("note")]
    assert [note.split(": ", 1)[1] for note in notes] == [
        "it is quiet, and was made 27 dB louder, its noise too",
        "it is clipped; record it less loud",
        "it takes 11 s, silence included; people hang up early",
    ]


def test_check_fails_for_what_cannot_be_used_and_names_it(installed: Run, tmp_path: Path) -> None:
    record(tmp_path / "elsewhere", "ta/7.wav", b"ID3")
    ran = installed("voice", "check", "elsewhere")
    as_json = installed("voice", "check", "elsewhere", "--json")

    assert (ran.status, as_json.status) == (Exit.NO, Exit.NO)
    assert "not used: elsewhere/ta/7.wav: it is no WAV file" in ran.err
    assert as_json.document["faults"] == ["elsewhere/ta/7.wav: it is no WAV file"]


def test_check_without_a_folder_says_what_to_type(installed: Run) -> None:
    ran = installed("voice", "check")

    assert ran.status == Exit.CONFIGURATION
    assert "dastak voice check FOLDER" in ran.err


@pytest.mark.parametrize(("language", "heard"), [("ta", "ta"), ("as", "bn"), ("en", "en")])
def test_sample_is_a_whole_call_with_a_made_up_code(
    installed: Run, tmp_path: Path, language: str, heard: str
) -> None:
    ran = installed("voice", "sample", "call.wav", "--language", language)

    sound, spoken = sound_of(tmp_path / "call.wav"), pack(heard)
    assert ran.out == "call.wav\n"
    assert f"s in {all_words()[heard].name}" in ran.err
    assert digits_in(sound, spoken) == "481516" * 2
    assert (spoken.clip("instead") in sound) == (language != heard)
    assert sound.endswith(spoken.clip("goodbye"))


def test_sample_speaks_your_recordings_and_your_brand(installed: Run, own: Path, tmp_path: Path) -> None:
    record(own, "en/greeting.wav", wav(tone(700, 8000)))
    record(own, "brands/Acme.wav", wav(tone(900, 8000)))
    installed("voice", "sample", "own.wav", "--brand", "Acme")
    silent = installed("voice", "sample", "other.wav", "--brand", "Nobody")

    assert pack("en").clip("greeting") not in sound_of(tmp_path / "own.wav")
    assert len(sound_of(tmp_path / "own.wav")) > len(sound_of(tmp_path / "other.wav"))
    assert "the brand is not spoken" in silent.err


def test_sample_of_a_call_that_matches_numbers_holds_no_code(installed: Run, tmp_path: Path) -> None:
    installed("voice", "sample", "match.wav", "--match")

    sound = sound_of(tmp_path / "match.wav")
    assert pack("en").clip("match") in sound
    assert digits_in(sound) == ""
