"""Put a copy of the database back, without bringing any old code to life.

A code that was used after the copy was made is unused in it. So whatever is pending in a copy is void: its
person asks for a new code.
"""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from dastak.core.errors import Conflict, NotFound
from dastak.core.events import VerificationCanceled
from dastak.core.verification import State
from dastak.store import backup, migrate, rows, sqlite_file
from dastak.store.desk import Execute
from dastak.store.sqlite_desk import executing
from dastak.store.statements import load


def restore(source: Path, target: Path, *, now: datetime, replace: bool = False) -> int:
    """Make `target` what `source` is, with everything pending canceled and the epoch raised.

    Args:
        source: A copy made by `backup.copy`; it stays as it is.
        target: The database of a service that is stopped.
        now: The time that the cancelations bear.
        replace: Whether `target` may exist.

    Returns:
        How many pending verifications were canceled.

    Raises:
        NotFound: There is no such copy.
        Conflict: The copy is damaged, a stranger's or newer than this program; `target` exists or is in use.
    """
    if not source.exists():
        raise NotFound(f"There is no copy {source.name}.")
    if target.exists() and not replace:
        raise Conflict(f"{target.name} exists; say that it may be replaced.")
    _check(source)
    fresh = target.with_name(f"{target.name}.restoring")
    fresh.unlink(missing_ok=True)
    backup.copy(source, fresh)
    try:
        migrate.upgrade(fresh, copy_first=False)
        voided = _void(fresh, now)
        sqlite_file.create(target)
        with closing(sqlite_file.seize(target)) as into:
            backup.transfer(fresh, into)
    finally:
        fresh.unlink()
    return voided


def _check(path: Path) -> None:
    try:
        with closing(sqlite_file.connect(path, read_only=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = error
    if found != "ok":
        raise Conflict(f"The copy is damaged: {found}.")


def void(execute: Execute, now: datetime) -> int:
    """Cancel everything pending; messages still queued are dropped when their turn comes."""
    told = rows.lines((VerificationCanceled(rows.to_ms(now), "restored"),))
    voided = execute("void_verifications", (rows.STATES[State.CANCELED], told)).rowcount
    execute("raise_epoch")
    return voided


def _void(path: Path, now: datetime) -> int:
    with closing(sqlite_file.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        voided = void(executing(connection, load()), now)
        connection.execute("COMMIT")
        # Back to one file, so that nothing of it stays beside `target`.
        connection.execute("PRAGMA journal_mode = DELETE")
    return voided
