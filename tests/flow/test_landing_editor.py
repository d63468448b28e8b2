"""The editor of landing pages over HTTP: whose pages they are, what a form may do, and what is never lost."""

import re
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from dastak.api.lead_endpoints import ExchangeBody, LeadView, exchange_lead
from dastak.core.errors import InvalidRequest, NotFound
from dastak.core.landing import (
    IMAGE_UNSAVED_KEPT,
    IMAGES_PER_PAGE_MAX,
    LandingPage,
    PageImage,
    PageState,
    PageVersion,
)
from dastak.core.tenant import Mode
from dastak.store import landing_tables
from dastak.tenancy.console_service import ensure_console
from dastak.web.browser_session import form_token
from dastak.web.landing import page_editor, page_results
from dastak.web.landing.console_room import FORM, HOME, Author, ConsoleRoom
from dastak.web.landing.design import Fields, Hero, Look, decode, encode, fields_of, find_block
from dastak.web.landing.starter import begin
from dastak.web.landing.themes import COLOURS, THEMES
from dastak.web.upload_form import PARTS_MAX, read_parts
from tests.support.house import House
from tests.support.landing_visitors import Landing, Visitor, field, leading_to, open_landing
from tests.support.led_on import led_to
from tests.support.samples import NOW

SECRET = "s" * 43


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


