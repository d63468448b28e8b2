"""What pages say, in thirteen languages, and which of them a reader gets."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec.toml

from dastak.core.msisdn import Msisdn, parse

LANGUAGE_DEFAULT: Final = "en"
# In their own names, for a reader looks for the word of the own language.
LANGUAGES: Final[Mapping[str, str]] = {
    "en": "English",
    "hi": "हिन्दी",
    "bn": "বাংলা",
    "te": "తెలుగు",
    "mr": "मराठी",
    "ta": "தமிழ்",
    "gu": "ગુજરાતી",
    "kn": "ಕನ್ನಡ",
    "ml": "മലയാളം",
    "pa": "ਪੰਜਾਬੀ",
    "or": "ଓଡ଼ିଆ",
    "as": "অসমীয়া",
    "ur": "اردو",
}
DIRECTIONS: Final[Mapping[str, str]] = {"ur": "rtl"}
# The countries where nine of ten people use one of our languages, and it is official. India is not among
# them, for no language of it has more than four of ten: there the service's own language stands.
# Source: Unicode CLDR, supplemental data, `territoryInfo`, as Babel 2.19 carries it.
HOME_LANGUAGES: Final[Mapping[str, str]] = {
    "BD": "bn",
    "PK": "ur",
    **dict.fromkeys(
        (
            *("AI", "AU", "BB", "BM", "BS", "CK", "DG", "DM", "FJ", "GB", "GD", "GG", "GS", "GU", "GY", "IE"),
            *("IM", "IO", "JE", "JM", "KI", "KN", "KY", "LC", "MH", "MP", "NF", "NR", "NZ", "PN", "SB", "TC"),
            *("UM", "US", "VC", "VG"),
        ),
        "en",
    ),
}
# A browser names a few; who sends more is no browser.
ACCEPTED_MAX: Final = 20
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")


class Words:
    """The sentences of one language.

    Args:
        language: Its tag, one of `LANGUAGES`.
        sentences: By their names; each may have places such as `{left}`.
    """

    __slots__ = ("_sentences", "language")

    def __init__(self, language: str, sentences: Mapping[str, str]) -> None:
        self.language = language
        self._sentences = sentences

    def say(self, name: str, **values: object) -> str:
        """Return a sentence with its places filled.

        Raises:
            KeyError: There is no such sentence, or a place has no value; the tests find both.
        """
        return _PLACE.sub(lambda place: str(values[place[1]]), self._sentences[name])


@cache
def words_of(language: str) -> Words:
    """Return the sentences of a language of `LANGUAGES`."""
    text = files("dastak.web").joinpath("words", f"{language}.toml").read_text(encoding="utf-8")
    return Words(language, msgspec.toml.decode(text, type=dict[str, str]))


def choose_language(
    asked: str | None, accepted: str | None, *, offered: Sequence[str] = tuple(LANGUAGES), fallback: str
) -> str:
    """Choose what a reader gets: what was asked for, else what the browser prefers, else the page's own.

    Args:
        asked: Chosen on the page, or said by who sent the reader here.
        accepted: The header Accept-Language.
        offered: The languages of the page.
        fallback: The page's own language.

    Source: RFC 9110, section 12.5.4.
    """
    if asked is not None and asked in offered:
        return asked
    weighed = []
    for place, part in enumerate((accepted or "").split(",")[:ACCEPTED_MAX]):
        tag, _, weight = part.strip().partition(";")
        primary = tag.partition("-")[0].strip().lower()
        if primary in offered:
            weighed.append((-_weight(weight), place, primary))
    best = min(weighed, default=None)
    return fallback if best is None or best[0] == 0 else best[2]


def home_language(msisdn: Msisdn, *, fallback: str) -> str:
    """Return what people read where a number is at home, or the page's own language."""
    return HOME_LANGUAGES.get(parse(msisdn).country, fallback)


def _weight(parameter: str) -> float:
    name, _, figure = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    return float(figure) if re.fullmatch(r"[01](\.[0-9]{0,3})?", figure.strip()) else 0.0
