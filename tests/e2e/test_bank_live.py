"""The walk of a bank's customer in a real browser: the demo site, the real program, and a virtual phone.

`DASTAK_WRITE_PICTURES=1` writes the picture of the README again.
"""

import base64
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pyotp
import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened, shortcomings
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "images" / "bank.png"
PHONE: Final[ViewportSize] = {"width": 390, "height": 760}
NARROW: Final[ViewportSize] = {"width": 320, "height": 568}
PASSWORD: Final = "blue horses swim at night"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("bank") / "data", bank=True) as process:
        yield process


@pytest.fixture
def phones(house: DastakProcess) -> ApiClient:
    return ApiClient(house.url, None)


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


def another(code: str) -> str:
    return f"{(int(code) + 500_000) % 1_000_000:06d}"


async def sign_up_filled_in(page: Page, name: str, to: str) -> None:
    await page.get_by_role("link", name="Open an account").click()
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Mobile number").fill(f"{to[:3]} {to[3:8]} {to[8:]}")


async def signed_up(page: Page, name: str, to: str) -> None:
    await sign_up_filled_in(page, name, to)
    await page.get_by_role("button", name="Open the account").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Two-factor login")


async def switched_on(page: Page, phones: ApiClient, to: str) -> str:
    await page.get_by_role("button", name="Switch it on").click()
    text = phones.next_text(to)
    await typed_at_dastak(page, text["code"])
    await expect(page.get_by_role("status")).to_have_text("Two-factor login is on.")
    said: str = text["text"]
    return said


async def typed(page: Page, code: str, button: str = "Go on") -> None:
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name=button, exact=True).click()


async def typed_at_dastak(page: Page, code: str) -> None:
    """Type a code on Dastak's page, which leads back to the bank."""
    await expect(page).to_have_url(re.compile(r"http://127\.0\.0\.1:\d+/v/"))
    await page.locator("#code").fill(code)
    await page.locator("button[value=check]").click()


async def logged_out(page: Page) -> None:
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


async def password_filled_in(page: Page, name: str, password: str = PASSWORD) -> None:
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("Password").fill(password)


async def password_given(page: Page, name: str, password: str = PASSWORD) -> None:
    await password_filled_in(page, name, password)
    await page.get_by_role("button", name="Log in").click()


async def test_customer_signs_up_logs_in_with_a_code_and_pays(
    browser: Browser, house: DastakProcess, phones: ApiClient, to: str, tmp_path: Path
) -> None:
    pictures = {}
    async with opened(browser, f"{house.bank_url}/", viewport=PHONE) as (page, faults):
        await sign_up_filled_in(page, "asha", to)
        pictures["sign up"] = await page.screenshot()
        await page.get_by_role("button", name="Open the account").click()
        proved = await switched_on(page, phones, to)
        await logged_out(page)
        await password_filled_in(page, "asha")
        pictures["password"] = await page.screenshot()
        await page.get_by_role("button", name="Log in").click()
        login = phones.next_text(to)
        await expect(page).to_have_url(re.compile("/v/"))
        shown = await page.content()
        await page.locator("#code").fill(login["code"])
        await expect(page.locator("#way")).to_have_attribute("data-way", "delivered")
        pictures["code"] = await page.screenshot()
        await typed_at_dastak(page, login["code"])
        await expect(page.get_by_role("heading", level=1)).to_have_text("Namaste, asha")

        await page.get_by_role("link", name="Pay somebody").click()
        await page.get_by_label("To", exact=True).fill("Ravi")
        await page.get_by_label("Rupees").fill("5,000")
        await page.get_by_role("button", name="Go on to the code").click()
        await expect(page.locator(".transaction")).to_contain_text("INR 5000.00")
        pictures["pay"] = await page.screenshot()
        paying = phones.next_text(to)
        await typed(page, paying["code"], "Pay")
        await expect(page.get_by_role("status")).to_have_text("The money is on its way.")
        await expect(page.locator(".balance")).to_have_text("₹20,000.00")
        pictures["account"] = await page.screenshot()
        await page.goto(f"{house.phones_url}/{to}")
        await expect(page.locator(".bubble")).to_have_count(3)
        await expect(page.locator(".bubble").nth(1)).to_contain_text(login["code"])
        pictures["phone"] = await page.screenshot()
        await drawn(browser, pictures, tmp_path)

    # It was typed on Dastak's page, whose host has no name here; a payment is the bank's own.
    assert re.fullmatch(r"[0-9]{6} is your Kaveri Bank sign-up code.*", proved)
    assert paying["text"].endswith(f"\n@localhost #{paying['code']}")
    assert "INR 5000.00" in paying["text"]
    assert "Ravi" in paying["text"]
    # Who only knows the password learns no more of the number than its end.
    assert to[3:-2] not in shown
    assert faults == []


