"""What ends a call when its process is gone: what that is in each state, and that its own port says it."""

import logging
import os
import socket
from collections.abc import Callable
from errno import EACCES, EADDRINUSE

import msgspec
import pytest

from dastak.voice.engine.last_words import say_last_words
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.line_call import LastWords, LineCall
from dastak.voice.sip.sip_call import SipCall
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_message import Address, SipMessage, parse
from tests.support import sip_samples
from tests.support.sip_peer import CALLEE, PEER, TRUNK, Conversation

ASK = ("Proxy-Authenticate", 'Digest realm="trunk.example", nonce="n1", qop="auth"')
ROUTE = ("Record-Route", "<sip:10.0.0.2;lr>, <sip:10.0.0.1:5080;lr>")


def last_words(talk: Conversation) -> SipMessage:
    packet = talk.call.last_words
    assert packet is not None
    return parse(packet.octets)


@pytest.mark.parametrize("status", [100, 180, 183])
def test_call_that_is_under_way_is_ended_by_the_cancel_of_its_invite(status: int) -> None:
    trunk = TRUNK.__class__(sent_by="h", contact="sip:h", routes=("<sip:proxy;lr>",))
    talk = Conversation(trunk)

    talk.reply(status, tag="" if status == 100 else "theirs")
    words = last_words(talk)

    assert (words.method, words.uri, words.branch) == ("CANCEL", CALLEE.uri, talk.invite.branch)
    assert (words.cseq, words.call_id) == (talk.invite.cseq, talk.invite.call_id)
    assert words.first("To") == talk.invite.first("To")
    assert words.first("From") == talk.invite.first("From")
    assert words.all("Route") == ["<sip:proxy;lr>"]
    assert talk.packets() == []


def test_last_words_of_a_ringing_call_are_what_it_says_when_it_is_canceled() -> None:
    talk = Conversation()
    talk.reply(180)
    words = last_words(talk)

    talk.call.hang_up(CallOutcome.NO_ANSWER, talk.now)

    assert talk.said() == [words]
    assert last_words(talk) == words


def test_invite_that_is_said_again_with_a_proof_is_what_is_canceled() -> None:
    talk = Conversation()
    talk.reply(100, tag="")
    first = last_words(talk)
    _, invite = talk.reply(407, headers=(ASK,))
    talk.reply(100, invite, tag="")

    words = last_words(talk)

    assert first.branch == talk.invite.branch
    assert (words.method, words.branch, words.cseq) == ("CANCEL", invite.branch, 2)


def test_call_that_is_answered_is_ended_by_a_bye_by_its_route_to_its_contact() -> None:
    talk = Conversation()
    talk.reply(180)
    talk.answered(headers=(ROUTE,), contact="<sip:callee@10.9.9.9:7000>")

    words, packet = last_words(talk), talk.call.last_words

    assert packet is not None
    assert packet.to == ("10.0.0.1", 5080)
    assert (words.method, words.uri) == ("BYE", "sip:callee@10.9.9.9:7000")
    assert words.all("Route") == ["<sip:10.0.0.1:5080;lr>", "<sip:10.0.0.2;lr>"]
    assert (words.cseq, words.call_id) == (talk.invite.cseq + 1, talk.invite.call_id)
    assert (words.to_tag, words.from_tag) == ("theirs", talk.invite.from_tag)
    assert words.branch != talk.invite.branch


def test_bye_of_an_answered_call_has_a_proof_and_a_number_that_the_call_does_not_miss() -> None:
    talk = Conversation()
    _, invite = talk.reply(407, headers=(ASK,))
    talk.reply(180, invite, headers=(("Require", "100rel"), ("RSeq", "7")))
    talk.reply(200, invite, body=b"their answer")

    words = last_words(talk)
    talk.call.hang_up(CallOutcome.COMPLETED, talk.now)
    (bye,) = talk.said()

    assert words.first("Proxy-Authorization").startswith("Digest ")
    # INVITE twice, PRACK, BYE: whichever is said, no number is left out.
    assert words.cseq == bye.cseq == 4


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_bye_goes_where_the_peer_has_moved(method: str) -> None:
    talk = Conversation()
    talk.answered()
    before = last_words(talk)
    body = b"their new offer" if method == "INVITE" else b""

    talk.ask(method, headers=(("Contact", "<sip:moved@10.9.9.9:7000>"),), body=body)
    packet = talk.call.last_words

    assert before.uri == "sip:callee@127.0.0.1:5066"
    assert packet is not None
    assert packet.to == ("10.9.9.9", 7000)
    assert last_words(talk).uri == "sip:moved@10.9.9.9:7000"


def test_request_that_moves_nobody_leaves_the_last_words_as_they_were() -> None:
    talk = Conversation()
    talk.answered()
    before = talk.call.last_words

    talk.ask("UPDATE", headers=(("Contact", "<sip:callee@127.0.0.1:5066>"),))

    assert talk.call.last_words is before


def nothing(talk: Conversation) -> None:
    del talk


def called_off(talk: Conversation) -> None:
    talk.call.hang_up(CallOutcome.NO_ANSWER, talk.now)


