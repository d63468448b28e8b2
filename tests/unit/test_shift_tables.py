"""The thirteen languages' tables: whole, as phones have them, and read as they were written."""

import unicodedata
from importlib.resources import files

import msgspec.toml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.sms import gsm7
from dastak.sms import shift_tables as tables
from dastak.sms.shift_tables import DEFAULT_SHIFT, Language, Shift

SHIFTS = (DEFAULT_SHIFT, *tables.shifts(Language))


def alphabet(shift: Shift) -> str:
    return "".join(map(chr, tables._codec(shift).septets))


def test_identifiers_are_those_of_the_standard() -> None:
    found = {language: tables._tables()[language].identifier for language in Language}

    assert found == {language: number for number, language in enumerate(Language, 1)}
    assert found[Language.HINDI] == 6
    assert found[Language.URDU] == 13


@pytest.mark.parametrize("language", Language)
def test_tables_have_128_places_and_an_escape_that_is_reserved(language: Language) -> None:
    found = tables._tables()[language]

    for rows in (found.single, found.locking):
        if language is Language.SPANISH and rows is found.locking:
            assert rows == ()
            continue
        assert [len(row.split()) for row in rows] == [16] * 8
        assert rows[1].split()[0xB] == tables.RESERVED


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
def test_every_character_comes_back(shift: Shift) -> None:
    text = alphabet(shift)

    assert tables.decode(tables.encode(text, shift), shift) == text
    for char in text:
        septets = tables.encode(char, shift)
        assert len(septets) in {1, 2}
        assert tables.decode(septets, shift) == char


@pytest.mark.parametrize("language", [language for language in Language if language is not Language.SPANISH])
def test_locking_table_has_no_character_twice_and_what_every_text_needs(language: Language) -> None:
    codes = " ".join(tables._tables()[language].locking).split()
    written = [code for code in codes if code != tables.RESERVED]

    assert len(written) == len(set(written))
    for char in "0123456789 abcdefghijklmnopqrstuvwxyz\n\r.,?!:;()":
        assert len(tables.encode(char, Shift(language, None))) == 1


@pytest.mark.parametrize("language", list(Language)[3:])
def test_letters_are_of_the_script(language: Language) -> None:
    script = {"oriya": "ORIYA", "punjabi": "GURMUKHI", "hindi": "DEVANAGARI", "urdu": "ARABIC"}.get(
        language, language.upper()
    )
    letters = [
        char for char in alphabet(Shift(language, language)) if ord(char) >= 0x0300 and char not in "€"
    ]

    names = {char: unicodedata.name(char) for char in letters}
    # The danda of all scripts is named after Devanagari.
    assert {c: n for c, n in names.items() if script not in n and c not in "।॥ΔΦΓΛΩΠΨΣΘΞ"} == {}
    assert len(letters) > 50


def test_misprints_of_the_standard_are_set_right() -> None:
    assert tables.encode("\u0ca1", Shift(Language.KANNADA, None)) == b"\x24"
    assert tables.encode("\u0caa", Shift(Language.KANNADA, None)) == b"\x3d"
    assert tables.encode("\u0bee", Shift(None, Language.TAMIL)) == b"\x1b\x24"
    assert tables.encode("\u0bef", Shift(None, Language.TAMIL)) == b"\x1b\x25"


@pytest.mark.parametrize("language", list(Language)[3:])
def test_autofill_line_costs_a_septet_more_for_each_mark_of_it(language: Language) -> None:
    line = "@login.acme.in #123456"

    assert len(tables.encode(line, Shift(language, language))) == len(line) + 2


def test_default_shift_is_the_default_alphabet() -> None:
    text = "Hello @ [€] Δ"

    assert tables.encode(text, DEFAULT_SHIFT) == gsm7.encode(text)
    assert tables.decode(gsm7.encode(text), DEFAULT_SHIFT) == text


def test_header_names_the_tables_and_is_read_back() -> None:
    both = Shift(Language.HINDI, Language.HINDI)

    assert tables.elements(both) == bytes.fromhex("250106 240106")
    assert tables.shift_of({0x25: b"\x06", 0x24: b"\x06"}) == both
    assert tables.shift_of({0x25: b"\x63", 0x24: b""}) == DEFAULT_SHIFT


def test_character_that_the_tables_lack_is_named() -> None:
    with pytest.raises(UnicodeEncodeError, match="not in the shift tables") as lacking:
        tables.encode("कোড", Shift(Language.HINDI, None))

    assert lacking.value.start == 1


@given(st.binary(max_size=200).map(lambda octets: bytes(o & 0x7F for o in octets)), st.sampled_from(SHIFTS))
def test_any_septets_can_be_read(septets: bytes, shift: Shift) -> None:
    assert len(tables.decode(septets, shift)) <= len(septets)


@given(st.data(), st.sampled_from(SHIFTS))
def test_texts_come_back(data: st.DataObject, shift: Shift) -> None:
    text = data.draw(st.text(st.sampled_from(alphabet(shift)), max_size=80))

    assert tables.decode(tables.encode(text, shift), shift) == text


def test_data_file_has_nothing_else() -> None:
    octets = (files("dastak.sms") / "data" / "shift_tables.toml").read_bytes()

    assert list(msgspec.toml.decode(octets)) == list(Language)
