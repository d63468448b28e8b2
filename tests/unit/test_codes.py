"""Codes are uniform, derived anew, compared safely, and read however a person typed them."""

import hashlib
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core import codes
from dastak.core.codes import (
    MATCH_DIGITS,
    MATCH_NUMBERS,
    SYMBOLS,
    TYPED_CHARACTERS_MAX,
    Alphabet,
    KeyRing,
    check_own_code,
    derive,
    digest,
    entropy_bits,
    match_number,
    matches,
    read_typed,
    trivial,
)
from dastak.core.errors import InvalidRequest

KEY = hashlib.sha256(b"a test key").digest()
ID = bytes(range(16))
MILLION = 1_000_000
# Worked out apart from the code under test, octet by octet with `hmac.new`.
GOLDEN = ["023317", "200744", "0233172452", "99N5YZXS"]


def make(count: int, length: int, alphabet: Alphabet) -> list[str]:
    return [
        derive(KEY, verification_id=n.to_bytes(16), generation=0, length=length, alphabet=alphabet)
        for n in range(count)
    ]


def chi_square_z(counts: Counter[str], bins: int) -> float:
    """Return how far counts are from even, in standard deviations (Wilson and Hilferty's approximation)."""
    expected = counts.total() / bins
    missing = bins - len(counts)
    chi_square = sum((count - expected) ** 2 for count in counts.values()) / expected + missing * expected
    free = bins - 1
    return ((chi_square / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))


# Two-sided p of 1e-4. The codes are always the same ones, so this cannot fail by chance.
Z_MAX = 3.9


def test_a_million_numeric_codes_are_uniform_and_uncorrelated() -> None:
    made = make(MILLION, 6, Alphabet.NUMERIC)

    symbols = "".join(made)
    assert len(symbols) == 6 * MILLION
    for position in range(6):
        assert abs(chi_square_z(Counter(symbols[position::6]), 10)) < Z_MAX
    assert abs(chi_square_z(Counter(symbols), 10)) < Z_MAX
    assert abs(chi_square_z(Counter(code[:3] for code in made), 1000)) < Z_MAX
    assert abs(chi_square_z(Counter(code[3:] for code in made), 1000)) < Z_MAX
    values = [int(code) for code in made]
    mean = sum(values) / MILLION
    around = [value - mean for value in values]
    covariance = sum(a * b for a, b in itertools.pairwise(around))
    assert abs(covariance / sum(a * a for a in around)) < 0.01


@pytest.mark.parametrize("length", [4, 6, 10])
def test_alphanumeric_codes_are_uniform_in_every_position(length: int) -> None:
    symbols = "".join(make(60_000, length, Alphabet.ALPHANUMERIC))

    for position in range(length):
        counts = Counter(symbols[position::length])
        assert set(counts) == set(SYMBOLS[Alphabet.ALPHANUMERIC])
        assert abs(chi_square_z(counts, 31)) < Z_MAX


@pytest.mark.parametrize("alphabet", Alphabet)
def test_every_symbol_stands_for_equally_many_octets(alphabet: Alphabet) -> None:
    symbols = codes._symbols(bytes(range(256)), alphabet)  # the heart of rule 2

    assert Counter(symbols.decode()) == dict.fromkeys(SYMBOLS[alphabet], 256 // len(SYMBOLS[alphabet]))


def test_derive_goes_on_with_the_stream_when_octets_were_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        """Give a first block with two usable octets, then a second one."""

        @staticmethod
        def digest(key: bytes, message: bytes, algorithm: str) -> bytes:
            return (b"\x01\x02" + b"\xff" * 30, b"\x03" * 32)[message[-1]]

    monkeypatch.setattr(codes, "hmac", Stream)

    code = derive(KEY, verification_id=ID, generation=0, length=6, alphabet=Alphabet.NUMERIC)

    assert code == "123333"


def test_derive_makes_the_codes_it_always_made() -> None:
    # A code is made again after an upgrade, so these may never change.
    made = [
        derive(KEY, verification_id=ID, generation=generation, length=length, alphabet=alphabet)
        for generation, length, alphabet in (
            (0, 6, Alphabet.NUMERIC),
            (1, 6, Alphabet.NUMERIC),
            (0, 10, Alphabet.NUMERIC),
            (0, 8, Alphabet.ALPHANUMERIC),
        )
    ]

    assert made == GOLDEN


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(4, 10),
    st.sampled_from(Alphabet),
)
def test_derive_gives_the_length_and_alphabet_asked(
    verification_id: bytes, generation: int, length: int, alphabet: Alphabet
) -> None:
    code = derive(
        KEY, verification_id=verification_id, generation=generation, length=length, alphabet=alphabet
    )

    assert len(code) == length
    assert set(code) <= set(SYMBOLS[alphabet])


