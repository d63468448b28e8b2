"""The real program in a process of its own, as `dastak dev` runs it, for tests that look from outside."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

# What `dastak dev` may take to answer on a loaded machine, and what a stop may take at most.
START_S_MAX: Final = 30
STOP_S_MAX: Final = 5


class DastakProcess:
    """`dastak dev --json` on a free port. `with` starts and stops it; `start` and `kill` are for crash tests.

    Attributes:
        url: Where it answers, without a slash at the end.
        api_key: A test key.
        phones_url: The virtual phones.
        log_file: What it wrote to standard error, for the one who looks why a test failed.
    """

    def __init__(
        self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.data_dir = data_dir
        self.log_file = data_dir.with_name(f"{data_dir.name}.stderr")
        self.url = self.api_key = self.phones_url = ""
        dev = ["dev", "--json", "--no-browser", "--port", str(port), "--data-dir", str(data_dir)]
        self._command = [sys.executable, "-m", "dastak", *dev, *arguments]
        # Settings of the developer's own shell are not what is tested.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DASTAK_")}
        self._environment = {**inherited, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait for the line that says where it answers."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.data_dir,
                env=self._environment,
            )
        try:
            told = json.loads(self._first_line())
        except BaseException:
            self.kill()
            raise
        self.url = told["url"].rstrip("/")
        self.api_key = told["api_key"]
        self.phones_url = told["phones_url"]

    def stop(self) -> None:
        """Ask it to end, as a service manager does; it must do so in five seconds and call that a success."""
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_S_MAX)
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
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def _first_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        line = b""
        until = time.monotonic() + START_S_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise AssertionError(f"it did not start within {START_S_MAX} s\n{self.log()}")
                piece = os.read(pipe, 4096)
                if not piece:
                    raise AssertionError(f"it ended before it answered\n{self.log()}")
                line += piece
        return line
