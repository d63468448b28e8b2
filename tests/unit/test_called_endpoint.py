"""What comes to the exchange: which INVITE becomes a call, what is refused, and junk that costs nothing."""

import itertools
import random

import pytest

from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import REFUSALS, CallFate, CallScript
from dastak.simulator.exchange import called_endpoint as endpoint_module
from dastak.simulator.exchange.called_dialog import Place
from dastak.simulator.exchange.called_endpoint import CalledEndpoint
from dastak.simulator.exchange.digest_gate import NONCES_MAX, DigestGate
from dastak.simulator.phone import read_number
from dastak.voice.sip.sip_digest import Credentials, DigestClient
from dastak.voice.sip.sip_message import Header, SipMessage, parse
from dastak.voice.sip.sip_transactions import Timing
from tests.support import sip_samples
from tests.support.sip_caller import HOP, NUMBER, PLACE, invite, request

URI = f"sip:{NUMBER}@127.0.0.1:5060"


class Desk:
    """An endpoint, and everything it said."""

    def __init__(self, *, password: str = "") -> None:
        numbers = itertools.count()
        self.draw = lambda: f"tok{next(numbers)}"
        gate = DigestGate("shop", password, "exchange", self.draw) if password else None
        self.endpoint = CalledEndpoint(look_up, lambda _: Place(*PLACE), gate, self.draw, timing=Timing())

    def hear(self, octets: bytes, now: float = 0.0) -> list[SipMessage]:
        """Let something come; return what is said to it."""
        self.endpoint.receive(octets, HOP, now)
        packets, self.endpoint.packets = self.endpoint.packets, []
        return [parse(packet.octets) for packet in packets]

    def calls(self) -> list[Msisdn]:
        """Take away the calls that came."""
        arrived, self.endpoint.arrived = self.endpoint.arrived, []
        return [msisdn for _, msisdn in arrived]


def look_up(user: str) -> tuple[Msisdn, CallScript]:
    return read_number(user), CallScript()


@pytest.mark.parametrize("number", [NUMBER, NUMBER[1:], f"{NUMBER};phone-context=x", "%2B919876543210"])
def test_invite_to_a_number_is_a_call(number: str) -> None:
    desk = Desk()

    assert desk.hear(invite(number=number)) == []
    assert desk.calls() == [NUMBER]


@pytest.mark.parametrize(
    ("octets", "status", "header"),
    [
        (invite(number="bob"), 404, ("Reason", "Q.850;cause=1")),
        (invite(headers=[("Require", "100rel")]), 420, ("Unsupported", "100rel")),
        (invite(headers=[("Supported", "timer"), ("Session-Expires", "60")]), 422, ("Min-SE", "90")),
        (request("OPTIONS"), 200, ("Accept", "application/sdp")),
        (request("REGISTER"), 405, ("Accept", "")),
        (request("BYE", tag="gone"), 481, ("Accept", "")),
        (request("CANCEL"), 481, ("Accept", "")),
    ],
)
def test_what_is_no_call_is_answered_and_keeps_nothing(octets: bytes, status: int, header: Header) -> None:
    desk = Desk()
    (answer,) = desk.hear(octets)

    assert (answer.status, answer.first(header[0])) == (status, header[1])
    assert desk.endpoint.kept == 0


def test_ack_and_answers_to_nothing_are_not_answered() -> None:
    desk = Desk()

    assert desk.hear(request("ACK", tag="gone")) == []
    assert desk.hear(sip_samples.RINGING) == []


def test_invite_that_comes_by_two_ways_is_taken_once() -> None:
    desk = Desk()
    desk.hear(invite())
    (second,) = desk.hear(invite(branch="z9hG4bKother"))

    assert second.status == 482
    assert desk.calls() == [NUMBER]


def test_caller_may_try_again_after_a_refusal() -> None:
    desk = Desk()
    desk.hear(invite())
    [(call, _)] = desk.endpoint.arrived
    call.refuse(REFUSALS[CallFate.BUSY], (), 0.0)
    desk.endpoint.touched(call)
    desk.hear(invite(branch="z9hG4bKagain", cseq=2))

    assert desk.calls() == [NUMBER] * 2


def test_calls_are_bounded_and_those_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "CALLS_MAX", 2)
    desk = Desk()
    for n in range(2):
        desk.hear(invite(call_id=f"call{n}"))
    (full,) = desk.hear(invite(call_id="call3"))
    for call, _ in desk.endpoint.arrived:
        call.refuse(REFUSALS[CallFate.BUSY], (), 0.0)
        desk.endpoint.touched(call)
    while desk.endpoint.deadline is not None:
        desk.endpoint.tick(desk.endpoint.deadline)

    assert (full.status, full.first("Retry-After")) == (503, "5")
    desk.endpoint.packets.clear()
    assert desk.endpoint.kept == 0
    assert desk.hear(invite(call_id="call4")) == []


def test_caller_that_knows_the_password_is_let_in_and_no_proof_serves_twice() -> None:
    desk = Desk(password="secret")
    client = DigestClient(Credentials("shop", "secret"), desk.draw)
    (challenge,) = desk.hear(invite())
    assert client.challenged(challenge)
    proofs = client.proofs("INVITE", URI)
    admitted = desk.hear(invite(cseq=2, branch="z9hG4bK2", headers=proofs))
    (replayed,) = desk.hear(invite(call_id="call2", headers=proofs))
    again = desk.hear(invite(call_id="call3", headers=client.proofs("INVITE", URI)))

    assert (challenge.status, replayed.status) == (407, 407)
    assert "stale=true" in replayed.first("Proxy-Authenticate")
    assert admitted == again == []
    assert desk.calls() == [NUMBER] * 2


@pytest.mark.parametrize(
    ("credentials", "uri"),
    [
        (Credentials("shop", "guess"), URI),
        (Credentials("shopper", "secret"), URI),
        (Credentials("shop", "secret"), "sip:+919876543210@other.example"),
    ],
)
def test_caller_that_proves_something_else_is_asked_again(credentials: Credentials, uri: str) -> None:
    desk = Desk(password="secret")
    client = DigestClient(credentials, desk.draw)
    client.challenged(desk.hear(invite())[0])
    (answer,) = desk.hear(invite(headers=client.proofs("INVITE", uri)))

    assert answer.status == 407
    assert desk.calls() == []


def test_challenges_that_nobody_answers_are_bounded() -> None:
    desk = Desk(password="secret")
    client = DigestClient(Credentials("shop", "secret"), desk.draw)
    client.challenged(desk.hear(invite())[0])
    for n in range(NONCES_MAX):
        desk.hear(invite(call_id=f"scan{n}"))
    (forgotten,) = desk.hear(invite(headers=client.proofs("INVITE", URI)))

    assert forgotten.status == 407
    assert client.challenged(forgotten)
    assert desk.hear(invite(headers=client.proofs("INVITE", URI))) == []


def test_junk_is_counted_and_breaks_nothing() -> None:
    desk, dice = Desk(password="secret"), random.Random(3)
    samples = [*sip_samples.ALL, invite(), request("BYE", tag="tok0"), request("CANCEL")]
    for n in range(3_000):
        desk.hear(sip_samples.spoiled(dice.choice(samples), dice), now=n / 100)
    desk.hear(b"\r\n\r\n")

    assert desk.endpoint.dropped > 1_000
    assert desk.calls() == []
