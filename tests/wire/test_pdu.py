"""SMPP PDUs on the wire: golden octets, round trips, two independent decoders, and rubbish."""

from contextlib import suppress
from typing import Any

import pytest
import smpp34
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st
from smpplib.client import SimpleSequenceGenerator

from dastak.sms.pdu import (
    CSTRING_OCTETS_MAX,
    HEADER,
    LONG_PASSWORD,
    PDU_OCTETS_MAX,
    Framer,
    Pdu,
    cstring,
    decode,
    encode,
    encode_body,
    frame,
    relative_time,
)
from dastak.sms.pdu_bodies import (
    BODIES,
    AlertNotification,
    Bind,
    BindResp,
    CancelSm,
    DataSm,
    MessageIdResp,
    QuerySmResp,
    ReplaceSm,
    Sm,
    as_sm,
)
from dastak.sms.smpp_codes import Command, Status, Tag
from dastak.sms.tlv import MalformedPdu, decode_tlvs, encode_tlvs

# The first is the example of SMPP v3.4, section 3.2; the others were written by npm smpp 0.5.1.
GOLDEN: dict[str, Pdu] = {
    "0000002f00000002000000000000000153 4d50503354455354007365637265743038005355424d49543100000101 00": Pdu(
        command_id=Command.BIND_TRANSMITTER,
        sequence_number=1,
        body=Bind(
            system_id="SMPP3TEST",
            password="secret08",
            system_type="SUBMIT1",
            interface_version=0,
            addr_ton=1,
            addr_npi=1,
        ),
    ),
    "0000001a800000090000000000000001736d7363000210000134": Pdu(
        command_id=Command.BIND_TRANSCEIVER_RESP,
        sequence_number=1,
        body=BindResp(system_id="smsc", tlv_octets=encode_tlvs([(Tag.SC_INTERFACE_VERSION, b"\x34")])),
    ),
    "0000007400000004000000000000000200050044415354414b000101393139383736353433323130000000000030303030"
    "303030303035303030303052000100000013596f757220636f6465206973203432343234320204000212341400001431313031"
    "32333435363738393031323334353600": Pdu(
        command_id=Command.SUBMIT_SM,
        sequence_number=2,
        body=Sm(
            source_addr_ton=5,
            source_addr="DASTAK",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="919876543210",
            validity_period="000000000500000R",
            registered_delivery=1,
            short_message=b"Your code is 424242",
            tlv_octets=encode_tlvs(
                [(Tag.USER_MESSAGE_REFERENCE, b"\x12\x34"), (0x1400, b"1101234567890123456\0")]
            ),
        ),
    ),
    "000000158000000400000000000000023766336100": Pdu(
        command_id=Command.SUBMIT_SM_RESP, sequence_number=2, body=MessageIdResp(message_id="7f3a")
    ),
    "00000010800000040000005800000003": Pdu(
        command_id=Command.SUBMIT_SM_RESP, command_status=Status.ESME_RTHROTTLED, sequence_number=3
    ),
    "0000005700000005000000000000000700000039313938373635343332313000000044415354414b00040000000000000100"
    "1969643a3120737461743a44454c49565244206572723a303030001e000231000427000102": Pdu(
        command_id=Command.DELIVER_SM,
        sequence_number=7,
        body=Sm(
            source_addr="919876543210",
            destination_addr="DASTAK",
            esm_class=4,
            data_coding=1,
            short_message=b"id:1 stat:DELIVRD err:000",
            tlv_octets=encode_tlvs([(Tag.RECEIPTED_MESSAGE_ID, b"1\0"), (Tag.MESSAGE_STATE, b"\2")]),
        ),
    ),
    "0000002a00000102000000000000000401013931393837363534333231300000006f7470000422000100": Pdu(
        command_id=Command.ALERT_NOTIFICATION,
        sequence_number=4,
        body=AlertNotification(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr="919876543210",
            esme_addr="otp",
            tlv_octets=encode_tlvs([(Tag.MS_AVAILABILITY_STATUS, b"\0")]),
        ),
    ),
    "00000022000001030000000000000005000000610000006200040001042400026869": Pdu(
        command_id=Command.DATA_SM,
        sequence_number=5,
        body=DataSm(
            source_addr="a",
            destination_addr="b",
            esm_class=4,
            data_coding=1,
            tlv_octets=encode_tlvs([(Tag.MESSAGE_PAYLOAD, b"hi")]),
        ),
    ),
    "000000188000000300000000000000063766336100000200": Pdu(
        command_id=Command.QUERY_SM_RESP,
        sequence_number=6,
        body=QuerySmResp(message_id="7f3a", message_state=2),
    ),
    "0000001e0000000800000000000000080037663361000000610000006200": Pdu(
        command_id=Command.CANCEL_SM,
        sequence_number=8,
        body=CancelSm(message_id="7f3a", source_addr="a", destination_addr="b"),
    ),
    "0000002100000007000000000000000937663361000000610000000000036e6577": Pdu(
        command_id=Command.REPLACE_SM,
        sequence_number=9,
        body=ReplaceSm(message_id="7f3a", source_addr="a", short_message=b"new"),
    ),
    "0000001000000015000000000000000a": Pdu(command_id=Command.ENQUIRE_LINK, sequence_number=10),
}


