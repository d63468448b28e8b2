"""Optional parameters of SMPP PDUs: tag, length, value; whatever a carrier invents is kept as it came.

Source: SMPP v3.4, sections 3.2.4 and 5.3.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final, TypeAlias

Tlv: TypeAlias = tuple[int, bytes]

_HEAD: Final = Struct(">HH")
_VALUE_OCTETS_MAX: Final = 0xFFFF


class MalformedPdu(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets are no PDU, or these values do not fit into one."""


def encode_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    """Write TLVs one after the other.

    Raises:
        MalformedPdu: A tag or a value does not fit into 16 bits.
    """
    parts: list[bytes] = []
    for tag, value in tlvs:
        if not 0 <= tag <= 0xFFFF or len(value) > _VALUE_OCTETS_MAX:
            raise MalformedPdu(f"TLV {tag:#06x} of {len(value)} octets does not fit")
        parts.append(_HEAD.pack(tag, len(value)))
        parts.append(value)
    return b"".join(parts)


def decode_tlvs(octets: bytes) -> tuple[Tlv, ...]:
    """Read TLVs. Octets at the end that are not a whole one are passed over: carriers send them."""
    tlvs: list[Tlv] = []
    at = 0
    while at + _HEAD.size <= len(octets):
        tag, value_octets = _HEAD.unpack_from(octets, at)
        at += _HEAD.size + value_octets
        if at > len(octets):
            break
        tlvs.append((tag, octets[at - value_octets : at]))
    return tuple(tlvs)


def find_tlv(octets: bytes, wanted: int) -> bytes | None:
    """Return the value of the first TLV with this tag, if there is one."""
    if not octets:
        return None
    return next((value for tag, value in decode_tlvs(octets) if tag == wanted), None)
