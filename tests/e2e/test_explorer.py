"""The API explorer of `dastak dev` in a real browser: every endpoint has a form, and a form really asks."""

import pytest
from playwright.async_api import Browser, expect

from dastak.api.endpoint_table import ENDPOINTS
from tests.support.browser import opened, shortcomings
from tests.support.dastak_process import DastakProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_endpoint_has_a_form(browser: Browser, dastak: DastakProcess) -> None:
    async with opened(browser, f"{dastak.url}/explorer") as (page, faults):
        await expect(page.locator("details")).to_have_count(len(ENDPOINTS))

        titles = await page.locator("summary").all_inner_texts()

    shown = {tuple(title.split()[:2]) for title in titles}
    assert shown == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert faults == []


async def test_form_starts_a_verification(browser: Browser, dastak: DastakProcess) -> None:
    async with opened(browser, f"{dastak.url}/explorer") as (page, faults):
        form = page.locator("details", has_text="Start a verification")
        await page.fill("#key", dastak.api_key)
        await form.locator("summary").click()
        await form.locator("textarea").fill('{"to": "+919811223344"}')
        await form.locator("button").click()

        await expect(form.locator("pre")).to_contain_text('"state": "pending"')
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_can_be_read_and_used(browser: Browser, dastak: DastakProcess, scheme: str) -> None:
    small = {"width": 360, "height": 640}
    async with opened(browser, f"{dastak.url}/explorer", viewport=small, color_scheme=scheme) as (page, _):
        await page.locator("summary").first.click()

        assert await shortcomings(page) == []
