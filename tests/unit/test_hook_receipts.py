"""Webhooks as vendors send them become receipts, whatever their form, order and number."""

import json
from urllib.parse import urlencode

import pytest

from dastak.core.errors import MalformedRequest
from dastak.core.message import CarrierRef, Receipt
from dastak.core.outcome import Outcome
from dastak.http_carriers.body_paths import EVENTS_MAX
from dastak.http_carriers.hook_receipts import address_to_confirm, read_receipts
from tests.support.http_samples import some_carrier, some_hook

MSG91_V2 = [
    {
        "senderId": "ACMEIN",
        "requestId": "3763646c",
        "report": [
            {"date": "2026-11-28 03:00:05", "number": "919876543210", "status": "1", "desc": "DELIVERED"},
            {"date": "2026-11-28 03:00:06", "number": "919876543211", "status": "2", "failedReason": "633"},
        ],
    }
]


def receipts(name: str, body: str, **hook: str) -> tuple[Receipt, ...]:
    return read_receipts("main", some_carrier(name), some_hook(body, **hook))


def ref(text: str) -> CarrierRef:
    return CarrierRef("main", text)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        ("queued", "", Outcome.ACCEPTED),
        ("sent", "", Outcome.ENROUTE),
        ("delivered", "", Outcome.DELIVERED),
        ("delivered", "30003", Outcome.DELIVERED),
        ("undelivered", "30003", Outcome.ABSENT_SUBSCRIBER),
        ("undelivered", "30005", Outcome.UNKNOWN_NUMBER),
        ("failed", "30007", Outcome.SPAM_OR_CONTENT),
        ("failed", "39999", Outcome.NETWORK_TEMPORARY),
        ("teleported", "", Outcome.UNKNOWN),
    ],
)
def test_twilio_states_and_codes(status: str, code: str, outcome: Outcome) -> None:
    form = {"MessageSid": "SM01", "MessageStatus": status, **({"ErrorCode": code} if code else {})}

    (receipt,) = receipts("twilio", urlencode(form))

    evidence = f"status:{status} code:{code}" if code else f"status:{status}"
    assert receipt == Receipt(ref("SM01"), outcome, evidence)


def test_msg91_form_field_that_holds_json_has_several_receipts() -> None:
    found = receipts("msg91", urlencode({"data": json.dumps(MSG91_V2)}))

    assert found == (
        Receipt(ref("3763646c"), Outcome.DELIVERED, "status:1"),
        Receipt(ref("3763646c"), Outcome.DLT_TEMPLATE, "status:2 code:633"),
    )


def test_msg91_flat_json_has_one() -> None:
    (receipt,) = receipts("msg91", '{"requestId":"3763646c","status":"9","telNum":"919876543210"}')

    assert receipt == Receipt(ref("3763646c"), Outcome.BARRED_OR_DND, "status:9")


def test_msg91_event_without_an_id_is_no_receipt() -> None:
    with pytest.raises(MalformedRequest):
        receipts("msg91", '[{"data":[{"meta":"","description":"x","ts":1}],"event":"delivered"}]')


def test_batch_of_twenty_keeps_its_order() -> None:
    batch = [{"requestId": f"r{n}", "report": [{"status": "1"}]} for n in range(20)]

    found = receipts("msg91", urlencode({"data": json.dumps(batch)}))

    assert [receipt.carrier.ref for receipt in found] == [f"r{n}" for n in range(20)]


def test_more_events_than_a_webhook_has_are_refused() -> None:
    with pytest.raises(MalformedRequest):
        receipts("msg91", json.dumps([{"requestId": "r", "status": "1"}] * (EVENTS_MAX + 1)))


def test_status_may_stand_in_the_query() -> None:
    (receipt,) = receipts("twilio", "", method="GET", query="MessageSid=SM01&MessageStatus=delivered")

    assert receipt == Receipt(ref("SM01"), Outcome.DELIVERED, "status:delivered")


def test_evidence_has_nothing_of_the_text() -> None:
    form = {
        "MessageSid": "SM01",
        "MessageStatus": "failed",
        "ErrorCode": "text was: 482913 is your code " * 9,
    }

    (receipt,) = receipts("twilio", urlencode(form))

    assert "482913" not in receipt.evidence
    assert len(receipt.evidence) < 100


INFOBIP = {
    "results": [
        {
            "bulkId": "b",
            "messageId": "0wn1",
            "to": "919876543210",
            "mccMnc": "40445",
            "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"},
            "error": {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False},
        },
        {
            "messageId": "0wn2",
            "status": {"groupName": "UNDELIVERABLE"},
            "error": {"name": "EC_ABSENT_SUBSCRIBER", "permanent": False},
        },
    ]
}


