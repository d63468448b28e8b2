"""What a tenant registered with the DLT platforms, as one record: entities, headers, templates, chains.

1. A register that exists is whole: every header and template is of an entity in it, and no id stands twice.
2. A header is case sensitive, and a template has one header (TRAI's direction of August 2024).
3. Nothing here is asked of a portal: it is what the operator says the portals say.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.core.errors import InvalidRequest
from dastak.core.template import TEMPLATE_CHARACTERS_MAX
from dastak.dlt.chain import Chain, check_dlt_id
from dastak.dlt.readings import Whitelist
from dastak.dlt.template_tags import LENGTHS, Lengths, Pattern, Platform, parse_registered

ENTITIES_MAX: Final = 50
HEADERS_MAX: Final = 500
TEMPLATES_MAX: Final = 2000
CHAINS_MAX: Final = 500
HEADER_CHARACTERS_MAX: Final = 11
NAME_CHARACTERS_MAX: Final = 200

_Name = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX)]
_Text = Annotated[str, Meta(min_length=1, max_length=TEMPLATE_CHARACTERS_MAX)]


class Category(StrEnum):
    """What a template is registered as; it decides whom its texts may reach, and when."""

    TRANSACTIONAL = "transactional"  # an OTP for a payment at a bank
    SERVICE_IMPLICIT = "service_implicit"  # every other code
    SERVICE_EXPLICIT = "service_explicit"  # needs consent
    PROMOTIONAL = "promotional"  # needs consent, and only by day


# Scrubbed for entity, header and template alone: neither preference nor hour matters.
FOR_CODES: Final = (Category.SERVICE_IMPLICIT, Category.TRANSACTIONAL)


class Standing(StrEnum):
    """What a portal says of an entry; only an active one can be used."""

    ACTIVE = "active"
    PENDING = "pending"
    INACTIVE = "inactive"
    REJECTED = "rejected"
    BLACKLISTED = "blacklisted"


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A principal entity: who sends."""

    pe_id: str
    name: _Name = ""
    standing: Standing = Standing.ACTIVE

    def __post_init__(self) -> None:
        check_dlt_id("pe_id", self.pe_id)


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sender name; `valid_until` is its last day where the portal gives one."""

    name: str
    pe_id: str
    standing: Standing = Standing.ACTIVE
    valid_until: date | None = None

    def __post_init__(self) -> None:
        check_header("header", self.name)


class ContentTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered text.

    Attributes:
        text: With typed variables where the kinds are known, else as registered.
        types: The kinds of the `{#var#}` of the text, where a platform keeps them beside it.
        forms: The text as single platforms have it, where that is another; the same but for its tags.
        lengths: What its variables may have, where it is not what the register says.
        whitelist: What its links and numbers may be; None takes any.
        approved_on: When the portal approved it, where it says so.
    """

    template_id: str
    pe_id: str
    header: str
    category: Category
    text: _Text
    name: _Name = ""
    types: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    forms: dict[Platform, _Text] = {}
    lengths: Lengths | None = None
    whitelist: Whitelist | None = None
    standing: Standing = Standing.ACTIVE
    approved_on: date | None = None
    valid_until: date | None = None

    def __post_init__(self) -> None:
        check_dlt_id("template_id", self.template_id)
        check_dlt_id("pe_id", self.pe_id)
        check_header("header", self.header)
        pattern = parse_registered(self.text, types=self.types)
        for platform, form in self.forms.items():
            if parse_registered(form).fixed != pattern.fixed:
                raise InvalidRequest(
                    f"Template {self.template_id} has another fixed text at {platform}: that is another "
                    "template.",
                    field="forms",
                )


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """All that one tenant registered.

    Attributes:
        lengths: What variables may have, where a template says nothing else.
        spaced: Whether an alphanumeric variable may have spaces; sources disagree.

    Raises:
        InvalidRequest: An id stands twice, or an entry is of an entity that is not here; `field` names where.
    """

    entities: tuple[Entity, ...] = ()
    headers: tuple[Header, ...] = ()
    templates: tuple[ContentTemplate, ...] = ()
    chains: tuple[Chain, ...] = ()
    lengths: Lengths = LENGTHS
    spaced: bool = False

    def __post_init__(self) -> None:
        for field, most in _BOUNDS.items():
            if len(getattr(self, field)) > most:
                raise InvalidRequest(f"A register has at most {most} {field}.", field=field)
        _check_once("entities", (entity.pe_id for entity in self.entities))
        _check_once("headers", (header.name for header in self.headers))
        _check_once("templates", (template.template_id for template in self.templates))
        _check_once("chains", (f"{chain.pe_id} on {chain.route}" for chain in self.chains))
        known = {entity.pe_id for entity in self.entities}
        for field, entries in (
            ("headers", self.headers),
            ("templates", self.templates),
            ("chains", self.chains),
        ):
            strange = next((entry.pe_id for entry in entries if entry.pe_id not in known), None)
            if strange is not None:
                raise InvalidRequest(f"There is no entity {strange} in the register.", field=field)

    @cached_property
    def entity_by_id(self) -> Mapping[str, Entity]:
        """Entities by their PE id."""
        return {entity.pe_id: entity for entity in self.entities}

    @cached_property
    def header_by_name(self) -> Mapping[str, Header]:
        """Headers by name, exact in case."""
        return {header.name: header for header in self.headers}

    @cached_property
    def template_by_id(self) -> Mapping[str, ContentTemplate]:
        """Templates by their id."""
        return {template.template_id: template for template in self.templates}

    @cached_property
    def templates_by_header(self) -> Mapping[tuple[str, str], tuple[ContentTemplate, ...]]:
        """Templates by PE id and header: first those for codes, and of them those that fix the most text."""
        found: dict[tuple[str, str], list[ContentTemplate]] = {}
        for template in sorted(self.templates, key=self._rank):
            found.setdefault((template.pe_id, template.header), []).append(template)
        return {place: tuple(templates) for place, templates in found.items()}

    @cached_property
    def chain_by_route(self) -> Mapping[tuple[str, str], Chain]:
        """Chains by PE id and route."""
        return {(chain.pe_id, chain.route): chain for chain in self.chains}

    def pattern(self, template: ContentTemplate) -> Pattern:
        """Return a template parsed, with the lengths that hold for it."""
        return parse_registered(
            template.text,
            types=template.types,
            lengths=template.lengths or self.lengths,
            spaced=self.spaced,
        )

    def _rank(self, template: ContentTemplate) -> tuple[bool, int]:
        fixed = self.pattern(template).fixed
        return template.category not in FOR_CODES, -sum(map(len, fixed))

    def may_use(self, pe_id: str, route: str) -> bool:
        """Tell whether a route has an approved chain for an entity; without one the operator rejects."""
        chain = self.chain_by_route.get((pe_id, route))
        return chain is not None and chain.approved


_BOUNDS: Final = {
    "entities": ENTITIES_MAX,
    "headers": HEADERS_MAX,
    "templates": TEMPLATES_MAX,
    "chains": CHAINS_MAX,
}


def check_header(field: str, value: str) -> str:
    """Return a header as it is.

    Raises:
        InvalidRequest: It is not 1 to 11 letters and digits.
    """
    if not (1 <= len(value) <= HEADER_CHARACTERS_MAX and value.isascii() and value.isalnum()):
        raise InvalidRequest(
            f"`{field}` must be 1 to {HEADER_CHARACTERS_MAX} letters and digits, as registered.", field=field
        )
    return value


def is_valid(standing: Standing, valid_until: date | None, today: date) -> bool:
    """Tell whether an entry of the register can be used on a day."""
    return standing is Standing.ACTIVE and (valid_until is None or today <= valid_until)


def _check_once(field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequest(f"{name} stands twice in `{field}`.", field=field)
        seen.add(name)
