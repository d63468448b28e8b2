"""The chain of telemarketers between a principal entity and the operator, as each route wants to be told it.

1. A chain is registered and approved for one entity on one route; another route has another chain.
2. The ids stand in the order of the chain: the entity, those who aggregate, the one who delivers.
3. A hash is over the list with plain commas: an encoded comma makes a hash that nobody registered.

Source: a user manual of BSNL on the hash of PE and TM, and a help page of Karix that agrees with it. That an
operator takes the value was not verified.
"""

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from dastak.core.errors import InvalidRequest

TM_IDS_MAX: Final = 8
FORM_CHARACTERS_MAX: Final = 64
FORM_DEFAULT: Final = "{pe},{tm...}"

_ID: Final = re.compile(r"[0-9]{6,25}")
_PLACE: Final = re.compile(r"\{[^{}]*\}")
_BETWEEN: Final = re.compile(r"[A-Za-z0-9,;:|/ _.=-]*")


class ChainMode(StrEnum):
    """What a route wants."""

    NONE = "none"  # the upstream adds it
    CLEAR = "clear"  # the ids
    SHA256 = "sha256"  # the hash of the ids, in hexadecimal


class Chain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain of one entity on one route; one that exists can be written.

    Attributes:
        tm_ids: From the one next to the entity to the one who delivers.
        approved: Whether the portal says so. A route without it is not worth a try.
        form: How the list is written: `{pe}` is the entity, `{tm...}` all others with commas between.
        capitals: Whether a hash is in capital letters.

    Raises:
        InvalidRequest: An id or the form is none; `field` names it.
    """

    pe_id: str
    route: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    mode: ChainMode
    tm_ids: tuple[str, ...] = ()
    approved: bool = False
    form: str = FORM_DEFAULT
    capitals: bool = False

    def __post_init__(self) -> None:
        check_dlt_id("pe_id", self.pe_id.strip())
        if len(self.tm_ids) > TM_IDS_MAX:
            raise InvalidRequest(f"A chain has at most {TM_IDS_MAX} telemarketers.", field="tm_ids")
        for tm_id in self.tm_ids:
            check_dlt_id("tm_ids", tm_id.strip())
        _check_form(self.form)
        if self.mode is not ChainMode.NONE and "{tm...}" in self.form and not self.tm_ids:
            raise InvalidRequest("A chain that is told needs the telemarketers' ids.", field="tm_ids")


def check_dlt_id(field: str, value: str) -> str:
    """Return an id of the register as it is.

    Raises:
        InvalidRequest: It is not 6 to 25 digits. Most have 19, but shorter ones are in use.
    """
    if not _ID.fullmatch(value):
        raise InvalidRequest(f"`{field}` must be 6 to 25 digits, as the portal shows it.", field=field)
    return value


@lru_cache(maxsize=1024)
def chain_value(chain: Chain) -> str | None:
    """Return what a route wants to be told; None where it is told nothing."""
    if chain.mode is ChainMode.NONE:
        return None
    told = chain.form.replace("{pe}", chain.pe_id.strip())
    told = told.replace("{tm...}", ",".join(tm_id.strip() for tm_id in chain.tm_ids))
    if chain.mode is ChainMode.CLEAR:
        return told
    digest = hashlib.sha256(told.encode("ascii")).hexdigest()
    return digest.upper() if chain.capitals else digest


def _check_form(form: str) -> None:
    """Refuse a form that says nothing of the chain, or what a scrubber would read as something else."""
    if len(form) > FORM_CHARACTERS_MAX:
        raise InvalidRequest(f"`form` has at most {FORM_CHARACTERS_MAX} characters.", field="form")
    places = _PLACE.findall(form)
    if not places or len(set(places)) != len(places) or set(places) - {"{pe}", "{tm...}"}:
        raise InvalidRequest("`form` has `{pe}`, `{tm...}` or both, each once.", field="form")
    if not _BETWEEN.fullmatch(_PLACE.sub("", form)):
        raise InvalidRequest(
            "`form` may have letters, digits and plain marks besides; a comma stays a comma, never %2C.",
            field="form",
        )
