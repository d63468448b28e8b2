import asyncio
from random import Random

import pytest

from dastak.core.errors import CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.simulator import switchboard as switchboard_module
from dastak.simulator.call_pages import as_wav
from dastak.simulator.faults import CallFate, Fault, FaultScript
from dastak.simulator.switchboard import CallState, Switchboard, VirtualCall
from dastak.voice.ivr import SILENCE, Step
from dastak.voice.line import Dial, Script
from tests.support.samples import MSISDN
from tests.unit.test_ivr import Words

SCRIPT = Script(locale="en", gate="7", code="4711")


class Caller:
    """Who dialled; keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.ended = asyncio.Event()

    def on_ringing(self, detail: str) -> None:
        self.told.append(("ringing", detail))

    def on_answered(self, detail: str) -> None:
        self.told.append(("answered", detail))

    def on_step(self, step: Step, typed: str) -> None:
        self.told.append(("step", step))

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        self.told.append(("ended", outcome, detail))
        self.ended.set()


def switchboard(*faults: Fault) -> Switchboard:
    return Switchboard(FaultScript(Random(1), faults=faults), lambda _call: None, lambda _locale: Words())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of a minute be over at once."""
    monkeypatch.setattr(switchboard_module, "FRAME_S", 0.0)


def frames(heard: bytes) -> list[str]:
    pieces = (heard[at : at + len(SILENCE)] for at in range(0, len(heard), len(SILENCE)))
    return [piece.decode().rstrip(".") for piece in pieces if piece != SILENCE]


async def dialled(board: Switchboard, caller: Caller, *, ring_s: float = 5.0) -> VirtualCall:
    call = board.dial(Dial(MSISDN, "+911600", ring_s, SCRIPT), caller)
    assert caller.told == [], "the caller is told only after it dialled"
    await asyncio.sleep(0)
    return call


@pytest.mark.usefixtures("quick")
async def test_phone_rings_is_answered_hears_and_presses() -> None:
    caller, board = Caller(), switchboard()
    call = await dialled(board, caller)
    assert board.ringing(MSISDN) is call
    listener = call.listen()
    call.answer()
    heard = b""
    while (sound := await listener.sound()) is not None:
        heard += sound
        if b"gate_7" in heard and not call.keys:
            call.press("7")

    assert heard == bytes(call.heard)
    assert [frame for frame in frames(heard) if frame.startswith("char_")] == [
        f"char_{n}" for n in "4711" * 2
    ]
    assert caller.told == [
        ("ringing", "180 Ringing"),
        ("answered", "200 OK"),
        ("step", Step.RIGHT_KEY),
        ("step", Step.SPOKEN),
        ("step", Step.SPOKEN),
        ("ended", Outcome.DELIVERED, "BYE"),
    ]
    assert board.ringing(MSISDN) is None


@pytest.mark.parametrize(
    ("fate", "outcome"),
    [
        (CallFate.BUSY, Outcome.BUSY),
        (CallFate.CONGESTION, Outcome.CONGESTION),
        (CallFate.UNREACHABLE, Outcome.ABSENT_SUBSCRIBER),
        (CallFate.DECLINE, Outcome.DECLINED),
    ],
)
async def test_phone_that_refuses_by_itself(fate: CallFate, outcome: Outcome) -> None:
    caller = Caller()
    await dialled(switchboard(Fault(call=fate)), caller)
    await asyncio.wait_for(caller.ended.wait(), 5)

    assert caller.told[-1][:2] == ("ended", outcome)
    assert ("ringing" in {told[0] for told in caller.told}) == (fate is CallFate.DECLINE)


@pytest.mark.usefixtures("quick")
async def test_voicemail_answers_and_plays_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "VOICEMAIL_AFTER_S", 0.0)
    monkeypatch.setattr(switchboard_module, "KEY_EVERY_S", 0.0)
    caller = Caller()
    call = await dialled(switchboard(Fault(call=CallFate.VOICEMAIL, call_keys="123")), caller)
    await asyncio.wait_for(caller.ended.wait(), 5)

    assert call.keys == "123"
    assert caller.told[-1][:2] == ("ended", Outcome.NO_HUMAN)


async def test_phone_that_nobody_answers_rings_out() -> None:
    caller = Caller()
    call = await dialled(switchboard(), caller, ring_s=0.01)
    await asyncio.wait_for(caller.ended.wait(), 5)

    assert caller.told[-1][:2] == ("ended", Outcome.NOT_ANSWERED)
    assert call.state is CallState.ENDED


async def test_what_comes_too_late_changes_nothing() -> None:
    caller = Caller()
    call = await dialled(switchboard(), caller)
    call.press("1")
    call.put_down()
    call.put_down()
    call.answer()
    call.press("1")
    call.hang_up()

    assert caller.told == [("ringing", "180 Ringing"), ("ended", Outcome.DECLINED, "603 Decline")]


@pytest.mark.usefixtures("quick")
async def test_listener_who_does_not_keep_up_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "PENDING_MAX", 1)
    caller = Caller()
    call = await dialled(switchboard(), caller)
    slow = call.listen()
    call.answer()
    await caller.ended.wait()

    assert await slow.sound() == SILENCE * 5
    assert await slow.sound() is None


async def test_lines_and_kept_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "CALLS_MAX", 2)
    monkeypatch.setattr(switchboard_module, "KEPT_MAX", 3)
    board, callers = switchboard(), [Caller() for _ in range(10)]
    calls = [await dialled(board, caller) for caller in callers[:2]]
    with pytest.raises(CarrierUnavailable):
        board.dial(Dial(MSISDN, "", 5.0, SCRIPT), callers[2])
    for caller in callers[2:]:
        calls[-1].put_down()
        calls.append(await dialled(board, caller))

    assert len(board.calls(MSISDN)) == 5


def test_wav_file_says_how_long_it_is() -> None:
    octets = as_wav(b"\xff" * 8001)

    assert octets[:4] == b"RIFF"
    assert int.from_bytes(octets[4:8], "little") == len(octets) - 8
    assert octets[8:12] == b"WAVE"
    assert len(octets) % 2 == 0
