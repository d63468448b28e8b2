"""What is done to landing pages and their leads stands in the audit log, and odd addresses break no page."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from dastak.core.landing import LandingPage
from dastak.web.browser_session import form_token
from dastak.web.landing.console_room import FORM, HOME
from dastak.web.landing.starter import begin
from tests.flow.test_landing_editor import editing
from tests.support.house import House
from tests.support.landing_visitors import Landing, open_landing

HUGE = 10**20


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def press(landing: Landing, page: LandingPage, part: str, **fields: str) -> httpx.Response:
    form = {"form": form_token("s" * 43, FORM), **fields}
    return await landing.visitor().post(f"{HOME}/{page.n}/{part}", form)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    """Return what the audit log was told since the last time: what was done, by whom, to what."""
    lines = [vars(one) for one in caplog.records if one.name == "dastak.audit"]
    caplog.clear()
    return [(line["action"], line["actor"], line["on"]) for line in lines]


async def test_who_takes_or_deletes_leads_stands_in_the_audit_log(
    landing: Landing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dastak.audit")
    page, visitor = await landing.published(), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())
    (lead,) = await landing.leads(page)
    told(caplog)

    await landing.visitor().get(f"{HOME}/{page.n}/leads.csv")
    await landing.visitor().get(f"{HOME}/{page.n}/leads.parquet")
    for n in (lead.n, lead.n, "x"):
        await press(landing, page, "leads", lead=str(n))

    on = f"page {page.n} diwali"
    assert told(caplog) == [
        ("leads_exported", "Asha", f"{on} csv 1"),
        ("leads_exported", "Asha", f"{on} parquet"),
        ("lead_deleted", "Asha", f"{on} lead {lead.n}"),
    ]


async def test_who_turns_a_page_or_its_webhook_stands_in_the_audit_log(
    landing: Landing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dastak.audit")
    page = await landing.published()
    edition = str((await landing.store.page(page.n)).draft_edition)

    await press(landing, page, "publish", do="publish", reason="", edition=edition)
    await press(landing, page, "publish", do="publish", reason="New words", edition=edition)
    for do in ("back:1", "close", "open"):
        await press(landing, page, "publish", do=do)
    await press(landing, page, "webhook", do="set", url="no address")
    await press(landing, page, "webhook", do="set", url="http://127.0.0.1:9/leads")
    for do in ("rotate", "remove"):
        await press(landing, page, "webhook", do=do)

    on = f"page {page.n} diwali"
    assert told(caplog) == [
        ("page_published", "Asha", on),
        ("page_gone_back", "Asha", f"{on} version 1"),
        ("page_closed", "Asha", on),
        ("page_opened", "Asha", on),
        ("lead_webhook_set", "Asha", on),
        ("lead_webhook_rotated", "Asha", on),
        ("lead_webhook_removed", "Asha", on),
    ]


async def test_who_says_whose_phones_get_codes_stands_in_the_audit_log(
    landing: Landing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dastak.audit")
    desk = await editing(landing)

    for mode in ("live", "test", "test"):
        await desk.save(mode=mode)

    on = f"page {desk.page.n} diwali to test phones"
    assert told(caplog) == [("page_codes_given", "Asha", on)]


@pytest.mark.parametrize(
    "path", [f"/f/image/{HUGE}/x", f"{HOME}/{HUGE}", f"{HOME}/{HUGE}/leads", f"{HOME}/1/versions/{HUGE}"]
)
async def test_number_that_no_row_can_have_is_not_there(landing: Landing, path: str) -> None:
    await landing.published()

    answer = await landing.visitor().get(path)

    assert answer.status_code == 404


@pytest.mark.parametrize("part", ["leads", "leads.csv"])
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-13-01"])
async def test_day_at_the_end_of_all_days_filters_nothing(landing: Landing, part: str, day: str) -> None:
    page, visitor = await landing.published(), landing.visitor()
    await visitor.type(await visitor.asked(), await landing.code())

    answer = await visitor.get(f"{HOME}/{page.n}/{part}?since=0001-01-01&until={day}")

    assert answer.status_code == 200
    assert ("Ravi" in answer.text) == (day != "0001-01-01")


async def test_figures_of_a_page_that_may_be_framed_are_said_to_be_of_views(landing: Landing) -> None:
    plain = begin("Acme", ("en",), theme="ocean")
    alone = await landing.published(plain, slug="alone")
    framed = await landing.published(replace(plain, framed_by=("https://shop.example",)), slug="framed")

    shown = {page.slug: await landing.visitor().get(f"{HOME}/{page.n}/results") for page in (alone, framed)}

    assert {slug: "Views are counted here" in one.text for slug, one in shown.items()} == {
        "alone": False,
        "framed": True,
    }
