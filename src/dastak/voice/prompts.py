"""The recordings of a call: one pack for each language, and codes spliced from it.

1. Everything is G.711 u-law in whole frames of 20 ms, rendered long before; nothing is synthesised in a call.
2. A code is handed out clip by clip. Nothing here keeps, caches or logs the audio of a whole code, and no
   error repeats a character of it.
3. A pack that is missing, or of whose voice too little is known, is replaced by the nearest language's;
   `Pack.language` tells which one is heard, and the call tells the person and the timeline.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Final

import msgspec

from dastak.core.codes import CODE_CHARACTERS_MAX
from dastak.voice.prompt_words import CLIPS, LETTERS, Known, Words, all_words, spoken
from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS, SILENT_FRAME

# A person writes a character down in the pause after it; pauses are whole frames, so 350 ms become 360.
AFTER_CHARACTER_MS: Final = 350
# Between the two halves of a code, instead of the pause after a character.
BETWEEN_GROUPS_MS: Final = 700
# A code this long is said in one breath, a longer one in two groups.
ONE_GROUP_CHARACTERS_MAX: Final = 4
# What a pack may unfold to: some four minutes of speech, five times what the longest one has.
PACK_OCTETS_MAX: Final = 2_000_000
# What everybody can be spoken to in if all else is missing.
LAST_RESORT: Final = "en"
# How much must be known of a voice, where an operator does not say: at least that its digits are right.
LEAST: Final = Known.READ

_MAGIC: Final = b"dastak prompts 1\n"


class _Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second line of a pack: the digest of what was spoken, and the frames of each clip in order."""

    words: str
    frames: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The recordings that one person hears.

    Attributes:
        asked: The language that was asked for.
        language: The language that is heard.
        brands: Returns how a brand is spoken, or nothing.
    """

    asked: str
    language: str
    clips: Mapping[str, bytes] = field(repr=False)
    brands: Callable[[str], bytes] = field(default=lambda _name: b"", repr=False, compare=False)

    def clip(self, name: str) -> bytes:
        """Return one recording: whole frames of G.711 u-law.

        Raises:
            KeyError: `name` is none of `CLIPS`; a bug of the caller.
        """
        return self.clips[name]

    def brand(self, name: str) -> bytes:
        """Return how a brand is spoken: whole frames, or nothing."""
        return self.brands(name)

    def code(self, text: str) -> Iterator[bytes]:
        """Return the recordings of a code, each followed by its pause: whole frames, piece by piece.

        Raises:
            ValueError: It is empty, too long, or has a character that is neither a digit nor A to Z.
        """
        # The generator would refuse only when it is begun, which is in the middle of a call.
        if not 0 < len(text) <= CODE_CHARACTERS_MAX:
            raise ValueError(f"a code has 1 to {CODE_CHARACTERS_MAX} characters")
        if not (text.isascii() and text.isalnum()):
            raise ValueError("a code has only digits and letters from A to Z")
        return self._pieces(text.upper())

    def _pieces(self, text: str) -> Iterator[bytes]:
        first_group = len(text) if len(text) <= ONE_GROUP_CHARACTERS_MAX else (len(text) + 1) // 2
        for place, character in enumerate(text, start=1):
            yield self.clips[character]
            between = place == first_group and place < len(text)
            yield pause(BETWEEN_GROUPS_MS if between else AFTER_CHARACTER_MS)


def pack(
    language: str,
    *,
    own: Mapping[str, Mapping[str, bytes]] | None = None,
    languages: Mapping[str, Words] | None = None,
    least: Known = LEAST,
    brands: Callable[[str], bytes] = lambda _name: b"",
) -> Pack:
    """Choose what a person who asked for a language hears.

    A customer's own recordings go over the pack's. If they are all there, it does not matter what is known of
    the pack.

    Args:
        language: The tag of a language; one that nobody speaks here is answered in English.
        own: The customer's recordings of each language, from `recordings.read_recordings`.
        languages: What is known of each language, if not what the package says.
        least: How much must be known of a voice; that of the last resort is used whatever is known.
        brands: Returns how a brand is spoken, or nothing.

    Raises:
        LookupError: Not even English can be spoken; the installation is damaged.
    """
    own, languages = own or {}, languages or all_words()
    known = languages.get(language)
    for candidate in (language, *(known.nearest if known else ()), LAST_RESORT):
        needed = Known.UNJUDGED if candidate == LAST_RESORT else least
        clips = {**_shipped(languages.get(candidate), candidate, needed), **own.get(candidate, {})}
        if clips.keys() == set(CLIPS):
            heard = MappingProxyType(clips)
            return Pack(asked=language, language=candidate, clips=heard, brands=brands)
    raise LookupError("the English pack is missing from the installation")


def shipped(locale: str, _tenant: int = 0) -> Pack:
    """Return how a locale is spoken where nobody has recordings of their own."""
    return pack(locale)


def pause(milliseconds: int) -> bytes:
    """Return silence of at least so long, in whole frames."""
    return SILENT_FRAME * -(-milliseconds // FRAME_MS)


def _shipped(words: Words | None, language: str, least: Known) -> Mapping[str, bytes]:
    """Return the clips of a language that may be used; of a voice that may not, only borrowed letters."""
    if words is None:
        return {}
    letters = _clips(words.letters_of) if words.letters_of else {}
    borrowed = {name: letters[name] for name in LETTERS if name in letters}
    return {**borrowed, **_clips(language)} if words.known.suffices(least) else borrowed


@lru_cache(maxsize=64)  # files of the package; there are thirteen
def _clips(language: str) -> Mapping[str, bytes]:
    file = resources.files("dastak.voice").joinpath("packs", f"{language}.pack")
    return unpacked(file.read_bytes()) if file.is_file() else {}


def packed(clips: Mapping[str, bytes], *, words: str) -> bytes:
    """Make the file of a pack: a line that says what it is, a line of JSON, and the compressed octets.

    Args:
        clips: By name; each whole frames.
        words: The digest of what was spoken, by `words_digest`.
    """
    if wrong := [name for name, clip in clips.items() if len(clip) % FRAME_OCTETS or not clip]:
        raise ValueError(f"not whole frames: {', '.join(wrong)}")
    index = {"words": words, "frames": {name: len(clip) // FRAME_OCTETS for name, clip in clips.items()}}
    line = json.dumps(index, separators=(",", ":")).encode() + b"\n"
    return _MAGIC + line + zlib.compress(b"".join(clips.values()), 9)


def unpacked(octets: bytes) -> Mapping[str, bytes]:
    """Read the file of a pack.

    Raises:
        ValueError: It is none, or it is damaged.
    """
    index, rest = _opened(octets)
    inflate = zlib.decompressobj()
    try:
        audio = inflate.decompress(rest, PACK_OCTETS_MAX)
    except zlib.error as error:
        raise ValueError("the recordings of the pack are damaged") from error
    if not inflate.eof or len(audio) != sum(index.frames.values()) * FRAME_OCTETS:
        raise ValueError("the recordings of the pack are not as long as its index says")
    clips, at = {}, 0
    for name, frames in index.frames.items():
        clips[name] = audio[at : at + frames * FRAME_OCTETS]
        at += frames * FRAME_OCTETS
    return MappingProxyType(clips)


def spoken_words(octets: bytes) -> str:
    """Return the digest of the words that a pack was spoken from.

    Raises:
        ValueError: It is no pack.
    """
    return _opened(octets)[0].words


def words_digest(words: Words) -> str:
    """Return what changes with the words and the voice, so that a pack can be told to be behind them."""
    voice = [words.voice.engine, words.voice.name, words.voice.words_per_minute]
    return hashlib.sha256(json.dumps([voice, dict(spoken(words))], sort_keys=True).encode()).hexdigest()


def _opened(octets: bytes) -> tuple[_Index, bytes]:
    line, found, rest = octets.removeprefix(_MAGIC).partition(b"\n")
    if not octets.startswith(_MAGIC) or not found:
        raise ValueError("this is no pack of prompts")
    try:
        return msgspec.json.decode(line, type=_Index), rest
    except msgspec.DecodeError as error:
        raise ValueError("the index of the pack cannot be read") from error
