"""The text of a one-time code: in thirteen languages or from a template, with the autofill lines after it.

1. A value is put in once and never read as a template again.
2. A text has no line but its own and ours; the origin-bound line is the last.
3. A built-in text is the first of its language's wordings (full, full with shorter words, short) that take
   the fewest parts together with the lines. "Do not share" is in the full ones only. Anything beyond ASCII
   counts as UCS-2, which errs to the shorter wording (`é` would have fitted GSM 7-bit).

Source: WICG Origin-bound one-time codes; Android SMS Retriever (11-character hash, 140 octets in all).
"""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec
import msgspec.toml

from dastak.core.errors import InvalidRequest, TemplateMismatch
from dastak.core.text_values import check_amount, check_app_hash, check_currency, check_host, check_name

PLACEHOLDERS: Final = frozenset({"code", "brand", "minutes", "purpose", "amount", "payee"})
TEMPLATE_CHARACTERS_MAX: Final = 2000  # what a DLT portal takes
MINUTES_MAX: Final = 60
LANGUAGE_TAG_CHARACTERS_MAX: Final = 35  # RFC 5646, 4.4.1: no real tag needs more

# What a part holds, alone and of several, in septets and UTF-16 units; `sms/segments.py` has the reasons.
_ASCII_ROOM: Final = (160, 153)
_RETRIEVER_ROOM: Final = (140, 153)  # Android's SMS Retriever reads no more octets
_UCS2_ROOM: Final = (70, 67)

_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Purpose(StrEnum):
    """What a code is for, as its text says."""

    LOGIN = "login"
    SIGNUP = "signup"
    PAYMENT = "payment"
    RESET = "reset"
    GENERIC = "generic"


class Template(msgspec.Struct, frozen=True):
    """A text with places for values, parsed once.

    Attributes:
        pieces: Literal text at even places, names of `PLACEHOLDERS` at odd ones.
    """

    pieces: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """Put the values in their places.

        Raises:
            TemplateMismatch: There is no value for a place.
        """
        filled = list(self.pieces)
        try:
            filled[1::2] = [values[name] for name in filled[1::2]]
        except KeyError as error:
            name = error.args[0]
            raise TemplateMismatch(f"The template needs `{name}`, which was not given.", field=name) from None
        return "".join(filled)


class _Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language of `texts/sms_texts.toml`, which says what each text is for."""

    script: str  # ISO 15924
    full: str
    short: str
    payment: str
    payment_short: str
    words: dict[str, str]
    short_words: dict[str, str] = {}


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a text says but the code; one that exists is fit to be sent.

    Attributes:
        locale: One of `LOCALES`; see `best_locale`.
        purpose: One of `Purpose`. A payment shows what is paid, so that nobody confirms another transaction.
        minutes: How long the code lives, 1 to 60.
        amount: As the caller bound it; never rounded or grouped.
        domain: The page's host, for the origin-bound line.
        app_hash: The Android app's, for the SMS Retriever.

    Raises:
        InvalidRequest: A value may not stand in a text; `field` names it.
    """

    locale: str
    brand: str
    purpose: str
    minutes: int
    amount: str | None = None
    currency: str | None = None
    payee: str | None = None
    domain: str | None = None
    app_hash: str | None = None

    def __post_init__(self) -> None:
        if self.locale not in _WORDINGS:
            raise InvalidRequest(f"`locale` must be one of {', '.join(LOCALES)}.", field="locale")
        if self.purpose not in _PURPOSES:
            raise InvalidRequest(f"`purpose` must be one of {', '.join(Purpose)}.", field="purpose")
        if not 1 <= self.minutes <= MINUTES_MAX:
            raise InvalidRequest(f"`minutes` must be 1 to {MINUTES_MAX}.", field="minutes")
        check_name("brand", self.brand)
        _check_transaction(self)
        if self.domain is not None:
            check_host("domain", self.domain)
        if self.app_hash is not None:
            check_app_hash("app_hash", self.app_hash)


def parse_template(text: str) -> Template:
    """Parse a text with `{code}`, `{brand}`, `{minutes}`, `{purpose}`, `{amount}`, `{payee}`.

    Raises:
        TemplateMismatch: It is too long, has no `{code}`, a brace that opens no such place, or a character no
            phone shows.
    """
    if len(text) > TEMPLATE_CHARACTERS_MAX:
        raise TemplateMismatch(f"A template has at most {TEMPLATE_CHARACTERS_MAX} characters.")
    pieces = tuple(_PLACEHOLDER.split(text))
    place = 0
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            _check_literal(piece, place)
        elif piece not in PLACEHOLDERS:
            raise TemplateMismatch(f"`{{{piece}}}` at character {place + 1} is no placeholder.")
        place += len(piece) + 2 * (index % 2)
    if "code" not in pieces[1::2]:
        raise TemplateMismatch("A template needs `{code}`.", field="code")
    return Template(pieces)


