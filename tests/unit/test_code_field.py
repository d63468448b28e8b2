"""What people type, paste and mistype into the field for a code."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.codes import SYMBOLS, TYPED_CHARACTERS_MAX, Alphabet
from dastak.web.code_field import FieldRead, Misread, read_digits, read_letters

UNREADABLE = FieldRead(misread=Misread.UNREADABLE)
_DIGITS = st.text("0123456789", min_size=6, max_size=6)
# One of each ten: a script's digit nought.
_NOUGHTS = [chr(n) for n in range(0x11000) if unicodedata.decimal(chr(n), -1) == 0]


@pytest.mark.parametrize(
    "typed",
    [
        "482913",
        "482 913",
        "48-29 13",
        "482\u2013913",
        "\u200e482913\u200f",
        "४८२९१३",
        "٤٨٢٩١٣",
        "４８２９１３",
        "482913 is your Acme code.\n\n@bank.example #482913",
        "Rs 500000 to Ravi. OTP 482913\n@bank.example #482913",
        "Rs 500000 to Ravi. OTP 482913 @bank.example #482913",
        "Your code is 482913",
        "482913 আপনার কোড। 5 মিনিট।",
        "४८२९१३ आपका कोड है।",
        "482913\u0964",
    ],
)
def test_digits_are_read_from_what_people_type_and_paste(typed: str) -> None:
    assert read_digits(typed, 6) == FieldRead("482913")


@pytest.mark.parametrize(
    "typed",
    [
        "Rs 500000 to Ravi. OTP 482913",
        "²34567",
        "①②③④⑤⑥",
        "",
        " \u200f ",
        "hello",
        "4829134 is no code of ours",
        "@a.example #111111\n@b.example #222222",
        "9" * (TYPED_CHARACTERS_MAX + 1),
    ],
)
def test_no_digits_are_read_where_none_or_two_could_be_meant(typed: str) -> None:
    assert read_digits(typed, 6) == UNREADABLE


@pytest.mark.parametrize(("typed", "count"), [("48291", 5), ("4829 1345", 8), ("४८", 2), ("0", 1)])
def test_digits_alone_are_counted_if_they_are_too_few_or_too_many(typed: str, count: int) -> None:
    assert read_digits(typed, 6) == FieldRead(misread=Misread.LENGTH, digits=count)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("k7p2qz", FieldRead("K7P2QZ")),
        ("K7P-2QZ", FieldRead("K7P2QZ")),
        ("\u200eK7P 2QZ\u200f", FieldRead("K7P2QZ")),
        ("K७P२QZ", FieldRead("K7P2QZ")),
        ("K7P2QZ is your Acme code.\n\n@bank.example #K7P2QZ", FieldRead("K7P2QZ")),
        ("K7P2QZ is your Acme code.", UNREADABLE),
        ("Please send", UNREADABLE),
        ("K7P2Q", UNREADABLE),
        ("K7P2Q0", UNREADABLE),
        ("K7P2Qß", UNREADABLE),
    ],
)
def test_letters_are_read_alone_or_from_our_own_last_line(typed: str, read: FieldRead) -> None:
    assert read_letters(typed, 6) == read


def test_case_of_a_code_that_the_caller_chose_is_kept() -> None:
    assert read_letters("aB-0l", 4, own=True) == FieldRead("aB0l")


@given(
    code=_DIGITS,
    nought=st.sampled_from(_NOUGHTS),
    between=st.text(" -\u2013\u2014\u00a0\u200e\u200f\u2066\u2069.", max_size=3),
)
def test_every_script_and_mark_between_reads_as_the_same_code(code: str, nought: str, between: str) -> None:
    written = between.join(chr(ord(nought) + int(digit)) for digit in code)

    assert read_digits(f"{between}{written}{between}", 6) == FieldRead(code)


@given(raw=st.text(max_size=600), length=st.integers(4, 10))
def test_whatever_is_typed_reads_as_a_code_or_as_none(raw: str, length: int) -> None:
    digits, letters = read_digits(raw, length), read_letters(raw, length)

    assert (digits.misread is None) is (len(digits.code) == length and digits.code.isascii())
    assert digits.code == "" or set(digits.code) <= set("0123456789")
    assert letters.code == "" or set(letters.code) <= set(SYMBOLS[Alphabet.ALPHANUMERIC])
    assert letters.code == "" or len(letters.code) == length


@given(code=_DIGITS, before=st.text("ab \n:", max_size=20), host=st.sampled_from(["a.example", "x-1.co.in"]))
def test_last_line_of_our_text_decides_whatever_stands_before(code: str, before: str, host: str) -> None:
    assert read_digits(f"{before}500000 {before}\n@{host} #{code}", 6) == FieldRead(code)
