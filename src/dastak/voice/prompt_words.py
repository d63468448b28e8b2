"""The words of a call in each language: what is said, by which voice, and what is known of how it sounds.

1. They stand in `packs/*.toml` and nowhere else; `make prompts` speaks them, nothing does at run time.
2. No marketing, no account and no number to call back: whoever answers learns only that a code was asked for.
3. A language says what nobody has checked. Where its voice is not acceptable, the nearest that is speaks.
"""

import string
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

import msgspec
import msgspec.toml

DIGITS: Final = tuple(string.digits)
LETTERS: Final = tuple(string.ascii_uppercase)
# The gate asks for one of ten digits, each a phrase of its own: spliced from two clips it would hold a digit
# of the code, and no recording could prove that a silent callee hears none.
GATES: Final = tuple(f"gate_{digit}" for digit in DIGITS)
PHRASES: Final = (
    "instead",  # before the greeting, where another language was asked for
    "greeting",
    "code_is",
    "once_more",  # before each reading but the first
    "menu",  # 1: again; 9: "I did not ask for this"
    "unasked",  # only the second half of it, after `match`
    "wrong_key",
    "reported",  # after 9
    "goodbye",
    "match",  # where the person types what the page shows, and no code is spoken
)
CLIPS: Final = (*DIGITS, *LETTERS, *GATES, *PHRASES)


class Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What speaks the words, and on which terms its speech may be given away."""

    engine: str  # kokoro or espeak-ng
    name: str  # as the engine calls it
    licence: str
    words_per_minute: int


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language of `packs/*.toml`.

    Attributes:
        name: In English.
        native_speaker: Whether one has read the words and listened to the voice.
        acceptable: Whether the pack may be used; if not, `nearest` is gone through, then English.
        judged: What is known of how well the voice is understood, in a sentence for the docs.
        digits: From zero to nine.
        letters: A to Z, each with its spelling word; none if `letters_of` names the pack that spells them.
        phrases: `PHRASES`, and `gate` with a place for its digit.
        say: What the voice is given instead, for clips that it would misread.
    """

    name: str
    native_speaker: bool
    acceptable: bool
    judged: str
    nearest: tuple[str, ...]
    digits: tuple[str, ...]
    voice: Voice
    phrases: dict[str, str]
    letters: dict[str, str] = {}
    letters_of: str = ""
    say: dict[str, str] = {}


def written(words: Words) -> Mapping[str, str]:
    """Return the text of every clip of the language's own pack, as a person would write it."""
    gate = words.phrases["gate"]
    gates = {name: gate.format(digit=word) for name, word in zip(GATES, words.digits, strict=True)}
    digits = dict(zip(DIGITS, words.digits, strict=True))
    return digits | words.letters | gates | {name: words.phrases[name] for name in PHRASES}


def spoken(words: Words) -> Mapping[str, str]:
    """Return the text of every clip of the language's own pack, as its voice must be given it."""
    digits = {name: words.say.get(name, word) for name, word in zip(DIGITS, words.digits, strict=True)}
    gate = words.say.get("gate", words.phrases["gate"])
    gates = {name: gate.format(digit=digits[name.removeprefix("gate_")]) for name in GATES}
    said = {name: text for name, text in words.say.items() if name != "gate"}
    return {**written(words), **said, **gates}


@lru_cache(maxsize=1)  # files of the package
def all_words() -> Mapping[str, Words]:
    """Return the words of every language by its tag, in the order of the alphabet."""
    files = sorted(resources.files("dastak.voice").joinpath("packs").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml"): msgspec.toml.decode(file.read_bytes(), type=Words)
        for file in files
        if file.name.endswith(".toml")
    }
