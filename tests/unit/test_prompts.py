"""Every language can be spoken, and the code that is spoken is the code, by the sound itself."""

import json
import random
import zlib
from dataclasses import FrozenInstanceError
from importlib import resources

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.codes import CODE_CHARACTERS_MAX, SYMBOLS, Alphabet
from dastak.core.template import LOCALES
from dastak.voice.prompt_words import (
    CLIPS,
    DIGITS,
    GATES,
    LETTERS,
    PHRASES,
    Known,
    all_words,
    spoken,
    written,
)
from dastak.voice.prompts import LAST_RESORT, Pack, pack, packed, pause, spoken_words, unpacked, words_digest
from dastak.voice.sound.g711 import FRAME_OCTETS, SILENT_FRAME
from tests.support.heard_digits import heard, samples

FILES = resources.files("dastak.voice").joinpath("packs")
PACK_KB_MAX = 600  # English, with its letters; the others have half of it
CHARACTERS = (*DIGITS, *LETTERS)
languages = pytest.mark.parametrize("language", LOCALES)


def plain(length: int = 160) -> Pack:
    """A pack whose clips are told apart by their octets: each character is a frame of itself."""
    return Pack(asked="en", language="en", clips={name: name[0].encode() * length for name in CLIPS})


def clip_of(text: str, pack: Pack) -> bytes:
    return b"".join(pack.code(text))


def test_languages_are_those_of_the_texts() -> None:
    assert set(all_words()) == set(LOCALES)


@languages
def test_words_are_complete(language: str) -> None:
    words = all_words()[language]

    own = CLIPS if not words.letters_of else tuple(name for name in CLIPS if name not in LETTERS)
    assert set(written(words)) == set(own)
    assert set(spoken(words)) == set(own)
    assert all(text and "{" not in text for text in (*written(words).values(), *spoken(words).values()))
    assert len(set(words.digits)) == 10
    assert set(words.say) <= {*own, "gate"}
    assert set(words.nearest) <= set(LOCALES) - {language}
    assert words.letters_of in {"", "en"}


@languages
def test_words_hold_no_number_to_call_back(language: str) -> None:
    assert not [text for text in written(all_words()[language]).values() if any(map(str.isdecimal, text))]


@languages
def test_pack_was_spoken_from_the_words_of_now(language: str) -> None:
    octets = FILES.joinpath(f"{language}.pack").read_bytes()

    assert spoken_words(octets) == words_digest(all_words()[language]), f"run make prompts ARGS={language}"
    assert len(octets) < PACK_KB_MAX * 1000


def test_licence_of_every_voice_stands_beside_it() -> None:
    licences = FILES.joinpath("LICENSES.md").read_text(encoding="utf-8")

    for words in all_words().values():
        assert words.voice.name in licences
        assert words.voice.engine in licences.lower()
        assert words.voice.licence.split(";")[0].split()[-1] in licences


@languages
def test_pack_has_every_clip_in_whole_frames(language: str) -> None:
    clips = pack(language).clips

    assert set(clips) == set(CLIPS)
    assert {name: len(clip) for name, clip in clips.items() if not clip or len(clip) % FRAME_OCTETS} == {}


@languages
def test_no_clip_is_silent_or_clipped(language: str) -> None:
    for name, clip in pack(language).clips.items():
        sound = samples(clip)

        # The chain puts peaks at -3 dB of full scale; mu-law's steps there are 6 % wide.
        assert 0.6 < np.max(np.abs(sound)) < 0.8, name
        assert np.sqrt(np.mean(sound**2)) > 0.02, name
        assert 0.2 < len(clip) / 8000 < (2.0 if name in CHARACTERS else 10.0), name


@languages
def test_clip_begins_at_once_and_ends_soon(language: str) -> None:
    for name, clip in pack(language).clips.items():
        loud = np.flatnonzero(np.abs(samples(clip)) > 0.01)

        assert loud[0] < 0.15 * 8000, name
        assert len(clip) - loud[-1] < 0.2 * 8000, name


@languages
def test_filter_hears_the_code_that_was_spoken(language: str) -> None:
    chosen, speaking = random.Random(language), pack(language)
    codes = ["".join(chosen.choices(DIGITS, k=6)) for _ in range(3)] + ["0123456789", "7777"]

    for code in codes:
        sound = samples(speaking.clip("code_is") + clip_of(code, speaking) + speaking.clip("menu"))
        assert heard(sound, speaking.clips, DIGITS) == code


@languages
def test_filter_hears_letters_too(language: str) -> None:
    chosen, speaking = random.Random(language), pack(language)
    code = "".join(chosen.choices(SYMBOLS[Alphabet.ALPHANUMERIC], k=6))

    assert heard(samples(clip_of(code, speaking)), speaking.clips, CHARACTERS) == code


@languages
def test_filter_hears_the_code_when_frames_are_lost_and_the_line_is_noisy(language: str) -> None:
    chosen, speaking = random.Random(language), pack(language)
    code = "".join(chosen.sample(DIGITS, k=6))
    sound = samples(clip_of(code, speaking))
    noise = np.random.default_rng(1).normal(size=len(sound)) * np.sqrt(np.mean(sound**2)) * 10 ** (-15 / 20)
    for at in range(0, len(sound), FRAME_OCTETS):
        if chosen.random() < 0.1:
            sound[at : at + FRAME_OCTETS] = 0

    assert heard(sound + noise, speaking.clips, DIGITS) == code


@languages
def test_no_phrase_holds_a_character_of_a_code(language: str) -> None:
    speaking = pack(language)

    for name in (*GATES, *PHRASES):
        assert heard(samples(speaking.clip(name)), speaking.clips, CHARACTERS) == "", name


