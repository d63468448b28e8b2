"""Log in at another site with the phone alone, by typing the number of the page into the phone."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import Site, answer_of
from tests.support.page_inspector import FINGER_PX_MIN, Inspector
from tests.support.patience import until
from tests.support.plain_browser import PlainBrowser, Sheet
from tests.support.return_site import ReturnSite
from tests.support.virtual_caller import Handset

pytestmark = pytest.mark.asyncio(loop_scope="module")

dastak = behind_proxy
BY_CALL: Final = 'value="begin_call"'
OCTETS_MAX: Final = 10 * 1024
_ROOT: Final = "/v1/admin/tenants/default/services"


@pytest.fixture(scope="module")
def services(dastak: DastakProcess) -> None:
    """Make services that send texts first, call first, and speak codes in their calls."""
    api = ApiClient(dastak.url, dastak.api_key)
    for name, channels, match in (
        ("text-first", ["sms", "voice"], True),
        ("call-first", ["voice", "sms"], True),
        ("speaking", ["sms", "voice"], False),
    ):
        policy = {"channels": channels, "match": match}
        made = api.post(_ROOT, {"name": name, "countries": ["IN"], "policy": policy})
        assert made.status == 201, made


@pytest.fixture
def site_of(dastak: DastakProcess, services: None) -> Iterator[Callable[..., Site]]:
    """Have somebody come from a site whose people log in at one of the services."""
    with PlainBrowser(dastak.url) as browser:
        yield lambda service, **fields: Site(dastak, browser, service=service, **fields)


def number_on(page: str) -> str:
    found = re.search(r'<p class="number"><bdi>([0-9]{3})</bdi></p>', page)
    assert found is not None, page
    return found[1]


def taken(api: ApiClient, number: str) -> Handset:
    """Answer the call, and listen until it asks for the number."""
    phone = Handset(api, number)
    assert phone.rings()
    phone.answer()
    until(lambda: phone.hears("match"), within_s=20)
    return phone


def verification_to(api: ApiClient, number: str) -> dict[str, Any]:
    """Return the one verification of a number."""
    (found,) = api.get(f"/v1/verifications?to=%2B{number[1:]}").body["verifications"]
    return dict(found)


def claims_of(site: Site, answered: Sheet) -> dict[str, Any]:
    given = site.exchange(answer_of(answered)["code"]).json()
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(given["id_token"].split(".")[1] + "=="))
    return claims


@pytest.mark.parametrize(("service", "begins"), [("text-first", "begin_call"), ("call-first", "begin")])
async def test_number_of_the_page_that_is_typed_into_the_phone_logs_in(
    api: ApiClient, site_of: Callable[..., Site], service: str, begins: str
) -> None:
    site = site_of(service)
    browser = site.browser
    asked = site.ask()
    page = browser.send(asked, number=site.number, do=begins)
    phone = taken(api, site.number)
    early = browser.send(page, do="check")
    for key in number_on(page.text):
        phone.press(key)

    def answered() -> Sheet | None:
        there = browser.send(page, do="check")
        return there if there.status == 0 else None

    claims = claims_of(site, until(answered, within_s=20))

    assert (BY_CALL in asked.text, "We call this number." in asked.text) == (
        service == "text-first",
        service == "call-first",
    )
    assert 'id="code"' not in page.text, "nothing is typed into the page"
    assert early.status == 422
    assert claims["amr"] == ["otp", "tel"]
    assert claims["acr"] == "urn:dastak:acr:phone"
    assert api.get(f"/sim/phones/{site.number}/messages").body == []


async def test_another_number_typed_into_the_phone_logs_nobody_in(
    api: ApiClient, site_of: Callable[..., Site]
) -> None:
    site = site_of("text-first")
    page = site.browser.send(site.ask(), number=site.number, do="begin_call")
    number = number_on(page.text)
    phone = taken(api, site.number)
    for key in f"{(int(number) + 1 - 100) % 800 + 100}":
        phone.press(key)
    until(lambda: verification_to(api, site.number)["attempts_remaining"] == 2, within_s=20)

    refused = site.browser.send(page, do="check")

    assert refused.status == 422
    assert "We have not heard the right number" in refused.text


async def test_call_is_offered_by_no_service_whose_calls_speak_codes(
    api: ApiClient, site_of: Callable[..., Site]
) -> None:
    site = site_of("speaking")
    asked = site.ask()
    page = site.browser.send(asked, number=site.number, do="begin_call")

    assert BY_CALL not in asked.text
    assert 'id="code"' in page.text, "whoever asks all the same is sent a text"
    assert api.next_text(site.number)["code"]


async def test_open_page_goes_on_to_the_site_when_the_number_was_typed(
    browser: Browser, dastak: DastakProcess, api: ApiClient, site_of: Callable[..., Site]
) -> None:
    with ReturnSite() as back:
        site = site_of("text-first", redirect_uris=[back.url], sector="shop.example")
        profile = await browser.new_context(locale="en-IN", viewport={"width": 320, "height": 640})
        page = await profile.new_page()
        inspector = Inspector(page, dastak.url, target_px_min=FINGER_PX_MIN, elsewhere=(back.url,))
        await inspector.begin()
        # What a site sends comes back as it is, whatever a script may read in it.
        query = site.query(redirect_uri=back.url, state="st$").replace("%24", "$")
        assert "$&" in query
        await page.goto(f"{dastak.url}/authorize?{query}")
        found = await inspector.faults("en", OCTETS_MAX)
        await page.fill("#number", site.number)
        await page.click("button[value=begin_call]")
        await expect(page).to_have_title("Type this number into your phone")
        found += await inspector.faults("en", OCTETS_MAX)
        number = await page.locator(".number").inner_text()
        phone = taken(api, site.number)

        for key in number:
            phone.press(key)

        await page.wait_for_url(f"{back.url}?*code=*")
        await profile.close()
        assert found == []
