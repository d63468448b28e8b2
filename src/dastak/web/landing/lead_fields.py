"""What a visitor typed, read by the fields of the page: the answers, or the field that is at fault.

1. Only what the page asks for is read; all else in a form is dropped.
2. Every value is one line without control and direction characters, and bounded.
3. Who fills the field that nobody sees is no person.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

import msgspec

from dastak.core.errors import InvalidMsisdn
from dastak.core.landing import Consent
from dastak.core.msisdn import Msisdn, parse
from dastak.web.landing.design import UTM_NAMES, Design, Field, FieldKind, fields_of, say, text_version

# A name that programs fill in and people never see.
TRAP: Final = "website"
VALUE_CHARACTERS_MAX: Final = 300
UTM_CHARACTERS_MAX: Final = 100
TICKED: Final = "yes"
# RFC 5321 bounds an address; whether it is real only a letter to it could tell.
_PART: Final = r"[^@\s\"(),:;<>\[\]\\.]"
_EMAIL: Final = re.compile(rf"(?:{_PART}|\.){{1,64}}@{_PART}+(?:\.{_PART}+)+")
_EMAIL_CHARACTERS_MAX: Final = 254


class Flaw(msgspec.Struct, frozen=True):
    """A field that must be filled in otherwise; `sentence` is a name in words/*.toml."""

    field: str
    label: str
    sentence: str


class Answers(msgspec.Struct, frozen=True):
    """What was typed, by the names of the fields.

    Attributes:
        msisdn: None when the number is at fault.
    """

    values: Mapping[str, str]
    msisdn: Msisdn | None
    flaws: tuple[Flaw, ...]


def read_answers(design: Design, form: Mapping[str, str], *, language: str, region: str) -> Answers:
    """Read a form.

    Args:
        design: The page that was shown.
        form: As the browser sent it.
        language: The visitor's.
        region: The country of a number without a country code, as an ISO code.
    """
    values: dict[str, str] = {}
    flaws: list[Flaw] = []
    msisdn: Msisdn | None = None
    for field in fields_of(design):
        value = one_line(form.get(field.name, ""))
        sentence = _fault(field, value)
        if field.kind is FieldKind.PHONE and sentence is None:
            msisdn = _number(value, region)
            sentence = "landing_number" if msisdn is None else None
        if sentence is not None:
            flaws.append(Flaw(field.name, say(field.label, language, design), sentence))
        values[field.name] = value
    return Answers(values, msisdn, tuple(flaws))


def kept_values(design: Design, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return answers as they are kept: a choice by its words in the page's own language, the number apart."""
    own = design.languages[0]
    kept = {}
    for field in fields_of(design):
        value = values.get(field.name, "")
        if field.kind is FieldKind.PHONE or not value:
            continue
        if field.kind is FieldKind.SELECT:
            value = say(field.options[int(value) - 1], own, design)
        kept[field.name] = value
    return kept


def typed_again(design: Design, kept: Mapping[str, str]) -> Mapping[str, str]:
    """Return answers that were kept as a form holds them, which is a choice by its number."""
    typed = dict(kept)
    for field in fields_of(design):
        if field.kind is FieldKind.SELECT and field.name in kept:
            offered = [say(option, design.languages[0], design) for option in field.options]
            there = kept[field.name] in offered
            typed[field.name] = str(offered.index(kept[field.name]) + 1) if there else ""
    return typed


def is_trapped(form: Mapping[str, str]) -> bool:
    """Say whether a program filled this in."""
    return bool(form.get(TRAP, "").strip())


def consents_of(
    design: Design,
    values: Mapping[str, str],
    *,
    language: str,
    at: datetime,
    ip_digest: str,
    page_version: int,
) -> tuple[Consent, ...]:
    """Return the record of what was agreed to."""
    given = []
    for field in fields_of(design):
        if field.kind is FieldKind.CONSENT and values.get(field.name) == TICKED:
            text = say(field.label, language, design)
            given.append(
                Consent(
                    field=field.name,
                    text=text,
                    text_version=text_version(text),
                    language=language,
                    at=at,
                    ip_digest=ip_digest,
                    page_version=page_version,
                )
            )
    return tuple(given)


def campaign(query: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the link of a campaign says, and nothing else of an address."""
    return {name: one_line(query[name])[:UTM_CHARACTERS_MAX] for name in UTM_NAMES if name in query}


def campaign_tail(values: Mapping[str, str]) -> str:
    """Return what an address of the same page says of a campaign, behind its other parameters."""
    return "".join(f"&{name}={quote(values[name], safe='')}" for name in UTM_NAMES if values.get(name))


def one_line(text: str) -> str:
    """Return a text without what no reader sees, in one line, at most `VALUE_CHARACTERS_MAX` long."""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" and c not in "\u200c\u200d" else c for c in text)
    return " ".join(kept.split())[:VALUE_CHARACTERS_MAX]


def _fault(field: Field, value: str) -> str | None:
    """Return the sentence that says what is wrong with a value."""
    if not value:
        needed = field.required and field.kind is not FieldKind.HIDDEN
        unticked = field.kind in (FieldKind.CHECKBOX, FieldKind.CONSENT)
        return ("landing_tick" if unticked else "landing_missing") if needed else None
    if field.kind is FieldKind.EMAIL:
        right = len(value) <= _EMAIL_CHARACTERS_MAX and _EMAIL.fullmatch(value)
        return None if right else "landing_email"
    if field.kind is FieldKind.SELECT:
        offered = {str(n) for n in range(1, len(field.options) + 1)}
        return None if value in offered else "landing_missing"
    if field.kind in (FieldKind.CHECKBOX, FieldKind.CONSENT):
        return None if value == TICKED else "landing_tick"
    return None


def _number(value: str, region: str) -> Msisdn | None:
    try:
        return parse(value, default_region=region).msisdn
    except InvalidMsisdn:
        return None
