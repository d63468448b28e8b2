"""The pages of the virtual phones in a real browser: live, harmless, readable, usable without a mouse."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from dastak.simulator.phone import Phones
from tests.support.browser import opened, shortcomings
from tests.support.phone_server import ANITA, ENGLISH, HINDI, RAVI, URDU, arriving, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 880}
SMALL: Final[ViewportSize] = {"width": 360, "height": 640}

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "'-alert(1)-'",
    "${alert(1)}",
    "{{7*7}}",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "<style>@import'//evil'</style>",
    "<base href=//evil>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>482913</a>",
    "]]><!--",
    "482913\u202e<b>\u2066x",
    "\nevent: cleared\ndata: {}\n\n",
    "a\r\n{\"fake\":1}\x1b[31m\x00",
)  # fmt: skip

# Nothing of this is in our pages, so whatever is found came in with a text.
FOREIGN: Final = "iframe, base, style, svg, script:not([src]), [onerror], [onload], [href^=javascript]"


async def until_live(page: Page) -> None:
    await expect(page.locator("#line")).to_have_attribute("data-state", "live")


async def test_text_appears_without_reload_and_is_read_out(browser: Browser, tmp_path: Path) -> None:
    phones = Phones()
    async with (
        served(phones) as url,
        opened(browser, f"{url}/sim/phones/{ANITA}", viewport=DESKTOP) as (page, faults),
    ):
        await until_live(page)
        await expect(page.get_by_text("No texts yet")).to_be_visible()
        phones.add(arriving())
        phones.add(arriving("not here", RAVI))
        bubble = page.locator(".bubble")
        await expect(bubble).to_have_count(1)
        await expect(bubble.locator("mark")).to_have_text("482913")
        await expect(page.locator("#spoken")).to_contain_text("New text from VM-ACMEOT: 482913 is your")
        await expect(page.locator("#big")).to_contain_text("482913")
        await expect(page).to_have_title("482913 · +91 98765 43210 · Dastak")
        await bubble.locator("summary").focus()
        await page.keyboard.press("Enter")
        await expect(bubble.locator("dl")).to_be_visible()
        facts = await bubble.locator("dd").all_inner_texts()
        await page.screenshot(path=tmp_path / "phone.png")

    assert facts[:3] == ["carrier in a box", "8, UCS-2", "1"]
    assert facts[4:] == ["138 ms at the carrier", "1"]
    assert (tmp_path / "phone.png").stat().st_size > 0
    assert faults == []


async def test_overview_shows_every_phone_live_and_opens_one_by_number(browser: Browser) -> None:
    phones = Phones()
    async with (
        served(phones) as url,
        opened(browser, f"{url}/sim/phones") as (page, faults),
    ):
        await until_live(page)
        await expect(page.get_by_text("No phone has rung yet")).to_be_visible()
        phones.add(arriving())
        phones.add(arriving("731904 is your code.", RAVI))
        phones.add(arriving(HINDI))
        await expect(page.locator("#phones h2")).to_have_text(["+91 98765 43210", "+1 202 555 0100"])
        await expect(page.locator("#phones .more")).to_have_text(["2 texts", "1 text"])
        await expect(page.get_by_text("No phone has rung yet")).to_be_hidden()
        await page.get_by_label("Open a phone by its number").fill("98765")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("with its country code")
        await page.get_by_label("Open a phone by its number").fill("+44 7700-900123")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("+44 7700 900 123")

    assert faults == []


async def test_phone_is_cleared_for_everybody_who_looks(browser: Browser) -> None:
    phones = Phones()
    phones.add(arriving())
    async with (
        served(phones) as url,
        opened(browser, f"{url}/sim/phones/{ANITA}") as (one, _),
        opened(browser, f"{url}/sim/phones") as (other, _),
    ):
        await until_live(other)
        await one.get_by_role("button", name="Clear this phone").click()
        await expect(one.get_by_text("No texts yet")).to_be_visible()
        await expect(other.get_by_text("No phone has rung yet")).to_be_visible()

    assert phones.messages(ANITA) == []


async def test_lost_connection_is_shown_and_comes_back_with_what_was_missed(browser: Browser) -> None:
    async with AsyncExitStack() as stack:
        async with served(Phones()) as url:
            page, _ = await stack.enter_async_context(opened(browser, f"{url}/sim/phones/{ANITA}"))
            await until_live(page)
        await expect(page.locator("#line")).to_have_text("Connection lost, trying again")
        phones = Phones()
        phones.add(arriving())
        await stack.enter_async_context(served(phones, int(url.rpartition(":")[2])))
        await until_live(page)
        await expect(page.locator(".bubble mark")).to_have_text("482913")


@pytest.mark.parametrize("path", ["/sim/phones", f"/sim/phones/{ANITA}"])
async def test_hostile_texts_and_senders_are_shown_as_text(browser: Browser, path: str) -> None:
    phones = Phones()
    async with served(phones) as url, opened(browser, url + path) as (page, faults):
        await until_live(page)
        for payload in HOSTILE:
            phones.add(arriving(payload, sender=payload, route=payload))
        # First as they come in, then as a page that is opened later finds them.
        for again in (True, False):
            await expect(page.locator(".bubble, .notice").last).to_contain_text(HOSTILE[-1])
            foreign = await page.locator(FOREIGN).count()
            shown = await page.locator(".said, .notice p").all_text_contents()
            if again:
                await page.reload()

            assert foreign == 0
            assert shown == (list(HOSTILE) if path.endswith(ANITA) else [HOSTILE[-1]])

    assert faults == []


@pytest.mark.parametrize(("scheme", "viewport"), [("light", SMALL), ("dark", DESKTOP), ("light", DESKTOP)])
@pytest.mark.parametrize("path", ["/sim/phones", f"/sim/phones/{ANITA}"])
async def test_page_fits_and_can_be_read_and_used(
    browser: Browser, path: str, scheme: Literal["light", "dark"], viewport: ViewportSize
) -> None:
    phones = Phones()
    async with (
        served(phones) as url,
        opened(browser, url + path, viewport=viewport, color_scheme=scheme) as (page, faults),
    ):
        await until_live(page)
        empty = await shortcomings(page)
        for said in (ENGLISH, HINDI, URDU, "x" * 300):
            phones.add(arriving(said, sender=f"VM-{len(said)}"))
        await expect(page.locator(".bubble, .notice").last).to_contain_text("x" * 300)
        for summary in await page.locator("summary").all():
            await summary.press("Enter")
        full = await shortcomings(page)

    assert (empty, full, faults) == ([], [], [])


@pytest.mark.parametrize(
    ("said", "language", "left"),
    [(ENGLISH, "", True), (HINDI, "hi", True), (URDU, "ur", False)],
    ids=["english", "hindi", "urdu"],
)
async def test_text_runs_in_the_direction_of_its_script(
    browser: Browser, said: str, language: str, left: bool
) -> None:
    phones = Phones()
    phones.add(arriving(said))
    async with served(phones) as url, opened(browser, f"{url}/sim/phones/{ANITA}") as (page, _):
        await until_live(page)
        code = await page.locator(".said mark").bounding_box()
        whole = await page.locator(".said").bounding_box()
        written = await page.locator(".said").get_attribute("lang")

    assert code is not None
    assert whole is not None
    assert (code["x"] < whole["x"] + whole["width"] / 2) is left
    assert written == language
