"""The call that follows a text that does not arrive, through the real program to a phone that listens."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, ViewportSize, expect

from dastak.voice.prompts import pack
from dastak.voice.sound.g711 import pcm_to_ulaw
from dastak.voice.speech import brand_file
from tests.support.api_client import ApiClient
from tests.support.browser import chromium, opened, shortcomings
from tests.support.dastak_process import DastakProcess
from tests.support.needed import program
from tests.support.patience import until
from tests.support.virtual_caller import CODES, Handset, digits_in, gate_in

# Numbers whose texts do not arrive; the phone rings, is busy, declines, is a voicemail that plays keys.
RINGS, BUSY, DECLINES, VOICEMAIL = (f"+120255501{xx}" for xx in ("05", "10", "11", "12"))
ARRIVES = "+919876543210"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 880}
POCKET: Final[ViewportSize] = {"width": 390, "height": 844}
SMALL: Final[ViewportSize] = {"width": 320, "height": 568}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    # One phone is called again and again.
    often = {
        f"DASTAK__LIMITS__TEST__{limit}__COUNT": "1000"
        for limit in ("NUMBER", "NUMBER_DAILY", "NUMBER_EVERYWHERE")
    }
    with DastakProcess(tmp_path_factory.mktemp("calls") / "data", environment=often) as running:
        yield running


@pytest.fixture
def api(dev: DastakProcess) -> ApiClient:
    return ApiClient(dev.url, dev.api_key)


def started(api: ApiClient, to: str, **fields: Any) -> str:
    answer = api.start(to, **fields)
    assert answer.status == 201, answer
    return str(answer.body["id"])


def event(api: ApiClient, of: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until an event of a timeline holds."""
    return until(lambda: next(filter(holds, api.timeline(of)), None), within_s=30)


def step(api: ApiClient, of: str, name: str) -> dict[str, Any]:
    return event(api, of, lambda told: told["type"] == "call" and told["step"] == name)


def lost(api: ApiClient, of: str) -> str:
    """Return the outcome of the call."""
    return str(event(api, of, lambda told: told["type"] == "undelivered" and told["ordinal"] == 1)["outcome"])


@pytest.mark.parametrize("locale", ["en", "hi"])
def test_phone_rings_at_once_speaks_the_code_after_the_digit_and_the_code_is_right(
    api: ApiClient, locale: str
) -> None:
    of = started(api, RINGS, locale=locale)
    phone = Handset(api, RINGS, language=locale)
    assert phone.rings()
    phone.answer()
    phone.press(phone.gate())
    step(api, of, "spoken")
    phone.hang_up()
    code = phone.code()
    delivered = event(api, of, lambda told: told["type"] == "delivered")

    assert api.check(of, code[:6]).body["approved"] is True
    assert delivered["evidence"] == "call:BYE"
    told = api.timeline(of)
    assert [one["type"] for one in told][:6] == [
        "started", "queued", "submitted", "undelivered", "fallback", "queued",
    ]  # fmt: skip
    steps = [one["step"] for one in told if one["type"] == "call"]
    assert steps == ["dialled", "ringing", "answered", "right_key", "spoken", "hung_up"]
    assert code[:6] not in str(told)


@pytest.mark.parametrize(("to", "outcome"), [(BUSY, "busy"), (DECLINES, "declined")])
def test_phone_that_does_not_take_the_call_says_why(api: ApiClient, to: str, outcome: str) -> None:
    of = started(api, to)

    assert lost(api, of) == outcome


def test_voicemail_that_plays_all_keys_records_no_digit_of_the_code(api: ApiClient) -> None:
    of = started(api, VOICEMAIL)
    phone = Handset(api, VOICEMAIL)
    assert phone.rings()

    assert lost(api, of) == "no_human"
    assert phone.hears("gate_" + phone.gate())
    assert phone.code() == ""


def test_wrong_key_and_hanging_up_early_tell_nothing(api: ApiClient) -> None:
    outcomes = []
    for act in (lambda phone: phone.press(str((int(phone.gate()) + 1) % 10)), lambda phone: phone.hang_up()):
        of = started(api, RINGS)
        phone = Handset(api, RINGS)
        assert phone.rings()
        phone.answer()
        act(phone)
        outcomes.append(lost(api, of))
        assert phone.code() == ""

    assert outcomes == ["wrong_key", "hung_up"]


def test_who_did_not_ask_ends_the_verification_by_a_key(api: ApiClient) -> None:
    of = started(api, RINGS)
    phone = Handset(api, RINGS)
    assert phone.rings()
    phone.answer()
    phone.press(phone.gate())
    step(api, of, "spoken")
    phone.press("9")

    canceled = event(api, of, lambda told: told["type"] == "canceled")
    assert canceled["cause"] == "reported"
    assert api.timeline(of)[-2]["type"] == "reported"
    newest = api.get("/v1/reports").body["reports"][0]
    assert (newest["verification"], newest["msisdn"]) == (of, RINGS)
    assert api.check(of, phone.code()[:6]).status == 409


