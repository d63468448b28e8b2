"""What is begun with: a page that is ready to publish, and each part of one that is added to it later."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
import msgspec.toml

from dastak.core.errors import InvalidRequest
from dastak.web.landing.design import (
    FIELDS_MAX,
    UTM_NAMES,
    Block,
    Design,
    Experiment,
    Field,
    FieldKind,
    Fields,
    Hero,
    Image,
    Languages,
    Legal,
    Look,
    Otp,
    Success,
    Text,
    Texts,
    find_block,
)

NEW_BLOCKS: Final[Mapping[str, Block]] = {
    "text": Text(),
    "image": Image(),
    "hero": Hero(),
    "fields": Fields(),
    "otp": Otp(),
    "success": Success(),
    "legal": Legal(),
    "languages": Languages(),
}


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


def new_field(kind: str, fields: Sequence[Field]) -> Field:
    """Return a field to add to others, with a name of its own. Raises: InvalidRequest (no such kind)."""
    if kind not in set(FieldKind):
        raise InvalidRequest("There is no such field.")
    taken = {field.name for field in fields}
    hidden = kind == FieldKind.HIDDEN
    names = UTM_NAMES if hidden else (kind, *(f"{kind}_{n}" for n in range(2, FIELDS_MAX + 2)))
    name = next((name for name in names if name not in taken), UTM_NAMES[0])
    return Field(name=name, kind=FieldKind(kind), required=not hidden and kind != FieldKind.CHECKBOX)


def new_experiment(design: Design) -> Experiment:
    """Begin variant B as a copy of what is there."""
    hero, otp = find_block(design, Hero), find_block(design, Otp)
    return Experiment(
        hero=hero if isinstance(hero, Hero) else Hero(), button=otp.button if isinstance(otp, Otp) else {}
    )


def in_language(design: Design, language: str) -> Mapping[str, str]:
    """Return the sentences that a language added later begins with, by what they are for."""
    return {name: texts[language].replace("{brand}", design.brand) for name, texts in sentences().items()}


def begun_in(design: Design, language: str, own: str) -> Design:
    """Say in a language that was added what a new page says, where a text is as a new page has it.

    Args:
        design: Whose languages have the one that was added.
        language: That one.
        own: One that the page spoke before.
    """
    usual = {text: name for name, text in in_language(design, own).items()}
    fresh = in_language(design, language)

    def begun(texts: Texts) -> Texts:
        name = usual.get(texts.get(own, ""))
        return texts if name is None or texts.get(language) else {**texts, language: fresh[name]}

    def of_field(field: Field) -> Field:
        return msgspec.structs.replace(field, label=begun(field.label))

    blocks: list[Block] = []
    for block in design.blocks:
        match block:
            case Hero():
                blocks.append(Hero(title=begun(block.title), lead=begun(block.lead)))
            case Legal():
                blocks.append(Legal(body=begun(block.body)))
            case Otp():
                blocks.append(msgspec.structs.replace(block, button=begun(block.button)))
            case Success():
                told = msgspec.structs.replace(block, title=begun(block.title), body=begun(block.body))
                blocks.append(told)
            case Fields():
                blocks.append(Fields(fields=tuple(map(of_field, block.fields))))
            case _:
                blocks.append(block)
    return msgspec.structs.replace(design, blocks=tuple(blocks))
