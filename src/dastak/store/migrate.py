"""Bring a SQLite database to the schema this program knows: numbered files, each in one transaction.

1. A schema only grows, and the way back is the copy that is made before.
2. A migration that leaves alone what older programs read and write says so, and they go on beside it:
   `-- Programs that know 0011_counts_by_route run on this.` One that says nothing shuts out all that do not
   know it.
3. A database says how new a program must be to run on it; an older one is refused.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Final

from dastak.core.errors import Conflict
from dastak.store import backup, sqlite_file

# How many migrations a program must know, in `meta`.
_NEEDED: Final = "SELECT value FROM meta WHERE name = 'runs_from'"
_NEED: Final = (
    "INSERT INTO meta (name, value) VALUES ('runs_from', ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_RUNS_ON: Final = re.compile(r"^-- Programs that know (\w+) run on this\.$", re.MULTILINE)


def scripts() -> Mapping[str, str]:
    """Return all migrations by name, in order; a schema's version is how many were applied."""
    folder = resources.files("dastak.store").joinpath("migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def runs_from(known: Mapping[str, str], version: int) -> int:
    """Return how many migrations a program must know to run on a schema.

    Args:
        known: All migrations.
        version: How many of them were applied.

    Raises:
        ValueError: One names a migration that does not come before it.
    """
    names, needed = list(known), 0
    for number, name in enumerate(names[:version], start=1):
        said = _RUNS_ON.search(known[name])
        needed = max(needed, number if said is None else names.index(f"{said[1]}.sql", 0, number - 1) + 1)
    return needed


def shuts_out(known: Mapping[str, str], name: str) -> bool:
    """Say whether programs that ran on the schema before a migration do not run on the one after it."""
    number = list(known).index(name) + 1
    return runs_from(known, number) > runs_from(known, number - 1)


def refuse_if_newer(version: int, needed: int | None, known: int) -> None:
    """Let a program run on a newer schema that says it can.

    Args:
        version: How many migrations were applied.
        needed: How many a program must know to run on that; None: all of them.
        known: How many this program knows.

    Raises:
        Conflict: It must know more.
    """
    needed = version if needed is None else needed
    if needed > known:
        raise Conflict(
            f"The database has schema {version}, for programs that know {needed} of its migrations, and this "
            f"one knows {known}: run the newer program, or restore the copy that was made before its upgrade."
        )


def plan(path: Path, known: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the migrations a database still needs; an empty or missing one needs all.

    Args:
        path: The database.
        known: The migrations of another program than this one.

    Raises:
        Conflict: A newer program made it so that this one cannot use it, or it is not Dastak's.
    """
    known = known or scripts()
    if not path.exists() or path.stat().st_size == 0:
        return list(known)
    with closing(sqlite_file.connect(path, read_only=True)) as connection:
        return list(known)[_version(connection, known) :]


def upgrade(path: Path, known: Mapping[str, str] | None = None, *, copy_first: bool = True) -> Sequence[str]:
    """Apply what is missing and return its names.

    Args:
        path: The database; made when it is missing.
        known: The migrations of another program than this one.
        copy_first: Whether a database with data is copied beside itself before.

    Raises:
        Conflict: A newer program made it so that this one cannot use it, or it is not Dastak's; or its copy
            is there already; or somebody uses it who could not go on.
    """
    known = known or scripts()
    missing = plan(path, known)
    if not missing:
        return missing
    sqlite_file.create(path)
    if len(missing) < len(known) and any(shuts_out(known, name) for name in missing):
        sqlite_file.seize(path).close()
    with closing(sqlite_file.connect(path)) as connection:
        if copy_first and _version(connection, known) > 0:
            backup.copy(path, path.with_name(f"{path.name}.before-{missing[0][:4]}"))
        for name in missing:
            _apply(connection, known, name)
    return missing


def statements_of(script: str) -> Iterator[str]:
    """Split a script at the semicolons that end a statement."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _apply(connection: sqlite3.Connection, known: Mapping[str, str], name: str) -> None:
    """Run one file, unless another process was faster."""
    number = list(known).index(name) + 1
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection, known) < number:
            for statement in statements_of(known[name]):
                connection.execute(statement)
            connection.execute(_NEED, (runs_from(known, number),))
            connection.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, known: Mapping[str, str]) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != sqlite_file.APPLICATION_ID:
        raise Conflict("This file is a database of another program.")
    if version > len(known):
        needed = connection.execute(_NEEDED).fetchone()
        refuse_if_newer(version, None if needed is None else needed[0], len(known))
    return int(version)
