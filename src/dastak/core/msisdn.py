"""Read a telephone number and say whose it is: its one spelling, its country, its kind of line.

1. A phone has one `Msisdn`, however it was typed: limits, fraud counts and storage all use that spelling.
2. Without a default region only ASCII E.164 is read; whoever wants leniency names a region.
3. Every answer is libphonenumber's, but for satellite networks, which have a kind of line of their own.
4. libphonenumber takes 30 us a number, so its patterns are compiled into one expression for each calling
   code and count of digits. Rare spellings still go through the library; a test holds both ways equal.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple, NewType

import msgspec
import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from dastak.core.errors import InvalidMsisdn, InvalidRequest

Msisdn = NewType("Msisdn", str)

# At most 15 digits, and no calling code begins with 0 (ITU-T E.164, section 6). Seven is our own floor.
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
# Room for 15 digits with marks between them and an extension; a longer text is not a number.
SPELLING_CHARACTERS_MAX: Final = 64
# With fewer national digits a mask shows only the last two, or it would show half the number.
_MASK_NATIONAL_DIGITS_MIN: Final = 8

# Where a number without a calling code is read, unless a service opened one country and no other.
REGION_DEFAULT: Final = "IN"

_CALLING_CODES: Final[Mapping[str, int]] = {
    str(calling_code): calling_code for calling_code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE
}


class LineType(StrEnum):
    """What kind of line a number belongs to."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    SATELLITE = "satellite"
    UNKNOWN = "unknown"


# Inmarsat, the global mobile satellite system, and the two codes that international networks share: many of
# those are satellite, ship or aircraft networks, and all cost like them. libphonenumber says mobile or VoIP.
# Source: ITU-T, List of ITU-T Recommendation E.164 assigned country codes.
SATELLITE_CALLING_CODES: Final = frozenset({870, 881, 882, 883})


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number that a numbering plan knows.

    A `msgspec.Struct`, because every start makes one and it costs a fifth of a dataclass.

    Attributes:
        country: ISO 3166-1 alpha-2 region, or `001` when the calling code belongs to no country.
        calling_code: 91 for India.
    """

    msisdn: Msisdn
    country: str
    calling_code: int
    line: LineType


def parse(text: str, *, default_region: str | None = None) -> Number:
    """Read a number.

    Args:
        text: E.164 in ASCII digits (`+919876543210`). With `default_region` any spelling that people there
            use; an extension is dropped.
        default_region: ISO 3166-1 alpha-2, in capitals.

    Raises:
        InvalidMsisdn: It is not spelled like a number, or no numbering plan knows it.
        InvalidRequest: There is no such region.
    """
    if default_region is None:
        calling_code, national = _read_strict(text)
    else:
        calling_code, national = _read_lenient(text, default_region)
    plan = _plan(calling_code, len(national))
    match = plan.pattern.fullmatch(national)
    country, line = plan.answers[match.lastindex or 0] if match else _UNKNOWN
    msisdn = Msisdn(f"+{calling_code}{national}")
    if line is LineType.UNKNOWN:
        raise InvalidMsisdn(f"No numbering plan knows {mask(msisdn)}; check its digits.")
    return Number(msisdn=msisdn, country=country, calling_code=calling_code, line=line)


def region_of(countries: Sequence[str]) -> str:
    """Return where people write numbers without a calling code, of the countries a service sends to.

    That is known where all have one calling code. Else it is India, if it is among them or none is named.
    """
    codes = {phonenumbers.country_code_for_region(country) for country in countries}
    if len(codes) == 1:
        return countries[0]
    return REGION_DEFAULT if not countries or REGION_DEFAULT in countries else countries[0]


def mask(msisdn: str) -> str:
    """Hide most of a number: `+9198******10`. What is not a number is hidden whole."""
    if not _E164.fullmatch(msisdn):
        return "+***"
    shown = 1 + len(_calling_code(msisdn))
    if len(msisdn) - shown >= _MASK_NATIONAL_DIGITS_MIN:
        shown += 2
    return f"{msisdn[:shown]}{'*' * (len(msisdn) - shown - 2)}{msisdn[-2:]}"


def _read_strict(text: str) -> tuple[int, str]:
    """Split E.164 into calling code and national number."""
    if not _E164.fullmatch(text):
        raise InvalidMsisdn(
            "Write the number in E.164: a plus sign, then 7 to 15 ASCII digits from the calling code on, "
            "such as +919876543210."
        )
    written = _calling_code(text)
    if not written:
        raise InvalidMsisdn("The number begins with a calling code that nobody has.")
    calling_code, national = _CALLING_CODES[written], text[1 + len(written) :]
    trunk = _trunk_prefix(calling_code)
    if trunk is not None and (match := trunk.match(national)) and match.end() > 0:
        # Perhaps a trunk prefix that does not belong here (+91 0 98...), perhaps not: the library knows.
        return _read_with_library(text, None)
    return calling_code, national


def _read_lenient(text: str, default_region: str) -> tuple[int, str]:
    if default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidRequest(
            "`default_region` must be an ISO 3166-1 region in capitals, such as IN.", field="default_region"
        )
    if len(text) > SPELLING_CHARACTERS_MAX:
        raise InvalidMsisdn(f"A number is written in at most {SPELLING_CHARACTERS_MAX} characters.")
    # 0800-FLOWERS is a number to the library; a text to be sent has no use for such spellings.
    if phonenumbers.is_alpha_number(text):
        raise InvalidMsisdn("Write the number in digits, not in letters.")
    return _read_with_library(text, default_region)


def _read_with_library(text: str, region: str | None) -> tuple[int, str]:
    try:
        read = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidMsisdn("This is not a telephone number; write it like +919876543210.") from error
    national = phonenumbers.national_significant_number(read)
    if read.country_code is None or not _E164.fullmatch(f"+{read.country_code}{national}"):
        raise InvalidMsisdn("The number is not within the 7 to 15 digits that E.164 allows.")
    return read.country_code, national


def _calling_code(msisdn: str) -> str:
    """Return the calling code's digits, or nothing if nobody has it. No code is the start of another."""
    for digits in (1, 2, 3):
        if msisdn[1 : 1 + digits] in _CALLING_CODES:
            return msisdn[1 : 1 + digits]
    return ""


