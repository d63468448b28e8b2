"""Prove who we are to a carrier by a word or a signature in a header."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from dastak.http_carriers.http_profile import Auth

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
