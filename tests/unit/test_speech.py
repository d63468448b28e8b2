"""Calls speak an operator's recordings over the packs, and brands that were recorded or rendered."""

import logging
from pathlib import Path

import pytest

from dastak.voice import brand_voice
from dastak.voice.brand_voice import Brand, BrandVoice
from dastak.voice.prompt_words import Known
from dastak.voice.prompts import pack
from dastak.voice.recordings import telephone
from dastak.voice.sound.g711 import FRAME_OCTETS
from dastak.voice.speech import BRAND_OCTETS_MAX, SPEECHES_MAX, Sources, Speaking, brand_file
from tests.support.needed import program
from tests.unit.test_recordings import tone, wav

SEVEN = wav(tone(700, 8000))
ESPEAK = brand_voice.PROGRAM


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    (folder / "ta").mkdir(parents=True)
    (folder / "brands").mkdir()
    return folder


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_recording_is_heard_once_it_is_there_and_the_packs_prompt_after_it_is_gone(recordings: Path) -> None:
    speaking = Speaking(Sources(recordings=str(recordings)))
    speaking.refresh()
    before = speaking.speech_of("ta")
    (recordings / "ta" / "7.wav").write_bytes(SEVEN)
    unread = speaking.speech_of("ta")
    speaking.refresh()
    after = speaking.speech_of("ta")
    (recordings / "ta" / "7.wav").unlink()
    speaking.refresh()

    assert before is unread
    assert after.clip("7") == telephone(SEVEN)
    assert after.clip("8") == before.clip("8") == pack("ta").clip("8")
    assert before.clip("7") == speaking.speech_of("ta").clip("7") == pack("ta").clip("7")


def test_bad_recording_is_told_once_and_the_packs_prompt_is_heard(
    recordings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (recordings / "ta" / "7.wav").write_bytes(b"ID3")
    speaking = Speaking(Sources(recordings=str(recordings)))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            speaking.refresh()

    assert speaking.speech_of("ta").clip("7") == pack("ta").clip("7")
    assert caplog.messages == [f"a recording is not used: {recordings / 'ta' / '7.wav'}: it is no WAV file"]
    assert len(speaking.own.faults) == 1


def test_folder_that_is_missing_is_told_and_changes_nothing(tmp_path: Path) -> None:
    speaking = Speaking(Sources(recordings=str(tmp_path / "missing")))
    speaking.refresh()

    assert speaking.own.faults == (f"{tmp_path / 'missing'} is no folder",)
    assert speaking.speech_of("hi") == pack("hi")


def test_language_of_which_too_little_is_known_is_replaced_as_the_operator_says() -> None:
    heard = {least: Speaking(Sources(least=least)).speech_of("as").language for least in Known}

    assert heard == {
        Known.UNFIT: "as",
        Known.UNJUDGED: "as",
        Known.READ: "bn",
        Known.MEASURED: "hi",
        Known.HEARD: "en",
    }


def test_locales_without_end_are_answered_and_not_kept() -> None:
    speaking = Speaking()

    assert {speaking.speech_of(f"x{n}").language for n in range(SPEECHES_MAX + 9)} == {"en"}
    assert len(speaking._packs) == SPEECHES_MAX


def test_recorded_brand_goes_before_a_rendered_one_and_neither_is_needed(
    recordings: Path, tmp_path: Path
) -> None:
    brands = tmp_path / "brands"
    brands.mkdir()
    brand_file(brands, "Acme / Sons").write_bytes(b"\x01" * FRAME_OCTETS * 2 + b"half a frame")
    brand_file(brands, "Both").write_bytes(b"\x01" * FRAME_OCTETS)
    brand_file(brands, "Long").write_bytes(b"\x01" * 2 * BRAND_OCTETS_MAX)
    (recordings / "brands" / "Both.wav").write_bytes(SEVEN)
    speaking = Speaking(Sources(recordings=str(recordings), brands=str(brands)))
    speaking.refresh()
    speech = speaking.speech_of("en")

    assert speech.brand("Acme / Sons") == b"\x01" * FRAME_OCTETS * 2
    assert speech.brand("Both") == telephone(SEVEN)
    assert speech.brand("Nobody") == Speaking().speech_of("en").brand("Both") == b""
    assert len(speech.brand("Long")) == BRAND_OCTETS_MAX


@pytest.mark.parametrize(("name", "locale"), [("Acme Bank", "en"), ("--version", "xx"), ("आक्मे बैंक", "hi")])
async def test_brand_is_rendered_once_and_heard_from_the_next_call_on(
    tmp_path: Path, name: str, locale: str
) -> None:
    espeak = program(ESPEAK)
    speech = Speaking(Sources(brands=str(tmp_path / "brands"))).speech_of("en")
    silent = speech.brand(name)
    await BrandVoice(tmp_path / "brands", espeak).keep_up([Brand(name, locale), Brand(name, locale)])
    spoken = speech.brand(name)
    file = brand_file(tmp_path / "brands", name)
    made_at = file.stat().st_mtime_ns
    await BrandVoice(tmp_path / "brands", espeak).keep_up([Brand(name, locale)])

    assert silent == b""
    assert 0.2 < len(spoken) / 8000 < 3
    assert len(spoken) % FRAME_OCTETS == 0
    assert file.stat().st_mtime_ns == made_at
    assert files_in(tmp_path / "brands") == [file]


async def test_brand_that_cannot_be_rendered_is_told_once_and_leaves_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    voice = BrandVoice(tmp_path, program("false"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await voice.keep_up([Brand("Acme", "en")])

    assert caplog.messages == ["the brand of a service is not spoken: espeak-ng ended with 1"]
    assert files_in(tmp_path) == []


async def test_program_that_hangs_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "espeak-ng"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o700)
    monkeypatch.setattr(brand_voice, "RENDER_S_MAX", 0.05)
    with caplog.at_level(logging.WARNING):
        await BrandVoice(tmp_path / "brands", str(hanging)).keep_up([Brand("Acme", "en")])

    assert caplog.messages == ["the brand of a service is not spoken: espeak-ng took too long"]


async def test_without_the_program_nothing_is_rendered(tmp_path: Path) -> None:
    await BrandVoice(tmp_path / "brands", None).keep_up([Brand("Acme", "en")])

    assert not (tmp_path / "brands").exists()
