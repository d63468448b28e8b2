"""All pages in all states, one law for each: usable by everybody, small, sealed, and asking nobody else.

The states are the tables of tests/support/page_tours.py. `DASTAK_PAGE_PICTURES=DIRECTORY` plays them as
`make test-all` does and keeps a picture of each state there, to be looked at.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from dastak.web.page_words import LANGUAGES
from tests.support.api_client import ApiClient
from tests.support.console_tours import BUILDER, CONSOLE_PAGES
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import CONSOLE, become_operator, office
from tests.support.login_client import ACCOUNT, BEHIND_PROXY, some_address
from tests.support.oidc_site import Site
from tests.support.page_inspector import FINGER_PX_MIN, REQUESTS_MAX, TARGET_PX_MIN, Inspector
from tests.support.page_tours import ACCOUNTS, CODE_PAGES, LANDING, OIDC, SERVICE, Tour, Traveller
from tests.support.plain_browser import PlainBrowser
from tests.support.return_site import ReturnSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL: Final[ViewportSize] = {"width": 320, "height": 640}
PICTURES: Final = os.environ.get("DASTAK_PAGE_PICTURES")
# `make test-all` plays them in all languages; the gate in one, which reads from right to left.
ALL: Final = os.environ.get("DASTAK_LONG") == "1" or bool(PICTURES)
READ: Final = tuple(LANGUAGES) if ALL else ("ur",)
TOURS: Final[dict[str, Tour]] = {
    "accounts": ACCOUNTS,
    "code pages": CODE_PAGES,
    **({"oidc": OIDC, "landing": LANDING} if ALL else {}),
}
# What operators use, in English alone.
OFFICES: Final[dict[str, Tour]] = {"console": CONSOLE_PAGES, **({"builder": BUILDER} if ALL else {})}
OCTETS_MAX: Final = 10 * 1024
# Texts, colours and blocks of a customer.
LANDING_OCTETS_MAX: Final = 20_000
# The list of one's own sign-ins: still in the ten segments that come at once (RFC 6928, section 2).
ACCOUNT_OCTETS_MAX: Final = 10 * 1460
# The editor has a script, and shows the page that is built twice, each with its style sheet.
BUILDER_OCTETS_MAX, BUILDER_REQUESTS_MAX = 48 * 1024, 7


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    often = {f"DASTAK__LIMITS__TEST__{limit}__COUNT": "1000" for limit in ("NUMBER", "NUMBER_EVERYWHERE")}
    with DastakProcess(tmp_path_factory.mktemp("all") / "data", environment=BEHIND_PROXY | often) as process:
        # A link back is a part of the page, and has to fit as well.
        set_site = {"site_url": "https://shop.example"}
        api = ApiClient(process.url, process.api_key)
        assert api.patch(f"{SERVICE}/login", set_site).status == 200
        yield process


@pytest.fixture(scope="module")
def operator(dastak: DastakProcess) -> list[dict[str, str]]:
    return become_operator(dastak)


@pytest.fixture(autouse=True)
def operator_is_here(dastak: DastakProcess, operator: list[dict[str, str]]) -> None:
    """Have the session of the operator go on: it ends when nothing is asked for a quarter of an hour."""
    cookies = {one["name"]: one["value"] for one in operator}
    assert httpx.get(f"{dastak.url}{CONSOLE}", cookies=cookies, trust_env=False).status_code == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def landing_pages(
    browser: Browser, dastak: DastakProcess, operator: list[dict[str, str]]
) -> AsyncIterator[None]:
    """Publish a page in all languages that are read here, and close another."""
    profile = await office(browser, operator)
    page = await profile.new_page()
    for slug in ("seen", "gone"):
        await page.goto(f"{dastak.url}{CONSOLE}/new")
        await page.fill("#brand", "Sundar Sweets")
        await page.fill("#slug", slug)
        for language in READ:
            await page.check(f"#lang-{language}")
        await page.click("main form button")
        await page.click("[value=publish]")
        await page.fill("#reason", "First")
        await page.click("[value=publish]")
        await expect(page.locator("td", has_text="First")).to_be_visible()
    async with page.expect_navigation():
        await page.click("[value=close]")
    await profile.close()
    yield


def octets_max(page: Page, dastak: DastakProcess) -> int:
    """Return what a page may weigh, with all that it loads."""
    path = page.url.removeprefix(dastak.url)
    if path.startswith(CONSOLE):
        return BUILDER_OCTETS_MAX
    if path.startswith("/f/"):
        return LANDING_OCTETS_MAX
    return ACCOUNT_OCTETS_MAX if path.startswith(ACCOUNT) else OCTETS_MAX


@pytest.mark.parametrize("language", READ)
@pytest.mark.parametrize("kind", TOURS)
@pytest.mark.usefixtures("landing_pages")
async def test_page_is_for_everybody_small_and_sealed(
    browser: Browser, dastak: DastakProcess, kind: str, language: str
) -> None:
    profile = await browser.new_context(
        viewport=SMALL,
        locale=f"{language}-IN",
        extra_http_headers={"x-forwarded-for": some_address()},
    )
    page = await profile.new_page()

    wrong = await faults_of(page, dastak, kind, TOURS[kind], language)
    direction = await page.get_attribute("html", "dir")
    await profile.close()

    assert not wrong, "\n".join(wrong)
    assert direction == ("rtl" if language == "ur" else "ltr")


@pytest.mark.parametrize("kind", OFFICES)
@pytest.mark.usefixtures("landing_pages")
async def test_page_of_operators_is_for_everybody_and_sealed(
    browser: Browser, dastak: DastakProcess, operator: list[dict[str, str]], kind: str
) -> None:
    profile = await office(browser, operator, viewport=SMALL, locale="en-IN")
    page = await profile.new_page()

    wrong = await faults_of(page, dastak, kind, OFFICES[kind], "en")
    await profile.close()

    assert not wrong, "\n".join(wrong)


async def faults_of(page: Page, dastak: DastakProcess, kind: str, tour: Tour, language: str) -> list[str]:
    """Go on a tour, and return what is wrong with the states on it."""
    found: dict[str, list[str]] = {}
    with ReturnSite() as back, PlainBrowser(dastak.url) as program:
        site = Site(dastak, program, redirect_uris=[back.url], sector="shop.example", ask_consent=True)
        inspector = Inspector(
            page,
            dastak.url,
            target_px_min=TARGET_PX_MIN if kind in OFFICES else FINGER_PX_MIN,
            requests_max=BUILDER_REQUESTS_MAX if kind == "builder" else REQUESTS_MAX,
            elsewhere=(back.url,),
        )
        await inspector.begin()
        who = Traveller(page, dastak, site, back.url, language)
        for state, step in tour.items():
            await step(who)
            found[state] = await inspector.faults(language, octets_max(page, dastak))
            if PICTURES:
                picture = f"{kind}-{len(found):02}-{language}.png"
                await page.screenshot(path=Path(PICTURES, picture), full_page=True)
        # The page of all sites weighs what stands there.
        site.remove()
    return [f"{state}: {fault}" for state, faults in found.items() for fault in faults]
