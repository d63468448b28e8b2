"""What each SMPP 3.4 command carries: its fields in the order of the wire.

`str` is a C-string, `int` one octet, `short_message` has its length before it, `tlv_octets` is the rest.

Source: SMPP Protocol Specification v3.4, section 4.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from dastak.sms.smpp_codes import INTERFACE_VERSION, Command, Tag
from dastak.sms.tlv import Tlv, decode_tlvs, find_tlv


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """bind_transmitter, bind_receiver, bind_transceiver."""

    system_id: str
    password: str = ""
    system_type: str = ""
    interface_version: int = INTERFACE_VERSION
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""

    def __repr__(self) -> str:
        """Show who binds, and no password."""
        return f"Bind({self.system_id!r})"


class BindResp(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to any bind."""

    system_id: str = ""
    tlv_octets: bytes = b""


class Sm(msgspec.Struct, frozen=True, kw_only=True):
    """submit_sm and deliver_sm: the same fields, in one direction and the other."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlv_octets: bytes = b""

    def __repr__(self) -> str:
        """Show no user data and no number: the one is a code, the other a person."""
        return f"Sm({len(self.text_octets)} octets of user data, data_coding={self.data_coding:#04x})"

    @property
    def tlvs(self) -> tuple[Tlv, ...]:
        """The optional parameters, unknown ones too."""
        return decode_tlvs(self.tlv_octets)

    @property
    def text_octets(self) -> bytes:
        """The user data: `short_message`, or the TLV message_payload where that is empty."""
        return self.short_message or find_tlv(self.tlv_octets, Tag.MESSAGE_PAYLOAD) or b""


class MessageIdResp(msgspec.Struct, frozen=True, kw_only=True):
    """submit_sm_resp, deliver_sm_resp, data_sm_resp."""

    message_id: str = ""
    tlv_octets: bytes = b""


class DataSm(msgspec.Struct, frozen=True, kw_only=True):
    """data_sm: a message whose text is always the TLV message_payload."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlv_octets: bytes = b""


def as_sm(data_sm: DataSm) -> Sm:
    """Show a data_sm as the submit_sm or deliver_sm that it could have been."""
    return Sm(**{name: getattr(data_sm, name) for name in DataSm.__struct_fields__})


class QuerySm(msgspec.Struct, frozen=True, kw_only=True):
    """query_sm."""

    message_id: str
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QuerySmResp(msgspec.Struct, frozen=True, kw_only=True):
    """query_sm_resp."""

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(msgspec.Struct, frozen=True, kw_only=True):
    """cancel_sm."""

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class ReplaceSm(msgspec.Struct, frozen=True, kw_only=True):
    """replace_sm."""

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class AlertNotification(msgspec.Struct, frozen=True, kw_only=True):
    """alert_notification: a phone is back. It has no answer."""

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlv_octets: bytes = b""


Record: TypeAlias = (
    Bind | BindResp | Sm | MessageIdResp | DataSm | QuerySm | QuerySmResp | CancelSm | ReplaceSm
    | AlertNotification
)  # fmt: skip
# The octets of a command nobody knows stay octets; a PDU without a body has None.
Body: TypeAlias = Record | bytes | None

BODIES: Final[Mapping[int, type[Record] | None]] = {
    Command.BIND_TRANSMITTER: Bind,
    Command.BIND_RECEIVER: Bind,
    Command.BIND_TRANSCEIVER: Bind,
    Command.BIND_TRANSMITTER_RESP: BindResp,
    Command.BIND_RECEIVER_RESP: BindResp,
    Command.BIND_TRANSCEIVER_RESP: BindResp,
    Command.UNBIND: None,
    Command.UNBIND_RESP: None,
    Command.SUBMIT_SM: Sm,
    Command.SUBMIT_SM_RESP: MessageIdResp,
    Command.DELIVER_SM: Sm,
    Command.DELIVER_SM_RESP: MessageIdResp,
    Command.DATA_SM: DataSm,
    Command.DATA_SM_RESP: MessageIdResp,
    Command.QUERY_SM: QuerySm,
    Command.QUERY_SM_RESP: QuerySmResp,
    Command.CANCEL_SM: CancelSm,
    Command.CANCEL_SM_RESP: None,
    Command.REPLACE_SM: ReplaceSm,
    Command.REPLACE_SM_RESP: None,
    Command.ENQUIRE_LINK: None,
    Command.ENQUIRE_LINK_RESP: None,
    Command.ALERT_NOTIFICATION: AlertNotification,
    Command.GENERIC_NACK: None,
}
