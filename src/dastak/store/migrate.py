"""Bring a SQLite database to the schema this program knows: numbered files, each in one transaction.

A schema only grows, and the way back is the copy that is made before. A newer schema than this program's is
refused.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path

from dastak.core.errors import Conflict
from dastak.store import backup, sqlite_file


def scripts() -> Mapping[str, str]:
    """Return all migrations by name, in order; a schema's version is how many were applied."""
    folder = resources.files("dastak.store").joinpath("migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def plan(path: Path) -> Sequence[str]:
    """Return the migrations a database still needs; an empty or missing one needs all.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's.
    """
    names = list(scripts())
    if not path.exists() or path.stat().st_size == 0:
        return names
    with closing(sqlite_file.connect(path, read_only=True)) as connection:
        return names[_version(connection) :]


def upgrade(path: Path, *, copy_first: bool = True) -> Sequence[str]:
    """Apply what is missing and return its names.

    Args:
        path: The database; made when it is missing.
        copy_first: Whether a database with data is copied beside itself before.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's; or its copy is there already.
    """
    missing = plan(path)
    if not missing:
        return missing
    sqlite_file.create(path)
    with closing(sqlite_file.connect(path)) as connection:
        if copy_first and _version(connection) > 0:
            backup.copy(path, path.with_name(f"{path.name}.before-{missing[0][:4]}"))
        for name in missing:
            _apply(connection, name)
    return missing


def _apply(connection: sqlite3.Connection, name: str) -> None:
    """Run one file, unless another process was faster."""
    known = scripts()
    number = list(known).index(name) + 1
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) < number:
            for statement in _statements(known[name]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != sqlite_file.APPLICATION_ID:
        raise Conflict("This file is a database of another program.")
    if version > len(scripts()):
        raise Conflict(
            f"The database has schema {version} and this program knows {len(scripts())}: "
            "run the newer program, or restore the copy that was made before its upgrade."
        )
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """Split a script at the semicolons that end a statement."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