class Editing(NamedTuple):
    """One page in one browser."""

    landing: Landing
    visitor: Visitor
    page: LandingPage

    async def draft(self) -> Any:
        return decode((await self.landing.store.page(self.page.n)).draft)

    async def form(self, **changes: str) -> dict[str, str]:
        """Return what the form of the editor holds."""
        page = await self.landing.store.page(self.page.n)
        design = decode(page.draft)
        fields = {
            "form": form_token(SECRET, FORM),
            "edition": str(page.draft_edition),
            "brand": design.brand,
            "slug": page.slug,
            "lang.first": design.languages[0],
            **{f"lang.{tag}": "yes" for tag in design.languages},
        }
        for n, block in enumerate(design.blocks):
            if isinstance(block, Fields):
                continue
            for name in ("title", "lead", "body", "button", "note"):
                texts = getattr(block, name, {})
                fields |= {f"b{n}.{name}.{tag}": text for tag, text in texts.items()}
        for n, block in enumerate(design.blocks):
            if isinstance(block, Fields):
                for i, field in enumerate(block.fields):
                    fields |= {f"b{n}.f{i}.label.{tag}": text for tag, text in field.label.items()}
                    fields |= {f"b{n}.f{i}.name": field.name, f"b{n}.f{i}.required": "yes"}
        return {**fields, **changes}

    async def save(
        self,
        files: Mapping[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        **changes: str,
    ) -> httpx.Response:
        parts: dict[str, Any] = {name: (None, value) for name, value in (await self.form(**changes)).items()}
        parts |= {name: ("x.png", octets, "image/png") for name, octets in (files or {}).items()}
        sent = {"origin": "https://otp.example.in", "sec-fetch-site": "same-origin", **(headers or {})}
        return await self.visitor.browser.post(f"{HOME}/{self.page.n}", files=parts, headers=sent)

    async def publish(self, do: str, reason: str = "New words", edition: str = "") -> httpx.Response:
        edition = edition or str((await self.landing.store.page(self.page.n)).draft_edition)
        form = {"form": form_token(SECRET, FORM), "do": do, "reason": reason, "edition": edition}
        return await self.visitor.post(f"{HOME}/{self.page.n}/publish", form)


async def editing(landing: Landing) -> Editing:
    return Editing(landing, landing.visitor(), await landing.published())


def hidden(shown: httpx.Response) -> dict[str, str]:
    """Return what the editor's form says of what it was drawn from."""
    names = ("edition", "shape", "look.logo", "look.of", "look.had", "lang.shown")
    return {name: unescape(field(shown, name)) for name in names}


def some_png(line: bytes = b"\0\x7f") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    packed = zlib.compress(line)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


async def test_draft_holds_no_host_that_is_not_its_services(landing: Landing) -> None:
    desk = await editing(landing)

    own = await desk.save(host="login.acme.in")
    foreign = await desk.save(host="login.rival.example")

    assert own.status_code == 303
    assert "login.rival.example is not one of the service" in foreign.text
    assert (await landing.store.page(desk.page.n)).host == "login.acme.in"
    assert await landing.store.page_at("login.rival.example") is None


async def test_saved_texts_are_drawn_and_visitors_see_them_after_publishing_alone(landing: Landing) -> None:
    desk = await editing(landing)

    saved = await desk.save(**{"b1.title.en": "Half price"})
    preview = await desk.visitor.get(f"{HOME}/{desk.page.n}/preview?lang=en")
    before = await landing.visitor().get("/f/diwali?lang=en")
    done = await desk.publish("publish")
    after = await landing.visitor().get("/f/diwali?lang=en")

    assert (saved.status_code, done.status_code) == (303, 303)
    assert ["Half price" in shown.text for shown in (preview, before, after)] == [True, False, True]
    assert "frame-ancestors 'self';" in preview.headers["content-security-policy"]


@pytest.mark.parametrize(("language", "label"), [("en", "Security code"), ("hi", "सुरक्षा कोड")])
async def test_page_for_the_code_is_previewed_and_no_code_is_asked_for(
    landing: Landing, language: str, label: str
) -> None:
    desk = await editing(landing)
    address = f"{HOME}/{desk.page.n}/preview?stage=code&lang={language}"

    shown = await desk.visitor.get(address)
    typed = await desk.visitor.post(address, {"do": "resend", "code": "123456"})
    form = await desk.visitor.get(f"{HOME}/{desk.page.n}/preview?stage=form")

    assert (shown.status_code, typed.status_code) == (200, 405)
    assert f'<label for="code">{label}</label>' in shown.text
    assert 'data-way="sent"' in shown.text
    assert "<script" not in shown.text
    # It has the look of the page, as the form has.
    assert re.findall(r'rel="stylesheet" href="([^"]*)"', shown.text) == re.findall(
        r'rel="stylesheet" href="([^"]*)"', form.text
    )
    assert await landing.house.all() == ()


async def test_pages_of_another_tenant_are_not_there(landing: Landing) -> None:
    desk = await editing(landing)
    landing.author = Author("Mallory", 2, SECRET)

    looked = [
        (await desk.visitor.get(f"{HOME}/{desk.page.n}{path}")).status_code
        for path in ("", "/preview", "/publish", "/versions/1", "/leads", "/leads.csv", "/results")
    ]
    saved = await desk.save(**{"b1.title.en": "Mine now"})
    published = await desk.publish("close")
    listed = await desk.visitor.get(HOME)

    assert set(looked) == {404}
    assert (saved.status_code, published.status_code) == (404, 404)
    assert "diwali" not in listed.text
    assert (await landing.store.page(desk.page.n)).state is PageState.LIVE


async def test_nobody_who_is_not_signed_in_sees_or_changes_anything(landing: Landing) -> None:
    desk = await editing(landing)
    landing.author = None

    looked = await desk.visitor.get(f"{HOME}/{desk.page.n}")
    saved = await desk.save(**{"b1.title.en": "Mine now"})

    assert (looked.status_code, saved.status_code) == (303, 303)
    assert looked.headers["location"] == f"/login?next={HOME}/{desk.page.n}"
    assert "Mine now" not in str(await desk.draft())


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({}, {"form": ""}),
        ({}, {"form": form_token("t" * 43, FORM)}),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, {}),
    ],
    ids=["no token", "another session's", "another site's"],
)
async def test_form_that_is_not_ours_changes_nothing(
    landing: Landing, headers: dict[str, str], changes: dict[str, str]
) -> None:
    desk = await editing(landing)

    refused = await desk.save(headers=headers, **{"b1.title.en": "Mine now", **changes})

    assert refused.status_code == 403
    assert "Mine now" not in str(await desk.draft())


async def test_second_editor_is_told_and_the_first_ones_words_stay(landing: Landing) -> None:
    desk = await editing(landing)
    edition = (await desk.form())["edition"]
    await desk.save(**{"b1.title.en": "First"})

    late = await desk.save(**{"b1.title.en": "Second", "edition": edition})

    assert late.status_code == 409
    assert "Somebody else has saved this page meanwhile" in late.text
    assert "First" in str(await desk.draft())


