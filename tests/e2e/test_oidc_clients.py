"""Login for other sites with three independent clients: npm openid-client, npm oauth4webapi, and Authlib."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.support.api_client import ApiClient
from tests.support.oidc_peers import CLIENTS, OidcClient
from tests.support.plain_browser import PlainBrowser, Sheet
from tests.support.serve_installation import Installation

_NUMBERS = count(9_300_000_001)
CALLBACK = "https://shop.example/callback"
LOGGED_OUT = "https://shop.example/bye?from=dastak"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("oidc") / "dastak", DASTAK__SIMULATOR__ENABLED="true") as made:
        yield made


@pytest.fixture
def browser(installation: Installation) -> Iterator[PlainBrowser]:
    with PlainBrowser(installation.url) as opened:
        yield opened


@pytest.fixture
def number() -> str:
    return f"+91{next(_NUMBERS)}"


def add_client(installation: Installation, *options: str) -> dict[str, Any]:
    made: dict[str, Any] = installation.command(
        "clients", "add", "Shop", "--redirect-uri", CALLBACK, "--logout-uri", LOGGED_OUT, *options
    )
    return made


def wanted(installation: Installation, client: dict[str, Any], scope: str) -> dict[str, Any]:
    secret = {} if client["client_secret"] is None else {"client_secret": client["client_secret"]}
    return {
        "issuer": installation.url,
        "client_id": client["client_id"],
        "redirect_uri": CALLBACK,
        "scope": scope,
        **secret,
    }


def log_in(browser: PlainBrowser, url: str, number: str) -> Sheet:
    """Go where a site sends the browser, type the number and the code, allow what is asked."""
    page = browser.open(url)
    page = browser.send(page, number=number, do="begin")
    assert page.status == 200, page.text
    code = ApiClient(browser.site, None).next_text(number)["code"]
    page = browser.send(page, code=code, do="check")
    if page.status == 200:
        page = browser.send(page, do="allow")
    return page


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["confidential", "public"])
def site(
    request: pytest.FixtureRequest, kind: str, installation: Installation
) -> Iterator[tuple[OidcClient, dict[str, Any]]]:
    made = add_client(installation, *(["--public"] if request.param == "public" else []))
    with CLIENTS[kind](wanted(installation, made, "openid phone offline_access")) as client:
        yield client, made


def test_phone_alone_logs_in_refreshes_and_logs_out(
    site: tuple[OidcClient, dict[str, Any]], browser: PlainBrowser, number: str
) -> None:
    client, made = site

    there = log_in(browser, client.authorize(), number)
    told = client.callback(there.url)
    again = client.refresh()
    away = browser.open(client.logout(LOGGED_OUT))

    claims = told["claims"]
    assert claims["iss"] == browser.site
    assert claims["aud"] in (made["client_id"], [made["client_id"]])
    assert (claims["acr"], claims["amr"]) == ("urn:dastak:acr:phone", ["otp", "sms"])
    assert 0 <= time.time() - claims["auth_time"] < 60
    assert told["userinfo"] == {
        "sub": claims["sub"],
        "phone_number": number,
        "phone_number_verified": True,
    }
    assert again["claims"]["sub"] == claims["sub"]
    assert again["claims"]["auth_time"] == claims["auth_time"]
    assert again["refresh_token"] != told["refresh_token"]
    assert away.url.startswith(LOGGED_OUT + "&state=")
    assert browser.client.cookies.jar._cookies.get("127.0.0.1", {}).get("/", {}) == {}
