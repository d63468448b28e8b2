"""Three database machines with the files of deploy/patroni as shipped, and HAProxy here before them."""

import asyncio
import http.client
import itertools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
import yaml

from bench.postgres_cluster import programs
from bench.processes import free_port
from chaos.machine_network import MachineNetwork, can_be_made
from chaos.server_database import POSTGRES_PORT
from chaos.watched_carrier import until

SHIPPED: Final = Path(__file__).resolve().parents[1] / "deploy" / "patroni"
NODES: Final = ("db1", "db2", "db3")
PROGRAMS: Final = ("etcd", "patroni")
# Documentation addresses, which nobody has; each cluster has its own in their place.
WRITTEN_PREFIX: Final = "192.0.2."
WRITTEN_BIND: Final = "bind 127.0.0.1:5432"
NEEDS: Final = ("patroni", "patronictl", "etcd", "haproxy", "ip", "setpriv", "psql")
# Debian puts servers where the path of a plain user may not lead.
ALSO_IN: Final = "/usr/sbin:/sbin"
REST_PORT: Final = 8008
ASK_S_MAX: Final = 2.0
# initdb, and two copies of an empty database, on a machine where other work runs.
MADE_S_MAX: Final = 180.0
WHOLE_S_MAX: Final = 180.0
COMMAND_S_MAX: Final = 60
STREAMING: Final = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
USERS: Final = {
    "SUPERUSER": "postgres",
    "REPLICATION": "replicator",
    "REWIND": "rewinder",
    "RESTAPI": "patroni",
}


def why_not() -> str:
    """Say what this machine lacks for a cluster; nothing if it lacks nothing."""
    missing = [name for name in NEEDS if path_of(name) is None]
    if missing or programs() is None:
        return f"it needs {', '.join(missing) or 'PostgreSQL'}"
    return "" if os.geteuid() == 0 and can_be_made() else "it needs root's right to make network namespaces"


