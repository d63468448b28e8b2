"""A tenant's recordings are heard in its own calls, over the operator's, and in nobody else's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dastak.core.errors import InvalidRequest
from dastak.core.voice_store import OwnPack, PackKey, VoiceStore
from dastak.store.sqlite import SqliteStore
from dastak.voice import own_voice
from dastak.voice.own_voice import add, lay_out, recorded, take_away
from dastak.voice.prompts import pack
from dastak.voice.recordings import BRANDS, telephone
from dastak.voice.sound.g711 import FRAME_OCTETS
from dastak.voice.speech import Sources, Speaking
from tests.unit.test_recordings import tone, wav

SEVEN, EIGHT, OPERATORS = (telephone(wav(tone(hertz, 8000))) for hertz in (700, 800, 900))
TAMIL = PackKey(4, "ta")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[VoiceStore]:
    async with SqliteStore(tmp_path / "dastak.db") as opened:
        yield opened.voices


async def laid_out(store: VoiceStore, folder: Path, revision: int = 1) -> Speaking:
    lay_out(folder, await store.own_packs(), revision)
    speaking = Speaking(Sources(tenants=str(folder)))
    speaking.refresh()
    return speaking


async def test_recording_is_heard_in_calls_of_its_tenant_alone(store: VoiceStore, tmp_path: Path) -> None:
    await add(store, TAMIL, {"7": SEVEN})
    await add(store, PackKey(4, BRANDS), {"Acme": EIGHT})
    speaking = await laid_out(store, tmp_path / "laid")

    theirs, others = speaking.speech_of("ta", 4), speaking.speech_of("ta", 5)
    assert (theirs.clip("7"), theirs.brand("Acme")) == (SEVEN, EIGHT)
    assert theirs.clip("8") == others.clip("8") == pack("ta").clip("8")
    assert (others.clip("7"), others.brand("Acme")) == (pack("ta").clip("7"), b"")
    assert speaking.speech_of("hi", 4).clip("7") == pack("hi").clip("7")


async def test_tenants_recording_goes_before_the_operators(store: VoiceStore, tmp_path: Path) -> None:
    (tmp_path / "own" / "ta").mkdir(parents=True)
    for name in ("7", "8"):
        (tmp_path / "own" / "ta" / f"{name}.wav").write_bytes(wav(tone(900, 8000)))
    await add(store, TAMIL, {"7": SEVEN})
    lay_out(tmp_path / "laid", await store.own_packs(), 1)
    speaking = Speaking(Sources(recordings=str(tmp_path / "own"), tenants=str(tmp_path / "laid")))
    speaking.refresh()

    assert [speaking.speech_of("ta", 4).clip(name) for name in "78"] == [SEVEN, OPERATORS]
    assert speaking.speech_of("ta", 5).clip("7") == OPERATORS


async def test_what_is_added_stands_beside_what_was_there_and_what_is_taken_away_is_gone(
    store: VoiceStore, tmp_path: Path
) -> None:
    await add(store, TAMIL, {"7": SEVEN, "8": SEVEN})
    await add(store, TAMIL, {"8": EIGHT})
    assert await recorded(store, 4) == {"ta": {"7": SEVEN, "8": EIGHT}}

    assert await take_away(store, TAMIL, "7") == 1
    assert await take_away(store, TAMIL, "7") == 0
    assert await recorded(store, 4) == {"ta": {"8": EIGHT}}
    assert await take_away(store, TAMIL) == 1
    speaking = await laid_out(store, tmp_path / "laid")
    assert speaking.speech_of("ta", 4).clip("8") == pack("ta").clip("8")


async def test_call_that_has_begun_keeps_its_voice_and_the_next_one_has_the_new(
    store: VoiceStore, tmp_path: Path
) -> None:
    await add(store, TAMIL, {"7": SEVEN})
    speaking = await laid_out(store, tmp_path / "laid")
    begun = speaking.speech_of("ta", 4)
    await add(store, TAMIL, {"7": EIGHT})
    lay_out(tmp_path / "laid", await store.own_packs(), 2)
    unread = speaking.speech_of("ta", 4)
    speaking.refresh()

    assert begun is unread
    assert (begun.clip("7"), speaking.speech_of("ta", 4).clip("7")) == (SEVEN, EIGHT)


async def test_files_of_another_database_are_taken_away(store: VoiceStore, tmp_path: Path) -> None:
    lay_out(tmp_path / "laid", {PackKey(9, "ta"): OwnPack(b"old", 3)}, 3)
    await laid_out(store, tmp_path / "laid", revision=0)

    assert not list((tmp_path / "laid").glob("*/*.pack"))


async def test_damaged_file_is_told_and_the_shipped_voice_is_heard(
    store: VoiceStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lay_out(tmp_path / "laid", {TAMIL: OwnPack(b"no pack", 1)}, 1)
    speaking = Speaking(Sources(tenants=str(tmp_path / "laid")))
    for _ in range(2):
        speaking.refresh()

    assert speaking.speech_of("ta", 4).clip("7") == pack("ta").clip("7")
    assert caplog.text.count("are not used") == 1


@pytest.mark.parametrize(
    ("language", "name", "said"),
    [("xx", "7", "no language"), ("ta", "seven", "no recording"), ("ta", "7", "at most")],
)
async def test_what_no_call_can_say_is_refused(
    store: VoiceStore, language: str, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_voice, "PACK_OCTETS_MAX", FRAME_OCTETS)

    with pytest.raises(InvalidRequest, match=said):
        await add(store, PackKey(4, language), {name: SEVEN})
    assert await recorded(store, 4) == {}


async def test_brands_of_a_tenant_are_bounded(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_voice, "BRANDS_MAX", 2)

    with pytest.raises(InvalidRequest, match="at most 2 brands"):
        await add(store, PackKey(4, BRANDS), {str(n): SEVEN for n in range(3)})
