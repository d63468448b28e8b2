"""Login for other sites with three independent clients: npm openid-client, npm oauth4webapi, and Authlib."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import PASSWORD, with_number
from tests.support.login_server import behind_proxy
from tests.support.oidc_peers import CLIENTS, OidcClient
from tests.support.oidc_site import CALLBACK, LOGGED_OUT, add_client, answer_of, command, log_in, some_number
from tests.support.plain_browser import PlainBrowser

dastak = behind_proxy


@pytest.fixture
def browser(dastak: DastakProcess) -> Iterator[PlainBrowser]:
    with PlainBrowser(dastak.url) as opened:
        yield opened


def wanted(dastak: DastakProcess, made: dict[str, Any], scope: str) -> dict[str, Any]:
    secret = {} if made["client_secret"] is None else {"client_secret": made["client_secret"]}
    return {
        "issuer": dastak.url,
        "client_id": made["client_id"],
        "redirect_uri": CALLBACK,
        "scope": scope,
        **secret,
    }


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(kind: str, dastak: DastakProcess) -> Iterator[OidcClient]:
    with CLIENTS[kind](wanted(dastak, add_client(dastak), "openid phone offline_access")) as client:
        yield client


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_phone_alone_logs_in_refreshes_and_logs_out(
    kind: str, dastak: DastakProcess, browser: PlainBrowser, public: bool
) -> None:
    made, number = add_client(dastak, public=public), some_number()
    with CLIENTS[kind](wanted(dastak, made, "openid phone offline_access")) as site:
        there = log_in(browser, site.authorize(), number)
        told = site.callback(there.url)
        again = site.refresh()
        away = browser.open(site.logout(LOGGED_OUT))
        asked_again = browser.open(site.authorize())

    claims = told["claims"]
    assert claims["iss"] == dastak.url
    assert claims["aud"] in (made["client_id"], [made["client_id"]])
    assert (claims["acr"], claims["amr"]) == ("urn:dastak:acr:phone", ["otp", "sms"])
    assert 0 <= time.time() - claims["auth_time"] < 60
    assert told["userinfo"] == {"sub": claims["sub"], "phone_number": number, "phone_number_verified": True}
    assert again["claims"]["sub"] == claims["sub"]
    assert again["claims"]["auth_time"] == claims["auth_time"]
    assert again["refresh_token"] != told["refresh_token"]
    assert away.url.startswith(LOGGED_OUT + "&state=")
    assert "number" in asked_again.fields


def test_password_and_code_log_in_and_both_are_told(
    kind: str, dastak: DastakProcess, browser: PlainBrowser
) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    person = with_number(dastak.url, api)
    made = add_client(dastak, login="password_and_code")
    with CLIENTS[kind](wanted(dastak, made, "openid phone")) as site:
        page = browser.open(site.authorize())
        page = browser.send(page, username=person["name"], password=PASSWORD)
        page = browser.send(page, do="check", code=api.next_text(person["number"])["code"])
        told = site.callback(browser.send(page, do="allow").url)
        away = browser.open(site.logout(LOGGED_OUT))
        asked_again = browser.open(site.authorize())

    assert told["claims"]["acr"] == "urn:dastak:acr:password-and-code"
    assert {"pwd", "otp", "sms"} <= set(told["claims"]["amr"])
    assert told["userinfo"]["phone_number"] == person["number"]
    assert away.url.startswith(LOGGED_OUT)
    assert "username" in asked_again.fields


def test_keys_rotate_and_no_client_notices(
    site: OidcClient, dastak: DastakProcess, browser: PlainBrowser
) -> None:
    told = site.callback(log_in(browser, site.authorize(), some_number()).url)

    keys = command(dastak, "clients", "rotate-keys")
    again = site.refresh()

    assert again["claims"]["sub"] == told["claims"]["sub"]
    kids = [kid_of(one["id_token"]) for one in (told, again)]
    states = {key["kid"]: key["state"] for key in keys}
    assert [states[kid] for kid in kids] == ["retired", "signs"]
    assert list(states.values())[-1] == "next"
    # What was issued before is checked with what is published now.
    published = KeySet.import_key_set(httpx.get(f"{dastak.url}/.well-known/jwks.json").json())
    assert (
        jwt.decode(told["id_token"], published, algorithms=["ES256"]).claims["sub"] == told["claims"]["sub"]
    )


# Authlib's own part is the code: its site looks at the state itself, and nobody there looks at `iss`.
@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(kind, "code", "x" * 43) for kind in CLIENTS]
    + [
        (kind, *altered)
        for kind in CLIENTS
        for altered in (("state", "another"), ("iss", "https://other.example"))
        if kind != "authlib"
    ],
)
def test_client_refuses_an_answer_that_is_not_its_own(
    site: OidcClient, browser: PlainBrowser, field: str, value: str
) -> None:
    there = log_in(browser, site.authorize(), some_number())
    true = answer_of(there)

    told = site.callback(str(httpx.URL(there.url).copy_merge_params({field: value})))

    assert set(true) == {"code", "state", "iss"}
    assert told["error"], told


def test_person_who_says_no_is_nobody_to_the_site(site: OidcClient, browser: PlainBrowser) -> None:
    number = some_number()
    page = browser.send(browser.open(site.authorize()), number=number, do="begin")
    page = browser.send(page, code=ApiClient(browser.site, None).next_text(number)["code"], do="check")

    there = browser.send(page, do="deny")

    assert answer_of(there)["error"] == "access_denied"
    assert "code" not in answer_of(there)
    assert "access_denied" in str(site.callback(there.url))


def kid_of(token: str) -> str:
    head = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
