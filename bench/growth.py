"""What a start and a check cost when the database has ten thousand rows, and when it has ten million.

The rows of the past are copies of rows that the program wrote itself, with numbers and ids of their own.
"""

import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from bench.cases import FIRST_MSISDN, Dastak, Throughput
from bench.grown_rows import grow_postgres, grow_sqlite
from bench.loopback_carrier import Carrier
from bench.postgres_cases import server_s
from bench.postgres_cluster import DURABLE, PostgresServer, programs
from bench.processes import LOAD_CORE, children, move
from bench.report import machine, tabulated
from bench.subject import Installation, make_installation

CONNECTIONS = 64
# Rows that are copied.
SEEDS = 500
WARM = 1_000
# What an operator gives a server of this size; the rest of the memory caches files.
SERVER = {**DURABLE, "shared_buffers": "1GB", "max_wal_size": "4GB"}


class Grown(msgspec.Struct, kw_only=True):
    """One size of one database.

    Attributes:
        verifications: That were there before anything was measured, each with its message.
        row_octets: Of files for each of them, indexes included.
        starts: Each with its SMS and its receipt.
        starts_server_us: What one costs in PostgreSQL; nothing for SQLite.
        checks: Each of a code that was started before.
        checks_server_us: As above.
        wal_octets: That the server wrote to its log for a start and its check.
        wal_images: Of those, the pages that were copied whole because a checkpoint was before.
        pending_octets: Of files for each code that is pending.
        pending_memory_octets: Of the program's memory for each code that is pending.
    """

    database: str
    verifications: int
    row_octets: float
    starts: Throughput
    starts_server_us: float
    checks: Throughput
    checks_server_us: float
    wal_octets: float
    wal_images: float
    pending_octets: float
    pending_memory_octets: float


class Growth(msgspec.Struct, kw_only=True):
    """One run: every size of every database.

    Attributes:
        server: Of PostgreSQL, with the settings that differ from its own; empty where it is not installed.
    """

    machine: dict[str, str]
    server: dict[str, str]
    sizes: list[Grown]


class _Sqlite:
    """A SQLite file as this bench needs it."""

    name = "SQLite"

    def __init__(self, installation: Installation) -> None:
        self._file = installation.database

    def grow(self, to: int) -> None:
        grow_sqlite(self._file, to=to, seeds=SEEDS)

    def octets(self) -> int:
        """Return what its rows take on disk."""
        with closing(sqlite3.connect(self._file)) as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def move(self) -> None:
        """It is the program itself."""

    def used_s(self) -> float:
        return 0.0

    def wal(self) -> tuple[int, int]:
        return 0, 0


class _Postgres:
    """A PostgreSQL server as this bench needs it."""

    name = "PostgreSQL"

    def __init__(self, server: PostgresServer, url: str) -> None:
        self._server, self._url = server, url

    def grow(self, to: int) -> None:
        grow_postgres(self._url, to=to, seeds=SEEDS)

    def move(self) -> None:
        for pid in (self._server.pid, *children(self._server.pid)):
            move(pid, LOAD_CORE)

    def octets(self) -> int:
        return int(self._one("SELECT pg_database_size(current_database())")[0])

    def used_s(self) -> float:
        return server_s(self._server)

    def wal(self) -> tuple[int, int]:
        """Return how many octets of log were written so far, and how many pages whole."""
        octets, images = self._one(
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, (SELECT wal_fpi FROM pg_stat_wal)"
        )
        return octets, images

    def _one(self, sql: str) -> Any:
        with psycopg.connect(self._url) as connection:
            return connection.execute(sql).fetchone()


Database = _Sqlite | _Postgres


async def measure_growth(directory: Path, *, sizes: Sequence[int], operations: int) -> Growth:
    """Measure each size on both databases; PostgreSQL where it is installed.

    Args:
        directory: Empty.
        sizes: In verifications, rising.
        operations: Starts, and as many checks, for each size.
    """
    carrier = Carrier()
    port = await carrier.listen()
    installation = await make_installation(directory / "sqlite", port)
    growth = Growth(machine=machine(), server={}, sizes=[])
    growth.sizes += await _measure(installation, _Sqlite(installation), carrier, sizes, operations)
    if programs() is None:
        return growth
    server = PostgresServer(SERVER)
    try:
        url = server.new_database()
        installation = await make_installation(directory / "postgres", port, url=url)
        growth.server = {"version": server.version, **SERVER}
        growth.sizes += await _measure(installation, _Postgres(server, url), carrier, sizes, operations)
        return growth
    finally:
        server.remove()