def test_derive_depends_on_key_verification_and_generation() -> None:
    other = hashlib.sha256(b"another key").digest()
    made = {
        derive(
            key, verification_id=verification_id, generation=generation, length=10, alphabet=Alphabet.NUMERIC
        )
        for key in (KEY, other)
        for verification_id in (ID, ID[::-1])
        for generation in (0, 1)
    }

    assert len(made) == 8


@pytest.mark.parametrize("length", [0, 3, 11])
def test_derive_refuses_a_length_no_policy_allows(length: int) -> None:
    with pytest.raises(AssertionError):
        derive(KEY, verification_id=ID, generation=0, length=length, alphabet=Alphabet.NUMERIC)


def test_digest_is_bound_to_key_tenant_verification_and_code() -> None:
    other = hashlib.sha256(b"another key").digest()
    made = {
        digest(key, tenant=tenant, verification_id=verification_id, code=code)
        for key in (KEY, other)
        for tenant in (1, 2)
        for verification_id in (ID, ID + b"1", ID[:-1])
        for code in ("123456", "23456", "")
    }

    assert len(made) == 36
    assert {len(each) for each in made} == {32}


def test_digest_takes_any_text_that_was_typed() -> None:
    assert len(digest(KEY, tenant=1, verification_id=ID, code="\ud800")) == 32


@pytest.mark.parametrize(
    ("expected", "offered", "matched"),
    [
        ("123456", "123456", True),
        ("123456", "123457", False),
        ("123456", "12345", False),
        ("123456", "", False),
        ("123456", "१२३४५६", False),
        ("123456", "\ud800", False),
        (b"\x00\xff", b"\x00\xff", True),
        (b"\x00\xff", b"\x00\xfe", False),
    ],
)
def test_matches_only_what_is_equal(expected: str, offered: str, matched: bool) -> None:
    assert matches(expected, offered) is matched


def test_entropy_of_six_digits_is_what_nist_counts() -> None:
    assert round(entropy_bits(6, Alphabet.NUMERIC), 2) == 19.93
    assert round(entropy_bits(4, Alphabet.ALPHANUMERIC), 2) == 19.82
    assert round(entropy_bits(5, Alphabet.ALPHANUMERIC), 2) == 24.77


@pytest.mark.parametrize(
    "code",
    [
        "0000",
        "000000",
        "111111",
        "aaaa",
        "AAAA",
        "1234",
        "123456",
        "012345",
        "567890",
        "654321",
        "987654",
        "9876543210",
        "098765",
        "121212",
        "123123",
        "abcabc",
        "abcdef",
        "FEDCBA",
        "AbAb",
        "1212",
    ],
)
def test_trivial_names_what_anybody_guesses_first(code: str) -> None:
    assert trivial(code)


@pytest.mark.parametrize("code", ["482913", "135790", "112233", "100000", "123457", "A2C4E6", "1223"])
def test_trivial_lets_other_codes_be(code: str) -> None:
    assert not trivial(code)


@pytest.mark.parametrize("code", ["1234", "0000000000", "aZ09", "482913"])
def test_check_own_code_lets_letters_and_digits_through(code: str) -> None:
    assert check_own_code(code) == code


