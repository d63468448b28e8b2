"""The same cases on PostgreSQL: one node and two, the server on the core of the load."""

from pathlib import Path

import msgspec

from bench.cases import Dastak, Throughput
from bench.loopback_carrier import Carrier
from bench.postgres_cluster import DURABLE, PostgresServer, programs
from bench.processes import LOAD_CORE, children, cpu_s, move
from bench.subject import make_installation

CONNECTIONS = (64, 256)
WARM = 1_000


class OnPostgres(msgspec.Struct, kw_only=True):
    """What one node on PostgreSQL does.

    Attributes:
        version: Of the server, which shares a core with the load and the carrier.
        cases: Starts, checks and both by turns, each durable on the server before it is answered.
        server_us: For each case, what one operation and all that follows from it costs in PostgreSQL.
    """

    version: str
    cases: list[Throughput]
    server_us: list[float]


async def measure_postgres(directory: Path, *, operations: int) -> OnPostgres | None:
    """Run all cases on one node; None without a PostgreSQL server to start."""
    if programs() is None:
        return None
    server = PostgresServer(DURABLE)
    try:
        carrier = Carrier()
        url = server.new_database()
        installation = await make_installation(directory, await carrier.listen(), url=url)
        with installation.serve() as process:
            await process.until_listening(installation.port)
            await process.until_listening(installation.ops_port)
            for pid in (server.pid, *children(server.pid)):
                move(pid, LOAD_CORE)
            ops, key = installation.ops_port, installation.api_key
            dastak = Dastak(process, installation.port, ops, key, carrier)
            await dastak.starts_case(CONNECTIONS[0], WARM)
            await dastak.checks_case(CONNECTIONS[0])
            figures = OnPostgres(version=server.version, cases=[], server_us=[])
            for connections in CONNECTIONS:
                await _measure(dastak, server, connections, operations, figures)
            return figures
    finally:
        server.remove()


async def _measure(
    dastak: Dastak, server: PostgresServer, connections: int, operations: int, figures: OnPostgres
) -> None:
    before_s = server_s(server)

    def note(case: Throughput) -> None:
        nonlocal before_s
        after_s = server_s(server)
        figures.cases.append(case)
        figures.server_us.append((after_s - before_s) / case.operations * 1e6)
        before_s = after_s

    note(await dastak.starts_case(connections, operations))
    note(await dastak.checks_case(connections))
    await dastak.starts_case(connections, operations // 2)
    before_s = server_s(server)
    note(await dastak.mixed_case(connections, operations))
    await dastak.checks_case(connections)


def server_s(server: PostgresServer) -> float:
    """Return the processor seconds of all processes of a server that are there."""
    return sum(cpu_s(pid) for pid in (server.pid, *children(server.pid)))
