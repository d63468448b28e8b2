"""Webhooks are believed only when they are signed as their vendor signs."""

import hashlib
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from dastak.http_carriers.hook_proof import SIGNED_AGE_S_MAX, Hook, is_proven
from dastak.http_carriers.http_profile import ProofKind
from tests.support.http_samples import CALLBACK_URL, NOW, some_hook

SECRET = "s3cret-token"
FORM = {
    "MessageSid": "SM01",
    "MessageStatus": "delivered",
    "To": "+919876543210",
    "Note": "a&b=c é",
    "Empty": "",
}
PLIVO_FORM = {
    "MessageUUID": "d0f1c9b2-7a35-11ef",
    "Status": "delivered",
    "To": "919876543210",
    "From": "ACMEIN",
    "Units": "1",
}
PLIVO_URL = "https://otp.example.in/hooks/carriers/plivo_in/tok"
NONCE = "12345678901234567890"
# Made by plivo 4.63.0, plivo.utils.signature_v3.
PLIVO_POST = "177JgNMTy863DCCQSC851cahG48AwYTcKU15M1AZFD4="
PLIVO_GET = "gjkpT3az597tStNDWZwjfnJEkdBQSI3tSczwuagr3xI="


def proven(kind: ProofKind, hook: Hook, *, secret: str = SECRET, hash_name: str = "sha256") -> bool:
    return is_proven(kind, hook, secret, hash_name=hash_name, now=NOW)


def with_url(hook: Hook, url: str) -> Hook:
    return Hook(method=hook.method, url=url, query=hook.query, headers=hook.headers, body=hook.body)


def twilio(form: dict[str, str] = FORM, url: str = CALLBACK_URL, query: str = "") -> Hook:
    """Sign a webhook as Twilio's own library does."""
    whole = f"{url}?{query}" if query else url
    signature = RequestValidator(SECRET).compute_signature(whole, form)
    return with_url(some_hook(urlencode(form), query=query, x_twilio_signature=signature), CALLBACK_URL)


def test_twilio_signature_of_its_own_library_is_believed() -> None:
    assert proven(ProofKind.TWILIO, twilio())
    assert proven(ProofKind.TWILIO, twilio(query="tenant=7&x=%C3%A9"))


@pytest.mark.parametrize("url", [CALLBACK_URL.replace(".in/", ".in:443/"), CALLBACK_URL])
def test_twilio_may_sign_with_the_port_or_without(url: str) -> None:
    assert proven(ProofKind.TWILIO, twilio(url=url))


def test_twilio_signature_of_anything_else_is_not() -> None:
    good = twilio()
    signature = good.headers["x-twilio-signature"]
    forged = {**FORM, "MessageStatus": "undelivered"}

    assert not proven(ProofKind.TWILIO, good, secret="another")
    assert not proven(ProofKind.TWILIO, some_hook(urlencode(FORM)))
    assert not proven(ProofKind.TWILIO, some_hook(urlencode(forged), x_twilio_signature=signature))
    assert not proven(ProofKind.TWILIO, with_url(good, CALLBACK_URL.replace("main", "other")))
    assert not proven(ProofKind.TWILIO, some_hook(urlencode(FORM), x_twilio_signature=signature + "é"))


def plivo(signature: str, *, form: dict[str, str] = PLIVO_FORM, nonce: str = NONCE) -> Hook:
    hook = some_hook(urlencode(form), x_plivo_signature_v3=signature, x_plivo_signature_v3_nonce=nonce)
    return with_url(hook, PLIVO_URL)


def test_plivo_signature_of_its_own_library_is_believed() -> None:
    query = "Status=delivered&MessageUUID=d0f1c9b2-7a35-11ef"
    got = some_hook(
        method="GET", query=query, x_plivo_signature_v3=PLIVO_GET, x_plivo_signature_v3_nonce=NONCE
    )

    assert proven(ProofKind.PLIVO_V3, plivo(PLIVO_POST))
    assert proven(ProofKind.PLIVO_V3, plivo(f"b2xk,{PLIVO_POST}"))
    assert proven(ProofKind.PLIVO_V3, with_url(got, PLIVO_URL))


def test_plivo_signature_of_anything_else_is_not() -> None:
    assert not proven(ProofKind.PLIVO_V3, plivo(PLIVO_POST, nonce="1"))
    assert not proven(ProofKind.PLIVO_V3, plivo(PLIVO_POST, nonce=""))
    assert not proven(ProofKind.PLIVO_V3, plivo(""))
    assert not proven(ProofKind.PLIVO_V3, plivo(PLIVO_POST, form={**PLIVO_FORM, "Status": "failed"}))


def test_path_secret_is_proof_where_the_vendor_signs_nothing() -> None:
    assert proven(ProofKind.PATH, some_hook("anything"))


VONAGE = {"messageId": "0A01", "status": "delivered", "client-ref": "a&b=c", "timestamp": "1795834800"}
# Made by vonage-http-client 1.5.2, Auth.sign_params.
VONAGE_SIGNATURES = {
    "md5": "8f40aeff35a098846a244650cde34c9f",
    "sha1": "f933305c70fdf18c1b1496177f32e95d5fce52cb",
    "sha256": "cc46560be4f8cb966a015b2e7f1000c2314da6cc46ddb3eaa6eb82256ea6c7e6",
    "sha512": "5aaf9f7b3886d585abf6e332df4d0c7e396d44a621d2b4a4bb2c9d56a0f69146"
    "e957e80b4d635c4cf99d0294c2b31d42b6dbd8b473da08061bc9db5f39e480f3",
}


@pytest.mark.parametrize("hash_name", VONAGE_SIGNATURES)
def test_vonage_signature_of_its_own_library_is_believed(hash_name: str) -> None:
    signed = {**VONAGE, "sig": VONAGE_SIGNATURES[hash_name]}
    hooks = [
        some_hook(urlencode(signed)),
        some_hook(json.dumps(signed)),
        some_hook(method="GET", query=urlencode(signed)),
    ]

    assert all(proven(ProofKind.VONAGE, hook, hash_name=hash_name) for hook in hooks)
    assert not any(proven(ProofKind.VONAGE, hook, hash_name=hash_name, secret="another") for hook in hooks)


def test_vonage_plain_hash_of_the_oldest_accounts() -> None:
    text = "&client-ref=a_b_c&messageId=0A01&status=delivered&timestamp=1795834800" + SECRET
    signed = {**VONAGE, "sig": hashlib.md5(text.encode()).hexdigest()}

    assert proven(ProofKind.VONAGE, some_hook(urlencode(signed)), hash_name="md5hash")
    assert not proven(ProofKind.VONAGE, some_hook(urlencode(signed)), hash_name="md5")


def test_vonage_signature_of_anything_else_is_not() -> None:
    signed = {**VONAGE, "sig": VONAGE_SIGNATURES["sha256"]}
    late = NOW + timedelta(seconds=SIGNED_AGE_S_MAX + 1)

    assert not proven(ProofKind.VONAGE, some_hook(urlencode({**signed, "status": "failed"})))
    assert not proven(ProofKind.VONAGE, some_hook(urlencode(VONAGE)))
    assert not proven(ProofKind.VONAGE, some_hook(urlencode({**signed, "timestamp": "soon"})))
    assert not is_proven(ProofKind.VONAGE, some_hook(urlencode(signed)), SECRET, hash_name="sha256", now=late)
