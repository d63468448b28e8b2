"""Start the program under test on a core of its own, and read what it used."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = 1
PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Pinned:
    """A process of ours on one core; a context that stops it."""

    def __init__(self, *arguments: str, core: int = SERVER_CORE, log: Path | None = None) -> None:
        self._arguments = arguments
        self._core = core
        self._log = log

    def __enter__(self) -> "Pinned":
        output = open(self._log, "wb") if self._log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, *self._arguments],
            stdout=output,
            stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def cpu_s(self) -> float:
        """Processor seconds used so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    @property
    def resident_mib(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * PAGE_OCTETS / 2**20


async def until_listening(port: int, *, timeout_s: float = 20) -> None:
    """Wait until something takes connections on a port."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def run(arguments: Sequence[str]) -> str:
    """Run one of our commands to its end and return what it printed."""
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    return done.stdout
