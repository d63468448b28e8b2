"""Whether a database in a file can be used, is fast and has a copy; whether any is worked off."""

import os
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from dastak import config_secrets
from dastak.commands.checks.diagnosis import Check, Fault, Scene, database_read, in_a_file
from dastak.commands.database import last_backup
from dastak.config import ConfigError
from dastak.core.errors import Conflict
from dastak.core.node import LEASE_S
from dastak.store import migrate, sqlite_file

COMMITS: Final = 9
# Every start waits for one commit. A tenth of a second is what a person feels.
COMMIT_MS_MAX: Final = 100.0
# A message is offered again when its lease is over; after two leases nobody is working.
STUCK_AFTER: Final = timedelta(seconds=2 * LEASE_S)
BACKUP_AGE_MAX: Final = timedelta(days=1)


def reachable(scene: Scene) -> Fault | None:
    """Find a database that is missing, damaged or closed to us."""
    path = scene.database
    if not path.exists():
        mend = partial(migrate.upgrade, path)
        return Fault(f"there is no database {path}", "dastak migrate", mend=mend)
    try:
        with closing(sqlite_file.connect(path, read_only=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.Error as error:
        return Fault(f"{path} cannot be opened: {error}", "dastak restore --replace BACKUP")
    if not os.access(path, os.W_OK):
        return Fault(f"{path} may not be written by this user", f"chown $USER {path}")
    return None


def opens(scene: Scene) -> bool:
    """Apply where the database is there and a database."""
    return scene.in_a_file and reachable(scene) is None


def schema(scene: Scene) -> Fault | None:
    """Find a schema that is older or newer than this program."""
    try:
        missing = migrate.plan(scene.database)
    except Conflict as error:
        return Fault(error.detail, "dastak version")
    if not missing:
        return None
    what = f"the database still needs {', '.join(missing)}"
    return Fault(what, "dastak migrate", mend=partial(migrate.upgrade, scene.database))


def journal(scene: Scene) -> Fault | None:
    """Find a database without a write-ahead log."""
    with closing(sqlite_file.connect(scene.database, read_only=True)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        return None
    what = f"the journal mode is {mode}, not wal"
    command = f"sqlite3 {scene.database} 'PRAGMA journal_mode = WAL'"
    return Fault(what, command, mend=partial(_use_wal, scene.database))


def commit(scene: Scene) -> Fault | None:
    """Find a disk on which a durable write takes long."""
    took_ms = commit_ms(scene.database.parent)
    if took_ms <= COMMIT_MS_MAX:
        return None
    what = f"a durable write in {scene.database.parent} takes {took_ms:.0f} ms (median of {COMMITS})"
    return Fault(what, "move store.url to a local disk that is not shared", warning=True)


def queue(scene: Scene) -> Fault | None:
    """Find messages that nobody sends."""
    if scene.due_at is None or scene.due_at > scene.now - STUCK_AFTER:
        return None
    what = f"messages are due for more than {STUCK_AFTER.seconds} s and nobody sends them"
    return Fault(what, "dastak serve")


def keys(scene: Scene) -> Fault | None:
    """Find a key file that is not the one this database was used with, or lacks a key of it."""
    try:
        ring = config_secrets.read_keys(scene.settings)
    except ConfigError:
        return None  # `config.secrets` says why
    try:
        config_secrets.refuse_other_keys(scene.settings, ring, scene.key_marks)
    except ConfigError as error:
        what, _, command = error.detail.partition(" Next: ")
        return Fault(what.removesuffix("."), command)
    lacking = config_secrets.lacking_keys(scene.settings, ring, scene.key_marks)
    return Fault(lacking, config_secrets.NEXT_OTHER_KEYS) if lacking else None


def has_keys(scene: Scene) -> bool:
    """Apply where keys can be held against those that the database knows."""
    return bool(scene.key_marks)


def backup(scene: Scene) -> Fault | None:
    """Find a database without a young copy."""
    command = f"dastak backup {scene.database}.{scene.now:%Y%m%d}"
    last = last_backup(scene.database)
    if last is None:
        return Fault("the database was never copied by `dastak backup`", command, warning=True)
    at, file = last
    if not file.exists():
        return Fault(f"the last copy, {file}, is not there any more", command, warning=True)
    age = scene.now - at
    if age > BACKUP_AGE_MAX:
        return Fault(f"the last copy is {age.days} days old", command, warning=True)
    return None


def commit_ms(folder: Path) -> float:
    """Measure how long a small durable write takes in a folder, in milliseconds."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(COMMITS):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _use_wal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


CHECKS: Final = (
    Check(
        "store.reachable",
        "the database is there and can be opened",
        "nothing works without it",
        reachable,
        applies=in_a_file,
    ),
    Check(
        "store.schema",
        "the schema is the one of this program",
        "an older schema is brought forward at the next start; a newer one is refused",
        schema,
        applies=opens,
    ),
    Check(
        "store.journal",
        "the database writes ahead",
        "without a write-ahead log every reader stops the writer, and starts become slow",
        journal,
        applies=opens,
    ),
    Check(
        "store.commit",
        "a durable write is fast",
        "every start waits for one; a slow disk makes a slow API and, under load, 503",
        commit,
        applies=opens,
    ),
    Check(
        "store.queue",
        "no message waits for nobody",
        "people wait for codes that are not sent",
        queue,
        applies=database_read,
    ),
    Check(
        "store.keys",
        "the key file is the one that this database is used with",
        "a code that was made with another key is wrong here; the service refuses to start",
        keys,
        applies=has_keys,
    ),
    Check(
        "store.backup",
        "there is a copy from the last day",
        "without a copy a lost disk takes all tenants, keys and verifications with it",
        backup,
        applies=opens,
    ),
)
