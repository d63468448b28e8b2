"""The request of one message, octet by octet, for each vendor. Source: the page or SDK each profile names."""

import base64

import pytest

from dastak.core.msisdn import Msisdn
from dastak.http_carriers.http_render import HttpRequest
from tests.support.http_samples import rendered, some_carrier, some_outgoing

HINDI = "कोड 482913"
MARKS = '482913 &=+#@%"'
HINDI_FORM = "%E0%A4%95%E0%A5%8B%E0%A4%A1%20482913"
MARKS_FORM = "482913%20%26%3D%2B%23%40%25%22"


def head(request: HttpRequest) -> str:
    """Return a request's first line and headers as text."""
    lines = [
        f"{request.method} {request.url}",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    return "\n".join(lines)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_twilio_takes_a_form_behind_basic() -> None:
    request = rendered(some_carrier("twilio", account="AC01"))

    assert head(request) == (
        "POST https://api.twilio.com/2010-04-01/Accounts/AC01/Messages.json\n"
        f"authorization: {basic('AC01', 'k3y')}\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body == (
        b"To=%2B919876543210&From=ACMEIN&Body=Your%20Acme%20code%20is%20482913.&ValidityPeriod=300"
        b"&StatusCallback=https%3A%2F%2Fotp.example.in%2Fhooks%2Fcarriers%2Fmain%2Fs3cr3t"
    )


def test_twilio_pool_stands_in_for_the_sender() -> None:
    carrier = some_carrier("twilio", options={"messaging_service_sid": "MG01"})

    body = rendered(carrier, some_outgoing(msisdn=Msisdn("+12025550123"))).body.decode()

    assert body.startswith("To=%2B12025550123&MessagingServiceSid=MG01&Body=")
    assert "From" not in body


@pytest.mark.parametrize(("text", "form"), [(HINDI, HINDI_FORM), (MARKS, MARKS_FORM)])
def test_twilio_text_of_any_alphabet_and_marks(text: str, form: str) -> None:
    body = rendered(some_carrier("twilio"), some_outgoing(text)).body.decode()

    assert f"&Body={form}&" in body


@pytest.mark.parametrize(("validity_s", "told"), [(0, 1), (1, 1), (36_000, 36_000), (36_001, 36_000)])
def test_twilio_life_at_its_limits(validity_s: int, told: int) -> None:
    body = rendered(some_carrier("twilio"), some_outgoing(validity_s=validity_s)).body.decode()

    assert f"&ValidityPeriod={told}&" in body


def test_sender_of_a_carrier_comes_before_that_of_a_message() -> None:
    body = rendered(some_carrier("twilio", sender="+12025550100")).body

    assert b"&From=%2B12025550100&" in body


def test_msg91_fills_a_template_of_its_own() -> None:
    request = rendered(some_carrier("msg91"))

    assert head(request) == (
        "POST https://control.msg91.com/api/v5/flow/\n"
        "accept: application/json\n"
        "authkey: k3y\n"
        "content-type: application/json"
    )
    assert request.body == (
        b'{"template_id":"64a1b2c3d4e5f60718293a4b","short_url":"0",'
        b'"recipients":[{"mobiles":"919876543210","VAR1":"482913"}]}'
    )


def test_msg91_variable_has_the_name_of_the_template() -> None:
    carrier = some_carrier("msg91", options={"flow_id": "f1", "variable": "OTP"})

    body = rendered(carrier, some_outgoing(msisdn=Msisdn("+12025550123"))).body

    assert b'"recipients":[{"mobiles":"12025550123","OTP":"482913"}]' in body


def test_vonage_takes_a_form_and_the_life_in_milliseconds() -> None:
    request = rendered(some_carrier("vonage"))

    assert head(request) == (
        "POST https://rest.nexmo.com/sms/json\ncontent-type: application/x-www-form-urlencoded"
    )
    assert request.body == (
        b"api_key=acc0unt&from=ACMEIN&to=919876543210&text=Your%20Acme%20code%20is%20482913.&ttl=300000"
        b"&client-ref=d971d92d422ea89c958407a34ca84c51"
        b"&callback=https%3A%2F%2Fotp.example.in%2Fhooks%2Fcarriers%2Fmain%2Fs3cr3t&status-report-req=1"
        b"&entity-id=1101172974420810001&content-id=1107161234567890123&api_secret=k3y"
    )


@pytest.mark.parametrize(
    ("validity_s", "told"), [(5, 20_000), (20, 20_000), (604_800, 604_800_000), (604_801, 604_800_000)]
)
def test_vonage_life_at_its_limits(validity_s: int, told: int) -> None:
    body = rendered(some_carrier("vonage"), some_outgoing(validity_s=validity_s)).body.decode()

    assert f"&ttl={told}&" in body


def test_vonage_is_told_of_unicode_or_would_send_question_marks() -> None:
    hindi = rendered(some_carrier("vonage"), some_outgoing(HINDI)).body.decode()
    marks = rendered(some_carrier("vonage"), some_outgoing(MARKS)).body.decode()

    assert f"&text={HINDI_FORM}&type=unicode&" in hindi
    assert f"&text={MARKS_FORM}&ttl=" in marks


def test_infobip_takes_json_with_our_own_id() -> None:
    request = rendered(some_carrier("infobip"))

    assert head(request) == (
        "POST https://abc12.api.infobip.com/sms/3/messages\n"
        "authorization: App k3y\n"
        "content-type: application/json"
    )
    assert request.body == (
        b'{"messages":[{"sender":"ACMEIN",'
        b'"destinations":[{"to":"919876543210","messageId":"d971d92d422ea89c958407a34ca84c51"}],'
        b'"content":{"text":"Your Acme code is 482913."},'
        b'"options":{"validityPeriod":{"amount":300,"timeUnit":"SECONDS"},'
        b'"regional":{"indiaDlt":{"principalEntityId":"1101172974420810001",'
        b'"contentTemplateId":"1107161234567890123","telemarketerId":"1101172974420830004"}}},'
        b'"webhooks":{"delivery":{"url":"https://otp.example.in/hooks/carriers/main/s3cr3t"},'
        b'"contentType":"application/json"}}]}'
    )


def test_infobip_abroad_has_no_empty_tables() -> None:
    body = rendered(some_carrier("infobip"), some_outgoing(MARKS, msisdn=Msisdn("+12025550123"))).body

    assert b'"content":{"text":"482913 &=+#@%\\""}' in body
    assert b"regional" not in body


def test_plivo_takes_json_behind_basic() -> None:
    request = rendered(some_carrier("plivo"))

    assert head(request) == (
        "POST https://api.plivo.com/v1/Account/acc0unt/Message/\n"
        f"authorization: {basic('acc0unt', 'k3y')}\n"
        "content-type: application/json"
    )
    assert request.body == (
        b'{"src":"ACMEIN","dst":"919876543210","text":"Your Acme code is 482913.",'
        b'"url":"https://otp.example.in/hooks/carriers/main/s3cr3t","method":"POST",'
        b'"dlt_entity_id":"1101172974420810001","dlt_template_id":"1107161234567890123"}'
    )


def test_exotel_takes_a_form_with_high_priority() -> None:
    request = rendered(some_carrier("exotel"), some_outgoing(HINDI))

    assert head(request) == (
        "POST https://api.in.exotel.com/v1/Accounts/acme1/Sms/send\n"
        f"authorization: {basic('acc0unt', 'k3y')}\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body.decode() == (
        f"From=ACMEIN&To=%2B919876543210&Body={HINDI_FORM}&EncodingType=unicode&Priority=high"
        "&StatusCallback=https%3A%2F%2Fotp.example.in%2Fhooks%2Fcarriers%2Fmain%2Fs3cr3t"
        "&CustomField=d971d92d422ea89c958407a34ca84c51"
        "&DltEntityId=1101172974420810001&DltTemplateId=1107161234567890123"
    )


def test_gupshup_takes_a_form_with_the_password_in_its_body() -> None:
    request = rendered(some_carrier("gupshup"), some_outgoing(MARKS))

    assert head(request) == (
        "POST https://enterprise.smsgupshup.com/GatewayAPI/rest\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body.decode() == (
        "method=SendMessage&userid=acc0unt&auth_scheme=plain&v=1.1&format=json&send_to=919876543210"
        f"&mask=ACMEIN&msg={MARKS_FORM}"
        "&principalEntityId=1101172974420810001&dltTemplateId=1107161234567890123&password=k3y"
    )
    assert b"&msg_type=Unicode_text&" in rendered(some_carrier("gupshup"), some_outgoing(HINDI)).body


def test_karix_takes_an_address() -> None:
    request = rendered(some_carrier("karix"), some_outgoing(MARKS))

    assert (request.method, request.headers, request.body) == ("GET", {}, b"")
    assert request.url == (
        "https://japi.instaalerts.zone/httpapi/QueryStringReceiver?ver=1.0&dest=919876543210&send=ACMEIN"
        f"&text={MARKS_FORM}&dlt_entity_id=1101172974420810001"
        "&dlt_template_id=1107161234567890123&dlt_tm_id=1101172974420830004&key=k3y"
    )


def test_kaleyra_takes_a_form_and_one_of_two_callbacks() -> None:
    request = rendered(some_carrier("kaleyra"))
    profiled = rendered(some_carrier("kaleyra", options={"callback_profile_id": "cp1"}))

    assert head(request) == (
        "POST https://api.in.kaleyra.io/v1/acc0unt/messages\n"
        "api-key: k3y\n"
        "content-type: application/x-www-form-urlencoded"
    )
    assert request.body == (
        b"to=%2B919876543210&sender=ACMEIN&type=OTP&body=Your%20Acme%20code%20is%20482913."
        b"&template_id=1107161234567890123"
        b"&callback=https%3A%2F%2Fotp.example.in%2Fhooks%2Fcarriers%2Fmain%2Fs3cr3t"
    )
    assert profiled.body.endswith(b"&callback_profile_id=cp1")


def test_aws_takes_json_that_is_signed() -> None:
    request = rendered(some_carrier("aws"))

    assert head(request) == (
        "POST https://sms-voice.ap-south-1.amazonaws.com/\n"
        "content-type: application/x-amz-json-1.0\n"
        "x-amz-target: PinpointSMSVoiceV2.SendTextMessage\n"
        "host: sms-voice.ap-south-1.amazonaws.com\n"
        "x-amz-date: 20261128T030000Z\n"
        "authorization: AWS4-HMAC-SHA256 Credential=acc0unt/20261128/ap-south-1/sms-voice/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
        "Signature=54ccc6b6989d562ab3ea7fc6e3af76a9c7871a0300f6e4e12459454f2b08e9f0"
    )
    assert request.body == (
        b'{"DestinationPhoneNumber":"+919876543210","OriginationIdentity":"ACMEIN",'
        b'"MessageBody":"Your Acme code is 482913.","MessageType":"TRANSACTIONAL","TimeToLive":300,'
        b'"Context":{"own_id":"d971d92d422ea89c958407a34ca84c51"},'
        b'"DestinationCountryParameters":'
        b'{"IN_ENTITY_ID":"1101172974420810001","IN_TEMPLATE_ID":"1107161234567890123"}}'
    )