async def drawn(browser: Browser, pictures: dict[str, bytes], tmp_path: Path) -> None:
    """Set the pictures out in the order of the walk; it is the README's when that is wanted."""
    images = "".join(
        f'<img alt="" src="data:image/png;base64,{base64.b64encode(pictures[name]).decode()}">'
        for name in ("sign up", "password", "code", "pay", "phone", "account")
    )
    look = "body{margin:0;padding:24px;display:flex;flex-wrap:wrap;gap:24px;background:#d9e2dc}"
    look += "img{border-radius:18px}"
    page = await browser.new_page(viewport={"width": 390 * 3 + 96, "height": PHONE["height"] * 2 + 72})
    await page.set_content(f"<style>{look}</style>{images}")
    target = PICTURE if os.environ.get("DASTAK_WRITE_PICTURES") == "1" else tmp_path / "bank.png"
    await page.screenshot(path=target)
    await page.close()

    assert target.stat().st_size > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_and_state_can_be_read_and_used_on_a_narrow_screen(
    browser: Browser, house: DastakProcess, phones: ApiClient, to: str, scheme: str
) -> None:
    found: dict[str, list[str]] = {}

    async def look(page: Page, state: str) -> None:
        assert await page.locator("script, style, [style]").count() == 0
        found[state] = [*await shortcomings(page), *await axe_violations(page)]

    # axe comes into the page as a script, which the policy of the bank would refuse.
    seen = opened(browser, f"{house.bank_url}/sign-up", viewport=NARROW, color_scheme=scheme, bypass_csp=True)
    async with seen as (page, faults):
        await look(page, "sign-up")
        await page.get_by_label("Username").fill("x")
        await page.get_by_label("Password").fill("short")
        await page.get_by_label("Mobile number").fill("12")
        await page.get_by_role("button", name="Open the account").click()
        await expect(page).to_have_title("Error: Open an account · Kaveri Bank")
        await look(page, "sign-up refused")
        await page.get_by_role("link", name="Log in").click()
        await look(page, "login")
        await password_given(page, "nobody-at-all")
        await expect(page.get_by_role("alert")).to_contain_text("not correct")
        await look(page, "login refused")
        await signed_up(page, f"beena-{scheme}", to)
        await look(page, "invitation")
        await page.get_by_role("link", name="Not now").click()
        await look(page, "account without")
        await page.get_by_role("link", name="Switch it on").click()
        await page.get_by_role("button", name="Switch it on").click()
        await page.goto(f"{house.bank_url}/code")
        await look(page, "code")
        await typed(page, another(phones.next_text(to)["code"]))
        await expect(page.get_by_role("alert")).to_contain_text("not correct")
        await look(page, "code refused")
        await page.get_by_role("button", name="Send it again").click()
        await expect(page.get_by_role("alert")).to_contain_text("That was too often. Try again in")
        await page.get_by_role("link", name="Why did my code not come?").click()
        await expect(page.get_by_text("the message is on your phone")).to_be_visible()
        await look(page, "help")
        await page.get_by_role("link", name="Back to the code").click()
        await typed(page, phones.get(f"/sim/phones/{to[1:]}/messages").body[-1]["code"])
        await look(page, "account")
        await page.get_by_role("link", name="Use an authenticator app").click()
        await look(page, "authenticator")
        await page.get_by_role("button", name="Set it up").click()
        await look(page, "scan")
        await page.goto(f"{house.bank_url}/code")
        await look(page, "code of the app")
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("link", name="Back").click()
        await page.get_by_role("link", name="Pay somebody").click()
        await look(page, "pay")
        await page.get_by_role("button", name="Go on to the code").click()
        await look(page, "code of a payment")
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Pay")

    assert found == {state: [] for state in found}
    # What was refused is told by its status as well, and the browser says so on its console.
    assert [fault for fault in faults if "422" not in fault and "429" not in fault] == []


