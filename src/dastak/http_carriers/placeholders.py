"""Fill the texts of a profile: `{name}` is a field of the message, `{name|filter}` the same in another form.

1. A text with a field that the message does not have is no text: what it stands for is left out.
2. What is filled in is never read again: braces in a message mean nothing.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import quote

from dastak.core.msisdn import parse

# What every profile may ask of a message and its carrier; a profile's own options come on top.
FIELDS: Final = (
    "msisdn",
    "country",
    "text",
    "code",
    "sender",
    "ttl",
    "own_id",
    "callback_url",
    "account",
    "secret",
    "pe_id",
    "template_id",
    "chain",
    "category",
    "variables",
    *(f"var{number}" for number in range(1, 10)),
)
# What stands in for the text, where a carrier fills in a template of its own.
CONTENTS: Final = ("code", "variables", *(name for name in FIELDS if name.startswith("var")))

_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)(?:\|([a-z0-9_]+))?\}")
_BRACE: Final = re.compile(r"[{}]")


def _national(msisdn: str) -> str:
    """Return a number without its country code, for carriers of one country."""
    return msisdn.removeprefix(f"+{parse(msisdn).calling_code}")


FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "digits": lambda value: value.removeprefix("+"),
    "national": _national,
    "int": lambda value: str(int(value)),
    "upper": str.upper,
    "lower": str.lower,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "hex_ucs2": lambda value: value.encode("utf-16-be").hex().upper(),
    "urlencode": lambda value: quote(value, safe=""),
}


def check_template(where: str, template: str, names: tuple[str, ...]) -> None:
    """Refuse a text with a field or filter that nobody knows, and name the nearest that is known.

    Raises:
        ValueError: As said; `where` is repeated in it.
    """
    if _BRACE.search(_PLACE.sub("", template)):
        raise ValueError(f"{where}: a field is written {{name}} or {{name|filter}}, in lower-case letters")
    for name, filtered in _PLACE.findall(template):
        if name not in names:
            raise ValueError(f"{where}: there is no field `{name}`.{nearest(name, names)}")
        if filtered and filtered not in FILTERS:
            raise ValueError(f"{where}: there is no filter `{filtered}`.{nearest(filtered, FILTERS)}")


def nearest(name: str, known: Any) -> str:
    """Return a hint at what was probably meant; empty when nothing is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean `{near[0]}`?" if near else ""


def names_in(template: str) -> Iterator[str]:
    """Yield the fields a text takes."""
    return (name for name, _ in _PLACE.findall(template))


def fill(template: str, values: Mapping[str, str], *, safe: Callable[[str], str] = str) -> str | None:
    """Fill a text; None when a field it takes is empty.

    Args:
        template: A checked one.
        values: The fields.
        safe: Applied to every value before it is put in, such as an encoding for URLs.
    """
    if not all(values.get(name) for name in names_in(template)):
        return None
    return _PLACE.sub(lambda found: safe(_form(values[found[1]], found[2])), template)


def fill_json(template: str, values: Mapping[str, str]) -> str | int | None:
    """Fill a text of a JSON body: one that is nothing but `{name|int}` becomes a number."""
    filled = fill(template, values)
    whole = _PLACE.fullmatch(template)
    return int(filled) if filled is not None and whole and whole[2] == "int" else filled


def _form(value: str, filtered: str | None) -> str:
    return FILTERS[filtered](value) if filtered else value
