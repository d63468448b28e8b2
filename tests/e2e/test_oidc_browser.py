"""Login for another site in a real browser: across origins and back, under a strict policy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.support.api_client import ApiClient
from tests.support.browser import opened
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import PASSWORD, some_address, with_number
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import Site, some_number
from tests.support.plain_browser import PlainBrowser
from tests.support.return_site import ReturnSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL: Final[ViewportSize] = {"width": 320, "height": 640}


dastak = behind_proxy


@pytest.fixture(scope="module")
def back() -> Iterator[ReturnSite]:
    with ReturnSite() as running:
        yield running


@pytest.fixture
def moved(back: ReturnSite) -> Iterator[ReturnSite]:
    """Give the site that another one sends its readers on to, as one that only brokers logins does."""
    with ReturnSite() as running:
        back.moved_to = running.url
        yield running
        back.moved_to = ""


class Reader:
    """Somebody whom a site sends to log in."""

    def __init__(self, page: Page, faults: list[str], api: ApiClient, site: Site, back: ReturnSite) -> None:
        self.page, self.api, self.site, self.number = page, api, site, some_number()
        self._faults, self._back = faults, back

    @property
    def faults(self) -> list[str]:
        """What went wrong; an answer of 422 is none, though the browser notes it."""
        return [one for one in self._faults if "status of 422" not in one]

    async def type_number(self) -> None:
        await self.page.fill("#number", self.number)
        await self.page.click("button[value=begin]")
        await self.page.wait_for_selector("#code")

    async def type_code(self) -> None:
        await self.page.fill("#code", str(self.api.next_text(self.number)["code"]))
        await self.page.click("button[value=check]")

    async def came_back(self, to: ReturnSite | None = None) -> dict[str, Any]:
        """Wait until the browser is at the site again, and have its program ask who it is.

        Args:
            to: Where the site sends it on to, if it does.
        """
        await self.page.wait_for_url(f"{(to or self._back).url}?*")
        assert self.faults == []
        said = {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}
        assert said["state"] == "st"
        given = self.site.exchange(said["code"], redirect_uri=self._back.url).json()
        about: dict[str, Any] = self.site.userinfo(given["access_token"]).json()
        return about


Visits = Any


@pytest.fixture
def visit(browser: Browser, dastak: DastakProcess, back: ReturnSite) -> Iterator[Visits]:
    api = ApiClient(dastak.url, dastak.api_key)
    with PlainBrowser(dastak.url) as program:

        @asynccontextmanager
        async def opening(
            client: dict[str, Any] | None = None, asked: dict[str, str] | None = None, **context: Any
        ) -> AsyncIterator[Reader]:
            site = Site(dastak, program, redirect_uris=[back.url], sector="shop.example", **(client or {}))
            url = f"{dastak.url}/authorize?{site.query(redirect_uri=back.url, **(asked or {}))}"
            # Each reader seems to come from a network of its own, as a proxy would tell; one has its limits.
            network = {"x-forwarded-for": some_address()}
            wanted = {"viewport": SMALL, "locale": "en-IN", "extra_http_headers": network, **context}
            async with opened(browser, url, **wanted) as (page, faults):
                yield Reader(page, faults, api, site, back)

        yield opening


@pytest.mark.parametrize("scripts", [True, False], ids=["", "no-javascript"])
async def test_phone_alone_leads_to_another_origin_and_the_policy_lets_it(
    visit: Visits, scripts: bool
) -> None:
    async with visit(java_script_enabled=scripts) as reader:
        await reader.type_number()
        await reader.type_code()

        about = await reader.came_back()

    assert about["phone_number"] == reader.number


async def test_consent_is_asked_for_and_leads_to_the_site(visit: Visits) -> None:
    async with visit({"ask_consent": True}) as reader:
        await reader.type_number()
        await reader.type_code()
        await expect(reader.page.locator("h1")).to_have_text("Shop wants to know who you are")
        await expect(reader.page.locator("main")).to_contain_text("It gets your mobile number.")
        await reader.page.click("button[value=allow]")

        about = await reader.came_back()

    assert about["phone_number"] == reader.number


async def test_no_leads_to_the_site_as_well(visit: Visits, back: ReturnSite) -> None:
    async with visit({"ask_consent": True}) as reader:
        await reader.type_number()
        await reader.type_code()
        await reader.page.click("button[value=deny]")
        await reader.page.wait_for_url(f"{back.url}?error=access_denied*")

        assert reader.faults == []


async def test_agreed_logout_leads_to_another_origin_and_the_policy_lets_it(
    visit: Visits, dastak: DastakProcess, back: ReturnSite
) -> None:
    bye = f"{back.url}?bye=1"
    async with visit({"logout_uris": [bye]}) as reader:
        await reader.type_number()
        await reader.type_code()
        await reader.came_back()
        said = urlencode({"client_id": reader.site.id, "post_logout_redirect_uri": bye, "state": "out"})
        await reader.page.goto(f"{dastak.url}/logout?{said}")
        await expect(reader.page.locator("h1")).to_have_text("Do you want to log out?")
        await reader.page.click("main button")
        await reader.page.wait_for_url(f"{bye}&state=out")

        assert reader.faults == []


@pytest.mark.parametrize("scripts", [True, False], ids=["", "no-javascript"])
@pytest.mark.parametrize("consent", [False, True], ids=["number", "consent"])
async def test_site_may_send_its_reader_on_to_an_origin_that_nobody_registered(
    visit: Visits, moved: ReturnSite, consent: bool, scripts: bool
) -> None:
    async with visit({"ask_consent": consent}, java_script_enabled=scripts) as reader:
        await reader.type_number()
        await reader.type_code()
        if consent:
            await reader.page.click("button[value=allow]")

        about = await reader.came_back(moved)

    assert about["phone_number"] == reader.number


async def test_refusal_and_logout_may_be_sent_on_as_well(
    visit: Visits, dastak: DastakProcess, back: ReturnSite, moved: ReturnSite
) -> None:
    async with visit({"ask_consent": True, "logout_uris": [back.url]}) as reader:
        await reader.type_number()
        await reader.type_code()
        await reader.page.click("button[value=deny]")
        await reader.page.wait_for_url(f"{moved.url}?error=access_denied*")
        said = urlencode({"client_id": reader.site.id, "post_logout_redirect_uri": back.url, "state": "out"})
        await reader.page.goto(f"{dastak.url}/logout?{said}")
        await reader.page.click("main button")
        await reader.page.wait_for_url(f"{moved.url}?state=out")

        assert reader.faults == []


@pytest.mark.parametrize("until", ["number", "code"])
async def test_whoever_does_not_want_to_go_on_finds_the_way_back(
    visit: Visits, back: ReturnSite, until: str
) -> None:
    async with visit() as reader:
        if until == "code":
            await reader.type_number()
            await expect(reader.page.locator("main")).to_contain_text("Go back to Shop")
        await reader.page.get_by_role("link", name="Back to Shop").click()
        await reader.page.wait_for_url(f"{back.url}?error=access_denied&state=st&iss=*")

        assert reader.faults == []


@pytest.mark.parametrize("scripts", [True, False], ids=["", "no-javascript"])
async def test_password_and_code_lead_to_another_origin_too(
    visit: Visits, dastak: DastakProcess, scripts: bool
) -> None:
    person = with_number(dastak.url, ApiClient(dastak.url, dastak.api_key))
    async with visit({"login": "password_and_code"}, java_script_enabled=scripts) as reader:
        reader.number = person["number"]
        await reader.page.fill("#username", person["name"])
        await reader.page.fill("#password", PASSWORD)
        await reader.page.keyboard.press("Enter")
        await reader.page.wait_for_selector("#code")
        await reader.type_code()

        about = await reader.came_back()

    assert about["phone_number"] == person["number"]


async def test_mistakes_are_told_and_another_number_can_be_taken(visit: Visits) -> None:
    async with visit() as reader:
        await reader.page.fill("#number", "12")
        await reader.page.click("button[value=begin]")
        await expect(reader.page.locator("#errors")).to_be_focused()
        await expect(reader.page.locator("#number")).to_have_value("12")
        await reader.type_number()
        await reader.page.fill("#code", "12")
        await reader.page.click("button[value=check]")
        await expect(reader.page.locator("#errors")).to_contain_text("The code has 6 digits. You typed 2.")
        reader.api.next_text(reader.number)
        await reader.page.click("button[value=number]")
        reader.number = some_number()
        await reader.type_number()
        await reader.type_code()

        about = await reader.came_back()

    assert about["phone_number"] == reader.number


@pytest.mark.parametrize("chosen", [True, False], ids=["by the reader", "by the site"])
async def test_language_is_chosen_and_kept_on_the_way(visit: Visits, chosen: bool) -> None:
    async with visit(asked={} if chosen else {"ui_locales": "fr ur"}) as reader:
        if chosen:
            await reader.page.click("button[lang=ur]")
        await expect(reader.page.locator("html")).to_have_attribute("dir", "rtl")
        await reader.type_number()
        await expect(reader.page.locator("html")).to_have_attribute("lang", "ur")
        await reader.type_code()

        await reader.came_back()