def test_brand_of_the_service_is_said_before_the_greeting(dev: DastakProcess, api: ApiClient) -> None:
    program("espeak-ng")
    brands = dev.data_dir / "brands"
    file = until(lambda: next(brands.glob("*.ul"), None), within_s=20)
    started(api, RINGS)
    phone = Handset(api, RINGS)
    assert phone.rings()
    phone.answer()
    phone.gate()
    heard = phone.heard()
    phone.hang_up()

    assert file == brand_file(brands, "Dastak")
    assert -1 < heard.find(file.read_bytes()) < heard.find(pack("en").clip("greeting"))


def matching(api: ApiClient, locale: str = "en") -> tuple[str, str, Handset]:
    """Start a verification whose number is to be typed, and answer the phone once it was asked for."""
    answer = api.start(RINGS, match=True, locale=locale)
    assert answer.status == 201, answer
    phone = Handset(api, RINGS, language=locale)
    assert phone.rings()
    phone.answer()
    until(lambda: phone.hears("match"), within_s=20)
    return answer.body["id"], answer.body["match_number"], phone


@pytest.mark.parametrize("locale", ["en", "ta"])
def test_number_of_the_page_that_is_typed_into_the_phone_approves_and_no_digit_is_spoken(
    dev: DastakProcess, api: ApiClient, locale: str
) -> None:
    of, number, phone = matching(api, locale)
    looked_at = api.get(f"/v1/verifications/{of}").body
    listed = api.get("/v1/verifications?limit=1").body["verifications"][0]
    refused = api.check(of, number)
    for key in number:
        phone.press(key)
    event(api, of, lambda told: told["type"] == "approved")
    event(api, of, lambda told: told["type"] == "delivered")

    assert (looked_at["match_number"], looked_at["state"]) == (number, "pending")
    assert listed["match_number"] is None
    assert (refused.status, refused.body["code"]) == (409, "nothing_to_check")
    assert looked_at["warnings"] == ["short_match_number"]
    over = api.get(f"/v1/verifications/{of}").body
    assert (over["state"], over["match_number"]) == ("approved", None)
    told = api.timeline(of)
    assert [one["step"] for one in told if one["type"] == "call"] == [
        "dialled", "ringing", "answered", "typed", "hung_up",
    ]  # fmt: skip
    assert [one["type"] for one in told if one["type"] != "call"] == [
        "started", "queued", "match_asked", "submitted", "approved", "delivered",
    ]  # fmt: skip
    assert phone.code() == ""
    assert phone.hears("goodbye")
    said = [value for one in told for name, value in one.items() if name not in ("at", "carrier_ref")]
    assert number not in said


def test_wrong_number_costs_an_attempt_and_ends_the_call(api: ApiClient) -> None:
    of, number, phone = matching(api)
    for key in "111" if number != "111" else "222":
        phone.press(key)
    missed = event(api, of, lambda told: told["type"] == "missed")
    event(api, of, lambda told: told["type"] == "delivered")

    assert (missed["reason"], missed["attempts_remaining"]) == ("wrong_number", 2)
    assert api.get(f"/v1/verifications/{of}").body["state"] == "pending"


def test_who_did_not_ask_for_the_number_ends_the_verification_by_a_key(api: ApiClient) -> None:
    of, _, phone = matching(api)
    phone.press("9")

    canceled = event(api, of, lambda told: told["type"] == "canceled")
    assert canceled["cause"] == "reported"
    assert phone.hears("unasked") or phone.hears("reported")


def test_repeat_of_a_start_rings_no_second_time_and_its_number_is_looked_up(api: ApiClient) -> None:
    body = {"to": RINGS, "match": True}
    first, again = (api.post("/v1/verifications", body, idempotency_key="page-1") for _ in range(2))
    assert (first.status, again.status) == (201, 201), (first, again)
    phone = Handset(api, RINGS)
    assert phone.rings()
    phone.hang_up()

    assert again.headers["idempotency-replayed"] == "true"
    assert (first.body["id"], again.body["match_number"]) == (again.body["id"], None)
    looked_at = api.get(f"/v1/verifications/{first.body['id']}").body
    assert looked_at["match_number"] == first.body["match_number"] is not None


def test_person_may_ask_for_a_call_and_typing_the_code_of_the_text_ends_the_ringing(
    dev: DastakProcess, api: ApiClient
) -> None:
    of = started(api, ARRIVES)
    code = api.next_text(ARRIVES)["code"]
    until(lambda: api.post(f"/v1/verifications/{of}/resend", {"channel": "voice"}).status == 200, within_s=60)
    phone = Handset(api, ARRIVES)
    assert phone.rings()

    assert api.check(of, code).body["approved"] is True
    until(lambda: phone.state == "ended")


