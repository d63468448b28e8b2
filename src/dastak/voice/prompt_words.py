"""The words of a call in each language: what is said, by which voice, and what is known of how it sounds.

1. They stand in `packs/*.toml` and nowhere else; `make prompts` speaks them, nothing does at run time.
2. No marketing, no account and no number to call back: whoever answers learns only that a code was asked for.
3. A language says how much is known of its voice. Where that is too little for an operator, the nearest
   language of which enough is known speaks.
"""

import string
from collections.abc import Mapping
from enum import StrEnum
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


class Known(StrEnum):
    """How much is known of a language's voice, the least first."""

    UNFIT = "unfit"  # a listener found it useless
    UNJUDGED = "unjudged"  # nobody listened, and the voice misreads the language in places
    READ = "read"  # the phonemes of the digits were read and are right; nobody listened
    MEASURED = "measured"  # a recogniser tells the digits apart
    HEARD = "heard"  # a native speaker has read the words and listened to the voice

    def suffices(self, least: "Known") -> bool:
        """Say whether this is as much as is asked for."""
        order = list(Known)
        return order.index(self) >= order.index(least)


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
        known: How much is known of the voice.
        judged: That in a sentence for the docs.
        nearest: What is spoken instead where that is too little, best first; then English.
        digits: From zero to nine.
        letters: A to Z, each with its spelling word; none if `letters_of` names the pack that spells them.
        phrases: `PHRASES`, and `gate` with a place for its digit.
        say: What the voice is given instead, for clips that it would misread.
    """

    name: str
    known: Known
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
