"""Start the program under test on a core of its own, and read what it used."""

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

SERVER_CORE = 0
LOAD_CORE = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_S_MAX = 10
LISTEN_S_MAX = 30
# Below those of outgoing connections, and above the one that browsers take for unsafe (10080).
_PORTS: Final = (11_000, 32_000)
_CHANCE: Final = random.SystemRandom()


class Pinned:
    """A Python process of ours on one core; a context that stops it.

    Args:
        arguments: For the interpreter.
        environment: Beside ours.
        log: For what it says.
        by: A command that becomes what is written behind it, such as `unshare --mount`.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        log: Path,
        by: Sequence[str] = (),
    ) -> None:
        self._arguments = (*by, sys.executable, *arguments)
        self._environment = {**os.environ, **(environment or {})}
        self._log = log

    def __enter__(self) -> "Pinned":
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._arguments,
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        # Its threads, which come later, inherit it.
        os.sched_setaffinity(self.process.pid, {SERVER_CORE})
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def cpu_s(self) -> float:
        """Processor seconds so far, all threads, user and system."""
        return cpu_s(self.process.pid)

    @property
    def resident_mib(self) -> float:
        """Resident memory in MiB."""
        return resident_mib(self.process.pid)

    async def child(self) -> int:
        """Wait for the one process that it starts, and return its id."""
        give_up_s = time.monotonic() + LISTEN_S_MAX
        while time.monotonic() < give_up_s:
            if found := children(self.process.pid):
                return found[0]
            await asyncio.sleep(0.05)
        raise RuntimeError(f"it started no process:\n{self._log.read_text()[-2000:]}")

    async def until_listening(self, port: int) -> None:
        """Wait until it takes connections.

        Raises:
            RuntimeError: It ended, or did not begin in time; says what it wrote.
        """
        give_up_s = time.monotonic() + LISTEN_S_MAX
        while self.process.poll() is None and time.monotonic() < give_up_s:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
        raise RuntimeError(f"no answer on port {port}:\n{self._log.read_text()[-2000:]}")


def free_port() -> int:
    """Return a port that nobody has now by TCP or UDP, of those that the kernel gives to nobody by itself."""
    while True:
        port = _CHANCE.randrange(*_PORTS)
        with (
            suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            udp.bind(("127.0.0.1", port))
            return port


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process; the kernel counts in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def let_go(pid: int) -> None:
    """Let a process, with all its threads, run on every core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), range(os.cpu_count() or 1))


def move(pid: int, core: int) -> None:
    """Keep a process, with all its threads, on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {min(core, (os.cpu_count() or 1) - 1)})
