"""Writes the delivery receipts of the simulated carrier: the classic text, and the same as TLVs.

Source: SMPP v3.4, sections 5.3.2.12 and 5.3.2.35, appendix B.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from dastak.simulator.faults import Echo, Fate, IdForm
from dastak.sms.pdu import encode_sm
from dastak.sms.pdu_bodies import Sm
from dastak.sms.receipt_codes import MAP_ERRORS, STATS
from dastak.sms.smpp_codes import ESM_RECEIPT, Tag
from dastak.sms.tlv import encode_tlvs, find_tlv

USELESS_ID: Final = "msg_id_not_implemented"
_LITERAL_DATE: Final = "YYMMDDhhmm"
_STATES: Final[Mapping[str, int]] = {stat: state for state, stat in STATS.items()}
_NETWORK_TYPE_GSM: Final = b"\x03"
# Real carriers quote this much of the message. With an OTP that is the code.
_QUOTED_OCTETS: Final = 20


def id_text(message_number: int, form: IdForm) -> str:
    """Write the id of a message."""
    if form is IdForm.HEXADECIMAL:
        return f"{message_number:x}"
    return str(message_number) if form is IdForm.DECIMAL else USELESS_ID


def receipt_body(sm: Sm, message_id: str, fate: Fate, *, submitted_at: datetime, done_at: datetime) -> bytes:
    """Write the deliver_sm that tells what became of a submit_sm."""
    stat, err = fate.stat, fate.err
    delivered = stat == "DELIVRD"
    dates = [_LITERAL_DATE if fate.literal_dates else _minute(at) for at in (submitted_at, done_at)]
    text = (
        f"id:{message_id} sub:001 dlvrd:{delivered:03d} submit date:{dates[0]} "
        f"done date:{dates[1]} stat:{stat} err:{err} text:"
    )
    tlvs = [
        (Tag.RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"),
        (Tag.MESSAGE_STATE, bytes([_STATES[stat]])),
    ]
    if err.isdecimal() and int(err) in MAP_ERRORS:
        tlvs.append((Tag.NETWORK_ERROR_CODE, _NETWORK_TYPE_GSM + int(err).to_bytes(2, "big")))
    reference = find_tlv(sm.tlv_octets, Tag.USER_MESSAGE_REFERENCE)
    if reference is not None and fate.reference is not Echo.NONE:
        if fate.reference is Echo.LOW:
            reference = b"\0" + reference[-1:]
        tlvs.append((Tag.USER_MESSAGE_REFERENCE, reference))
    return encode_sm(
        Sm(
            source_addr_ton=sm.dest_addr_ton,
            source_addr_npi=sm.dest_addr_npi,
            source_addr=sm.destination_addr,
            dest_addr_ton=sm.source_addr_ton,
            dest_addr_npi=sm.source_addr_npi,
            destination_addr=sm.source_addr,
            esm_class=ESM_RECEIPT,
            short_message=text.encode() + sm.text_octets[:_QUOTED_OCTETS],
            tlv_octets=encode_tlvs(tlvs),
        )
    )


def _minute(at: datetime) -> str:
    """Write `YYMMDDhhmm`; strftime would take most of the time of a receipt."""
    return f"{at.year % 100:02d}{at.month:02d}{at.day:02d}{at.hour:02d}{at.minute:02d}"