@pytest.mark.parametrize(
    "code",
    [
        "",
        "123",
        "12345678901",
        "123456\n",
        " 123456",
        "१२३४५६",
        "１２３４",
        "12-34",
        "12 34",
        "ſſſſ",
        "\x00123",
    ],
)
def test_check_own_code_refuses_anything_else(code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_own_code(code)

    assert refused.value.field == "code"


def test_key_ring_shows_no_key_and_cannot_be_changed() -> None:
    keys = {1: KEY, 2: KEY[::-1]}
    ring = KeyRing(current=2, keys=keys)
    keys.clear()

    assert ring.keys[2] == KEY[::-1]
    assert repr(ring) == "KeyRing(current=2)"
    with pytest.raises(TypeError):
        ring.keys[3] = KEY


def test_marks_tell_keys_apart_and_name_none_of_them() -> None:
    ours = KeyRing(current=1, keys={1: KEY, 2: KEY[::-1]}).marks()
    theirs = KeyRing(current=1, keys={1: KEY[::-1]}).marks()

    assert ours.keys() == {1, 2}
    assert ours[1] != ours[2] == theirs[1]
    assert all(mark not in KEY and KEY not in mark for mark in ours.values())


@pytest.mark.parametrize(
    ("current", "keys"),
    [
        (1, {}),
        (2, {1: KEY}),
        (1, {1: KEY[:31]}),
        (1, {1: KEY, 2: b"short"}),
        (1, {1: b"\x00" * 32}),
        (1, {1: b"changeme" * 8}),
    ],
)
def test_key_ring_refuses_keys_that_protect_nothing(current: int, keys: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match=r"[Kk]ey"):
        KeyRing(current=current, keys=keys)


@pytest.mark.parametrize(
    "text",
    [
        "482913",
        " 482913\n",
        "482 913",
        "48-29 13",
        "482–913",
        "482\u2212913",
        "4.8.2.9.1.3",
        "\u200e482913\u200f",
        "\ufeff482913",
        "482\u200b913",
        "482\u00a0913",
        "४८२९१३",
        "٤٨٢٩١٣",
        "۴۸۲۹۱۳",
        "４８２９１３",
        "৪৮২৯১৩",
        "௪௮௨௯௧௩",
        "48२913",
        "𝟒𝟖𝟐𝟗𝟏𝟑",
        "482913.",
        "482913 482913",
        "Your code is 482913",
        "Your code is 482913.",
        "code:482913",
        "G-482913 is your code",
        "482913 is your ACME code. Valid 5 min.",
        "482913 is your ACME code. Valid 5 min.\n@login.acme.in #482913",
        "482913 is your ACME code. Valid 5 min. @login.acme.in #482913",
        "<#> 482913 is your ACME code.\nFA+9qCX9VSu\n@login.acme.in #482913",
        "482913 is your code. @shop.example #482913 @bank.example FA+9qCX9VSu",
        "482913 आपका ACME लॉगिन कोड है। 5 मिनट मान्य।\n@login.acme.in #482913",
        "४८२९१३ आपका ACME लॉगिन कोड है। ५ मिनट मान्य।",
        "482913 உங்கள் ACME குறியீடு. 5 நிமிடம்.",
        "482913 మీ ACME కోడ్. 5 నిమిషాలు.",
        "482913 আপনার ACME কোড।",
        "482913 તમારો ACME કોડ છે.",
        "482913 ನಿಮ್ಮ ACME ಕೋಡ್.",
        "482913 നിങ്ങളുടെ ACME കോഡ്.",
        "482913 ਤੁਹਾਡਾ ACME ਕੋਡ ਹੈ।",
        "482913آپ کا ACME کوڈ ہے۔",
        "Rs 500000.00 to Ravi. OTP 482913",
        "Rs 5,00,000 to Ravi. OTP 482913",
        "Rs 500000 to Ravi. OTP 482913\n@bank.example #482913",
        "482913 is your code for Rs 500000 to Ravi",
        "<#> 482913 is your code for Rs 500000 to Ravi",
        "https://acme.in/123456 OTP 482913",
    ],
)
def test_read_typed_finds_the_six_digits(text: str) -> None:
    assert read_typed(text, length=6, alphabet=Alphabet.NUMERIC) == "482913"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "48291",
        "4829130",
        "482913482913",
        "²82913",
        "①②③④⑤⑥",
        "½82913",
        "abcdef",
        "Rs 500000 to Ravi. OTP 482913",
        "Your code is 482913, the old one was 111222",
        "@a.example #111222\n@a.example #482913",
        "ref 9482913x",
        "482913" + " " * TYPED_CHARACTERS_MAX,
        "1" * 1_000_000,
        "\x00482913x",
        "\ud800",
    ],
)
def test_read_typed_reads_nothing_when_it_is_not_plain(text: str) -> None:
    assert read_typed(text, length=6, alphabet=Alphabet.NUMERIC) is None


