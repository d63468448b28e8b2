"""An installation of Dastak for the bench: one live key, one carrier, and limits that refuse nobody."""

import asyncio
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.processes import Pinned, free_port
from dastak.config_read import DATABASE_URL
from dastak.core.policy import Policy
from dastak.core.tenant import Mode, Scope, Service, Tenant
from dastak.store.open_database import open_database
from dastak.tenancy.keys import make_key

# The carrier's window. A contract gives 10 to 100; here it shall not be what limits.
WINDOW = 1000
SPEND_CAP_MICROS = 10**15
# Where the code page sends people back to.
DOMAIN = "shop.example"
RATES = ("key", "service", "tenant")
RATE = {"count": 1_000_000, "per_s": 1, "burst": 1_000_000}


class Installation(NamedTuple):
    """Where it is, how it is set, and with which key to ask it."""

    directory: Path
    port: int
    ops_port: int
    api_key: str
    environment: dict[str, str]

    @property
    def database(self) -> Path:
        return self.directory / "dastak.db"

    @property
    def url(self) -> str | None:
        """Of its database, where that is PostgreSQL."""
        return self.environment.get(DATABASE_URL)

    async def command(self, *arguments: str) -> None:
        """Give it a command."""
        await _dastak("--config", str(self.directory / "dastak.toml"), *arguments, url=self.url)

    def another_node(self) -> "Installation":
        """Return the same on other ports, to be served beside it; its database is PostgreSQL."""
        port, ops_port = free_port(), free_port()
        listens = {
            "DASTAK__SERVER__LISTEN": f"127.0.0.1:{port}",
            "DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{ops_port}",
        }
        return self._replace(port=port, ops_port=ops_port, environment=self.environment | listens)

    def serve(self) -> Pinned:
        """Return the program, to be started by `with`."""
        command = ("-m", "dastak", "--config", str(self.directory / "dastak.toml"), "serve")
        return Pinned(*command, environment=self.environment, log=self.directory / "log")


async def make_installation(
    directory: Path, carrier_port: int, *, binds: int = 1, url: str | None = None
) -> Installation:
    """Make one in an empty directory.

    Args:
        directory: Empty.
        carrier_port: Where the bulk carrier listens.
        binds: How many there are to it.
        url: Of an empty database; a SQLite file in the directory if absent.
    """
    await _dastak("init", "--yes", "--directory", str(directory))
    password = directory / "password"
    password.write_text(secrets.token_hex(4))
    password.chmod(0o600)
    address = ("--host", "127.0.0.1", "--port", str(carrier_port), "--system-id", "bench")
    wanted = ("--secret-file", f"password={password}", "--set", f"window={WINDOW}", "--set", f"binds={binds}")
    await _dastak(
        "--config", str(directory / "dastak.toml"), "carrier", "add", "bench", *address, *wanted, url=url
    )
    port, ops_port = free_port(), free_port()
    settings = {
        "server.listen": f"127.0.0.1:{port}",
        "server.ops_listen": f"127.0.0.1:{ops_port}",
        # A carrier of zero delay is faster than any phone.
        "routing.plausible_receipt_s": 0,
        **{f"limits.live.{name}.{field}": value for name in RATES for field, value in RATE.items()},
    }
    environment = {f"DASTAK__{path.replace('.', '__').upper()}": str(v) for path, v in settings.items()}
    if url is not None:
        environment[DATABASE_URL] = url
    key = await _admit(url or f"sqlite://{directory / 'dastak.db'}")
    return Installation(directory, port, ops_port, key, environment)


async def _dastak(*arguments: str, url: str | None = None) -> None:
    command = [sys.executable, "-m", "dastak", *arguments]
    environment = os.environ if url is None else {**os.environ, DATABASE_URL: url}
    run = partial(subprocess.run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    await asyncio.to_thread(run, command, check=True)


async def _admit(url: str) -> str:
    """Make a tenant and a service that may send to India, and return a live key of theirs."""
    async with open_database(url) as store:
        tenant = await store.put_tenant(Tenant(n=0, name="bench", daily_spend_cap_micros=SPEND_CAP_MICROS))
        service = await store.put_service(
            Service(
                n=0,
                tenant=tenant.n,
                name="login",
                brand="Bench",
                policy=Policy(),
                countries=("IN",),
                domains=(DOMAIN,),
            )
        )
        new = make_key(
            entropy=os.urandom,
            tenant=tenant.n,
            service=service.n,
            mode=Mode.LIVE,
            scopes=(Scope.START, Scope.CHECK),
            name="bench",
            now=datetime.now(UTC),
        )
        await store.put_key(new.key)
    return new.text