def refused(talk: Conversation) -> None:
    talk.reply(180)
    talk.reply(486)


def canceled(talk: Conversation) -> None:
    talk.reply(180)
    called_off(talk)
    talk.reply(487)


def hung_up(talk: Conversation) -> None:
    talk.answered()
    called_off(talk)


def hung_up_by_the_peer(talk: Conversation) -> None:
    talk.answered()
    talk.ask("BYE")


def without_a_socket(talk: Conversation) -> None:
    talk.reply(180)
    talk.call.lose()


@pytest.mark.parametrize(
    "end", [nothing, called_off, refused, canceled, hung_up, hung_up_by_the_peer, without_a_socket]
)
def test_call_that_has_nothing_to_end_has_no_last_words(end: Callable[[Conversation], None]) -> None:
    talk = Conversation()

    end(talk)

    assert talk.call.last_words is None


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_call_over_a_connection_has_no_last_words(transport: str) -> None:
    talk = Conversation(TRUNK.__class__(transport=transport, sent_by="h", contact="sip:h"))
    talk.reply(180)
    ringing = talk.call.last_words

    talk.answered()

    assert (ringing, talk.call.last_words) == (None, None)


TARGET = ("198.51.100.7", 5060)


class Line:
    """Where a call is spoken from."""

    local = ("192.0.2.7", 5070)

    def now(self) -> float:
        return 0.0

    def flush(self, call: SipCall) -> None:
        del call


def told_by_a_line(contact: str, *, recorded: str = "") -> list[LastWords | None]:
    """Return its last words before a call is heard of, when it rings, and when it is answered."""
    trunk = msgspec.structs.replace(TRUNK, target=TARGET)
    call = SipCall(trunk, CALLEE, DigestClient(None, str), lambda: "tok", now=0.0)
    line_call = LineCall(Line(), CALLEE, call)
    invite = parse(call.packets[0].octets)
    told = [line_call.last_words]
    for status in (180, 200):
        headers = [("Record-Route", recorded)] if recorded else []
        call.receive(parse(sip_samples.reply(invite, status, contact=contact, headers=headers)), PEER, 0.0)
        told.append(line_call.last_words)
    return told


@pytest.mark.parametrize(
    ("contact", "there", "to"),
    [
        ("<sip:callee@10.9.9.9:7000>", ("10.9.9.9", 7000), ("10.9.9.9", 7000)),
        ("<sip:callee@[2001:db8::9]>", ("2001:db8::9", 5060), ("2001:db8::9", 5060)),
        # A name is not looked up by who has calls to end: whom it leads to was reached by the trunk.
        ("<sip:callee@phone.example>", ("phone.example", 5060), ("198.51.100.7", 5060)),
    ],
)
def test_last_words_of_a_line_say_from_where_and_where_to(contact: str, there: Address, to: Address) -> None:
    before, cancel, bye = told_by_a_line(contact)

    assert before is None
    assert cancel is not None
    assert bye is not None
    assert (cancel.octets[:6], cancel.here, cancel.there, cancel.to) == (
        b"CANCEL",
        Line.local,
        TARGET,
        TARGET,
    )
    assert (bye.octets[:3], bye.here, bye.there, bye.to) == (b"BYE", Line.local, there, to)


def test_last_words_that_a_peer_makes_too_long_are_not_kept() -> None:
    way = ",".join(f"<sip:10.0.0.{hop};lr;at={'x' * 60}>" for hop in range(50))

    _, cancel, bye = told_by_a_line("<sip:callee@10.9.9.9>", recorded=way)

    assert cancel is not None
    assert bye is None


def udp(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    wire = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((host, port))
    wire.settimeout(10)
    return wire


def place(wire: socket.socket) -> Address:
    host, port = wire.getsockname()[:2]
    return host, port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_last_words_are_said_from_the_ports_of_those_who_are_gone(host: str) -> None:
    with udp(host) as peer:
        with udp(host) as one, udp(host) as other:
            first, second = place(one), place(other)
        there = place(peer)
        say_last_words(
            [LastWords(octets, here, there, there) for octets, here in
             ((b"a", first), (b"b", second), (b"c", first))]
        )  # fmt: skip
        heard = {octets: source[:2] for octets, source in (peer.recvfrom(100) for _ in range(3))}

    assert heard == {b"a": first, b"b": second, b"c": first}


def test_what_cannot_be_said_is_told_and_keeps_nothing_else_from_being_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with udp() as peer, udp() as held:
        with udp() as gone:
            here = place(gone)
        there = place(peer)
        nowhere = ("255.255.255.255", 5060)
        say_last_words(
            [
                LastWords(b"of a port that somebody has", place(held), there, there),
                LastWords(b"to where nobody may send", here, nowhere, nowhere),
                LastWords(b"heard", here, there, there),
            ]
        )
        heard = peer.recvfrom(100)

    assert heard == (b"heard", here)
    told = sorted(one.getMessage() for one in caplog.records if one.levelno == logging.WARNING)
    assert told == [f"1 calls cannot be called off: {os.strerror(why)}" for why in (EADDRINUSE, EACCES)]
