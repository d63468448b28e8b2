"""The PostgreSQL server of a test process; every test gets a database of its own in it."""

import atexit
from functools import cache

from bench.postgres_cluster import DURABLE, FAST, PostgresServer, programs
from tests.support.needed import missing

__all__ = ["DURABLE", "FAST", "PostgresServer", "own_server", "shared_server"]


def own_server() -> PostgresServer:
    """Start a server that writes durably; without PostgreSQL the test is skipped."""
    if programs() is None:
        missing("needs PostgreSQL, which is not installed")
    return PostgresServer(DURABLE)


@cache
def shared_server() -> PostgresServer:
    """Return the cluster of this process, started when it is first asked for, and quick to write."""
    if programs() is None:
        missing("needs PostgreSQL, which is not installed")
    server = PostgresServer(FAST)
    atexit.register(server.remove)
    return server
