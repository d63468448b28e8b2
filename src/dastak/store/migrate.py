"""Bring a SQLite database to the schema this program knows: numbered files, each in one transaction.

A schema only grows, and the way back is the copy that is made before. A newer schema than this program's is
refused.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from dastak.core.errors import Conflict
from dastak.store import backup, sqlite_file

_FOLDER: Final = "migrations"


def known() -> Sequence[str]:
    """Return the names of all migrations, in order; the schema's version is how many were applied."""
    folder = resources.files("dastak.store").joinpath(_FOLDER)
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))


def plan(path: Path) -> Sequence[str]:
    """Return the migrations a database still needs; an empty or missing one needs all.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's.
    """
    if not path.exists() or path.stat().st_size == 0:
        return known()
    connection = sqlite_file.connect(path, read_only=True)
    try:
        return known()[_version(connection) :]
    finally:
        connection.close()


def upgrade(path: Path) -> Sequence[str]:
    """Apply what is missing and return its names. A database with data is copied beside itself first.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's.
    """
    missing = plan(path)
    if not missing:
        return ()
    sqlite_file.create(path)
    connection = sqlite_file.connect(path)
    try:
        version = _version(connection)
        if version:
            backup.copy(path, path.with_name(f"{path.name}.before-{missing[0][:4]}"))
        for name in missing:
            _apply(connection, name)
    finally:
        connection.close()
    return missing


def _apply(connection: sqlite3.Connection, name: str) -> None:
    """Run one file, unless another process was faster."""
    number = known().index(name) + 1
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) < number:
            for statement in _statements(
                resources.files("dastak.store").joinpath(_FOLDER, name).read_text("utf-8")
            ):
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
    if version > len(known()):
        raise Conflict(
            f"The database has schema {version} and this program knows {len(known())}: "
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
