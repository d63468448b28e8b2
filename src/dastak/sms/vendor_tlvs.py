"""The TLVs that one carrier wants beside those of the standard, filled from named fields of a message.

1. A TLV with a field that the message does not have is left out: a text to another country has no `pe_id`.
2. Nothing else of a message can get in, least of all its code.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from dastak.core.errors import CarrierRejected
from dastak.core.outcome import Outcome
from dastak.sms.tlv import Tlv

VALUE_OCTETS_MAX: Final = 1000

# What a TLV may tell of a message.
FIELDS: Final = ("pe_id", "template_id", "chain", "category", "header", "sender")

_FIELD: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BRACE: Final = re.compile(r"[{}]")


class ValueForm(StrEnum):
    """How the value is written."""

    TEXT = "text"
    HEX = "hex"  # the filled template is the hexadecimal digits of the octets


class VendorTlv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One TLV of one carrier.

    Attributes:
        tag: Such as 0x1400.
        value: Text with fields in braces: see `FIELDS`.
        final_nul: Whether a zero octet ends the value.
    """

    tag: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
    value: Annotated[str, msgspec.Meta(max_length=VALUE_OCTETS_MAX)]
    form: ValueForm = ValueForm.TEXT
    final_nul: bool = False

    def __post_init__(self) -> None:
        plain = _FIELD.sub("", self.value)
        if _BRACE.search(plain):
            raise ValueError(f"TLV {self.tag:#06x}: a field is written {{name}}, in lower-case letters")
        unknown = [name for name in self.fields() if name not in FIELDS]
        if unknown:
            known = ", ".join(FIELDS)
            raise ValueError(f"TLV {self.tag:#06x}: {unknown[0]!r} is none of the fields {known}")
        if self.form is ValueForm.HEX and not re.fullmatch(r"[0-9A-Fa-f]*", plain):
            raise ValueError(f"TLV {self.tag:#06x}: {plain!r} is not hexadecimal")

    def fields(self) -> tuple[str, ...]:
        """Return the names of the fields it takes."""
        return tuple(_FIELD.findall(self.value))


def fill_tlvs(wanted: Sequence[VendorTlv], values: Mapping[str, str]) -> tuple[Tlv, ...]:
    """Write the TLVs of one message.

    Args:
        wanted: As the route has them, in the order they go out.
        values: The fields of the message; an empty one counts as absent.

    Raises:
        CarrierRejected: A filled value cannot be written.
    """
    return tuple((tlv.tag, _value(tlv, values)) for tlv in wanted if all(map(values.get, tlv.fields())))


def _value(tlv: VendorTlv, values: Mapping[str, str]) -> bytes:
    filled = _FIELD.sub(lambda found: values[found[1]], tlv.value)
    try:
        octets = bytes.fromhex(filled) if tlv.form is ValueForm.HEX else filled.encode("latin-1")
    except ValueError as error:
        raise CarrierRejected(
            f"TLV {tlv.tag:#06x} cannot be written as {tlv.form}",
            status="tlv_value",
            outcome=Outcome.ROUTE_CONFIG,
        ) from error
    if len(octets) > VALUE_OCTETS_MAX:
        raise CarrierRejected(
            f"TLV {tlv.tag:#06x} is longer than {VALUE_OCTETS_MAX} octets",
            status="tlv_value",
            outcome=Outcome.ROUTE_CONFIG,
        )
    return octets + b"\0" if tlv.final_nul else octets
