"""What a real trunk and phone sent, captured and then spoilt: every reader refuses by its own error alone.

`wire/captured_call.json` is what Kamailio 5.6 and baresip 1.0 sent in one call: registration, the proof of a
password, ringing, answer, sound, a key, reports and the farewell.
"""

import json
import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip.call_events import Ended
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials, DigestClient
from dastak.voice.sip.sip_endpoint import SipEndpoint
from dastak.voice.sip.sip_headers import MalformedSip
from dastak.voice.sip.sip_message import StreamFramer, parse
from dastak.voice.sip.sip_registration import Registrar
from dastak.voice.sound.rtcp import MalformedRtcp, read_compound
from dastak.voice.sound.rtp import MalformedRtp, RtpPacket, read_rtp, write_rtp
from dastak.voice.sound.sdes import Suite
from dastak.voice.sound.sdp import Ours, UnusableSdp, read_answer, read_offer, write_answer
from dastak.voice.sound.srtp import RejectedSrtp, Srtp
from dastak.voice.sound.telephone_event import EVENT_MAX, MalformedEvent, read_event
from tests.support.sip_peer import PEER, Conversation

CAPTURED: Final = json.loads((Path(__file__).parents[1] / "wire" / "captured_call.json").read_text())
MESSAGES: Final = [message.encode() for message in CAPTURED["messages"]]
SOUND: Final = [bytes.fromhex(packet) for packet in (*CAPTURED["rtp"], *CAPTURED["events"])]
REPORTS: Final = [bytes.fromhex(packet) for packet in CAPTURED["rtcp"]]
OURS: Final = Ours(address="127.0.0.1", port=40_000, session_id=1)
# What comes to ports of media and is neither sound nor a report: STUN, TURN's channels, DTLS, ZRTP.
NO_SOUND: Final = (
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    b"\x01\x01\x00\x0c\x21\x12\xa4\x42" + bytes(12) + b"\x00\x20\x00\x08\x00\x01\xa1\x47\x5e\x12\xa4\x43",
    b"\x40\x00\x00\x04abcd",
    b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x01" + bytes(31),
    b"\x10\x00\x00\x01ZRTP\x00\x00\x00\x01PZ\x00\x1cHello   1.10",
)
PIECES: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b"\0",
    b"\xff",
    b"9" * 30,
    b"\r\n ",
)


def cut(octets: bytes, at: int, length: int) -> bytes:
    return octets[:at] + octets[at + length :]


@st.composite
def spoilt(draw: st.DrawFn, of: list[bytes]) -> bytes:
    """Take one of these, and change it in a few places: cut, doubled, overwritten, mixed with another."""
    octets = draw(st.sampled_from(of))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(octets) - 1)))
        length = draw(st.integers(0, 24))
        match draw(st.integers(0, 4)):
            case 0:
                octets = cut(octets, at, length)
            case 1:
                octets = octets[:at] + octets[at : at + length] + octets[at:]
            case 2:
                octets = octets[:at] + draw(st.binary(max_size=8)) + octets[at + length :]
            case 3:
                octets = octets[:at] + draw(st.sampled_from(PIECES)) + octets[at:]
            case _:
                other = draw(st.sampled_from(of))
                octets = octets[:at] + other[draw(st.integers(0, len(other))) :]
    return octets


def of_this_call(octets: bytes, talk: Conversation) -> bytes:
    """Make a captured answer one to the INVITE of this call, so that it is not simply a stray."""
    invite = talk.invite
    ours = {
        b"Via: ": invite.first("Via"),
        b"From: ": invite.first("From"),
        b"Call-ID: ": invite.call_id,
        b"CSeq: ": "1 INVITE",
    }
    lines = octets.split(b"\r\n")
    for place, line in enumerate(lines):
        for name, value in ours.items():
            if line.startswith(name):
                lines[place] = name + value.encode()
    return b"\r\n".join(lines)


@given(octets=spoilt(MESSAGES))
def test_spoilt_message_is_read_or_refused_by_its_own_error(octets: bytes) -> None:
    try:
        message = parse(octets)
    except MalformedSip:
        return
    assert message.method
    assert message.status in {0, *range(100, 700)}
    assert all("\r" not in value and "\n" not in value for _, value in message.headers)


