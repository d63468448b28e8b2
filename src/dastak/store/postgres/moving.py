"""Move a SQLite database into an empty PostgreSQL database, whole or not at all.

1. Nobody else has either database open meanwhile.
2. It is one transaction: what is interrupted leaves nothing behind and may be begun again.
3. Before it is committed all rows are read back, and must be those of the source, every column of each.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import errors

from dastak.core.errors import Conflict, NotFound
from dastak.store import migrate, sqlite_file
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import Connection, connect
from dastak.store.postgres.server_refusals import told
from dastak.store.postgres.upkeep import connect_alone

# How often somebody who waits hears something.
TOLD_ROWS: Final = 100_000
_DIGEST_OCTETS: Final = 16
_DIGESTS: Final = 1 << 8 * _DIGEST_OCTETS

_TYPES: Final = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea"}
# SQLite leaves room at the end of a trace; PostgreSQL appends to it.
_READ_AS: Final = {("message", "trace"): "rtrim(trace, ' ')"}
# The schema of each is its own.
_ROWS_OF: Final = {"meta": "WHERE name <> 'schema'"}
# Tables that have rows from their migration on.
_BEGUN: Final = ("meta", "own_voice_revision")

Tell = Callable[[str, int], object]


class Table(NamedTuple):
    """A table of the source.

    Attributes:
        columns: Their names, with their types as PostgreSQL has them.
    """

    name: str
    columns: dict[str, str]

    def select(self, *, source: bool = False) -> str:
        """Return what reads all rows that are moved."""
        wanted = ", ".join(_READ_AS.get((self.name, c), c) if source else c for c in self.columns)
        return f"SELECT {wanted} FROM {self.name} {_ROWS_OF.get(self.name, '')}"  # noqa: S608 - our own names


class Moved(NamedTuple):
    """What became of a table.

    Attributes:
        rows: How many there are, in the source and in what was read back.
        digest: Of all columns of all rows, in any order, of both.
    """

    table: str
    rows: int
    digest: str


class Sum:
    """Adds rows up to a number that says, but for their order, which they were.

    Attributes:
        rows: How many.
    """

    def __init__(self) -> None:
        self.rows = self._sum = 0

    def of(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Hand rows on, and add them."""
        encode = msgspec.msgpack.encode
        for row in rows:
            octets = blake2b(encode(row), digest_size=_DIGEST_OCTETS).digest()
            self._sum = (self._sum + int.from_bytes(octets, "big")) % _DIGESTS
            self.rows += 1
            yield row

    @property
    def digest(self) -> str:
        """The sum in hexadecimal digits."""
        return f"{self._sum:0{2 * _DIGEST_OCTETS}x}"


def plan(source: Path) -> dict[str, int]:
    """Return how many rows each table of a database has; a service may use it.

    Raises:
        NotFound: There is no such database.
        Conflict: It is not of this version.
    """
    _check(source)
    with closing(sqlite_file.connect(source, read_only=True)) as reading:
        reading.execute("BEGIN")
        counted = {table.name: sum(1 for _ in reading.execute(table.select())) for table in tables(reading)}
        reading.execute("ROLLBACK")
        return counted


def move(source: Path, url: str, password: str | None = None, *, tell: Tell) -> Sequence[Moved]:
    """Copy every row, read all of them back, and commit if they are the same.

    Args:
        source: A SQLite database that no service uses; its rows stay as they are.
        url: An empty PostgreSQL database.
        password: Unless libpq finds it elsewhere.
        tell: Hears of each table how many rows were copied.

    Raises:
        NotFound: There is no such source.
        Conflict: One of them is in use or not of this version, the target is not empty, or keeps a row
            otherwise than it was.
        Overloaded: PostgreSQL cannot be asked.
    """
    _check(source)
    with (
        told(url),
        closing(sqlite_file.seize(source)) as reading,
        closing(connect_alone(url, password)) as writing,
    ):
        postgres_migrate.upgrade(connect(url, password=password))
        of_source = tables(reading)
        with writing.transaction():
            _take(writing, of_source)
            moved = [_move(reading, writing, table, tell) for table in of_source]
            _set_numbers(reading, writing)
        writing.execute("ANALYZE")
        return moved


def tables(reading: sqlite3.Connection) -> Sequence[Table]:
    """Return the tables of a SQLite database."""
    names = reading.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY 1"
    ).fetchall()
    columns = "SELECT name, type FROM pragma_table_info(?)"
    return [
        Table(name, {c: _TYPES[kind] for c, kind in reading.execute(columns, (name,))}) for (name,) in names
    ]


def _check(source: Path) -> None:
    if not source.exists():
        raise NotFound(f"There is no database {source}.")
    if missing := migrate.plan(source):
        raise Conflict(
            f"{source.name} still needs {', '.join(missing)}. "
            f"Next: DASTAK_DATABASE_URL=sqlite://{source.absolute()} dastak migrate"
        )


def _take(writing: Connection, wanted: Sequence[Table]) -> None:
    """Keep everybody else out of the target, which must be empty."""
    try:
        writing.execute(f"LOCK TABLE {', '.join(table.name for table in wanted)} IN ACCESS EXCLUSIVE MODE")
    except errors.LockNotAvailable as error:
        raise Conflict("Somebody else uses the database of the target; it must be ours alone.") from error
    full = [
        table.name
        for table in wanted
        if table.name not in _BEGUN and writing.execute(f"TABLE {table.name} LIMIT 1").fetchone()
    ]
    if full:
        raise Conflict(
            f"The target is not empty: rows in {', '.join(full)}. Next: createdb NAME, and name that one"
        )
    for name in _BEGUN:
        writing.execute(f"DELETE FROM {name} {_ROWS_OF.get(name, '')}")  # noqa: S608 - our own names


def _move(reading: sqlite3.Connection, writing: Connection, table: Table, tell: Tell) -> Moved:
    """Copy one table and read it back."""
    before, after, types = Sum(), Sum(), list(table.columns.values())
    names = ", ".join(table.columns)
    try:
        with writing.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in before.of(reading.execute(table.select(source=True))):
                copy.write_row(row)
                if before.rows % TOLD_ROWS == 0:
                    tell(table.name, before.rows)
    except (errors.DataError, sqlite3.OperationalError) as error:
        what = f"Row {before.rows} of {table.name} has a text that PostgreSQL does not keep"
        raise Conflict(f"{what}; nothing was moved.") from error
    with writing.cursor().copy(f"COPY ({table.select()}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for _ in after.of(copy.rows()):
            pass
    if (before.rows, before.digest) != (after.rows, after.digest):
        raise Conflict(
            f"{table.name}: {before.rows} rows were written and {after.rows} read back, and they are not the "
            "same; nothing was moved."
        )
    tell(table.name, after.rows)
    return Moved(table.name, after.rows, after.digest)


def _set_numbers(reading: sqlite3.Connection, writing: Connection) -> None:
    """Have new rows numbered after those that were moved, and those that were deleted where that counts."""
    given = dict(reading.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    numbered = writing.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND is_identity = 'YES'"
    ).fetchall()
    for table, column in numbered:
        largest = f"SELECT coalesce(max({column}), 0) FROM {table}"  # noqa: S608 - our own names
        found = writing.execute(largest).fetchone()
        assert found is not None
        if last := max(found[0], given.get(table, 0)):
            writing.execute("SELECT setval(pg_get_serial_sequence($1, $2), $3)", (table, column, last))
