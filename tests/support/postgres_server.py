"""The PostgreSQL server of a test process; every test gets a database of its own in it."""

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from bench.postgres_cluster import DURABLE, FAST, PostgresServer, programs
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import connect
from tests.support.needed import missing
from tests.support.patience import until
from tests.support.schema_ahead import expanded

__all__ = ["DURABLE", "FAST", "PostgresServer", "frozen", "migrated_database", "own_server", "shared_server"]


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


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Stop every process of the server, as a machine does that hangs."""
    first, stopped = server.pid, set[int]()
    children = Path(f"/proc/{first}/task/{first}/children")
    try:
        # The first one bears no more then; and the list is whole only when no child comes or goes (proc(5)).
        while left := {first, *map(int, children.read_text().split())} - stopped:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            # The signal takes a moment: until then the first one may bear another.
            until(lambda left=left: all(map(_at_rest, left)))
            stopped |= left
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _at_rest(pid: int) -> bool:
    """Say whether a process is stopped, or gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "TtZX"


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
