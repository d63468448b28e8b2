"""Our request to AWS is what AWS's own library would send: model, signature and all, with nothing sent."""

import json
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

from dastak.core.msisdn import Msisdn
from dastak.http_carriers.http_auth import sign_v4
from dastak.http_carriers.http_render import HttpRequest
from tests.support.http_samples import NOW, rendered, some_carrier, some_outgoing

SERVICE = "pinpoint-sms-voice-v2"
CREDENTIALS = Credentials("acc0unt", "k3y")
INSTANT = "20261128T030000Z"


@pytest.fixture(scope="module")
def session() -> Any:
    return botocore.session.get_session()


def signature_of_botocore(request: HttpRequest, service: str = "sms-voice") -> str:
    """Sign the same request at the same instant."""
    unsigned = {
        name: value for name, value in request.headers.items() if name not in ("authorization", "host")
    }
    theirs = AWSRequest(request.method, request.url, headers=unsigned, data=request.body)
    theirs.context["timestamp"] = INSTANT
    auth = SigV4Auth(CREDENTIALS, service, "ap-south-1")
    text = auth.string_to_sign(theirs, auth.canonical_request(theirs))
    return str(auth.signature(text, theirs))


@pytest.mark.parametrize("text", ["Your code is 482913.", "कोड 482913", '482913 &=+#@%"'])
def test_signature_is_the_one_botocore_makes(text: str) -> None:
    request = rendered(some_carrier("aws"), some_outgoing(text))

    assert request.headers["authorization"].endswith(f"Signature={signature_of_botocore(request)}")


def test_signature_of_an_address_with_a_query_is_the_same_too() -> None:
    url = "https://api.example.com/a%20b/c?z=1&a=x%20y&a=%26&e="
    headers = {"x-amz-date": INSTANT, "x-spaced": "two  blanks"}
    added = sign_v4(
        "GET",
        url,
        headers,
        b"",
        access_key="acc0unt",
        secret_key="k3y",
        region="ap-south-1",
        service="sms-voice",
        now=NOW,
    )

    request = HttpRequest("GET", url, {**headers, "authorization": ""}, b"")
    assert added["authorization"].endswith(f"Signature={signature_of_botocore(request)}")


@pytest.mark.parametrize("msisdn", ["+919876543210", "+12025550123"])
@pytest.mark.parametrize("validity_s", [1, 5, 300, 259_200, 10**6])
def test_body_is_valid_by_the_model_of_aws(session: Any, msisdn: str, validity_s: int) -> None:
    carrier = some_carrier("aws", options={"region": "ap-south-1", "configuration_set": "otp"})
    outgoing = some_outgoing(msisdn=Msisdn(msisdn), validity_s=validity_s)
    shape = session.get_service_model(SERVICE).operation_model("SendTextMessage").input_shape

    body = json.loads(rendered(carrier, outgoing).body)

    report = ParamValidator().validate(body, shape)
    assert not report.has_errors(), report.generate_report()
    limits = shape.members["TimeToLive"].metadata
    assert limits["min"] <= body["TimeToLive"] <= limits["max"]


def test_request_is_the_one_botocores_client_would_send(session: Any) -> None:
    ours = rendered(some_carrier("aws"))
    sent: list[Any] = []

    def keep(request: Any, **_rest: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, _Raw(b'{"MessageId":"m-1"}'))

    client = session.create_client(
        SERVICE, region_name="ap-south-1", aws_access_key_id="acc0unt", aws_secret_access_key="k3y"
    )
    client.meta.events.register(f"before-send.{SERVICE}.SendTextMessage", keep)
    answer = client.send_text_message(**json.loads(ours.body))

    (theirs,) = sent
    assert answer["MessageId"] == "m-1"
    assert (theirs.method, theirs.url) == (ours.method, ours.url)
    assert json.loads(theirs.body) == json.loads(ours.body)
    for name in ("x-amz-target", "content-type"):
        assert theirs.headers[name].decode() == ours.headers[name]


def test_every_error_of_the_profile_is_one_of_the_model(session: Any) -> None:
    model = session.get_service_model(SERVICE)
    reasons = {
        reason
        for shape in model.operation_model("SendTextMessage").error_shapes
        if "Reason" in shape.members
        for reason in shape.members["Reason"].enum
    }
    errors = {shape.name for shape in model.operation_model("SendTextMessage").error_shapes}
    # Those of the signature stand before the service and in no model.
    of_signature = {
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "IncompleteSignatureException",
        "ExpiredTokenException",
    }

    assert set(some_carrier("aws").profile.answer.outcomes) - of_signature <= reasons | errors


class _Raw:
    """The body of an answer, as urllib3 hands it to botocore."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def stream(self, **_rest: Any) -> list[bytes]:
        return [self._octets]
