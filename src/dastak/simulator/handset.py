"""What a handset makes of short messages: it joins their parts and reads their alphabet.

1. Parts are joined as octets and read afterwards, so that a character cut in two is whole again.
2. What cannot be read is shown with replacement characters, never refused: a handset has nobody to tell.
3. Unfinished texts are bounded; the oldest is forgotten.

National language shift tables (TS 23.038, annex A) are not known here: such a text shows default letters.

Source: 3GPP TS 23.040, section 9.2.3.24; TS 23.038, section 4; SMPP v3.4, sections 5.2.19 and 5.3.2.22-25.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from dastak.core.msisdn import Msisdn
from dastak.simulator.phone import Text, read_number
from dastak.sms import gsm7
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_codes import ESM_UDHI, Tag
from dastak.sms.tlv import find_tlv

UNFINISHED_MAX: Final = 256
# Longer parts do not come over the air (140 octets) nor in a short_message (254).
PART_OCTETS_MAX: Final = 254

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

_CONCAT_8: Final = 0x00
_CONCAT_16: Final = 0x08


class Part(NamedTuple):
    """Which part of which text, the first being 1."""

    reference: int
    total: int
    number: int


class _Key(NamedTuple):
    msisdn: Msisdn
    sender: str
    reference: int
    total: int


class _Unfinished(NamedTuple):
    submitted_at: datetime
    parts: dict[int, bytes]


class Handset:
    """Takes the submit_sm of all virtual phones and gives back whole texts."""

    def __init__(self) -> None:
        self._unfinished: dict[_Key, _Unfinished] = {}

    def receive(self, sm: Sm, *, route: str, submitted_at: datetime, received_at: datetime) -> Text | None:
        """Take one submit_sm.

        Args:
            sm: Read from a PDU; its text may be in `short_message` or in the TLV message_payload.
            route: The way it came, for people to read.
            submitted_at: When the carrier got it.
            received_at: When the phone gets it.

        Returns:
            The text, once all its parts are there.

        Raises:
            InvalidMsisdn: It is addressed to something that is no number.
        """
        msisdn = read_number(sm.destination_addr)
        elements, octets = user_data(sm)
        part = part_of(sm, elements)
        segments = 1
        if part is not None:
            key = _Key(msisdn, sm.source_addr, part.reference, part.total)
            whole = self._join(key, part.number, octets, submitted_at)
            if whole is None:
                return None
            segments = part.total
            submitted_at, octets = whole
        return Text(
            msisdn=msisdn,
            sender=sm.source_addr,
            text=read_text(octets, sm.data_coding),
            route=route,
            data_coding=sm.data_coding,
            segments=segments,
            submitted_at=submitted_at,
            received_at=received_at,
        )

    def _join(
        self, key: _Key, number: int, octets: bytes, submitted_at: datetime
    ) -> tuple[datetime, bytes] | None:
        """Keep a part; a repeated one replaces itself. Returns the whole once it is whole."""
        unfinished = self._unfinished.setdefault(key, _Unfinished(submitted_at, {}))
        unfinished.parts[number] = octets[:PART_OCTETS_MAX]
        if len(unfinished.parts) == key.total:
            del self._unfinished[key]
            return unfinished.submitted_at, b"".join(octets for _, octets in sorted(unfinished.parts.items()))
        if len(self._unfinished) > UNFINISHED_MAX:
            del self._unfinished[next(iter(self._unfinished))]
        return None


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
    if len(element := elements.get(_CONCAT_8, b"")) == 3:
        return _part(element[:1], element[1:2], element[2:])
    if len(element := elements.get(_CONCAT_16, b"")) == 4:
        return _part(element[:2], element[2:3], element[3:])
    tags = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    reference, total, number = (find_tlv(sm.tlv_octets, tag) or b"" for tag in tags)
    return _part(reference, total, number)


def read_text(octets: bytes, data_coding: int) -> str:
    """Read the octets of a text as its data_coding says."""
    charset = _charset(data_coding)
    if charset != _GSM7:
        return octets.decode(charset, "replace")
    # Routes differ on what 0 means; an octet above 7F can only be Latin-1.
    return gsm7.decode(octets) if octets.isascii() else octets.decode("latin-1")


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
