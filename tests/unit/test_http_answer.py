"""Every documented answer of a vendor leads to the step that it should."""

import json

import pytest

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.http_carriers.http_answer import judge_answer
from dastak.http_carriers.http_settings import PROFILES
from tests.support.http_samples import some_carrier

TWILIO_NO = {"code": 21211, "message": "The 'To' number +919876543210 is not valid.", "status": 400}


def refusal(name: str, status: int, body: object, **settings: object) -> CarrierRejected:
    octets = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with pytest.raises(CarrierRejected) as refused:
        judge_answer(some_carrier(name, **settings), status, octets, own_id="0wn")
    return refused.value


QUEUED = "<To>09876543210</To>\n<Status>queued</Status>"
SPENT = {"__type": "ServiceQuotaExceededException", "Reason": "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"}
OPTED_OUT = {"__type": "ConflictException", "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT"}
TAKEN = [
    ("twilio", 201, {"sid": "SM01", "status": "queued", "error_code": None}, "SM01"),
    ("msg91", 200, {"type": "success", "message": "3763646c3058373530393938"}, "3763646c3058373530393938"),
    ("vonage", 200, {"message-count": "1", "messages": [{"status": "0", "message-id": "0A01"}]}, "0A01"),
    ("infobip", 200, {"messages": [{"messageId": "x", "status": {"groupName": "PENDING"}}]}, "0wn"),
    (
        "infobip",
        200,
        {"messages": [{"status": {"groupName": "REJECTED", "name": "REJECTED_DUPLICATE_MESSAGE_ID"}}]},
        "0wn",
    ),
    ("plivo", 202, {"message": "message(s) queued", "message_uuid": ["db3c-01"], "api_id": "f0"}, "db3c-01"),
    (
        "exotel",
        200,
        f"<TwilioResponse><SMSMessage><Sid>7b01</Sid>{QUEUED}</SMSMessage></TwilioResponse>",
        "7b01",
    ),
    (
        "gupshup",
        200,
        {"response": {"status": "success", "id": "3477-01", "phone": "919876543210"}},
        "3477-01",
    ),
    ("karix", 200, '{"ackid":"5601331","status":{"code":"200","desc":"Request accepted"}}', "5601331"),
    ("kaleyra", 202, {"id": "b0", "data": [{"message_id": "b0:1", "recipient": "919876543210"}]}, "b0:1"),
    ("aws", 200, {"MessageId": "m-1"}, "m-1"),
]


def parts(*statuses: str) -> dict[str, object]:
    """Return Vonage's answer to a text of several parts."""
    return {"messages": [{"status": status, "message-id": f"0A{n}"} for n, status in enumerate(statuses)]}


def test_yes_to_a_long_text_names_all_its_parts() -> None:
    answer = json.dumps(parts("0", "0", "0")).encode()

    assert judge_answer(some_carrier("vonage"), 200, answer, own_id="0wn") == ("0A0", "0A1", "0A2")


@pytest.mark.parametrize("statuses", [("0", "1"), ("1", "0"), ("0", "1", "0")])
def test_long_text_of_which_a_part_is_refused_is_refused(statuses: tuple[str, ...]) -> None:
    refused = refusal("vonage", 200, parts(*statuses))

    assert (refused.status, refused.outcome) == ("1", Outcome.THROTTLED)


@pytest.mark.parametrize(("name", "status", "body", "ref"), TAKEN)
def test_yes_names_the_message(name: str, status: int, body: object, ref: str) -> None:
    answer = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    assert judge_answer(some_carrier(name), status, answer, own_id="0wn") == (ref,)


