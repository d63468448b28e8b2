"""A visitor of a landing page is logged in at a site: built by the keyboard, walked across origins."""

from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import (
    become_operator,
    begin_page,
    go,
    office,
    publish,
    reach,
    some_visitor,
    write,
)
from tests.support.login_client import some_address
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import Site
from tests.support.plain_browser import PlainBrowser
from tests.support.return_site import ReturnSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLUG: Final = "members"


dastak = behind_proxy


@pytest.fixture(scope="module")
def shop() -> Iterator[ReturnSite]:
    with ReturnSite() as running:
        yield running


@pytest.fixture(scope="module")
def site(dastak: DastakProcess, shop: ReturnSite) -> Iterator[Site]:
    with PlainBrowser(dastak.url) as program:
        made = Site(dastak, program, redirect_uris=[shop.url], sector="shop.example", mode="test")
        shop.asks = f"{dastak.url}/authorize?{made.query(redirect_uri=shop.url)}"
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def page_of_the_shop(
    browser: Browser, dastak: DastakProcess, site: Site, shop: ReturnSite
) -> AsyncIterator[None]:
    """Build the page by the keyboard alone."""
    profile = await office(browser, become_operator(dastak), bypass_csp=True)
    page = await profile.new_page()
    await begin_page(page, dastak.url, SLUG)
    await reach(page, "#log-in-at")
    await page.keyboard.type("A login")
    await go(page, "section:last-of-type ~ p [value=save]")
    await expect(page.locator("#log-in-at")).to_have_value(site.id)
    await go(page, "[value=publish]")
    await expect(page.locator("main")).to_contain_text("Write the address at which Shop begins a login")
    assert await axe_violations(page) == []
    await go(page, ".tabs a")
    await write(page, "[name$='.go_to']", shop.login_url)
    await expect(page.locator("#saved")).to_contain_text("Ready to publish")
    assert await axe_violations(page) == []
    await publish(page, "First version")
    await profile.close()
    yield


@pytest.mark.parametrize("scripts", [True, False], ids=["", "no-javascript"])
async def test_visitor_ends_at_the_site_and_is_known_there(
    browser: Browser, dastak: DastakProcess, site: Site, shop: ReturnSite, scripts: bool
) -> None:
    number, api = some_visitor(), ApiClient(dastak.url, dastak.api_key)
    async with opened(
        browser,
        f"{dastak.url}/f/{SLUG}",
        java_script_enabled=scripts,
        extra_http_headers={"x-forwarded-for": some_address()},
    ) as (page, faults):
        await page.fill("#f-name", "Ravi")
        await page.fill("#f-number", number)
        await page.check("#f-agree")
        await page.click("main form button")
        await page.fill("#code", str(api.next_text(number)["code"]))
        await page.click("button[value=check]")
        await page.wait_for_url(f"{shop.url}?*")
        came = page.url

    assert faults == []
    assert shop.came[-2:] == [
        f"/login?iss={quote(dastak.url, safe='')}",
        came.removeprefix(shop.url.removesuffix("/done")),
    ]
    said = {name: values[0] for name, values in parse_qs(urlsplit(came).query).items()}
    given = site.exchange(said["code"], redirect_uri=shop.url).json()
    about = site.userinfo(given["access_token"]).json()
    assert (said["state"], said["iss"]) == ("st", dastak.url)
    assert (about["phone_number"], about["phone_number_verified"]) == (number, True)
