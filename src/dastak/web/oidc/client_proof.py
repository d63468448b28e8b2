"""Who asks at the token endpoint: a client with its secret, or one that keeps none.

1. A client that has a secret proves itself by it; one that has none says its name alone.
2. Unknown clients and wrong secrets get one answer.

Source: RFC 6749, sections 2.3.1 and 5.2; RFC 7617; OpenID Connect Core 1.0, section 9.
"""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from dastak.core.ids import digest_of
from dastak.core.oidc import Client
from dastak.core.oidc_store import OidcStore

CREDENTIALS_CHARACTERS_MAX: Final = 1000


class ProofRefused(NamedTuple):
    """Why a client is not let in.

    Attributes:
        by_header: It sent the header Authorization, so that the answer must name a scheme.
    """

    error: str
    description: str
    by_header: bool


async def prove_client(
    store: OidcStore, authorization: str | None, form: Mapping[str, str]
) -> Client | ProofRefused:
    """Say which client sent a request."""
    if authorization is None:
        return await _public(store, form)
    if "client_secret" in form:
        return ProofRefused("invalid_request", "Prove yourself in one way only.", True)
    said = read_basic(authorization)
    if said is None:
        return ProofRefused("invalid_client", "Send id and secret by HTTP Basic authentication.", True)
    client_id, secret = said
    if form.get("client_id", client_id) != client_id:
        return ProofRefused("invalid_request", "The client_id is another one than the header's.", True)
    client = await store.client(client_id)
    known = b"" if client is None or client.secret_digest is None else client.secret_digest
    if client is None or not hmac.compare_digest(known, digest_of(secret)):
        return ProofRefused("invalid_client", "No such client has this secret.", True)
    return client


async def _public(store: OidcStore, form: Mapping[str, str]) -> Client | ProofRefused:
    if "client_secret" in form:
        return ProofRefused("invalid_client", "Send the secret by HTTP Basic authentication.", False)
    client = await store.client(form.get("client_id", ""))
    if client is None or client.secret_digest is not None:
        return ProofRefused("invalid_client", "No such client goes without a secret.", False)
    return client


def read_basic(authorization: str) -> tuple[str, str] | None:
    """Read the header Authorization: id and secret, each form-urlencoded before they were joined."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic" or len(credentials) > CREDENTIALS_CHARACTERS_MAX:
        return None
    try:
        joined = b64decode(credentials.strip(), validate=True).decode()
        client_id, colon, secret = joined.partition(":")
        read = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        return None
    return read if colon else None
