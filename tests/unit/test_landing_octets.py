"""What of a landing page is ours: what a phone on a slow line waits for beside the words of the maker."""

import pytest

from dastak.core.landing import Variant
from dastak.web.landing.page_drawing import TEMPLATE, Showing, sheet, sheet_name, values_of
from dastak.web.landing.publish_checks import PAGE_OCTETS_MAX
from dastak.web.landing.starter import begin
from dastak.web.landing.themes import THEMES
from dastak.web.page_files import PageFiles
from dastak.web.page_templates import PageTemplates
from dastak.web.page_words import LANGUAGES, words_of

# The budget of every page for people; see ADR 0022 for why a maker's own texts come on top of it.
OCTETS_MAX = 10 * 1024
# The links to twelve other languages, in their own scripts.
LINKS_OCTETS_MAX = 1200
# A page and a half of typed text in a script that takes three octets a letter.
ROOM_OCTETS_MIN = 8000


def octets(language: str, offered: tuple[str, ...], theme: str = "meadow") -> int:
    design = begin("Asha Bank of Nagpur", offered, theme=theme)
    words = words_of(language)
    showing = Showing(
        words=words,
        variant=Variant.A,
        stage="form",
        here="/f/asha-bank",
        images="/f/image",
        ticket="t" * 200,
        lines={"back": None, "back_label": ""},
    )
    html = PageTemplates(PageFiles()).render(TEMPLATE, words, values_of(design, showing))
    return len(html.encode()) + len(sheet(sheet_name(design)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_to_begin_with_keeps_the_budget_in_every_language(language: str) -> None:
    assert octets(language, (language, "en") if language != "en" else ("en", "hi")) <= OCTETS_MAX


@pytest.mark.parametrize("theme", THEMES)
def test_page_to_begin_with_keeps_the_budget_in_every_theme(theme: str) -> None:
    assert octets("ta", ("ta", "en"), theme) <= OCTETS_MAX


def test_page_in_all_languages_pays_for_its_links_and_leaves_room_to_its_maker() -> None:
    largest = max(octets(language, tuple(LANGUAGES)) for language in LANGUAGES)

    assert largest <= OCTETS_MAX + LINKS_OCTETS_MAX
    assert PAGE_OCTETS_MAX - largest >= ROOM_OCTETS_MIN
