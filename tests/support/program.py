"""A program in a process of its own: started, asked to stop as a service manager does, or killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# What a stop may take at most.
STOP_S_MAX: Final = 5
# What a command may take that nobody gave anything to do for long.
COMMAND_S_MAX: Final = 60


class Program:
    """`python -m dastak` with these arguments; what it writes to standard error goes to a file."""

    def __init__(
        self, *arguments: str, cwd: Path, log_file: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log_file = log_file
        self._command = [sys.executable, "-m", "dastak", *arguments]
        self._cwd = cwd
        self._environment = clean_environment(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The running process."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait for nothing."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._cwd,
                env=self._environment,
            )

    def stop(self) -> None:
        """Ask it to end; it must do so in five seconds and call that a success."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self.wait_stopped()

    def wait_stopped(self) -> None:
        """Wait for the end of a process that was asked to end."""
        try:
            status = self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop within {STOP_S_MAX} s of SIGTERM\n{self.log()}") from None
        self._close()
        assert status == 0, f"it ended with {status} after SIGTERM\n{self.log()}"

    def kill(self) -> None:
        """End it as a crash does, without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close()

    def log(self) -> str:
        """Return the end of what it wrote to standard error."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")[-4000:]

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._process = None


def clean_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of the developer's own shell."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DASTAK_")}
    return {**inherited, **(added or {})}


def typed(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Give a command as at a terminal, whatever comes of it.

    Args:
        arguments: What stands behind `dastak`.
        cwd: Where it is typed.
        environment: Settings of this command alone.
        given: What stands ready on its standard input.
    """
    return subprocess.run(
        [sys.executable, "-m", "dastak", *arguments],
        cwd=cwd,
        env=clean_environment(environment),
        input=given,
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )
