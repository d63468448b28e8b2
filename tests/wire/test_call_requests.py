"""The requests that begin and end a call, octet by octet. Source: the page or SDK each profile names."""

import json
import logging
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from vonage_voice.models.requests import CreateCallRequest

from dastak.http_carriers.http_render import HttpRequest
from dastak.http_voice.call_requests import end_request
from tests.support.call_samples import HOOK, TEXT, created, some_call, some_call_carrier, some_rsa_key
from tests.support.http_samples import NOW
from tests.wire.test_http_requests import basic, head

SCRIPT = quote(f"{HOOK}/calls/t0ken/0", safe="")
STATUS = quote(f"{HOOK}/calls/t0ken/status", safe="")


def ended(name: str, ref: str = "CA01", *, answered: bool = False) -> HttpRequest | None:
    return end_request(some_call_carrier(name), ref, answered=answered, now=NOW)


def test_twilio_takes_a_form_and_repeats_the_events_it_shall_tell() -> None:
    request = created(some_call_carrier("twilio", account="AC01"))

    assert head(request) == (
        "POST https://api.twilio.com/2010-04-01/Accounts/AC01/Calls.json\n"
        f"authorization: {basic('AC01', 'k3y')}\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body.decode() == (
        f"To=%2B919876543210&From=%2B12025550100&Url={SCRIPT}&Method=POST&StatusCallback={STATUS}"
        "&StatusCallbackMethod=POST&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing"
        "&StatusCallbackEvent=answered&StatusCallbackEvent=completed&Timeout=25&TimeLimit=120"
    )