async def test_words_of_the_second_editor_are_shown_where_they_belong_and_saved_when_chosen(
    landing: Landing,
) -> None:
    desk = await editing(landing)
    await desk.save(do="try")
    page = f"{HOME}/{desk.page.n}"
    drawn = hidden(await desk.visitor.get(page))
    second = await desk.form(**drawn, **{"b1.title.en": "Second", "v.title.en": "Other", "slug": "spring"})
    await desk.save(**{"b1.title.en": "First", "do": "down:1"})
    await desk.save(do="field-remove:1:2")
    await desk.save(do="try-end")
    first = await desk.draft()

    quiet = await desk.save(**second, quiet="yes")
    late = await desk.save(**second)
    unseen = await desk.draft()
    again = await desk.save(**{**second, **hidden(late)})
    button = re.search(r'value="(over:\d+)"', again.text)
    assert button is not None
    chosen = await desk.save(**{**second, **hidden(again), "do": button[1]})
    design = await desk.draft()

    assert [one.status_code for one in (quiet, late, again, chosen)] == [409, 409, 409, 303]
    assert quiet.json()["complaint"].endswith("Press Save to see it, and to choose what stays.")
    assert hidden(late) == drawn
    for words in ("Second", "Other", "spring"):
        assert f'value="{words}"' in late.text
    assert 'value="First"' not in late.text
    assert unseen == first
    assert [type(block).__name__ for block in design.blocks[1:3]] == ["Hero", "Fields"]
    assert design.blocks[1].title["en"] == "Second"
    assert design.experiment.hero.title["en"] == "Other"
    assert [field.kind for field in fields_of(design)] == ["text", "phone", "consent", "hidden", "hidden"]
    assert (await landing.store.page(desk.page.n)).slug == "spring"


async def test_choice_of_the_second_editor_undoes_no_third_one_unseen(landing: Landing) -> None:
    desk = await editing(landing)
    edition = (await desk.form())["edition"]
    await desk.save(**{"b1.title.en": "First"})
    late = await desk.save(**{"b1.title.en": "Second", "edition": edition})
    button = re.search(r'value="(over:\d+)"', late.text)
    assert button is not None
    await desk.save(**{"b1.title.en": "Third"})

    refused = await desk.save(**{"b1.title.en": "Second", "edition": edition, "do": button[1]})

    assert refused.status_code == 409
    assert "Third" in str(await desk.draft())


@pytest.mark.parametrize("shape", ["x", "fields:x", "hero " * 5000, "image:x", "variant variant"])
async def test_form_of_no_shape_of_ours_changes_nothing(landing: Landing, shape: str) -> None:
    desk = await editing(landing)
    before = await desk.draft()

    refused = await desk.save(shape=shape)

    assert refused.status_code == 422
    assert await desk.draft() == before


async def test_language_that_is_added_says_what_a_new_page_says(landing: Landing) -> None:
    desk = await editing(landing)

    await desk.save(**{"b1.title.en": "My own words", "lang.ta": "yes"})

    design = await desk.draft()
    hero = find_block(design, Hero)
    assert isinstance(hero, Hero)
    assert design.languages == ("en", "hi", "ta")
    assert "ta" not in hero.title
    assert hero.lead["ta"].startswith("உங்கள் எண்ணைத்")
    assert all("ta" in field.label for field in fields_of(design) if field.label)


async def test_language_that_is_added_while_one_types_keeps_what_a_new_page_says(landing: Landing) -> None:
    desk = await editing(landing)
    drawn = await desk.form(**hidden(await desk.visitor.get(f"{HOME}/{desk.page.n}")))
    added = {**drawn, "quiet": "yes", "lang.ta": "yes"}

    for words in ("Half price", "Half price today"):
        told = await desk.save(**{**added, "b1.lead.en": "", "b1.title.en": words})
        added["edition"] = str(told.json()["edition"])
    # Its first language goes; what was begun is still what a new page says.
    await desk.save(**{**added, "lang.en": ""})

    design = await desk.draft()
    assert design.languages == ("hi", "ta")
    assert all("ta" in field.label for field in fields_of(design) if field.label)
    assert find_block(design, Hero).lead["ta"].startswith("உங்கள் எண்ணைத்")


