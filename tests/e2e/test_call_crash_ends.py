"""kill -9 at the very end of a call, and of both processes at once: what a peer sees, and who is called."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from dastak.flows.deliver import CALL_S_MAX
from dastak.voice.prompts import Pack
from tests.e2e.test_call_crash import ANOTHER, hear_invites
from tests.e2e.test_voice_process import RINGS, House
from tests.support.child_processes import lives
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.quick_voice import quick_voice
from tests.support.serve_installation import Installation
from tests.support.sipp import pause, sipp
from tests.support.smpp_pair import soon
from tests.support.stepped_clock import SteppedClock
from tests.support.talking_phone import TalkingPhone, talking_phone
from tests.support.virtual_caller import CODES, digits_in, gate_in

# SIPp's call fails if it is told anything meanwhile.
HEARS_NOTHING: Final = pause(2_000)


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    return SteppedClock(tmp_path / "clock")


@pytest.fixture
def voice(tmp_path: Path) -> Pack:
    return quick_voice(tmp_path / "voice")


@pytest.fixture
def house(tmp_path: Path, clock: SteppedClock, voice: Pack) -> Iterator[House]:
    ops_port = free_port()
    settings = {
        "DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{ops_port}",
        "DASTAK__VOICE__RECORDINGS": str(tmp_path / "voice"),
    }
    with Installation(tmp_path / "dastak", **settings, **clock.environment, **PLENTY) as running:
        yield House(running, ops_port)


async def wrong_key(house: House, of: str, phone: TalkingPhone, voice: Pack) -> None:
    gate = gate_in(phone.recorded(), voice)
    assert gate is not None
    stop(house)
    phone.press(str((int(gate) + 1) % 10))


async def reported(house: House, of: str, phone: TalkingPhone, voice: Pack) -> None:
    await listened(house, of, phone, voice)
    stop(house)
    phone.press("9")


async def spoken(house: House, of: str, phone: TalkingPhone, voice: Pack) -> None:
    await listened(house, of, phone, voice)
    stop(house)


async def listened(house: House, of: str, phone: TalkingPhone, voice: Pack) -> None:
    gate = gate_in(phone.recorded(), voice)
    assert gate is not None
    phone.press(gate)
    await phone.until_heard(lambda heard: bool(CODES.fullmatch(digits_in(heard, voice))))


def stop(house: House) -> None:
    """Let the main program hear nothing more of the call, as if it were killed now; the call goes on."""
    os.kill(house.installation.program.pid, signal.SIGSTOP)


Scene = Callable[[House, str, TalkingPhone, Pack], Awaitable[None]]


@pytest.mark.parametrize("scene", [wrong_key, reported, spoken])
async def test_program_that_is_killed_while_it_hangs_up_by_itself_calls_nobody_twice(
    house: House, clock: SteppedClock, voice: Pack, scene: Scene
) -> None:
    async with talking_phone() as phone:
        await asyncio.to_thread(house.add_trunk, phone.port)
        of = await asyncio.to_thread(house.call)
        await phone.until_heard(lambda heard: gate_in(heard, voice) is not None)
        # What rang is written down by now; a phone that rang unnoticed would be called again.
        await asyncio.to_thread(lambda: house.event(of, type="submitted"))
        speaks = house.voice_pid()
        await scene(house, of, phone, voice)
        await soon(phone.hung_up.wait())
        house.installation.program.kill()
        await asyncio.to_thread(lambda: until(lambda: not lives(speaks)))
        heard, port = digits_in(phone.recorded(), voice), phone.port

    await asyncio.to_thread(no_second_call, house, clock, of, port)
    assert bool(CODES.fullmatch(heard)) is (scene is not wrong_key)
    if heard:
        # What was pressed in the last moment died with the program: the code is as good as it was.
        assert house.shop.check(of, heard[:6]).body["approved"] is True


async def test_peer_of_two_processes_that_are_killed_at_once_hears_nothing_and_is_not_called_again(
    house: House, clock: SteppedClock, tmp_path: Path
) -> None:
    directory = tmp_path / "peer"
    directory.mkdir()
    async with sipp(*RINGS, HEARS_NOTHING, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, type="submitted"))
        speaks = house.voice_pid()
        stop(house)
        os.kill(speaks, signal.SIGKILL)
        house.installation.program.kill()
        await peer.saw_everything()

    await asyncio.to_thread(no_second_call, house, clock, of, peer.port)


def no_second_call(house: House, clock: SteppedClock, of: str, port: int) -> None:
    """Start the program again when the call must be over: it tells so, and calls somebody else alone."""
    clock.step(int(CALL_S_MAX) + 10)
    house.installation.start()
    assert house.event(of, type="overdue")["route"] == "trunk"
    until(house.available)
    until(partial(house.started, ANOTHER), within_s=20)
    assert hear_invites(port, until_for=ANOTHER) == [ANOTHER]
    assert [one.get("step") for one in house.shop.timeline(of)].count("dialled") == 1