class Caught(HttpClient):  # type: ignore[misc] - the library has no types
    """Keeps what the vendor's library would send."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("caught"), is_async=False)

    def request(self, method: str, url: str, **sent: Any) -> Response:
        self.sent = (method, url, sent["data"])
        return Response(201, '{"sid":"CA01"}')


def test_twilio_form_is_the_one_that_the_vendors_library_sends() -> None:
    caught = Caught()
    Client("AC01", "k3y", http_client=caught).calls.create(
        to="+919876543210",
        from_="+12025550100",
        url=f"{HOOK}/calls/t0ken/0",
        method="POST",
        status_callback=f"{HOOK}/calls/t0ken/status",
        status_callback_method="POST",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        timeout=25,
        time_limit=120,
    )
    method, url, form = caught.sent

    request = created(some_call_carrier("twilio", account="AC01"))

    assert (request.method, request.url) == (method, url)
    assert sorted(parse_qsl(request.body.decode())) == sorted(parse_qsl(urlencode(form, doseq=True)))


def test_twilio_guesses_machines_beside_the_call_where_that_is_wanted() -> None:
    body = created(some_call_carrier("twilio", options={"machine_detection": "Enable"})).body.decode()

    assert body.endswith(f"&MachineDetection=Enable&AsyncAmd=true&AsyncAmdStatusCallback={STATUS}")


@pytest.mark.parametrize(("answered", "state"), [(False, b"Status=canceled"), (True, b"Status=completed")])
def test_twilio_ends_a_call_by_its_state(answered: bool, state: bytes) -> None:
    request = ended("twilio", answered=answered)

    assert request is not None
    assert request.url == "https://api.twilio.com/2010-04-01/Accounts/acc0unt/Calls/CA01.json"
    assert (request.method, request.body) == ("POST", state)


def test_vonage_takes_json_behind_a_token_of_the_application() -> None:
    request = created(some_call_carrier("vonage"))

    assert (request.method, request.url) == ("POST", "https://api.nexmo.com/v1/calls")
    body = json.loads(request.body)
    assert body == {
        "to": [{"type": "phone", "number": "919876543210"}],
        "from": {"type": "phone", "number": "12025550100"},
        "answer_url": [f"{HOOK}/calls/t0ken/0"],
        "answer_method": "POST",
        "event_url": [f"{HOOK}/calls/t0ken/status"],
        "event_method": "POST",
        "ringing_timer": 25,
        "length_timer": 120,
    }
    # The vendor's own model has nothing against it, and leaves nothing out.
    model = CreateCallRequest(**{**body, "from_": body["from"]})
    assert json.loads(model.model_dump_json(exclude_none=True, by_alias=True)) == body


def test_vonage_token_is_proven_by_the_public_key_and_none_is_like_another() -> None:
    carrier = some_call_carrier("vonage")
    tokens = [
        request.headers["authorization"].removeprefix("Bearer ")
        for request in (created(carrier), created(carrier, some_call(code="1")), ended("vonage"))
        if request is not None
    ]
    public = some_rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    claims = [
        jwt.decode(token, public, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
        for token in tokens
    ]
    at = int(NOW.timestamp())
    assert {(one["application_id"], one["iat"], one["exp"]) for one in claims} == {("acc0unt", at, at + 300)}
    assert len({one["jti"] for one in claims}) >= 2


def test_vonage_hangs_up_by_an_action() -> None:
    request = ended("vonage", "u-u")

    assert request is not None
    assert (request.method, request.url) == ("PUT", "https://api.nexmo.com/v1/calls/u-u")
    assert request.body == b'{"action":"hangup"}'


def test_plivo_takes_json_behind_basic() -> None:
    request = created(some_call_carrier("plivo", account="MA01"))

    assert head(request) == (
        "POST https://api.plivo.com/v1/Account/MA01/Call/\n"
        f"authorization: {basic('MA01', 'k3y')}\n"
        "content-type: application/json"
    )
    assert json.loads(request.body) == {
        "from": "12025550100",
        "to": "919876543210",
        "answer_url": f"{HOOK}/calls/t0ken/0",
        "answer_method": "POST",
        "ring_url": f"{HOOK}/calls/t0ken/status",
        "ring_method": "POST",
        "hangup_url": f"{HOOK}/calls/t0ken/status",
        "hangup_method": "POST",
        "ring_timeout": 25,
        "time_limit": 120,
    }


def test_plivo_deletes_a_call() -> None:
    request = ended("plivo")

    assert request is not None
    assert head(request) == (
        "DELETE https://api.plivo.com/v1/Account/acc0unt/Call/CA01/\n"
        f"authorization: {basic('acc0unt', 'k3y')}"
    )
    assert request.body == b""


def test_exotel_is_given_a_flow_and_our_word_for_the_call_and_no_text() -> None:
    request = created(some_call_carrier("exotel"))

    assert head(request) == (
        "POST https://api.in.exotel.com/v1/Accounts/acme1/Calls/connect.json\n"
        f"authorization: {basic('acc0unt', 'k3y')}\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body.decode() == (
        "From=%2B919876543210&CallerId=%2B12025550100"
        "&Url=http%3A%2F%2Fmy.exotel.com%2Facme1%2Fexoml%2Fstart_voice%2F12345&CallType=trans"
        f"&TimeLimit=120&TimeOut=25&StatusCallback={STATUS}&StatusCallbackEvents%5B0%5D=terminal"
        "&StatusCallbackEvents%5B1%5D=answered&StatusCallbackContentType=application%2Fjson&CustomField=t0ken"
    )
    assert ended("exotel") is None


def test_infobip_is_given_the_text_itself() -> None:
    request = created(some_call_carrier("infobip"))

    assert head(request) == (
        "POST https://acme1.api.infobip.com/tts/3/advanced\n"
        "authorization: App k3y\n"
        "content-type: application/json"
    )
    (message,) = json.loads(request.body)["messages"]
    own = message["destinations"][0].pop("messageId")
    assert message == {
        "from": "12025550100",
        "destinations": [{"to": "919876543210"}],
        "text": TEXT,
        "language": "en",
        "speechRate": 0.9,
        "ringTimeout": 25,
        "callTimeout": 120,
        "machineDetection": "hangup",
        "notifyUrl": f"{HOOK}/calls/t0ken/status",
        "notifyContentType": "application/json",
    }
    assert len(own) == 32


def test_service_may_choose_a_caller_that_was_allotted_and_no_other() -> None:
    carrier = some_call_carrier("plivo", callers=["+911600123456"])

    shown = [
        json.loads(created(carrier, some_call(sender=sender)).body)["from"]
        for sender in ("+911600123456", "+911600999999", "ACMEIN", "")
    ]

    assert shown == ["911600123456", *["12025550100"] * 3]


def test_phone_rings_no_longer_than_its_code_lives() -> None:
    body = created(some_call_carrier("plivo"), some_call(validity_s=9)).body

    assert json.loads(body)["ring_timeout"] == 9
