"""A marketer builds a landing page by the keyboard, visitors prove their numbers, and leads are exported.

`DASTAK_WRITE_PICTURES=1` writes the pictures of docs/how-to/make-a-landing-page.md again.
"""

import csv
import io
import os
import random
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, ViewportSize, expect
from pyarrow import parquet

from dastak.web.landing.raster import UPLOAD_OCTETS_MAX
from dastak.web.landing.themes import COLOURS, THEMES
from tests.support.api_client import ApiClient
from tests.support.axe import axe_violations
from tests.support.browser import opened, watch
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import (
    CONSOLE,
    become_operator,
    begin_page,
    go,
    office,
    press,
    prove,
    publish,
    reach,
    some_visitor,
    write,
)
from tests.support.login_client import some_address
from tests.support.login_server import behind_proxy
from tests.unit.test_landing_rules import png

# One browser and one program for all of them: to start them takes longer than any of these.
pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP: Final[ViewportSize] = {"width": 1440, "height": 900}
PHONE: Final[ViewportSize] = {"width": 375, "height": 740}
NARROW: Final[ViewportSize] = {"width": 320, "height": 568}

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "'-alert(1)-'",
    "${alert(1)}",
    "{{7*7}}{% raw %}",
    "</title><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "<style>@import'//evil.example'</style>",
    "<base href=//evil.example>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "**<b onclick=alert(1)>**",
    "[\"onmouseover=alert(1) x](https://evil.example/\"onmouseover=alert(1))",
    "</textarea><script>alert(1)</script>",
    "]]><!--",
)  # fmt: skip
# Nothing of this is in our pages, so whatever is found came in with a text.
FOREIGN: Final = (
    "main iframe:not([sandbox]), base, style, main svg:not(.swatch), script:not([src]), [onerror], [onload], "
    "[onclick], [onmouseover], [href^=javascript], b, [src='x']"
)


dastak = behind_proxy


@pytest.fixture(scope="module")
def cookies(dastak: DastakProcess) -> list[dict[str, str]]:
    return become_operator(dastak)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser, cookies: list[dict[str, str]]) -> AsyncIterator[tuple[Page, list[str]]]:
    profile = await office(browser, cookies, viewport=DESKTOP)
    page = await profile.new_page()
    faults = await watch(page)
    yield page, faults
    await profile.close()


async def scrolls_sideways(page: Page) -> bool:
    found: bool = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return found


