import socket
from collections.abc import Iterator

import pytest

from dastak.core.errors import CarrierFull, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.voice.engine.engine_line import EngineLeg, EngineLine
from dastak.voice.engine.engine_messages import (
    CallAnswered,
    CallLastWords,
    CallOver,
    CallRings,
    CallStepped,
    FromEngine,
    HangUp,
    PlaceCall,
    ToEngine,
)
from dastak.voice.ivr import Step
from dastak.voice.line import Dial, Script
from dastak.voice.sip.line_call import LastWords
from dastak.voice.sip_settings import SipSettings
from tests.support.samples import MSISDN

DIAL = Dial(MSISDN, "+911600123456", 28.0, Script(locale="en", gate="7", code="4711"))
SETTINGS = SipSettings(host="trunk.example", caller="+911600123456", calls_max=2)
RINGS = CallRings(2, "SIP 180")
ANSWERED = CallAnswered(2, "SIP 200")


class Engine:
    """A voice process in the hands of a test."""

    def __init__(self) -> None:
        self.up = True
        self.told: list[ToEngine] = []
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def send(self, message: ToEngine) -> None:
        self.told.append(message)

    async def attach(self, line: EngineLine) -> None:
        line.stand(True, "the trunk can be reached")

    async def detach(self, line: EngineLine) -> None:
        self.up = False


class Hearer:
    """Who dialled."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def on_ringing(self, detail: str) -> None:
        self.told.append(("ringing", detail))

    def on_answered(self, detail: str) -> None:
        self.told.append(("answered", detail))

    def on_step(self, step: Step, typed: str) -> None:
        self.told.append((step, typed))

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        self.told.append((outcome, detail))


async def dialled(*heard: FromEngine) -> tuple[EngineLine, Engine, Hearer, EngineLeg]:
    engine, hearer = Engine(), Hearer()
    line = await EngineLine(engine, SETTINGS).__aenter__()
    leg = line.dial(DIAL, hearer)
    for message in heard:
        assert line.hear(message)  # type: ignore[arg-type]
    return line, engine, hearer, leg


async def test_call_is_placed_told_and_forgotten() -> None:
    over = CallOver(2, Outcome.DELIVERED, "SIP 200")
    line, engine, hearer, leg = await dialled(RINGS, ANSWERED, CallStepped(2, Step.SPOKEN, ""))
    leg.hang_up()
    assert line.in_flight == 1
    line.hear(over)

    assert engine.told == [PlaceCall(2, 1, DIAL), HangUp(2)]
    assert hearer.told == [
        ("ringing", "SIP 180"),
        ("answered", "SIP 200"),
        (Step.SPOKEN, ""),
        (Outcome.DELIVERED, "SIP 200"),
    ]
    assert line.in_flight == 0
    assert not line.hear(over)


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        ([], Outcome.NETWORK_TEMPORARY),
        ([RINGS], Outcome.NOT_ANSWERED),
        ([RINGS, ANSWERED], Outcome.HUNG_UP),
        ([ANSWERED, CallStepped(2, Step.RIGHT_KEY, "")], Outcome.HUNG_UP),
        ([ANSWERED, CallStepped(2, Step.NO_KEY, "")], Outcome.NO_HUMAN),
        ([ANSWERED, CallStepped(2, Step.WRONG_KEY, "")], Outcome.WRONG_KEY),
        ([ANSWERED, CallStepped(2, Step.SPOKEN, "")], Outcome.DELIVERED),
        ([ANSWERED, CallStepped(2, Step.SPOKEN, ""), CallStepped(2, Step.AGAIN, "")], Outcome.DELIVERED),
        ([ANSWERED, CallStepped(2, Step.SPOKEN, ""), CallStepped(2, Step.REPORTED, "")], Outcome.REPORTED),
        ([ANSWERED, CallStepped(2, Step.TYPED, "42")], Outcome.DELIVERED),
    ],
)
async def test_call_whose_process_died_is_over_once_by_what_it_came_to(
    heard: list[FromEngine], outcome: Outcome
) -> None:
    line, _, hearer, _ = await dialled(*heard)
    line.lose("the voice process ended")
    line.lose("the voice process ended")

    assert hearer.told[len(heard) :] == [(outcome, "the voice process ended")]
    assert (line.available, line.in_flight) == (False, 0)


@pytest.mark.parametrize(("up", "stands"), [(False, True), (True, False)])
async def test_line_without_a_process_or_a_trunk_takes_no_call(up: bool, stands: bool) -> None:
    line, engine, hearer, _ = await dialled()
    engine.up = up
    line.stand(stands, "of the test")

    assert not line.available
    with pytest.raises(CarrierUnavailable, match="of the test"):
        line.dial(DIAL, hearer)
    assert line.in_flight == 1


async def test_line_takes_as_many_calls_as_the_trunk_has_channels_and_is_available_meanwhile() -> None:
    line, _, hearer, _ = await dialled()
    line.dial(DIAL, hearer)
    with pytest.raises(CarrierFull):
        line.dial(DIAL, hearer)
    full = line.available, line.in_flight
    line.hear(CallOver(2, Outcome.BUSY, "SIP 486"))
    line.dial(DIAL, hearer)
    again = line.in_flight
    line.stand(False, "no answer to OPTIONS")

    assert (full, again) == ((True, 2), 2)
    assert (line.available, line.reason) == (False, "no answer to OPTIONS")


async def test_closed_line_ends_what_was_not_told() -> None:
    line, _, hearer, _ = await dialled(RINGS)
    await line.__aexit__(None, None, None)

    assert hearer.told[-1] == (Outcome.NOT_ANSWERED, "the voice process ended")


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        wire.settimeout(10)
        yield wire


def words(octets: bytes, there: socket.socket) -> LastWords:
    return LastWords(octets, ("127.0.0.1", 0), there.getsockname(), there.getsockname())


async def test_newest_last_words_of_a_call_that_is_lost_are_said_before_its_end_is_told(
    peer: socket.socket,
) -> None:
    line, _, hearer, _ = await dialled(
        CallLastWords(2, words(b"CANCEL", peer)), ANSWERED, CallLastWords(2, words(b"BYE", peer))
    )
    heard: list[bytes] = []
    hearer.on_ended = lambda *_: heard.append(peer.recv(100))  # type: ignore[method-assign]

    line.lose("the voice process ended")

    assert heard == [b"BYE"]


async def test_last_words_of_a_call_that_is_over_are_never_said(peer: socket.socket) -> None:
    line, _, hearer, _ = await dialled(CallLastWords(2, words(b"of a call that is over", peer)))
    line.hear(CallOver(2, Outcome.BUSY, "SIP 486"))
    line.dial(DIAL, hearer)
    line.hear(CallLastWords(3, words(b"CANCEL", peer)))

    line.lose("the voice process ended")

    assert peer.recv(100) == b"CANCEL"