# Keeps what the page's own sound device has played to its end, sample by sample.
LISTENS: Final = """
window.played = [];
window.more = null;
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
  const samples = Array.from(this.buffer.getChannelData(0), (sample) => Math.round(sample * 32768));
  this.addEventListener("ended", () => {
    if (this.context.state !== "running") return;
    window.played.push(...samples);
    window.more?.();
  });
  return start.apply(this, when);
};
"""
# Waits until half a second more was played than was seen before, and returns what is new.
PLAYED: Final = """
async (before) => {
  while (window.played.length < before + 4000) await new Promise((more) => { window.more = more; });
  return window.played.slice(before);
}
"""


async def played(page: Page, holds: Callable[[bytes], Any]) -> Any:
    """Wait until what the page has played to somebody's ears holds something, and return that."""
    samples: list[int] = []
    async with asyncio.timeout(40):
        while True:
            samples += await page.evaluate(PLAYED, len(samples))
            if found := holds(pcm_to_ulaw(struct.pack(f"<{len(samples)}h", *samples))):
                return found


async def test_call_is_answered_by_a_click_and_the_code_that_the_page_plays_is_right(
    dev: DastakProcess, api: ApiClient
) -> None:
    async with chromium() as browser, opened(browser, "about:blank", viewport=DESKTOP) as (page, faults):
        await page.add_init_script(LISTENS)
        await page.goto(f"{dev.phones_url}/{RINGS}")
        await expect(page.locator("#line")).to_have_attribute("data-state", "live")
        of = started(api, RINGS)
        await page.get_by_role("button", name="Answer").click()
        gate, before = await played(page, lambda heard: (key := gate_in(heard)) and (key, digits_in(heard)))
        await page.get_by_role("button", name=gate, exact=True).click()
        code = await played(page, lambda heard: CODES.fullmatch(digits_in(heard)))
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("Call ended", exact=True)).to_be_visible()

    assert before == ""
    assert api.check(of, code[1]).body["approved"] is True
    told = api.timeline(of)
    # The carrier's word for the call may come before or after the phone rings.
    found = [
        one.get("step", one["type"]) for one in told if (one["type"], one.get("ordinal")) != ("submitted", 1)
    ]
    assert found == [
        "started", "queued", "submitted", "undelivered", "fallback", "queued", "dialled",
        "ringing", "answered", "right_key", "spoken", "spoken", "hung_up", "delivered", "approved",
    ]  # fmt: skip
    times = [datetime.fromisoformat(one["at"]) for one in told]
    assert times == sorted(times)
    assert times[0] < times[-1]
    assert faults == []


# The buttons of a call that the edge of the phone or of the window cuts off.
CUT: Final = """
() => {
  const end = Math.min(document.querySelector(".screen").getBoundingClientRect().bottom, window.innerHeight);
  const buttons = [...document.querySelectorAll(".call button")];
  return buttons.filter((one) => one.getBoundingClientRect().bottom > end).map((one) => one.textContent);
}
"""


@pytest.mark.parametrize("viewport", [DESKTOP, POCKET, SMALL])
async def test_call_on_the_page_shows_all_its_keys(
    dev: DastakProcess, api: ApiClient, viewport: ViewportSize
) -> None:
    phone = f"{dev.phones_url}/{RINGS}"
    async with chromium() as browser, opened(browser, phone, viewport=viewport) as (page, faults):
        await expect(page.locator("#line")).to_have_attribute("data-state", "live")
        started(api, RINGS)
        await expect(page.get_by_role("button", name="Answer")).to_be_focused()
        cut_while_ringing = await page.evaluate(CUT)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("group", name="Keypad")).to_be_visible()
        cut_while_speaking = await page.evaluate(CUT)
        assert await shortcomings(page) == []
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("Call ended", exact=True)).to_be_visible()

    assert (cut_while_ringing, cut_while_speaking) == ([], [])
    assert faults == []


async def test_page_rings_takes_the_digit_and_is_usable_without_a_mouse(
    dev: DastakProcess, api: ApiClient, tmp_path: Path
) -> None:
    async with (
        chromium() as browser,
        opened(browser, f"{dev.phones_url}/{RINGS}", viewport=DESKTOP) as (
            page,
            faults,
        ),
    ):
        await expect(page.locator("#line")).to_have_attribute("data-state", "live")
        of = started(api, RINGS)
        await expect(page.get_by_role("button", name="Answer")).to_be_focused()
        await page.screenshot(path=tmp_path / "ringing.png")
        assert await shortcomings(page) == []
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("group", name="Keypad")).to_be_visible()
        phone = Handset(api, RINGS)
        phone.call = api.get(f"/sim/phones/{RINGS}/calls").body[-1]
        await page.keyboard.press(phone.gate())
        await expect(page.locator(".pressed")).not_to_be_empty()
        await page.screenshot(path=tmp_path / "speaking.png")
        assert await shortcomings(page) == []
        step(api, of, "spoken")
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("Call ended", exact=True)).to_be_visible()

    assert api.check(of, phone.code()[:6]).body["approved"] is True
    assert faults == []
