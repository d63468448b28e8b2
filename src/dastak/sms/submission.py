"""What goes out over a bind, and what comes back: one message, the carrier's answer, one delivery."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

import msgspec

from dastak.core.errors import CarrierError, CarrierRejected
from dastak.core.outcome import Outcome
from dastak.sms.pdu import SHORT_MESSAGE_OCTETS_MAX, absolute_time, encode_sm, relative_time
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_codes import Tag
from dastak.sms.smpp_settings import ESM_MODES, SmppSettings, ValidityForm
from dastak.sms.tlv import MalformedPdu, Tlv, encode_tlvs


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One short message, or one part of a longer one.

    Attributes:
        octets: The user data as it goes out, in `data_coding`; with its UDH where esm_class says so.
        destination: An E.164 number, with or without plus.
        sender: The header or number it comes from; empty takes the one of the settings.
        validity_s: The carrier gives up after this many seconds.
        user_message_reference: 16 bits; for some carriers the only key that finds the receipt's message.
        tlvs: What else this carrier wants, raw.
    """

    octets: bytes
    destination: str
    validity_s: int
    user_message_reference: int
    sender: str = ""
    data_coding: int = 0
    esm_class: int = 0
    tlvs: tuple[Tlv, ...] = ()

    def __repr__(self) -> str:
        """Show no user data and no number: the one is a code, the other a person."""
        return f"Submission({len(self.octets)} octets, user_message_reference={self.user_message_reference})"


class Accepted(msgspec.Struct, frozen=True):
    """The carrier took the message, under this id."""

    message_id: str


SubmitResult: TypeAlias = Accepted | CarrierError
Done: TypeAlias = Callable[[SubmitResult], None]


class Delivery(NamedTuple):
    """What the carrier brings: a receipt, or a text from a phone. It comes again until it is acknowledged.

    `acknowledge(command_status)` answers: ESME_ROK takes it, ESME_RX_T_APPN asks for it once more, later.
    """

    sm: Sm
    acknowledge: Callable[[int], None]


def encode_submission(
    submission: Submission, settings: SmppSettings, *, now: Callable[[], datetime]
) -> bytes:
    """Write the body of a submit_sm. A text too long for short_message goes into message_payload.

    Args:
        submission: What to send.
        settings: Of its route.
        now: The time, aware, for carriers that want an instant and not a span.

    Raises:
        CarrierRejected: It does not fit into a submit_sm.
    """
    source_addr, ton, npi = settings.source_of(submission.sender)
    tlvs = submission.tlvs
    if settings.send_reference:
        reference = submission.user_message_reference.to_bytes(2, "big")
        tlvs = ((Tag.USER_MESSAGE_REFERENCE, reference), *tlvs)
    short_message = submission.octets
    if len(short_message) > SHORT_MESSAGE_OCTETS_MAX:
        tlvs, short_message = ((Tag.MESSAGE_PAYLOAD, short_message), *tlvs), b""
    try:
        return encode_sm(
            Sm(
                service_type=settings.service_type,
                source_addr_ton=ton,
                source_addr_npi=npi,
                source_addr=source_addr,
                dest_addr_ton=settings.dest_addr_ton,
                dest_addr_npi=settings.dest_addr_npi,
                destination_addr=submission.destination.removeprefix("+"),
                esm_class=submission.esm_class | ESM_MODES[settings.esm_mode],
                protocol_id=settings.protocol_id,
                priority_flag=settings.priority_flag,
                validity_period=_validity_period(submission.validity_s, settings, now),
                registered_delivery=settings.registered_delivery,
                data_coding=submission.data_coding,
                short_message=short_message,
                tlv_octets=encode_tlvs(tlvs),
            )
        )
    except MalformedPdu as error:
        raise CarrierRejected(str(error), status="malformed_pdu", outcome=Outcome.ROUTE_CONFIG) from error


def _validity_period(validity_s: int, settings: SmppSettings, now: Callable[[], datetime]) -> str:
    if settings.validity is ValidityForm.RELATIVE:
        return relative_time(validity_s)
    if settings.validity is ValidityForm.NONE:
        return ""
    utc_offset = timedelta(minutes=settings.utc_offset_min)
    return absolute_time(now() + timedelta(seconds=validity_s), utc_offset)
