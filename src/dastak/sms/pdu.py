"""SMPP 3.4 PDUs to octets and back: strict in what it writes, tolerant in what it reads.

1. The records of `pdu_bodies` list their fields in the order of the wire; only the two functions that are
   written out for speed know it too.
2. Text is Latin-1, so that every octet a carrier sends can be read and sent back.
3. The length of a PDU is judged as soon as its four octets are there, before anything waits for a body.

Source: SMPP Protocol Specification v3.4, sections 3 and 4.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final

import msgspec

from dastak.sms.pdu_bodies import BODIES, Body, MessageIdResp, Record, Sm
from dastak.sms.smpp_codes import RESPONSE_BIT, Command
from dastak.sms.tlv import MalformedPdu

HEADER: Final = Struct(">IIII")
PDU_OCTETS_MAX: Final = 64 * 1024
SHORT_MESSAGE_OCTETS_MAX: Final = 254

# Octets of a C-string with its NUL. (data_sm would allow addresses of 65; no number is that long.)
CSTRING_OCTETS_MAX: Final[Mapping[str, int]] = {
    "system_id": 16,
    "password": 9,
    "system_type": 13,
    "address_range": 41,
    "service_type": 6,
    "source_addr": 21,
    "destination_addr": 21,
    "esme_addr": 65,
    "message_id": 65,
    "schedule_delivery_time": 17,
    "validity_period": 17,
    "final_date": 17,
}
# Some carriers issue passwords longer than the standard's eight characters.
LONG_PASSWORD: Final[Mapping[str, int]] = {**CSTRING_OCTETS_MAX, "password": 65}
_NEVER_IN_A_CSTRING: Final = frozenset("\0\r\n")


class Pdu(msgspec.Struct, frozen=True, kw_only=True):
    """One PDU as it is on the wire."""

    command_id: int
    command_status: int = 0
    sequence_number: int
    body: Body = None


def encode(pdu: Pdu) -> bytes:
    """Write a PDU.

    Raises:
        MalformedPdu: A value does not fit into its field.
    """
    return frame(pdu.command_id, pdu.command_status, pdu.sequence_number, encode_body(pdu.body))


def decode(octets: bytes) -> Pdu:
    """Read exactly one PDU.

    Raises:
        MalformedPdu: The octets are not one whole PDU, or a request lacks fields.
    """
    frames = list(Framer().feed(octets))
    if len(frames) != 1 or frames[0][0] != HEADER.unpack_from(octets)[1]:
        raise MalformedPdu("not exactly one whole PDU")
    command_id, command_status, sequence_number, body = frames[0]
    if HEADER.size + len(body) != len(octets):
        raise MalformedPdu("octets after the PDU")
    return Pdu(
        command_id=command_id,
        command_status=command_status,
        sequence_number=sequence_number,
        body=decode_body(command_id, command_status, body),
    )


def frame(command_id: int, command_status: int, sequence_number: int, body: bytes = b"") -> bytes:
    """Put the header before a body."""
    return HEADER.pack(HEADER.size + len(body), command_id, command_status, sequence_number) + body


def encode_body(body: Body, limits: Mapping[str, int] = CSTRING_OCTETS_MAX) -> bytes:
    """Write the body of a PDU.

    Raises:
        MalformedPdu: A value does not fit into its field.
    """
    if isinstance(body, Sm):
        return encode_sm(body)
    if body is None or isinstance(body, bytes):
        return body or b""
    parts: list[bytes] = []
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, str):
            parts.append(cstring(value, limits[name], name))
        elif isinstance(value, int):
            parts.append(_octets((value,)))
        else:
            parts.append(_short(value) if name == "short_message" else value)
    return b"".join(parts)


def decode_body(command_id: int, command_status: int, octets: bytes) -> Body:
    """Read the body of a PDU. A response may lack anything; trailing octets are passed over.

    Raises:
        MalformedPdu: A request lacks fields.
    """
    if command_id not in BODIES:
        return octets
    record = BODIES[command_id]
    if record is None or (command_status and not octets):
        return None
    if record is Sm:
        return decode_sm(octets)
    if record is MessageIdResp:  # by far the most frequent one
        message_id, _, tlv_octets = octets.partition(b"\0")
        return MessageIdResp(message_id=message_id.decode("latin-1"), tlv_octets=tlv_octets)
    values = _fields(record, octets)
    if not command_id & RESPONSE_BIT and len(values) < len(record.__struct_fields__):
        raise MalformedPdu(f"{Command(command_id).name} ends within its fields")
    return record(**values)


def encode_sm(sm: Sm) -> bytes:
    """Write submit_sm or deliver_sm: the hot path, so that it is written out.

    Raises:
        MalformedPdu: A value does not fit into its field; a long text belongs into the TLV message_payload.
    """
    ends = (sm.registered_delivery, sm.replace_if_present_flag, sm.data_coding, sm.sm_default_msg_id)
    return b"".join(
        (
            _sm_front(
                sm.service_type,
                sm.source_addr_ton,
                sm.source_addr_npi,
                sm.source_addr,
                sm.dest_addr_ton,
                sm.dest_addr_npi,
            ),
            cstring(sm.destination_addr, 21, "destination_addr"),
            _octets((sm.esm_class, sm.protocol_id, sm.priority_flag)),
            cstring(sm.schedule_delivery_time, 17, "schedule_delivery_time"),
            cstring(sm.validity_period, 17, "validity_period"),
            _octets(ends),
            _short(sm.short_message),
            sm.tlv_octets,
        )
    )


def decode_sm(octets: bytes) -> Sm:
    """Read submit_sm or deliver_sm: the hot path, so that it is written out.

    Raises:
        MalformedPdu: It ends within its fields.
    """
    try:
        service_end = octets.index(0)
        source_end = octets.index(0, service_end + 3)
        dest_end = octets.index(0, source_end + 3)
        schedule_end = octets.index(0, dest_end + 4)
        validity_end = octets.index(0, schedule_end + 1)
        text_at = validity_end + 6
        text_end = text_at + octets[text_at - 1]
    except (ValueError, IndexError) as error:
        raise MalformedPdu("submit_sm or deliver_sm ends within its fields") from error
    if text_end > len(octets):
        raise MalformedPdu("short_message is shorter than sm_length")
    return Sm(
        service_type=octets[:service_end].decode("latin-1"),
        source_addr_ton=octets[service_end + 1],
        source_addr_npi=octets[service_end + 2],
        source_addr=octets[service_end + 3 : source_end].decode("latin-1"),
        dest_addr_ton=octets[source_end + 1],
        dest_addr_npi=octets[source_end + 2],
        destination_addr=octets[source_end + 3 : dest_end].decode("latin-1"),
        esm_class=octets[dest_end + 1],
        protocol_id=octets[dest_end + 2],
        priority_flag=octets[dest_end + 3],
        schedule_delivery_time=octets[dest_end + 4 : schedule_end].decode("latin-1"),
        validity_period=octets[schedule_end + 1 : validity_end].decode("latin-1"),
        registered_delivery=octets[validity_end + 1],
        replace_if_present_flag=octets[validity_end + 2],
        data_coding=octets[validity_end + 3],
        sm_default_msg_id=octets[validity_end + 4],
        short_message=octets[text_at:text_end],
        tlv_octets=octets[text_end:],
    )


def cstring(value: str, octets_max: int, name: str) -> bytes:
    """Write a C-string; `octets_max` counts its NUL.

    Raises:
        MalformedPdu: It is too long, not Latin-1, or has NUL, CR or LF within.
    """
    if not value:
        return b"\0"
    if len(value) >= octets_max or not (value.isalnum() or _NEVER_IN_A_CSTRING.isdisjoint(value)):
        raise MalformedPdu(f"{name} is longer than {octets_max - 1} characters or has control characters")
    try:
        return value.encode("latin-1") + b"\0"
    except UnicodeEncodeError as error:
        raise MalformedPdu(f"{name} has characters beyond Latin-1") from error


@lru_cache(maxsize=1024)  # codes have few lifetimes
def relative_time(seconds: int) -> str:
    """Write a span as a validity_period, `YYMMDDhhmmss000R`; at most 30 days, so that months do not matter.

    Source: SMPP v3.4, section 7.1.1.
    """
    assert 0 <= seconds < 31 * 86_400, seconds
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day:06d}{hour:02d}{minute:02d}{second:02d}000R"


def absolute_time(at: datetime, utc_offset: timedelta) -> str:
    """Write an instant as a validity_period, `YYMMDDhhmmsstnnp`, by the carrier's clock.

    Args:
        at: Aware.
        utc_offset: The carrier's clock against UTC, in whole quarters of an hour.

    Source: SMPP v3.4, section 7.1.1.
    """
    quarters, rest = divmod(abs(utc_offset), timedelta(minutes=15))
    assert not rest, utc_offset
    local = at.astimezone(UTC) + utc_offset
    return f"{local:%y%m%d%H%M%S}0{quarters:02d}{'-' if utc_offset < timedelta(0) else '+'}"


class Framer:
    """Cuts a stream of octets, in pieces of any size, into PDUs."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._wanted = 4

    def feed(self, octets: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield command_id, command_status, sequence_number and body of every PDU that is now complete.

        Raises:
            MalformedPdu: A length is below 16 or above `PDU_OCTETS_MAX`: the stream is lost.
        """
        if self._tail:
            self._tail += octets
            if len(self._tail) < self._wanted:
                return
            octets = bytes(self._tail)
            self._tail.clear()
        at, end = 0, len(octets)
        while end - at >= HEADER.size:
            command_length, command_id, command_status, sequence_number = HEADER.unpack_from(octets, at)
            if not HEADER.size <= command_length <= PDU_OCTETS_MAX or end - at < command_length:
                break
            yield command_id, command_status, sequence_number, octets[at + HEADER.size : at + command_length]
            at += command_length
        self._keep(octets[at:])

    def _keep(self, tail: bytes) -> None:
        self._tail += tail
        self._wanted = 4
        if len(tail) >= 4:
            self._wanted = int.from_bytes(tail[:4], "big")
            if not HEADER.size <= self._wanted <= PDU_OCTETS_MAX:
                raise MalformedPdu(f"command_length {self._wanted} is not between 16 and {PDU_OCTETS_MAX}")


@lru_cache(maxsize=1024)  # a route has few senders
def _sm_front(  # noqa: PLR0917 - lru_cache is fastest with positional ones
    service_type: str,
    source_addr_ton: int,
    source_addr_npi: int,
    source_addr: str,
    dest_addr_ton: int,
    dest_addr_npi: int,
) -> bytes:
    return b"".join(
        (
            cstring(service_type, 6, "service_type"),
            _octets((source_addr_ton, source_addr_npi)),
            cstring(source_addr, 21, "source_addr"),
            _octets((dest_addr_ton, dest_addr_npi)),
        )
    )


def _octets(values: tuple[int, ...]) -> bytes:
    try:
        return bytes(values)
    except ValueError as error:
        raise MalformedPdu("an integer field takes 0 to 255") from error


def _short(text: bytes) -> bytes:
    if len(text) > SHORT_MESSAGE_OCTETS_MAX:
        raise MalformedPdu(f"short_message takes {SHORT_MESSAGE_OCTETS_MAX} octets, not {len(text)}")
    return bytes((len(text),)) + text


def _fields(record: type[Record], octets: bytes) -> dict[str, Any]:
    """Read fields until the octets end; a last C-string may lack its NUL."""
    values: dict[str, Any] = {}
    at = 0
    for name in record.__struct_fields__:
        kind = record.__annotations__[name]
        if name == "tlv_octets":
            values[name] = octets[at:]
        elif at > len(octets) or (at == len(octets) and kind is not str):
            break
        elif kind is str:
            end = octets.find(0, at)
            end = end if end >= 0 else len(octets)
            values[name] = octets[at:end].decode("latin-1")
            at = end + 1
        elif kind is int:
            values[name] = octets[at]
            at += 1
        else:
            end = at + 1 + octets[at]
            if end > len(octets):
                break
            values[name] = octets[at + 1 : end]
            at = end
    return values
