"""The PostgreSQL server of a test process; every test gets a database of its own in it."""

import atexit
from functools import cache

from bench.postgres_cluster import DURABLE, FAST, PostgresServer, programs
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import connect
from tests.support.needed import missing

__all__ = ["DURABLE", "FAST", "PostgresServer", "migrated_database", "own_server", "shared_server"]


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


def migrated_database() -> str:
    """Make a database of this version's schema in the shared cluster, by copying one that was migrated."""
    return shared_server().new_database(_migrated())


@cache
def _migrated() -> str:
    url = shared_server().new_database()
    postgres_migrate.upgrade(connect(url))
    return url.rpartition("/")[2]