async def test_authenticator_is_scanned_asked_for_and_a_message_helps_who_has_it_not_at_hand(
    browser: Browser, house: DastakProcess, phones: ApiClient, to: str
) -> None:
    async with opened(browser, f"{house.bank_url}/", viewport=NARROW) as (page, faults):
        await signed_up(page, "esha", to)
        await switched_on(page, phones, to)
        await page.get_by_role("link", name="Use an authenticator app").click()
        await page.get_by_role("button", name="Set it up").click()
        await expect(page.get_by_role("img", name="QR code")).to_be_visible()
        app = pyotp.TOTP(await page.locator("main code").inner_text())
        # Each code counts once, and the next one counts already.
        now, soon = app.now(), app.at(datetime.now() + timedelta(seconds=30))
        await page.get_by_label("The code that the app shows now").fill(now)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_role("status")).to_have_text("The app is asked for from now on.")
        await logged_out(page)
        await password_given(page, "esha")
        await expect(page.get_by_text("that your authenticator app shows")).to_be_visible()
        await typed(page, soon)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Namaste, esha")

        await logged_out(page)
        await password_given(page, "esha")
        await page.get_by_role("button", name="Send a message instead").click()
        await expect(page.get_by_role("status")).to_have_text("The message is on its way.")
        await typed(page, phones.next_text(to)["code"])
        await expect(page.get_by_role("heading", level=1)).to_have_text("Namaste, esha")
        await page.get_by_role("link", name="Pay somebody").click()
        await page.get_by_role("button", name="Go on to the code").click()
        paid = phones.next_text(to)
        await typed(page, paid["code"], "Pay")
        await expect(page.get_by_role("status")).to_have_text("The money is on its way.")
        await page.get_by_role("link", name="Use an authenticator app").click()
        await page.get_by_role("button", name="Take it away").click()
        await expect(page.get_by_role("button", name="Set it up")).to_be_visible()

    assert "INR 5000.00" in paid["text"]
    assert faults == []


async def test_code_that_was_guessed_too_often_is_over(
    browser: Browser, house: DastakProcess, phones: ApiClient, to: str
) -> None:
    async with opened(browser, f"{house.bank_url}/", viewport=PHONE) as (page, _):
        await signed_up(page, "chitra", to)
        await page.get_by_role("button", name="Switch it on").click()
        code = phones.next_text(to)["code"]
        # The bank's own page takes the same code, for whoever does not come back from Dastak's.
        await page.goto(f"{house.bank_url}/code")
        while await page.get_by_role("heading", name="Type the code").count():
            await typed(page, another(code))
        await expect(page.get_by_role("alert")).to_contain_text("Start again")
        left = await shortcomings(page)
        await page.goto(f"{house.bank_url}/code")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Namaste, chitra")

    assert left == []


async def test_whole_login_works_without_javascript(
    browser: Browser, house: DastakProcess, phones: ApiClient, to: str
) -> None:
    async with opened(browser, f"{house.bank_url}/", java_script_enabled=False) as (page, _):
        await signed_up(page, "devika", to)
        await switched_on(page, phones, to)
        await logged_out(page)
        await password_given(page, "devika")
        await typed_at_dastak(page, phones.next_text(to)["text"])
        await expect(page.get_by_role("heading", level=1)).to_have_text("Namaste, devika")


async def test_page_asks_no_other_host_and_is_small(browser: Browser, house: DastakProcess) -> None:
    asked: list[str] = []
    async with opened(browser, "about:blank") as (page, _):
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{house.bank_url}/login")
        sizes = [len(await (await page.request.get(url)).body()) for url in dict.fromkeys(asked)]

    assert {url.removeprefix(str(house.bank_url)) for url in asked} <= {"/login", "/bank.css", "/bank.svg"}
    assert sum(sizes) < 10 * 1024
