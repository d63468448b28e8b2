"""What a text becomes on one route: its alphabet, its parts, their headers.

1. One alphabet for all parts, or a phone could not join them.
2. A text that fits the route's default alphabet is sent in it; any other one in UCS-2, or with national
   language shift tables where the route allows them and they save a part.
3. No part is larger than 140 octets over the air, whatever the carrier makes of its header.

Source: 3GPP TS 23.038 and TS 23.040, section 9.2.3.24; SMPP v3.4, sections 5.2.19, 5.3.2.22-25 and 5.3.2.32.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import CarrierRejected
from dastak.core.outcome import Outcome
from dastak.sms import gsm7, shift_tables
from dastak.sms.segments import MESSAGE_OCTETS, Alphabet, Measure, cut, utf16_units
from dastak.sms.shift_tables import Language, Shift
from dastak.sms.smpp_codes import ESM_UDHI, Tag
from dastak.sms.tlv import Tlv
from dastak.sms.user_data import CONCAT_8, CONCAT_16, Part

DATA_CODING_UCS2: Final = 8
PARTS_MAX: Final = 255
_ALONE_SEPTETS_MAX: Final = MESSAGE_OCTETS * 8 // 7


class DefaultAlphabet(StrEnum):
    """What a carrier takes data_coding 0 for."""

    GSM7 = "gsm7"
    LATIN1 = "latin1"
    ASCII = "ascii"
    UCS2_ONLY = "ucs2_only"  # it is not to be trusted with it at all


class Concatenation(StrEnum):
    """How the parts of a long text are marked."""

    UDH8 = "udh8"  # what every phone and carrier understands
    UDH16 = "udh16"
    SAR = "sar"  # TLVs, of which the carrier makes a header
    PAYLOAD = "payload"  # one submit_sm; the carrier cuts


class TextOptions(msgspec.Struct, frozen=True):
    """How one route wants its texts.

    Attributes:
        plain_data_coding: The data_coding of a text in the default alphabet.
        languages: Whose shift tables it may use.
    """

    alphabet: DefaultAlphabet = DefaultAlphabet.GSM7
    plain_data_coding: int = 0
    languages: tuple[Language, ...] = ()
    concatenation: Concatenation = Concatenation.UDH8


class CodedPart(NamedTuple):
    """The user data of one submit_sm."""

    octets: bytes
    esm_class: int = 0
    tlvs: tuple[Tlv, ...] = ()


class CodedText(NamedTuple):
    """All of them."""

    data_coding: int
    parts: tuple[CodedPart, ...]


class _Way(NamedTuple):
    """One way to write a text.

    Attributes:
        bits: Of each unit, over the air.
        elements: What its header has in every part.
    """

    alphabet: Alphabet
    bits: int
    data_coding: int
    encode: Callable[[str], bytes]
    cost: Callable[[str], int]
    elements: bytes = b""


# Octets of the element that marks a part. Of SAR the carrier may make either header: the longer one counts.
_CONCAT_OCTETS: Final[Mapping[Concatenation, int]] = {
    Concatenation.UDH8: 5,
    Concatenation.UDH16: 6,
    Concatenation.SAR: 6,
    # The carrier cuts as it likes, most likely so.
    Concatenation.PAYLOAD: 5,
}

# The carrier would replace a character that the air does not have, so that both alphabets must have it.
_FOREIGN: Final[Mapping[DefaultAlphabet, re.Pattern[str]]] = MappingProxyType(
    {
        DefaultAlphabet.LATIN1: gsm7.foreign_beyond(0xFF),
        DefaultAlphabet.ASCII: gsm7.foreign_beyond(0x7F),
    }
)


def write_text(text: str, options: TextOptions, *, reference: int) -> CodedText:
    """Write a text for one route.

    Args:
        text: Anything.
        options: How the route wants it.
        reference: 16 bits that differ between the texts to one phone.

    Raises:
        CarrierRejected: It takes more parts than can be numbered.
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    if options.alphabet is DefaultAlphabet.GSM7:
        septets = gsm7.encoded(text)
        if septets is not None and len(septets) <= _ALONE_SEPTETS_MAX:  # nearly every text
            return CodedText(options.plain_data_coding, (CodedPart(septets),))
    way = _choose(text, options)
    pieces = _cut(text, way, options.concatenation)
    header = bytes((len(way.elements),)) + way.elements if way.elements else b""
    if len(pieces) == 1:
        only = CodedPart(header + way.encode(text), ESM_UDHI if header else 0)
        return CodedText(way.data_coding, (only,))
    if options.concatenation is Concatenation.PAYLOAD:
        payload = (int(Tag.MESSAGE_PAYLOAD), header + way.encode(text))
        return CodedText(way.data_coding, (CodedPart(b"", ESM_UDHI if header else 0, (payload,)),))
    if len(pieces) > PARTS_MAX:
        raise CarrierRejected(
            f"The text takes {len(pieces)} parts", status="text_too_long", outcome=Outcome.ROUTE_CONFIG
        )
    parts = [
        _mark(Part(reference, len(pieces), number), way.encode(piece), way.elements, options.concatenation)
        for number, piece in enumerate(pieces, 1)
    ]
    return CodedText(way.data_coding, tuple(parts))


