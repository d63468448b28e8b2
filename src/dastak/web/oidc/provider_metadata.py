"""What clients read of the provider before anything else: its addresses, what it can do, and its keys.

Source: OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2; RFC 7517, section 5.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.oidc import SubjectType
from dastak.core.oidc_acr import ACR_PHONE, ACR_TWO_FACTORS
from dastak.core.oidc_request import SCOPES, Prompt
from dastak.tenancy.signing_keys import ALGORITHM, public_jwk
from dastak.web.oidc.oidc_answers import public_json
from dastak.web.oidc.provider import KEYS, LOGOUT, TOKEN, USERINFO, Provider
from dastak.web.oidc.way_in import AUTHORIZE
from dastak.web.page_words import LANGUAGES

# Both standards have one document each; ours is the same.
PATHS: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
# A key is published long before it signs, so that nobody must ask more often.
KEYS_KEPT_S: Final = 300

_CLAIMS: Final = (
    "sub", "iss", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "at_hash", "phone_number",
    "phone_number_verified",
)  # fmt: skip


def metadata(issuer: str) -> dict[str, Any]:
    """Return the document."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "userinfo_endpoint": issuer + USERINFO,
        "end_session_endpoint": issuer + LOGOUT,
        "jwks_uri": issuer + KEYS,
        "scopes_supported": SCOPES,
        "claims_supported": _CLAIMS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": list(SubjectType),
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": list(Prompt),
        "acr_values_supported": [ACR_PHONE, ACR_TWO_FACTORS],
        "ui_locales_supported": list(LANGUAGES),
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def metadata_routes(provider: Provider) -> list[Route]:
    """Return the document at both its addresses, and the keys."""

    async def document(_request: Request) -> Response:
        return public_json(metadata(provider.issuer), kept_s=KEYS_KEPT_S)

    async def keys(_request: Request) -> Response:
        published = await provider.published()
        return public_json({"keys": list(map(public_jwk, published))}, kept_s=KEYS_KEPT_S)

    return [*(Route(path, document) for path in PATHS), Route(KEYS, keys)]
