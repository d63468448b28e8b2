"""A headless Chromium driven by playwright, and what went wrong on a page, whatever the page itself shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, async_playwright

from tests.support.needed import program

# The first has no window, which takes four fifths of what a page costs a whole browser.
BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PAGE_CHECKS: Final = Path(__file__).with_name("page_checks.js").read_text(encoding="utf-8")
# What a policy refuses is told to the console, where `watch` hears it.
_REPORT_REFUSALS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser for one test."""
    path = program(*BROWSERS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **context: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open an address in a fresh profile.

    Args:
        browser: From `chromium`.
        url: Where to go.
        context: As `Browser.new_context` takes it: viewport, locale, color_scheme.

    Yields:
        The page, and a list that grows with every dialog, error and refusal by the security policy.
    """
    profile = await browser.new_context(**context)
    try:
        page = await profile.new_page()
        faults = await watch(page)
        await page.goto(url)
        yield page, faults
    finally:
        await profile.close()


async def watch(page: Page) -> list[str]:
    """Return a list that grows with every fault on a page that is still to be opened."""
    faults: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"console: {message.text}")

    page.on("dialog", dismiss)
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    await page.add_init_script(_REPORT_REFUSALS)
    return faults


async def shortcomings(page: Page, *, target_px_min: int = 24) -> list[str]:
    """Return what would keep somebody from reading or using the page as it now is.

    Args:
        page: As it stands.
        target_px_min: What a button has to measure each way, and a link that stands alone.
    """
    # A click returns when the next page comes, and that has nothing in it yet.
    await page.wait_for_load_state("domcontentloaded")
    found: list[str] = await page.evaluate(_PAGE_CHECKS, target_px_min)
    return found
