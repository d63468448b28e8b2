"""A page to begin with: complete, in the languages that were chosen, and ready to publish."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec.toml

from dastak.web.landing.design import (
    Block,
    Design,
    Field,
    FieldKind,
    Fields,
    Hero,
    Languages,
    Legal,
    Look,
    Otp,
    Success,
    Texts,
)


@cache
def sentences() -> Mapping[str, Mapping[str, str]]:
    """Return what a new page says, by what it is for and by language."""
    text = files("dastak.web.landing").joinpath("starter.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=dict[str, dict[str, str]])


def begin(brand: str, languages: Sequence[str], *, theme: str) -> Design:
    """Return a page for a brand."""

    def said(name: str) -> Texts:
        return {tag: sentences()[name][tag].replace("{brand}", brand) for tag in languages}

    blocks: list[Block] = [
        Languages(),
        Hero(title=said("title"), lead=said("lead")),
        Fields(
            fields=(
                Field(name="name", kind=FieldKind.TEXT, label=said("name")),
                Field(name="number", kind=FieldKind.PHONE, label=said("number")),
                Field(name="agree", kind=FieldKind.CONSENT, label=said("agree")),
                Field(name="utm_source", kind=FieldKind.HIDDEN, required=False),
                Field(name="utm_campaign", kind=FieldKind.HIDDEN, required=False),
            )
        ),
        Otp(button=said("button")),
        Success(title=said("thanks"), body=said("done")),
        Legal(body=said("legal")),
    ]
    return Design(brand=brand, languages=tuple(languages), look=Look(theme=theme), blocks=tuple(blocks))


def in_language(design: Design, language: str) -> Mapping[str, str]:
    """Return the sentences that a language added later begins with, by what they are for."""
    return {name: texts[language].replace("{brand}", design.brand) for name, texts in sentences().items()}
