"""The code page in a real browser: thirteen languages, phones that are off, and people who cannot see it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, ViewportSize, expect

from dastak.web.page_words import DIRECTIONS, LANGUAGES, words_of
from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened, shortcomings
from tests.support.code_visitor import made_page
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.patience import until
from tests.support.return_site import ReturnSite
from tests.support.virtual_caller import Handset

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A phone that is off, and one whose text fails so that it rings: docs/how-to/test-with-virtual-phones.md.
OFF, RINGS = "+12025550101", "+12025550116"
# The same, and nobody else's in this file, so that the call is the one that was asked for.
CALLED = "+12025550105"
# A service whose people may ask again at once.
PROMPT: Final = "prompt"
SMALL: Final[ViewportSize] = {"width": 320, "height": 640}
OCTETS_MAX, REQUESTS_MAX, TARGET_PX_MIN = 10 * 1024, 3, 44


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    # Two phones get a page in each language.
    often = {f"DASTAK__LIMITS__TEST__{limit}__COUNT": "1000" for limit in ("NUMBER", "NUMBER_EVERYWHERE")}
    with DastakProcess(tmp_path_factory.mktemp("pages") / "data", environment=often) as running:
        api = ApiClient(running.url, running.api_key)
        at_once = {"name": PROMPT, "countries": ["IN"], "policy": {"resend_waits_s": [0, 0]}}
        assert api.post("/v1/admin/tenants/default/services", at_once).status == 201
        yield running


@pytest.fixture(scope="module")
def site() -> Iterator[ReturnSite]:
    with ReturnSite() as running:
        yield running


class Person:
    """Somebody in front of the page of one verification."""

    def __init__(self, page: Page, faults: list[str], api: ApiClient, to: str, of: str, url: str) -> None:
        self.page, self.api, self.to, self.of, self.url = page, api, to, of, url
        self._faults = faults

    @property
    def faults(self) -> list[str]:
        """What went wrong; an answer of 422 or 429 is none, though the browser notes it."""
        return [one for one in self._faults if "status of 422" not in one and "status of 429" not in one]

    def code(self) -> str:
        return str(self.api.next_text(self.to)["code"])

    async def type(self, code: str) -> None:
        await self.page.fill("#code", code)
        await self.page.keyboard.press("Enter")

    async def paste(self, text: str) -> None:
        await self.page.fill("#code", "")
        await self.page.focus("#code")
        await self.page.keyboard.insert_text(text)
        await self.page.click("button[value=check]")

    async def is_back(self, site: ReturnSite) -> None:
        await self.page.wait_for_url(f"{site.url}?*")
        query = parse_qs(urlsplit(self.page.url).query)
        assert query == {"verification": [self.of], "state": ["s"]}
        assert self.api.get(f"/v1/verifications/{self.of}").body["state"] == "approved"
        assert self.faults == []


Visits = Any


@pytest.fixture
def visit(browser: Browser, dev: DastakProcess, site: ReturnSite) -> Visits:
    api = ApiClient(dev.url, dev.api_key)

    @asynccontextmanager
    async def opening(
        to: str | None = None, *, language: str = "en", page: dict[str, Any] | None = None, **asked: Any
    ) -> AsyncIterator[Person]:
        number = to or f"+91{next(FRESH)}"
        context = {"viewport": SMALL, "locale": "en-IN"} | asked.pop("context", {})
        wanted = {"return_url": site.url, "state": "s", "language": language, **(page or {})}
        of, url = made_page(api, number, page=wanted, locale=language, **asked)
        async with opened(browser, url, **context) as (tab, faults):
            yield Person(tab, faults, api, number, of, url)

    return opening


async def test_typed_code_leads_back_to_the_site(visit: Visits, site: ReturnSite) -> None:
    async with visit() as person:
        await person.type(person.code())

        await person.is_back(site)


async def test_code_leads_back_without_javascript(visit: Visits, site: ReturnSite) -> None:
    async with visit(context={"java_script_enabled": False}) as person:
        await person.type("12")
        await expect(person.page.locator("#errors")).to_contain_text("The code has 6 digits. You typed 2.")
        await expect(person.page.locator("#errors")).to_be_focused()
        await expect(person.page.locator("button[value=resend]")).to_be_enabled()
        await person.page.click("button[value=resend]")
        await expect(person.page.locator("#errors")).to_contain_text(re.compile("Wait [0-9]+ s"))
        await expect(person.page.locator("#code")).to_have_value("12")

        await person.type(person.code())

        await person.is_back(site)


@pytest.mark.parametrize(
    "written",
    [
        "{code} is your Dastak code.\n\n@bank.example #{code}",
        "Rs 500000 to Ravi. OTP {code}\n@bank.example #{code}",
        "Your code is {code}",
        "{devanagari}",
        "{code:.3} {rest}",
    ],
)
async def test_whole_text_and_any_digits_are_pasted(visit: Visits, site: ReturnSite, written: str) -> None:
    async with visit() as person:
        code = person.code()
        devanagari = "".join(chr(0x0966 + int(digit)) for digit in code)

        await person.paste(written.format(code=code, devanagari=devanagari, rest=code[3:]))

        await person.is_back(site)


async def test_two_codes_in_one_text_are_asked_about_and_cost_nothing(visit: Visits) -> None:
    async with visit() as person:
        await person.paste(f"Rs 500000 to Ravi. OTP {person.code()}")

        await expect(person.page.locator("#wrong")).to_have_text("Type only the 6 digits from the message.")
        assert person.api.get(f"/v1/verifications/{person.of}").body["attempts_remaining"] == 5


async def test_wrong_code_is_told_to_eyes_and_ears(visit: Visits) -> None:
    async with visit() as person:
        await person.type(f"{(int(person.code()) + 1) % 1_000_000:06}")
        page = person.page

        await expect(page.locator("#errors")).to_be_focused()
        await expect(page).to_have_title("Error: Enter your code")
        field = page.locator("#code")
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_have_accessible_description(re.compile("Tries left: 4"))
        await page.click("#errors a")
        await expect(field).to_be_focused()
        assert person.faults == []


async def test_older_and_used_codes_are_told_apart(visit: Visits, site: ReturnSite) -> None:
    async with visit("+919499999901") as first:
        older = first.code()
        async with visit("+919499999901") as person:
            newer = person.code()
            if older != newer:
                await person.type(older)
                await expect(person.page.locator("#errors")).to_contain_text("Use the newest one.")
            await person.type(newer)
            await person.is_back(site)
            await person.page.goto(person.url)
            await expect(person.page.locator("main")).to_contain_text("That code was already used.")


async def test_too_many_wrong_codes_end_the_page_with_a_way_back(visit: Visits, site: ReturnSite) -> None:
    async with visit() as person:
        bad = f"{(int(person.code()) + 1) % 1_000_000:06}"
        for left in (4, 3, 2, 1):
            await person.type(bad)
            await expect(person.page.locator("#errors")).to_contain_text(f"Tries left: {left}.")
        await person.type(bad)

        await expect(person.page.locator("#errors")).to_contain_text("Too many tries.")
        await expect(person.page.locator("#code")).to_have_count(0)
        await person.page.click("a.button")
        await person.page.wait_for_url(f"{site.url}?*")


async def test_phone_that_is_off_is_told_without_reload_when_its_message_comes(
    visit: Visits,
) -> None:
    async with visit(OFF) as person:
        page = person.page
        await page.evaluate("window.stays = true")

        await expect(page.locator("#way")).to_have_text(
            "Your phone seems to be switched off or out of reach. "
            "The message comes when it is on again. If it does not, send the code again."
        )
        assert await page.evaluate("window.stays")
        # Who asks is not called at once, as after a text that a call could make good.
        await expect(page.locator("button[value=call]")).to_be_disabled()
        await expect(page.locator("a.link")).to_be_visible()
        assert person.faults == []


async def test_change_of_the_line_is_shown_while_the_page_stays_open(visit: Visits) -> None:
    # This number's text takes eight seconds to its phone.
    async with visit("+12025550106") as person:
        page, line = person.page, person.page.locator("#way")
        await page.evaluate("window.stays = true")

        await expect(line).to_have_text("Sent. It usually takes about 5 s.")
        await expect(line).to_have_attribute("role", "status")
        await expect(line).to_have_text("The message is on your phone.", timeout=20_000)
        assert await page.evaluate("window.stays")
        assert person.faults == []


async def test_code_that_the_call_speaks_is_taken(visit: Visits, site: ReturnSite) -> None:
    async with visit(CALLED) as person:
        phone = Handset(person.api, CALLED)
        assert phone.rings()
        await expect(person.page.locator("#way")).to_have_text("Your phone is ringing.")
        phone.answer()
        phone.press(phone.gate())
        until(lambda: len(phone.code()) >= 6, within_s=30)

        await person.type(phone.code()[:6])

        await person.is_back(site)


async def test_buttons_wait_for_the_server_and_say_so_once(visit: Visits) -> None:
    async with visit() as person:
        page = person.page
        await page.clock.install()
        await page.reload()
        button, waiting = page.locator("button[value=resend]"), page.locator("#wait")
        await expect(button).to_be_disabled()
        said = await waiting.text_content()
        await page.clock.fast_forward(5_000)
        assert await waiting.text_content() == said
        await page.clock.fast_forward(30_000)

        await expect(button).to_be_enabled()
        await expect(waiting).to_have_text("You can ask again now.")


_PRESS = "document.querySelector('button[value=check]').click()"
_SHOWN = "kept => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: kept }))"


async def _press(person: Person, sent: asyncio.Queue[Route]) -> None:
    """Press the button, and have the browser stop what it sends: the page stays as it is."""
    await person.page.evaluate(_PRESS)
    await asyncio.wait_for(sent.get(), 20)


@asynccontextmanager
async def _stopping(person: Person) -> AsyncIterator[asyncio.Queue[Route]]:
    """Have the browser stop whatever it sends for the right code meanwhile."""
    page, code = person.page, person.code()
    await page.clock.install()
    await page.reload()
    sent: asyncio.Queue[Route] = asyncio.Queue()

    async def stop(route: Route) -> None:
        await route.abort("aborted")
        await sent.put(route)

    await page.route(page.url, stop)
    await page.fill("#code", code)
    yield sent
    await page.unroute(page.url)
    assert sent.empty(), "a press was too early"


async def test_form_that_the_browser_was_told_to_stop_can_be_sent_again(
    visit: Visits, site: ReturnSite
) -> None:
    async with visit() as person:
        async with _stopping(person) as sent:
            await _press(person, sent)
            await person.page.evaluate(_PRESS)
            # Over a slow line the first answer can still be under way.
            await person.page.clock.fast_forward(25_000)
            await person.page.evaluate(_PRESS)
            await person.page.clock.fast_forward(6_000)

        async with person.page.expect_request("**/state?*"):
            await person.page.clock.fast_forward(4_000)
        await person.page.evaluate(_PRESS)

        await person.is_back(site)


async def test_form_of_a_page_that_the_browser_kept_is_sent_again_once(
    visit: Visits, site: ReturnSite
) -> None:
    async with visit() as person:
        async with _stopping(person) as sent:
            await _press(person, sent)
            await person.page.evaluate(_SHOWN, False)
            await person.page.evaluate(_PRESS)
            await person.page.clock.fast_forward(20_000)
            await person.page.evaluate(_SHOWN, True)
            await _press(person, sent)
            # The wait of the press before it is over by now, and not its own.
            await person.page.clock.fast_forward(15_000)
            await person.page.evaluate(_PRESS)
            await person.page.clock.fast_forward(16_000)

        await person.page.evaluate(_PRESS)

        await person.is_back(site)


async def test_resend_brings_the_same_code_once_more(visit: Visits, site: ReturnSite) -> None:
    async with visit(service=PROMPT) as person:
        first = person.code()
        await person.page.click("button[value=resend]")
        await expect(person.page.locator("#errors")).to_have_text(words_of("en").say("code_again"))
        again = person.api.next_text(person.to)
        assert again["code"] == first
        assert person.api.get(f"/v1/verifications/{person.of}").body["sends"] == 2

        await person.type(first)

        await person.is_back(site)


_WEB_OTP = """
Object.defineProperty(window, "OTPCredential", {value: function () {}});
Object.defineProperty(navigator, "credentials", {value: {get: ({otp, signal}) => new Promise((resolve) => {
  window.asked = {otp, signal};
  addEventListener("message", (event) => resolve({code: event.data}));
})}});
"""


async def test_code_that_the_browser_offers_is_sent_by_itself(
    visit: Visits, browser: Browser, site: ReturnSite
) -> None:
    async with visit() as person:
        await person.page.add_init_script(_WEB_OTP)
        await person.page.reload()
        assert await person.page.evaluate("window.asked.otp.transport[0]") == "sms"

        await person.page.evaluate("code => postMessage(code)", person.code())

        await person.is_back(site)


async def test_typing_never_sends_and_stops_the_browsers_own_search(visit: Visits) -> None:
    async with visit() as person:
        await person.page.add_init_script(_WEB_OTP)
        await person.page.reload()
        await person.page.fill("#code", person.code())
        await person.page.evaluate("postMessage('999999')")
        await expect(person.page.locator("#code")).to_have_value(re.compile("^[0-9]{6}$"))
        assert person.api.get(f"/v1/verifications/{person.of}").body["state"] == "pending"

        aborted = await person.page.evaluate(
            """() => new Promise((tell) => {
              document.querySelector("form").addEventListener("submit", (event) => {
                event.preventDefault();
                tell(window.asked.signal.aborted);
              });
              document.querySelector("button[value=check]").click();
            })"""
        )
        assert aborted is True


async def test_another_browser_finds_nothing(visit: Visits, browser: Browser) -> None:
    async with visit() as person, opened(browser, person.url, viewport=SMALL) as (stranger, _):
        await expect(stranger.locator("h1")).to_have_text("That did not work")
        await expect(stranger.locator("form")).to_have_count(0)


async def test_number_is_typed_into_the_phone_and_the_page_goes_on_by_itself(
    visit: Visits, site: ReturnSite
) -> None:
    to = f"+91{next(FRESH)}"
    async with visit(to, channel="voice", match=True) as person:
        number = await person.page.locator(".number").text_content()
        assert number == person.api.get(f"/v1/verifications/{person.of}").body["match_number"]
        await person.page.click("button[value=check]")
        await expect(person.page.locator("#errors")).to_contain_text("We have not heard the right number")
        phone = Handset(person.api, to)
        assert phone.rings()
        phone.answer()
        until(lambda: phone.hears("match"), within_s=20)

        for key in number:
            phone.press(key)

        await person.is_back(site)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_first_view_is_small_and_asks_nobody_else(
    visit: Visits, dev: DastakProcess, language: str
) -> None:
    async with visit(language=language) as person:
        line = await person.page.context.new_cdp_session(person.page)
        asked: list[str] = []
        octets: list[float] = []
        line.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
        line.on("Network.loadingFinished", lambda event: octets.append(event["encodedDataLength"]))
        await line.send("Network.enable")
        await line.send("Network.setCacheDisabled", {"cacheDisabled": True})
        await person.page.reload(wait_until="networkidle")

        first_view = [url for url in asked if "/state" not in url and not url.startswith("data:")]
        assert len(first_view) <= REQUESTS_MAX
        assert {urlsplit(url).netloc for url in first_view} == {urlsplit(dev.url).netloc}
        assert sum(octets[: len(first_view)]) <= OCTETS_MAX
        assert person.faults == []


async def _until_settled(person: Person, state: str) -> None:
    if state == "error":
        await person.type("12")
        await person.page.locator("#errors").wait_for()
    wanted = {"off": "off", "calling": "calling"}.get(state)
    if wanted is not None:
        # Looked for in the timeline first, as the page itself asks only every two seconds.
        until(lambda: any(one["type"] == "undelivered" for one in person.api.timeline(person.of)))
        await person.page.reload()
        await person.page.locator(f"#way[data-way={wanted}]").wait_for()


@pytest.mark.parametrize(
    ("language", "state"),
    [
        *((language, state) for language in LANGUAGES for state in ("normal", "error")),
        # What is said of the way changes one line: one script each way, and one with long words.
        *((language, state) for language in ("en", "ml", "ur") for state in ("off", "calling")),
    ],
)
async def test_every_language_reads_well_on_a_small_screen(
    visit: Visits, language: str, state: str, tmp_path: Path
) -> None:
    to = {"off": OFF, "calling": RINGS}.get(state)
    async with visit(to, language=language, context={"bypass_csp": True}) as person:
        page = person.page
        await _until_settled(person, state)
        await page.screenshot(path=tmp_path / f"{language}-{state}.png", full_page=True)

        assert await page.locator("h1").text_content() == words_of(language).say("code_title")
        assert await page.get_attribute("html", "dir") == DIRECTIONS.get(language, "ltr")
        assert await page.get_attribute("#code", "dir") == "ltr"
        assert await axe_violations(page) == []
        assert await shortcomings(page, target_px_min=TARGET_PX_MIN) == []


@pytest.mark.parametrize(
    "context", [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"reduced_motion": "reduce"}]
)
async def test_page_reads_well_in_every_colour_scheme(visit: Visits, context: dict[str, str]) -> None:
    async with visit(context={"bypass_csp": True, **context}) as person:
        await person.type("12")
        await person.page.locator("#errors").wait_for()

        assert await axe_violations(person.page) == []


async def test_all_is_reached_by_the_keyboard_in_the_order_it_is_read(visit: Visits) -> None:
    async with visit(context={"java_script_enabled": False}) as person:
        page = person.page
        reached = []
        for _ in range(5):
            await page.keyboard.press("Tab")
            reached.append(
                await page.locator(":focus").evaluate("each => each.value || each.id || each.className")
            )

        assert reached == ["code", "check", "resend", "call", "link"]


async def test_screen_reader_hears_this(visit: Visits) -> None:
    async with visit() as person:
        await expect(person.page.locator("#way")).to_have_text("The message is on your phone.")
        await person.page.evaluate("document.querySelector('#wait').textContent = 'WAIT'")

        heard = await person.page.locator("main").aria_snapshot()

        assert [line.strip(" -") for line in heard.splitlines()[:13]] == [
            "main:",
            'heading "Enter your code" [level=1]',
            "paragraph: Dastak asks for this code. Never tell it to anybody.",
            "text: Security code",
            "paragraph: Type the 6 digits from the message. They are good for 5 min.",
            'textbox "Security code"',
            "paragraph:",
            'button "Continue"',
            "status: The message is on your phone.",
            "paragraph:",
            'button "Send the code again" [disabled]',
            'button "Call me instead" [disabled]',
            "status: WAIT",
        ]
