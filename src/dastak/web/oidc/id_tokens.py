"""Sign what a client is told of a person, and read back what we signed.

1. One algorithm, ES256, and one type; a token of any other is nobody's.
2. Only a key of our own list verifies; what a token says of its key chooses among those and no others.

Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.6; RFC 7515; RFC 8725, section 3.1.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from dastak.core.oidc import ID_TOKEN_S, Client, Grant
from dastak.core.oidc_acr import acr_of
from dastak.core.oidc_claims import signed_claims
from dastak.core.oidc_keys import signer
from dastak.tenancy.signing_keys import ALGORITHM, private_key, public_jwk
from dastak.web.oidc.provider import Provider

HINT_CHARACTERS_MAX = 4096


async def id_token(
    provider: Provider, client: Client, grant: Grant, access_token: str, *, nonce: str | None
) -> str:
    """Return a signed token that says who logged in, when and how."""
    now_s = int(provider.now().timestamp())
    claims = {
        "iss": provider.issuer,
        "sub": grant.subject,
        "aud": client.id,
        "exp": now_s + ID_TOKEN_S,
        "iat": now_s,
        "auth_time": int(grant.login.at.timestamp()),
        "acr": acr_of(grant.login.amr),
        "amr": list(grant.login.amr),
        "at_hash": at_hash(access_token),
        **signed_claims(grant),
        **({} if nonce is None else {"nonce": nonce}),
    }
    key = signer(await provider.keys())
    opened = private_key(key, provider.house.ports.sealer)
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, opened, algorithms=[ALGORITHM])


async def read_hint(provider: Provider, token: str) -> dict[str, Any] | None:
    """Return the claims of a token that we signed once, however old it is; None for any other."""
    if len(token) > HINT_CHARACTERS_MAX:
        return None
    known = KeySet([ECKey.import_key(public_jwk(key)) for key in await provider.keys()])
    try:
        read = jwt.decode(token, known, algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        return None
    claims: dict[str, Any] = read.claims
    is_ours = claims.get("iss") == provider.issuer and isinstance(claims.get("aud"), str)
    return claims if is_ours and isinstance(claims.get("sub"), str) else None


def at_hash(access_token: str) -> str:
    """Return the left half of a token's digest. Source: OpenID Connect Core 1.0, section 3.1.3.6."""
    return urlsafe_b64encode(sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()
