"""The voice process dies, or the main program does: no call goes on that nobody knows of."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.child_processes import command_line, environment, lives, voice_processes
from tests.support.patience import until
from tests.support.program import Program
from tests.support.serve_installation import Installation
from tests.support.sipp import answer, expect, sipp

CARRIERS = "/v1/admin/carriers"
TO = "+919876543210"
PASSWORD = "of-the-trunk-7"
RINGS = (expect("INVITE"), answer(100, tag=""), answer(180))
ANSWERS = (*RINGS, answer(200, sdp=True, repeat=True), expect("ACK"))
IS_HUNG_UP = (expect("BYE"), answer(200, tag=""))
IS_CANCELED = (
    expect("CANCEL"),
    answer(200, tag=""),
    answer(487, cseq="CSeq: 1 INVITE"),
    expect("ACK"),
)


class House:
    """A running program with one trunk."""

    def __init__(self, installation: Installation, ops_port: int) -> None:
        self.installation = installation
        self._ops = f"http://127.0.0.1:{ops_port}"
        made = installation.command(
            "keys", "create", "--name", "boss", "--mode", "live", "--scope", "operator"
        )
        self.operator = ApiClient(installation.url, made["key"])
        until(lambda: self.operator.get(CARRIERS).status == 200)
        self.shop = installation.live_client()
        until(lambda: self.shop.get("/v1/verifications").status == 200)

    def add_trunk(self, port: int, **wanted: Any) -> None:
        first = free_port()
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "caller": "+911600123456",
            "calls_max": 4,
            # SIPp says what its scenario says, and nothing to OPTIONS.
            "probe_s": 0,
            "rtp_ports": [first, first + 20],
            "username": "shop",
            "password": PASSWORD,
            **wanted,
        }
        added = self.operator.post(CARRIERS, {"name": "trunk", "kind": "sip", "settings": settings})
        assert added.status == 201, added
        until(self.available)

    def available(self) -> bool:
        return bool(self.operator.get(f"{CARRIERS}/trunk").body["available"])

    def call(self) -> str:
        return until(lambda: self.started(TO), within_s=20)

    def started(self, to: str) -> str:
        """Ask for a call; empty where the database of a busy machine is behind, and we shall come again."""
        answer = self.shop.start(to, channel="voice")
        assert answer.status in {201, 503}, answer
        return str(answer.body["id"]) if answer.status == 201 else ""

    def event(self, of: str, **wanted: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            return next((told for told in self.shop.timeline(of) if wanted.items() <= told.items()), None)

        return until(look, within_s=20)

    def voice_pid(self) -> int:
        (pid,) = until(lambda: voice_processes(self.installation.program.pid))
        return pid

    def figure(self, name: str) -> float:
        lines = urllib.request.urlopen(f"{self._ops}/metrics", timeout=5).read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    def parts(self) -> dict[str, str | None]:
        try:
            octets = urllib.request.urlopen(f"{self._ops}/readyz", timeout=5).read()
        except urllib.error.HTTPError as error:
            octets = error.read()
        told: dict[str, str | None] = json.loads(octets)["parts"]
        return told


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    ops_port = free_port()
    listen = {"DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{ops_port}"}
    with Installation(tmp_path / "dastak", **listen) as running:
        yield House(running, ops_port)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "peer"
    folder.mkdir()
    return folder


def test_without_a_trunk_there_is_no_voice_process(house: House) -> None:
    assert voice_processes(house.installation.program.pid) == []
    assert "voice process" not in house.parts()


@pytest.mark.parametrize(
    ("peer_does", "step", "outcome"),
    [
        # The main program says it once from the port of the dead, and waits for no answer.
        ((*ANSWERS, expect("BYE")), "answered", "hung_up"),
        (
            (*RINGS, expect("CANCEL"), answer(200, tag=""), answer(487, cseq="CSeq: 1 INVITE")),
            "ringing",
            "not_answered",
        ),
    ],
)
async def test_calls_of_a_killed_voice_process_are_called_off_at_once_and_it_is_started_again(
    house: House, directory: Path, peer_does: tuple[str, ...], step: str, outcome: str
) -> None:
    async with sipp(*peer_does, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step=step))
        before = house.voice_pid()
        assert house.figure("dastak_calls_in_flight") == 1
        os.kill(before, signal.SIGKILL)
        lost = await asyncio.to_thread(lambda: house.event(of, type="undelivered"))
        again = await asyncio.to_thread(lambda: until(lambda: _other(house.voice_pid(), before)))
        await asyncio.to_thread(lambda: until(house.available))
        await peer.saw_everything()

    assert [one.get("step") for one in house.shop.timeline(of)].count("dialled") == 1
    assert (lost["outcome"], lost["evidence"]) == (outcome, "call:the voice process ended")
    assert lives(again)
    assert house.figure("dastak_voice_process_restarts_total") == 1
    assert house.figure("dastak_calls_in_flight") == 0
    assert "the voice process ended: signal 9; 1 calls are over" in house.installation.program.log()
    until(lambda: "voice process" not in house.parts())


@pytest.mark.parametrize(
    ("peer_does", "step"), [((*ANSWERS, *IS_HUNG_UP), "answered"), ((*RINGS, *IS_CANCELED), "ringing")]
)
@pytest.mark.parametrize("end", [Program.kill, Program.stop], ids=["killed", "stopped"])
async def test_call_is_hung_up_when_the_main_program_ends(
    house: House,
    directory: Path,
    peer_does: tuple[str, ...],
    step: str,
    end: Callable[[Program], None],
) -> None:
    async with sipp(*peer_does, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step=step))
        voice = house.voice_pid()
        await asyncio.to_thread(end, house.installation.program)
        await peer.saw_everything()
        until(lambda: not lives(voice))


async def test_secrets_cross_the_socket_alone(house: House, directory: Path) -> None:
    async with sipp(*ANSWERS, *IS_HUNG_UP, directory=directory) as peer:
        await asyncio.to_thread(house.add_trunk, peer.port)
        of = await asyncio.to_thread(house.call)
        await asyncio.to_thread(lambda: house.event(of, step="answered"))
        voice = house.voice_pid()
        arguments, names = command_line(voice), environment(voice)
        canceled = await asyncio.to_thread(lambda: house.shop.post(f"/v1/verifications/{of}/cancel"))
        await peer.saw_everything()

    assert canceled.status == 200
    assert arguments[3] == "dastak.voice_process"
    assert arguments[4].isdigit()
    assert arguments[5:7] == ["info", "auto"]
    assert set(json.loads(arguments[7])) == {"recordings", "brands", "least", "tenants"}
    assert PASSWORD not in names
    assert PASSWORD not in house.installation.program.log()


def test_removed_trunk_takes_the_voice_process_with_it(house: House) -> None:
    house.add_trunk(free_port())
    voice = house.voice_pid()
    changed = house.operator.patch(f"{CARRIERS}/trunk", {"state": "off", "why": "no more calls"})

    assert changed.status == 200, changed
    until(lambda: not lives(voice))
    assert voice_processes(house.installation.program.pid) == []


def _other(pid: int, than: int) -> int:
    return 0 if pid == than else pid
