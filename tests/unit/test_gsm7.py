"""The GSM 7-bit alphabet against the published table and another implementation of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import gsm as oracle

from dastak.sms import gsm7

# Octet 00 to 7F of TS 23.038 6.2.1; what is not named here is as in ASCII.
_NAMED = {
    0x00: "@", 0x01: "£", 0x02: "$", 0x03: "¥", 0x04: "è", 0x05: "é", 0x06: "ù", 0x07: "ì", 0x08: "ò",
    0x09: "Ç", 0x0A: "\n", 0x0B: "Ø", 0x0C: "ø", 0x0D: "\r", 0x0E: "Å", 0x0F: "å", 0x10: "Δ", 0x11: "_",
    0x12: "Φ", 0x13: "Γ", 0x14: "Λ", 0x15: "Ω", 0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1A: "Ξ",
    0x1C: "Æ", 0x1D: "æ", 0x1E: "ß", 0x1F: "É", 0x24: "¤", 0x40: "¡", 0x5B: "Ä", 0x5C: "Ö", 0x5D: "Ñ",
    0x5E: "Ü", 0x5F: "§", 0x60: "¿", 0x7B: "ä", 0x7C: "ö", 0x7D: "ñ", 0x7E: "ü", 0x7F: "à",
}  # fmt: skip
_TABLE = {value: _NAMED.get(value, chr(value)) for value in range(128) if value != gsm7.ESC}
_EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F,
    "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
_ACCEPTED = "".join(_TABLE.values()) + "".join(_EXTENSION)

gsm_texts = st.text(st.sampled_from(_ACCEPTED))
septet_strings = st.lists(st.integers(0, 127)).map(bytes)


def test_every_basic_character_is_its_octet():
    assert {value: gsm7.encode(char) for value, char in _TABLE.items()} == {v: bytes([v]) for v in _TABLE}


def test_every_extension_character_is_escape_and_its_octet():
    assert {char: gsm7.encode(char) for char in _EXTENSION} == {
        char: bytes([0x1B, value]) for char, value in _EXTENSION.items()
    }


def test_every_other_character_of_the_basic_plane_is_foreign():
    plane = (chr(point) for point in range(0x10000))

    assert {char for char in plane if gsm7.first_foreign(char) is None} == set(_ACCEPTED)


# The peer lacks the form feed and has a backtick in the place of the section sign.
@given(st.text(st.sampled_from(_ACCEPTED.replace("\f", "").replace("§", ""))))
def test_encode_agrees_with_smpplib(text):
    assert gsm7.encode(text) == oracle.gsm_encode(text)


@given(gsm_texts)
def test_decode_returns_what_was_encoded(text):
    assert gsm7.decode(gsm7.encode(text)) == text


@given(septet_strings)
def test_decode_reads_any_septets(septets):
    shown = gsm7.decode(septets)

    assert gsm7.first_foreign(shown) is None
    assert len(shown) <= len(septets)


@pytest.mark.parametrize(
    ("septets", "shown"),
    [
        (b"\x00\x00", "@@"),
        (b"a\x1b", "a "),
        (b"\x1b\x1bA", " A"),
        (b"\x1bA", "A"),
        (b"\x1b\x00", "@"),
        (b"\x1b\x65\x1b\x14", "€^"),
        (b"a\x1b\x0ab", "a\fb"),
    ],
)
def test_decode_shows_what_a_phone_would(septets, shown):
    assert gsm7.decode(septets) == shown


def test_decode_refuses_octets_that_are_no_septets():
    with pytest.raises(UnicodeDecodeError):
        gsm7.decode(b"caf\xe9")


@pytest.mark.parametrize("char", ["₹", "`", "\t", "\u00a0", "–", "’", "ç", "\x00", "\x1b", "अ", "😀"])
def test_first_foreign_names_the_culprit(char):
    assert gsm7.first_foreign(f"€1 is {char} {char}") == (6, char)


def test_first_foreign_is_none_for_upper_case_c_with_cedilla():
    assert gsm7.first_foreign("Ça va, Rs. 100") is None


def test_encode_names_place_and_character_but_not_the_text_when_one_is_foreign():
    with pytest.raises(UnicodeEncodeError, match=r"'\\u20b9' in position 7") as caught:
        gsm7.encode("123456 ₹1")

    assert "123456" not in str(caught.value)


def test_replacements_are_for_foreign_characters_and_cure_them():
    for char, advice in gsm7.REPLACEMENTS.items():
        assert gsm7.first_foreign(char) == (0, char)
        assert gsm7.first_foreign(advice) is None


def test_pack_makes_the_well_known_octets():
    # The customary example of a user data field.
    assert gsm7.pack(gsm7.encode("hellohello")) == bytes.fromhex("E8329BFD4697D9EC37")


def test_pack_makes_140_octets_of_160_septets():
    assert len(gsm7.pack(bytes(160))) == 140


@given(septet_strings)
def test_unpack_returns_what_was_packed(septets):
    assert gsm7.unpack(gsm7.pack(septets), len(septets)) == septets


def test_unpack_refuses_more_septets_than_there_are():
    with pytest.raises(ValueError, match="hold no"):
        gsm7.unpack(bytes(7), 9)
