"""All calls over one trunk: each message to its call, the trunk answered outside of calls, strangers not."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip import sip_endpoint
from dastak.voice.sip.call_events import Ended, Ringing
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_call import SipCall
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_endpoint import SipEndpoint
from dastak.voice.sip.sip_message import SipMessage, parse
from tests.support import sip_samples
from tests.support.sip_peer import CALLEE, PEER, TRUNK


def endpoint() -> SipEndpoint:
    numbers = itertools.count()

    def draw() -> str:
        return f"tok{next(numbers)}"

    return SipEndpoint(TRUNK, DigestClient(None, draw), draw, hosts=[PEER[0]])


def said(line: SipEndpoint) -> list[SipMessage]:
    messages = [parse(packet.octets) for packet in line.packets]
    line.packets.clear()
    return messages


def begin(line: SipEndpoint, now: float = 0.0) -> tuple[SipCall, SipMessage]:
    call = line.call(CALLEE, now)
    (invite,) = said(line)
    return call, invite


def test_each_message_goes_to_its_call() -> None:
    line = endpoint()
    _, one = begin(line)
    other, two = begin(line)

    line.receive(sip_samples.reply(two, 180), PEER, 0.1)
    line.receive(sip_samples.reply(one, 180), PEER, 0.1)

    assert [(call is other, event) for call, event in line.events] == [
        (True, Ringing(180)),
        (False, Ringing(180)),
    ]


def test_each_call_is_woken_when_it_is_due_and_forgotten_when_it_is_finished() -> None:
    line = endpoint()
    begin(line)
    late, _ = begin(line, 20.0)

    now = 0.0
    while (deadline := line.deadline) is not None:
        now = max(now, deadline)
        line.tick(now)

    ends = [event for _, event in line.events]
    assert ends == [Ended(CallOutcome.UNREACHABLE)] * 2
    assert line.events[1][0] is late
    assert line.calls == 0
    assert now == 52.0


def test_one_call_leaves_few_entries_to_look_at() -> None:
    line = endpoint()
    _, invite = begin(line)

    for _ in range(500):
        line.receive(sip_samples.reply(invite, 180), PEER, 0.1)

    assert len(line._due) < 10


def test_trunk_is_answered_outside_of_calls() -> None:
    line = endpoint()
    _, invite = begin(line)
    stray = sip_samples.ask(invite, "OPTIONS").replace(invite.call_id.encode(), b"other")
    outside = stray.replace(b";tag=" + invite.from_tag.encode(), b"")
    calling = outside.replace(b"OPTIONS", b"INVITE")

    for octets in (stray, outside, calling, outside.replace(b"OPTIONS", b"REGISTER")):
        line.receive(octets, PEER, 0.0)
    line.receive(calling.replace(b"INVITE", b"ACK"), PEER, 0.0)
    line.receive(calling.replace(b"INVITE", b"CANCEL"), PEER, 0.0)

    answers = said(line)
    assert [answer.status for answer in answers] == [481, 200, 403, 405, 481]
    assert answers[2].to_tag
    assert "INVITE" in answers[1].first("Allow")
    assert line.junk == {}


SCANNER = ("192.0.2.66", 5060)


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER", "ACK", "BYE", "CANCEL"])
def test_scanner_is_counted_and_learns_nothing(method: str) -> None:
    line = endpoint()

    line.receive(sip_samples.friendly_scanner(method), SCANNER, 0.0)

    assert (said(line), line.junk, line.events, line.calls) == ([], {"stranger": 1}, [], 0)


def test_stranger_who_guesses_no_call_id_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    line = endpoint()
    monkeypatch.setattr(sip_endpoint, "parse", lambda _octets: pytest.fail("it was read"))

    line.receive(sip_samples.INVITE, SCANNER, 0.0)
    line.receive(b"\xff" * 1_000, SCANNER, 0.0)

    assert line.junk == {"stranger": 1, "unreadable": 1}


def test_peer_of_a_call_is_heard_from_any_host() -> None:
    line = endpoint()
    _, invite = begin(line)

    line.receive(sip_samples.reply(invite, 180).replace(b"Call-ID:", b"i :"), SCANNER, 0.1)

    assert [event for _, event in line.events] == [Ringing(180)]
    assert line.junk == {}


def test_junk_is_counted_by_reason_and_keep_alives_are_not() -> None:
    line = endpoint()

    for octets in (b"", b"\r\n\r\n", b"\0" * 19):
        line.receive(octets, PEER, 0.0)
    line.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PEER, 0.0)
    line.receive(sip_samples.BUSY, PEER, 0.0)

    assert (said(line), line.junk) == ([], {"unreadable": 1, "stray": 1})


@given(st.binary(max_size=2_000), st.sampled_from([PEER, SCANNER]))
def test_garbage_is_answered_with_nothing_and_keeps_nothing(octets: bytes, source: tuple[str, int]) -> None:
    line = endpoint()

    line.receive(octets, source, 0.0)

    assert (said(line), line.events, line.calls) == ([], [], 0)
    assert line.junk.total() == (len(octets) >= 20)


@given(st.randoms(use_true_random=False))
def test_spoiled_messages_of_a_scanner_are_answered_with_nothing(dice: random.Random) -> None:
    line = endpoint()

    line.receive(sip_samples.spoiled(sip_samples.friendly_scanner("INVITE"), dice), SCANNER, 0.0)

    assert (said(line), line.events, line.calls, line.junk.total()) == ([], [], 0, 1)


def test_lost_connection_ends_every_call() -> None:
    line = endpoint()
    begin(line)
    begin(line)

    line.lose()

    assert [event for _, event in line.events] == [Ended(CallOutcome.TRUNK_DOWN, 503)] * 2
    assert line.calls == 0
