"""The handset: alphabets, user data headers, parts in any order, and nothing that makes it fall over."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidMsisdn
from dastak.simulator.handset import UNFINISHED_MAX, Handset, read_text
from dastak.simulator.phone import Text
from dastak.sms import gsm7
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_codes import ESM_UDHI, Tag
from dastak.sms.tlv import encode_tlvs

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def submit(octets: bytes, *, udh: bytes | None = None, **fields: Any) -> Sm:
    if udh is not None:
        fields["esm_class"] = ESM_UDHI
        octets = bytes([len(udh)]) + udh + octets
    return Sm(source_addr="VM-ACMEOT", destination_addr="919876543210", short_message=octets, **fields)


def receive(handset: Handset, sm: Sm, after_ms: int = 0) -> Text | None:
    at = NOON + timedelta(milliseconds=after_ms)
    return handset.receive(sm, route="box", submitted_at=at, received_at=at + timedelta(milliseconds=100))


def said(received: Text | None) -> str:
    assert received is not None
    return received.text


@pytest.mark.parametrize(
    ("octets", "data_coding", "shown"),
    [
        (b"\x00\x02 \x1b\x65", 0, "@$ €"),
        (b"caf\xe9", 0, "café"),
        (b"caf\xe9", 3, "café"),
        (b"@", 3, "@"),
        ("कोड 😀".encode("utf-16-be"), 8, "कोड 😀"),
        (b"\x00", 0x10, "@"),
        (b"\x00", 0xF0, "@"),
        (b"\xe9", 0xF4, "é"),
        ("कोड".encode("utf-16-be"), 0x18, "कोड"),
        ("कोड".encode("utf-16-be"), 0xE0, "कोड"),
        ("код".encode("iso8859-5"), 6, "код"),
        (b"\x09\x15\x09", 8, "क�"),
    ],
)
def test_text_is_read_as_its_data_coding_says(octets: bytes, data_coding: int, shown: str) -> None:
    assert read_text(octets, data_coding) == shown


def test_text_of_one_part_keeps_what_the_carrier_said_of_it() -> None:
    received = receive(Handset(), submit(gsm7.encode("482913 is your code."), data_coding=0))

    assert received == Text(
        msisdn="+919876543210",
        sender="VM-ACMEOT",
        text="482913 is your code.",
        route="box",
        data_coding=0,
        segments=1,
        submitted_at=NOON,
        received_at=NOON + timedelta(milliseconds=100),
    )


def test_long_text_may_come_as_message_payload() -> None:
    sm = submit(b"", tlv_octets=encode_tlvs([(Tag.MESSAGE_PAYLOAD, b"x" * 400)]))

    assert said(receive(Handset(), sm)) == "x" * 400


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
@pytest.mark.parametrize("kind", ["8-bit", "16-bit", "sar"])
def test_parts_make_one_text_in_any_order(order: tuple[int, ...], kind: str) -> None:
    handset = Handset()
    # The emoji is cut in the middle, as a careless sender does it.
    octets = "482913 आपका कोड 😀 है।".encode("utf-16-be")
    cut = octets.index("😀".encode("utf-16-be")) + 2
    pieces = {1: octets[:cut], 2: octets[cut : cut + 4], 3: octets[cut + 4 :]}

    def part(number: int) -> Sm:
        if kind == "8-bit":
            return submit(pieces[number], udh=bytes([0, 3, 7, 3, number]), data_coding=8)
        if kind == "16-bit":
            return submit(pieces[number], udh=bytes([8, 4, 1, 7, 3, number]), data_coding=8)
        tags = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
        sar = encode_tlvs(zip(tags, (b"\x01\x07", b"\x03", bytes([number])), strict=True))
        return submit(pieces[number], tlv_octets=sar, data_coding=8)

    received = [receive(handset, part(number), after_ms=at) for at, number in enumerate(order)]

    assert received[:2] == [None, None]
    assert said(received[2]) == "482913 आपका कोड 😀 है।"
    assert received[2] is not None
    assert (received[2].segments, received[2].latency_ms) == (3, 102)


def test_part_that_comes_twice_counts_once() -> None:
    handset = Handset()
    first, second = (submit(octets, udh=bytes([0, 3, 7, 2, n])) for n, octets in ((1, b"one "), (2, b"two")))

    received = [receive(handset, sm) for sm in (first, first, second)]

    assert received[:2] == [None, None]
    assert said(received[2]) == "one two"


def test_unfinished_texts_are_bounded_and_the_oldest_is_forgotten() -> None:
    handset = Handset()
    references = [number.to_bytes(2, "big") for number in range(UNFINISHED_MAX + 1)]
    for reference in references:
        receive(handset, submit(b"a", udh=b"\x08\x04" + reference + b"\x02\x01"))

    oldest, newest = (
        receive(handset, submit(b"b", udh=b"\x08\x04" + reference + b"\x02\x02"))
        for reference in (references[0], references[-1])
    )

    assert oldest is None
    assert said(newest) == "ab"


@pytest.mark.parametrize(
    "udh",
    [
        pytest.param(b"\x00\x03\x07\x02\x03", id="part 3 of 2"),
        pytest.param(b"\x00\x03\x07\x00\x00", id="part 0 of 0"),
        pytest.param(b"\x00\x03\x07\x01\x01", id="part 1 of 1"),
        pytest.param(b"\x00\x09\x07", id="element longer than its header"),
        pytest.param(b"\x05\x04\x0b\x84\x23\xf0", id="a port, no part"),
    ],
)
def test_header_that_makes_no_part_leaves_a_text_of_its_own(udh: bytes) -> None:
    assert said(receive(Handset(), submit(b"alone", udh=udh))) == "alone"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidMsisdn):
        receive(Handset(), Sm(destination_addr="ACME", short_message=b"x"))


@given(
    st.binary(max_size=140),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=40),
)
def test_any_submit_sm_makes_a_text_or_waits_for_its_parts(
    octets: bytes, data_coding: int, esm_class: int, tlv_octets: bytes
) -> None:
    sm = submit(octets, data_coding=data_coding, esm_class=esm_class, tlv_octets=tlv_octets)

    received = receive(Handset(), sm)

    assert received is None or received.text.encode("utf-16", "strict")
