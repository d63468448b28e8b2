"""A profile that cannot be meant is refused with its place and the nearest right word."""

import re
from pathlib import Path

import pytest

from dastak.http_carriers.http_auth import hmac_signature
from dastak.http_carriers.http_profile import PROFILE_OCTETS_MAX, Auth, AuthKind, read_profile
from dastak.http_carriers.http_settings import read_http_settings
from tests.support.http_samples import rendered, some_outgoing

GOOD = """
title = "Mine"
source = "the vendor's page"
not_verified = ["Everything."]
secret = "the key"
[request]
url = "https://api.example.com/send"
body = "json"
fields = { to = "{msisdn|national}", text = "{text}", hex = "{text|hex_ucs2}", n = "{msisdn|int}" }
[auth]
kind = "bearer"
[answer]
ref = "id"
[receipt]
ref = "id"
status = "status"
outcomes = { ok = "delivered" }
"""


def test_good_profile_is_read_and_its_filters_work(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)

    request = rendered(read_http_settings({"profile_file": str(file), "secret": "k3y"}), some_outgoing("कaß"))

    assert request.headers["authorization"] == "Bearer k3y"
    assert request.body.decode() == ('{"to":"9876543210","text":"कaß","hex":"0915006100DF","n":919876543210}')


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("titel", "title", "there is no key `titel`. Did you mean `title`?"),
        ("urll", "url", "there is no key `urll` in [request]. Did you mean `url`?"),
        (
            "{msidsn|national}",
            "{msisdn|national}",
            "request.fields.to: there is no field `msidsn`. Did you mean",
        ),
        ("{msisdn|nationl}", "{msisdn|national}", "there is no filter `nationl`. Did you mean `national`?"),
        ("{Text}", "{text}", "a field is written {name} or {name|filter}"),
        ('"barer"', '"bearer"', "auth.kind"),
        ('"header"', '"bearer"', "kind `header` needs a `name`"),
        ('"sigv4"', '"bearer"', "needs `region` and `service`"),
        ('"delivrd"', '"delivered"', "receipt.outcomes"),
        (
            '{ value = "{text}", when = "unicod" }',
            '"{text}"',
            "request.fields.text.when: there is no field `unicod`",
        ),
        ('{ value = "{text}", when = "Sometimes" }', '"{text}"', "request.fields.text.when"),
        ('"{code}"', '"{text}"', "nothing takes `{text}`"),
        ('"{text} {ttl}"', '"{text}"', "`{ttl}` needs a table [request.ttl]"),
        ("own_ref = true", 'ref = "id"', "own_ref needs `{own_id}`"),
        ('format = "text"\nref = "no group"', 'ref = "id"', "needs one group"),
        ('format = "text"\nref = "("', 'ref = "id"', "no regular expression"),
        ('ref = ""', 'ref = "id"', "write where the id stands"),
        ("[]", '["Everything."]', "not_verified"),
    ],
)
def test_wrong_profile_is_refused_in_words(wrong: str, right: str, said: str) -> None:
    text = GOOD.replace(right, wrong, 1)
    if "{code}" in wrong:
        text = text.replace("{text|hex_ucs2}", "x")

    with pytest.raises(ValueError, match=re.escape(said)):
        read_profile(text.encode())


@pytest.mark.parametrize("octets", [b"= 1", b"\xff", b"a" * (PROFILE_OCTETS_MAX + 1), b""])
def test_what_is_no_profile_at_all_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_profile(octets)


def test_hmac_header_signs_what_the_profile_says(tmp_path: Path) -> None:
    auth = """
kind = "hmac"
name = "X-Signature"
text = "{method} {path} {timestamp} {body}"
value = "{account}:{timestamp}:{signature}"
encoding = "base64"
"""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace('kind = "bearer"', auth).replace("{text|hex_ucs2}", "x"))
    given = {"profile_file": str(file), "secret": "k3y", "account": "me"}

    request = rendered(read_http_settings(given))

    text = f"POST /send 1795834800 {request.body.decode()}"
    wanted = hmac_signature(Auth(kind=AuthKind.HMAC, encoding="base64"), text, "k3y")
    assert request.headers["x-signature"] == f"me:1795834800:{wanted}"


def test_hmac_is_that_of_its_rfc() -> None:
    """RFC 4231, test case 2."""
    auth = Auth(kind=AuthKind.HMAC)

    assert hmac_signature(auth, "what do ya want for nothing?", "Jefe") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