async def _measure(
    installation: Installation, database: Database, carrier: Carrier, sizes: Sequence[int], operations: int
) -> list[Grown]:
    """Let the program write the rows that are copied, then measure it at each size."""
    async with _running(installation, database, carrier, FIRST_MSISDN) as dastak:
        await dastak.starts_case(CONNECTIONS, SEEDS)
        await dastak.checks_case(CONNECTIONS)
    grown, before, octets = [], SEEDS, database.octets()
    for size in sizes:
        print(f"{database.name}, {size:,} verifications", file=sys.stderr, flush=True)
        database.grow(size)
        row_octets = (database.octets() - octets) / (size - before)
        async with _running(installation, database, carrier, dastak.msisdn) as dastak:
            grown.append(await _measure_size(dastak, database, size, row_octets, operations))
        before, octets = size, database.octets()
    return grown


@asynccontextmanager
async def _running(
    installation: Installation, database: Database, carrier: Carrier, msisdn: int
) -> AsyncIterator[Dastak]:
    """Run the program; its database shares a core with the load."""
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await process.until_listening(installation.ops_port)
        database.move()
        dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
        dastak.msisdn = msisdn
        yield dastak


async def _measure_size(
    dastak: Dastak, database: Database, size: int, row_octets: float, operations: int
) -> Grown:
    await dastak.starts_case(CONNECTIONS, WARM)
    await dastak.checks_case(CONNECTIONS)
    octets, memory_mib = database.octets(), dastak.process.resident_mib
    (wal, images), used_s = database.wal(), database.used_s()
    starts = await dastak.starts_case(CONNECTIONS, operations)
    started_s = database.used_s()
    pending_octets = (database.octets() - octets) / operations
    memory_octets = (dastak.process.resident_mib - memory_mib) * 2**20 / operations
    between_s = database.used_s()
    checks = await dastak.checks_case(CONNECTIONS)
    (wal_after, images_after), checked_s = database.wal(), database.used_s()
    return Grown(
        database=database.name,
        verifications=size,
        row_octets=row_octets,
        starts=starts,
        starts_server_us=(started_s - used_s) / operations * 1e6,
        checks=checks,
        checks_server_us=(checked_s - between_s) / operations * 1e6,
        wal_octets=(wal_after - wal) / operations,
        wal_images=(images_after - images) / operations,
        pending_octets=pending_octets,
        pending_memory_octets=memory_octets,
    )


_HEAD = (
    "database", "verifications", "octets each", "starts/s", "CPU us", "server us", "p99 ms", "checks/s",
    "CPU us", "server us", "p99 ms", "log octets", "whole pages", "pending: disk", "memory",
)  # fmt: skip


def growth_text(growth: Growth) -> str:
    """Return the table, and what it depends on."""
    facts = "\n".join(f"{name:14}{value}" for name, value in {**growth.machine, **growth.server}.items())
    return f"{facts}\n\n{tabulated(_HEAD, [_row(one) for one in growth.sizes])}"


def _row(one: Grown) -> Sequence[str]:
    def of(case: Throughput, server_us: float) -> Sequence[str]:
        return f"{case.per_s:,.0f}", f"{case.cpu_us:.0f}", f"{server_us:.0f}", f"{case.p99_ms:.1f}"

    return (
        one.database,
        f"{one.verifications:,}",
        f"{one.row_octets:.0f}",
        *of(one.starts, one.starts_server_us),
        *of(one.checks, one.checks_server_us),
        f"{one.wal_octets:,.0f}",
        f"{one.wal_images:.2f}",
        f"{one.pending_octets:.0f}",
        f"{one.pending_memory_octets:.0f}",
    )
