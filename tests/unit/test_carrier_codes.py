"""A code is read by the tables of the carrier that sent it, in their order."""

from collections.abc import Mapping
from typing import Any

import pytest

from dastak.carriers.carrier_codes import CodeReading, Where, read_code
from dastak.carriers.carrier_kinds import read_settings
from dastak.core.carrier import CarrierKind
from dastak.core.outcome import Outcome
from dastak.sms.dlr import parse_dlr
from dastak.sms.pdu_bodies import Sm
from dastak.voice.sip_settings import SipSettings

SMPP: Mapping[str, Any] = {
    "host": "smsc.example.in",
    "port": 2775,
    "system_id": "acme",
    "password": "secret",
    "receipt_outcomes": {
        "614": "dlt_template",
        "REJECTD:006": "spam_or_content",
        "EXPIRED": "handset_off",
        "633": "dlt_template",
    },
    "status_outcomes": {"0x412": "dlt_header", "ESME_RTHROTTLED": "route_config"},
}
OWN = "receipt_outcomes"


def by_smpp(code: str) -> tuple[CodeReading, ...]:
    return read_code(CarrierKind.SMPP, read_settings(CarrierKind.SMPP, SMPP), code)


def by_http(code: str, profile: str = "msg91") -> tuple[CodeReading, ...]:
    settings = {
        "profile": profile,
        "secret": "secret",
        "outcomes": {"17": "handset_off"},
        "options": {"flow_id": "1"},
    }
    return read_code(CarrierKind.HTTP, read_settings(CarrierKind.HTTP, settings), code)


@pytest.mark.parametrize(
    ("code", "table", "outcome"),
    [
        ("614", OWN, Outcome.DLT_TEMPLATE),
        ("UNDELIV:614", OWN, Outcome.DLT_TEMPLATE),
        ("REJECTD:006", OWN, Outcome.SPAM_OR_CONTENT),
        ("expired", OWN, Outcome.HANDSET_OFF),
        ("633", OWN, Outcome.DLT_TEMPLATE),  # its own table says what the default would
        ("635", "the default", Outcome.DLT_VARIABLE),
        ("DELIVRD", "the default", Outcome.DELIVERED),
    ],
)
def test_code_of_a_receipt_is_read_as_the_receipt_would_be(code: str, table: str, outcome: Outcome) -> None:
    readings = [one for one in by_smpp(code) if one.where is Where.RECEIPT]

    assert readings == [CodeReading(Where.RECEIPT, table, outcome)]


@pytest.mark.parametrize("err", ["614", "006", "633", "635", "999"])
def test_reading_of_an_err_is_what_comes_of_a_receipt_with_it(err: str) -> None:
    table = read_settings(CarrierKind.SMPP, SMPP).receipt_outcomes
    text = f"id:1 sub:001 dlvrd:000 submit date:2611280900 done date:2611280901 stat:UNDELIV err:{err} text:"
    received = parse_dlr(Sm(esm_class=4, short_message=text.encode()), table=table).outcome

    read = [one.outcome for one in by_smpp(err) if one.where is Where.RECEIPT]

    assert (read or [Outcome.NETWORK_TEMPORARY]) == [received]


@pytest.mark.parametrize(
    ("code", "table", "outcome"),
    [
        ("0x00000412", "status_outcomes", Outcome.DLT_HEADER),
        ("1042", "status_outcomes", Outcome.DLT_HEADER),
        ("ESME_RTHROTTLED", "status_outcomes", Outcome.ROUTE_CONFIG),
        ("ESME_RINVDSTADR", "the standard", Outcome.UNKNOWN_NUMBER),
    ],
)
def test_status_of_an_answer_is_read_by_its_number_or_name(code: str, table: str, outcome: Outcome) -> None:
    assert by_smpp(code) == (CodeReading(Where.ANSWER, table, outcome),)


def test_number_that_stands_in_both_is_read_as_both() -> None:
    found = {one.where: one.outcome for one in by_smpp("11")}

    assert found == {Where.ANSWER: Outcome.UNKNOWN_NUMBER, Where.RECEIPT: Outcome.BARRED_OR_DND}


def test_code_that_no_table_has_is_not_read() -> None:
    assert by_smpp("999") == by_smpp("REJECTD:999") == by_smpp("XYZ") == by_http("31337") == ()


def test_http_carrier_reads_its_own_table_then_its_profile_then_the_shared_list() -> None:
    assert by_http("17") == (
        CodeReading(Where.ANSWER, "outcomes", Outcome.HANDSET_OFF),
        CodeReading(Where.RECEIPT, "outcomes", Outcome.HANDSET_OFF),
    )
    assert by_http("418") == (CodeReading(Where.ANSWER, "the profile", Outcome.ROUTE_CONFIG),)
    assert by_http("16") == (CodeReading(Where.RECEIPT, "the profile", Outcome.OPERATOR_REJECT),)
    assert by_http("633") == (CodeReading(Where.RECEIPT, "the list india_dlt", Outcome.DLT_TEMPLATE),)


def test_bare_http_status_is_read_as_the_answer_would_be() -> None:
    assert by_http("http_429") == (CodeReading(Where.ANSWER, "the default", Outcome.THROTTLED),)


@pytest.mark.parametrize(
    ("code", "outcome", "table"),
    [
        ("486", Outcome.BUSY, "the default"),
        ("SIP 480, cause 20", Outcome.ABSENT_SUBSCRIBER, "the default"),
        ("call:SIP 603", Outcome.DECLINED, "the default"),
        ("503/17", Outcome.NETWORK_TEMPORARY, "outcomes"),
        ("503/34", Outcome.CONGESTION, "the default"),
    ],
)
def test_sip_status_is_read_as_the_trunk_reads_it(code: str, outcome: Outcome, table: str) -> None:
    settings = SipSettings(host="trunk.example", caller="+911600123456", outcomes={"503/17": "failed"})

    assert read_code(CarrierKind.SIP, settings, code) == (
        CodeReading(Where.ANSWER, table, outcome, call=True),
    )
    assert read_code(CarrierKind.SIP, settings, "nope") == ()
