import hashlib
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from vonage_jwt import verify_signature

from dastak.http_voice.application_jwt import AGE_S_MAX, is_signed_hs256, read_key
from tests.support.call_samples import some_pem
from tests.support.http_samples import NOW

SECRET = "0123456789abcdef" * 4
BODY = b'{"dtmf":{"digits":"7"}}'
CLAIMS = {"iat": int(NOW.timestamp()), "payload_hash": hashlib.sha256(BODY).hexdigest(), "jti": "1"}


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode({**CLAIMS, **claims}, secret, algorithm=algorithm)


def holds(told: str, body: bytes = BODY, *, late_s: float = 0) -> bool:
    return is_signed_hs256(told, SECRET, body, now=NOW + timedelta(seconds=late_s))


def test_token_of_the_vendors_kind_is_taken_and_its_own_library_agrees() -> None:
    assert holds(token())
    assert holds(token(), late_s=AGE_S_MAX)
    assert verify_signature(token(), SECRET)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "..",
        "a.b.c",
        "é.b.c",
        token(secret="another secret" * 5),
        token(algorithm="HS512"),
        jwt.encode(CLAIMS, None, algorithm="none"),
        token(payload_hash=hashlib.sha256(b"other").hexdigest()),
        token(payload_hash=7),
        token(payload_hash=""),
        token(iat="now"),
        token(exp=CLAIMS["iat"] - AGE_S_MAX - 1),
        token(pad="x" * 5_000),
    ],
    ids=range(13),
)
def test_any_other_token_is_not(told: str) -> None:
    assert not holds(told)


def test_token_of_another_hour_or_another_body_is_not() -> None:
    assert not holds(token(), late_s=AGE_S_MAX + 1)
    assert not holds(token(), late_s=-AGE_S_MAX - 1)
    assert not holds(token(), BODY + b" ")


@given(text=st.text(max_size=60), cut=st.integers(0, 200))
def test_any_text_is_no_token(text: str, cut: int) -> None:
    good = token()

    assert not holds(text)
    assert holds(good[:cut]) == (cut >= len(good))


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "hunter2hunter2",
        some_pem()[:100],
        ec_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
    ids=["empty", "a word", "half", "another kind"],
)
def test_what_is_no_key_of_rsa_is_refused_without_a_word_of_it(pem: str) -> None:
    with pytest.raises(ValueError, match="private key") as refusal:
        read_key(pem)

    assert not pem or pem[:30] not in str(refusal.value)