async def test_theme_that_is_chosen_while_one_types_brings_its_colours_and_keeps_those_chosen_since(
    landing: Landing,
) -> None:
    desk = await editing(landing)
    own = {**hidden(await desk.visitor.get(f"{HOME}/{desk.page.n}")), "look.ink": "#102030"}
    ocean = THEMES["ocean"].palette
    colours = {f"look.{name}": getattr(ocean, name) for name in COLOURS}
    await desk.save(**{**colours, **own})
    drawn = {**colours, **hidden(await desk.visitor.get(f"{HOME}/{desk.page.n}")), "look.ink": "#102030"}
    drawn |= {"look.corner": ocean.corner, "look.font": ocean.font, "quiet": "yes"}

    looks = []
    for changes in (
        {"look.theme": "rose"},
        {"look.theme": "rose", "b1.title.en": "Half price"},
        {"look.theme": "rose", "look.accent": "#700020"},
        {"look.theme": "ocean"},
    ):
        told = await desk.save(**{**drawn, **changes})
        drawn["edition"] = str(told.json()["edition"])
        looks.append((await desk.draft()).look)

    assert looks == [
        Look(theme="rose"),
        Look(theme="rose"),
        Look(theme="rose", accent="#700020"),
        Look(theme="ocean", ink="#102030"),
    ]


