"""Bring a PostgreSQL database to the schema this program knows, by the same numbered files as SQLite.

Each file runs in one transaction, whichever node comes first; a schema only grows.
"""

from collections.abc import Sequence
from contextlib import closing
from importlib import resources
from typing import Final

from dastak.core.errors import Conflict
from dastak.store import migrate
from dastak.store.postgres.dialect import schema
from dastak.store.postgres.postgres_lane import Connection

# One node migrates, the others wait for it.
_MIGRATING: Final = (0x4453, 2)
_FIRST: Final = "INSERT INTO meta (name, value) VALUES ('schema', 0)"


def plan(connection: Connection) -> Sequence[str]:
    """Return the migrations a database still needs; an empty one needs all.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's.
    """
    return list(migrate.scripts())[version(connection) :]


def upgrade(connection: Connection) -> Sequence[str]:
    """Apply what is missing and return its names. Raises: Conflict, as `plan` does."""
    with closing(connection):
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET lock_timeout = 0")
        connection.execute("SELECT pg_advisory_lock($1, $2)", _MIGRATING)
        missing = plan(connection)
        for name in missing:
            _apply(connection, name)
        return missing


def _apply(connection: Connection, name: str) -> None:
    with connection.transaction():
        connection.execute(schema(migrate.scripts()[name]))
        number = list(migrate.scripts()).index(name) + 1
        if number == 1:
            connection.execute(_FIRST)
        own = resources.files("dastak.store.postgres").joinpath("own_migrations", name)
        if own.is_file():
            connection.execute(own.read_text(encoding="utf-8"))
        connection.execute("UPDATE meta SET value = $1 WHERE name = 'schema'", (number,))


def version(connection: Connection) -> int:
    """Return how many migrations were applied. Raises: Conflict."""
    tables = connection.execute(
        "SELECT count(*) FILTER (WHERE table_name = 'meta'), count(*) FROM information_schema.tables"
        " WHERE table_schema = current_schema()"
    ).fetchone()
    assert tables is not None
    if not tables[0]:
        if tables[1]:
            raise Conflict("This is a database of another program.")
        return 0
    found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if found is None:
        raise Conflict("This is a database of another program.")
    known = len(migrate.scripts())
    if found[0] > known:
        raise Conflict(
            f"The database has schema {found[0]} and this program knows {known}: run the newer program."
        )
    return int(found[0])
