"""Say of a text or a template, before anybody sends it, what a scrubber or a phone would make of it.

Source: rules of the portals as their users know them; see docs/how-to/go-live-in-india.md.
"""

import re
from datetime import datetime
from typing import Final

import msgspec

from dastak.core.codes import Alphabet
from dastak.dlt.choice import Chosen, choose
from dastak.dlt.register import FOR_CODES, ContentTemplate, Register
from dastak.dlt.registers import INDIA
from dastak.dlt.template_tags import Kind

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


def lint_text(register: Register, *, header: str, text: str, now: datetime) -> Finding:
    """Hold a text against a register as `start` would."""
    chosen = choose(register, header=header, text=text, today=now.astimezone(INDIA).date())
    if isinstance(chosen, Chosen):
        template = chosen.template
        return Finding(
            matched=True, template_id=template.template_id, advice=lint_template(register, template)
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
    register: Register, template: ContentTemplate, *, alphabet: Alphabet | None = None
) -> tuple[str, ...]:
    """Return what should be otherwise in a template that is to carry codes; nothing is the best answer.

    Args:
        register: Where it stands.
        template: As registered.
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
    return tuple(advice)


def caret(text: str, place: int) -> str:
    """Return two lines for a terminal: the text about a place, digits as stars, and a mark below it."""
    begin = max(0, place - SHOWN_BEFORE)
    shown = _DIGITS.sub("*", text[begin : place + SHOWN_BEFORE])
    shown = "".join(character if character.isprintable() else "·" for character in shown)
    return f"{shown}\n{' ' * (place - begin)}^"