async def test_page_is_built_by_keyboard_and_its_visitors_become_leads(
    browser: Browser, dastak: DastakProcess, desk: tuple[Page, list[str]], tmp_path: Path
) -> None:
    page, faults = desk
    pictures = PICTURES if os.environ.get("DASTAK_WRITE_PICTURES") else tmp_path
    await page.goto(f"{dastak.url}{CONSOLE}")
    await go(page, "main a.button")
    await begin_page(page, dastak.url, "diwali", "hi")
    here = page.url.partition("?")[0]
    await write(page, "#b1-title-en", "A kilo of Diwali sweets, at your door")
    await write(page, "#b1-title-hi", "दिवाली की एक किलो मिठाई, आपके घर")
    await write(page, "#b1-lead-en", "Order before 5 November and pay nothing for delivery in Delhi.")
    await write(page, "#b1-lead-hi", "5 नवंबर से पहले ऑर्डर करें, दिल्ली में डिलीवरी मुफ़्त।")
    await reach(page, "#add")
    await page.keyboard.type("Text")
    await go(page, "[value=add]")
    await expect(page.locator("#b6 h3")).to_be_focused()
    for place in (6, 5, 4, 3):
        await go(page, f"[value='up:{place}']")
        await expect(page.locator(f"#b{place - 1} h3")).to_have_text("Text")
        await expect(page.locator(f"#b{place - 1} h3")).to_be_focused()
    await write(page, "#b2-body-en", "- **Fresh every morning**, made with ghee\n- Choose from 24 sweets")
    await write(page, "#b2-body-hi", "- **हर सुबह ताज़ा**, शुद्ध घी में\n- 24 मिठाइयों में से चुनें")
    await expect(page.locator("#saved")).to_contain_text("Ready to publish")
    live = page.frame_locator("[name=phone]")
    await expect(live.locator("h1")).to_have_text("A kilo of Diwali sweets, at your door")
    await expect(live.locator("li strong")).to_have_text("Fresh every morning")
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=pictures / "landing-editor.png")
    await reach(page, "#preview-stage")
    await page.keyboard.type("The code")
    await expect(live.locator("#code")).to_be_visible()
    await expect(page.frame_locator("[name=desktop]").locator("#way")).to_be_visible()
    await reach(page, "#preview-lang")
    await page.keyboard.press("ArrowDown")
    await expect(live.locator("html")).to_have_attribute("lang", "hi")
    await page.screenshot(path=tmp_path / "landing-editor-code.png")
    await publish(page, "First version")

    number = some_visitor()
    async with opened(
        browser, f"{dastak.url}/f/diwali?lang=hi&utm_source=poster", viewport=PHONE, device_scale_factor=2
    ) as (visitor, heard):
        assert await visitor.title() == "दिवाली की एक किलो मिठाई, आपके घर · Sundar Sweets"
        await visitor.screenshot(path=pictures / "landing-phone.png")
        await prove(visitor, dastak, number, name="=रवि")
        await expect(visitor.locator(".done h2")).to_have_text("धन्यवाद")
        assert heard == []

    await page.goto(f"{here}/leads")
    await expect(page.locator("tbody th")).to_have_text([number])
    await expect(page.locator("tbody")).to_contain_text("मैं सहमत हूँ कि Sundar Sweets")
    answer = await page.request.get(f"{here}/leads.csv")
    (row,) = csv.DictReader(io.StringIO((await answer.text()).removeprefix("\ufeff")))
    assert (row["number"], row["name"], row["language"], row["utm_source"]) == (
        f"'{number}",
        "'=रवि",
        "hi",
        "poster",
    )
    async with page.expect_download() as download:
        await press(page, "[formaction$='leads.parquet']")
    typed = parquet.read_table(await (await download.value).path()).to_pylist()
    assert [(one["number"], one["name"], one["agree"]) for one in typed] == [(number, "=रवि", True)]
    await page.goto(f"{here}/results")
    figures = await page.locator("table").first.locator("tbody td:nth-child(2)").all_inner_texts()
    assert figures == ["1"] * 6
    carriers = page.locator("section", has=page.locator("#carriers"))
    assert await carriers.locator("tbody td").all_inner_texts() == ["1", "1 (100 %)", "1 (100 %)"]
    assert faults == []


async def test_logo_as_large_as_the_form_promises_is_uploaded_and_shown(
    dastak: DastakProcess, desk: tuple[Page, list[str]], tmp_path: Path
) -> None:
    page, faults = desk
    noise = b"".join(b"\0" + random.Random(line).randbytes(3 * 310) for line in range(310))
    logo = tmp_path / "logo.png"
    logo.write_bytes(png(310, 310, lines=noise))
    assert 280_000 < logo.stat().st_size <= UPLOAD_OCTETS_MAX
    await page.goto(f"{dastak.url}{CONSOLE}")
    await go(page, "main a.button")
    await begin_page(page, dastak.url, "logo", "hi")
    await page.set_input_files("#logo", logo)
    await press(page, "[value='save:look']")
    shown = page.locator("img.thumb")

    assert await shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 310
    assert faults == []


