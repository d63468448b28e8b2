"""Operators register sites that log people in on a page of the console, and nobody else does."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import chromium, opened, shortcomings
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import LoginClient
from tests.support.login_server import behind_proxy, first_operator
from tests.support.oidc_site import CALLBACK, CLIENTS, LOGGED_OUT

HOME = "/console/clients"
SITE = {
    "name": "Shop",
    "redirect_uris": CALLBACK,
    "logout_uris": LOGGED_OUT,
    "service": "default/default",
    "login": "phone",
    "mode": "test",
    "do": "add",
}


dastak = behind_proxy
operator = first_operator


@pytest.fixture(autouse=True)
def nobody_registered(dastak: DastakProcess) -> Iterator[None]:
    yield
    for client_id in registered(dastak):
        ApiClient(dastak.url, dastak.api_key).delete(f"{CLIENTS}/{client_id}")


def registered(dastak: DastakProcess) -> dict[str, str]:
    found = ApiClient(dastak.url, dastak.api_key).get(CLIENTS).body["clients"]
    return {one["client_id"]: one["name"] for one in found}


def secret_on(page: httpx.Response) -> str:
    (secret,) = re.findall(r"client_secret</code>: <code>([\w-]{43})<", page.text)
    return str(secret)


def test_site_is_registered_its_secret_renewed_and_removed(
    dastak: DastakProcess, operator: LoginClient
) -> None:
    made = operator.send(HOME, SITE)
    (client_id,) = registered(dastak)
    again = operator.get(HOME)
    renewed = operator.send(HOME, {"do": f"rotate-{client_id}"})
    gone = operator.send(HOME, {"do": f"remove-{client_id}"})

    assert made.status_code == 200
    assert client_id in again.text
    assert secret_on(made) not in again.text
    assert secret_on(made) != secret_on(renewed)
    assert gone.status_code == 303
    assert registered(dastak) == {}


def test_what_is_wrong_is_told_and_what_was_typed_is_kept(
    dastak: DastakProcess, operator: LoginClient
) -> None:
    nasty = 'https://shop.example/"><script>alert(1)</script>'

    page = operator.send(HOME, {**SITE, "redirect_uris": nasty})

    assert page.status_code == 422
    assert "<title>Error:" in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert operator.send(HOME, {**SITE, "service": "operators/console"}).status_code == 422
    assert operator.send(HOME, {**SITE, "mode": "everywhere"}).status_code == 422
    assert registered(dastak) == {}


def test_nobody_else_sees_it_and_no_other_site_fills_it_in(
    dastak: DastakProcess, operator: LoginClient
) -> None:
    with LoginClient(dastak.url) as stranger:
        seen = stranger.get(HOME)
        sent = stranger.http.post(HOME, data=SITE)
    unsigned = operator.http.post(HOME, data=SITE)

    assert (seen.status_code, sent.status_code, unsigned.status_code) == (303, 303, 403)
    assert seen.headers["location"].startswith("/login/operators/console?next=")
    assert registered(dastak) == {}


async def test_page_can_be_read_and_used_by_everybody(dastak: DastakProcess, operator: LoginClient) -> None:
    operator.send(HOME, SITE)
    place = {"domain": "127.0.0.1", "path": "/"}
    carried = [{"name": one.name, "value": one.value, **place} for one in operator.http.cookies.jar]
    async with chromium() as browser:
        state = {"cookies": carried, "origins": []}
        small = {"width": 320, "height": 640}
        async with opened(
            browser, dastak.url + HOME, storage_state=state, viewport=small, bypass_csp=True
        ) as (page, faults):
            assert await page.title() == "Sites that log people in"
            assert await axe_violations(page) == []
            assert await shortcomings(page) == []
            assert faults == []
