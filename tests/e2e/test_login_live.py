"""The login in a real browser: usable without script and on a small screen.

How each of its pages looks in each language is seen in test_page_states.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pyotp
import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened, shortcomings
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    BEHIND_PROXY,
    LOGIN,
    PASSWORD,
    some_address,
    some_name,
    some_number,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL: Final[ViewportSize] = {"width": 320, "height": 640}
SERVICE: Final = "/v1/admin/tenants/default/services/default"


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("live") / "data", environment=BEHIND_PROXY) as process:
        # A link back is a part of the page, and has to fit as well.
        set_site = {"site_url": "https://shop.example"}
        assert ApiClient(process.url, process.api_key).patch(f"{SERVICE}/login", set_site).status == 200
        yield process


@asynccontextmanager
async def at(browser: Browser, dastak: DastakProcess, path: str, **context: Any) -> AsyncIterator[Page]:
    """Open a path from an address of its own; what a page may not do fails the test."""
    headers = {"x-forwarded-for": some_address()}
    async with opened(browser, dastak.url + path, viewport=SMALL, extra_http_headers=headers, **context) as (
        page,
        faults,
    ):
        yield page
        # A refused form is an answer, and the browser tells the console of its status.
        assert [one for one in faults if "status of 4" not in one] == []


async def send(page: Page, button: str, **fields: str) -> None:
    """Fill in fields by their ids and press a button by its value or its name."""
    for field, text in fields.items():
        await page.locator(f"#{field}").fill(text)
    async with page.expect_navigation():
        await page.locator(button).first.click()


async def sign_up(page: Page, name: str) -> None:
    await send(page, "button:not([name])", username=name, password=PASSWORD)


async def next_code(dastak: DastakProcess, number: str) -> str:
    api = ApiClient(dastak.url, dastak.api_key)
    text = await asyncio.to_thread(api.next_text, number)
    code: str = text["code"]
    return code


async def add_number(page: Page, dastak: DastakProcess, number: str) -> None:
    await send(page, "button[value=number]", msisdn=number)
    await send(page, "button[value=check]", code=await next_code(dastak, number))


async def test_person_without_script_signs_up_and_signs_in_with_both_factors(
    browser: Browser, dastak: DastakProcess
) -> None:
    name, number = some_name(), some_number()
    async with at(browser, dastak, LOGIN, java_script_enabled=False) as page:
        await page.get_by_text("No account yet").click()
        await sign_up(page, name)
        await expect(page.get_by_text("Switch on two-factor login")).to_be_visible()
        await add_number(page, dastak, number)
        await expect(page.locator(".printed li")).to_have_count(10)
        codes = await page.locator(".printed li").all_inner_texts()
        await page.get_by_text("Continue").click()
        await expect(page.get_by_text("Codes left: 10")).to_be_visible()
        await send(page, "button[value=out]")

        await send(page, "button:not([name])", username=name, password="a wrong but long one")
        await expect(page).to_have_title("Error: Sign in to Dastak")
        await expect(page.locator(".errors")).to_contain_text("username or the password is not right")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        code = await next_code(dastak, number)
        await send(page, "button[value=check]", code=f"{(int(code) + 1) % 1_000_000:06}")
        await expect(page.locator(".errors")).to_contain_text("Tries left: 4")
        await send(page, "button[value=check]", code=code)
        assert page.url == dastak.url + ACCOUNT

        await send(page, "button[value=out]")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        await page.locator("summary").click()
        await send(page, "button[value=recover]", recovery=codes[0])
        await expect(page.get_by_text("Codes left: 9")).to_be_visible()
        await expect(page.get_by_text("Wrong code")).to_be_visible()


async def test_person_without_script_sets_a_forgotten_password_anew(
    browser: Browser, dastak: DastakProcess
) -> None:
    name, number = some_name(), some_number()
    async with at(browser, dastak, f"{LOGIN}/sign-up", java_script_enabled=False) as page:
        await sign_up(page, name)
        await add_number(page, dastak, number)
        codes = await page.locator(".printed li").all_inner_texts()
        await page.goto(dastak.url + ACCOUNT)
        await send(page, "button[value=out]")

        await page.get_by_text("Forgot your password?").click()
        await send(page, "button:not([name])", username=name)
        await expect(page.get_by_text("If there is such an account")).to_be_visible()
        assert number[-2:] not in await page.locator("main").inner_text()
        code = await next_code(dastak, number)
        await send(page, "button[value=check]", code=f"{(int(code) + 1) % 1_000_000:06}")
        await expect(page).to_have_title("Error: Enter your code")
        await send(page, "button[value=check]", code=code)
        await send(page, "button:not([name])", recovery=codes[0], new="another bridge of limes")
        await page.get_by_role("link", name="Sign in").click()
        await send(page, "button:not([name])", username=name, password="another bridge of limes")
        await send(page, "button[value=check]", code=await next_code(dastak, number))
        await expect(page.get_by_text("Password set anew")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_key_fob_is_brought_into_step_on_ones_own_account(
    browser: Browser, dastak: DastakProcess, script: bool
) -> None:
    name, number = some_name(), some_number()
    async with at(browser, dastak, f"{LOGIN}/sign-up", java_script_enabled=script) as page:
        await sign_up(page, name)
        await add_number(page, dastak, number)
        await page.goto(dastak.url + ACCOUNT)
        await send(page, "button[value=add-hotp]")
        fob = pyotp.HOTP((await page.locator(".secret").inner_text()).replace(" ", ""))
        await send(page, "button[value=check]", code=fob.at(0))
        await page.get_by_text("Type two in a row").click()
        await send(page, "button[value=step-hotp]", **{"first-hotp": fob.at(25), "second-hotp": fob.at(27)})
        await expect(page.locator("#errors")).to_contain_text("do not follow one another")
        await expect(page.locator("#errors")).to_be_focused()
        await page.locator("#errors a").click()
        await expect(page.locator("#first-hotp")).to_be_focused()

        await send(page, "button[value=step-hotp]", **{"first-hotp": fob.at(25), "second-hotp": fob.at(26)})

        await expect(page.get_by_role("status")).to_have_text("Your authenticator is in step again.")
        await send(page, "button[value=out]")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        await send(page, "button[value=use-hotp]")
        await send(page, "button[value=check]", code=fob.at(27))
        assert page.url == dastak.url + ACCOUNT


async def test_remembered_browser_is_listed_and_forgotten(browser: Browser, dastak: DastakProcess) -> None:
    name, number = some_name(), some_number()
    async with at(browser, dastak, f"{LOGIN}/sign-up") as page:
        await sign_up(page, name)
        await add_number(page, dastak, number)
        await page.get_by_text("Continue").click()
        await send(page, "button[value=out]")
        await page.locator("[name=remember]").check()
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        await send(page, "button[value=check]", code=await next_code(dastak, number))
        await send(page, "button[value=out]")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        assert page.url == dastak.url + ACCOUNT, "no code was asked for"
        await expect(page.locator("li:has(button[value^=forget])")).to_contain_text("(days: 30)")
        for asked in ("?lang=ml", "?lang=ur", ""):
            await page.goto(f"{dastak.url}{ACCOUNT}{asked}")
            assert await axe_violations(page) == []
            assert await shortcomings(page) == []

        await send(page, "button[value^=forget]")
        await expect(page.locator("button[value^=forget]")).to_have_count(0)
        await send(page, "button[value=out]")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        assert page.url == f"{dastak.url}{LOGIN}/code"


async def test_authenticator_is_scanned_and_asked_for_first(browser: Browser, dastak: DastakProcess) -> None:
    name, number = some_name(), some_number()
    async with at(browser, dastak, f"{LOGIN}/sign-up") as page:
        await sign_up(page, name)
        await add_number(page, dastak, number)
        await page.get_by_text("Continue").click()
        await send(page, "button[value=add-totp]")
        drawn = await page.locator("img.qr").evaluate("image => image.naturalWidth")
        secret = (await page.locator(".secret").inner_text()).replace(" ", "")
        await send(page, "button[value=check]", code=pyotp.TOTP(secret).now())
        await send(page, "button[value=out]")
        await send(page, "button:not([name])", username=name, password=PASSWORD)
        await expect(page.get_by_text("that your authenticator shows")).to_be_visible()
        await send(page, "button[value=use-sms]")
        await expect(page.get_by_text(f"ends in {number[-2:]}")).to_be_visible()
        await send(page, "button[value=use-totp]")
        later = pyotp.TOTP(secret).at(int(time.time()) + 30)
        await send(page, "button[value=check]", code=later)

        assert drawn > 0
        assert page.url == dastak.url + ACCOUNT


async def test_console_is_for_everybody(browser: Browser, dastak: DastakProcess) -> None:
    number = some_number()
    async with at(browser, dastak, dastak.setup_url.removeprefix(dastak.url), bypass_csp=True) as page:
        found = await axe_violations(page)
        await send(page, "button:not([name])", password="password")
        found += await axe_violations(page)
        await send(page, "button:not([name])", password=PASSWORD)
        found += await axe_violations(page)
        await add_number(page, dastak, number)
        await page.get_by_text("Continue").click()
        await page.wait_for_url("**/console")
        found += [*await axe_violations(page), *await shortcomings(page)]
        await expect(page.get_by_text("Signed in as operator")).to_be_visible()

    assert found == []
