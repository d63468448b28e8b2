"""/token: a client changes a code, or a refresh token, for tokens.

1. What is exchanged is used up in the commit that writes what it was exchanged for: of two at once one wins.
2. A code or a refresh token that comes a second time ends everything that came of the first.
3. A number that was locked since its code was typed gets nothing; a refresh token is good again afterwards.

Source: RFC 6749, sections 4.1.3, 5 and 6; OpenID Connect Core, sections 3.1.3 and 12; RFC 9700, section 4.14.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core import oidc
from dastak.core.errors import DastakError, InvalidRequest, Overloaded
from dastak.core.ids import digest_of
from dastak.core.lockout import Lock
from dastak.core.oidc import ACCESS_S, Client, Grant, HeldToken, Presented, Token, TokenKind
from dastak.web.oidc.client_proof import ProofRefused, prove_client
from dastak.web.oidc.code_answer import OFFLINE, new_token
from dastak.web.oidc.id_tokens import id_token
from dastak.web.oidc.oidc_answers import preflight, refusal, secret_json
from dastak.web.oidc.provider import TOKEN, Provider
from dastak.web.page_answers import read_form

BASIC: Final = 'Basic realm="dastak", charset="UTF-8"'

# A lock without an end is opened by hand; so late a client looks whether it was.
_WAIT_S: Final = 3600

# Which parameter of which grant carries what is exchanged.
_KINDS: Final[Mapping[str, tuple[TokenKind, str]]] = {
    "authorization_code": (TokenKind.CODE, "code"),
    "refresh_token": (TokenKind.REFRESH, "refresh_token"),
}

log = logging.getLogger("dastak.oidc")


class TokenEndpoint:
    """Gives clients their tokens."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the endpoint."""
        return [Route(TOKEN, self.answer, methods=["POST", "OPTIONS"])]

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return preflight()
        try:
            form = {name: value for name, value in (await read_form(request)).items() if value}
            client = await prove_client(self._provider.store, request.headers.get("authorization"), form)
            if isinstance(client, ProofRefused):
                return _not_let_in(client)
            return await self._exchange(client, form)
        except InvalidRequest as error:
            return refusal("invalid_request", error.detail)
        except Overloaded as error:
            return _later(error.detail, error.retry_after_s)
        except DastakError as error:
            return refusal("server_error", error.title, 500)

    async def _exchange(self, client: Client, form: Mapping[str, str]) -> Response:
        read = _read(form)
        if isinstance(read, Response):
            return read
        kind, text = read
        provider, now = self._provider, self._provider.now()
        held = await provider.store.token(digest_of(text))
        if held is None or held.grant.client != client.n or held.token.kind is not kind:
            return refusal("invalid_grant", "It is none of this client's.")
        unfit = _unfit(kind, held.grant, form)
        if unfit is not None:
            return unfit
        said = Presented(
            client=client.n,
            kind=kind,
            redirect_uri=form.get("redirect_uri"),
            verifier=form.get("code_verifier"),
        )
        # What gets nothing anyway is told so, and what comes twice ends its grant, in a lock as well.
        if oidc.exchange(held, said, (), now=now).refusal is None:
            closed = await self._closed(client, held)
            if closed is not None:
                return closed
        texts, fresh = self._fresh(held.grant)

        def rule(found: HeldToken) -> oidc.Exchange:
            return oidc.exchange(found, said, fresh, now=now)

        done = await provider.store.exchange(digest_of(text), rule, now=now)
        if done is None or done[1].refusal is not None:
            return self._refused(client, None if done is None else done[1])
        nonce = held.grant.nonce if kind is TokenKind.CODE else None
        return secret_json(await self._tokens(client, held.grant, texts, nonce))

    async def _closed(self, client: Client, held: HeldToken) -> Response | None:
        """Refuse a person who may not be let in now."""
        provider, login = self._provider, held.grant.login
        said = "The person may not log in now."
        if not await provider.is_served(client, login):
            return refusal("invalid_grant", said)
        lock = await provider.lock(client, login)
        if lock is None:
            return None
        if held.token.kind is TokenKind.CODE:
            return refusal("invalid_grant", said)
        # On `invalid_grant` a client throws its refresh token away, and strangers could have it do so.
        return _later(said, _wait_s(lock, now=provider.now()))

    def _fresh(self, grant: Grant) -> tuple[dict[TokenKind, str], tuple[Token, ...]]:
        """Make what the client would get."""
        now, entropy = self._provider.now(), self._provider.house.ports.entropy
        ends = {TokenKind.ACCESS: now + timedelta(seconds=ACCESS_S)}
        if OFFLINE in grant.scopes:
            ends[TokenKind.REFRESH] = grant.ends_at
        made = {kind: new_token(entropy, kind, ends_at) for kind, ends_at in ends.items()}
        return {kind: text for kind, (text, _) in made.items()}, tuple(token for _, token in made.values())

    async def _tokens(
        self, client: Client, grant: Grant, texts: Mapping[TokenKind, str], nonce: str | None
    ) -> dict[str, Any]:
        access = texts[TokenKind.ACCESS]
        refresh = {"refresh_token": texts[TokenKind.REFRESH]} if TokenKind.REFRESH in texts else {}
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS_S,
            "scope": " ".join(grant.scopes),
            "id_token": await id_token(self._provider, client, grant, access, nonce=nonce),
            **refresh,
        }

    def _refused(self, client: Client, decided: oidc.Exchange | None) -> Response:
        if decided is not None and decided.revoke:
            log.warning("a token came twice; all of its grant is revoked", extra={"client": client.id})
        said = None if decided is None else decided.refusal
        return refusal("invalid_grant", said or "It is none of this client's.")


def _read(form: Mapping[str, str]) -> tuple[TokenKind, str] | Response:
    """Say what a client wants to exchange."""
    grant_type = form.get("grant_type")
    if grant_type is None:
        return refusal("invalid_request", "The grant_type is missing.")
    if grant_type not in _KINDS:
        return refusal("unsupported_grant_type", f"The grant_type is one of {', '.join(_KINDS)}.")
    kind, name = _KINDS[grant_type]
    return (kind, form[name]) if name in form else refusal("invalid_request", f"The {name} is missing.")


def _unfit(kind: TokenKind, grant: Grant, form: Mapping[str, str]) -> Response | None:
    """Refuse what lacks something that every client knows to send."""
    if kind is TokenKind.CODE and "code_verifier" not in form:
        return refusal("invalid_request", "The code_verifier is missing.")
    if kind is TokenKind.REFRESH and set(form.get("scope", "").split()) - set(grant.scopes):
        return refusal("invalid_scope", "More than was granted.")
    return None


def _wait_s(lock: Lock, *, now: datetime) -> int:
    return _WAIT_S if lock.until is None else int((lock.until - now).total_seconds()) + 1


def _later(description: str, retry_after_s: int) -> Response:
    """Refuse for now; the client keeps what it has."""
    answer = refusal("temporarily_unavailable", description, 503)
    answer.headers["retry-after"] = str(retry_after_s)
    return answer


def _not_let_in(refused: ProofRefused) -> Response:
    if refused.error != "invalid_client":
        return refusal(refused.error, refused.description)
    return refusal(refused.error, refused.description, 401, challenge=BASIC)
