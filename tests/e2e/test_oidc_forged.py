"""ID tokens that somebody on the way forged: three other authors' clients refuse every one of them.

The provider is the real one, and calls itself by the address of a proxy that can replace what it signed.
"""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.support.dastak_process import DastakProcess
from tests.support.forging_proxy import ForgingProxy
from tests.support.login_client import BEHIND_PROXY
from tests.support.oidc_peers import CLIENTS, OidcClient
from tests.support.oidc_site import CALLBACK, add_client, answer_of, log_in, some_number
from tests.support.plain_browser import PlainBrowser


@pytest.fixture(scope="module")
def proxy() -> Iterator[ForgingProxy]:
    with ForgingProxy() as between:
        yield between


@pytest.fixture(scope="module")
def dastak(proxy: ForgingProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    environment = {**BEHIND_PROXY, "DASTAK__SERVER__PUBLIC_URL": proxy.url}
    with DastakProcess(tmp_path_factory.mktemp("forged") / "data", environment=environment) as process:
        proxy.behind = process.url.removeprefix("http://")
        yield process


@pytest.fixture
def browser(dastak: DastakProcess, proxy: ForgingProxy) -> Iterator[PlainBrowser]:
    with PlainBrowser(proxy.url) as opened:
        yield opened


@contextmanager
def a_site(kind: str, dastak: DastakProcess, proxy: ForgingProxy) -> Iterator[OidcClient]:
    made = add_client(dastak, ask_consent=False)
    wanted = {
        "issuer": proxy.url,
        "client_id": made["client_id"],
        "client_secret": made["client_secret"],
        "redirect_uri": CALLBACK,
        "scope": "openid phone",
    }
    with CLIENTS[kind](wanted) as client:
        yield client


def part(said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def read(text: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return said


def published(token: str, url: str) -> dict[str, Any]:
    """Return the public key that a token was signed with, as anybody finds it."""
    keys = httpx.get(f"{url}/.well-known/jwks.json", trust_env=False).json()["keys"]
    kid = read(token.split(".", maxsplit=1)[0])["kid"]
    return next(key for key in keys if key["kid"] == kid)


def by_hand(head: dict[str, Any], claims: str, secret: bytes) -> str:
    said = f"{part(head)}.{claims}"
    digest = hmac.digest(secret, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def unsigned(token: str, _url: str) -> str:
    return f"{part({'alg': 'none'})}.{token.split('.')[1]}."


def unsigned_under_its_key(token: str, _url: str) -> str:
    head, claims, _ = token.split(".")
    return f"{part({**read(head), 'alg': 'none'})}.{claims}."


def signature_cut(token: str, _url: str) -> str:
    return token.rpartition(".")[0] + "."


def hmac_with_the_public_key(token: str, url: str) -> str:
    key = published(token, url)
    pem = ECKey.import_key(key).as_pem(private=False)
    return by_hand({"alg": "HS256", "kid": key["kid"]}, token.split(".")[1], pem)


def hmac_with_the_published_text(token: str, url: str) -> str:
    key = published(token, url)
    return by_hand({"alg": "HS256", "kid": key["kid"]}, token.split(".")[1], json.dumps(key).encode())


def somebody_else(token: str, _url: str) -> str:
    head, claims, signature = token.split(".")
    return f"{head}.{part({**read(claims), 'sub': 'somebody-else'})}.{signature}"


def another_number(token: str, _url: str) -> str:
    head, claims, signature = token.split(".")
    return f"{head}.{part({**read(claims), 'phone_number': '+919999999999'})}.{signature}"


def _signed_anew(token: str, key: ECKey, **head: Any) -> str:
    claims = read(token.split(".")[1])
    return jwt.encode({"alg": "ES256", **head}, claims, key, algorithms=["ES256"])


def another_key_under_its_name(token: str, _url: str) -> str:
    return _signed_anew(token, ECKey.generate_key("P-256"), kid=read(token.split(".", maxsplit=1)[0])["kid"])


def another_key_that_it_brings_along(token: str, _url: str) -> str:
    key = ECKey.generate_key("P-256")
    kid = read(token.split(".", maxsplit=1)[0])["kid"]
    return _signed_anew(token, key, kid=kid, jwk=key.as_dict(private=False))


def key_that_nobody_published(token: str, _url: str) -> str:
    return _signed_anew(token, ECKey.generate_key("P-256"), kid="another")


FORGERIES: tuple[Callable[[str, str], str], ...] = (
    unsigned,
    unsigned_under_its_key,
    signature_cut,
    hmac_with_the_public_key,
    hmac_with_the_published_text,
    somebody_else,
    another_number,
    another_key_under_its_name,
    another_key_that_it_brings_along,
    key_that_nobody_published,
)


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_takes_what_was_signed_and_none_of_what_was_forged(
    kind: str, dastak: DastakProcess, proxy: ForgingProxy, browser: PlainBrowser
) -> None:
    number, told, seen = some_number(), {}, proxy.passed
    for forgery in (None, *FORGERIES):
        name = "nothing" if forgery is None else forgery.__name__
        proxy.forge = lambda token, by=forgery: token if by is None else by(token, dastak.url)  # type: ignore[misc]
        with a_site(kind, dastak, proxy) as site:
            page = browser.open(site.authorize())
            there = log_in(browser, page.url, number) if "number" in page.fields else page
            told[name] = site.callback(there.url)

    assert told.pop("nothing")["userinfo"]["phone_number"] == number
    assert {name: one for name, one in told.items() if not one.get("error")} == {}
    assert proxy.passed == seen + 1 + len(FORGERIES), "each client was given a token"


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_refuses_a_token_that_we_signed_for_another_login(
    kind: str, dastak: DastakProcess, proxy: ForgingProxy, browser: PlainBrowser
) -> None:
    proxy.forge = lambda token: token
    with a_site(kind, dastak, proxy) as site:
        asked = httpx.URL(site.authorize())
        there = log_in(browser, str(asked.copy_set_param("nonce", "of-another-login")), some_number())
        told = site.callback(there.url)

    assert "code" in answer_of(there)
    assert told["error"], told


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_refuses_a_token_that_we_signed_for_another_site(
    kind: str, dastak: DastakProcess, proxy: ForgingProxy, browser: PlainBrowser
) -> None:
    kept: list[str] = []

    def keep(token: str) -> str:
        kept.append(token)
        return token

    proxy.forge = keep
    with a_site(kind, dastak, proxy) as other:
        first = other.callback(log_in(browser, other.authorize(), some_number()).url)
    proxy.forge = lambda _token: kept[0]
    with a_site(kind, dastak, proxy) as site:
        told = site.callback(browser.open(site.authorize()).url)

    assert first["claims"]["iss"] == proxy.url
    assert told["error"], told
