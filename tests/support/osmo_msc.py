"""OsmoMSC as a carrier: a GSM switching centre with its register of subscribers, and SMPP before it."""

import os
import secrets
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.foreign_daemon import ForeignDaemon
from tests.support.needed import PEERS, missing, program

SETTINGS: Final = PEERS / "osmo"
SMPP_PORT: Final = 2775
SGS_PORT: Final = 29118
# No phone can attach before the centre has found the register.
KNOWS_HLR: Final = "received ID_GET"
PORTS: Final = {"osmo-hlr": 4222, "osmo-stp": 2905, "osmo-msc": SMPP_PORT}


@dataclass(frozen=True, slots=True, kw_only=True)
class OsmoMsc:
    """A running switching centre.

    Attributes:
        address: Where all its servers listen.
        directory: Where its databases are.
    """

    address: str
    directory: Path

    def stored(self, fields: str) -> list[tuple[Any, ...]]:
        """Return these columns of all texts it keeps, oldest first."""
        uri = f"file:{self.directory}/sms.db?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as database:
            return database.execute(f"SELECT {fields} FROM SMS ORDER BY id").fetchall()


@contextmanager
def osmo_msc(directory: Path, subscribers: dict[str, str]) -> Iterator[OsmoMsc]:
    """Run it with these subscribers, IMSI to MSISDN in digits.

    Some ports of these programs cannot be chosen. So each run has a loopback address of its own: two runs at
    once do not meet, and nobody outside this machine reaches either.
    """
    address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    for settings in SETTINGS.glob("*.cfg"):
        (directory / settings.name).write_text(settings.read_text().replace("{address}", address))
    _write_register(directory / "hlr.db", subscribers)
    environment = os.environ | {"LD_PRELOAD": str(_compile_shim(directory))}
    daemons: list[ForeignDaemon] = []
    try:
        for name, port in PORTS.items():
            arguments = ["-c", f"{name.removeprefix('osmo-')}.cfg"]
            arguments += ["-l", "hlr.db"] if name == "osmo-hlr" else []
            daemons.append(ForeignDaemon(name, arguments, directory=directory, environment=environment))
            daemons[-1].until_listening(port, address=address)
        daemons[-1].until_listening(SGS_PORT, address=address)
        daemons[-1].until_said(KNOWS_HLR)
        yield OsmoMsc(address=address, directory=directory)
    finally:
        for daemon in reversed(daemons):
            daemon.stop()


def _write_register(file: Path, subscribers: dict[str, str]) -> None:
    tool = [program("osmo-hlr-db-tool"), "-l", str(file), "create"]
    subprocess.run(tool, check=True, capture_output=True, timeout=20)
    with closing(sqlite3.connect(file)) as register, register:
        register.executemany("INSERT INTO subscriber (imsi, msisdn) VALUES (?, ?)", subscribers.items())


def _compile_shim(directory: Path) -> Path:
    shim = directory / "sctp_over_tcp.so"
    source = str(SETTINGS / "sctp_over_tcp.c")
    command = [program("gcc"), "-O2", "-shared", "-fPIC", "-o", str(shim), source, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        missing(f"the SCTP shim cannot be compiled here:\n{done.stderr[-1000:]}")
    return shim