@pytest.mark.parametrize(
    ("octets", "pdu"), GOLDEN.items(), ids=[Command(p.command_id).name for p in GOLDEN.values()]
)
def test_golden_octets_are_read_and_written(octets: str, pdu: Pdu) -> None:
    assert decode(bytes.fromhex(octets)) == pdu
    assert encode(pdu) == bytes.fromhex(octets)


OCTET = st.integers(0, 255)
SEQUENCE_NUMBER = st.integers(1, 0x7FFFFFFF)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(encode_tlvs)


def cstrings(name: str, characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.text(characters, max_size=CSTRING_OCTETS_MAX[name] - 1)


def records(record: Any, characters: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    fields = {}
    for name in record.__struct_fields__:
        kind = record.__annotations__[name]
        if kind is str:
            fields[name] = cstrings(name, characters)
        elif kind is int:
            fields[name] = OCTET
        else:
            fields[name] = TLVS if name == "tlv_octets" else st.binary(max_size=254)
    return st.fixed_dictionaries(fields).map(lambda values: record(**values))


LATIN = st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n")
ASCII = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command_id = draw(st.sampled_from(sorted(BODIES)))
    record = BODIES[command_id]
    body = draw(records(record, LATIN)) if record else None
    return Pdu(command_id=command_id, sequence_number=draw(SEQUENCE_NUMBER), body=body)


@given(pdus())
def test_pdu_round_trips(pdu: Pdu) -> None:
    assert decode(encode(pdu)) == pdu


@given(st.lists(pdus(), max_size=6), st.lists(st.integers(1, 60), min_size=1, max_size=10))
def test_framer_finds_every_pdu_in_pieces_of_any_size(sent: list[Pdu], sizes: list[int]) -> None:
    stream = b"".join(encode(pdu) for pdu in sent)
    framer, found, at, n = Framer(), [], 0, 0
    while at < len(stream):
        size = sizes[n % len(sizes)]
        found += list(framer.feed(stream[at : at + size]))
        at, n = at + size, n + 1

    assert [decode(frame(*header, body)) for *header, body in found] == sent


@given(st.binary(max_size=400))
def test_decode_of_any_octets_raises_nothing_but_malformed_pdu(octets: bytes) -> None:
    with suppress(MalformedPdu):
        decode(octets)


@given(st.sampled_from(sorted(BODIES)), st.binary(max_size=300))
def test_decode_of_any_body_raises_nothing_but_malformed_pdu(command_id: int, body: bytes) -> None:
    try:
        pdu = decode(frame(command_id, 0, 1, body))
    except MalformedPdu:
        return

    assert pdu.command_id == command_id


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_framer_fed_anything_raises_nothing_but_malformed_pdu(pieces: list[bytes]) -> None:
    framer = Framer()
    with suppress(MalformedPdu):
        for piece in pieces:
            list(framer.feed(piece))


@given(records(Sm, ASCII), SEQUENCE_NUMBER, st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]))
def test_sm_decodes_alike_in_smpp34(sm: Sm, sequence_number: int, command: Command) -> None:
    theirs = smpp34.decode(encode(Pdu(command_id=command, sequence_number=sequence_number, body=sm)))

    assert theirs.sequence_number == sequence_number
    scalars = [name for name in Sm.__struct_fields__ if name != "tlv_octets"]
    assert {n: getattr(theirs, n) for n in scalars} == {n: getattr(sm, n) for n in scalars}
    assert [(tlv.tag, tlv.value) for tlv in theirs.tlvs] == list(sm.tlvs)


