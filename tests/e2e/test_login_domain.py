"""Codes of the login's pages are bound to the host that shows them, and these lead back to one site alone."""

from collections.abc import Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    BEHIND_PROXY,
    LOGIN,
    PASSWORD,
    LoginClient,
    hidden_fields,
    some_name,
    some_number,
)
from tests.support.oidc_site import Site
from tests.support.plain_browser import PlainBrowser

HOST = "login.example.in"
CUSTOMERS = "login.acme.example"
SITE = "https://shop.example.in/shelf"
SERVICE = "/v1/admin/tenants/default/services/default"


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    environment = {**BEHIND_PROXY, "DASTAK__SERVER__PUBLIC_URL": f"http://{HOST}"}
    with DastakProcess(tmp_path_factory.mktemp("bound") / "data", environment=environment) as process:
        yield process


def test_every_text_of_the_login_is_bound_to_our_host_where_the_service_has_it(
    dastak: DastakProcess, api: ApiClient
) -> None:
    name, number = some_name(), some_number()
    seen = {}
    with LoginClient(dastak.url) as browser:
        browser.sign_up(name)
        browser.send(ACCOUNT, {"do": "number", "msisdn": number})
        unbound = api.next_text(number)
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": unbound["code"]})
        assert api.patch(SERVICE, {"domains": [HOST]}).status == 200
        browser.send(ACCOUNT, {"do": "number", "msisdn": number})
        seen["account"] = api.next_text(number)
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(name, PASSWORD)
        seen["sign-in"] = api.next_text(number)
        browser.send(f"{LOGIN}/forgotten", {"username": name})
        seen["forgotten"] = api.next_text(number)

    assert f"@{HOST}" not in unbound["text"]
    assert {step: text["text"].splitlines()[-1] for step, text in seen.items()} == {
        step: f"@{HOST} #{text['code']}" for step, text in seen.items()
    }


@pytest.mark.parametrize(
    ("host", "bound_to"),
    [(CUSTOMERS, CUSTOMERS), (f"{CUSTOMERS}:443", CUSTOMERS), (HOST, HOST), ("evil.example", HOST)],
)
def test_texts_are_bound_to_the_host_that_shows_the_page_if_the_service_has_it(
    dastak: DastakProcess, api: ApiClient, host: str, bound_to: str
) -> None:
    name, number, phone, seen = some_name(), some_number(), some_number(), {}
    assert api.patch(SERVICE, {"domains": [CUSTOMERS, HOST]}).status == 200
    with LoginClient(dastak.url) as browser, PlainBrowser(dastak.url) as other:
        browser.http.headers["host"] = host
        browser.sign_up(name)
        browser.send(ACCOUNT, {"do": "number", "msisdn": number})
        seen["account"] = api.next_text(number)
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": seen["account"]["code"]})
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(name, PASSWORD)
        seen["sign-in"] = api.next_text(number)
        browser.send(f"{LOGIN}/forgotten", {"username": name})
        seen["forgotten"] = api.next_text(number)
        way = browser.get(f"/authorize?{Site(dastak, other).query()}").headers["location"]
        hidden = hidden_fields(browser.get(way).text)
        browser.http.post(way, data={**hidden, "do": "begin", "number": phone})
        seen["phone alone"] = api.next_text(phone)
    assert api.patch(SERVICE, {"domains": []}).status == 200

    assert {step: text["text"].splitlines()[-1] for step, text in seen.items()} == {
        step: f"@{bound_to} #{text['code']}" for step, text in seen.items()
    }


def test_login_leads_back_to_the_site_that_was_set_and_to_no_other(
    dastak: DastakProcess, api: ApiClient
) -> None:
    with LoginClient(dastak.url) as browser:
        before = browser.get(f"{LOGIN}?site=https://evil.example").text
        shown = api.patch(f"{SERVICE}/login", {"site_url": SITE})
        page = browser.get(f"{LOGIN}?site=https://evil.example").text
        on_the_way = browser.get(f"{LOGIN}?next=/authorize").text
        api.patch(f"{SERVICE}/login", {"site_url": ""})
        after = browser.get(LOGIN).text

    assert shown.body["site_url"] == SITE
    assert f'<a class="link" href="{SITE}">Back to Dastak</a>' in page
    assert "evil.example" not in page
    assert all("Back to" not in other for other in (before, on_the_way, after))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://shop.example", "//evil.example", "https://a@evil.example"]
)
def test_what_is_no_address_of_a_site_is_refused(api: ApiClient, url: str) -> None:
    refused = api.patch(f"{SERVICE}/login", {"site_url": url})

    assert (refused.status, refused.body["field"]) == (422, "site_url")
