"""Write down what a client is given for a login, and return the address that brings the code to it."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta

from dastak.core.ids import digest_of
from dastak.core.oidc import (
    ACCESS_S,
    CODE_S,
    GRANT_OCTETS,
    GRANT_S,
    TOKEN_OCTETS,
    Grant,
    Login,
    Token,
    TokenKind,
)
from dastak.web.oidc.oidc_answers import answer_address
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.way_in import WayIn

OFFLINE = "offline_access"


async def code_address(provider: Provider, way: WayIn, login: Login) -> str:
    """Open a grant and return the client's address with its code."""
    asked, now, entropy = way.asked, provider.now(), provider.house.ports.entropy
    lasts = OFFLINE in asked.scopes
    grant = Grant(
        id=entropy(GRANT_OCTETS),
        client=asked.client.n,
        subject=await provider.subject(asked.client, login),
        scopes=asked.scopes,
        redirect_uri=asked.redirect_uri,
        challenge=asked.challenge,
        login=login,
        created_at=now,
        ends_at=now + timedelta(seconds=GRANT_S if lasts else CODE_S + ACCESS_S),
        nonce=asked.nonce,
        signed=asked.signed,
        visit=None if lasts else _session(provider, way, login),
    )
    text, code = new_token(entropy, TokenKind.CODE, now + timedelta(seconds=CODE_S))
    await provider.store.open_grant(grant, code)
    answer = {"code": text, "state": asked.state, "iss": provider.issuer}
    return answer_address(asked.redirect_uri, answer)


def _session(provider: Provider, way: WayIn, login: Login) -> bytes | None:
    """Return what ends when the browser logs out."""
    if login.account is not None:
        return provider.passwords.session(way.request, way.client)
    return None if way.here.visit is None else way.here.visit.digest


def new_token(entropy: Callable[[int], bytes], kind: TokenKind, ends_at: datetime) -> tuple[str, Token]:
    """Make a token: its text, and what is kept of it."""
    text = urlsafe_b64encode(entropy(TOKEN_OCTETS)).rstrip(b"=").decode()
    return text, Token(digest=digest_of(text), kind=kind, ends_at=ends_at)
