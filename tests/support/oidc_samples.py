"""Plain clients, grants, tokens and keys of OpenID Connect, to be changed where a test means something."""

from datetime import timedelta
from itertools import count
from typing import Any, Final

from msgspec.structs import replace

from dastak.core.oidc import ACCESS_S, Client, Grant, Login, Token, TokenKind, challenge_of
from dastak.core.oidc_keys import SigningKey
from dastak.core.tenant import Mode
from tests.support.samples import MSISDN, NOW

CALLBACK: Final = "https://shop.example/callback"
VERIFIER: Final = "v" * 43
_NUMBERS: Final = count(1)


def some_client(**changes: Any) -> Client:
    plain = Client(
        id=f"client_{next(_NUMBERS):024x}",
        tenant=1,
        service=1,
        mode=Mode.TEST,
        name="Shop",
        redirect_uris=(CALLBACK,),
        created_at=NOW,
    )
    return replace(plain, **changes)


def some_login(**changes: Any) -> Login:
    return replace(Login(who=f"tel:{MSISDN}", msisdn=MSISDN, at=NOW, amr=("otp", "sms")), **changes)


def some_grant(client: Client, **changes: Any) -> Grant:
    plain = Grant(
        id=next(_NUMBERS).to_bytes(16),
        client=client.n,
        subject="someone",
        scopes=("openid", "phone"),
        redirect_uri=CALLBACK,
        challenge=challenge_of(VERIFIER),
        login=some_login(),
        created_at=NOW,
        ends_at=NOW + timedelta(days=30),
    )
    return replace(plain, **changes)


def some_token(kind: TokenKind, *, seconds: int = ACCESS_S, **changes: Any) -> Token:
    digest = next(_NUMBERS).to_bytes(32)
    return replace(Token(digest=digest, kind=kind, ends_at=NOW + timedelta(seconds=seconds)), **changes)


def some_key(**changes: Any) -> SigningKey:
    return replace(
        SigningKey(kid=f"k{next(_NUMBERS)}", public="{}", sealed=b"sealed", made_at=NOW), **changes
    )
