"""An installation as an operator makes one: `dastak init`, carriers in its settings, keys, `dastak serve`."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final, Self

from bench.processes import free_port
from dastak import cli
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.program import Program, clean_environment

START_S_MAX: Final = 30
# Each installation needs these. What a program that starts does otherwise is for tests/e2e/test_cli_start.py.
HERE: Final = ("init", "keys")


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
        if arguments[0] in HERE and expect == 0:
            return self._command_here(*arguments)
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

    def _command_here(self, *arguments: str) -> Any:
        """Give one command that has no need of a program of its own."""
        config = () if arguments[0] == "init" else ("--config", str(self.directory / "dastak.toml"))
        environment, said = dict(os.environ), BytesIO()
        try:
            os.environ.clear()
            os.environ.update(clean_environment(self._settings))
            # A loop of its own: this one may run.
            with redirect_stdout(TextIOWrapper(said, write_through=True)), ThreadPoolExecutor(1) as thread:
                status = thread.submit(cli.run, (*config, *arguments, "--json")).result()
        finally:
            os.environ.clear()
            os.environ.update(environment)
        assert status == 0, f"dastak {' '.join(arguments)} ended with {status}"
        return json.loads(said.getvalue())

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
