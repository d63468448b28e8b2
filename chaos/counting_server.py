"""A Valkey or Redis server of this machine, in which nodes count; it is killed, emptied and stopped."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.processes import free_port

START_S_MAX: Final = 15.0
ANSWER_OCTETS_MAX: Final = 1 << 20
LOOK_EVERY_S: Final = 0.05


def counting_program() -> str | None:
    """Return the path of a server that is installed, if there is one."""
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is not None:
            return path
    return None


class CountingServer:
    """One server that keeps nothing on a disk; `with` starts and ends it.

    Args:
        directory: For its log.
        password: What it wants of its clients, if anything.
    """

    def __init__(self, directory: Path, *, password: str | None = None) -> None:
        self.port = free_port()
        self._directory, self._password = directory, password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"valkey://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        program = counting_program()
        assert program is not None, "it is not installed"
        wanted = ["--requirepass", self._password] if self._password else []
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "counting.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                    *("--appendonly", "no", "--dir", str(self._directory), *wanted),
                ],
                stdout=log,
                stderr=log,
            )
        give_up_s = time.monotonic() + START_S_MAX
        while not self._answers():
            assert time.monotonic() < give_up_s, "it does not answer"
            time.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """End it as a crash does; all counts are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing, as a machine does that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget all counts."""
        answer = self.ask("FLUSHALL")
        assert answer == b"+OK\r\n", answer

    def ask(self, line: str) -> bytes:
        """Give it one command on a connection of its own, and return the first octets of its answer."""
        with socket.create_connection(("127.0.0.1", self.port), START_S_MAX) as talk:
            talk.settimeout(START_S_MAX)
            if self._password is not None:
                talk.sendall(f"AUTH {self._password}\r\n".encode())
                talk.recv(ANSWER_OCTETS_MAX)
            talk.sendall(f"{line}\r\n".encode())
            return talk.recv(ANSWER_OCTETS_MAX)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        os.kill(self._process.pid, number)
