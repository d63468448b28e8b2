"""Prove who we are to a carrier: by a word or a signature in a header, or as AWS wants it.

Source: RFC 7617; AWS General Reference, Signature Version 4 signing process.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from dastak.http_carriers.http_profile import Auth

ALGORITHM: Final = "AWS4-HMAC-SHA256"
HASHES: Final[Mapping[str, Callable[..., Any]]] = {
    "md5": hashlib.md5,
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header. Source: RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def hmac_signature(auth: Auth, text: str, secret: str) -> str:
    """Sign a text as a profile says."""
    digest = hmac.new(secret.encode(), text.encode(), HASHES[auth.hash]).digest()
    return digest.hex() if auth.encoding == "hex" else base64.b64encode(digest).decode("ascii")


def sign_v4(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    access_key: str,
    secret_key: str,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers that sign a request; all that it has already are signed with it.

    Args:
        method: Of the request.
        url: With its query.
        headers: By lower-case name.
        body: As it goes out.
        access_key: The public half of the credentials.
        secret_key: The other half.
        region: Such as ap-south-1.
        service: The name the service signs under.
        now: Aware UTC; AWS refuses what is more than five minutes off.
    """
    parts = urlsplit(url)
    instant = now.strftime("%Y%m%dT%H%M%SZ")
    added = {"host": parts.netloc, "x-amz-date": instant}
    signed = dict(sorted({**headers, **added}.items()))
    names = ";".join(signed)
    canonical = "\n".join(
        (
            method,
            # What is encoded in it already is encoded once more.
            quote(parts.path or "/", safe="/-_.~"),
            _query(parts.query),
            *(f"{name}:{' '.join(value.split())}" for name, value in signed.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{instant[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((ALGORITHM, instant, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = _hmac(_key(secret_key, instant[:8], region, service), text).hex()
    proof = f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"host": parts.netloc, "x-amz-date": instant, "authorization": proof}


def _query(query: str) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
