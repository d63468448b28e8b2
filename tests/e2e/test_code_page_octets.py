"""Every page that asks for a code weighs at most 10 KB, with all that it loads, in every language.

A mistake is the heaviest of its states: it is told above the form and beside its field.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from dastak.web.page_words import LANGUAGES
from tests.support.api_client import ApiClient
from tests.support.code_visitor import RETURN_URL, made_page
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import BEHIND_PROXY, LOGIN, PASSWORD, some_number, with_number
from tests.support.oidc_site import Site
from tests.support.plain_browser import PlainBrowser, Sheet

OCTETS_MAX: Final = 10 * 1024
SERVICE: Final = "/v1/admin/tenants/default/services/default"
# As ready-made clients make them.
LONG: Final = secrets.token_urlsafe(32)
_SCRIPT: Final = re.compile(r'<script src="([^"]+)"')

Begin = Callable[[DastakProcess, ApiClient, PlainBrowser], Sheet]


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("all") / "data", environment=BEHIND_PROXY) as process:
        set_site = {"site_url": "https://shop.example"}
        assert ApiClient(process.url, process.api_key).patch(f"{SERVICE}/login", set_site).status == 200
        yield process


def of_a_site(dastak: DastakProcess, _api: ApiClient, browser: PlainBrowser) -> Sheet:
    site = Site(dastak, browser)
    page = site.ask(state=LONG, nonce=LONG)
    return browser.send(page, number=some_number(), do="begin")


def of_a_login(dastak: DastakProcess, api: ApiClient, browser: PlainBrowser) -> Sheet:
    person = with_number(dastak.url, api)
    return browser.send(browser.open(LOGIN), username=person["name"], password=PASSWORD)


def of_a_customer(_dastak: DastakProcess, api: ApiClient, browser: PlainBrowser) -> Sheet:
    _, url = made_page(api, some_number(), page={"return_url": RETURN_URL})
    return browser.open(url)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("begin", [of_a_site, of_a_login, of_a_customer])
def test_page_that_asks_for_a_code_is_small_in_every_language(
    dastak: DastakProcess, api: ApiClient, begin: Begin, language: str
) -> None:
    with PlainBrowser(dastak.url) as browser:
        browser.client.headers["accept-language"] = language
        asked = begin(dastak, api, browser)
        shown = {typed: browser.send(asked, code=typed, do="check") for typed in ("12", "000000")}
        [script] = _SCRIPT.findall(asked.text)
        script_octets = len(browser.open(script).text.encode())

    weights = {typed: len(page.text.encode()) + script_octets for typed, page in shown.items()}
    assert {page.status for page in shown.values()} == {422}
    assert all(f'<html lang="{language}"' in page.text for page in shown.values())
    assert max(weights.values()) <= OCTETS_MAX, weights
