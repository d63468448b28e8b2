"""Whether a trunk is there: OPTIONS on a clock moved by hand, answered in every way and not at all."""

import itertools

import msgspec
import pytest

from dastak.voice.sip.sip_message import SipMessage, parse
from dastak.voice.sip.sip_probe import AGAIN_S, Probe, Reached
from dastak.voice.sip.sip_transactions import Timing
from tests.support import sip_samples
from tests.support.sip_peer import TRUNK

TARGET = ("192.0.2.7", 5060)
QUICK = msgspec.structs.replace(TRUNK, timing=Timing(silence_s=5.0), target=TARGET)


class Questions:
    """One probe, and the time."""

    def __init__(self) -> None:
        numbers = itertools.count()
        self.now = 0.0
        self.probe = Probe(QUICK, "sip:trunk.example", 30.0, lambda: f"tok{next(numbers)}", now=0.0)

    def said(self) -> list[SipMessage]:
        packets = list(self.probe.packets)
        self.probe.packets.clear()
        assert {packet.to for packet in packets} <= {TARGET}
        return [parse(packet.octets) for packet in packets]

    def answer(self, request: SipMessage, status: int, *, after_s: float = 0.1) -> None:
        self.now += after_s
        self.probe.receive(parse(sip_samples.reply(request, status)), self.now)

    def wait(self, until: float) -> list[tuple[float, int]]:
        """Move the clock; return when what was sent, by its number."""
        sent = []
        while (deadline := self.probe.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.probe.tick(self.now)
            sent += [(self.now, request.cseq) for request in self.said()]
        self.now = until
        return sent


@pytest.mark.parametrize("status", [200, 404, 405, 401, 407, 483, 503, 603])
def test_any_final_answer_is_a_sign_of_life(status: int) -> None:
    asks = Questions()
    (options,) = asks.said()

    asks.answer(options, status)

    assert (options.method, options.uri, options.first("To")) == (
        "OPTIONS", "sip:trunk.example", "<sip:trunk.example>",
    )  # fmt: skip
    assert (asks.probe.state, asks.probe.status) == (Reached.YES, status)
    assert asks.probe.took_s == pytest.approx(0.1)


def test_trunk_that_answers_is_asked_at_its_pace() -> None:
    asks = Questions()
    asks.answer(asks.said()[0], 200, after_s=0.0)

    assert asks.wait(29.9) == []
    assert asks.wait(30.0) == [(30.0, 2)]


def test_trunk_that_is_silent_is_told_and_asked_again_soon_until_it_is_back() -> None:
    asks = Questions()
    asks.said()

    repeats = asks.wait(4.9)
    known = asks.probe.state
    asks.wait(5.0)
    again = asks.wait(5.0 + AGAIN_S)

    assert [at for at, _ in repeats] == [0.5, 1.5, 3.5]
    assert known is Reached.UNKNOWN
    assert (asks.probe.state, asks.probe.silences) == (Reached.SILENT, 1)
    assert again == [(10.0, 2)]
    asks.probe.hurry(asks.now)
    assert asks.said() == []


def test_lost_question_alone_does_not_make_a_trunk_silent() -> None:
    asks = Questions()
    (options,) = asks.said()
    asks.wait(3.6)

    asks.answer(options, 200)

    assert asks.probe.state is Reached.YES


def test_trunk_that_trembles_but_decides_nothing_is_silent() -> None:
    asks = Questions()
    asks.answer(asks.said()[0], 100)
    asks.wait(5.0)

    assert asks.probe.state is Reached.SILENT


def test_answers_to_something_else_tell_nothing() -> None:
    asks = Questions()
    (options,) = asks.said()
    other = sip_samples.reply(options, 200).replace(options.branch.encode(), b"z9hG4bKother")

    asks.probe.receive(parse(other), asks.now)
    asks.probe.receive(options, asks.now)

    assert asks.probe.state is Reached.UNKNOWN


def test_call_that_was_not_answered_asks_at_once() -> None:
    asks = Questions()
    asks.answer(asks.said()[0], 200)

    asks.probe.hurry(asks.now)
    (second,) = asks.said()
    asks.wait(asks.now + 5.0)

    assert second.cseq == 2
    assert asks.probe.state is Reached.SILENT


def test_nothing_is_asked_without_a_connection_and_what_is_known_stays() -> None:
    asks = Questions()
    asks.answer(asks.said()[0], 200)

    asks.probe.pause()
    quiet = asks.wait(200.0)
    asks.probe.restart(QUICK, asks.now)
    (anew,) = asks.said()

    assert quiet == []
    assert asks.probe.state is Reached.YES
    assert anew.call_id == asks.probe.party.call_id
