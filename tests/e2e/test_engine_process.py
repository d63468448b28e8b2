"""The keeper of the voice process, with the real process and without the rest of the program."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dastak.voice.engine import engine_process
from dastak.voice.engine.engine_line import EngineLine
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.sip_settings import SipSettings
from tests.support import patience
from tests.support.child_processes import lives
from tests.support.serve_installation import free_port


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
