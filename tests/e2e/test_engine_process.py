"""The keeper of the voice process, with the real process and without the rest of the program."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from dastak.voice.engine import engine_process
from dastak.voice.engine.engine_line import EngineLeg, EngineLine
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.line import Dial, Script
from dastak.voice.sip.sip_message import Address, SipMessage, parse
from dastak.voice.sip_settings import SipSettings
from tests.support import patience, sip_samples
from tests.support.child_processes import lives
from tests.support.samples import MSISDN
from tests.support.sipp import SDP
from tests.support.spoken_call import SpokenCall

DIAL: Final = Dial(MSISDN, "", 20.0, Script(locale="en", gate="7", code="4711"))


def settings(**changes: object) -> SipSettings:
    first = free_port()
    # Nobody is there, and it is not asked for.
    wanted = {
        "host": "127.0.0.1",
        "port": free_port(),
        "caller": "+911600123456",
        "calls_max": 2,
        "probe_s": 0,
    }
    return SipSettings(**(wanted | {"rtp_ports": (first, first + 20)} | changes))  # type: ignore[arg-type]


async def until(look: Callable[[], bool]) -> None:
    """Wait for what another process does, and let it be heard meanwhile."""
    await asyncio.to_thread(patience.until, look, within_s=30)


class Trunk:
    """Where calls go, on a socket that a test reads and answers by itself."""

    def __init__(self) -> None:
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind(("127.0.0.1", 0))
        self.wire.settimeout(20)
        self.port = self.wire.getsockname()[1]

    async def hears(self) -> tuple[SipMessage, Address]:
        """Return the next message, and from where it was sent."""
        octets, source = await asyncio.to_thread(self.wire.recvfrom, 65_535)
        return parse(octets), source

    def answer(self, request: SipMessage, source: Address, status: int) -> None:
        """Say how the call goes, or that a CANCEL was heard."""
        body = SDP.encode() if status == 200 and request.method == "INVITE" else b""
        headers = [("Content-Type", "application/sdp")] if body else []
        contact = f"<sip:callee@127.0.0.1:{self.port}>"
        tag = "" if status == 100 else "theirs"
        octets = sip_samples.reply(request, status, tag=tag, headers=headers, body=body, contact=contact)
        self.wire.sendto(octets, source)


@pytest.fixture
def trunk() -> Iterator[Trunk]:
    made = Trunk()
    yield made
    made.wire.close()


@pytest.fixture
def few_files() -> Iterator[None]:
    """Open few files at most, as a shell often has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def engine() -> EngineProcess:
    return EngineProcess()


async def test_process_that_says_nothing_is_killed_and_started_again(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "SILENT_S_MAX", 2.0)
    async with EngineLine(engine, settings()) as line:
        await until(lambda: line.available)
        stuck = engine.pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)
        await until(lambda: engine.restarts == 1)
        told = line.reason
        await until(lambda: line.available)

    assert "it said nothing for 2 s" in told
    assert not lives(stuck)


async def test_process_that_ignores_the_end_is_killed(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "CLOSE_S_MAX", 0.1)
    monkeypatch.setattr(engine_process, "STOP_S_MAX", 0.1)
    async with EngineLine(engine, settings()) as line:
        await until(lambda: line.available)
        stuck = engine.pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)

    assert not lives(stuck)


async def test_signals_to_stop_are_left_to_the_main_program(engine: EngineProcess) -> None:
    async with EngineLine(engine, settings()) as line:
        await until(lambda: line.available)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        async with EngineLine(engine, settings()) as another:
            await until(lambda: another.available)

        assert engine.pid == pid
        assert engine.restarts == 0
    assert not lives(pid)
    assert engine.pid is None


async def test_process_that_cannot_be_started_is_told_and_tried_again(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "PROGRAM", "dastak.no_such_program")
    async with EngineLine(engine, settings()) as line:
        await until(lambda: engine.restarts >= 2)
        assert engine.fault == line.reason
        monkeypatch.undo()
        await until(lambda: line.available)

    assert engine.fault is None


