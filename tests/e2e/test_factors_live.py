"""Authenticators and printed lists as a customer's login page uses them, judged by another author's pyotp."""

import base64
import time
from xml.etree import ElementTree

import pyotp
import pytest

from tests.support.api_client import Answer, ApiClient
from tests.support.fresh_numbers import FRESH

# Each test has numbers of its own.
RFC_4226_SEED = base64.b32encode(b"12345678901234567890").decode()
# RFC 4226, appendix D.
RFC_4226_CODES = (
    *("755224", "287082", "359152", "969429", "338314"),
    *("254676", "287922", "162583", "399871", "520489"),
)
# RFC 6238, appendix B.
RFC_6238_CODES = {
    "SHA1": ("94287082", "07081804", "14050471", "89005924", "69279037", "65353130"),
    "SHA256": ("46119246", "68084774", "67062674", "91819424", "90698825", "77737706"),
    "SHA512": ("90693936", "25091201", "99943326", "93441116", "38618901", "47863826"),
}
RFC_6238_TIMES = (59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000)
RFC_6238_OCTETS = {"SHA1": 20, "SHA256": 32, "SHA512": 64}


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


def enrolled(api: ApiClient, to: str, kind: str, **fields: object) -> dict:
    made = api.post("/v1/factors", {"to": to, "kind": kind, **fields})
    assert made.status == 201, made
    return made.body


def checked(api: ApiClient, factor: dict, code: str, **fields: object) -> Answer:
    """Ask for a code of a factor, and answer."""
    started = api.post("/v1/verifications", {"factor": factor["id"]})
    assert started.status == 201, started
    return api.check(started.body["id"], code, **fields)


def test_authenticator_is_scanned_proved_and_asked_for(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "totp", label="my phone", account="asha@example.com")

    scanned = pyotp.parse_uri(made["uri"])
    proof = checked(api, made, scanned.now())
    seen = api.get(f"/v1/factors/{made['id']}").body
    listed = api.get(f"/v1/factors?to=%2B{to[1:]}").body["factors"]

    assert made["state"] == "pending"
    assert scanned.name == "asha@example.com"
    assert ElementTree.fromstring(made["qr_svg"]).tag.endswith("svg")
    assert (proof.status, proof.body["approved"]) == (200, True)
    assert (seen["state"], seen["label"]) == ("active", "my phone")
    assert [one["id"] for one in listed] == [made["id"]]
    assert made["secret"] not in str(seen) + str(listed)


def test_code_by_time_is_accepted_once_even_by_another_verification(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "totp")
    code = pyotp.parse_uri(made["uri"]).now()

    first, again = checked(api, made, code), checked(api, made, code)

    assert first.body["approved"]
    assert (again.status, again.body["approved"], again.body["reason"]) == (200, False, "wrong_code")


@pytest.mark.parametrize("algorithm", RFC_6238_CODES)
def test_codes_by_time_are_those_of_the_standard(api: ApiClient, to: str, algorithm: str) -> None:
    octets = (b"1234567890" * 7)[: RFC_6238_OCTETS[algorithm]]
    secret = base64.b32encode(octets).decode()
    made = enrolled(api, to, "totp", secret=secret, digits=8, algorithm=algorithm)

    answers = [
        checked(api, made, code, at=at)
        for at, code in zip(RFC_6238_TIMES, RFC_6238_CODES[algorithm], strict=True)
    ]

    assert [answer.body["approved"] for answer in answers] == [True] * 6


def test_codes_by_counter_are_those_of_the_standard_each_once(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "hotp", secret=RFC_4226_SEED)

    answers = [checked(api, made, code).body["approved"] for code in RFC_4226_CODES]
    again = checked(api, made, RFC_4226_CODES[9]).body["approved"]

    assert answers == [True] * 10
    assert not again


def test_authenticator_out_of_step_is_brought_back_by_two_codes(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "hotp")
    theirs = pyotp.parse_uri(made["uri"])
    assert isinstance(theirs, pyotp.HOTP)

    far = checked(api, made, theirs.at(40)).body["approved"]
    apart = api.post(f"/v1/factors/{made['id']}/resync", {"codes": [theirs.at(40), theirs.at(42)]})
    resynced = api.post(f"/v1/factors/{made['id']}/resync", {"codes": [theirs.at(40), theirs.at(41)]})
    after = checked(api, made, theirs.at(42)).body["approved"]

    assert not far
    assert (apart.status, apart.body["field"]) == (422, "codes")
    assert resynced.status == 200
    assert after


