"""The same cases on PostgreSQL: one node by itself, at half of what it can, and two nodes at once."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cases import Dastak, Latencies, Node, Throughput, dispatch_case
from bench.cycles import half_load, most_cycles
from bench.loopback_carrier import Carrier
from bench.postgres_cluster import DURABLE, PostgresServer, programs
from bench.processes import LOAD_CORE, children, cpu_s, let_go, move
from bench.subject import Installation, make_installation

CONNECTIONS = (64, 256)
WARM = 1_000
# Of two nodes each has one.
BINDS = 2
DISPATCH_PER_S = 500


class Costed(msgspec.Struct, kw_only=True):
    """A closed loop, and what one operation and all that follows from it costs in PostgreSQL."""

    case: Throughput
    server_us: float


class OnPostgres(msgspec.Struct, kw_only=True):
    """What nodes on PostgreSQL do; everything is durable on the server before it is answered.

    Attributes:
        version: Of the server.
        one_node: Starts, checks, both by turns, and whole cycles. The node has a core; the server, the load
            and the carrier share the other one.
        by_a_clock: Starts of that node, 500 a second; and starts and whole cycles at half of what it can do.
        two_nodes: The same as of one node. Nothing is kept on a core: two nodes, the server and the load
            take turns on all there are.
    """

    version: str
    one_node: list[Costed]
    by_a_clock: list[Latencies]
    two_nodes: list[Costed]


async def measure_postgres(directory: Path, *, operations: int, open_s: int) -> OnPostgres | None:
    """Run all cases; None without a PostgreSQL server to start."""
    if programs() is None:
        return None
    server = PostgresServer(DURABLE)
    try:
        carrier = Carrier()
        url = server.new_database()
        first = await make_installation(directory, await carrier.listen(), binds=BINDS, url=url)
        with first.serve() as process:
            dastak = await _warm(first, Node(process, first.port, first.ops_port), carrier)
            for pid in (server.pid, *children(server.pid)):
                move(pid, LOAD_CORE)
            one_node = await _measure_all(dastak, server, operations)
            by_a_clock = await dispatch_case(dastak, per_s=DISPATCH_PER_S, count=DISPATCH_PER_S * open_s)
            by_a_clock += await half_load(dastak, [costed.case for costed in one_node], open_s=open_s)
            two_nodes = await _measure_two(first, dastak, server, operations)
        return OnPostgres(
            version=server.version, one_node=one_node, by_a_clock=by_a_clock, two_nodes=two_nodes
        )
    finally:
        server.remove()


async def _measure_two(
    first: Installation, dastak: Dastak, server: PostgresServer, operations: int
) -> list[Costed]:
    """Let a second node come, and measure both."""
    second = first.another_node()
    with second.serve() as process:
        node = Node(process, second.port, second.ops_port)
        await _until_there(node)
        dastak.nodes.append(node)
        # The slots of binds move while it warms up.
        await dastak.starts_case(CONNECTIONS[0], WARM)
        await dastak.checks_case(CONNECTIONS[0])
        pids = (dastak.process.process.pid, process.process.pid, server.pid, *children(server.pid))
        for pid in pids:
            let_go(pid)
        try:
            return await _measure_all(dastak, server, operations)
        finally:
            dastak.nodes.remove(node)


async def _warm(installation: Installation, node: Node, carrier: Carrier) -> Dastak:
    await _until_there(node)
    dastak = Dastak(*node, installation.api_key, carrier)
    await dastak.starts_case(CONNECTIONS[0], WARM)
    await dastak.checks_case(CONNECTIONS[0])
    return dastak


async def _until_there(node: Node) -> None:
    await node.process.until_listening(node.port)
    assert node.ops_port is not None
    await node.process.until_listening(node.ops_port)


async def _measure_all(dastak: Dastak, server: PostgresServer, operations: int) -> list[Costed]:
    figures: list[Costed] = []
    for connections in CONNECTIONS:
        figures += await _measure(dastak, server, connections, operations)
    return figures


async def _measure(
    dastak: Dastak, server: PostgresServer, connections: int, operations: int
) -> Sequence[Costed]:
    figures: list[Costed] = []
    before_s = server_s(server)

    def note(case: Throughput) -> None:
        nonlocal before_s
        after_s = server_s(server)
        figures.append(Costed(case=case, server_us=(after_s - before_s) / case.operations * 1e6))
        before_s = after_s

    note(await dastak.starts_case(connections, operations))
    note(await dastak.checks_case(connections))
    await dastak.starts_case(connections, operations // 2)
    before_s = server_s(server)
    note(await dastak.mixed_case(connections, operations))
    await dastak.checks_case(connections)
    before_s = server_s(server)
    note(await most_cycles(dastak, connections, operations // 2))
    return figures


def server_s(server: PostgresServer) -> float:
    """Return the processor seconds of all processes of a server that are there."""
    return sum(cpu_s(pid) for pid in (server.pid, *children(server.pid)))
