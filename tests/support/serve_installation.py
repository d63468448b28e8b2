"""An installation as an operator makes one: `dastak init`, carriers in its settings, keys, `dastak serve`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.program import Program, clean_environment

START_S_MAX: Final = 30


class Installation:
    """One directory, and the program that runs on it. `with` starts and stops the program.

    Attributes:
        url: Where it answers, without a slash at the end.
    """

    def __init__(self, directory: Path, *, port: int = 0, **settings: str) -> None:
        """Make it; port 0 takes a free one, settings are those of the environment: `DASTAK__LOG__LEVEL`."""
        self.directory = directory
        # Carriers of a test answer faster than any phone, and what a test sends shall go where it says.
        settings = {
            "DASTAK__ROUTING__PLAUSIBLE_RECEIPT_S": "0",
            "DASTAK__ROUTING__EXPLORATION": "0",
        } | settings
        self._settings = settings
        directory.mkdir()
        self.command("init", "--yes", "--directory", str(directory))
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.program = Program(
            "serve",
            "--listen",
            f"127.0.0.1:{port}",
            cwd=directory,
            log_file=directory / "log",
            environment=settings,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.program.stop()

    def start(self) -> None:
        """Start the program and wait until it answers."""
        self.program.start()
        try:
            until(self._answers, within_s=START_S_MAX)
        except BaseException:
            self.program.kill()
            raise

    def command(self, *arguments: str, expect: int = 0, within_s: float = 30) -> Any:
        """Give one command with `--json`, and return what it printed; it must end as expected and soon."""
        done = subprocess.run(
            [sys.executable, "-m", "dastak", *arguments, "--json"],
            cwd=self.directory,
            env=clean_environment(self._settings),
            capture_output=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == expect, done.stderr.decode()
        return json.loads(done.stdout)

    def add_carrier(self, name: str, **settings: str | int | float) -> None:
        """Write a carrier into the settings; a name with two underscores is a setting in a table below."""
        lines = [f"{key.replace('__', '.')} = {json.dumps(value)}" for key, value in settings.items()]
        with (self.directory / "dastak.toml").open("a") as file:
            file.write("\n".join((f"\n[carriers.{name}]", *lines, "")))

    def live_client(self) -> ApiClient:
        """Make a live key and return a customer's program that has it."""
        made = self.command("keys", "create", "--mode", "live", "--name", "shop")
        return ApiClient(self.url, made["key"])

    def _answers(self) -> bool:
        assert self.program.process.poll() is None, f"it ended before it answered\n{self.program.log()}"
        try:
            return ApiClient(self.url, None).get("/healthz").status == 200
        except OSError:
            return False
