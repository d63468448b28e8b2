"""PDUs in words: all of them can be told, and none tells a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.sms.coded_text import Concatenation, TextOptions, write_text
from dastak.sms.pdu import Pdu, encode_body
from dastak.sms.pdu_bodies import (
    AlertNotification,
    Bind,
    BindResp,
    Body,
    CancelSm,
    DataSm,
    MessageIdResp,
    QuerySm,
    Sm,
)
from dastak.sms.pdu_words import describe, see, shape
from dastak.sms.shift_tables import Language
from dastak.sms.smpp_codes import Command, Status, Tag
from dastak.sms.tlv import encode_tlvs

RECEIPT = (
    b"id:7f3a sub:001 dlvrd:001 submit date:2611231059 done date:2611231102 stat:UNDELIV err:027 "
    b"text:424242 is your code"
)
SUBMIT = Sm(
    service_type="OTP",
    source_addr="ACMEOT",
    destination_addr="919876543210",
    esm_class=3,
    priority_flag=1,
    validity_period="000000000459000R",
    registered_delivery=1,
    short_message=b"424242 is your Acme code.",
    tlv_octets=encode_tlvs([(Tag.USER_MESSAGE_REFERENCE, b"\0\3"), (0x1400, b"1101172974420810001\0")]),
)


@pytest.mark.parametrize(
    ("command_id", "status", "body", "words"),
    [
        (
            Command.BIND_TRANSCEIVER,
            0,
            Bind(system_id="sim_1", password="secret12", system_type="OTP"),
            "bind_transceiver: system_id sim_1, password hidden, system_type OTP, interface_version 3.4",
        ),
        (
            Command.BIND_TRANSCEIVER_RESP,
            0,
            BindResp(system_id="smsc"),
            "bind_transceiver_resp ESME_ROK: system_id smsc",
        ),
        (Command.BIND_TRANSMITTER_RESP, Status.ESME_RINVPASWD, None, "bind_transmitter_resp ESME_RINVPASWD"),
        (
            Command.SUBMIT_SM,
            0,
            SUBMIT,
            "submit_sm: from ACMEOT to +9198******10, 25 octets in the default alphabet "
            "[•••••• •• •••• •••• ••••.], store and forward, service_type OTP, priority 1, "
            "valid 000000000459000R, receipt wanted, user_message_reference 0x0003, "
            "0x1400 1101172974420810001",
        ),
        (
            Command.SUBMIT_SM_RESP,
            0,
            MessageIdResp(message_id="7f3a"),
            "submit_sm_resp ESME_ROK: message_id 7f3a",
        ),
        (Command.SUBMIT_SM_RESP, 0x412, None, "submit_sm_resp 0x00000412"),
        (
            Command.DELIVER_SM,
            0,
            Sm(esm_class=4, source_addr="919876543210", destination_addr="56161", short_message=RECEIPT),
            "deliver_sm: receipt for 7f3a, UNDELIV err 027 (we read: absent_subscriber), done 2611231102, "
            "from +9198******10 to 56161",
        ),
        (
            Command.DATA_SM,
            0,
            DataSm(source_addr="919876543210", tlv_octets=encode_tlvs([(Tag.MESSAGE_PAYLOAD, b"STOP")])),
            "data_sm: from +9198******10 to nobody, 4 octets in the default alphabet [••••]",
        ),
        (
            Command.ALERT_NOTIFICATION,
            0,
            AlertNotification(source_addr="919876543210"),
            "alert_notification: +9198******10 is back",
        ),
        (Command.QUERY_SM, 0, QuerySm(message_id="7f3a"), "query_sm: message_id 7f3a"),
        (Command.CANCEL_SM, 0, CancelSm(message_id="7f3a"), "cancel_sm: message_id 7f3a"),
        (Command.ENQUIRE_LINK, 0, None, "enquire_link"),
        (Command.GENERIC_NACK, Status.ESME_RINVCMDID, None, "generic_nack ESME_RINVCMDID"),
        (0x77, 0, b"1234", "command 0x00000077: 4 octets of an unknown command"),
    ],
)
def test_pdu_is_told_in_words(command_id: int, status: int, body: Body, words: str) -> None:
    pdu = Pdu(command_id=command_id, command_status=status, sequence_number=1, body=body)

    assert describe(pdu) == words


@given(
    st.from_regex(r"[0-9A-Za-z]{4,10}", fullmatch=True),
    st.sampled_from(["{} is your code", "आपका कोड {}", "{}\n@host #{}", "x" * 140 + " {}"]),
    st.sampled_from(Concatenation),
    st.sampled_from([(), tuple(Language)]),
)
def test_no_code_is_ever_shown(
    code: str, text: str, concatenation: Concatenation, languages: tuple[Language, ...]
) -> None:
    options = TextOptions(languages=languages, concatenation=concatenation)
    coded = write_text(text.format(code, code), options, reference=0)
    for part in coded.parts:
        sm = Sm(
            data_coding=coded.data_coding,
            short_message=part.octets,
            esm_class=part.esm_class,
            tlv_octets=encode_tlvs(part.tlvs),
        )
        octets = encode_body(sm)
        for command in (Command.SUBMIT_SM, Command.DELIVER_SM):
            told = see((command, 0, 1, octets), sent=True, bind="1", at_ms=0).words
            text_shown = told[told.index("[") : told.rindex("]")]
            assert not any(char.isalnum() for char in text_shown)
            assert code.encode().hex() not in told


@given(st.text(max_size=200))
def test_shape_has_no_letter_and_no_line(text: str) -> None:
    shown = shape(text)

    assert not any(char.isalnum() or char in "\n\r\x1b" for char in shown)


@given(
    st.sampled_from([*Command, 0x77, 0x80000077]),
    st.sampled_from([0, 0x58, 0x412]),
    st.binary(max_size=300),
)
def test_whatever_comes_can_be_told(command_id: int, status: int, octets: bytes) -> None:
    seen = see((command_id, status, 7, octets), sent=False, bind="2", at_ms=12)

    assert seen.words.isprintable()
    assert (seen.bind, seen.sent, seen.sequence_number, seen.command_status) == ("2", False, 7, status)


def test_password_is_not_told_by_its_length() -> None:
    told = {
        describe(
            Pdu(
                command_id=Command.BIND_RECEIVER,
                sequence_number=1,
                body=Bind(system_id="x", password=password),
            )
        )
        for password in ("", "a", "secret12")
    }

    assert len(told) == 1
