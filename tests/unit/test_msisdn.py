"""One phone has one spelling, and every answer is libphonenumber's."""

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberType

from dastak.core.errors import InvalidMsisdn, InvalidRequest
from dastak.core.msisdn import (
    SATELLITE_CALLING_CODES,
    SPELLING_CHARACTERS_MAX,
    LineType,
    Number,
    mask,
    parse,
    region_of,
)

INDIAN = "+919876543210"
THEIRS = "+919812345670"  # not the number that our own sentences show

LINES = {
    PhoneNumberType.MOBILE: LineType.MOBILE,
    PhoneNumberType.FIXED_LINE: LineType.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: LineType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: LineType.PREMIUM,
    PhoneNumberType.SHARED_COST: LineType.SHARED_COST,
    PhoneNumberType.VOIP: LineType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: LineType.PERSONAL,
    PhoneNumberType.PAGER: LineType.PAGER,
    PhoneNumberType.UAN: LineType.UAN,
    PhoneNumberType.VOICEMAIL: LineType.VOICEMAIL,
}

# Each way a numbering plan can be odd: shared calling codes, leading zeros, trunk prefixes that are
# transformed, plans of several lengths, and codes of no country.
# fmt: off
COUNTRIES = (
    "IN", "US", "CA", "JM", "PR", "GB", "JE", "IM", "RU", "KZ", "IT", "VA", "AU", "CX", "FI", "AX", "NO",
    "SJ", "MA", "AR", "BR", "MX", "DE", "JP", "AE", "GA", "MG", "SM", "CW", "BQ", "NF", "GP", "SH", "TA",
    "CN",
)
# fmt: on
SAMPLES_PER_COUNTRY = 700
assert len(COUNTRIES) * SAMPLES_PER_COUNTRY >= 20_000

# security.md, section 6.1: what libphonenumber makes of them for India.
RESOLVING = (
    "+919876543210",
    "09876543210",
    "9876543210",
    "00919876543210",
    "+91 (98765) 43210",
    "+91-98765-43210;ext=5",
    "+919876543210x123",
    "+९१९८७६५४३२१०",
    "＋919876543210",
    "+91９876543210",
    "+919876543210\n",
    "+9109876543210",
    "+919876543210 ",
    "\u200b+919876543210",
    "+91\u00a098765\u00a043210",
)
REFUSED = (
    "0919876543210",
    "Call +919876543210 now",
    "+91 98765-FLOWER",
    "+9191919876543210",
    "1909876543210",
    "tel:9876543210;phone-context=",
    "+919876543210,+919876543211",
)


def by_library(text: str) -> tuple[str, str | None, LineType] | None:
    """Ask libphonenumber alone what `parse` should answer."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    line = LINES[phonenumbers.number_type(number)]
    if number.country_code in SATELLITE_CALLING_CODES:
        line = LineType.SATELLITE
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.region_code_for_number(number), line


def by_us(text: str) -> tuple[str, str, LineType] | None:
    try:
        number = parse(text)
    except InvalidMsisdn:
        return None
    return number.msisdn, number.country, number.line


def descs(metadata: PhoneMetadata) -> Iterator[str]:
    """Yield the example numbers of every kind of line in a plan."""
    for kind in (
        metadata.mobile,
        metadata.fixed_line,
        metadata.toll_free,
        metadata.premium_rate,
        metadata.shared_cost,
        metadata.voip,
        metadata.personal_number,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
    ):
        if kind is not None and kind.example_number:
            yield kind.example_number


def samples(metadata: PhoneMetadata, dice: random.Random) -> Iterator[str]:
    """Yield numbers near a plan's edge: its examples with digits changed, added, taken or a trunk prefix."""
    examples = list(descs(metadata))
    for _ in range(SAMPLES_PER_COUNTRY):
        digits = list(dice.choice(examples))
        for _ in range(dice.choice((0, 1, 2, 4, len(digits)))):
            digits[dice.randrange(len(digits))] = dice.choice("0123456789")
        change = dice.random()
        if change < 0.1:
            digits.insert(dice.randrange(len(digits)), dice.choice("0123456789"))
        elif change < 0.15:
            digits.pop()
        elif change < 0.25:
            digits.insert(0, metadata.national_prefix or "0")
        text = f"+{metadata.country_code}{''.join(digits)}"
        if 8 <= len(text) <= 16:
            yield text


def test_parse_says_whose_number_it_is() -> None:
    assert parse(INDIAN) == Number(msisdn=INDIAN, country="IN", calling_code=91, line=LineType.MOBILE)


@pytest.mark.parametrize("region", COUNTRIES)
def test_parse_answers_as_the_library_does(region: str) -> None:
    metadata = PhoneMetadata.metadata_for_region(region)
    texts = set(samples(metadata, random.Random(region)))

    different = [text for text in texts if by_us(text) != by_library(text)]

    assert different == []
    assert any(by_us(text) for text in texts)


@given(st.integers(min_value=1_000_000, max_value=999_999_999_999_999))
def test_parse_answers_as_the_library_does_for_any_digits(digits: int) -> None:
    text = f"+{digits}"

    assert by_us(text) == by_library(text)


def test_parse_knows_every_example_number_of_the_library() -> None:
    plans = [PhoneMetadata.metadata_for_region(region) for region in phonenumbers.SUPPORTED_REGIONS]
    plans += [
        PhoneMetadata.metadata_for_nongeo_region(code)
        for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS
    ]
    examples = {f"+{plan.country_code}{example}" for plan in plans for example in descs(plan)}
    e164 = {example for example in examples if len(example) >= 8}

    different = [example for example in e164 if by_us(example) != by_library(example)]

    assert different == []
    assert len(e164) > 1000