THEIR_CLASSES = {Command.SUBMIT_SM: smpp34.SubmitSm, Command.DELIVER_SM: smpp34.DeliverSm}


@given(records(Sm, ASCII), SEQUENCE_NUMBER, st.sampled_from(sorted(THEIR_CLASSES)))
def test_sm_written_by_smpp34_is_read_alike(sm: Sm, sequence_number: int, command: Command) -> None:
    fields = _fields(sm)
    tlvs = [smpp34.Tlv(tag, value) for tag, value in decode_tlvs(fields.pop("tlv_octets"))]

    theirs = THEIR_CLASSES[command](**fields, tlvs=tlvs, sequence_number=sequence_number).encode()

    assert decode(theirs) == Pdu(command_id=command, sequence_number=sequence_number, body=sm)


@given(pdus())
def test_every_pdu_has_a_header_smpp34_reads(pdu: Pdu) -> None:
    theirs = smpp34.decode(encode(pdu)) if not isinstance(pdu.body, Sm) else None

    if theirs is not None:
        assert (theirs.command_id, theirs.sequence_number) == (pdu.command_id, pdu.sequence_number)
        assert theirs.body == encode_body(pdu.body)


@given(records(Sm, ASCII))
def test_submit_sm_decodes_alike_in_smpplib(sm: Sm) -> None:
    octets = encode(
        Pdu(command_id=Command.SUBMIT_SM, sequence_number=1, body=Sm(**{**_fields(sm), "tlv_octets": b""}))
    )

    theirs = smpplib.smpp.parse_pdu(octets, client=SimpleSequenceGenerator(), allow_unknown_opt_params=True)

    assert (theirs.short_message or b"") == sm.short_message
    assert theirs.destination_addr.decode() == sm.destination_addr
    assert theirs.validity_period.decode() == sm.validity_period
    assert (theirs.esm_class, theirs.data_coding) == (sm.esm_class, sm.data_coding)


def _fields(sm: Sm) -> dict[str, Any]:
    return {name: getattr(sm, name) for name in Sm.__struct_fields__}


@pytest.mark.parametrize(
    "body",
    [
        Sm(destination_addr="1" * 21),
        Sm(destination_addr="12\x0034"),
        Sm(source_addr="DAS\rTAK"),
        Sm(source_addr="DAS\nTAK"),
        Sm(source_addr="दस्तक"),
        Sm(short_message=b"x" * 255),
        Sm(data_coding=256),
        Sm(data_coding=-1),
        Bind(system_id="x" * 16),
        Bind(system_id="x", password="123456789"),
        MessageIdResp(message_id="x" * 65),
    ],
)
def test_encode_refuses_what_does_not_fit(body: Any) -> None:
    with pytest.raises(MalformedPdu):
        encode_body(body)


def test_encode_takes_a_long_password_when_told() -> None:
    body = encode_body(Bind(system_id="acme", password="more than eight"), LONG_PASSWORD)

    assert decode(frame(Command.BIND_TRANSCEIVER, 0, 1, body)).body == Bind(
        system_id="acme", password="more than eight"
    )


@pytest.mark.parametrize(("tag", "value"), [(0x10000, b""), (-1, b""), (1, bytes(0x10000))])
def test_encode_refuses_a_tlv_that_does_not_fit(tag: int, value: bytes) -> None:
    with pytest.raises(MalformedPdu):
        encode_tlvs([(tag, value)])


@pytest.mark.parametrize("length", [0, 15, PDU_OCTETS_MAX + 1, 0xFFFFFFFF])
def test_framer_judges_the_length_before_it_waits_for_more(length: int) -> None:
    framer = Framer()

    with pytest.raises(MalformedPdu):
        list(framer.feed(length.to_bytes(4, "big")))