def measure_for(text: str, options: TextOptions) -> Measure:
    """Return the alphabet a text takes on a route, its units, and its parts.

    Raises:
        UnicodeEncodeError: The text has half a surrogate pair.
    """
    way = _choose(text, options)
    return Measure(way.alphabet, way.cost(text), len(_cut(text, way, options.concatenation)))


def _choose(text: str, options: TextOptions) -> _Way:
    if _is_plain(text, options.alphabet):
        encode = _PLAIN_ENCODERS[options.alphabet]
        return _Way(Alphabet.GSM7, 7, options.plain_data_coding, encode, _gsm7_septets)
    ucs2 = _Way(Alphabet.UCS2, 16, DATA_CODING_UCS2, _utf16, utf16_units)
    if not options.languages or options.alphabet is not DefaultAlphabet.GSM7:
        return ucs2
    ways = [ucs2]
    for shift in shift_tables.shifts(options.languages):
        if shift_tables.fits(text, shift):
            ways.append(_shifted(shift, options.plain_data_coding))
    # The first of equals wins: UCS-2 is understood by more phones.
    return min(ways, key=lambda way: len(_cut(text, way, options.concatenation)))


def _is_plain(text: str, alphabet: DefaultAlphabet) -> bool:
    if alphabet is DefaultAlphabet.GSM7:
        return gsm7.first_foreign(text) is None
    foreign = _FOREIGN.get(alphabet)
    return foreign is not None and foreign.search(text) is None


def _shifted(shift: Shift, data_coding: int) -> _Way:
    encode = partial(shift_tables.encode, shift=shift)
    return _Way(
        Alphabet.GSM7,
        7,
        data_coding,
        encode,
        lambda text: len(encode(text)),
        shift_tables.elements(shift),
    )


def _cut(text: str, way: _Way, concatenation: Concatenation) -> tuple[str, ...]:
    if way.cost(text) <= _room(way.bits, len(way.elements)):
        return (text,)
    return cut(text, way.cost, _room(way.bits, len(way.elements) + _CONCAT_OCTETS[concatenation]))


def _room(bits: int, elements_octets: int) -> int:
    """Return how many units fit beside a header with so many octets of elements."""
    header_octets = 1 + elements_octets if elements_octets else 0
    return (MESSAGE_OCTETS - header_octets) * 8 // bits


def _mark(part: Part, octets: bytes, elements: bytes, concatenation: Concatenation) -> CodedPart:
    """Write which part of how many this is."""
    reference, total, number = part
    tlvs: tuple[Tlv, ...] = ()
    if concatenation is Concatenation.SAR:
        tlvs = (
            (Tag.SAR_MSG_REF_NUM, reference.to_bytes(2, "big")),
            (Tag.SAR_TOTAL_SEGMENTS, bytes((total,))),
            (Tag.SAR_SEGMENT_SEQNUM, bytes((number,))),
        )
    elif concatenation is Concatenation.UDH16:
        elements = bytes((CONCAT_16, 4, reference >> 8, reference & 0xFF, total, number)) + elements
    else:
        elements = bytes((CONCAT_8, 3, reference & 0xFF, total, number)) + elements
    header = bytes((len(elements),)) + elements if elements else b""
    return CodedPart(header + octets, ESM_UDHI if header else 0, tlvs)


def _gsm7_septets(text: str) -> int:
    return len(gsm7.encode(text))


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


_PLAIN_ENCODERS: Final[Mapping[DefaultAlphabet, Callable[[str], bytes]]] = {
    DefaultAlphabet.GSM7: gsm7.encode,
    DefaultAlphabet.LATIN1: partial(str.encode, encoding="latin-1"),
    DefaultAlphabet.ASCII: partial(str.encode, encoding="ascii"),
}
