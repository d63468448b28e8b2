"""The installation of Dastak that faults are done to: made by its own commands, started, killed, stopped."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.processes import Pinned, free_port
from bench.scrape import figure, until_figure
from bench.spoken_calls import FIRST_RTP_PORT
from chaos.watched_carrier import SYSTEM_ID, WatchedCarrier, until

COMMAND_S_MAX: Final = 60
STOP_S_MAX: Final = 10
# Limits that refuse nobody, for all customers here are one.
PLENTY: Final[Mapping[str, str]] = {
    f"DASTAK__LIMITS__LIVE__{limit}__{field}": value
    for limit in ("KEY", "SERVICE", "TENANT")
    for field, value in (("COUNT", "1000000"), ("PER_S", "1"), ("BURST", "1000000"))
}
# A carrier of zero delay is faster than any phone, and no text leaves the planned order to explore.
ROUTING: Final[Mapping[str, str]] = {
    "DASTAK__ROUTING__PLAUSIBLE_RECEIPT_S": "0",
    "DASTAK__ROUTING__EXPLORATION": "0",
}


# What phones are shown that are called.
CALLER: Final = "+911600123456"
# A tenant that has nothing, and asks for what others have.
STRANGER: Final = "stranger"


class Victim:
    """One directory with an installation, and the program that runs on it.

    Args:
        directory: Empty, or not there yet.
        database_url: Where its rows are; None keeps them in the directory.

    Attributes:
        port: Where it answers.
        environment: Of the program at its next start.
        started_by: A command that becomes the program, at its next start.
        password: What carriers know it by.
        stranger_key: Of another tenant.
    """

    def __init__(self, directory: Path, *, database_url: str | None = None) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.password = secrets.token_hex(4)
        self.port, self.ops_port = free_port(), free_port()
        self.environment = {
            **PLENTY,
            **ROUTING,
            "DASTAK__SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{self.ops_port}",
        }
        self.started_by: Sequence[str] = ()
        self.stranger_key = ""
        self._database_url = database_url
        if database_url is not None:
            self.environment["DASTAK__STORE__URL"] = database_url
        self._running: Pinned | None = None

    @property
    def database(self) -> Path:
        """Its database, where that is a file."""
        return self.directory / "dastak.db"

    @property
    def database_url(self) -> str:
        """What its rows are reached by."""
        return self._database_url or f"sqlite://{self.database}"

    @property
    def keys(self) -> Path:
        """The file of its keys."""
        return self.directory / "secrets.json"

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        assert self._running is not None, "it does not run"
        return self._running.process.pid

    @property
    def process(self) -> Pinned:
        """The running process."""
        assert self._running is not None, "it does not run"
        return self._running

    async def install(self) -> str:
        """Make it and return a live key."""
        await asyncio.to_thread(self.directory.mkdir, parents=True, exist_ok=True)
        await self.command("init", "--yes", "--directory", str(self.directory))
        if self._database_url is not None:
            # What init makes is a file; a server's database begins with nobody in it.
            await self.command("tenants", "create", "default")
            await self.command("services", "create", "default", "--countries", "IN")
        await self.command("tenants", "create", STRANGER)
        await self.command("services", "create", STRANGER, "--tenant", STRANGER, "--countries", "IN")
        of = ("--tenant", STRANGER, "--service", STRANGER)
        made = await self.command("keys", "create", "--mode", "live", "--name", "chaos", *of)
        self.stranger_key = str(made["key"])
        made = await self.command("keys", "create", "--mode", "live", "--name", "chaos")
        return str(made["key"])

    def add_carrier(self, carrier: WatchedCarrier, **settings: str | float) -> None:
        """Write a carrier into the settings."""
        wanted = {
            "host": carrier.host,
            "port": carrier.port,
            "system_id": SYSTEM_ID,
            "password": self.password,
            **settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in wanted.items()]
        with (self.directory / "dastak.toml").open("a") as file:
            file.write("\n".join((f"\n[carriers.{carrier.name}]", *lines, "")))

    async def add_trunk(self, name: str, port: int, *, calls_max: int) -> None:
        """Add a SIP trunk on this machine while it runs, and wait until it is there."""
        wanted = (
            "host=127.0.0.1",
            f"port={port}",
            f"caller={CALLER}",
            f"calls_max={calls_max}",
            f"rtp_ports=[{FIRST_RTP_PORT}, {FIRST_RTP_PORT + 2 * calls_max - 1}]",
        )
        settings = [word for one in wanted for word in ("--set", one)]
        await self.command("carrier", "add", name, "--kind", "sip", *settings)
        await until_figure(self.ops_port, f'dastak_bound{{route="{name}"}}', 1)

    async def command(self, *arguments: str) -> Any:
        """Give it a command and return what it prints as JSON."""
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "dastak", *arguments, "--json"],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            capture_output=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        if ended.returncode:
            raise RuntimeError(f"dastak {arguments[0]} failed: {ended.stderr.decode()[-500:]}")
        return json.loads(ended.stdout)

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.spawn()
        await self.process.until_listening(self.port)

    def spawn(self) -> None:
        """Start it, and wait for nothing."""
        assert self._running is None, "it runs already"
        arguments = ("-m", "dastak", "--config", str(self.directory / "dastak.toml"), "serve")
        running = Pinned(*arguments, environment=self.environment, log=self.log, by=self.started_by)
        running.__enter__()
        self._running = running

    def kill(self) -> None:
        """End it as a crash does."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()
            self._running = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def stop(self) -> int:
        """Ask it to end, as a service manager does, and return what it ended with."""
        running, self._running = self.process, None
        running.process.terminate()
        try:
            return await asyncio.to_thread(running.process.wait, STOP_S_MAX)
        except subprocess.TimeoutExpired:
            running.process.kill()
            await asyncio.to_thread(running.process.wait)
            raise

    async def until_dead(self, *, within_s: float) -> int:
        """Wait until it has ended by itself, and return what with."""
        running = self.process
        await until(lambda: running.process.poll() is not None, within_s=within_s, what="it ends")
        self._running = None
        return int(running.process.returncode)

    async def figure(self, name: str) -> float:
        """Read one of its metrics that has no labels."""
        return await figure(self.ops_port, name)
