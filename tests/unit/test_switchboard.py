import asyncio
from collections.abc import Callable
from random import Random

import pytest

from dastak.core.errors import CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.simulator import switchboard as switchboard_module
from dastak.simulator.call_pages import as_wav
from dastak.simulator.faults import CallFate, Fault, FaultScript
from dastak.simulator.switchboard import CallState, Switchboard, VirtualCall
from dastak.voice.line import Dial
from tests.support.samples import MSISDN

FRAMES = [bytes([n]) * 160 for n in range(1, 21)]


class Caller:
    """Who dialled; keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.ended, self.pressed_three = asyncio.Event(), asyncio.Event()

    def on_ringing(self, detail: str) -> None:
        self.told.append(("ringing", detail))

    def on_answered(self, detail: str) -> None:
        self.told.append(("answered", detail))

    def on_key(self, digit: str) -> None:
        self.told.append(("key", digit))
        if digit == "3":
            self.pressed_three.set()

    def on_ended(self, outcome: Outcome | None, detail: str) -> None:
        self.told.append(("ended", outcome, detail))
        self.ended.set()


def frames() -> Callable[[], bytes | None]:
    left = iter(FRAMES)
    return lambda: next(left, None)


def switchboard(*faults: Fault) -> Switchboard:
    return Switchboard(FaultScript(Random(1), faults=faults), lambda _call: None)


async def dialled(board: Switchboard, caller: Caller, *, ring_s: float = 5.0) -> VirtualCall:
    call = board.dial(Dial(MSISDN, "+911600", ring_s), caller)
    assert caller.told == [], "the caller is told only after it dialled"
    await asyncio.sleep(0)
    return call


async def test_phone_rings_is_answered_hears_and_presses() -> None:
    caller, board = Caller(), switchboard()
    call = await dialled(board, caller)
    assert board.ringing(MSISDN) is call
    listener = call.listen()
    call.answer()
    call.speak(frames())
    call.press("7")
    await caller.ended.wait()

    heard = b""
    while (sound := await listener.sound()) is not None:
        heard += sound
    assert heard == bytes(call.heard) == b"".join(FRAMES)
    assert caller.told == [
        ("ringing", "180 Ringing"),
        ("answered", "200 OK"),
        ("key", "7"),
        ("ended", None, "BYE"),
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


async def test_voicemail_answers_and_plays_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "VOICEMAIL_AFTER_S", 0.01)
    monkeypatch.setattr(switchboard_module, "KEY_EVERY_S", 0.01)
    caller = Caller()
    call = await dialled(switchboard(Fault(call=CallFate.VOICEMAIL, call_keys="123")), caller)
    await asyncio.wait_for(caller.pressed_three.wait(), 5)
    call.put_down()

    assert [told for told in caller.told if told[0] == "key"] == [("key", "1"), ("key", "2"), ("key", "3")]


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


async def test_listener_who_does_not_keep_up_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "PENDING_MAX", 1)
    caller = Caller()
    call = await dialled(switchboard(), caller)
    slow = call.listen()
    call.answer()
    call.speak(frames())
    await caller.ended.wait()

    assert await slow.sound() == b"".join(FRAMES[:5])
    assert await slow.sound() is None


async def test_lines_and_kept_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_module, "CALLS_MAX", 2)
    monkeypatch.setattr(switchboard_module, "KEPT_MAX", 3)
    board, callers = switchboard(), [Caller() for _ in range(10)]
    calls = [await dialled(board, caller) for caller in callers[:2]]
    with pytest.raises(CarrierUnavailable):
        board.dial(Dial(MSISDN, "", 5.0), callers[2])
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
