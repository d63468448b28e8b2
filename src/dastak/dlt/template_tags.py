"""Read a registered content template: what stands fixed, and where which kind of value may stand.

1. A tag is `{#name#}`, its name in any case. A name that no platform has is refused: it would never match.
2. Two tags never touch: nobody could say where one value ends and the next begins.
3. How long a value may be is data: of the platform, or of one template.

Two dialects say the same. On some platforms the text has `{#var#}` and a table beside it has the kinds; on
the others the kind stands in the tag.

Source: TRAI's direction of 18 November 2025 (pre-tagged variables) and the lengths, as message providers
quote them; no length was verified with an operator.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Annotated, Final

import msgspec

from dastak.core.errors import TemplateMismatch
from dastak.core.template import TEMPLATE_CHARACTERS_MAX

# Portals speak of five; a template with more is no text for people.
VARIABLES_MAX: Final = 20
VALUE_CHARACTERS_MAX: Final = 500


class Kind(StrEnum):
    """What may stand in a variable."""

    NUMERIC = "numeric"
    ALPHANUMERIC = "alphanumeric"
    URL = "url"
    URLOTT = "urlott"
    CBN = "cbn"  # a number to call back
    EMAIL = "email"
    VAR = "var"  # anything: what was registered before kinds were asked for


class Dialect(StrEnum):
    """How a platform writes kinds."""

    PLAIN = "plain"  # {#var#}, with a table beside the text
    TYPED = "typed"  # in the tag


class Platform(StrEnum):
    """Where templates are registered."""

    SMARTPING = "smartping"
    TATA = "tata"
    AIRTEL = "airtel"
    JIO = "jio"
    VI = "vi"
    BSNL = "bsnl"


DIALECTS: Final[Mapping[Platform, Dialect]] = {
    Platform.SMARTPING: Dialect.PLAIN,
    Platform.TATA: Dialect.PLAIN,
    Platform.AIRTEL: Dialect.TYPED,
    Platform.JIO: Dialect.TYPED,
    Platform.VI: Dialect.TYPED,
    Platform.BSNL: Dialect.TYPED,
}

TAGS: Final[Mapping[str, Kind]] = {**{kind.value: kind for kind in Kind}, "number": Kind.NUMERIC}

_Characters = Annotated[int, msgspec.Meta(ge=1, le=VALUE_CHARACTERS_MAX)]


class Lengths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many characters a variable of each kind may have.

    Where sources disagree the smallest number stands here: what fits it fits everywhere.
    """

    numeric: _Characters = 15
    alphanumeric: _Characters = 40
    url: _Characters = 50
    urlott: _Characters = 50
    cbn: _Characters = 15
    email: _Characters = 50
    var: _Characters = 30


assert set(Lengths.__struct_fields__) == set(Kind)
LENGTHS: Final = Lengths()


class Variable(msgspec.Struct, frozen=True):
    """One place for a value.

    Attributes:
        tag: As it is written in the text.
        place: Where the tag begins in the text.
        spaced: Whether an alphanumeric value may have spaces; sources disagree.
    """

    kind: Kind
    characters_max: int
    tag: str
    place: int
    spaced: bool = False


class Pattern(msgspec.Struct, frozen=True):
    """A registered text, parsed once.

    Attributes:
        fixed: What stands before, between and after the variables; only the first and the last may be empty.
        variables: One fewer than `fixed`.
    """

    fixed: tuple[str, ...]
    variables: tuple[Variable, ...]

    def fill(self, values: Sequence[str]) -> str:
        """Return the text with one value for each variable, whatever the values are."""
        return "".join(chain.from_iterable(zip_longest(self.fixed, values, fillvalue="")))

    @property
    def characters_max(self) -> int:
        """The length of the longest text it allows."""
        longest = sum(variable.characters_max for variable in self.variables)
        return longest + sum(map(len, self.fixed))

    def place_of(self, piece: int) -> int:
        """Return where a fixed piece begins in the registered text."""
        if piece == 0:
            return 0
        before = self.variables[piece - 1]
        return before.place + len(before.tag)


_TAG: Final = re.compile(r"\{#([A-Za-z]+)#\}")


@lru_cache(maxsize=4096)  # templates are few and each text is compared with several
def parse_registered(
    text: str, *, types: tuple[str, ...] = (), lengths: Lengths = LENGTHS, spaced: bool = False
) -> Pattern:
    """Parse a template as a portal has it, in either dialect.

    Args:
        text: The whole text, exactly as registered.
        types: The kinds of the `{#var#}` tags, in order, where a platform keeps them beside the text.
        lengths: What each kind may have.
        spaced: Whether an alphanumeric value may have spaces.

    Raises:
        TemplateMismatch: It is empty or too long; a tag is unknown, touches another or is one too many; or
            the types do not fit the tags.
    """
    if not 1 <= len(text) <= TEMPLATE_CHARACTERS_MAX:
        raise TemplateMismatch(f"A template has 1 to {TEMPLATE_CHARACTERS_MAX} characters.", field="text")
    found = list(_TAG.finditer(text))
    if len(found) > VARIABLES_MAX:
        raise TemplateMismatch(f"A template has at most {VARIABLES_MAX} variables.", field="text")
    kinds = _kinds([_kind(match) for match in found], types)
    variables = tuple(
        Variable(kind, getattr(lengths, kind), match[0], match.start(), spaced and kind is Kind.ALPHANUMERIC)
        for kind, match in zip(kinds, found, strict=True)
    )
    edges = [0, *chain.from_iterable(match.span() for match in found), len(text)]
    fixed = tuple(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    for number, piece in enumerate(fixed[1:-1], start=1):
        if not piece:
            raise TemplateMismatch(
                f"Variables {number} and {number + 1} touch at character {found[number].start() + 1}; put "
                "fixed text between them.",
                field="text",
            )
    return Pattern(fixed, variables)


def in_dialect(pattern: Pattern, dialect: Dialect) -> tuple[str, tuple[Kind, ...]]:
    """Write a template as platforms of a dialect want it: the text, and the kinds beside it."""
    kinds = tuple(variable.kind for variable in pattern.variables)
    if dialect is Dialect.PLAIN:
        return pattern.fill(["{#var#}"] * len(kinds)), kinds
    return pattern.fill([f"{{#{kind}#}}" for kind in kinds]), ()


def _kind(tag: re.Match[str]) -> Kind:
    kind = TAGS.get(tag[1].lower())
    if kind is None:
        raise TemplateMismatch(
            f"`{tag[0][:40]}` at character {tag.start() + 1} is no tag of DLT; known are {', '.join(TAGS)}.",
            field="text",
        )
    return kind


def _kinds(written: Sequence[Kind], types: Sequence[str]) -> Sequence[Kind]:
    """Put the kinds of the table beside the text in the places of its `{#var#}`."""
    if not types:
        return written
    if len(types) != written.count(Kind.VAR):
        raise TemplateMismatch(
            f"There are {len(types)} types for {written.count(Kind.VAR)} {{#var#}}.", field="types"
        )
    unknown = next((name for name in types if name.lower() not in TAGS), None)
    if unknown is not None:
        raise TemplateMismatch(f"A type is none of {', '.join(TAGS)}.", field="types")
    beside = iter(types)
    return [TAGS[next(beside).lower()] if kind is Kind.VAR else kind for kind in written]
