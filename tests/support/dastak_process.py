"""The real program in a process of its own, as `dastak dev` runs it, for tests that look from outside."""

import json
import os
import selectors
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.support.program import Program

# What `dastak dev` may take to answer on a loaded machine.
START_S_MAX: Final = 30


class DastakProcess:
    """`dastak dev --json` on a free port. `with` starts and stops it; `start` and `kill` are for crash tests.

    Attributes:
        url: Where it answers, without a slash at the end.
        api_key: A test key.
        phones_url: The virtual phones.
        setup_url: Where the first operator is made.
        bank_url: The demo bank, where one was asked for.
        log_file: What it wrote to standard error, for the one who looks why a test failed.
    """

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        port: int = 0,
        bank: bool = False,
    ) -> None:
        self.data_dir = data_dir
        self.log_file = data_dir.with_name(f"{data_dir.name}.stderr")
        self.url = self.api_key = self.phones_url = self.setup_url = ""
        self.bank_url: str | None = None
        dev = ["dev", "--json", "--no-browser", "--port", str(port), "--data-dir", str(data_dir)]
        if not bank:
            dev.append("--no-bank")
        self.program = Program(
            *dev,
            *arguments,
            cwd=data_dir,
            log_file=self.log_file,
            environment=environment,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        return self.program.pid

    def start(self) -> None:
        """Start it and wait for the line that says where it answers."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.program.start()
        try:
            told = json.loads(self._first_line())
        except BaseException:
            self.kill()
            raise
        self.url = told["url"].rstrip("/")
        self.api_key = told["api_key"]
        self.phones_url = told["phones_url"]
        self.setup_url = told["console_setup_url"]
        self.bank_url = told["bank_url"]

    def stop(self) -> None:
        """Ask it to end, as a service manager does; it must do so in five seconds and call that a success."""
        self.program.stop()

    def kill(self) -> None:
        """End it as a crash does, without a word."""
        self.program.kill()

    def log(self) -> str:
        """Return the end of what it wrote to standard error."""
        return self.program.log()

    def _first_line(self) -> bytes:
        stdout = self.program.process.stdout
        assert stdout is not None
        line = b""
        until = time.monotonic() + START_S_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise AssertionError(f"it did not start within {START_S_MAX} s\n{self.log()}")
                piece = os.read(stdout.fileno(), 4096)
                if not piece:
                    raise AssertionError(f"it ended before it answered\n{self.log()}")
                line += piece
        return line