async def test_trunk_with_settings_that_cannot_be_used_disturbs_no_other(
    engine: EngineProcess, tmp_path: Path
) -> None:
    no_file = settings(transport="tls", ca_file=str(tmp_path / "missing.pem"))
    no_address = settings(media_host="not.an.address")
    async with (
        EngineLine(engine, no_file) as one,
        EngineLine(engine, no_address) as two,
        EngineLine(engine, settings()) as good,
    ):
        await until(lambda: good.available)

        assert (one.available, two.available) == (False, False)
        assert one.reason.startswith("its TLS files cannot be used")
        assert two.reason.startswith("its settings cannot be used")


@pytest.mark.usefixtures("few_files")
async def test_open_files_are_raised_to_what_the_calls_need(engine: EngineProcess) -> None:
    async with EngineLine(engine, settings(calls_max=200, rtp_ports=(20_000, 20_999))) as line:
        await until(lambda: line.available)
        assert engine.pid is not None
        soft, _ = resource.prlimit(engine.pid, resource.RLIMIT_NOFILE)

    assert soft >= 2 * 200 + 64


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize(
    ("statuses", "words"), [((100,), "CANCEL"), ((100, 180), "CANCEL"), ((180, 200), "BYE")]
)
async def test_call_of_a_process_that_is_gone_is_called_off_from_its_port(
    engine: EngineProcess,
    trunk: Trunk,
    monkeypatch: pytest.MonkeyPatch,
    statuses: tuple[int, ...],
    words: str,
    end: signal.Signals,
) -> None:
    # One that is stopped is killed by its keeper.
    monkeypatch.setattr(engine_process, "SILENT_S_MAX", 2.0)
    async with EngineLine(engine, settings(port=trunk.port)) as line:
        await until(lambda: line.available)
        leg = line.dial(DIAL, call := SpokenCall())
        invite, source = await trunk.hears()
        for status in statuses:
            trunk.answer(invite, source, status)
            if status == 100:
                await until(lambda: leg.last_words is not None)
            else:
                # What is told here is known before.
                await call.tells("answered" if status == 200 else "ringing")
        assert leg.last_words is not None
        assert leg.last_words.octets.startswith(words.encode())
        acknowledged = [(await trunk.hears())[0].method] if 200 in statuses else []
        pid = engine.pid
        assert pid is not None
        os.kill(pid, end)
        said, said_from = await trunk.hears()
        await until(lambda: line.available)

    assert (said.method, said_from, said.call_id) == (words, source, invite.call_id)
    assert (said.branch == invite.branch) is (words == "CANCEL")
    assert (said.cseq, said.to_tag) == ((1, "") if words == "CANCEL" else (2, "theirs"))
    assert acknowledged == (["ACK"] if words == "BYE" else [])
    assert engine.restarts == 1


async def ringing(line: EngineLine, trunk: Trunk) -> tuple[EngineLeg, SipMessage, Address]:
    """Call until it rings and its last words are told; return it, its INVITE, and from where that came."""
    await until(lambda: line.available)
    leg = line.dial(DIAL, SpokenCall())
    invite, source = await trunk.hears()
    trunk.answer(invite, source, 180)
    await until(lambda: leg.last_words is not None)
    return leg, invite, source


async def test_call_of_a_stuck_process_is_called_off_when_its_trunk_is_closed(
    engine: EngineProcess, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "CLOSE_S_MAX", 0.1)
    monkeypatch.setattr(engine_process, "STOP_S_MAX", 0.1)
    async with EngineLine(engine, settings(port=trunk.port)) as line:
        _, invite, source = await ringing(line, trunk)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGSTOP)

    said, said_from = await trunk.hears()
    assert (said.method, said_from, said.branch) == ("CANCEL", source, invite.branch)


async def test_process_that_ends_its_calls_by_itself_leaves_nothing_to_be_said(
    engine: EngineProcess, trunk: Trunk
) -> None:
    async with EngineLine(engine, settings(port=trunk.port)) as line:
        leg, invite, source = await ringing(line, trunk)
        leg.hang_up()
        cancel, _ = await trunk.hears()
        trunk.answer(cancel, source, 200)
        trunk.answer(invite, source, 487)
        acknowledged, _ = await trunk.hears()
        await until(lambda: line.in_flight == 0)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await until(lambda: line.available and engine.restarts == 1)
        another = line.dial(DIAL, SpokenCall())
        # What was said for the first call would have come before this.
        next_heard, _ = await trunk.hears()
        another.hang_up()

    assert (cancel.method, acknowledged.method, next_heard.method) == ("CANCEL", "ACK", "INVITE")
