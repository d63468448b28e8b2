"""The sum that a landing page asks for, in a real browser on the real program: only above the budget."""

from ipaddress import IPv4Address

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from dastak.web.landing.work_gate import FROM_NETWORK
from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import become_operator, begin_page, office, publish, some_visitor
from tests.support.login_client import hidden_fields, some_address
from tests.support.login_server import behind_proxy
from tests.support.page_work import solve

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/f/rush?lang=en"


dastak = behind_proxy


class Network:
    """A /24 of visitors, each with an address of its own."""

    def __init__(self, url: str) -> None:
        self._url, self._first, self._next = url, int(IPv4Address(some_address())), 1

    def address(self) -> str:
        self._next += 1
        return str(IPv4Address(self._first + self._next))

    def send(self, **more: str) -> httpx.Response:
        """Send the form in as a program does."""
        headers = {"x-forwarded-for": self.address()}
        with httpx.Client(base_url=self._url, headers=headers, trust_env=False, timeout=30) as http:
            hidden = hidden_fields(http.get(PATH).text)
            typed = {"name": "Ravi", "number": some_visitor(), "agree": "yes"}
            return http.post(PATH, data={**hidden, **typed, **more})

    def use_up(self) -> None:
        for _ in range(FROM_NETWORK.attempts):
            assert self.send().status_code == 303


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def rush(browser: Browser, dastak: DastakProcess) -> None:
    """Publish the page that all of these visit."""
    profile = await office(browser, become_operator(dastak))
    page = await profile.new_page()
    await begin_page(page, dastak.url, "rush", "hi", "ur")
    await publish(page, "First")
    await profile.close()


async def fill(page: Page, number: str) -> None:
    await page.locator("#f-name").fill("Ravi")
    await page.locator("#f-number").fill(number)
    await page.locator("#f-agree").check()
    await page.locator("main form button").click()


async def test_browser_does_the_sum_by_itself_and_only_above_the_budget(
    browser: Browser, dastak: DastakProcess
) -> None:
    network = Network(dastak.url)
    number = some_visitor()
    network.use_up()

    visitor = {"x-forwarded-for": network.address()}
    async with opened(browser, f"{dastak.url}{PATH}", extra_http_headers=visitor) as (page, faults):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await fill(page, number)
        await expect(page.locator("#code")).to_be_visible()
        await page.locator("#code").fill(ApiClient(dastak.url, dastak.api_key).next_text(number)["code"])
        await page.locator("#code").press("Enter")
        await expect(page.locator(".done")).to_be_visible()

        assert any("/assets/page_work." in url for url in asked)
        assert all(url.startswith(dastak.url) for url in asked)
        # The status of a form that was not taken is told on the console of every browser.
        assert [one for one in faults if "429" not in one] == []

    elsewhere = {"x-forwarded-for": some_address()}
    async with opened(browser, f"{dastak.url}{PATH}", extra_http_headers=elsewhere) as (page, faults):
        statuses: list[int] = []
        page.on("response", lambda answer: statuses.append(answer.status))
        await fill(page, some_visitor())
        await expect(page.locator("#code")).to_be_visible()

        assert 429 not in statuses
        assert faults == []


async def test_program_without_an_answer_is_refused_and_an_answer_is_good_once(dastak: DastakProcess) -> None:
    network = Network(dastak.url)
    network.use_up()

    asked = network.send()
    answer = solve(hidden_fields(asked.text)["altcha"])
    once, twice = network.send(altcha=answer), network.send(altcha=answer)
    untried = network.send(altcha=hidden_fields(asked.text)["altcha"])

    assert [one.status_code for one in (asked, once, twice, untried)] == [429, 303, 429, 429]


@pytest.mark.parametrize("language", ["en", "hi", "ur"])
async def test_who_has_no_script_reads_how_long_to_wait(
    browser: Browser, dastak: DastakProcess, language: str
) -> None:
    network = Network(dastak.url)
    network.use_up()
    visitor = {"x-forwarded-for": network.address()}
    profile = await browser.new_context(java_script_enabled=False, extra_http_headers=visitor)
    page = await profile.new_page()
    await page.goto(f"{dastak.url}/f/rush?lang={language}")

    await fill(page, some_visitor())

    await expect(page.locator("#work")).to_contain_text("60")
    assert await page.locator("#f-name").input_value() == "Ravi"
    assert await page.locator("main form button").is_enabled()
    await profile.close()


async def test_page_with_a_sum_can_be_used_by_everybody(browser: Browser, dastak: DastakProcess) -> None:
    network = Network(dastak.url)
    network.use_up()
    visitor = {"x-forwarded-for": network.address()}
    profile = await browser.new_context(bypass_csp=True, extra_http_headers=visitor)
    page = await profile.new_page()
    # Without its script the page stays as it is long enough to be looked at.
    await page.route("**/assets/page_work.*", lambda route: route.abort())
    await page.goto(f"{dastak.url}{PATH}")
    await fill(page, some_visitor())
    await expect(page.locator("#work")).to_be_visible()

    assert await axe_violations(page) == []
    await profile.close()