async def test_bad_contrast_cannot_be_published_until_the_offered_colour_is_taken(
    browser: Browser, dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    page, faults = desk
    await begin_page(page, dastak.url, "pale")
    await page.locator("#look-ink").fill("#dddddd")
    await expect(page.locator("#saved")).to_contain_text("1 to mend")
    await go(page, "[value=publish]")
    await expect(page.locator(".warn")).to_contain_text("has a contrast of 1.3 to 1")
    assert await page.locator("#reason").count() == 0
    forced = await page.request.post(
        page.url,
        form={
            "form": await page.locator("[name=form]").first.get_attribute("value") or "",
            "do": "publish",
            "reason": "all the same",
        },
        headers={"origin": dastak.url},
    )
    assert forced.status == 422
    hidden = await page.request.get(f"{dastak.url}/f/pale")
    assert hidden.status == 404

    await page.go_back()
    await go(page, "[value^='offer:ink:']")
    await expect(page.locator("#saved")).to_contain_text("Ready to publish")
    await publish(page, "With the colour that can be read")

    assert (await page.request.get(f"{dastak.url}/f/pale")).status == 200
    assert faults == []


async def test_going_back_restores_the_former_page(
    dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    page, faults = desk

    async def shown() -> str:
        text = await (await page.request.get(f"{dastak.url}/f/holi?lang=en")).text()
        return re.sub(r'name="form" value="[^"]*"', "", text)

    await begin_page(page, dastak.url, "holi")
    await publish(page, "One")
    first = await shown()
    await go(page, ".tabs a")
    await write(page, "#b1-title-en", "Another headline")
    await publish(page, "Two")
    second = await shown()
    await go(page, "[value='back:1']")
    await expect(page.locator("tbody tr").first).to_contain_text("Back to version 1: One")

    assert first != second
    assert await shown() == first
    await go(page, "[value=close]")
    await expect(page.locator(".page-head .state")).to_have_text("Closed")
    assert (await page.request.get(f"{dastak.url}/f/holi")).status == 410
    assert faults == []


async def test_hostile_texts_stay_texts_wherever_they_are_shown(
    browser: Browser, dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    page, faults = desk
    await begin_page(page, dastak.url, "hostile", brand="Acme <script>alert(1)</script>")
    number = int(page.url.partition("?")[0].rpartition("/")[2])
    await go(page, "[value=try]")
    await expect(page.locator("#planned")).to_be_visible()
    fields = page.locator("#editor input[dir=auto], #editor textarea[dir=auto]")
    for n in range(await fields.count()):
        await fields.nth(n).fill(HOSTILE[n % len(HOSTILE)] * (1 if n % 2 else 2))
    await page.locator("#framed").fill("https://a.example; script-src *")
    await go(page, "[value=save]")
    await expect(page.get_by_role("alert")).to_contain_text("is no site")
    await page.locator("#framed").fill("")
    await go(page, "[value=save]")
    seen = await page.locator(FOREIGN).count()
    for path in (
        "",
        "/preview",
        "/preview?stage=code",
        "/preview?stage=done",
        "/preview?variant=b",
        "/publish",
        "/leads",
        "/results",
    ):
        await page.goto(f"{dastak.url}{CONSOLE}/{number}{path}")
        seen += await page.locator(FOREIGN).count()
    await page.goto(f"{dastak.url}{CONSOLE}/{number}")
    bodies = page.locator("#editor textarea[dir=auto]")
    for n in range(await bodies.count()):
        await bodies.nth(n).fill(" ".join(text for text in HOSTILE if "](" not in text))
    await go(page, "[value=save]")
    await publish(page, HOSTILE[0])
    seen += await page.locator(FOREIGN).count()

    hostile = "".join(f"&utm_source={text}" for text in HOSTILE[:1]).replace("<", "%3C")
    for payload in HOSTILE[:6]:
        async with opened(browser, f"{dastak.url}/f/hostile?lang={payload}{hostile}") as (visitor, heard):
            await visitor.locator("#f-name").fill(payload)
            await visitor.locator("#f-number").fill(payload)
            await visitor.locator("main form button").click()
            await expect(visitor.get_by_role("alert")).to_be_visible()
            seen += await visitor.locator(FOREIGN).count()
            number_of = some_visitor()
            await prove(visitor, dastak, number_of, name=payload)
            seen += await visitor.locator(FOREIGN).count()
            # The status of a form that was refused is told on the console of every browser.
            assert [one for one in heard if "422" not in one] == []
    await page.goto(f"{dastak.url}{CONSOLE}/{number}/leads?contains=<script>alert(1)")
    await expect(page.locator("tbody tr")).to_have_count(6)
    await page.goto(
        f"{dastak.url}{CONSOLE}/{number}/leads?contains=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"
    )
    seen += await page.locator(FOREIGN).count()

    assert seen == 0
    assert [one for one in faults if "422" not in one] == []


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (NARROW, "dark")], ids=["desktop-light", "narrow-dark"]
)
async def test_every_page_can_be_read_and_used_by_everybody(
    browser: Browser,
    dastak: DastakProcess,
    cookies: list[dict[str, str]],
    viewport: ViewportSize,
    scheme: str,
) -> None:
    profile = await office(browser, cookies, viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page = await profile.new_page()
    slug = f"seen-{viewport['width']}-{scheme}"
    found: dict[str, list[str]] = {}
    wide: list[str] = []

    async def look(name: str) -> None:
        found[name] = await axe_violations(page)
        wide.extend([name] * await scrolls_sideways(page))

    await begin_page(page, dastak.url, slug, "hi", "ur")
    here = page.url.partition("?")[0]
    await go(page, "[value=try]")
    await page.locator("#look-ink").fill("#dddddd")
    await go(page, "[value=save]")
    await look("editor with a fault")
    await page.goto(f"{here}/publish")
    await look("publish with a fault")
    await page.goto(here)
    await go(page, "[value^='offer:ink:']")
    await publish(page, "First")
    await look("publish")
    for language in ("en", "hi", "ur"):
        await page.goto(f"{dastak.url}/f/{slug}?lang={language}")
        await look(f"form {language}")
        await go(page, "main form button")
        await expect(page.get_by_role("alert")).to_be_visible()
        await look(f"form with errors {language}")
        await prove(page, dastak, some_visitor(), asked=partial(look, f"code {language}"))
        await look(f"thanks {language}")
    for name in ("leads", "results", "preview?stage=code&lang=ur"):
        await page.goto(f"{here}/{name}")
        await look(name)
    for path in ("", "/new"):
        await page.goto(f"{dastak.url}{CONSOLE}{path}")
        await look(f"console{path}")
    await profile.close()

    assert {name: faults for name, faults in found.items() if faults} == {}
    assert wide == []


async def test_page_is_small_and_asks_nobody_else(
    browser: Browser, dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    await begin_page(desk[0], dastak.url, "small", "hi")
    await publish(desk[0], "First")
    sizes: list[int] = []
    asked: list[str] = []

    async def note(request: Request) -> None:
        asked.append(request.url)

    profile = await browser.new_context()
    page = await profile.new_page()
    page.on("request", note)
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", "0"))))
    await page.goto(f"{dastak.url}/f/small?lang=hi")
    await page.wait_for_load_state("networkidle")
    await profile.close()

    assert all(url.startswith(dastak.url) for url in asked)
    assert len(asked) <= 3
    assert 0 < sum(sizes) <= 20_000


async def test_everything_works_without_script(
    browser: Browser, dastak: DastakProcess, cookies: list[dict[str, str]]
) -> None:
    profile = await office(browser, cookies, java_script_enabled=False)
    page = await profile.new_page()
    await page.goto(f"{dastak.url}{CONSOLE}/new")
    await page.fill("#brand", "Plain")
    await page.fill("#slug", "plain")
    await page.click("main form button")
    await page.select_option("#preview-stage", "code")
    await page.click("#preview-choice [formtarget=desktop]")
    await expect(page.frame_locator("[name=desktop]").locator("#code")).to_be_visible()
    await expect(page.frame_locator("[name=phone]").locator("#f-number")).to_be_visible()
    await page.fill("#b1-title-en", "No script at all")
    await page.click("[value='down:1']")
    await expect(page.locator("#b2 h3")).to_have_text("Headline")
    await page.select_option("#b1-add", "email")
    await page.click("[value='field-add:1']")
    await page.fill("#b1-f5-label-en", "Email")
    await page.click("[value='field-up:1:5']")
    await page.click("[value=publish]")
    await page.fill("#reason", "First")
    await page.click("[value=publish]")
    await page.goto(f"{dastak.url}/f/plain")
    number = some_visitor()
    await page.fill("#f-name", "Ravi")
    await page.fill("#f-number", number)
    await page.fill("#f-email", "ravi@example.in")
    await page.check("#f-agree")
    await page.click("main form button")
    await expect(page.locator("#code")).to_be_visible()

    assert await page.locator("h1").inner_text() == "No script at all"
    await profile.close()


async def test_what_is_typed_by_somebody_who_is_signed_out_meanwhile_is_told_and_not_lost(
    dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    page, faults = desk
    await begin_page(page, dastak.url, "idle")
    here = page.url.partition("?")[0]
    said, title = page.locator("#saved"), page.locator("#b1-title-en")
    await title.fill("Before")
    await expect(page.frame_locator("[name=phone]").locator("h1")).to_have_text("Before")
    session = await page.context.cookies()
    await page.context.clear_cookies()

    await title.fill("While signed out")
    await expect(said).to_contain_text("Not saved: you are signed out.")
    async with page.expect_response(lambda answer: answer.url == here) as asked:
        await page.click("[value=save]")
    refused = await asked.value
    await expect(said).to_contain_text("Not saved: you are signed out.")
    stays = page.url.partition("?")[0], await title.input_value()
    # Who signs in again has another session, for which the form is not signed.
    await page.context.add_cookies(session)  # type: ignore[arg-type]
    token = page.locator("#editor [name=form]")
    await token.evaluate("field => { field.value = 'signed for another session' }")
    await title.fill("Signed in again")
    await expect(said).to_contain_text("Saved. Ready to publish.")
    await token.evaluate("field => { field.value = 'signed for another session' }")
    await title.fill("Once more")
    async with page.expect_navigation():
        await page.click("[value=save]")

    assert refused.status == 303
    assert stays == (here, "While signed out")
    await expect(said).to_contain_text("Saved. Ready to publish.")
    await expect(title).to_have_value("Once more")
    await expect(page.frame_locator("[name=phone]").locator("h1")).to_have_text("Once more")
    assert [one for one in faults if "403" not in one] == []


async def test_theme_and_language_that_are_chosen_while_one_types_stay(
    dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    page, faults = desk
    await begin_page(page, dastak.url, "typed")
    preview = page.frame_locator("[name=phone]")
    await page.locator("[name='look.theme']:not(:checked)").last.check()
    chosen = await page.locator("[name='look.theme']:checked").get_attribute("value")
    await page.check("#lang-ta")
    for words in ("Half price", "Half price today"):
        await page.fill("#b1-title-en", words)
        await expect(preview.locator("h1")).to_have_text(words)
    async with page.expect_navigation():
        await page.click("[value=save]")
    palette = THEMES[chosen or ""].palette
    shown = {name: await page.locator(f"#look-{name}").input_value() for name in COLOURS}

    assert await page.locator("[name='look.theme']:checked").get_attribute("value") == chosen
    assert shown == {name: getattr(palette, name) for name in COLOURS}
    assert (await page.locator("#b1-lead-ta").input_value()).startswith("உங்கள் எண்ணைத்")
    assert faults == []


async def test_strangers_are_sent_to_sign_in(
    browser: Browser, dastak: DastakProcess, cookies: list[dict[str, str]]
) -> None:
    async with opened(browser, f"{dastak.url}{CONSOLE}/1") as (page, _):
        assert page.url.startswith(f"{dastak.url}/login/operators/console?next=%2Fconsole%2Fpages%2F1")
        for path in ("", "/new", "/1/preview", "/1/publish", "/1/leads", "/1/leads.csv", "/1/results"):
            answer = await page.request.get(f"{dastak.url}{CONSOLE}{path}", max_redirects=0)
            assert answer.status == 303, path


async def test_page_in_another_sites_frame_proves_a_number_without_cookies_and_says_so(
    browser: Browser, dastak: DastakProcess, desk: tuple[Page, list[str]]
) -> None:
    maker, faults = desk
    await begin_page(maker, dastak.url, "framed")
    await maker.locator("#framed").fill("https://shop.example")
    await publish(maker, "For the shop")
    shop = (
        "<!doctype html><title>Shop</title><main><p id=heard></p>"
        "<script>const home = 'a name of the shop'</script>"
        + f"<script src='{dastak.url}/f/embed.js'></script>"
        * 2
        + "<dastak-page page=framed lang=en></dastak-page></main>"
        "<script>addEventListener('proved', () => { heard.textContent = 'proved' })</script>"
    )
    # The shop is of the open net, and the program under test of this machine: browsers ask before they mix.
    profile = await browser.new_context(
        extra_http_headers={"x-forwarded-for": some_address()}, permissions=["local-network-access"]
    )
    page = await profile.new_page()
    for site in ("shop", "evil"):
        await page.route(
            f"https://{site}.example/", lambda route: route.fulfill(body=shop, content_type="text/html")
        )
    await page.goto("https://shop.example/")
    frame = page.frame_locator("iframe")
    await frame.locator("#f-name").fill("Ravi")
    number = some_visitor()
    await frame.locator("#f-number").fill(number)
    await frame.locator("#f-agree").check()
    tall = await page.locator("iframe").evaluate("frame => frame.style.height")
    await frame.locator("main form button").click()
    await frame.locator("#code").fill(ApiClient(dastak.url, dastak.api_key).next_text(number)["code"])
    await frame.locator("#code").press("Enter")
    await expect(frame.locator(".done")).to_be_visible()
    await expect(page.locator("#heard")).to_have_text("proved")
    ours = [cookie for cookie in await profile.cookies() if cookie["name"].startswith("dastak")]
    await page.goto("https://evil.example/")
    elsewhere = await page.frame_locator("iframe").locator("form").count()
    await profile.close()

    assert int(tall.removesuffix("px")) > 300
    assert ours == []
    assert elsewhere == 0
    assert faults == []