class PatroniCluster:
    """A cluster while the context lasts.

    Attributes:
        network: Its machines.
        passfile: What libpq reads the passwords from.
    """

    def __init__(self) -> None:
        self.network = MachineNetwork(NODES)
        self.home = Path(tempfile.mkdtemp(prefix="dastak-cluster-"))
        shutil.chown(self.home, "postgres", "postgres")
        self.passfile = self.home / "pgpass"
        self._port = free_port()
        self._databases = itertools.count(1)
        self._passwords = {user: secrets.token_hex(12) for user in (*USERS.values(), "dastak")}
        self._shared = _variables(self._written("etcd.env")) | {
            f"PATRONI_{role}_{field}": value
            for role, user in USERS.items()
            for field, value in (("USERNAME", user), ("PASSWORD", self._passwords[user]))
        }
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._proxy: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        lines = [f"*:*:*:{user}:{password}\n" for user, password in self._passwords.items()]
        self.passfile.write_text("".join(lines))
        self.passfile.chmod(0o600)
        await self.network.__aenter__()
        try:
            self._configure()
            for name in NODES:
                self.switch_on(name)
            await self.until_whole(within_s=MADE_S_MAX)
            self._start_proxy()
            await self._do(f"CREATE ROLE dastak LOGIN PASSWORD '{self._passwords['dastak']}'")
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._proxy is not None:
            self._proxy.kill()
            await asyncio.to_thread(self._proxy.wait)
        await self.network.__aexit__(kind, error, trace)
        for running in self._running.values():
            running.wait()
        if kept := os.environ.get("DASTAK_CHAOS_LOGS"):
            shutil.copytree(self.home, kept, dirs_exist_ok=True)
        await asyncio.to_thread(shutil.rmtree, self.home, ignore_errors=True)

    def switch_on(self, name: str) -> None:
        """Start etcd and Patroni on a machine, as systemd does when it boots."""
        for program in PROGRAMS:
            self.start(name, program)

    def start(self, name: str, program: str) -> None:
        """Start one of the programs of a machine."""
        if (before := self._running.get((name, program))) is not None:
            before.wait()
        arguments = [str(self.home / "patroni.yml")] if program == "patroni" else []
        self._running[name, program] = self.network.spawn(
            name,
            program,
            *arguments,
            log=self.home / f"{name}.{program}.log",
            environment=self.environment(name),
            user="postgres",
        )

    def kill(self, name: str, program: str) -> None:
        """End one of them as a crash does."""
        self._running[name, program].kill()
        self._running[name, program].wait()

    def stop(self, name: str, program: str) -> None:
        """End one of them as systemd does."""
        self._running[name, program].terminate()
        self._running[name, program].wait()

    @property
    def lease_s(self) -> float:
        """How long a primary that is gone is waited for."""
        return float(yaml.safe_load((SHIPPED / "patroni.yml").read_text())["bootstrap"]["dcs"]["ttl"])

    def environment(self, name: str) -> dict[str, str]:
        """Return what systemd reads for a machine."""
        own = self.home / name
        folder = programs()
        assert folder is not None, "PostgreSQL is not installed"
        return self._shared | _variables(self._written(f"{name}.env")) | {
            "ETCD_DATA_DIR": str(own / "etcd"),
            "PATRONI_POSTGRESQL_DATA_DIR": str(own / "data"),
            "PATRONI_POSTGRESQL_PGPASS": str(own / "pgpass"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(folder),
        }  # fmt: skip

    async def members(self) -> dict[str, Mapping[str, Any]]:
        """Return what Patroni says of each machine, from the first one that answers."""
        for address in self.network.addresses.values():
            try:
                found = await asyncio.to_thread(_ask, address, "/cluster")
            except (OSError, http.client.HTTPException, ValueError):
                continue
            return {one["name"]: one for one in found["members"]}
        return {}

    async def named(self, role: str) -> str:
        """Return the machine that has a role: leader, sync_standby or replica."""
        return next(name for name, one in (await self.members()).items() if one["role"] == role)

    async def until_whole(self, *, within_s: float = WHOLE_S_MAX) -> None:
        """Wait until both standbys follow the primary, and one of them confirms what is written."""
        try:
            async with asyncio.timeout(within_s):
                while not await self._is_whole():  # noqa: ASYNC110 - they are other processes
                    await asyncio.sleep(0.2)
        except TimeoutError:
            found = [f"{name} {one['role']} {one['state']}" for name, one in (await self.members()).items()]
            raise TimeoutError(f"not whole within {within_s} s: {', '.join(found)}") from None

    async def _is_whole(self) -> bool:
        members = await self.members()
        roles = sorted(one["role"] for one in members.values())
        if roles != ["leader", "replica", "sync_standby"]:
            return False
        leader = next(name for name, one in members.items() if one["role"] == "leader")
        try:
            return await asyncio.to_thread(self._followers, self.network.addresses[leader]) == len(NODES) - 1
        except psycopg.OperationalError:
            return False

    def _followers(self, address: str) -> int:
        """Ask a primary itself how many standbys follow it: Patroni tells what was so some seconds ago."""
        with self._connect(address, POSTGRES_PORT) as connection:
            [(count,)] = connection.execute(STREAMING)
            return int(count)

    def _connect(self, host: str, port: int) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            f"postgresql://postgres@{host}:{port}/postgres",
            autocommit=True,
            passfile=str(self.passfile),
            connect_timeout=2,
            # HAProxy takes all servers for good until it has asked each of them once.
            target_session_attrs="read-write",
        )

    async def new_database(self, *, by_hosts: bool = False) -> str:
        """Make an empty database for Dastak, and return its URL: by HAProxy, or with all machines in it."""
        name = f"dastak_{next(self._databases)}"
        await self._do(f"CREATE DATABASE {name} OWNER dastak TEMPLATE template0 ENCODING 'UTF8'")
        hosts = ",".join(self.network.addresses.values()) if by_hosts else f"127.0.0.1:{self._port}"
        return f"postgresql://dastak@{hosts}/{name}"

    async def control(self, *arguments: str) -> str:
        """Give a command to patronictl on one of the machines that is up, and return what it says."""
        name = await self.named("leader")
        command = self.network.on(name, "patronictl", "-c", str(self.home / "patroni.yml"), *arguments)
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **self.environment(name)},
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def asking(self, name: str, sql: str) -> list[str]:
        """Return the command that runs SQL from a machine on its own server."""
        url = "postgresql://postgres@127.0.0.1/postgres"
        file = f"PGPASSFILE={self.passfile}"
        return self.network.on(name, "env", file, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url, "-c", sql)

    def log(self, name: str) -> str:
        """Return what Patroni has said on a machine."""
        return (self.home / f"{name}.patroni.log").read_text(errors="replace")

    def _written(self, name: str) -> str:
        return (SHIPPED / name).read_text().replace(WRITTEN_PREFIX, self.network.prefix)

    def _configure(self) -> None:
        (self.home / "patroni.yml").write_text(self._written("patroni.yml"))
        proxy = self._written("haproxy.cfg")
        assert WRITTEN_BIND in proxy, "its bind is written otherwise"
        (self.home / "haproxy.cfg").write_text(proxy.replace(WRITTEN_BIND, f"bind 127.0.0.1:{self._port}"))
        for name in NODES:
            (self.home / name).mkdir(mode=0o700)
            shutil.chown(self.home / name, "postgres", "postgres")

    def _start_proxy(self) -> None:
        with (self.home / "haproxy.log").open("ab") as said:
            self._proxy = subprocess.Popen(
                [path_of("haproxy") or "haproxy", "-db", "-f", str(self.home / "haproxy.cfg")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    async def _do(self, sql: str) -> None:
        """Have the primary do something, by way of HAProxy."""

        def done() -> bool:
            try:
                with self._connect("127.0.0.1", self._port) as connection:
                    connection.execute(sql)
            except psycopg.OperationalError:
                return False
            return True

        await until(done, within_s=MADE_S_MAX, what="HAProxy leads to a primary")


def _ask(address: str, path: str) -> Any:
    connection = http.client.HTTPConnection(address, REST_PORT, timeout=ASK_S_MAX)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _variables(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def path_of(name: str) -> str | None:
    """Return where a program is, also where only root's shell looks."""
    return shutil.which(name) or shutil.which(name, path=ALSO_IN)