def test_infobip_array_has_our_own_ids() -> None:
    assert receipts("infobip", json.dumps(INFOBIP)) == (
        Receipt(ref("0wn1"), Outcome.DELIVERED, "status:DELIVERED code:NO_ERROR", operator="40445"),
        Receipt(ref("0wn2"), Outcome.ABSENT_SUBSCRIBER, "status:UNDELIVERABLE code:EC_ABSENT_SUBSCRIBER"),
    )


VONAGE = {"messageId": "0A01", "status": "delivered", "err-code": "0", "network-code": "40445"}
PLIVO = {"MessageUUID": "d0f1", "Status": "undelivered", "ErrorCode": "50", "MCC": "404", "MNC": "45"}
EXOTEL = {"SmsSid": "7b01", "Status": "sent", "DetailedStatus": "DELIVERED_TO_HANDSET"}
GUPSHUP = [
    {"externalId": f"3477-{n}", "eventType": event, "errCode": code, "destAddr": "919876543210"}
    for n, (event, code) in enumerate([("DELIVERED", "000"), ("FAILED", "633"), ("FAILED", "999")])
]
EVENT = {"eventType": "TEXT_DELIVERED", "messageId": "m-1", "mcc": "404", "mnc": "45", "isFinal": True}


@pytest.mark.parametrize(
    ("name", "body", "wanted"),
    [
        (
            "vonage",
            json.dumps(VONAGE),
            Receipt(ref("0A01"), Outcome.DELIVERED, "status:delivered code:0", operator="40445"),
        ),
        (
            "vonage",
            json.dumps({**VONAGE, "status": "failed", "err-code": "9"}),
            Receipt(ref("0A01"), Outcome.UNKNOWN_NUMBER, "status:failed code:9", operator="40445"),
        ),
        (
            "plivo",
            urlencode(PLIVO),
            Receipt(ref("d0f1"), Outcome.UNKNOWN_NUMBER, "status:undelivered code:50", operator="40445"),
        ),
        (
            "exotel",
            urlencode(EXOTEL),
            Receipt(ref("7b01"), Outcome.DELIVERED, "status:sent code:DELIVERED_TO_HANDSET"),
        ),
        (
            "exotel",
            urlencode({**EXOTEL, "Status": "failed_dnd", "DetailedStatus": "x"}),
            Receipt(ref("7b01"), Outcome.BARRED_OR_DND, "status:failed_dnd code:x"),
        ),
        (
            "kaleyra",
            urlencode({"message_id": "b0:1", "status": "INVALID-SUB"}),
            Receipt(ref("b0:1"), Outcome.UNKNOWN_NUMBER, "status:INVALID-SUB"),
        ),
        (
            "karix",
            json.dumps({"ackid": "5601", "status": "UNDELIV", "code": "614"}),
            Receipt(ref("5601"), Outcome.DLT_CHAIN, "status:UNDELIV code:614"),
        ),
        (
            "aws",
            json.dumps(EVENT),
            Receipt(ref("m-1"), Outcome.DELIVERED, "status:TEXT_DELIVERED", operator="40445"),
        ),
        (
            "aws",
            json.dumps({"Type": "Notification", "Message": json.dumps(EVENT)}),
            Receipt(ref("m-1"), Outcome.DELIVERED, "status:TEXT_DELIVERED", operator="40445"),
        ),
    ],
)
def test_receipt_of_each_vendor(name: str, body: str, wanted: Receipt) -> None:
    assert receipts(name, body) == (wanted,)


def test_gupshup_batch_in_a_form_field_and_one_by_query() -> None:
    batch = receipts("gupshup", urlencode({"response": json.dumps(GUPSHUP)}))
    (alone,) = receipts("gupshup", "", method="GET", query="externalId=3477-9&eventType=SUCCESS&errCode=000")

    assert [receipt.outcome for receipt in batch] == [
        Outcome.DELIVERED,
        Outcome.DLT_TEMPLATE,
        Outcome.NETWORK_TEMPORARY,
    ]
    assert (alone.carrier, alone.outcome) == (ref("3477-9"), Outcome.DELIVERED)


def test_question_of_sns_is_no_receipt_and_only_its_own_address_is_shown() -> None:
    form = some_carrier("aws").profile.receipt
    assert form is not None
    url = "https://sns.ap-south-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"

    asked = [
        address_to_confirm(
            form, some_hook(json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": at}))
        )
        for at in (
            url,
            "https://sns.ap-south-1.amazonaws.com.evil.example/",
            "javascript:1",
            url + "x" * 1000,
            7,
        )
    ]

    assert asked == [url, "", "", "", ""]
