"""A fresh database for each scene in a PostgreSQL server of this machine, reached through a fault proxy."""

import asyncio
import secrets
import subprocess
from typing import Final
from urllib.parse import urlsplit

COMMAND_S_MAX: Final = 30
POSTGRES_PORT: Final = 5432


def port_of(url: str) -> int:
    """Return where the server listens."""
    return urlsplit(url).port or POSTGRES_PORT


def through(port: int, url: str) -> str:
    """Return the address of the same database by way of another port of this machine."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}").geturl()


async def new_database(server: str) -> str:
    """Make an empty database and return its address. Raises: RuntimeError (the server would not)."""
    name = f"chaos_{secrets.token_hex(6)}"
    made = await asyncio.to_thread(
        subprocess.run,
        ["psql", server, "-qc", f"CREATE DATABASE {name}"],
        capture_output=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"no database could be made: {made.stderr.decode()[-300:]}")
    return urlsplit(server)._replace(path=f"/{name}").geturl()
