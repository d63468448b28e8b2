"""Codes that are too old, numbers that are locked, and calls that somebody asks for: all in a real browser.

The program runs under a wall clock that a test steps on, so that nobody waits for a code to become old.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from dastak.web.page_words import words_of
from tests.support.api_client import ApiClient
from tests.support.browser import opened
from tests.support.code_visitor import made_page
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.login_client import ACCOUNT, BEHIND_PROXY, LOGIN, PASSWORD, some_address, with_number
from tests.support.patience import until
from tests.support.return_site import ReturnSite
from tests.support.stepped_clock import SteppedClock
from tests.support.virtual_caller import Handset

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL: Final[ViewportSize] = {"width": 320, "height": 640}
SERVICE: Final = "/v1/admin/tenants/default/services/default"
# The lifetime of a code is five minutes; after a quarter of an hour more, no new one is sent for it.
JUST_OVER_S, LONG_OVER_S = 5 * 60 + 1, 20 * 60 + 1
# Of a number: docs/reference/policy.md.
WRONG_IN_A_ROW, CODE_DIGITS = 10, 6


class Hour:
    """The wall clock of the program, which only goes on."""

    def __init__(self, clock: SteppedClock) -> None:
        self._clock, self._ahead_s = clock, 0

    def passes(self, seconds: int) -> None:
        self._ahead_s += seconds
        self._clock.step(self._ahead_s)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> SteppedClock:
    return SteppedClock(tmp_path_factory.mktemp("clock") / "clock")


@pytest.fixture(scope="module")
def hour(clock: SteppedClock) -> Hour:
    return Hour(clock)


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory, clock: SteppedClock) -> Iterator[DastakProcess]:
    environment = {**BEHIND_PROXY, **clock.environment}
    with DastakProcess(tmp_path_factory.mktemp("over") / "data", environment=environment) as process:
        # Whoever asks again, or for a call, need not wait.
        at_once = {"policy": {"resend_waits_s": [0, 0]}}
        changed = ApiClient(process.url, process.api_key).patch(SERVICE, at_once)
        assert changed.status == 200, changed
        yield process


@pytest.fixture(scope="module")
def site() -> Iterator[ReturnSite]:
    with ReturnSite() as running:
        yield running


@asynccontextmanager
async def at(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Open an address from a network of its own; what a page may not do fails the test."""
    headers = {"x-forwarded-for": some_address()}
    async with opened(browser, url, viewport=SMALL, extra_http_headers=headers) as (page, faults):
        yield page
        # A refused form is an answer, and the browser tells the console of its status.
        assert [one for one in faults if "status of 4" not in one] == []


async def type_code(page: Page, code: str) -> None:
    await page.fill("#code", code)
    async with page.expect_navigation():
        await page.click("button[value=check]")


async def pass_password(page: Page, name: str) -> None:
    await page.fill("#username", name)
    await page.fill("#password", PASSWORD)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def next_code(api: ApiClient, number: str) -> str:
    return str((await asyncio.to_thread(api.next_text, number))["code"])


async def spoken_code(api: ApiClient, number: str) -> str:
    """Take a call, press the digit that is asked for, and return the code that is heard."""

    def listen() -> str:
        phone = Handset(api, number)
        assert phone.rings()
        phone.answer()
        phone.press(phone.gate())
        until(lambda: len(phone.code()) >= CODE_DIGITS, within_s=30)
        return phone.code()[:CODE_DIGITS]

    return await asyncio.to_thread(listen)


async def test_code_that_is_too_old_brings_a_new_one(
    browser: Browser, api: ApiClient, site: ReturnSite, hour: Hour
) -> None:
    number = f"+91{next(FRESH)}"
    of, url = made_page(api, number, page={"return_url": site.url})
    async with at(browser, url) as page:
        old = await next_code(api, number)
        hour.passes(JUST_OVER_S)
        await type_code(page, old)
        await expect(page.locator("#errors")).to_contain_text(words_of("en").say("error_renewed"))
        await expect(page.locator("#errors")).to_be_focused()
        await expect(page.locator("#code")).to_have_value("")
        assert api.get(f"/v1/verifications/{of}").body["state"] != "pending"

        await type_code(page, await next_code(api, number))

        await expect(page).to_have_url(re.compile(f"^{re.escape(site.url)}\\?verification="))
        after = api.get(f"/v1/verifications/{of}/page").body
        assert (after["verification"] != of, after["state"]) == (True, "approved")


async def test_code_of_long_ago_opens_no_page_and_sends_nothing(
    browser: Browser, api: ApiClient, site: ReturnSite, hour: Hour
) -> None:
    number = f"+91{next(FRESH)}"
    of, url = made_page(api, number, page={"return_url": site.url})
    async with at(browser, url) as page:
        old = await next_code(api, number)
        hour.passes(LONG_OVER_S)
        await type_code(page, old)

        await expect(page.locator("main")).to_contain_text(words_of("en").say("sorry_not_found"))
        await expect(page.locator("form")).to_have_count(0)
        assert api.check(of, old).body["reason"] == "expired"
        assert len(api.get(f"/sim/phones/{number}/messages").body) == 1


async def test_code_that_is_too_old_for_the_login_brings_a_new_one(
    browser: Browser, dastak: DastakProcess, api: ApiClient, hour: Hour
) -> None:
    person = with_number(dastak.url, api)
    async with at(browser, dastak.url + LOGIN) as page:
        await pass_password(page, person["name"])
        old = await next_code(api, person["number"])
        hour.passes(JUST_OVER_S)
        await type_code(page, old)
        await expect(page.locator("#errors")).to_contain_text(words_of("en").say("error_renewed"))

        await type_code(page, await next_code(api, person["number"]))

        assert page.url == dastak.url + ACCOUNT


async def test_locked_number_refuses_the_right_code_and_says_how_long(
    browser: Browser, api: ApiClient, site: ReturnSite
) -> None:
    number = f"+91{next(FRESH)}"
    for _ in range(WRONG_IN_A_ROW // 5):
        spent = api.start(number).body["id"]
        code = await next_code(api, number)
        for _ in range(5):
            api.check(spent, f"{(int(code) + 1) % 1_000_000:06}")
    of, url = made_page(api, number, page={"return_url": site.url})
    async with at(browser, url) as page:
        await type_code(page, await next_code(api, number))

        await expect(page.locator("#errors")).to_contain_text(
            re.compile("Too many tries. Wait [0-9]+ min, then go back to Dastak and begin again.")
        )
        await expect(page.locator("#errors")).to_be_focused()
        assert page.url == url
        assert site.came == [] or of not in site.came[-1]
        assert api.get(f"/v1/verifications/{of}").body["state"] != "approved"


async def test_call_is_asked_for_by_its_button_and_its_code_is_taken(
    browser: Browser, dastak: DastakProcess, api: ApiClient
) -> None:
    person = with_number(dastak.url, api)
    async with at(browser, dastak.url + LOGIN) as page:
        await pass_password(page, person["name"])
        written = await next_code(api, person["number"])
        await page.click("button[value=call]")
        await expect(page.locator("#errors")).to_have_text(words_of("en").say("code_called"))
        spoken = await spoken_code(api, person["number"])
        await type_code(page, spoken)

        assert page.url == dastak.url + ACCOUNT
        assert spoken == written, "one code, however it comes"
