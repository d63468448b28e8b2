"""What becomes of a message stands on the open page, and nobody else learns it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from dastak.web.page_words import words_of
from tests.support.api_client import ApiClient
from tests.support.browser import opened
from tests.support.code_visitor import Shown, Visitor, made_page
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    BEHIND_PROXY,
    LOGIN,
    PASSWORD,
    LoginClient,
    some_address,
    some_number,
    with_number,
)
from tests.support.patience import until
from tests.support.virtual_caller import Handset

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED: Final = f"{LOGIN}/code"
# The receipt comes when the page has been open for a while.
OFF_LATER: Final = {"stat": "UNDELIV", "err": "027", "receipt": 5.0}
OFF: Final = words_of("en").say("way_off")
BARRED: Final = {"stat": "REJECTD", "err": "633"}
# How a carrier and a phone have to behave for each line of the page; "called" is told of who heard the code.
SCRIPTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "sending": {"silent": 1.0},
    "sent": {"missing_receipt": 1.0},
    "delivered": {},
    "off": {"stat": "UNDELIV", "err": "027"},
    # There is no page of what has failed already.
    "failed": {"stat": "UNDELIV", "err": "001", "receipt": 2.0},
    "calling": BARRED,
    "called": BARRED,
    "missed": {**BARRED, "call": "busy"},
}


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("told") / "data", environment=BEHIND_PROXY) as process:
        yield process


@pytest.fixture
def script(api: ApiClient) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Say what happens to messages to one number."""
    yield lambda number, fault: _put(api, [{"number": number, **fault}])
    _put(api, [])


def _put(api: ApiClient, faults: list[dict[str, Any]]) -> None:
    assert api.put("/sim/faults", faults).status == 200


Script = Callable[[str, Mapping[str, Any]], None]


@asynccontextmanager
async def at_hosted_page(
    browser: Browser, dastak: DastakProcess, api: ApiClient, script: Script, **context: Any
) -> AsyncIterator[Page]:
    number = some_number()
    script(number, OFF_LATER)
    _, url = await asyncio.to_thread(made_page, api, number)
    async with opened(browser, url, **context) as (page, _):
        yield page


@asynccontextmanager
async def at_login(
    browser: Browser, dastak: DastakProcess, api: ApiClient, script: Script, **context: Any
) -> AsyncIterator[Page]:
    person = await asyncio.to_thread(with_number, dastak.url, api)
    script(person["number"], OFF_LATER)
    headers = {"x-forwarded-for": some_address()}
    async with opened(browser, dastak.url + LOGIN, extra_http_headers=headers, **context) as (page, _):
        await page.fill("#username", person["name"])
        await page.fill("#password", PASSWORD)
        await page.click("button:not([name])")
        await page.wait_for_url(dastak.url + ASKED)
        yield page


@pytest.mark.parametrize("arrive", [at_hosted_page, at_login])
async def test_phone_that_is_off_is_told_while_the_page_stays_open(
    browser: Browser, dastak: DastakProcess, api: ApiClient, script: Script, arrive: Any
) -> None:
    async with arrive(browser, dastak, api, script) as page:
        await page.evaluate("window.stays = true")
        line = page.locator("#way")
        await expect(line).not_to_have_text(OFF, timeout=1)

        await expect(line).to_have_text(OFF, timeout=20_000)
        await expect(line).to_have_attribute("role", "status")
        assert await page.evaluate("window.stays")


@pytest.mark.parametrize("arrive", [at_hosted_page, at_login])
async def test_phone_that_is_off_is_told_after_a_form_and_a_reload_where_no_script_runs(
    browser: Browser, dastak: DastakProcess, api: ApiClient, script: Script, arrive: Any
) -> None:
    async with arrive(browser, dastak, api, script, java_script_enabled=False) as page:
        line = page.locator("#way")
        while await line.get_attribute("data-way") != "off":
            await page.fill("#code", "12")
            await page.click("button[value=check]")
        await expect(page.locator("#errors")).to_contain_text("You typed 2.")
        await expect(line).to_have_text(OFF)

        await page.goto(page.url)

        await expect(line).to_have_text(OFF)
        await expect(page.locator("#errors")).to_have_count(0)


def tells(html: str, way: str) -> bool:
    """Say whether a page tells this of its message; where nothing can be sent, by a notice."""
    notice = words_of("en").say("way_failed")
    return notice in html if way == "failed" else f'data-way="{way}"' in html


def becomes(api: ApiClient, number: str, way: str, look: Callable[[], str]) -> None:
    """Wait until the page of who asked says so."""
    if way == "called":
        phone = Handset(api, number)
        assert phone.rings()
        phone.answer()
        phone.press(phone.gate())
        until(lambda: len(phone.code()) >= 12, within_s=30)
        phone.hang_up()
    until(lambda: tells(look(), way), within_s=60)


@pytest.mark.parametrize("way", SCRIPTS)
async def test_stranger_gets_the_hosted_page_of_nobody_whatever_becomes_of_the_message(
    dastak: DastakProcess, api: ApiClient, script: Script, way: str
) -> None:
    number = some_number()
    script(number, SCRIPTS[way])
    _, url = made_page(api, number)
    owner, stranger = Visitor(), Visitor()
    owner.open(url)
    becomes(api, number, way, lambda: owner.open(url).html)

    asked = [
        stranger.open(url),
        stranger.open(f"{url}/state"),
        stranger.ask("POST", url, {"do": "check", "code": "123456", "form": "x"}),
    ]

    nothing = Visitor().open(url[:-4] + "AAAA")
    assert nothing.status == 404
    assert asked == [nothing] * len(asked)
    assert owner.open(url).status == 200


@pytest.mark.parametrize("way", SCRIPTS)
async def test_stranger_gets_the_same_of_a_login_whatever_becomes_of_the_message(
    dastak: DastakProcess, api: ApiClient, script: Script, way: str
) -> None:
    person = with_number(dastak.url, api)
    script(person["number"], SCRIPTS[way])
    before = _asked_by_nobody(dastak)

    with LoginClient(dastak.url) as owner:
        assert owner.pass_password(person["name"]).headers["location"] == ASKED
        becomes(api, person["number"], way, lambda: owner.get(ASKED).text)
        after = _asked_by_nobody(dastak)

    assert after == before
    assert [one.status for one in before] == [303, 200, 303]


def _asked_by_nobody(dastak: DastakProcess) -> list[Shown]:
    """Ask for the code page of the login, for its news and for a judgement, without a session."""
    stranger, url = Visitor(), dastak.url + ASKED
    return [
        stranger.open(url),
        stranger.open(f"{url}/watch"),
        stranger.ask("POST", url, {"do": "check", "code": "123456", "form": "x"}),
    ]
