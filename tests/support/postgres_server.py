"""The PostgreSQL server of a test process; every test gets a database of its own in it."""

import atexit
from functools import cache

from bench.postgres_cluster import DURABLE, FAST, PostgresServer, programs
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import connect
from tests.support.needed import missing
from tests.support.schema_ahead import expanded

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
    """Make a database in the shared cluster, by copying one; a newer version has expanded its schema.

    So all that is asked of it shows as well that this version goes on beside the next one.
    """
    return shared_server().new_database(_migrated())


@cache
def _migrated() -> str:
    url = shared_server().new_database()
    postgres_migrate.upgrade(connect(url), expanded())
    return url.rpartition("/")[2]
