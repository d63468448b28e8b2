"""What is typed into the editor of landing pages is shown again letter for letter until all of it is kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dastak.web.landing.design import (
    FRAMERS_MAX,
    OPTIONS_MAX,
    PLANNED_MAX,
    PLANNED_MIN,
)
from tests.flow.test_landing_script import Desk, Sheet, everything
from tests.support.house import House
from tests.support.landing_visitors import Landing, open_landing

# As nobody's rules would write it down.
TYPED = {
    "brand": "  Acme   Sweets ",
    "slug": " No Good",
    "host": "Https://offers.example.in/",
    "keep_days": "ninety ",
    "b-planned": "1,000",
    "framed_by": "https://Shop.example\r\nhttps://a.example/\r\n",
    "b1.title.en": "  Half price ",
    "b2.body.hi": "\r\n- one\r\n\r\n- two\r\n",
    "b4.f0.name": "Full Name!",
    "b4.f0.label.en": " Your name ",
    "b4.f1.name": "नाम",
    "b4.f3.options.en": "\r\nRed\r\n  Green \r\n\r\n",
    "b6.go_to": " login.acme.in/welcome",
    "v.button.hi": " लो ",
}
MOVED = ("b1.", "b2.", "b4.", "b6.")
CHOSEN = {"mode": "team", "add": "legal", "b4.add": "email", "lang.first": "hi"}


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def begun(landing: Landing) -> tuple[Desk, dict[str, str]]:
    """Open the editor of a page with every field; return what its form holds as well."""
    desk = Desk(landing, (await landing.published(everything())).n)
    return desk, (await desk.look()).holds


def held(shown: Any, *names: str) -> dict[str, str]:
    """Return what fields hold; a browser takes the first line break of a text field away."""
    sheet = Sheet(shown.text)
    return {
        name: sheet.holds[name].removeprefix("\n")
        if sheet.controls[name] == "textarea"
        else sheet.holds[name]
        for name in names
    }


async def test_form_with_complaints_holds_what_was_typed_and_no_rule_made_of_it(landing: Landing) -> None:
    desk, form = await begun(landing)

    told = await desk.save({**form, **TYPED, **CHOSEN, "do": "save"})
    published = await desk.save({**form, **TYPED, **CHOSEN, "do": "publish", **carried(told)})

    assert [one.status_code for one in (told, published)] == [422, 422]
    assert held(told, *TYPED, *CHOSEN) == held(published, *TYPED, *CHOSEN) == {**TYPED, **CHOSEN}


def carried(shown: Any) -> dict[str, str]:
    """Return what a form says of what it was drawn from."""
    names = ("edition", "shape", "look.logo", "look.of", "look.had", "lang.shown")
    return held(shown, *names)


async def test_form_of_which_nothing_is_kept_holds_what_was_typed(landing: Landing) -> None:
    desk, form = await begun(landing)
    await desk.save({**form, "b1.title.en": "First", "do": "save"})

    late = await desk.save({**form, **TYPED, **CHOSEN, "do": "save"})
    refused = await desk.save({**form, **TYPED, **CHOSEN, "do": "up:99"})

    assert [one.status_code for one in (late, refused)] == [409, 422]
    for shown in (late, refused):
        assert held(shown, *TYPED, *CHOSEN) == {**TYPED, **CHOSEN}
        assert held(shown, "edition")["edition"] == form["edition"]


async def test_words_go_with_their_block_where_a_button_moves_it_and_the_rest_is_as_typed(
    landing: Landing,
) -> None:
    desk, form = await begun(landing)

    told = await desk.save({**form, **TYPED, "do": "down:1"})

    assert told.status_code == 422
    assert held(told, "b2.title.en", "b1.body.hi") == {
        "b2.title.en": "Half price",
        "b1.body.hi": "- one\n\n- two",
    }
    around = {name: text for name, text in TYPED.items() if not name.startswith(MOVED)}
    assert held(told, *around) == around


@pytest.mark.parametrize(
    "slip", ["", "99", "1 000", "many", str(PLANNED_MAX + 1), "²", pytest.param("9" * 5000, id="long")]
)
async def test_plan_that_no_experiment_may_have_is_told_and_changes_nothing(
    landing: Landing, slip: str
) -> None:
    desk, form = await begun(landing)

    told = await desk.save({**form, "b-planned": slip, "do": "save"})

    assert told.status_code == 422
    assert f"after {PLANNED_MIN} to {PLANNED_MAX} visitors of each; it stays at 500." in told.text
    assert held(told, "b-planned") == {"b-planned": slip}
    assert (await desk.look()).holds["b-planned"] == "500"


@pytest.mark.parametrize("slip", ["", "!", "नाम", "2nd name", "_"])
async def test_name_of_a_field_that_is_none_is_told_and_the_former_one_stays(
    landing: Landing, slip: str
) -> None:
    desk, form = await begun(landing)

    told = await desk.save({**form, "b4.f0.name": slip, "do": "save"})

    assert told.status_code == 422
    assert f"“{slip}” is no name: begin it with a letter a to z; “text” stays." in told.text
    assert held(told, "b4.f0.name") == {"b4.f0.name": slip}
    assert (await desk.look()).holds["b4.f0.name"] == "text"


async def test_choices_sites_and_languages_that_are_left_out_are_told(landing: Landing) -> None:
    desk, form = await begun(landing)
    choices = "\r\n".join(f"Choice {n}" for n in range(OPTIONS_MAX + 1))
    sites = "\r\n".join(f"https://{n}.example" for n in range(FRAMERS_MAX + 1))
    silent = {name: text for name, text in form.items() if name not in ("lang.en", "lang.hi")}

    told = await desk.save({**silent, "b4.f3.options.en": choices, "framed_by": sites, "do": "save"})
    kept = (await desk.look()).holds

    assert told.status_code == 422
    assert f"“select” has more than {OPTIONS_MAX} choices; those after them are left out." in told.text
    assert f"At most {FRAMERS_MAX} sites may show the page; those after them are left out." in told.text
    assert "A page speaks one language at least; it stays with those it has." in told.text
    assert held(told, "b4.f3.options.en", "framed_by") == {"b4.f3.options.en": choices, "framed_by": sites}
    assert not {"lang.en", "lang.hi"} & Sheet(told.text).holds.keys()
    assert {"lang.en", "lang.hi"} <= kept.keys()
    assert "Choice 20" not in kept["b4.f3.options.en"]
    assert "https://10.example" not in kept["framed_by"]


async def test_form_of_no_complaints_shows_what_was_kept(landing: Landing) -> None:
    desk, form = await begun(landing)

    saved = await desk.save({**form, "brand": "  Acme   Sweets ", "b4.f0.name": "Full Name!", "do": "save"})
    kept = (await desk.look()).holds

    assert saved.status_code == 303
    assert (kept["brand"], kept["b4.f0.name"]) == ("Acme Sweets", "full_name")


@pytest.mark.parametrize(("reason", "status"), [("  New   words ", 409), ("   ", 422)])
async def test_reason_of_a_draft_that_is_not_published_is_shown_as_it_was_typed(
    landing: Landing, reason: str, status: int
) -> None:
    desk = Desk(landing, (await landing.published()).n)
    token = (await desk.look("/publish")).holds["form"]

    told = await desk.visitor.post(
        f"{desk.at}/publish", {"form": token, "do": "publish", "reason": reason, "edition": "0"}
    )

    assert told.status_code == status
    assert held(told, "reason") == {"reason": reason}


async def test_form_of_no_shape_of_ours_shows_the_draft_with_the_settings_that_were_typed(
    landing: Landing,
) -> None:
    desk, form = await begun(landing)

    told = await desk.save({**form, "b1.title.en": "Elsewhere", "slug": "spring", "shape": "x", "do": "save"})

    assert told.status_code == 422
    assert held(told, "b1.title.en", "slug") == {"b1.title.en": "t", "slug": "spring"}