def test_printed_list_is_asked_for_by_number_and_used_up_from_the_top(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "hash_chain", codes=10)
    started = api.post("/v1/verifications", {"factor": made["id"]}).body
    _, number, _ = started["challenge"].split()
    right = api.check(started["id"], made["printed"][10 - 1 - int(number)].lower())

    again = checked(api, made, made["printed"][0]).body["approved"]
    second = checked(api, made, made["printed"][1]).body["approved"]

    assert started["challenge"].startswith("otp-sha1 9 ")
    assert right.body["approved"]
    assert not again
    assert second
    assert api.get(f"/v1/factors/{made['id']}").body["codes_left"] == 8


def test_wrong_codes_lock_the_factor_and_leave_texts_open(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "totp")
    theirs = pyotp.parse_uri(made["uri"])
    assert isinstance(theirs, pyotp.TOTP)
    wrong = f"{(int(theirs.now()) + 500_000) % 1_000_000:06d}"

    answers = [checked(api, made, wrong) for _ in range(11)]
    locked = checked(api, made, theirs.now())
    text = api.start(to)
    by_text = api.check(text.body["id"], api.next_text(to)["code"])

    assert [answer.body.get("reason") for answer in answers[:10]] == ["wrong_code"] * 10
    assert (locked.status, locked.body["reason"]) == (409, "locked")
    assert by_text.body["approved"]


def test_who_lost_the_authenticator_gets_a_text_at_once(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "totp")
    started = api.post("/v1/verifications", {"factor": made["id"]}).body

    resent = api.post(f"/v1/verifications/{started['id']}/resend", {"channel": "sms"})
    approved = api.check(started["id"], api.next_text(to)["code"])

    assert (started["channel"], started["segments"]) == ("totp", 0)
    assert (resent.status, resent.body["channel"]) == (200, "sms")
    assert approved.body["approved"]


def test_number_without_the_factor_is_refused_with_the_reason(api: ApiClient, to: str) -> None:
    refused = api.start(to, channel="totp")

    assert (refused.status, refused.body["reason"]) == (403, "no_factor")


def test_removed_factor_is_gone_and_its_open_question_is_canceled(api: ApiClient, to: str) -> None:
    made = enrolled(api, to, "totp")
    code = pyotp.parse_uri(made["uri"]).now()
    started = api.post("/v1/verifications", {"factor": made["id"]}).body

    removed = api.delete(f"/v1/factors/{made['id']}")
    judged = api.check(started["id"], code)

    assert (removed.status, removed.body["state"]) == (200, "removed")
    assert judged.body["reason"] == "canceled"
    assert api.get(f"/v1/factors/{made['id']}").status == 404
    assert api.post("/v1/verifications", {"factor": made["id"]}).status == 404


def test_secret_is_not_given_again_to_a_repeat(api: ApiClient, to: str) -> None:
    body = {"to": to, "kind": "totp"}

    first = api.post("/v1/factors", body, idempotency_key=f"enrol-{time.time_ns()}-{to}")
    again = api.post("/v1/factors", body, idempotency_key=f"enrol-{time.time_ns()}-{to}")
    key = f"enrol-{to}"
    made, repeat = (api.post("/v1/factors", body, idempotency_key=key) for _ in range(2))

    assert first.body["id"] != again.body["id"]
    assert made.body["id"] == repeat.body["id"]
    assert made.body["secret"]
    assert "secret" not in repeat.body


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"secret": "not base32!"}, "secret"),
        ({"secret": "GEZDGNBV"}, "seed"),
        ({"digits": 5}, "digits"),
        ({"period_s": 90}, "period_s"),
        ({"kind": "face"}, "kind"),
    ],
)
def test_what_no_standard_allows_is_refused_by_name(
    api: ApiClient, to: str, fields: dict, field: str
) -> None:
    refused = api.post("/v1/factors", {"to": to, "kind": "totp", **fields})

    assert (refused.status, refused.body["field"]) == (422, field)
