"""TLVs of one carrier: filled from named fields, or left out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import CarrierRejected
from dastak.core.outcome import Outcome
from dastak.sms.vendor_tlvs import VALUE_OCTETS_MAX, ValueForm, VendorTlv, fill_tlvs

DLT = {
    "pe_id": "1101172974420810001",
    "template_id": "1107161234567890123",
    "chain": "c0c951afca257c5b87c3da535c09112080483f35b7e6faf35e2428b3b526b694",
}


def tlv(tag: int, value: str, **changes: Any) -> VendorTlv:
    return VendorTlv(tag=tag, value=value, **changes)


def test_indian_carrier_gets_its_three_values() -> None:
    wanted = [tlv(0x1400, "{pe_id}"), tlv(0x1401, "{template_id}", final_nul=True), tlv(0x1402, "{chain}")]

    assert fill_tlvs(wanted, DLT) == (
        (0x1400, b"1101172974420810001"),
        (0x1401, b"1107161234567890123\0"),
        (0x1402, DLT["chain"].encode()),
    )


def test_value_may_join_fields_and_be_octets() -> None:
    wanted = [
        tlv(0x1402, "{pe_id},{chain}"),
        tlv(0x1403, "00{chain}", form=ValueForm.HEX),
        tlv(0x1404, "fixed"),
    ]

    assert fill_tlvs(wanted, DLT) == (
        (0x1402, f"{DLT['pe_id']},{DLT['chain']}".encode()),
        (0x1403, b"\0" + bytes.fromhex(DLT["chain"])),
        (0x1404, b"fixed"),
    )


@pytest.mark.parametrize("values", [{}, {"pe_id": ""}, {"template_id": "1"}])
def test_tlv_without_its_field_is_left_out(values: dict[str, str]) -> None:
    assert fill_tlvs([tlv(0x1400, "{pe_id}"), tlv(0x1404, "x")], values) == ((0x1404, b"x"),)


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        (tlv(1, "{pe_id}", form=ValueForm.HEX), {"pe_id": "xyz"}),
        (tlv(1, "{pe_id}"), {"pe_id": "—"}),
        (tlv(1, "{pe_id}"), {"pe_id": "1" * (VALUE_OCTETS_MAX + 1)}),
    ],
)
def test_value_that_cannot_be_written_is_the_routes_fault(wanted: VendorTlv, values: dict[str, str]) -> None:
    with pytest.raises(CarrierRejected, match="TLV 0x0001") as rejected:
        fill_tlvs([wanted], values)

    assert rejected.value.outcome is Outcome.ROUTE_CONFIG


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"tag": 0x1400, "value": "{PE}"}, "lower-case"),
        ({"tag": 0x1400, "value": "{pe_id"}, "lower-case"),
        ({"tag": 0x1400, "value": "{var1}"}, "none of"),
        ({"tag": 0x1400, "value": "{code}"}, "none of"),
        ({"tag": 0x1400, "value": "zz", "form": "hex"}, "hexadecimal"),
        ({"tag": 0x10000, "value": ""}, "65535"),
        ({"tag": 1, "value": "", "nul": True}, "nul"),
    ],
)
def test_template_that_cannot_be_right_is_refused(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(document, VendorTlv)


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=5), st.text(max_size=60)))
def test_values_never_act_as_templates(value: str, values: dict[str, str]) -> None:
    try:
        filled = fill_tlvs([tlv(1, "[{pe_id}]")], values | {"pe_id": value})
    except CarrierRejected:
        assert not value.isascii()
    else:
        assert filled == (((1, f"[{value}]".encode("latin-1")),) if value else ())
