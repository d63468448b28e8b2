"""Sign requests and check webhooks by JSON Web Tokens, as Vonage wants them.

Source: RFC 7515, RFC 7519; Vonage's pages on authentication and on signed webhooks.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

# A token is used at once; this much the clocks may differ.
LIFE_S: Final = 300
# How old a webhook's may be: it is made when the webhook is.
AGE_S_MAX: Final = 300
TOKEN_CHARACTERS_MAX: Final = 4_096


def read_key(pem: str) -> RSAPrivateKey:
    """Read a private key.

    Raises:
        ValueError: It is none of RSA, or has a password.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("the secret must be a private key in PEM, without a password") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the secret must be a private key of RSA")
    return key


def sign_rs256(application: str, key: RSAPrivateKey, *, jti: str, now: datetime) -> str:
    """Return a token that proves an application.

    Args:
        application: Its id.
        key: Its private key.
        jti: Never used before.
        now: Aware UTC.
    """
    at = int(now.timestamp())
    claims = {"application_id": application, "iat": at, "exp": at + LIFE_S, "jti": jti}
    signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    return f"{signed}.{_base64url(key.sign(signed.encode(), PKCS1v15(), hashes.SHA256()))}"


def is_signed_hs256(token: str, secret: str, body: bytes, *, now: datetime) -> bool:
    """Say whether a token was made with a secret, lately, for this very body.

    The algorithm is ours to choose, not the token's.
    """
    head, _, signature = token.rpartition(".")
    encoded_header, _, encoded_claims = head.partition(".")
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        return False
    wanted = _base64url(hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest())
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        return False
    header, claims = _decoded(encoded_header), _decoded(encoded_claims)
    at, ends = claims.get("iat"), claims.get("exp")
    if header.get("alg") != "HS256" or not isinstance(at, int | float):
        return False
    if abs(now.timestamp() - at) > AGE_S_MAX or (
        isinstance(ends, int | float) and ends < now.timestamp() - AGE_S_MAX
    ):
        return False
    told = claims.get("payload_hash", "")
    digest = hashlib.sha256(body).hexdigest()
    return not body or (isinstance(told, str) and hmac.compare_digest(digest.encode(), told.lower().encode()))


def _encoded(value: dict[str, Any]) -> str:
    return _base64url(msgspec.json.encode(value))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> dict[str, Any]:
    """Read a part of a token that was proven; what is no object has no claims."""
    try:
        read = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
