"""Bring a PostgreSQL database to the schema this program knows, while nodes of older versions use it.

1. Each file of `migrations` runs in one transaction, whichever node comes first. It waits for nobody's lock
   longer than callers of other nodes can wait behind it, and tries again.
2. An expansion that is one index is built beside the work of others, in no transaction.
3. What shuts older programs out is applied only when none of them is connected: each connection of a node
   holds, as long as it is there, the lock of how much its program knows.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib import resources
from typing import Final

import psycopg
from psycopg import errors

from dastak.core.errors import Conflict
from dastak.store import migrate
from dastak.store.postgres.dialect import schema
from dastak.store.postgres.postgres_lane import LOCK_MS_MAX, Connection

# Of all advisory locks of ours.
_OURS: Final = 0x4453
# One node migrates, the others wait for it: in tries, because an index waits for every statement that waits.
_MIGRATING: Final = (_OURS, 2)
_LOOK_EVERY_S: Final = 0.1
_LOOKS_MAX: Final = 36_000
# A server takes a moment to see that a client is gone.
_GONE_LOOKS_MAX: Final = 20
# Nobody arrives while older programs are shut out.
_ARRIVING: Final = (_OURS, 4)
# A connection of a program that knows 12 migrations holds lock 1012.
_KNOWS: Final = 1_000

# Callers of other nodes wait behind whoever waits for a whole table.
WAIT_MS_MAX: Final = 300
TRIES_MAX: Final = 100
assert WAIT_MS_MAX < LOCK_MS_MAX

_FIRST: Final = "INSERT INTO meta (name, value) VALUES ('schema', 0)"
_NOTE: Final = "UPDATE meta SET value = $1 WHERE name = 'schema'"
_NEED: Final = (
    "INSERT INTO meta (name, value) VALUES ('runs_from', $1)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_OLDER: Final = (
    "SELECT DISTINCT coalesce(host(a.client_addr), 'this machine')"
    " FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.granted"
    " AND l.objid >= $2::int::oid AND l.objid < $3::int::oid AND a.datname = current_database() ORDER BY 1"
)
# Views are nobody's data, and what an extension brought (pg_stat_statements, PostGIS) is no other program's.
_TABLES: Final = (
    "SELECT count(*) FILTER (WHERE c.relname = 'meta'), count(*) FROM pg_class AS c"
    " JOIN pg_namespace AS s ON s.oid = c.relnamespace"
    " WHERE s.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT EXISTS ("
    "SELECT FROM pg_depend AS d"
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
)
_ONE_INDEX: Final = re.compile(r"\s*CREATE (?P<unique>UNIQUE )?INDEX (?P<name>\w+)(?P<rest>[^;]+);\s*")


def plan(connection: Connection, known: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the migrations a database still needs; an empty one needs all.

    Args:
        connection: To the database.
        known: The migrations of another program than this one.

    Raises:
        Conflict: A newer program made it so that this one cannot use it, or it is not Dastak's.
    """
    known = known or migrate.scripts()
    return list(known)[version(connection, known) :]


def upgrade(connection: Connection, known: Mapping[str, str] | None = None) -> Sequence[str]:
    """Apply what is missing and return its names.

    Args:
        connection: Of its own; it is closed.
        known: The migrations of another program than this one.

    Raises:
        Conflict: As `plan` raises; or older programs that would be shut out are connected; or others use the
            database so much that no moment was found.
    """
    known = known or migrate.scripts()
    with closing(connection):
        connection.execute("SET statement_timeout = 0")
        _wait_for_our_turn(connection)
        connection.execute("SET lock_timeout = 0")
        missing = plan(connection, known)
        for name in missing:
            _apply(connection, known, name)
        return missing