@given(messages=st.lists(spoilt(MESSAGES), max_size=4), data=st.data())
def test_spoilt_stream_is_cut_or_given_up_by_its_own_error(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream, framer, taken = b"".join(messages), StreamFramer(), 0
    try:
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            taken += sum(len(message) for message in framer.feed(stream[:size]))
            stream = stream[size:]
    except MalformedSip:
        return
    assert taken <= sum(map(len, messages))


@given(messages=st.lists(st.tuples(spoilt(MESSAGES), st.booleans()), max_size=12))
def test_call_that_hears_spoilt_messages_ends_once_and_is_forgotten(
    messages: list[tuple[bytes, bool]],
) -> None:
    talk = Conversation()
    for octets, of_ours in messages:
        try:
            talk.call.receive(parse(of_this_call(octets, talk) if of_ours else octets), PEER, talk.now)
        except MalformedSip:
            continue
        assert len(talk.packets()) <= 2
    talk.call.hang_up(CallOutcome.COMPLETED, talk.now)
    talk.wait(10_000.0)

    assert [type(event) for event in talk.news()].count(Ended) == 1
    assert talk.call.finished


@given(messages=st.lists(spoilt(MESSAGES), max_size=12))
def test_endpoint_answers_spoilt_requests_once_at_most_and_keeps_nothing(messages: list[bytes]) -> None:
    tokens = iter(range(10_000))
    draw = lambda: f"tok{next(tokens)}"  # noqa: E731
    trunk = SipTrunk(sent_by="127.0.0.1:5070", contact="sip:dastak@127.0.0.1:5070")
    endpoint = SipEndpoint(trunk, DigestClient(Credentials("shop", "secret"), draw), draw, hosts=[PEER[0]])
    endpoint.register(Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example"), 0.0)
    endpoint.packets.clear()
    for octets in messages:
        endpoint.receive(octets, PEER, 0.0)
        assert len(endpoint.packets) <= 1
        endpoint.packets.clear()

    assert endpoint.calls == 0
    assert endpoint.events == []


@given(octets=spoilt([message.partition(b"\r\n\r\n")[2] for message in MESSAGES if b"m=audio" in message]))
def test_spoilt_description_is_read_or_refused_by_its_own_error(octets: bytes) -> None:
    for read in (read_answer, read_offer):
        try:
            audio = read(octets, OURS)
        except UnusableSdp:
            continue
        assert 0 < audio.port < 65_536
        assert read_answer(write_answer(OURS, audio), OURS).codec is audio.codec


@given(octets=spoilt(SOUND))
def test_spoilt_sound_is_read_or_refused_by_its_own_error(octets: bytes) -> None:
    try:
        packet = read_rtp(octets)
    except MalformedRtp:
        return
    assert write_rtp(packet)[: len(octets)][4:12] == octets[4:12]
    try:
        assert 0 <= read_event(packet.payload).event <= EVENT_MAX
    except MalformedEvent:
        assert len(packet.payload) < 4


@given(octets=spoilt(REPORTS))
def test_spoilt_report_is_read_or_refused_by_its_own_error(octets: bytes) -> None:
    try:
        parts = read_compound(octets)
    except MalformedRtcp:
        return
    assert len(parts) <= len(octets) // 4


@pytest.mark.parametrize("octets", NO_SOUND)
def test_what_is_no_sound_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedRtp):
        read_rtp(octets)
    with pytest.raises(MalformedRtcp):
        read_compound(octets)


@pytest.mark.parametrize("suite", Suite)
@given(data=st.data())
def test_spoilt_encrypted_packet_is_rejected_and_the_true_one_opens_after_it(
    suite: Suite, data: st.DataObject
) -> None:
    ours, theirs = os.urandom(30), os.urandom(30)
    caller, callee = Srtp(suite, ours=ours, theirs=theirs), Srtp(suite, ours=theirs, theirs=ours)
    sound = write_rtp(RtpPacket(0, 7, 160, 0xCA11, b"\x55" * 160))
    true = callee.protect(sound)
    for octets in data.draw(st.lists(spoilt([true, *NO_SOUND, *SOUND]), max_size=6)):
        if octets != true:
            with pytest.raises(RejectedSrtp):
                caller.unprotect(octets)
            with pytest.raises(RejectedSrtp):
                caller.unprotect_rtcp(octets)

    assert caller.unprotect(true) == sound
    with pytest.raises(RejectedSrtp):
        caller.unprotect(true)
