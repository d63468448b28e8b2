"""Reads the user data of a short message: its header, which part it is, and its text.

What cannot be read is shown with replacement characters, never refused: its sender is not there to be told.

Source: 3GPP TS 23.040, section 9.2.3.24; TS 23.038, section 4; SMPP v3.4, sections 5.2.19 and 5.3.2.22-25.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from dastak.sms import gsm7, shift_tables
from dastak.sms.pdu_bodies import Sm
from dastak.sms.shift_tables import DEFAULT_SHIFT
from dastak.sms.smpp_codes import ESM_UDHI, Tag
from dastak.sms.tlv import find_tlv

_GSM7: Final = "gsm7"
# What SMPP itself names; message classes and other values are read as in TS 23.038.
_CHARSETS: Final[Mapping[int, str]] = {
    0x00: _GSM7,
    0x01: "ascii",
    0x02: "latin-1",
    0x03: "latin-1",
    0x04: "latin-1",
    0x06: "iso8859-5",
    0x07: "iso8859-8",
    0x08: "utf-16-be",
}
# By bits 3 and 2 in the general data coding groups; octets without an alphabet are shown as Latin-1.
_GENERAL_CHARSETS: Final = (_GSM7, "latin-1", "utf-16-be", _GSM7)

CONCAT_8: Final = 0x00
CONCAT_16: Final = 0x08

_NO_ELEMENTS: Final[Mapping[int, bytes]] = MappingProxyType({})


class Part(NamedTuple):
    """Which part of which text, the first being 1."""

    reference: int
    total: int
    number: int


def user_data(sm: Sm) -> tuple[dict[int, bytes], bytes]:
    """Split user data into the elements of its header and the octets of its text.

    Returns:
        The elements by identifier (a broken header has none), and the text.
    """
    octets = sm.text_octets
    if not sm.esm_class & ESM_UDHI or not octets:
        return {}, octets
    end = 1 + octets[0]
    header, text = octets[1:end], octets[end:]
    elements = {}
    at = 0
    while at + 2 <= len(header):
        value_end = at + 2 + header[at + 1]
        if value_end > len(header):
            break
        elements[header[at]] = header[at + 2 : value_end]
        at = value_end
    return elements, text


def part_of(sm: Sm, elements: Mapping[int, bytes]) -> Part | None:
    """Say which part this is: by its header, else by its sar TLVs; None when it stands alone."""
    if len(element := elements.get(CONCAT_8, b"")) == 3:
        return _part(element[:1], element[1:2], element[2:])
    if len(element := elements.get(CONCAT_16, b"")) == 4:
        return _part(element[:2], element[2:3], element[3:])
    tags = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    reference, total, number = (find_tlv(sm.tlv_octets, tag) or b"" for tag in tags)
    return _part(reference, total, number)


def read_text(octets: bytes, data_coding: int, elements: Mapping[int, bytes] = _NO_ELEMENTS) -> str:
    """Read the octets of a text as its data_coding and the elements of its header say."""
    charset = _charset(data_coding)
    if charset != _GSM7:
        return octets.decode(charset, "replace")
    # Routes differ on what 0 means; an octet above 7F can only be Latin-1.
    if not octets.isascii():
        return octets.decode("latin-1")
    shift = shift_tables.shift_of(elements)
    return gsm7.decode(octets) if shift == DEFAULT_SHIFT else shift_tables.decode(octets, shift)


def _charset(data_coding: int) -> str:
    if data_coding in _CHARSETS:
        return _CHARSETS[data_coding]
    group, alphabet = data_coding >> 4, data_coding >> 2 & 0b11
    if group < 0x8:
        return _GENERAL_CHARSETS[alphabet]
    if group == 0xE:  # message waiting, in UCS-2
        return "utf-16-be"
    return "latin-1" if group == 0xF and alphabet & 1 else _GSM7


def _part(reference: bytes, total: bytes, number: bytes) -> Part | None:
    """Read the three; values that make no sense mean a text of its own, as the standard has it."""
    part = Part(*(int.from_bytes(octets, "big") for octets in (reference, total, number)))
    return part if 1 <= part.number <= part.total <= 0xFF and part.total > 1 else None