class _Plan(NamedTuple):
    """A numbering plan: one group in `pattern` for each of `answers`, counted from 1."""

    pattern: re.Pattern[str]
    answers: tuple[tuple[str, LineType], ...]


_UNKNOWN: Final = ("", LineType.UNKNOWN)


@cache
def _plan(calling_code: int, digits: int) -> _Plan:
    """Compile the plans of all regions with this calling code, for national numbers of so many digits.

    Regions and kinds stand in the order in which the library tries them, and the first that fits wins.
    """
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[calling_code]
    alternatives: list[str] = []
    answers = [_UNKNOWN]
    for region in regions:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
        assert metadata is not None
        shared = metadata.leading_digits if len(regions) > 1 else None
        before = f"(?={shared})" if shared else ""
        for line, pattern in _lines(metadata, digits):
            alternatives.append(f"{before}{pattern}")
            answers.append((region, LineType.SATELLITE if calling_code in SATELLITE_CALLING_CODES else line))
        if shared:
            # Leading digits decide the region, even if the number then fits nothing in it.
            alternatives.append(f"{before}([0-9]+)")
            answers.append((region, LineType.UNKNOWN))
    plan = _Plan(re.compile("|".join(alternatives) or "(?!)", re.ASCII), tuple(answers))
    assert plan.pattern.groups == len(alternatives)
    return plan


def _lines(metadata: PhoneMetadata, digits: int) -> Iterator[tuple[LineType, str]]:
    """Yield each kind of line that a region has with so many digits, and its pattern as one group."""
    general = _pattern(metadata.general_desc, digits)
    if general is None:
        return
    fixed, mobile = _pattern(metadata.fixed_line, digits), _pattern(metadata.mobile, digits)
    both = None
    if metadata.same_mobile_and_fixed_line_pattern:
        both, fixed, mobile = fixed, None, None
    elif fixed and mobile:
        both = f"(?={mobile}\\Z){fixed}"
    for line, pattern in (
        (LineType.PREMIUM, _pattern(metadata.premium_rate, digits)),
        (LineType.TOLL_FREE, _pattern(metadata.toll_free, digits)),
        (LineType.SHARED_COST, _pattern(metadata.shared_cost, digits)),
        (LineType.VOIP, _pattern(metadata.voip, digits)),
        (LineType.PERSONAL, _pattern(metadata.personal_number, digits)),
        (LineType.PAGER, _pattern(metadata.pager, digits)),
        (LineType.UAN, _pattern(metadata.uan, digits)),
        (LineType.VOICEMAIL, _pattern(metadata.voicemail, digits)),
        (LineType.FIXED_LINE_OR_MOBILE, both),
        (LineType.FIXED_LINE, fixed),
        (LineType.MOBILE, mobile),
    ):
        if pattern is not None:
            yield line, f"(?={general}\\Z)({pattern})"


def _pattern(desc: PhoneNumberDesc | None, digits: int) -> str | None:
    if desc is None or not desc.national_number_pattern:
        return None
    if desc.possible_length and digits not in desc.possible_length:
        return None
    return f"(?:{desc.national_number_pattern})"


@cache
def _trunk_prefix(calling_code: int) -> re.Pattern[str] | None:
    """Return what people dial before a national number, as a pattern of the calling code's main region."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[calling_code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
    assert metadata is not None
    prefix = metadata.national_prefix_for_parsing
    return re.compile(prefix, re.ASCII) if prefix else None
