"""The sentences of pages in thirteen languages: each is there, is another one, and has the same places."""

import re
from importlib.resources import files

import msgspec.toml
import pytest

from dastak.web.page_words import LANGUAGES

# The code page, the login and landing pages: what a native speaker reads in two hours.
SENTENCES_MAX = 146
_PLACE = re.compile(r"\{[a-z_]+\}")
_BLOCKS = {
    "hi": "\u0900-\u097f", "bn": "\u0980-\u09ff", "te": "\u0c00-\u0c7f", "mr": "\u0900-\u097f",
    "ta": "\u0b80-\u0bff", "gu": "\u0a80-\u0aff", "kn": "\u0c80-\u0cff", "ml": "\u0d00-\u0d7f",
    "pa": "\u0a00-\u0a7f", "or": "\u0b00-\u0b7f", "as": "\u0980-\u09ff", "ur": "\u0600-\u06ff",
}  # fmt: skip


def catalogue(language: str) -> dict[str, str]:
    text = files("dastak.web").joinpath("words", f"{language}.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=dict[str, str])


ENGLISH = catalogue("en")


def test_english_is_short_enough_to_be_read_by_a_volunteer() -> None:
    assert len(ENGLISH) <= SENTENCES_MAX


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_sentence_is_in_the_language_and_has_the_same_places(language: str) -> None:
    said = catalogue(language)

    assert list(said) == list(ENGLISH)
    assert {name: sorted(_PLACE.findall(text)) for name, text in said.items()} == {
        name: sorted(_PLACE.findall(text)) for name, text in ENGLISH.items()
    }
    letters = re.compile(f"[{_BLOCKS[language]}]")
    assert [name for name, text in said.items() if not letters.search(text)] == []


def test_bengali_and_assamese_are_not_mixed_up() -> None:
    # Only Assamese has these two letters, and it never has the Bengali one.
    assamese, bengali = "\n".join(catalogue("as").values()), "\n".join(catalogue("bn").values())

    assert re.search("[ৰৱ]", assamese)
    assert "র" not in assamese
    assert not re.search("[ৰৱ]", bengali)