async def test_fields_are_added_moved_and_removed(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save(**{"do": "field-add:2", "b2.add": "select"})
    await desk.save(do="field-up:2:5")
    await desk.save(do="field-remove:2:0")

    names = [field.name for field in fields_of(await desk.draft())]

    assert names == ["number", "agree", "utm_source", "select", "utm_campaign"]


@pytest.mark.parametrize(
    "do", ["up:99", "up:x", "field-up:0:0", "add", "offer:ink:red", "offer:brand:#000000"]
)
async def test_button_that_is_none_of_ours_is_refused(landing: Landing, do: str) -> None:
    desk = await editing(landing)
    before = await desk.draft()

    refused = await desk.save(do=do, add="html")

    assert refused.status_code == 422
    assert await desk.draft() == before


async def test_logo_is_put_together_anew_and_copied_with_its_page(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save({"picture.logo": some_png() + b"<script>"})
    name = (await desk.draft()).logo

    shown = await landing.visitor().get(f"/f/image/{desk.page.n}/{name}")
    at_desk = await desk.visitor.get(f"{HOME}/{desk.page.n}/image/{name}")
    preview = await desk.visitor.get(f"{HOME}/{desk.page.n}/preview")
    copies = [(await desk.publish("copy")).headers["location"] for _ in range(2)]

    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert b"<script>" not in shown.content
    assert at_desk.content == shown.content
    # On a host of its own the console finds everything it shows.
    sources = re.findall(r'(?:src|href)="([^"]*)"', preview.text)
    assert [one for one in sources if not one.startswith((HOME, "data:"))] == []
    parts = [one for one in sources if "/look/" in one or "/image/" in one]
    assert [(await desk.visitor.get(one)).status_code for one in parts] == [200, 200]
    pages = {page.n: page for page in await landing.store.pages(None)}
    copied = [pages[int(place.rpartition("/")[2])] for place in copies]
    assert [one.slug for one in copied] == ["diwali-copy", "diwali-copy-2"]
    assert [(one.state, one.live) for one in copied] == [(PageState.DRAFT, 0)] * 2
    assert (await landing.store.image(copied[1].n, name)).octets == shown.content


@pytest.mark.parametrize(
    "octets", [b"<svg onload='alert(1)'/>", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"x" * 310_000]
)
async def test_file_that_is_no_plain_picture_is_refused_and_nothing_changes(
    landing: Landing, octets: bytes
) -> None:
    desk = await editing(landing)
    before = await desk.draft()

    refused = await desk.save({"picture.logo": octets})

    assert refused.status_code == 422
    assert await desk.draft() == before


async def test_pictures_of_the_second_editor_are_shown_with_the_words_and_saved_when_chosen(
    landing: Landing,
) -> None:
    desk = await editing(landing)
    await desk.save(do="add", add="image")
    drawn = hidden(await desk.visitor.get(f"{HOME}/{desk.page.n}"))
    second = await desk.form(**drawn, **{"b1.title.en": "Second"})
    await desk.save({"picture.logo": some_png()})
    first = (await desk.draft()).logo

    late = await desk.save({"picture.logo": some_png(b"\0\x01"), "picture.6": some_png(b"\0\x02")}, **second)
    again = await desk.save(**{**second, **hidden(late)})
    unseen = await desk.draft()
    button = re.search(r'value="(over:\d+)"', again.text)
    assert button is not None
    chosen = await desk.save(**{**second, **hidden(again), "do": button[1]})
    design = await desk.draft()

    assert [one.status_code for one in (late, again, chosen)] == [409, 409, 303]
    assert (unseen.logo, unseen.blocks[6].image) == (first, None)
    names = (design.logo, design.blocks[6].image)
    assert len({first, *names}) == 3
    for name in names:
        assert f"{HOME}/{desk.page.n}/image/{name}" in again.text
        assert await landing.store.image(desk.page.n, name)
    assert design.blocks[1].title["en"] == "Second"


async def test_logo_that_another_editor_chose_stays_where_words_alone_are_saved(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save({"picture.logo": some_png()})
    shown = await desk.visitor.get(f"{HOME}/{desk.page.n}")

    await desk.save(**hidden(shown), **{"b1.title.en": "Words"})
    kept = (await desk.draft()).logo
    await desk.save(**{**hidden(shown), "edition": (await desk.form())["edition"]}, do="logo-remove")

    assert kept == field(shown, "look.logo")
    assert (await desk.draft()).logo is None


async def test_texts_that_came_with_a_refused_picture_or_button_are_shown_again(landing: Landing) -> None:
    desk = await editing(landing)
    words = {"b1.title.en": "Half price", "slug": "spring", "keep_days": "30"}

    picture = await desk.save({"picture.logo": b"GIF89a"}, **words)
    button = await desk.save(**words, do="up:99")
    saved = await desk.save(**{**words, **hidden(picture)})

    assert [one.status_code for one in (picture, button, saved)] == [422, 422, 303]
    for shown in (picture, button):
        assert all(f'value="{one}"' in shown.text for one in words.values())
        assert "Save what stands below" not in shown.text


async def test_pictures_that_come_together_all_stay_where_others_make_room(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save(do="add", add="image")
    for n in range(IMAGES_PER_PAGE_MAX - 1):
        picture = PageImage(
            page=desk.page.n, name=f"{n:032x}", kind="image/png", width=1, height=1, octets=b"x"
        )
        await landing.store.put_image(picture, now=NOW - 2 * IMAGE_UNSAVED_KEPT)

    saved = await desk.save({"picture.logo": some_png(), "picture.6": some_png(b"\0\x01")})

    design = await desk.draft()
    assert saved.status_code == 303
    for name in (design.logo, design.blocks[6].image):
        assert await landing.store.image(desk.page.n, name)


async def test_picture_is_put_where_it_was_chosen_though_the_button_moves_that(landing: Landing) -> None:
    desk = await editing(landing)
    for _ in range(2):
        await desk.save(do="add", add="image")

    saved = await desk.save({"picture.6": some_png()}, do="down:6")

    blocks = (await desk.draft()).blocks
    assert saved.headers["location"].endswith("?at=b7")
    assert (blocks[6].image, blocks[7].image is None) == (None, False)


async def test_one_picture_too_many_is_told_and_offers_nobody_elses_draft(landing: Landing) -> None:
    desk = await editing(landing)
    names = [f"{n:032x}" for n in range(IMAGES_PER_PAGE_MAX)]
    body = " ".join(names).encode()
    await landing.store.publish(
        PageVersion(page=desk.page.n, version=0, at=NOW, author="Asha", reason="old", body=body), back=True
    )
    for name in names:
        picture = PageImage(page=desk.page.n, name=name, kind="image/png", width=1, height=1, octets=b"x")
        await landing.store.put_image(picture, now=NOW)
    await desk.landing.store.put_page(
        replace(await landing.store.page(desk.page.n), draft=encode(begin("Acme", ("en",), theme="ocean")))
    )

    refused = await desk.save({"picture.logo": some_png()}, **{"b1.title.en": "Half price"})

    assert refused.status_code == 422
    assert "A page has at most 10 pictures, with those of its earlier versions" in refused.text
    assert 'value="Half price"' in refused.text
    assert "Save what stands below" not in refused.text


async def test_draft_whose_name_is_taken_is_kept_with_its_former_one(landing: Landing) -> None:
    desk = await editing(landing)
    place = (await desk.publish("copy")).headers["location"]
    copy = await landing.store.page(int(place.rpartition("/")[2]))
    desk = desk._replace(page=copy)

    told = [await desk.save(quiet="yes", slug="diwali", **{"b1.title.en": f"Half {n}"}) for n in range(2)]
    typed = await desk.draft()
    pressed = await desk.save(slug="diwali", do="publish", **{"b1.title.en": "Half price"})

    assert [(one.status_code, one.json()["waits"]) for one in told] == [(200, True)] * 2
    assert find_block(typed, Hero).title["en"] == "Half 1"
    assert pressed.status_code == 409
    assert "Another page has this address already" in pressed.text
    assert "Save what stands below" not in pressed.text
    assert find_block(await desk.draft(), Hero).title["en"] == "Half price"
    assert (await landing.store.page(copy.n)).slug == "diwali-copy"


async def test_what_is_kept_while_one_types_moves_no_page_that_is_published(landing: Landing) -> None:
    desk = await editing(landing)
    before = await landing.store.page(desk.page.n)
    half = {"slug": "spr", "host": "login.acme.in", "mode": "test", "keep_days": "1"}

    told = await desk.save(quiet="yes", **half, **{"b1.title.en": "Half price"})
    kept = await landing.store.page(desk.page.n)
    same = await desk.save(quiet="yes")
    pressed = await desk.save(slug="spring", host="login.acme.in", mode="test", keep_days="30")
    after = await landing.store.page(desk.page.n)

    assert told.json() == {"edition": kept.draft_edition, "faults": 0, "waits": True}
    assert replace(kept, draft=before.draft, draft_edition=before.draft_edition) == before
    assert "Half price" in str(decode(kept.draft))
    assert same.json()["waits"] is False
    assert pressed.status_code == 303
    assert (after.slug, after.host, after.mode, after.keep_days) == (
        "spring",
        "login.acme.in",
        Mode.TEST,
        30,
    )


async def test_draft_that_nobody_sees_is_kept_whole_while_one_types(landing: Landing) -> None:
    desk = await editing(landing)
    place = (await desk.publish("copy")).headers["location"]
    copy = await landing.store.page(int(place.rpartition("/")[2]))
    desk = desk._replace(page=copy)

    told = await desk.save(quiet="yes", slug="spring", mode="test", keep_days="30")

    kept = await landing.store.page(copy.n)
    assert told.json()["waits"] is False
    assert (kept.slug, kept.mode, kept.keep_days) == ("spring", Mode.TEST, 30)


async def test_leads_that_are_there_go_when_the_page_says_so_after_it_was_shortened(landing: Landing) -> None:
    desk, visitor = await editing(landing), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())

    async def stays() -> timedelta:
        (lead,) = await landing.leads(desk.page)
        return lead.gone_at - lead.at

    before = await stays()
    await desk.save(quiet="yes", keep_days="3")
    typing = await stays()
    await desk.save(keep_days="30")
    shortened = await stays()
    await desk.save(keep_days="60")
    shown = await desk.visitor.get(f"{HOME}/{desk.page.n}/leads")

    assert [before.days, typing.days, shortened.days] == [90, 90, 30]
    assert (await stays()).days == 30, "what was promised to somebody is not taken back"
    assert "<td>30</td>" in shown.text


@pytest.mark.parametrize(
    "slip", ["0", "00", "9999", "731", "-1", "thirty", "", pytest.param("9" * 5000, id="long")]
)
async def test_days_that_no_lead_may_be_kept_for_are_told_and_change_nothing(
    landing: Landing, slip: str
) -> None:
    desk, visitor = await editing(landing), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())

    told = [await desk.save(keep_days=slip, do=do) for do in ("save", "publish")]

    (lead,) = await landing.leads(desk.page)
    assert [one.status_code for one in told] == [422, 422]
    assert all("A lead is kept for 1 to 730 days; it stays at 90." in one.text for one in told)
    assert (await landing.store.page(desk.page.n)).keep_days == 90
    assert (lead.gone_at - lead.at).days == 90


async def test_no_button_but_save_has_leads_go_sooner(landing: Landing) -> None:
    desk, visitor = await editing(landing), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())
    languages = re.search(
        r'value="([^"]*)">Take these languages', (await desk.visitor.get(f"{HOME}/{desk.page.n}")).text
    )
    assert languages is not None
    others = ["up:1", "save:look", "try", languages[1]]

    told = [await desk.save(keep_days="3", do=do) for do in others]
    (kept,), page = await landing.leads(desk.page), await landing.store.page(desk.page.n)
    more = await desk.save(keep_days="120", do="try-end")
    saved = await desk.save(keep_days="3", do="publish")
    (gone,) = await landing.leads(desk.page)

    assert [one.status_code for one in told] == [422] * len(others)
    assert all("Leads are kept for 90 days still" in one.text for one in told)
    assert (page.keep_days, (kept.gone_at - kept.at).days) == (90, 90)
    assert (more.status_code, saved.status_code) == (303, 303)
    assert (gone.gone_at - gone.at).days == 3


async def test_leads_are_walked_by_save_alone_and_again_where_a_walk_was_cut_off(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, walked, walks = await editing(landing), [], landing.store.keep_leads

    async def noted(page: int, days: int) -> None:
        walked.append(days)
        await walks(page, days)

    monkeypatch.setattr(landing.store, "keep_leads", noted)
    for days in ("90", "30", "30", "60"):
        await desk.save(keep_days=days)
    await desk.save(do="up:1")

    assert walked == [90, 30, 30, 60]


async def test_pictures_and_files_of_leads_are_made_beside_the_loop(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, visitor = await editing(landing), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())
    at: dict[str, set[int]] = {"read_picture": set(), "csv_of": set(), "lead_of": set()}

    def noting(module: Any, name: str) -> None:
        does = getattr(module, name)

        def noted(*asked: Any) -> Any:
            at[name].add(threading.get_ident())
            return does(*asked)

        monkeypatch.setattr(module, name, noted)

    noting(page_editor, "read_picture")
    noting(page_results, "csv_of")
    noting(landing_tables, "lead_of")
    saved = await desk.save({"picture.logo": some_png()})
    table = await desk.visitor.get(f"{HOME}/{desk.page.n}/leads.csv")

    assert (saved.status_code, table.status_code) == (303, 200)
    assert "+919876543210" in table.text
    assert all(at.values())
    assert threading.get_ident() not in set().union(*at.values())


async def test_publishing_wants_a_reason_and_no_fault(landing: Landing) -> None:
    desk = await editing(landing)

    unsaid = await desk.publish("publish", reason="  ")
    await desk.save(**{"b1.title.hi": ""})
    faulty = await desk.publish("publish")

    assert (unsaid.status_code, faulty.status_code) == (422, 422)
    assert "The title is missing in हिन्दी." in faulty.text
    assert (await landing.store.page(desk.page.n)).live == 1


async def test_draft_that_somebody_saved_since_is_not_published(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save(**{"b1.title.en": "Whole"})
    shown = field(await desk.visitor.get(f"{HOME}/{desk.page.n}/publish"), "edition")
    await desk.save(**{"b1.title.en": "Hal"})

    late = await desk.publish("publish", "Whole words", edition=shown)
    seen = await desk.publish("publish", "Half words", edition=field(late, "edition"))

    assert (late.status_code, seen.status_code) == (409, 303)
    assert "The draft was saved again since you opened this page." in late.text
    assert 'value="Whole words"' in late.text
    assert [one.reason for one in await landing.store.versions(desk.page.n)] == ["Half words", "first"]


async def test_draft_that_is_saved_while_it_is_published_is_not_published(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, faults = await editing(landing), ConsoleRoom.faults

    async def slow(room: ConsoleRoom, page: LandingPage, design: Any) -> Any:
        monkeypatch.setattr(ConsoleRoom, "faults", faults)
        await desk.save(**{"b1.title.en": "Hal"})
        return await faults(room, page, design)

    monkeypatch.setattr(ConsoleRoom, "faults", slow)
    late = await desk.publish("publish")

    assert late.status_code == 409
    assert (await landing.store.page(desk.page.n)).live == 1
    assert (await desk.publish("publish", edition=field(late, "edition"))).status_code == 303


async def test_going_back_keeps_the_draft_and_opens_no_closed_page(landing: Landing) -> None:
    desk = await editing(landing)
    await desk.save(**{"b1.title.en": "Second"})
    await desk.publish("publish")
    await desk.publish("close")
    await desk.save(**{"b1.title.en": "Half a sentence"})

    closed = await desk.visitor.get(f"{HOME}/{desk.page.n}/publish")
    back = await desk.publish("back:1")
    page = await landing.store.page(desk.page.n)
    await desk.publish("open")

    assert "Publish and open the page again" in closed.text
    assert (back.status_code, page.live, page.state) == (303, 3, PageState.CLOSED)
    assert "Half a sentence" in str(decode(page.draft))
    assert "Second" not in (await landing.visitor().get("/f/diwali?lang=en")).text


async def test_token_of_a_visitor_is_exchanged_over_the_api_once(landing: Landing) -> None:
    await landing.published(leading_to("https://login.acme.in/welcome"))
    visitor = landing.visitor()
    done = await visitor.type(await visitor.asked(), await landing.code())
    token = led_to(done.text).partition("dastak_token=")[2]

    api: Any = SimpleNamespace(ports=landing.house.ports, landing=landing.store)
    call: Any = SimpleNamespace(caller=landing.house.caller, body=ExchangeBody(token=token))
    answer = await exchange_lead(api, call)
    with pytest.raises(NotFound):
        await exchange_lead(api, call)

    lead = msgspec.json.decode(answer.body, type=LeadView)
    assert (lead.page, lead.msisdn, lead.values["name"]) == ("diwali", "+919876543210", "Ravi")
    assert lead.consents[0].text.startswith("I agree that Acme")


def part(name: str, body: bytes = b"x", more: str = "") -> bytes:
    return f'\r\n--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + body


def test_form_with_a_file_is_divided_at_its_boundary() -> None:
    octets = (
        part("a", "é".encode())
        + part("f", b"\r\n-\r\n--A", '; filename="x"')
        + part("e", b"", '; filename=""')
    )

    found = read_parts(octets.removeprefix(b"\r\n") + b"\r\n--B--\r\n", b"B")

    assert found == ({"a": "é"}, {"f": b"\r\n-\r\n--A"}, [])


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"--B",
        part("a").removeprefix(b"\r\n"),
        (part("a") + part("a")).removeprefix(b"\r\n") + b"\r\n--B--",
        b"preamble" + part("a") + b"\r\n--B--",
        b"--B\r\nContent-Disposition: attachment\r\n\r\nx\r\n--B--",
        part("a", b"\xff").removeprefix(b"\r\n") + b"\r\n--B--",
        b"".join(part(f"n{n}") for n in range(PARTS_MAX + 1)).removeprefix(b"\r\n") + b"\r\n--B--",
    ],
)
def test_what_no_browser_sends_is_no_form(octets: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_parts(octets, b"B")


async def test_page_that_is_renamed_is_found_by_its_new_name(landing: Landing) -> None:
    desk = await editing(landing)
    await landing.published(replace(await desk.draft(), brand="Other"), slug="holi")

    taken = await desk.save(slug="holi")
    bad = await desk.save(slug="No Good")
    moved = await desk.save(slug="spring")

    assert (taken.status_code, bad.status_code, moved.status_code) == (409, 422, 303)
    assert (await landing.visitor().get("/f/spring")).status_code == 200
    assert (await landing.visitor().get("/f/diwali")).status_code == 404


async def test_page_is_made_for_a_service_of_a_customer_and_never_for_the_consoles(landing: Landing) -> None:
    console = await ensure_console(landing.house.store)
    await landing.pages.directory.refresh(landing.house.store)
    visitor = landing.visitor()
    asked = {"form": form_token(SECRET, FORM), "brand": "Sundar Sweets", "lang.hi": "yes", "theme": "rose"}

    offered = await visitor.get(f"{HOME}/new")
    refused = await visitor.post(f"{HOME}/new", {**asked, "service": str(console.n)})
    made = await visitor.post(f"{HOME}/new", {**asked, "service": "1"})

    assert f'value="{console.n}"' not in offered.text
    assert (refused.status_code, made.status_code) == (422, 303)
    page = await landing.store.page_named("sundar-sweets")
    design = decode(page.draft)
    assert (page.tenant, page.state, design.languages, design.look.theme) == (
        1,
        PageState.DRAFT,
        ("hi",),
        "rose",
    )