def test_gates_are_told_apart() -> None:
    for language in LOCALES:
        assert len({pack(language).clip(gate) for gate in GATES}) == 10


@pytest.mark.parametrize(
    ("code", "pauses"),
    [
        ("1234", [360, 360, 360, 360]),
        ("12345", [360, 360, 700, 360, 360]),
        ("123456", [360, 360, 700, 360, 360, 360]),
        ("1234567890", [360] * 4 + [700] + [360] * 5),
        ("7", [360]),
    ],
)
def test_code_is_said_with_pauses_in_two_groups(code: str, pauses: list[int]) -> None:
    pieces = list(plain().code(code))

    assert pieces[::2] == [character.encode() * 160 for character in code]
    assert [len(piece) // 8 for piece in pieces[1::2]] == pauses
    assert all(set(piece) == {0xFF} for piece in pieces[1::2])


def test_letters_are_said_in_either_case() -> None:
    assert clip_of("aB3d", plain()) == clip_of("AB3D", plain())


@pytest.mark.parametrize(
    "code", ["", "1" * (CODE_CHARACTERS_MAX + 1), "12 34", "12-34", "१२३४", "12ß4", "12\n4"]
)
def test_code_is_refused_at_once_and_not_repeated(code: str) -> None:
    with pytest.raises(ValueError, match="a code has") as refused:
        plain().code(code)

    assert not code or code not in str(refused.value)


def test_nothing_keeps_a_code() -> None:
    speaking = pack("en")

    assert "clips" not in repr(speaking)
    assert list(speaking.code("481516")) == list(speaking.code("481516"))
    with pytest.raises(FrozenInstanceError):
        speaking.language = "hi"  # type: ignore[misc]
    with pytest.raises(TypeError):
        speaking.clips["481516"] = b""  # type: ignore[index]


def test_silence_is_silent_and_whole() -> None:
    assert pause(1) == SILENT_FRAME
    assert pause(700) == SILENT_FRAME * 35
    assert np.max(np.abs(samples(SILENT_FRAME))) == 0


def test_language_is_replaced_by_the_nearest_when_its_voice_is_unfit() -> None:
    words = all_words()
    bad = {tag: msgspec.structs.replace(words[tag], known=Known.UNFIT) for tag in ("as", "bn")}

    spoken_to = pack("as", languages={**words, **bad})

    assert (spoken_to.asked, spoken_to.language) == ("as", "hi")
    assert spoken_to.clips == pack("hi").clips


def test_assamese_is_spoken_in_bengali_unless_an_operator_is_content_with_an_unjudged_voice() -> None:
    assert (pack("as").asked, pack("as").language) == ("as", "bn")
    assert pack("as", least=Known.UNJUDGED).language == "as"


@pytest.mark.parametrize("least", Known)
def test_no_voice_is_heard_of_which_less_is_known_than_is_asked_for_but_the_last_resort(least: Known) -> None:
    words = all_words()

    for language in words:
        heard = pack(language, least=least).language
        assert words[heard].known.suffices(least) or heard == LAST_RESORT
        if words[language].known.suffices(least):
            assert heard == language


def test_language_that_nobody_speaks_is_answered_in_english() -> None:
    assert (pack("xx").asked, pack("xx").language) == ("xx", "en")


def test_own_recordings_go_over_the_packs() -> None:
    mine = {"ta": {"greeting": b"\x01" * 320, "7": b"\x02" * 160}}

    speaking = pack("ta", own=mine)

    assert speaking.clip("greeting") == b"\x01" * 320
    assert next(iter(speaking.code("7"))) == b"\x02" * 160
    assert speaking.clip("8") == pack("ta").clip("8")
    assert pack("hi", own=mine) == pack("hi")


def test_own_recordings_speak_a_language_when_they_are_complete_and_only_then() -> None:
    words = {**all_words(), "as": msgspec.structs.replace(all_words()["as"], known=Known.UNFIT)}
    complete = dict.fromkeys(CLIPS, b"\x01" * 160)
    all_but_one = {name: clip for name, clip in complete.items() if name != "menu"}

    assert pack("as", own={"as": complete}, languages=words).language == "as"
    assert pack("as", own={"as": all_but_one}, languages=words).language == "bn"


def test_installation_without_english_is_told() -> None:
    nobody = {tag: msgspec.structs.replace(it, known=Known.UNFIT) for tag, it in all_words().items()}

    with pytest.raises(LookupError, match="English"):
        pack("hi", languages=nobody)


@given(st.dictionaries(st.sampled_from(CLIPS), st.integers(1, 5), max_size=20), st.randoms())
def test_pack_is_read_as_it_was_written(frames: dict[str, int], chosen: random.Random) -> None:
    clips = {name: chosen.randbytes(count * FRAME_OCTETS) for name, count in frames.items()}

    assert unpacked(packed(clips, words="digest")) == clips


@given(st.data())
def test_damaged_pack_is_refused(data: st.DataObject) -> None:
    good = packed({"0": b"\x7f" * 1600, "menu": bytes(range(160)) * 3}, words="digest")
    cut = data.draw(st.integers(0, len(good) - 1))

    with pytest.raises(ValueError, match="pack"):
        unpacked(good[:cut])


def test_pack_is_refused_when_its_index_promises_more_or_less() -> None:
    index = json.dumps({"words": "", "frames": {"0": 2}}).encode()

    for octets in (160, 480, 3_000_000):
        file = b"dastak prompts 1\n" + index + b"\n" + zlib.compress(bytes(octets))
        with pytest.raises(ValueError, match="not as long"):
            unpacked(file)


def test_half_a_frame_is_not_packed() -> None:
    with pytest.raises(ValueError, match="whole frames: 0"):
        packed({"0": b"\xff" * 161}, words="")
