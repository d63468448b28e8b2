"""Operators who build landing pages in a browser, by the keyboard alone, and visitors who come to them."""

from collections.abc import Awaitable, Callable
from typing import Final

from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.login_client import PASSWORD, LoginClient, some_address, some_number

CONSOLE: Final = "/console/pages"
ACCOUNT: Final = "/account/operators/console"
STOPS_MAX: Final = 400


def become_operator(dastak: DastakProcess) -> list[dict[str, str]]:
    """Make the first operator, with a phone of the box as second factor; return the cookies."""
    api, number = ApiClient(dastak.url, dastak.api_key), some_number()
    with LoginClient(dastak.url) as client:
        client.send(dastak.setup_url.removeprefix(dastak.url), {"password": PASSWORD})
        client.send(ACCOUNT, {"do": "number", "msisdn": number})
        client.send(f"{ACCOUNT}/code", {"do": "check", "code": api.next_text(number)["code"]})
        assert client.get(CONSOLE).status_code == 200
        return [
            {"name": cookie.name, "value": cookie.value or "", "url": dastak.url}
            for cookie in client.http.cookies.jar
        ]


async def office(browser: Browser, cookies: list[dict[str, str]], **context: object) -> BrowserContext:
    """Return a profile that is signed in."""
    profile = await browser.new_context(**context)  # type: ignore[arg-type]
    await profile.add_cookies(cookies)  # type: ignore[arg-type]
    return profile


async def reach(page: Page, selector: str) -> None:
    """Press Tab until the focus is on an element, as somebody without a mouse does."""
    for _ in range(STOPS_MAX):
        if await page.evaluate("s => document.activeElement.matches(s)", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


async def write(page: Page, selector: str, text: str) -> None:
    """Go to a field by the keyboard and write into it in place of what it has."""
    await reach(page, selector)
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.insert_text(text)


async def press(page: Page, selector: str, key: str = "Enter") -> None:
    """Go to a button by the keyboard and press it."""
    await reach(page, selector)
    await page.keyboard.press(key)


async def go(page: Page, selector: str) -> None:
    """Go to a button or a link by the keyboard, press it, and wait for the page that it leads to."""
    await reach(page, selector)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def begin_page(page: Page, url: str, slug: str, *languages: str, brand: str = "Sundar Sweets") -> None:
    """Make a page by the keyboard, and stand in its editor."""
    await page.goto(f"{url}{CONSOLE}/new")
    await write(page, "#brand", brand)
    await write(page, "#slug", slug)
    for language in languages:
        await press(page, f"#lang-{language}", "Space")
    await reach(page, "[name=theme]")
    for _ in range(2):
        await page.keyboard.press("ArrowRight")
    await go(page, "main form button")
    await expect(page.locator("#editor")).to_be_visible()


async def publish(page: Page, reason: str) -> None:
    """Publish the draft by the keyboard, from the editor."""
    await go(page, "[value=publish]")
    await expect(page.locator("#reason")).to_be_visible()
    await write(page, "#reason", reason)
    await go(page, "#reason")
    await expect(page.locator("td", has_text=reason)).to_be_visible()


def some_visitor() -> str:
    """Return a number that no other visitor has."""
    return f"+91{next(FRESH)}"


async def prove(
    page: Page,
    dastak: DastakProcess,
    number: str,
    name: str = "Ravi",
    *,
    asked: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Fill the form of a page in by the keyboard, and type the code from the virtual phone."""
    await page.set_extra_http_headers({"x-forwarded-for": some_address()})
    await write(page, "#f-name", name)
    await write(page, "#f-number", number)
    await press(page, "#f-agree", "Space")
    await go(page, "main form button")
    await expect(page.locator("#code")).to_be_visible()
    if asked is not None:
        await asked()
    code = ApiClient(dastak.url, dastak.api_key).next_text(number)["code"]
    await write(page, "#code", code)
    await go(page, "#code")
    await expect(page.locator(".done")).to_be_visible()
