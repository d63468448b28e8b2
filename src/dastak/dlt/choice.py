"""Choose the registered template for a text of one header, or explain why there is none.

1. A template that is named by its id is the only one that is tried.
2. Of several that match, one whose category suits codes comes first, then the one with the most fixed text.
3. If none matches, the one that comes nearest is explained: it would match if something invisible were
   mended, or agrees with the text for longest.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from dastak.dlt.chain import Chain, chain_value
from dastak.dlt.matcher import Mismatch, explain, fit
from dastak.dlt.readings import Span
from dastak.dlt.register import HEADER_CHARACTERS_MAX, ContentTemplate, Register, Standing, is_valid


class Reason(StrEnum):
    """Why no template was chosen."""

    HEADER_UNKNOWN = "header_unknown"
    HEADER_NOT_VALID = "header_not_valid"
    ENTITY_NOT_VALID = "entity_not_valid"
    NO_TEMPLATE = "no_template"
    TEMPLATE_UNKNOWN = "template_unknown"
    TEMPLATE_OF_ANOTHER_HEADER = "template_of_another_header"
    TEMPLATE_NOT_VALID = "template_not_valid"
    TEXT_DIFFERS = "text_differs"


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The template of a text.

    Attributes:
        spans: Where its variables stand in the text.
        values: What stands there; the code is one of them, so it is kept out of every `repr`.
    """

    template: ContentTemplate
    spans: tuple[Span, ...]
    values: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Chosen({self.template.template_id}, spans={self.spans})"

    def fields(self, chain: Chain | None) -> Mapping[str, str]:
        """Return what a scrubber wants to know, by the names that `Outgoing.dlt` has for it."""
        told = chain_value(chain) if chain is not None else None
        template = self.template
        return {
            "pe_id": template.pe_id,
            "template_id": template.template_id,
            "category": template.category,
            **({} if told is None else {"chain": told}),
            **{f"var{number}": value for number, value in enumerate(self.values, start=1)},
        }


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """No template can carry the text.

    Attributes:
        words: Why, and what to do, in plain words; no digit of the text and nothing of its code.
        nearest: The template that comes nearest, where the text is what is wrong.
        mismatch: How the text differs from it.
    """

    reason: Reason
    words: str
    nearest: ContentTemplate | None = None
    mismatch: Mismatch | None = None


# The nearest is looked for among so many; a header with more templates wants the id of the one that is meant.
EXPLAINED_MAX: Final = 50
_AGAIN: Final = "If the portal says otherwise, import its export again."


def choose(
    register: Register,
    *,
    header: str,
    text: str,
    today: date,
    template_id: str | None = None,
    code: str = "",
) -> Chosen | Unmatched:
    """Choose the template that carries a text.

    Args:
        register: The tenant's.
        header: The sender, as registered; case counts.
        text: Whole, as it would be sent.
        today: In India.
        template_id: The only one to try.
        code: Hidden in an explanation.
    """
    candidates = _candidates(register, header, template_id, today)
    if isinstance(candidates, Unmatched):
        return candidates
    for template in candidates:
        found = fit(register.pattern(template), text, whitelist=template.whitelist)
        if found is not None:
            return Chosen(template=template, spans=found.spans, values=found.values(text))
    explained = [
        (template, explain(register.pattern(template), text, whitelist=template.whitelist, code=code))
        for template in candidates[:EXPLAINED_MAX]
    ]
    nearest, mismatch = max(explained, key=lambda pair: (bool(pair[1].culprits), pair[1].place))
    return Unmatched(
        reason=Reason.TEXT_DIFFERS,
        words=f"The text is none of template {nearest.template_id}. {mismatch.sentence}",
        nearest=nearest,
        mismatch=mismatch,
    )


def _candidates(
    register: Register, header: str, template_id: str | None, today: date
) -> Sequence[ContentTemplate] | Unmatched:
    """Return the templates to try, in order; at least one."""
    sender = register.header_by_name.get(header)
    if sender is None:
        words = f"The header `{header[:HEADER_CHARACTERS_MAX]}` is not in the register; capitals count."
        return Unmatched(reason=Reason.HEADER_UNKNOWN, words=words)
    if not is_valid(sender.standing, sender.valid_until, today):
        words = f"The header `{header}` is {_state(sender.standing)}. {_AGAIN}"
        return Unmatched(reason=Reason.HEADER_NOT_VALID, words=words)
    entity = register.entity_by_id[sender.pe_id]
    if not is_valid(entity.standing, None, today):
        words = f"The entity {entity.pe_id} is {entity.standing}. {_AGAIN}"
        return Unmatched(reason=Reason.ENTITY_NOT_VALID, words=words)
    found = register.templates_by_header.get((sender.pe_id, header), ())
    if template_id is not None:
        found = tuple(template for template in found if template.template_id == template_id)
    if not found:
        return _none_found(register, header, template_id)
    valid = [template for template in found if is_valid(template.standing, template.valid_until, today)]
    if not valid:
        first = found[0]
        words = f"Template {first.template_id} is {_state(first.standing)}. {_AGAIN}"
        return Unmatched(reason=Reason.TEMPLATE_NOT_VALID, words=words, nearest=first)
    return valid


def _none_found(register: Register, header: str, template_id: str | None) -> Unmatched:
    if template_id is None:
        words = f"The header `{header}` has no template. Register one, then import it."
        return Unmatched(reason=Reason.NO_TEMPLATE, words=words)
    other = register.template_by_id.get(template_id)
    if other is None:
        words = f"Template {template_id[:25]} is not in the register. {_AGAIN}"
        return Unmatched(reason=Reason.TEMPLATE_UNKNOWN, words=words)
    words = f"Template {template_id} is registered for the header `{other.header}`, not for `{header}`."
    return Unmatched(reason=Reason.TEMPLATE_OF_ANOTHER_HEADER, words=words, nearest=other)


def _state(standing: Standing) -> str:
    return "past its last day" if standing is Standing.ACTIVE else standing