@given(st.sampled_from(COUNTRIES), st.randoms(use_true_random=False))
def test_parse_of_a_msisdn_gives_the_same_msisdn(region: str, dice: random.Random) -> None:
    text = next(samples(PhoneMetadata.metadata_for_region(region), dice))
    read = by_us(text)

    if read is not None:
        assert by_us(read[0]) == read


@pytest.mark.parametrize(
    ("text", "country", "line"),
    [
        ("+14155550123", "US", LineType.FIXED_LINE_OR_MOBILE),
        ("+14165550123", "CA", LineType.FIXED_LINE_OR_MOBILE),
        ("+19005550123", "US", LineType.PREMIUM),
        ("+447012345678", "GB", LineType.PERSONAL),
        ("+911123456789", "IN", LineType.FIXED_LINE),
        ("+911800123456", "IN", LineType.TOLL_FREE),
        ("+911861123456789", "IN", LineType.PREMIUM),
        ("+80012345678", "001", LineType.TOLL_FREE),
        ("+80812345678", "001", LineType.SHARED_COST),
        ("+979123456789", "001", LineType.PREMIUM),
        ("+870301234567", "001", LineType.SATELLITE),
        ("+881612345678", "001", LineType.SATELLITE),
        ("+8823421234", "001", LineType.SATELLITE),
        ("+883510012345", "001", LineType.SATELLITE),
        ("+878101234567890", "001", LineType.VOIP),
        ("+88812345678901", "001", LineType.UAN),
    ],
)
def test_parse_tells_costly_lines_from_others(text: str, country: str, line: LineType) -> None:
    number = parse(text)

    assert (number.country, number.line) == (country, line)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "919812345670",
        "+0919812345670",
        "+91981234",
        "+9198123456701234",
        THEIRS + "\n",
        THEIRS + " ",
        THEIRS + "\x00",
        THEIRS + ";ext=5",
        THEIRS + "x123",
        "\u200e" + THEIRS,
        "%2B919812345670",
        "+९१९८१२३४५६७०",
        "＋919812345670",
        "+91９876543210",
        "+91 98123 45670",
        "+1²025550123",
        "+" + "9" * 1_000_000,
        "+2109812345670",  # nobody has 210
        "+15555550123",  # a calling code, but no such area
        "+910000000000",
    ],
)
def test_parse_refuses_what_is_not_a_number_in_ascii_e164(text: str) -> None:
    with pytest.raises(InvalidMsisdn) as refused:
        parse(text)

    assert "9812345670" not in refused.value.detail
    assert refused.value.field == "to"


@pytest.mark.parametrize("text", RESOLVING)
def test_parse_with_a_region_makes_one_number_of_all_its_spellings(text: str) -> None:
    assert parse(text, default_region="IN").msisdn == INDIAN


@pytest.mark.parametrize(
    "text",
    [
        *REFUSED,
        "+91 98765-FLOWE",  # its letters would dial; they are refused all the same
        "",
        "\x00",
        "+" * 60,
        "9" * (SPELLING_CHARACTERS_MAX + 1),
        " " * 1_000_000,
        "+2908",
    ],
)
def test_parse_with_a_region_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(InvalidMsisdn) as refused:
        parse(text, default_region="IN")

    assert text == "" or text not in refused.value.detail


def test_parse_with_a_region_keeps_the_library_out_of_seventeen_digits() -> None:
    # Germany has national numbers of fifteen digits; with the calling code they are longer than E.164.
    with pytest.raises(InvalidMsisdn, match="7 to 15"):
        parse("+49 180 0 12345678901 2", default_region="DE")


@pytest.mark.parametrize("region", ["", "in", "XX", "001", "INDIA"])
def test_parse_refuses_a_region_that_is_none(region: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("9876543210", default_region=region)

    assert refused.value.field == "default_region"


@given(
    st.text(max_size=80) | st.text(alphabet="+0123456789०९（）-;,x=tel:phone-context \x00\u202e", max_size=80)
)
def test_parse_raises_nothing_but_its_refusal_whatever_is_typed(text: str) -> None:
    for region in (None, "IN"):
        try:
            number = parse(text, default_region=region)
        except InvalidMsisdn:
            continue
        assert parse(number.msisdn) == number


@pytest.mark.parametrize(
    ("msisdn", "masked"),
    [
        (INDIAN, "+9198******10"),
        ("+14155550123", "+141******23"),
        ("+2908257", "+290**57"),
        ("+6834000", "+683**00"),
        ("+80012345678", "+80012****78"),
        ("+210987654321", "+21********21"),
        ("not a number", "+***"),
        ("", "+***"),
    ],
)
def test_mask_hides_at_least_half_of_the_national_digits(msisdn: str, masked: str) -> None:
    assert mask(msisdn) == masked


@pytest.mark.parametrize(
    ("countries", "region"),
    [
        (("AE",), "AE"),
        (("AE", "IN"), "IN"),
        (("BD", "IN", "NP"), "IN"),
        (("CA", "US"), "CA"),
        (("AE", "SG"), "AE"),
        ((), "IN"),
    ],
)
def test_number_without_calling_code_is_of_a_country_that_is_open(
    countries: tuple[str, ...], region: str
) -> None:
    assert region_of(countries) == region
