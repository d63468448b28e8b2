"""Say of a text or a template, before anybody sends it, what a scrubber or a phone would make of it.

Source: rules of the portals as their users know them; see docs/how-to/go-live-in-india.md.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from dastak.core.codes import Alphabet
from dastak.dlt.choice import Chosen, choose
from dastak.dlt.register import FOR_CODES, ContentTemplate, Register
from dastak.dlt.registers import INDIA
from dastak.dlt.template_tags import Kind, Pattern

# A request has 16 KiB at most, and a long text in Hindi takes six of them.
LINT_TEXTS_MAX: Final = 10
# What a text shows of itself before and at the place where it differs.
SHOWN_BEFORE: Final = 40

_DIGITS: Final = re.compile(r"[0-9]")
_DOMAIN_LINE: Final = re.compile(r"(?:^|\n)@([^\s#]*)")
_LINK: Final = re.compile(r"https?://|www\.", re.IGNORECASE)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the register says of one text.

    Attributes:
        matched: Whether a template carries it.
        template_id: That template, or the one that comes nearest.
        reason: Why none does.
        words: The same in a sentence, with what to do.
        place: The first character that differs, from 0.
        expected: What should stand there.
        found: What stands there, with stars for digits.
        culprits: Differences nobody sees that, mended, would make it match.
        advice: What matches and still should be otherwise.
    """

    matched: bool
    template_id: str | None = None
    reason: str | None = None
    words: str = ""
    place: int | None = None
    expected: str | None = None
    found: str | None = None
    culprits: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def lint_text(
    register: Register, *, header: str, text: str, now: datetime, parts: Callable[[str], int]
) -> Finding:
    """Hold a text against a register as `start` would.

    Args:
        register: The tenant's.
        header: The sender, as registered.
        text: Whole, as it would be sent.
        now: Tells what is valid.
        parts: Counts the short messages a text takes.
    """
    chosen = choose(register, header=header, text=text, today=now.astimezone(INDIA).date())
    if isinstance(chosen, Chosen):
        template = chosen.template
        return Finding(
            matched=True,
            template_id=template.template_id,
            advice=lint_template(register, template, parts=parts),
        )
    mismatch = chosen.mismatch
    nearest = None if chosen.nearest is None else chosen.nearest.template_id
    if mismatch is None:
        return Finding(matched=False, template_id=nearest, reason=chosen.reason, words=chosen.words)
    return Finding(
        matched=False,
        template_id=nearest,
        reason=chosen.reason,
        words=chosen.words,
        place=mismatch.place,
        expected=mismatch.expected,
        found=mismatch.found,
        culprits=mismatch.culprits,
    )


def lint_template(
    register: Register,
    template: ContentTemplate,
    *,
    parts: Callable[[str], int],
    alphabet: Alphabet | None = None,
) -> tuple[str, ...]:
    """Return what should be otherwise in a template that is to carry codes; nothing is the best answer.

    Args:
        register: Where it stands.
        template: As registered.
        parts: Counts the short messages a text takes.
        alphabet: Of the codes it is to carry, where that is known.
    """
    pattern = register.pattern(template)
    kinds = [variable.kind for variable in pattern.variables]
    fixed = "".join(pattern.fixed)
    advice = []
    if template.category not in FOR_CODES:
        advice.append(
            f"Its category is {template.category}: codes are service_implicit, or transactional at banks."
        )
    if not kinds:
        advice.append("It has no variable, so it can carry no code.")
    if Kind.VAR in kinds:
        advice.append(
            "A variable has no type: since January 2026 new templates need typed ones, such as {#numeric#}."
        )
    if alphabet is Alphabet.ALPHANUMERIC and not {Kind.ALPHANUMERIC, Kind.VAR} & set(kinds):
        advice.append("Codes with letters need {#alphanumeric#}; {#numeric#} takes digits only.")
    if _LINK.search(fixed) or {Kind.URL, Kind.URLOTT} & set(kinds):
        advice.append("It has a link: a code needs none, and one that is not whitelisted stops the text.")
    if any("@" in piece and _DOMAIN_LINE.search(piece) and piece.endswith("@") for piece in pattern.fixed):
        advice.append("The host after @ is a variable: browsers and scrubbers want it as fixed text.")
    return (*advice, *_unseen(pattern, parts))


def _unseen(pattern: Pattern, parts: Callable[[str], int]) -> tuple[str, ...]:
    """Return what nobody sees in a template until a phone or a bill shows it."""
    advice = []
    fixed, variables = pattern.fixed, pattern.variables
    if variables and not fixed[-1] and fixed[-2].endswith("\n"):
        advice.append(
            "Its last line is a variable: Android's hash may have + and /, and stands as fixed text."
        )
    if any(unicodedata.normalize("NFC", piece) != piece for piece in fixed):
        advice.append(
            "Some letters are written with separate accents (NFD): they match nothing typed as usual."
        )
    count = parts(pattern.fill(["0" * variable.characters_max for variable in variables]))
    if count > 1:
        advice.append(f"With its longest values it takes {count} short messages, each of which is paid for.")
    return tuple(advice)


def caret(text: str, place: int) -> str:
    """Return two lines for a terminal: the text about a place, digits as stars, and a mark below it."""
    begin = max(0, place - SHOWN_BEFORE)
    shown = _DIGITS.sub("*", text[begin : place + SHOWN_BEFORE])
    shown = "".join(character if character.isprintable() else "·" for character in shown)
    return f"{shown}\n{' ' * (place - begin)}^"
