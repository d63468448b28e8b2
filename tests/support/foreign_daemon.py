"""A server that nobody here wrote, in a process of its own, with what it says in a file."""

import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.needed import missing, program
from tests.support.patience import until

START_S_MAX: Final = 15.0
# Kannel waits for its threads, each of which looks up once in a while.
STOP_S_MAX: Final = 10.0


class ForeignDaemon:
    """One process. It is stopped by its own id and never by its name.

    Args:
        name: The program.
        arguments: What it is told.
        directory: Where it runs and its log is written.
        environment: All that it sees; None gives it ours.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log_file = directory / f"{name}.log"
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [program(name), *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """Return the end of what it said."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")[-2000:]

    def until_listening(self, port: int, *, address: str = "127.0.0.1") -> None:
        """Wait until it listens; where it cannot run on this machine, say why and skip the test."""

        def look() -> bool:
            self._check()
            with socket.socket() as probe:
                return probe.connect_ex((address, port)) == 0

        until(look, within_s=START_S_MAX)

    def until_said(self, words: str) -> None:
        """Wait until these words are in its log."""

        def look() -> bool:
            self._check()
            return words in self.log()

        until(look, within_s=START_S_MAX)

    def _check(self) -> None:
        if self._process.poll() is not None:
            missing(f"{self.name} cannot run here, it ended with {self._process.returncode}\n{self.log()}")

    def stop(self, *, within_s: float = STOP_S_MAX) -> None:
        """End it, by force where it does not within this time; stopping twice is fine."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
