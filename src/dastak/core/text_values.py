"""What a value must be like before it may stand in a text: names, hosts, app hashes, amounts.

1. A value never begins a line, opens a link or turns the direction of what follows it.
2. Nothing is cleaned: a value is taken as it is or refused, for a registered text must match exactly.
3. A name keeps to one script per word. Scripts are told by the names of letters, all the standard library
   knows; look-alikes within one script, or a name all in Cyrillic, are not found.
"""

import re
import unicodedata
from typing import Final

from dastak.core.errors import InvalidRequest

NAME_CHARACTERS_MAX: Final = 40
HOST_CHARACTERS_MAX: Final = 253  # RFC 1035, 2.3.4: 255 octets on the wire

# Scripts with letters that look Latin: what a forged name is made of.
_LATIN_LOOK_ALIKES: Final = frozenset({"CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "COPTIC", "LISU"})
# Scripts that are written together in one word (UTS 39, 5.1, table of augmented scripts).
_ONE_WRITING: Final = dict.fromkeys(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL"), "CJK")
_NAME_MARKS: Final = frozenset(" &.,'-+!/()@")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 &.,'\-+!/()@]*")
# Phones turn "name.tld" and dotted numbers into links by themselves; a space after the dot prevents it.
_LINK: Final = re.compile(r"[^\s.]\.[^\W\d_][^\s.]|\d+\.\d+\.\d+\.\d+")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")  # an IPv4 address ends in a number
_APP_HASH: Final = re.compile(r"[A-Za-z0-9+/]{11}")
_AMOUNT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,3})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_JOINERS: Final = "\u200c\u200d"
_VIRAMA: Final = 9  # canonical combining class


def check_name(field: str, value: str) -> str:
    """Return a brand or payee as it is.

    Raises:
        InvalidRequest: It is empty or too long; has a line break, a control, invisible or bidirectional
            character, a symbol or a doubled space; looks like a link; or mixes scripts as forged names do.
    """
    if not 1 <= len(value) <= NAME_CHARACTERS_MAX:
        raise InvalidRequest(f"`{field}` must have 1 to {NAME_CHARACTERS_MAX} characters.", field=field)
    if not _PLAIN_NAME.fullmatch(value):
        _check_characters(field, value)
        _check_scripts(field, value)
    if "  " in value or value[-1] == " ":
        raise InvalidRequest(f"`{field}` may not have two spaces together or one at its end.", field=field)
    if _LINK.search(value):
        raise InvalidRequest(
            f"`{field}` looks like a link; leave the address out or write a space after the dot.", field=field
        )
    return value


def check_host(field: str, value: str) -> str:
    """Return a host name that may stand in an autofill line.

    Raises:
        InvalidRequest: It is no lower-case ASCII host name with a dot (or `localhost`), or is punycode.

    Source: RFC 1123, section 2.1.
    """
    known = value == "localhost" or (len(value) <= HOST_CHARACTERS_MAX and _HOST.fullmatch(value))
    if not known:
        raise InvalidRequest(f"`{field}` must be a lower-case host name such as login.acme.in.", field=field)
    if value.startswith("xn--") or ".xn--" in value:
        raise InvalidRequest(f"`{field}` may not be punycode: nobody can read whose it is.", field=field)
    return value


def check_app_hash(field: str, value: str) -> str:
    """Return the hash by which Android hands a text to one app.

    Raises:
        InvalidRequest: It is not eleven characters of base64.
    """
    return _check_form(field, value, _APP_HASH, "the 11 characters of an Android app hash")


def check_amount(field: str, value: str) -> str:
    """Return a decimal amount, without sign, grouping or currency.

    Raises:
        InvalidRequest: It has another form.
    """
    return _check_form(field, value, _AMOUNT, "up to 12 digits, then perhaps a point and up to 3 digits")


def check_currency(field: str, value: str) -> str:
    """Return an ISO 4217 code.

    Raises:
        InvalidRequest: It is not three capital letters.
    """
    return _check_form(field, value, _CURRENCY, "three capital letters such as INR")


def _check_form(field: str, value: str, form: re.Pattern[str], words: str) -> str:
    if not form.fullmatch(value):
        raise InvalidRequest(f"`{field}` must be {words}.", field=field)
    return value


def _check_characters(field: str, value: str) -> None:
    """Refuse what is neither letter, mark of a letter, digit nor plain punctuation."""
    if not value[0].isalnum():
        raise InvalidRequest(f"`{field}` must begin with a letter or digit.", field=field)
    for place, char in enumerate(value):
        if char in _NAME_MARKS or (char in _JOINERS and _shapes(value, place)):
            continue
        category = unicodedata.category(char)
        disguised = unicodedata.normalize("NFKC", char) != unicodedata.normalize("NFC", char)
        if disguised or not (category[0] in "LM" or category == "Nd"):
            raise InvalidRequest(
                f"`{field}` may not have U+{ord(char):04X} (at character {place + 1}).", field=field
            )


def _shapes(value: str, place: int) -> bool:
    """Tell whether the joiner at `place` stands where Indic spelling needs it (RFC 5892, A.1 and A.2)."""
    return place > 0 and unicodedata.combining(value[place - 1]) == _VIRAMA


def _check_scripts(field: str, value: str) -> None:
    """Refuse two scripts in one word, and Latin beside a script of Latin shapes anywhere."""
    words = [{_script(char) for char in word if char.isalpha()} for word in value.split(" ")]
    scripts = set().union(*words)
    mixed = any(len(word) > 1 for word in words)
    if mixed or ("LATIN" in scripts and scripts & _LATIN_LOOK_ALIKES):
        names = " and ".join(sorted(scripts)).title()
        raise InvalidRequest(f"`{field}` mixes {names} letters, as forged names do.", field=field)


def _script(letter: str) -> str:
    script = unicodedata.name(letter, "UNKNOWN").split(" ", 1)[0]
    return _ONE_WRITING.get(script, script)
