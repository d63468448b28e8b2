"""A real PostgreSQL of this machine, on a free port and in a temporary directory, for benches and tests."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg

from bench.processes import children, free_port

# Nothing is lost with a test's database but the test.
FAST: Final[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off"}
DURABLE: Final[Mapping[str, str]] = {}

# By this name a primary knows the standby that follows it.
FOLLOWER: Final = "follower"

# As proc(5) has them: of a process that is stopped, and of one that has ended, whoever has noticed.
STOPPED: Final = ("T", "t")
GONE: Final = ("", "Z", "X")
SIGNAL_S_MAX: Final = 10.0

_USER: Final = "postgres"
_databases = count(1)


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL that is installed; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return None if on_path is None else Path(on_path).parent


class PostgresServer:
    """One cluster.

    Args:
        settings: What differs from the defaults.
        following: The server that this one is a standby of; None makes a server of its own.

    Attributes:
        url: Of its database `postgres`.
        pid: Of its first process.
    """

    def __init__(
        self, settings: Mapping[str, str] = FAST, *, following: "PostgresServer | None" = None
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="dastak-postgres-"))
        self.data, self.port = self.home / "data", free_port()
        self.url = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"
        self._settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            **settings,
        }
        # The server will not run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self.home, _USER, _USER)
            self._as = {"user": _USER, "group": _USER, "extra_groups": []}
        data = ("-D", str(self.data))
        if following is None:
            self._run("initdb", *data, "-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C", "-N")
        else:
            source = f"{following.url}?application_name={FOLLOWER}"
            self._run("pg_basebackup", *data, "-d", source, "-R", "-X", "stream", "-c", "fast")
        self.start()

    @property
    def pid(self) -> int:
        """The first process of the cluster."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    @property
    def version(self) -> str:
        """Its name and number."""
        with psycopg.connect(self.url) as connection:
            (version,) = connection.execute("SHOW server_version").fetchone() or ("unknown",)
            return str(version)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = " ".join(f"-c {key}='{value}'" for key, value in self._settings.items())
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.home / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "stop")

    def kill(self) -> None:
        """End every process of it as a crash does, and wait until all are gone.

        Raises:
            TimeoutError: They do not go.
        """
        first = self.pid
        # Once it is stopped it bears no more, so that none is left who holds on to the memory they share.
        os.kill(first, signal.SIGSTOP)
        _until(lambda: _state(first) in STOPPED)
        pids = (first, *children(first))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _until(lambda: all(_state(pid) in GONE for pid in pids))
        # Where nobody has buried the first one yet, a start would take it for one that still runs.
        (self.data / "postmaster.pid").unlink()

    def promote(self) -> None:
        """Make a primary of a standby, and wait until it is one."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "promote")

    def set(self, setting: str, value: str) -> None:
        """Change a setting that needs no new start."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    def remove(self) -> None:
        """Stop it and delete everything."""
        if (self.data / "postmaster.pid").exists():
            # One that was killed leaves that file behind.
            with suppress(subprocess.CalledProcessError):
                self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def new_database(self, like: str = "template0") -> str:
        """Make a database, empty or like another one that nobody uses, and return its address."""
        name = f"test_{next(_databases)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.url.removesuffix("postgres") + name

    def _run(self, program: str, *arguments: str) -> None:
        folder = programs()
        assert folder is not None, "PostgreSQL is not installed"
        # It must not keep a pipe of ours: it outlives this call.
        with (self.home / "said").open("ab") as said:
            subprocess.run(
                [folder / program, *arguments],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                **self._as,
            )


def _state(pid: int) -> str:
    """Return the letter that the kernel has for what a process does; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _until(so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + SIGNAL_S_MAX
    while not so():
        if time.monotonic() > give_up_s:
            raise TimeoutError("PostgreSQL does not do as it is told by a signal")
        time.sleep(0.01)
