"""/userinfo: what a client may know of a person, to whoever holds the access token.

Source: OpenID Connect Core 1.0, section 5.3; RFC 6750, sections 2.1 and 3.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core import oidc
from dastak.core.errors import Overloaded
from dastak.core.ids import digest_of
from dastak.core.oidc import HeldToken
from dastak.core.oidc_claims import phone_claims
from dastak.web.oidc.oidc_answers import preflight, refusal, secret_json
from dastak.web.oidc.provider import USERINFO, Provider

TOKEN_CHARACTERS_MAX: Final = 200
_BEARER: Final = 'Bearer realm="dastak"'


class UserinfoEndpoint:
    """Tells clients about people."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the endpoint."""
        return [Route(USERINFO, self.answer, methods=["GET", "POST", "OPTIONS"])]

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return preflight()
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return secret_json({}, 401, {"www-authenticate": _BEARER})
        try:
            held = await self._held(text.strip())
        except Overloaded as error:
            return refusal("temporarily_unavailable", error.detail, 503)
        if held is None:
            said = "The access token is unknown, over or revoked."
            challenge = f'{_BEARER}, error="invalid_token", error_description="{said}"'
            return refusal("invalid_token", said, 401, challenge=challenge)
        return secret_json(claims_of(held))

    async def _held(self, text: str) -> HeldToken | None:
        if len(text) > TOKEN_CHARACTERS_MAX:
            return None
        held = await self._provider.store.token(digest_of(text))
        if held is None or not oidc.is_good(held, now=self._provider.now()):
            return None
        client = await self._provider.store.client_numbered(held.grant.client)
        return None if client is None else held


def claims_of(held: HeldToken) -> dict[str, Any]:
    """Return what a token's scopes let a client know."""
    return {"sub": held.grant.subject, **phone_claims(held.grant)}
