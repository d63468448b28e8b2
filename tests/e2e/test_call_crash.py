"""kill -9 in the middle of a call: the phone is not left hanging, nobody is called twice, and it is told."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from dastak.flows.deliver import CALL_S_MAX
from dastak.voice.sip.sip_message import parse
from tests.e2e.test_call_dissected import Callees
from tests.e2e.test_voice_process import ANSWERS, IS_CANCELED, IS_HUNG_UP, RINGS, TO, House
from tests.support import sip_samples
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.serve_installation import Installation
from tests.support.sipp import Sipp, answer, ask, expect, pause, sipp
from tests.support.stepped_clock import SteppedClock

# Calls at once.
MANY: Final = 25
ANOTHER: Final = "+919811122233"
INVITED: Final = re.compile(rb"^INVITE sip:([+0-9]+)@")
# A callee that refreshes the session (RFC 4028), more often than its 90 s ask for so that the test is short.
# It says BYE and ends well only once a refresh is not answered.
REFRESHES: Final = tuple(
    step
    for number in range(20, 60)
    for step in (
        ask(
            "UPDATE",
            number,
            headers=[
                "Contact: <sip:callee@[local_ip]:[local_port]>",
                "Supported: timer",
                "Session-Expires: 90;refresher=uac",
            ],
        ).replace('retrans="500"', ""),
        '<recv response="200" timeout="1500" ontimeout="9"/>',
        pause(250),
    )
)
GIVES_UP: Final = (
    expect("NEVER"),
    '<label id="9"/>',
    ask("BYE", 90, headers=['Reason: SIP;cause=408;text="session timer"']).replace('retrans="500"', ""),
)
TIMED: Final = answer(
    200,
    sdp=True,
    repeat=True,
    headers=["Require: timer", "Supported: timer", "Session-Expires: 90;refresher=uas"],
)


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    return SteppedClock(tmp_path / "clock")


@pytest.fixture
def house(tmp_path: Path, clock: SteppedClock) -> Iterator[House]:
    ops_port = free_port()
    listen = {"DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{ops_port}"}
    with Installation(tmp_path / "dastak", **listen, **clock.environment, **PLENTY) as running:
        yield House(running, ops_port)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "peer"
    folder.mkdir()
    return folder


def hear_invites(port: int, *, until_for: str) -> list[str]:
    """Listen where the trunk was; return whom it was asked to call, until it is this one."""
    asked: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk:
        trunk.bind(("127.0.0.1", port))
        trunk.settimeout(20)
        while until_for not in asked:
            octets, line = trunk.recvfrom(65_535)
            found = INVITED.match(octets)
            if found is not None:
                asked.append(found[1].decode())
                # So that the program has nothing to hang up when it is stopped.
                trunk.sendto(sip_samples.reply(parse(octets), 486), line)
    return asked


SCENES: Final = {
    "ringing": ((*RINGS, *IS_CANCELED), "ringing"),
    "speaking": ((*ANSWERS, *IS_HUNG_UP), "answered"),
    # The answer to the BYE comes only when the program that asked for it is dead.
    "hanging up": ((*ANSWERS, expect("BYE"), pause(1_200), answer(200, tag="")), "answered"),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_killed_program_leaves_no_phone_hanging_calls_nobody_twice_and_tells_what_is_unknown(
    house: House, directory: Path, clock: SteppedClock, scene: str
) -> None:
    steps, step = SCENES[scene]
    async with sipp(*steps, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step=step))
        if scene == "hanging up":
            canceled = await asyncio.to_thread(lambda: house.shop.post(f"/v1/verifications/{of}/cancel"))
            assert canceled.status == 200
            await asyncio.to_thread(lambda: until(lambda: _was_told(peer, "BYE sip:")))
        house.installation.program.kill()
        await peer.saw_everything()

    clock.step(int(CALL_S_MAX) + 10)
    await asyncio.to_thread(house.installation.start)
    if scene != "hanging up":
        overdue = await asyncio.to_thread(lambda: house.event(of, type="overdue"))
        assert overdue["route"] == "trunk"
    await asyncio.to_thread(lambda: until(house.available))
    listening = asyncio.create_task(asyncio.to_thread(hear_invites, peer.port, until_for=ANOTHER))
    await asyncio.to_thread(until, partial(house.started, ANOTHER), within_s=20)

    assert await listening == [ANOTHER]
    told = [one.get("step") for one in house.shop.timeline(of)]
    assert told.count("dialled") == 1


async def test_call_that_had_not_rung_when_the_program_was_killed_is_dialled_again(
    house: House, directory: Path, clock: SteppedClock
) -> None:
    steps = (expect("INVITE"), answer(100, tag=""), *IS_CANCELED)
    async with sipp(*steps, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step="dialled"))
        await asyncio.to_thread(lambda: until(lambda: _was_told(peer, "SIP/2.0 100")))
        house.installation.program.kill()
        await peer.saw_everything()

    clock.step(int(CALL_S_MAX))
    listening = asyncio.create_task(asyncio.to_thread(hear_invites, peer.port, until_for=TO))
    await asyncio.to_thread(house.installation.start)

    assert await listening == [TO]
    told = await asyncio.to_thread(until, lambda: _steps(house, of, dialled=2))
    assert "ringing" not in told


@pytest.mark.parametrize("killed", ["program", "voice process"])
async def test_every_one_of_many_speaking_calls_is_hung_up_when_a_process_is_killed(
    house: House, killed: str
) -> None:
    loop = asyncio.get_running_loop()
    nobody, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    wire, callees = await loop.create_datagram_endpoint(
        lambda: Callees(nobody.get_extra_info("sockname")[1], presses=False), local_addr=("127.0.0.1", 0)
    )
    await asyncio.to_thread(house.add_trunk, callees.port, calls_max=MANY, rtp_ports=[21_000, 21_999])
    begun = [
        await asyncio.to_thread(until, partial(house.started, f"+9198765432{number:02}"), within_s=20)
        for number in range(MANY)
    ]
    for of in begun:
        await asyncio.to_thread(partial(house.event, of, step="answered"))
    if killed == "program":
        house.installation.program.kill()
    else:
        os.kill(house.voice_pid(), signal.SIGKILL)
    await asyncio.to_thread(lambda: until(lambda: callees.called("BYE") == MANY))
    for one in (nobody, wire):
        one.close()


async def test_peer_of_two_killed_processes_ends_the_call_by_its_session_timer(
    house: House, directory: Path
) -> None:
    async with sipp(*RINGS, TIMED, expect("ACK"), *REFRESHES, *GIVES_UP, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step="answered"))
        # While we live its refreshes are answered.
        await asyncio.to_thread(lambda: until(lambda: _was_told(peer, "CSeq: 22 UPDATE", "SIP/2.0 200 OK")))
        voice, program = house.voice_pid(), house.installation.program
        os.kill(program.pid, signal.SIGSTOP)
        os.kill(voice, signal.SIGKILL)
        program.kill()
        await peer.saw_everything()

    assert _was_told(peer, "INVITE sip:", "Session-Expires: 90;refresher=uas")
    assert _was_told(peer, "BYE sip:dastak@", "session timer")


def _steps(house: House, of: str, *, dialled: int) -> list[str | None]:
    """Return what happened in the calls, once so many were dialled."""
    told = [one.get("step") for one in house.shop.timeline(of)]
    return told if told.count("dialled") == dialled else []


def _was_told(peer: Sipp, *words: str) -> bool:
    """Say whether a message with all of these words passed."""
    return any(all(word in message for word in words) for message in peer.messages())