VONAGE = {
    Outcome.THROTTLED: (1, 10),
    Outcome.ROUTE_CONFIG: (2, 3, 4, 8, 9, 11, 14, 15, 22, 23, 29, 32),
    Outcome.NETWORK_TEMPORARY: (5,),
    Outcome.OPERATOR_REJECT: (6,),
    Outcome.BARRED_OR_DND: (7,),
    Outcome.SPAM_OR_CONTENT: (12,),
    Outcome.UNKNOWN_NUMBER: (33,),
    Outcome.UNKNOWN: (98,),
}
REFUSED = [
    ("twilio", 400, TWILIO_NO, "21211", Outcome.UNKNOWN_NUMBER),
    ("twilio", 401, {"code": 20003, "status": 401}, "20003", Outcome.ROUTE_CONFIG),
    ("twilio", 429, {"code": 20429, "status": 429}, "20429", Outcome.THROTTLED),
    ("twilio", 400, {"code": 21610, "status": 400}, "21610", Outcome.BARRED_OR_DND),
    ("twilio", 400, {"code": 21617, "status": 400}, "21617", Outcome.SPAM_OR_CONTENT),
    ("twilio", 400, {"code": 99999, "status": 400}, "99999", Outcome.UNKNOWN),
    ("twilio", 403, "<html>", "http_403", Outcome.ROUTE_CONFIG),
    ("twilio", 302, "", "http_302", Outcome.ROUTE_CONFIG),
    ("twilio", 503, "busy", "http_503", Outcome.NETWORK_TEMPORARY),
    ("msg91", 200, {"type": "error", "message": "Authentication failure"}, None, Outcome.ROUTE_CONFIG),
    ("msg91", 401, {"type": "error", "message": "no"}, "no", Outcome.ROUTE_CONFIG),
    ("msg91", 200, {"type": "error", "message": "Invalid template"}, None, Outcome.DLT_TEMPLATE),
    ("msg91", 200, {"type": "error", "code": 418, "message": "ip"}, "418", Outcome.ROUTE_CONFIG),
    ("msg91", 200, {"type": "error", "message": "surprise"}, "surprise", Outcome.UNKNOWN),
    *(
        ("vonage", 200, {"messages": [{"status": str(status), "error-text": "no"}]}, str(status), outcome)
        for outcome, statuses in VONAGE.items()
        for status in statuses
    ),
    (
        "infobip",
        200,
        {"messages": [{"status": {"groupName": "REJECTED", "name": "REJECTED_NOT_ENOUGH_CREDITS"}}]},
        "REJECTED_NOT_ENOUGH_CREDITS",
        Outcome.ROUTE_CONFIG,
    ),
    (
        "infobip",
        401,
        {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid login"}}},
        "UNAUTHORIZED",
        Outcome.ROUTE_CONFIG,
    ),
    (
        "infobip",
        200,
        {"messages": [{"status": {"groupName": "REJECTED", "name": "X"}}]},
        "X",
        Outcome.UNKNOWN,
    ),
    ("plivo", 401, "Could not verify your access level", "http_401", Outcome.ROUTE_CONFIG),
    ("plivo", 400, {"api_id": "f0", "error": "dst is not valid"}, "dst is not valid", Outcome.UNKNOWN),
    *(
        (
            "exotel",
            status,
            f"<TwilioResponse><RestException><Status>{status}</Status></RestException>",
            None,
            outcome,
        )
        for status, outcome in (
            (400, Outcome.UNKNOWN),
            (403, Outcome.ROUTE_CONFIG),
            (429, Outcome.THROTTLED),
        )
    ),
    (
        "exotel",
        200,
        "<SMSMessage><Sid>7b01</Sid><Status>failed_dnd</Status></SMSMessage>",
        "failed_dnd",
        Outcome.BARRED_OR_DND,
    ),
    ("gupshup", 200, {"response": {"status": "error", "id": "102"}}, "102", Outcome.ROUTE_CONFIG),
    ("gupshup", 200, {"response": {"status": "error", "id": "105"}}, "105", Outcome.UNKNOWN_NUMBER),
    ("karix", 200, '{"ackid":"1","status":{"code":"-20"}}', "-20", Outcome.UNKNOWN),
    ("kaleyra", 401, {"code": "RBC001"}, "RBC001", Outcome.ROUTE_CONFIG),
    ("aws", 400, {"__type": "com.amazonaws#ThrottlingException"}, None, Outcome.THROTTLED),
    ("aws", 400, OPTED_OUT, "DESTINATION_PHONE_NUMBER", Outcome.BARRED_OR_DND),
    ("aws", 400, SPENT, None, Outcome.ROUTE_CONFIG),
    ("aws", 403, {"__type": "InvalidSignatureException"}, None, Outcome.ROUTE_CONFIG),
]


@pytest.mark.parametrize(("name", "status", "body", "code", "outcome"), REFUSED)
def test_no_is_understood(name: str, status: int, body: object, code: str | None, outcome: Outcome) -> None:
    refused = refusal(name, status, body)

    assert refused.outcome == outcome
    assert code is None or refused.status.startswith(code)


@pytest.mark.parametrize("name", PROFILES.names())
@pytest.mark.parametrize(
    ("status", "body"), [(200, b""), (201, b"{}"), (500, b"oops"), (502, b""), (504, b"{")]
)
def test_unclear_answer_may_have_been_a_yes(name: str, status: int, body: bytes) -> None:
    if status not in some_carrier(name).profile.answer.ok and status < 500:
        status = some_carrier(name).profile.answer.ok[0]

    with pytest.raises(CarrierUnavailable) as unclear:
        judge_answer(some_carrier(name), status, body, own_id="0wn")

    assert unclear.value.outcome_unknown


def test_operators_table_comes_before_the_profiles() -> None:
    refused = refusal("twilio", 400, TWILIO_NO, outcomes={"21200-21299": "operator_reject"})

    assert refused.outcome == Outcome.OPERATOR_REJECT


def test_number_in_a_sentence_is_not_kept() -> None:
    refused = refusal("msg91", 200, {"type": "error", "message": "bad mobile 919876543210 text 482913"})

    assert "9198" not in f"{refused} {refused.status}"
    assert "4829" not in refused.status