def test_framer_hands_over_good_pdus_before_it_meets_a_bad_length() -> None:
    good = frame(Command.ENQUIRE_LINK, 0, 1)

    stream = Framer().feed(good + bytes(4))

    assert next(stream) == (Command.ENQUIRE_LINK, 0, 1, b"")
    with pytest.raises(MalformedPdu):
        next(stream)


def test_decode_takes_an_error_response_without_body() -> None:
    pdu = decode(HEADER.pack(16, Command.BIND_TRANSCEIVER_RESP, Status.ESME_RINVPASWD, 1))

    assert (pdu.command_status, pdu.body) == (Status.ESME_RINVPASWD, None)


def test_decode_takes_a_message_id_without_its_nul() -> None:
    assert decode(frame(Command.SUBMIT_SM_RESP, 0, 1, b"7f3a")).body == MessageIdResp(message_id="7f3a")


def test_decode_takes_a_bind_without_its_last_nul() -> None:
    body = encode_body(Bind(system_id="acme", password="pw"))

    assert decode(frame(Command.BIND_RECEIVER, 0, 1, body[:-1])).body == Bind(system_id="acme", password="pw")


def test_decode_passes_over_trailing_octets() -> None:
    body = encode_body(Sm(destination_addr="1", tlv_octets=encode_tlvs([(0x1400, b"x")])))

    for rest in (b"\x14", b"\x14\x01\x00", b"\x14\x01\x00\x09short"):
        trailing = decode(frame(Command.SUBMIT_SM, 0, 1, body + rest)).body
        assert isinstance(trailing, Sm)
        assert trailing.tlvs == ((0x1400, b"x"),)
    assert decode(frame(Command.ENQUIRE_LINK, 0, 1, b"rubbish")).body is None


def test_decode_keeps_an_unknown_command_and_a_vendor_status() -> None:
    assert decode(frame(0x00010203, 0, 1, b"abc")).body == b"abc"
    assert decode(frame(Command.SUBMIT_SM_RESP, 0x412, 1)).command_status == 0x412


@pytest.mark.parametrize("octets_lost", range(1, 20))
def test_decode_refuses_a_request_that_ends_within_its_fields(octets_lost: int) -> None:
    body = encode_body(Sm(source_addr="DASTAK", destination_addr="1", short_message=b"hello"))

    with pytest.raises(MalformedPdu):
        decode(frame(Command.SUBMIT_SM, 0, 1, body[:-octets_lost]))


def test_text_octets_are_found_in_message_payload() -> None:
    payload = encode_tlvs([(Tag.MESSAGE_PAYLOAD, b"long")])

    assert Sm(tlv_octets=payload).text_octets == b"long"
    assert as_sm(DataSm(source_addr="a", tlv_octets=payload)).text_octets == b"long"
    assert Sm().text_octets == b""


def test_repr_shows_neither_code_nor_number_nor_password() -> None:
    shown = repr(
        [Sm(destination_addr="919876543210", short_message=b"424242"), Bind(system_id="a", password="pw9")]
    )

    assert not [secret for secret in ("919876543210", "424242", "pw9") if secret in shown]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (300, "000000000500000R"),
        (0, "000000000000000R"),
        (59, "000000000059000R"),
        (3661, "000000010101000R"),
        (86_400 * 2 + 5, "000002000005000R"),
    ],
)
def test_relative_time_is_written_as_a_validity_period(seconds: int, text: str) -> None:
    assert relative_time(seconds) == text
    assert len(cstring(text, 17, "validity_period")) == 17


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=5))
def test_tlvs_round_trip(tlvs: list[tuple[int, bytes]]) -> None:
    assert decode_tlvs(encode_tlvs(tlvs)) == tuple(tlvs)


def test_every_command_but_two_has_a_body_in_the_table() -> None:
    unsupported = {Command.OUTBIND, Command.SUBMIT_MULTI, Command.SUBMIT_MULTI_RESP}

    assert set(BODIES) == set(Command) - unsupported