def test_read_typed_takes_the_code_that_opens_the_text_rather_than_a_year() -> None:
    text = "4829 is your ACME code, valid to 2 May 2031 10.30"

    assert read_typed(text, length=4, alphabet=Alphabet.NUMERIC) == "4829"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("AB2CD9", "AB2CD9"),
        ("ab2cd9", "AB2CD9"),
        ("ab2-cd9", "AB2CD9"),
        ("AB2 CD9\n", "AB2CD9"),
        ("ab२cd९", "AB2CD9"),
        ("AB2CD9 is your ACME code", "AB2CD9"),
        ("ABQCDR is your ACME code", "ABQCDR"),
        ("ABQCDR is your BANKER code", "ABQCDR"),
        ("Your code is AB2CD9.\n@login.acme.in #AB2CD9", "AB2CD9"),
        ("Your BANKER code is AB2CD9", None),
        ("AB2CD0", None),
        ("ſB2CD9", None),
        ("is your code ab2cd9 ok", None),
        ("valid banker", None),
    ],
)
def test_read_typed_reads_letters_and_digits(text: str, code: str | None) -> None:
    assert read_typed(text, length=6, alphabet=Alphabet.ALPHANUMERIC) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("aB3x", "aB3x"),
        ("a-B3 x", "aB3x"),
        ("Ab3X", "Ab3X"),
        ("abcd", "abcd"),
        ("aB3x is your ACME code", "aB3x"),
        ("Your code: aB3x", "aB3x"),
        ("Your code: abcd", None),
        ("Your code: abcd @login.acme.in #abcd", "abcd"),
        ("code aB3x or aB3y", None),
    ],
)
def test_read_typed_keeps_the_case_of_a_code_the_caller_chose(text: str, code: str | None) -> None:
    assert read_typed(text, length=4, alphabet=None) == code


CODES = st.builds(
    lambda n, length, alphabet: (
        derive(KEY, verification_id=n.to_bytes(16), generation=0, length=length, alphabet=alphabet),
        alphabet,
    ),
    st.integers(0, 2**64),
    st.integers(4, 10),
    st.sampled_from(Alphabet),
)
MARKS = st.text(alphabet=" \t\n\u00a0\u2009-–—.\u200b\u200e\u200f\u2060\ufeff", max_size=3)
# Where ten decimal digits begin: Arabic, Persian, Devanagari to Malayalam, full width.
ZEROS = st.sampled_from(
    [0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xFF10]
)


@given(
    CODES, st.lists(MARKS, min_size=11, max_size=11), st.lists(ZEROS, min_size=10, max_size=10), st.booleans()
)
def test_read_typed_reads_every_code_whatever_stands_between(
    made: tuple[str, Alphabet], marks: list[str], zeros: list[int], lower: bool
) -> None:
    code, alphabet = made
    written = [
        chr(zero + int(symbol)) if symbol.isdigit() else symbol
        for symbol, zero in zip(code.lower() if lower else code, zeros, strict=False)
    ]
    text = marks[0] + "".join(symbol + mark for symbol, mark in zip(written, marks[1:], strict=False))

    assert read_typed(text, length=len(code), alphabet=alphabet) == code


@given(
    CODES, st.sampled_from(["{} is your Acme login code. Valid 5 min.", "{} आपका Acme कोड है। 5 मिनट मान्य।"])
)
def test_read_typed_reads_every_code_from_our_own_text(made: tuple[str, Alphabet], template: str) -> None:
    code, alphabet = made
    text = template.format(code) + f"\n@login.acme.in #{code}"

    assert read_typed(text, length=len(code), alphabet=alphabet) == code
    assert read_typed(template.format(code), length=len(code), alphabet=alphabet) == code


@given(
    st.text(max_size=TYPED_CHARACTERS_MAX)
    | st.text(alphabet="0123456789aZ @#.-+/\n₹०\u200b\ud800", max_size=200),
    st.integers(4, 10),
    st.sampled_from([None, *Alphabet]),
)
def test_read_typed_never_raises_and_gives_only_codes(
    text: str, length: int, alphabet: Alphabet | None
) -> None:
    code = read_typed(text, length=length, alphabet=alphabet)

    if code is not None:
        assert len(code) == length
        assert check_own_code(code) == code
        assert alphabet is None or set(code) <= set(SYMBOLS[alphabet])


def test_number_of_the_page_is_made_again_and_is_no_part_of_the_code() -> None:
    number = match_number(KEY, verification_id=ID, generation=0)

    assert number == match_number(KEY, verification_id=ID, generation=0)
    others = [match_number(KEY, verification_id=ID, generation=n) for n in range(1, 20)]
    assert len(set(others)) > 10
    assert number not in derive(KEY, verification_id=ID, generation=0, length=10, alphabet=Alphabet.NUMERIC)


def test_every_number_of_a_page_is_equally_likely_and_begins_with_none_that_means_something_else() -> None:
    count = 80_000
    seen = Counter(match_number(KEY, verification_id=n.to_bytes(16), generation=0) for n in range(count))

    assert {len(number) for number in seen} == {MATCH_DIGITS}
    assert {number[0] for number in seen} == set("12345678")
    assert len(seen) == len(MATCH_NUMBERS) == 800
    expected = count / 800
    chi2 = sum((times - expected) ** 2 / expected for times in seen.values())
    # 799 degrees of freedom: mean 799, deviation 40; the key is fixed, so it never changes.
    assert abs(chi2 - 799) < 4 * 40
