"""Copy a SQLite database while it is in use."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dastak.core.errors import Conflict, NotFound
from dastak.store import sqlite_file


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy to a new private file; nobody who writes to `source` waits.

    The copy is whole when its name appears; until then it is called `.partial`.

    Raises:
        NotFound: There is no such database.
        Conflict: `target` exists.
        sqlite3.Error: `source` is no database, or the disk is full.
    """
    if not source.exists():
        raise NotFound(f"There is no database {source.name}.")
    if target.exists():
        raise Conflict(f"{target.name} exists; name a new file.")
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    sqlite_file.create(partial)
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as into:
            transfer(source, into)
    except BaseException:
        partial.unlink()
        raise
    partial.rename(target)
    _sync_folder(target.parent)


def transfer(source: Path, into: sqlite3.Connection) -> None:
    """Replace what a connection's file holds, in one transaction; no log stays beside it."""
    with closing(sqlite_file.connect(source, read_only=True)) as reading:
        # All pages in one step: one snapshot, however much is written meanwhile.
        reading.backup(into, pages=-1)
    into.execute("PRAGMA journal_mode = DELETE")


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