def version(connection: Connection, known: Mapping[str, str] | None = None) -> int:
    """Return how many migrations were applied. Raises: Conflict."""
    known = known or migrate.scripts()
    tables = connection.execute(_TABLES).fetchone()
    assert tables is not None
    if not tables[0]:
        if tables[1]:
            raise Conflict("This is a database of another program.")
        return 0
    found = connection.execute(
        "SELECT max(value) FILTER (WHERE name = 'schema'), max(value) FILTER (WHERE name = 'runs_from')"
        " FROM meta"
    ).fetchone()
    if found is None or found[0] is None:
        raise Conflict("This is a database of another program.")
    migrate.refuse_if_newer(found[0], found[1], len(known))
    return int(found[0])


def arrive(opens: Callable[[], Connection], known: Mapping[str, str] | None = None) -> Connection:
    """Open a connection that says, as long as it is there, how much its program knows.

    Args:
        opens: Opens it.
        known: The migrations of another program than this one.

    Raises:
        psycopg.OperationalError: It cannot be opened; or the schema is one that the program cannot use.
    """
    known = known or migrate.scripts()
    connection = opens()
    try:
        connection.execute("SELECT pg_advisory_lock_shared($1, $2)", _ARRIVING)
        connection.execute("SELECT pg_advisory_lock_shared($1, $2)", (_OURS, _KNOWS + len(known)))
        version(connection, known)
        connection.execute("SELECT pg_advisory_unlock_shared($1, $2)", _ARRIVING)
    except Conflict as error:
        connection.close()
        raise psycopg.OperationalError(error.detail) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _wait_for_our_turn(connection: Connection) -> None:
    for _ in range(_LOOKS_MAX):
        taken = connection.execute("SELECT pg_try_advisory_lock($1, $2)", _MIGRATING).fetchone()
        if taken == (True,):
            return
        time.sleep(_LOOK_EVERY_S)
    raise Conflict("Another node has been changing the schema for an hour; nothing was changed.")


def _apply(connection: Connection, known: Mapping[str, str], name: str) -> None:
    script = schema(known[name])
    if not migrate.shuts_out(known, name) and (index := _ONE_INDEX.fullmatch(script)):
        # What is left of a try that was interrupted helps nobody.
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index['name']}")
        connection.execute(f"CREATE {index['unique'] or ''}INDEX CONCURRENTLY {index['name']}{index['rest']}")
        script = ""
    if migrate.shuts_out(known, name):
        needed = migrate.runs_from(known, list(known).index(name) + 1)
        for _ in range(_GONE_LOOKS_MAX):
            if not _older(connection, needed):
                break
            time.sleep(_LOOK_EVERY_S)
    for _ in range(TRIES_MAX):
        try:
            with connection.transaction():
                _change(connection, known, name, script)
        except errors.LockNotAvailable:
            time.sleep(_LOOK_EVERY_S)
        else:
            return
    raise Conflict(f"The database is too busy for {name}; nothing of it was changed. Next: dastak migrate")


def _change(connection: Connection, known: Mapping[str, str], name: str, script: str) -> None:
    """Run one file; in a transaction."""
    number = list(known).index(name) + 1
    needed = migrate.runs_from(known, number)
    connection.execute(f"SET LOCAL lock_timeout = {WAIT_MS_MAX}")
    if migrate.shuts_out(known, name):
        _refuse_if_older(connection, name, needed)
    if script:
        connection.execute(script)
    if number == 1:
        connection.execute(_FIRST)
    own = resources.files("dastak.store.postgres").joinpath("own_migrations", name)
    if own.is_file():
        connection.execute(own.read_text(encoding="utf-8"))
    connection.execute(_NOTE, (number,))
    connection.execute(_NEED, (needed,))


def _refuse_if_older(connection: Connection, name: str, needed: int) -> None:
    """Keep programs from arriving, and find those that are there. Raises: Conflict."""
    connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _ARRIVING)
    if older := _older(connection, needed):
        raise Conflict(
            f"Nodes of an older version are up and cannot use what {name} leaves, on: "
            f"{', '.join(older)}. Nothing was changed. Next: upgrade or stop them, then dastak migrate"
        )


def _older(connection: Connection, needed: int) -> Sequence[str]:
    """Return where programs are that know less."""
    return [row[0] for row in connection.execute(_OLDER, (_OURS, _KNOWS, _KNOWS + needed)).fetchall()]
