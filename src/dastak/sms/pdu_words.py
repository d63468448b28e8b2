"""Tells a PDU in words, for people who look at what a carrier and we say to each other.

1. No word of a text is shown, for it may be the code: letters and digits are dots; numbers are masked.
2. A password is never shown, nor how long it is.
3. Whatever comes can be told; what cannot be read is told as such.
"""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from dastak.core.msisdn import mask
from dastak.sms.dlr import is_receipt, parse_dlr
from dastak.sms.pdu import Pdu, decode_body
from dastak.sms.pdu_bodies import (
    AlertNotification,
    Bind,
    BindResp,
    CancelSm,
    DataSm,
    MessageIdResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    Sm,
    as_sm,
)
from dastak.sms.smpp_codes import RESPONSE_BIT, Command, Tag, status_name
from dastak.sms.tlv import MalformedPdu, Tlv
from dastak.sms.user_data import part_of, read_text, user_data

SHAPE_CHARACTERS_MAX: Final = 80
VALUE_OCTETS_MAX: Final = 48
# More digits than this are a phone; fewer are a short code, which is public.
_SHORT_CODE_DIGITS: Final = 6

_COMMANDS: Final[Mapping[int, str]] = {command: command.name.lower() for command in Command}
_TAGS: Final[Mapping[int, str]] = {tag: tag.name.lower() for tag in Tag}
# What quotes the text, or is shown in words of its own.
_UNSHOWN_TAGS: Final = frozenset({Tag.MESSAGE_PAYLOAD})
_ESM_MODES: Final = ("", "datagram mode", "forward mode", "store and forward")
_ALPHABETS: Final[Mapping[int, str]] = {0: "the default alphabet", 3: "Latin-1", 8: "UCS-2"}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One PDU that went by.

    Attributes:
        at_ms: Since the watch began.
        bind: The name of the bind.
        sent: Whether we said it.
        command: As in the standard, `submit_sm`.
        words: All of it, in words.
    """

    at_ms: int
    bind: str
    sent: bool
    command: str
    sequence_number: int
    command_status: int
    words: str


def see(frame: tuple[int, int, int, bytes], *, sent: bool, bind: str, at_ms: int) -> Seen:
    """Tell a frame, as the framer yields it: command_id, command_status, sequence_number, body."""
    command_id, command_status, sequence_number, octets = frame
    try:
        body = decode_body(command_id, command_status, octets)
    except MalformedPdu as error:
        words = f"{_head(command_id, command_status)}: cannot be read: {error}"
    else:
        words = describe(
            Pdu(
                command_id=command_id,
                command_status=command_status,
                sequence_number=sequence_number,
                body=body,
            )
        )
    return Seen(
        at_ms=at_ms,
        bind=bind,
        sent=sent,
        command=_command(command_id),
        sequence_number=sequence_number,
        command_status=command_status,
        words=words,
    )


def describe(pdu: Pdu) -> str:
    """Tell a PDU in words."""
    body = pdu.body
    told = [_head(pdu.command_id, pdu.command_status)]
    tell = _TELLERS.get(type(body))
    if tell is not None:
        told += tell(body)
    elif isinstance(body, bytes) and body:
        told.append(f"{len(body)} octets of an unknown command")
    head, *fields = (word for word in told if word)
    return f"{head}: {', '.join(fields)}" if fields else head


def shape(text: str) -> str:
    """Show where a text has letters and digits, and none of them."""
    hidden = "".join("•" if unicodedata.category(char)[0] in "LMN" else char for char in text)
    shown = _quoted(" ".join(hidden.split())) if hidden else ""
    return shown if len(shown) <= SHAPE_CHARACTERS_MAX else shown[:SHAPE_CHARACTERS_MAX] + "…"


def _head(command_id: int, command_status: int) -> str:
    name = _command(command_id)
    return f"{name} {status_name(command_status)}" if command_id & RESPONSE_BIT or command_status else name


def _command(command_id: int) -> str:
    return _COMMANDS.get(command_id) or f"command {command_id:#010x}"


def _bind(bind: Bind) -> list[str]:
    version = f"interface_version {bind.interface_version >> 4}.{bind.interface_version & 0xF}"
    system_type = f"system_type {_quoted(bind.system_type)}" if bind.system_type else ""
    return [f"system_id {_quoted(bind.system_id)}", "password hidden", system_type, version]


def _bind_resp(resp: BindResp) -> list[str]:
    return [f"system_id {_quoted(resp.system_id)}" if resp.system_id else ""]


def _sm(sm: Sm) -> list[str]:
    ends = f"from {_address(sm.source_addr)} to {_address(sm.destination_addr)}"
    if is_receipt(sm.esm_class):
        return [*_receipt(sm), ends, *_tlvs(sm.tlvs)]
    elements, octets = user_data(sm)
    part = part_of(sm, elements)
    alphabet = _ALPHABETS.get(sm.data_coding, f"data_coding {sm.data_coding:#04x}")
    return [
        ends,
        f"{len(octets)} octets in {alphabet} [{shape(read_text(octets, sm.data_coding, elements))}]",
        f"part {part.number} of {part.total}" if part else "",
        _ESM_MODES[sm.esm_class & 3],
        f"service_type {_quoted(sm.service_type)}" if sm.service_type else "",
        f"priority {sm.priority_flag}" if sm.priority_flag else "",
        f"valid {_quoted(sm.validity_period)}" if sm.validity_period else "",
        "receipt wanted" if sm.registered_delivery & 3 else "",
        *_tlvs(sm.tlvs),
    ]


def _receipt(sm: Sm) -> list[str]:
    dlr = parse_dlr(sm)
    return [
        f"receipt for {_quoted(dlr.message_id)}",
        f"{_quoted(dlr.stat)} err {_quoted(dlr.err)} (we read: {dlr.outcome})",
        f"done {_quoted(dlr.done_date)}" if dlr.done_date else "",
    ]


def _data_sm(body: DataSm) -> list[str]:
    return _sm(as_sm(body))


def _message_id(resp: MessageIdResp) -> list[str]:
    return [f"message_id {_quoted(resp.message_id)}" if resp.message_id else ""]


def _alert(alert: AlertNotification) -> list[str]:
    return [f"{_address(alert.source_addr)} is back"]


def _of_a_message(body: QuerySm | CancelSm | ReplaceSm | QuerySmResp) -> list[str]:
    return [f"message_id {_quoted(body.message_id)}"]


def _tlvs(tlvs: tuple[Tlv, ...]) -> list[str]:
    return [
        f"{_TAGS.get(tag) or f'{tag:#06x}'} {_value(value)}"
        for tag, value in tlvs
        if tag not in _UNSHOWN_TAGS
    ]


def _value(value: bytes) -> str:
    """Show text as text and anything else as hexadecimal."""
    plain = value.removesuffix(b"\0").decode("latin-1")
    end = "…" if len(value) > VALUE_OCTETS_MAX else ""
    if len(plain) > 2 and plain.isascii() and plain.isprintable():
        return plain[:VALUE_OCTETS_MAX] + end
    return "0x" + value[:VALUE_OCTETS_MAX].hex() + end


def _address(address: str) -> str:
    digits = address.removeprefix("+")
    if digits.isascii() and digits.isdecimal() and len(digits) > _SHORT_CODE_DIGITS:
        return mask("+" + digits)
    return _quoted(address) if address else "nobody"


def _quoted(value: str) -> str:
    """Show what a carrier wrote without letting it write to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in value) or '""'


_TELLERS: Final[Mapping[type, Callable[[Any], list[str]]]] = {
    Bind: _bind,
    BindResp: _bind_resp,
    Sm: _sm,
    DataSm: _data_sm,
    MessageIdResp: _message_id,
    AlertNotification: _alert,
    QuerySm: _of_a_message,
    QuerySmResp: _of_a_message,
    CancelSm: _of_a_message,
    ReplaceSm: _of_a_message,
}
