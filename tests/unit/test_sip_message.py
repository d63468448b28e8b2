"""SIP messages: read whole, written as they are read, cut from streams, and never a second kind of error."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip.sip_headers import MalformedSip, Via
from dastak.voice.sip.sip_message import (
    HEADERS_MAX,
    MESSAGE_OCTETS_MAX,
    Header,
    StreamFramer,
    answer,
    answer_to,
    encode_request,
    encode_response,
    parse,
)
from tests.support import sip_samples

HERE = ("127.0.0.1", 5070)
MANDATORY: list[Header] = [
    ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
    ("From", "<sip:a@b>;tag=1"),
    ("To", "<sip:c@d>"),
    ("Call-ID", "x"),
    ("CSeq", "7 OPTIONS"),
]
FREE_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)


def test_request_is_read_with_compact_names_folded_lines_and_lists() -> None:
    invite = parse(sip_samples.INVITE)

    assert (invite.method, invite.status, invite.uri) == ("INVITE", 0, "sip:+919876543210@trunk.example")
    assert (invite.from_tag, invite.to_tag, invite.call_id, invite.cseq) == ("ours", "", "7f3a@127.0.0.1", 1)
    assert invite.via == Via("UDP", "127.0.0.1", 5070, {"branch": "z9hG4bK1", "rport": None})
    assert invite.all("Via")[1] == "SIP/2.0/TCP p.example;branch=z9hG4bK0"
    assert invite.all("Record-Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert invite.first("From") == '"Shop, Inc" <sip:+911600100200@trunk.example>;tag=ours'
    assert invite.body == b"v=0\r\n"


def test_response_is_read_with_its_cause() -> None:
    busy = parse(sip_samples.BUSY)

    assert (busy.status, busy.reason, busy.method, busy.uri) == (486, "Busy Here", "INVITE", "")
    assert (busy.branch, busy.to_tag, busy.cause) == ("z9hG4bK1", "theirs", 17)


def test_body_is_cut_to_its_length() -> None:
    assert parse(sip_samples.INVITE + b"left over").body == b"v=0\r\n"
    assert parse(sip_samples.INVITE.replace(b"l: 5\r\n", b"")).body == b"v=0\r\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"l: 5", b"l: 6"),
        (b"l: 5", b"l: -1"),
        (b"l: 5", b"l: 5\r\nContent-Length: 4"),
        (b"l: 5", "l: ²".encode()),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"CSeq: 1 INVITE", b"CSeq: 2147483648 INVITE"),
        (b"CSeq: 1 INVITE", b"CSeq: one INVITE"),
        (b"CSeq: 1 INVITE", b"X: y"),
        (b"i: 7f3a@127.0.0.1", b"i: a\r\nCall-ID: b"),
        (b"i: 7f3a@127.0.0.1", b"i:"),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n"),
        (b"INVITE sip:", b"IN VITE sip:"),
        (b"Via: SIP/2.0/UDP", b"Via: UDP"),
        (b"Max-Forwards: 70", b"Max-Forwards 70"),
        (b"Max-Forwards: 70", b"Max-Forwards: 7\n0"),
        (b"Max-Forwards: 70", b"Max-Forwards: 7\0"),
        (b"Max-Forwards: 70", b"X: y\r\n" * HEADERS_MAX + b"Z: z"),
        (b"Max-Forwards: 70", b"X: " + b"y" * MESSAGE_OCTETS_MAX),
    ],
)
def test_parse_refuses(old: bytes, new: bytes) -> None:
    assert old in sip_samples.INVITE

    with pytest.raises(MalformedSip):
        parse(sip_samples.INVITE.replace(old, new, 1))


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n\r\n", b"\x00\x01\x00\x00" + b"\x21\x12\xa4\x42" * 4, b"GET / " * 9]
)
def test_parse_refuses_what_is_no_sip(octets: bytes) -> None:
    with pytest.raises(MalformedSip):
        parse(octets)


@given(
    st.lists(st.tuples(st.sampled_from(["Subject", "X-Own", "Reason"]), FREE_TEXT), max_size=5), st.binary()
)
def test_request_is_read_as_it_was_written(extra: list[Header], body: bytes) -> None:
    message = parse(encode_request("OPTIONS", "sip:x", [*MANDATORY, *extra], body))

    stripped = [(name, value.strip()) for name, value in [*MANDATORY, *extra]]
    assert (message.method, message.uri, message.body) == ("OPTIONS", "sip:x", body)
    assert list(message.headers) == [*stripped, ("Content-Length", str(len(body)))]


@given(st.integers(100, 699), FREE_TEXT)
def test_response_is_read_as_it_was_written(status: int, reason: str) -> None:
    message = parse(encode_response(status, reason, MANDATORY))

    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize(
    ("method", "uri", "headers"),
    [
        ("OPTIONS", "sip:x\r\nVia: y", []),
        ("OPTIONS", "sip:x y", []),
        ("OPTIONS\r\n", "sip:x", []),
        ("OPTIONS", "sip:x", [("Subject", "a\r\nb")]),
        ("OPTIONS", "sip:x", [("Sub ject", "a")]),
        ("OPTIONS", "sip:x", [("Subject", "a" * MESSAGE_OCTETS_MAX)]),
    ],
)
def test_encode_refuses(method: str, uri: str, headers: Sequence[Header]) -> None:
    with pytest.raises(MalformedSip):
        encode_request(method, uri, headers)


def test_answer_copies_the_path_and_tells_where_the_request_came_from() -> None:
    invite = parse(sip_samples.INVITE)

    response = parse(answer(invite, 403, "Forbidden", source=("192.0.2.7", 6000), to_tag="t9"))

    parameters = response.via.parameters
    assert parameters == {"branch": "z9hG4bK1", "rport": "6000", "received": "192.0.2.7"}
    assert response.all("Via")[1:] == invite.all("Via")[1:]
    assert response.all("Record-Route") == invite.all("Record-Route")
    assert (response.status, response.to_tag, response.from_tag) == (403, "t9", "ours")
    assert (response.cseq, response.method) == (1, "INVITE")
    assert answer_to(invite, ("192.0.2.7", 6000)) == ("192.0.2.7", 6000)


def test_answer_goes_to_the_port_of_via_when_rport_was_not_asked_for() -> None:
    bye = parse(sip_samples.BYE)

    assert answer_to(bye, ("127.0.0.1", 6000)) == ("127.0.0.1", 5060)
    assert "rport" not in parse(answer(bye, 200, "OK", source=HERE)).via.parameters


@given(st.data())
def test_stream_is_cut_alike_in_pieces_of_any_size(data: st.DataObject) -> None:
    stream = b"\r\n\r\n".join(sip_samples.ALL) + b"\r\n"
    framer, messages, at = StreamFramer(), [], 0

    while at < len(stream):
        size = data.draw(st.integers(1, 700))
        messages += framer.feed(stream[at : at + size])
        at += size

    assert messages == list(sip_samples.ALL)


def test_stream_is_cut_octet_by_octet() -> None:
    framer = StreamFramer()
    stream = b"\r\n\r\n" + sip_samples.INVITE + b"\r\n" + sip_samples.BYE

    messages = [message for octet in stream for message in framer.feed(bytes([octet]))]

    assert messages == [sip_samples.INVITE, sip_samples.BYE]


@pytest.mark.parametrize(
    "stream",
    [
        sip_samples.BYE.replace(b"Content-Length: 0\r\n", b""),
        sip_samples.BYE.replace(b"Content-Length: 0", b"Content-Length: 99999999"),
        b"x" * (MESSAGE_OCTETS_MAX + 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_stream_is_lost_when_the_end_cannot_be_known(stream: bytes) -> None:
    with pytest.raises(MalformedSip):
        list(StreamFramer().feed(stream))


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_messages_raise_nothing_but_malformed_sip(seed: int) -> None:
    dice = random.Random(seed)
    read = 0

    for _ in range(2_500):
        octets = sip_samples.spoiled(dice.choice(sip_samples.ALL), dice)
        try:
            message = parse(octets)
        except MalformedSip:
            continue
        read += 1
        answered = answer(message, 481, "Gone", source=HERE, to_tag="x")
        assert parse(answered).call_id == message.call_id

    assert read > 100
