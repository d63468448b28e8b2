"""Draw a landing page: one renderer for visitors and for the preview, and the style sheet of each look."""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec

from dastak.core.errors import NotFound
from dastak.core.landing import Variant
from dastak.web.landing.design import (
    Block,
    Design,
    Field,
    FieldKind,
    Fields,
    Hero,
    Image,
    Languages,
    Legal,
    Otp,
    Success,
    Text,
    find_block,
    say,
)
from dastak.web.landing.lead_fields import TICKED, TRAP, Flaw, campaign_tail
from dastak.web.landing.rich_text import rich_text
from dastak.web.landing.themes import key_of, palette_named, palette_of, variables
from dastak.web.page_words import LANGUAGES, Words

TEMPLATE: Final = "landing_page.html"
LOOK_PATH: Final = "/f/look"

_KEYBOARDS: Final = {FieldKind.EMAIL: "email", FieldKind.PHONE: "tel"}
# What browsers may fill in by themselves, by the names that fields have by custom.
_KNOWN_NAMES: Final = {
    "name": "name",
    "company": "organization",
    "city": "address-level2",
    "pin": "postal-code",
    "pincode": "postal-code",
    "address": "street-address",
}


class Showing(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a page, and to whom.

    Attributes:
        stage: `form`, `code`, `done` or `closed`.
        here: The path of the page.
        typed: What the fields hold.
        ticket: The hidden field of the form.
        images: The path before a picture's name.
        looks: The path before a style sheet's name.
        framed: Whether the page is shown by another site, whose frame is to be told its height.
        work: The sum that the browser has to do before the form is taken, if any.
    """

    words: Words
    variant: Variant
    stage: str
    here: str
    images: str
    looks: str = LOOK_PATH
    typed: Mapping[str, str] = {}
    flaws: Sequence[Flaw] = ()
    notice: str = ""
    ticket: str = ""
    framed: bool = False
    work: str = ""
    lines: Mapping[str, Any] = {}


def values_of(design: Design, showing: Showing) -> Mapping[str, Any]:
    """Return the values of the template."""
    language = showing.words.language
    hero, button = _variant(design, showing.variant)
    otp, success = find_block(design, Otp), find_block(design, Success)
    before, after = _around_form(design)

    def said(texts: Mapping[str, str]) -> str:
        return say(texts, language, design)

    return {
        "brand": design.brand,
        "sheet": f"{showing.looks}/{sheet_name(design)}",
        "logo": None if design.logo is None else f"{showing.images}/{design.logo}",
        "title": said(hero.title),
        "lead": said(hero.lead),
        "stage": showing.stage,
        "here": showing.here,
        "campaign": campaign_tail(showing.typed),
        "offered": _offered(design),
        "before": [_drawn(block, showing, design) for block in before],
        "after": [_drawn(block, showing, design) for block in after],
        "legal": [rich_text(said(block.body)) for block in design.blocks if isinstance(block, Legal)],
        "fields": [_field(field, showing, design) for field in _asked(design)],
        "button": said(button),
        "note": said(otp.note) if isinstance(otp, Otp) else "",
        "done_title": said(success.title) if isinstance(success, Success) else "",
        "done_body": rich_text(said(success.body)) if isinstance(success, Success) else "",
        "flaws": [_flaw(flaw, showing.words) for flaw in showing.flaws],
        "notice": showing.notice,
        "ticket": showing.ticket,
        "work": showing.work,
        "trap": TRAP,
        "ticked": TICKED,
        "framers": " ".join(design.framed_by) if showing.framed else "",
        **showing.lines,
    }


def sheet_name(design: Design) -> str:
    """Return what the style sheet of a design is called; another look or another program has another one."""
    key = key_of(palette_of(design.look))
    return f"{key}.{_mark(key)}.css"


def sheet(name: str) -> str:
    """Return a style sheet by the last part of its address. Raises: NotFound."""
    key, _, rest = name.partition(".")
    if rest != f"{_mark(key)}.css":
        raise NotFound("There is no such style sheet.")
    return _sheet_of(key)


@cache
def _base() -> str:
    web = files("dastak.web")
    people = web.joinpath("assets", "people.css").read_text(encoding="utf-8")
    return people + web.joinpath("landing", "landing.css").read_text(encoding="utf-8")


def _sheet_of(key: str) -> str:
    return _base() + variables(palette_named(key))


def _mark(key: str) -> str:
    return sha256(_sheet_of(key).encode()).hexdigest()[:12]


def _variant(design: Design, variant: Variant) -> tuple[Hero, Mapping[str, str]]:
    """Return the hero and the button of a variant."""
    if variant is Variant.B and design.experiment is not None:
        return design.experiment.hero, design.experiment.button
    hero, otp = find_block(design, Hero), find_block(design, Otp)
    return (
        hero if isinstance(hero, Hero) else Hero(),
        otp.button if isinstance(otp, Otp) else {},
    )


def _around_form(design: Design) -> tuple[list[Block], list[Block]]:
    """Return the texts and pictures before the form, and those behind it."""
    places = [n for n, block in enumerate(design.blocks) if isinstance(block, Fields | Otp)]
    first = places[0] if places else len(design.blocks)
    shown = [(n, block) for n, block in enumerate(design.blocks) if isinstance(block, Text | Image)]
    return [block for n, block in shown if n < first], [block for n, block in shown if n > first]


def _drawn(block: Block, showing: Showing, design: Design) -> Mapping[str, Any]:
    language = showing.words.language
    if isinstance(block, Text):
        return {"text": rich_text(say(block.body, language, design)), "image": None, "alt": ""}
    assert isinstance(block, Image)
    image = None if block.image is None else f"{showing.images}/{block.image}"
    return {"text": "", "image": image, "alt": say(block.alt, language, design)}


def _offered(design: Design) -> Sequence[tuple[str, str]]:
    """Return the languages to choose from, where the page lets its visitors choose."""
    if find_block(design, Languages) is None or len(design.languages) < 2:
        return ()
    return [(tag, LANGUAGES[tag]) for tag in design.languages if tag in LANGUAGES]


def _asked(design: Design) -> Sequence[Field]:
    return [field for block in design.blocks if isinstance(block, Fields) for field in block.fields]


def _field(field: Field, showing: Showing, design: Design) -> Mapping[str, Any]:
    language = showing.words.language
    wrong = next((flaw for flaw in showing.flaws if flaw.field == field.name), None)
    autofill = {FieldKind.PHONE: "tel", FieldKind.EMAIL: "email"}.get(field.kind)
    return {
        "name": field.name,
        "kind": field.kind.value,
        "label": say(field.label, language, design),
        "required": field.required,
        "value": showing.typed.get(field.name, ""),
        "choices": [(str(n), say(option, language, design)) for n, option in enumerate(field.options, 1)],
        "input_mode": _KEYBOARDS.get(field.kind, "text"),
        "autofill": autofill or _KNOWN_NAMES.get(field.name, "off"),
        "wrong": None if wrong is None else _flaw(wrong, showing.words)["sentence"],
    }


def _flaw(flaw: Flaw, words: Words) -> Mapping[str, str]:
    return {"field": flaw.field, "sentence": words.say(flaw.sentence, label=flaw.label)}
