"""The token that a visitor brings to the customer's server, exchanged with the real program over HTTP."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dastak.core.ids import digest_of
from tests.support.api_client import ApiClient
from tests.support.browser import opened
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import (
    become_operator,
    begin_page,
    office,
    publish,
    some_visitor,
    write,
)
from tests.support.login_client import some_address
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import command
from tests.support.patience import until
from tests.support.plain_browser import PlainBrowser

pytestmark = pytest.mark.asyncio(loop_scope="module")

WELCOME = "https://shop.example/welcome?from=page"
EXCHANGE = "/v1/leads/exchange"


dastak = behind_proxy


@pytest.fixture(scope="module")
def api(dastak: DastakProcess) -> ApiClient:
    return ApiClient(dastak.url, dastak.api_key)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def page_that_leads_on(browser: Browser, dastak: DastakProcess, api: ApiClient) -> AsyncIterator[None]:
    service = "/v1/admin/tenants/default/services/default"
    assert api.patch(service, {"domains": ["shop.example"]}).status == 200
    profile = await office(browser, become_operator(dastak))
    page = await profile.new_page()
    await begin_page(page, dastak.url, "diwali")
    await write(page, "[name$='.go_to']", WELCOME)
    await expect(page.locator("#saved")).to_contain_text("Ready to publish")
    await publish(page, "First version")
    await profile.close()
    yield


def proved(dastak: DastakProcess, api: ApiClient, number: str) -> str:
    """Prove a number on the page, and return the token that the browser is sent on with."""
    with PlainBrowser(dastak.url) as browser:
        page = browser.send(browser.open("/f/diwali?lang=en"), name="Ravi", number=number, agree="yes")
        there = browser.send(page, do="check", code=api.next_text(number)["code"])
    assert there.status == 0, there.text
    assert there.url.startswith(f"{WELCOME}&dastak_token=")
    return parse_qs(urlsplit(there.url).query)["dastak_token"][0]


def refused(api: ApiClient, token: object) -> tuple[int, str]:
    answer = api.post(EXCHANGE, {"token": token})
    return answer.status, answer.body["code"]


async def test_lead_is_given_once_and_whole(dastak: DastakProcess, api: ApiClient) -> None:
    number = some_visitor()
    token = proved(dastak, api, number)

    given = api.post(EXCHANGE, {"token": token})
    again = refused(api, token)

    assert given.status == 200
    assert (given.body["page"], given.body["msisdn"], given.body["values"]["name"]) == (
        "diwali",
        number,
        "Ravi",
    )
    assert [one["field"] for one in given.body["consents"]] == ["agree"]
    assert again == (404, "not_found")
    assert token not in dastak.log()


@pytest.mark.parametrize("scripts", [True, False], ids=["", "no-javascript"])
async def test_browser_is_sent_on_to_another_origin_and_the_policy_lets_it(
    browser: Browser, dastak: DastakProcess, api: ApiClient, scripts: bool
) -> None:
    number, headers = some_visitor(), {"x-forwarded-for": some_address()}
    async with opened(
        browser, f"{dastak.url}/f/diwali?lang=en", extra_http_headers=headers, java_script_enabled=scripts
    ) as (page, faults):
        await page.fill("#f-name", "Ravi")
        await page.fill("#f-number", number)
        await page.check("#f-agree")
        await page.click("main form button")
        await page.fill("#code", (await asyncio.to_thread(api.next_text, number))["code"])
        # Nobody is there; that the browser asks for it is what the policy could forbid.
        async with page.expect_request(f"{WELCOME}&dastak_token=*") as leaving:
            await page.click("button[value=check]")
        token = parse_qs(urlsplit((await leaving.value).url).query)["dastak_token"][0]

    assert faults == []
    assert api.post(EXCHANGE, {"token": token}).body["msisdn"] == number


async def test_of_many_servers_at_once_one_gets_the_lead(dastak: DastakProcess, api: ApiClient) -> None:
    for _ in range(3):
        token = proved(dastak, api, some_visitor())
        headers = {"authorization": f"Bearer {dastak.api_key}"}
        async with httpx.AsyncClient(base_url=dastak.url, headers=headers, timeout=30) as servers:
            answers = await asyncio.gather(
                *(servers.post(EXCHANGE, json={"token": token}) for _ in range(16))
            )

        assert sorted(answer.status_code for answer in answers) == [200, *[404] * 15]


async def test_lead_is_told_to_no_other_tenant_which_does_not_use_the_token_up(
    dastak: DastakProcess, api: ApiClient
) -> None:
    command(dastak, "tenants", "create", "other")
    command(dastak, "services", "create", "app", "--tenant", "other")
    made = command(dastak, "keys", "create", "--tenant", "other", "--service", "app", "--name", "till")
    other = ApiClient(dastak.url, made["key"])
    token = proved(dastak, api, some_visitor())
    # The running program sees a new key within a second.
    until(lambda: other.post(EXCHANGE, {"token": "x"}).status == 404)

    stolen = refused(other, token)
    nameless = ApiClient(dastak.url, None).post(EXCHANGE, {"token": token}).status

    assert stolen == (404, "not_found")
    assert nameless == 401
    assert api.post(EXCHANGE, {"token": token}).status == 200


async def test_token_whose_time_is_over_gets_nothing(dastak: DastakProcess, api: ApiClient) -> None:
    token = proved(dastak, api, some_visitor())
    with closing(sqlite3.connect(dastak.data_dir / "dastak.db", timeout=30)) as database:
        over = "UPDATE landing_lead SET exchange_until = ? WHERE exchange = ?"
        changed = database.execute(over, (int(time.time() * 1000) - 1, digest_of(token)))
        database.commit()

    assert changed.rowcount == 1
    assert refused(api, token) == (404, "not_found")


@pytest.mark.parametrize("token", ["", "x" * 101, None, 1, ["x"], "x", "é" * 50, "' OR 1=1 --", "\udc00"])
async def test_token_nobody_gave_gets_nothing(api: ApiClient, token: object) -> None:
    assert refused(api, token)[0] in (400, 404, 422)
