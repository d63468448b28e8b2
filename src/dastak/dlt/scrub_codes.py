"""Tell what a scrubber's answer means, by families of numbers: which outcome, who acts, what they do next.

1. One number means different things to different operators: every family that knows it answers.
2. A family that is known only in part says so; nothing is guessed.
3. Who acts, and what they do, depends on the outcome alone: `core/remedies.py` has it.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

import msgspec

from dastak.core.outcome import Outcome
from dastak.core.remedies import REMEDIES

CODE_CHARACTERS_MAX: Final = 40
# What the receipts of a carrier mean that has no table of its own.
ASSUMED: Final = "common"

_RANGE: Final = re.compile(r"(\d+)-(\d+)")


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What one family means by one code.

    Attributes:
        code: A number, a range of numbers of the same digits, or words joined by hyphens.
        who: Who must act.
        action: What they do next.
    """

    family: str
    code: str
    words: str
    outcome: Outcome
    who: str
    action: str

    def means(self, asked: str) -> bool:
        """Tell whether this is what is said of a code."""
        ends = _RANGE.fullmatch(self.code)
        if ends is None:
            return asked == self.code
        alike = asked.isascii() and asked.isdecimal() and len(asked) == len(ends[1])
        return alike and int(ends[1]) <= int(asked) <= int(ends[2])


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: str
    outcome: Outcome
    codes: dict[str, str]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    families: dict[str, str]
    codes: tuple[_Group, ...]


def families() -> Mapping[str, str]:
    """Return every family with what it is."""
    return _table().families


@lru_cache(maxsize=1)  # a file of the package
def all_meanings() -> tuple[Meaning, ...]:
    """Return every code of every family, in the order of the table."""
    return tuple(
        Meaning(
            family=group.family,
            code=code,
            words=words,
            outcome=group.outcome,
            who=REMEDIES[group.outcome].who,
            action=REMEDIES[group.outcome].action,
        )
        for group in _table().codes
        for code, words in group.codes.items()
    )


def meanings(code: str) -> tuple[Meaning, ...]:
    """Return what the families mean by a code, the assumed one first; nothing where none knows it.

    Args:
        code: As a carrier sent it; case, and how words are joined, do not matter.
    """
    asked = re.sub(r"[\s_-]+", "-", code[:CODE_CHARACTERS_MAX].strip()).upper()
    return tuple(meaning for meaning in all_meanings() if meaning.means(asked))


@lru_cache(maxsize=1)  # a file of the package
def _table() -> _Table:
    text = resources.files("dastak.dlt").joinpath("scrub_codes.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Table)
