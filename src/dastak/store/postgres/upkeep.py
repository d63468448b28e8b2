"""What is done to a PostgreSQL database while no service runs on it."""

from contextlib import closing
from datetime import datetime
from typing import Final

from dastak.core.errors import Conflict
from dastak.store import restore
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.postgres_desk import executing
from dastak.store.postgres.postgres_lane import Connection, connect
from dastak.store.postgres.postgres_migrate import plan
from dastak.store.postgres.server_refusals import told

_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'dastak' AND pid <> pg_backend_pid()"
)
# A server takes a moment to see that a client is gone.
LOOKS_MAX: Final = 20
# What is done here takes as long as it takes.
_PATIENT: Final = ("statement_timeout", "idle_in_transaction_session_timeout")


def connect_alone(url: str, password: str | None) -> Connection:
    """Open a connection for long work, if no service is there.

    Raises:
        Conflict: A service runs on this database.
        psycopg.Error: It cannot be asked.
    """
    connection = connect(url, password=password)
    try:
        for name in _PATIENT:
            connection.execute(f"SET {name} = 0")
        if _others(connection):
            raise Conflict("A service runs on this database; stop all of its nodes first.")
    except BaseException:
        connection.close()
        raise
    return connection


def _others(connection: Connection) -> int:
    """Count other connections of ours that do not go away in a moment."""
    count = 0
    for _ in range(LOOKS_MAX):
        (count,) = connection.execute(_OTHERS).fetchone() or (0,)
        if not count:
            break
        connection.execute("SELECT pg_sleep(0.1)")
    return count


def void(url: str, password: str | None, *, now: datetime) -> int:
    """Cancel everything pending in a database that was put back, and raise its epoch.

    Returns:
        How many pending verifications were canceled.

    Raises:
        Conflict: A service runs on it, or it is not of this version.
        Overloaded: It cannot be asked.
    """
    with told(url), closing(connect_alone(url, password)) as connection:
        if missing := plan(connection):
            raise Conflict(f"The database still needs {', '.join(missing)}. Next: dastak migrate")
        with connection.transaction():
            return restore.void(executing(connection, statements()), now)
