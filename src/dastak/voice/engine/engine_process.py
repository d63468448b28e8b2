"""The voice process, as the main program keeps it: started for the first trunk, started again when it dies.

1. Without a trunk there is none. With the last trunk it goes.
2. When it dies, or says nothing for `SILENT_S_MAX`, its calls are called off and over at once, and it is
   started again after a pause that grows, with every trunk opened anew.
3. What it is told crosses the socket alone: arguments and environment hold no secret.
"""

import asyncio
import logging
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from itertools import count
from typing import Final

import msgspec

from dastak.voice.engine.engine_line import PROCESS_ENDED, EngineLine
from dastak.voice.engine.engine_messages import (
    FROM_ENGINE,
    CloseTrunk,
    FromEngine,
    OpenTrunk,
    Pulse,
    ToEngine,
    TrunkClosed,
    TrunkJunk,
    TrunkStands,
)
from dastak.voice.engine.engine_wire import EngineWire
from dastak.voice.speech import PACKS_ALONE, Sources

PROGRAM: Final = "dastak.voice_process"
# It says something each second.
SILENT_S_MAX: Final = 15.0
# To hang up the calls of a trunk in order, and then to end: together less than a service manager waits.
CLOSE_S_MAX: Final = 1.6
STOP_S_MAX: Final = 1.0
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 5.0
# Who lived so long did not die of its start.
STEADY_S: Final = 30.0

log = logging.getLogger("dastak.voice")


class EngineProcess:
    """What makes the calls of all lines; see `dastak.voice.engine.engine_line.Engine`.

    Args:
        log_level: As `setup_logs` takes it.
        log_style: As well.
        sources: Where what it speaks comes from.

    Attributes:
        restarts: How often it died and was started again.
        fault: What is wrong with it, in words; None is well, or not wanted.
        pid: Of the process; None where there is none now.
    """

    def __init__(
        self, *, log_level: str = "info", log_style: str = "auto", sources: Sources = PACKS_ALONE
    ) -> None:
        self.restarts = 0
        self.fault: str | None = None
        self.pid: int | None = None
        self._arguments = (log_level, log_style, msgspec.json.encode(sources).decode())
        self._numbers = count(1)
        self._lines: dict[int, EngineLine] = {}
        self._closed: dict[int, asyncio.Event] = {}
        self._wire: EngineWire[FromEngine] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._heard_at = 0.0

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self._wire is not None and not self._wire.lost.is_set()

    @property
    def in_flight(self) -> int:
        """How many calls are under way on all lines."""
        return sum(line.in_flight for line in self._lines.values())

    def number(self) -> int:
        """Return a number that no trunk or call had."""
        return next(self._numbers)

    def send(self, message: ToEngine) -> None:
        """Tell the process something; where there is none it is lost."""
        if self._wire is not None:
            self._wire.send(message)

    async def attach(self, line: EngineLine) -> None:
        """Open a trunk, now and whenever the process is started again."""
        self._lines[line.number] = line
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self.send(OpenTrunk(line.number, line.settings))

    async def detach(self, line: EngineLine) -> None:
        """Hang up what is under way on a trunk, and close it; with the last one the process ends."""
        if line.number not in self._lines:
            return
        if self._wire is not None:
            closed = self._closed[line.number] = asyncio.Event()
            self.send(CloseTrunk(line.number))
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S_MAX):
                    await closed.wait()
            self._closed.pop(line.number, None)
        self._lines.pop(line.number, None)
        if not self._lines and self._keeper is not None:
            keeper, self._keeper = self._keeper, None
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            self.fault = None

    async def _keep(self) -> None:
        """Have it run, until canceled."""
        pause_s = PAUSE_S_MIN
        while True:
            began_at = asyncio.get_running_loop().time()
            try:
                why = await self._run()
            except OSError as error:
                why = f"it cannot be started: {error.strerror or error}"
            if asyncio.get_running_loop().time() - began_at > STEADY_S:
                pause_s = PAUSE_S_MIN
            self.restarts += 1
            self.fault = f"{PROCESS_ENDED} ({why}) and is being started again"
            log.error(
                "%s: %s; %d calls are over; started again in %.1f s",
                PROCESS_ENDED, why, self.in_flight, pause_s,
            )  # fmt: skip
            # It has ended, so its ports are free; started again, it may want the same ones.
            for line in tuple(self._lines.values()):
                line.lose(self.fault)
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_S_MAX, 2 * pause_s)

    async def _run(self) -> str:
        """Start it, and return why it ended; canceled, end it in order. Raises: OSError (no start)."""
        ours, theirs = socket.socketpair()
        wire = EngineWire(FROM_ENGINE, self._take)
        await wire.open(ours)
        process: Process | None = None
        try:
            with theirs:
                # -P: what lies in the working directory is no module of ours.
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", PROGRAM, str(theirs.fileno()), *self._arguments,
                    stdin=DEVNULL, stdout=DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True,
                )  # fmt: skip
            self._wire, self.pid = wire, process.pid
            for line in self._lines.values():
                wire.send(OpenTrunk(line.number, line.settings))
            return await self._watch(process, wire)
        finally:
            self._wire, self.pid = None, None
            wire.close()
            if process is not None:
                await _end(process)

    async def _watch(self, process: Process, wire: EngineWire[FromEngine]) -> str:
        """Wait for its end."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENT_S_MAX / 2):
                    await wire.lost.wait()
                break
            if loop.time() - self._heard_at > SILENT_S_MAX:
                process.kill()
                return f"it said nothing for {SILENT_S_MAX:.0f} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S_MAX):
                status = await process.wait()
            return f"signal {-status}" if status < 0 else f"status {status}"
        return "it does not speak to us any more"

    def _take(self, message: FromEngine) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        match message:
            case Pulse():
                self.fault = None
            case TrunkStands(trunk, is_open, reason):
                if (line := self._lines.get(trunk)) is not None:
                    line.stand(is_open, reason)
            case TrunkJunk(trunk, more):
                if (line := self._lines.get(trunk)) is not None:
                    line.junk.update(more)
            case TrunkClosed(trunk):
                if (closed := self._closed.get(trunk)) is not None:
                    closed.set()
            case _:
                any(line.hear(message) for line in self._lines.values())


async def _end(process: Process) -> None:
    """Wait for the end of a process whose socket is closed; kill it if that does not come."""
    ending = asyncio.ensure_future(process.wait())
    # Before Python 3.11.3 `asyncio.timeout` is no use here: in a task that is canceled it raises that again.
    await asyncio.wait((ending,), timeout=STOP_S_MAX)
    if not ending.done():
        with suppress(ProcessLookupError):
            process.kill()
    await ending