def render(wording: Wording, code: str, *, template: Template | None = None) -> str:
    """Write the whole text of a message.

    Args:
        wording: What to say.
        code: Letters and digits, from the engine and nobody else.
        template: Instead of the built-in texts, and whatever it measures. One registered with DLT holds its
            autofill lines itself; give it a wording without `domain` and `app_hash`.

    Raises:
        TemplateMismatch: The template needs an amount or payee and the wording has none.
    """
    assert code.isascii()
    assert code.isalnum()
    values = {"code": code, "brand": wording.brand, "minutes": str(wording.minutes)}
    if wording.amount is not None and wording.payee is not None:
        values["amount"] = f"{wording.currency} {wording.amount}"
        values["payee"] = wording.payee
    lines = _autofill_lines(wording, code)
    if template is not None:
        values["purpose"] = _LANGUAGES[wording.locale].words[wording.purpose]
        return template.fill(values) + lines
    said = "".join(values.values()) + lines
    ascii_only = said.isascii()
    units = len(said) if ascii_only else len(said.encode("utf-16-be")) // 2
    chosen = _choose(wording.locale, wording.purpose, units, ascii_only, wording.app_hash is not None)
    return chosen.fill(values) + lines


def best_locale(tag: str) -> str:
    """Choose the language of `LOCALES` for a language tag, in any case, with `-` or `_`.

    Returns:
        The tag's own language, or `en` if there is none or it is written in another script (`hi-Latn`,
        `pa-Arab`): compare to learn whether the wish was met, and tell the caller which it became.

    Source: RFC 5646, section 2.1.
    """
    if len(tag) > LANGUAGE_TAG_CHARACTERS_MAX:
        return "en"
    subtags = tag.replace("_", "-").lower().split("-")
    language = _LANGUAGES.get(subtags[0])
    if language is None:
        return "en"
    script = subtags[1] if len(subtags) > 1 and len(subtags[1]) == 4 and subtags[1].isalpha() else None
    return subtags[0] if script in (None, language.script.lower()) else "en"


def _autofill_lines(wording: Wording, code: str) -> str:
    app_hash = "" if wording.app_hash is None else f"\n{wording.app_hash}"
    return app_hash if wording.domain is None else f"{app_hash}\n@{wording.domain} #{code}"


@lru_cache(maxsize=4096)  # keyed by sizes: few, and nothing of a person
def _choose(locale: str, purpose: str, units: int, ascii_only: bool, to_app: bool) -> Template:
    """Return the first wording of the fewest parts, when its values and lines take `units`."""

    def parts(template: Template) -> int:
        literal = "".join(template.pieces[::2])
        alone, part = _UCS2_ROOM
        if ascii_only and literal.isascii():  # checked values and our texts have no two-septet characters
            alone, part = _RETRIEVER_ROOM if to_app else _ASCII_ROOM
        total = units + len(literal)
        return 1 if total <= alone else max(2, math.ceil(total / part))

    return min(_WORDINGS[locale][purpose], key=parts)


def _check_literal(piece: str, place: int) -> None:
    for offset, char in enumerate(piece):
        if char in "{}" or _UNPRINTABLE.match(char):
            shown = f"`{char}`" if char in "{}" else f"U+{ord(char):04X}"
            raise TemplateMismatch(f"{shown} at character {place + offset + 1} may not stand in a template.")


def _check_transaction(wording: Wording) -> None:
    """Refuse a payment that does not show what is paid, and what other texts would not show."""
    given = {"amount": wording.amount, "currency": wording.currency, "payee": wording.payee}
    for field, value in given.items():
        if (value is None) is (wording.purpose == Purpose.PAYMENT):
            rule = "needs" if value is None else "may not have"
            raise InvalidRequest(f"A text for `{wording.purpose}` {rule} `{field}`.", field=field)
    if wording.amount is not None and wording.currency is not None and wording.payee is not None:
        check_amount("amount", wording.amount)
        check_currency("currency", wording.currency)
        check_name("payee", wording.payee)


def _wordings(language: _Language) -> Mapping[str, tuple[Template, ...]]:
    """Return each purpose's wordings in the order they are tried."""
    short_words = language.words | language.short_words
    wordings = {}
    for purpose, word in language.words.items():
        pays = purpose == Purpose.PAYMENT
        full, short = (language.payment, language.payment_short) if pays else (language.full, language.short)
        texts = (
            full.replace("{purpose}", word),
            full.replace("{purpose}", short_words[purpose]),
            short.replace("{purpose}", short_words[purpose]),
        )
        wordings[purpose] = tuple(parse_template(text) for text in dict.fromkeys(texts))
    return wordings


_LANGUAGES: Final = msgspec.toml.decode(
    (files("dastak.core") / "texts" / "sms_texts.toml").read_bytes(), type=dict[str, _Language]
)
LOCALES: Final = tuple(_LANGUAGES)
_WORDINGS: Final = {locale: _wordings(language) for locale, language in _LANGUAGES.items()}
_PURPOSES: Final = frozenset(purpose.value for purpose in Purpose)
assert all(language.words.keys() == _PURPOSES for language in _LANGUAGES.values())

# `_choose` adds up sizes: each wording has each of its values once.
_SAID: Final = ["brand", "code", "minutes"]
assert all(
    sorted(template.pieces[1::2]) == sorted(_SAID + ["amount", "payee"] * (purpose == Purpose.PAYMENT))
    for wordings in _WORDINGS.values()
    for purpose, templates in wordings.items()
    for template in templates
)
