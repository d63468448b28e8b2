"""Write what a turn says in a language: texts for a vendor's voice, or one sound of our own recordings.

A code is said character by character, in two groups, with the pauses that a person needs to write it down.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from dastak.http_voice.call_script import BRAND, CODE
from dastak.voice.ivr import Speech
from dastak.voice.prompt_words import Words, all_words, written
from dastak.voice.prompts import AFTER_CHARACTER_MS, BETWEEN_GROUPS_MS, LAST_RESORT, ONE_GROUP_CHARACTERS_MAX
from dastak.voice.sound.g711 import SAMPLES_PER_S, ulaw_to_pcm

# Between two prompts of one sound: 0.3 s.
BETWEEN_CLIPS_MS: Final = 300
_PCM: Final = 1
_SAMPLE_OCTETS: Final = 2


class Voice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voice as its vendor names it."""

    language: str
    voice: str = ""


class Piece(NamedTuple):
    """A text, and the silence after it."""

    text: str
    pause_ms: int = 0


def words_of(locale: str) -> tuple[str, Words]:
    """Return the words of a locale with its language; English where nobody translated them."""
    known = all_words()
    language = locale if locale in known else LAST_RESORT
    return language, known[language]


def said(names: Iterable[str], words: Words, *, code: str, brand: str) -> tuple[tuple[Piece, ...], ...]:
    """Return each part of a turn as pieces of text.

    Args:
        names: Of clips, and `CODE` and `BRAND`.
        words: The language.
        code: Only looked at where it is said.
        brand: On whose behalf it calls; empty says nothing.
    """
    texts = written(words)
    parts: list[tuple[Piece, ...]] = []
    for name in names:
        if name == CODE:
            parts.append(tuple(spelled(code, words)))
        elif name != BRAND:
            parts.append((Piece(texts[name]),))
        elif brand:
            parts.append((Piece(f"{brand}."),))
    return tuple(parts)


def spelled(code: str, words: Words) -> Iterator[Piece]:
    """Yield the characters of a code, each with its pause; letters by their spelling words."""
    texts = written(words)
    # Where letters are spelled in another language, its words are given to this one's voice.
    letters = written(all_words()[words.letters_of]) if words.letters_of else texts
    half = -(-len(code) // 2) if len(code) > ONE_GROUP_CHARACTERS_MAX else 0
    for place, character in enumerate(code, 1):
        pause_ms = BETWEEN_GROUPS_MS if place == half else AFTER_CHARACTER_MS
        yield Piece(texts.get(character) or letters[character], pause_ms)


def recorded(names: Iterable[str], speech: Speech, *, code: str, brand: str) -> bytes:
    """Return all of a turn as one WAV file; a brand that nobody recorded is left out.

    Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0, chapter 3.
    """
    pause = bytes(_SAMPLE_OCTETS * SAMPLES_PER_S * BETWEEN_CLIPS_MS // 1_000)
    sound = bytearray()
    for name in names:
        if name == CODE:
            clips = speech.code(code)
        else:
            clips = (speech.brand(brand) if name == BRAND else speech.clip(name),)
        for clip in clips:
            sound += ulaw_to_pcm(clip)
        sound += pause
    form = b"".join(
        number.to_bytes(octets, "little")
        for number, octets in (
            (_PCM, 2),
            (1, 2),  # channels
            (SAMPLES_PER_S, 4),
            (SAMPLES_PER_S * _SAMPLE_OCTETS, 4),
            (_SAMPLE_OCTETS, 2),
            (8 * _SAMPLE_OCTETS, 2),
        )
    )
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", bytes(sound))
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body
