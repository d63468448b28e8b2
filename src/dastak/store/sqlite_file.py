"""Open the file of a SQLite database as Dastak needs it: durable, private, and never waiting."""

import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from dastak.core.errors import Conflict, Overloaded

# "DSTK", so that `file` knows the database and a restore refuses a stranger's.
APPLICATION_ID: Final = 0x4453544B

# After the name of the database: the file whose lock says that it is served.
SERVED_MARK: Final = "-served"
# A process that opens, recovers or migrates the file holds it for a moment.
LOCK_WAIT_S: Final = 5.0
# The hot indexes of some 200,000 pending verifications.
_CACHE_KIB: Final = 64 * 1024
# The helper thread checkpoints long before; this only bounds the log if it cannot.
_WAL_PAGES_MAX: Final = 25_000
_WAL_OCTETS_KEPT: Final = 64 * 1024 * 1024

log = logging.getLogger("dastak.store")


def create(path: Path) -> None:
    """Make an empty file that only its owner can read, and its directory, unless they are there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def connect(path: Path, *, read_only: bool = False, wait_s: float = LOCK_WAIT_S) -> sqlite3.Connection:
    """Open a connection that commits only when told; threads may take turns with it.

    Args:
        path: The file; it exists.
        read_only: Whether it can only read.
        wait_s: How long a statement waits for a lock of another process, once the connection is open.

    Raises:
        sqlite3.Error: It is no database, or cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=LOCK_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        if not read_only:
            # Only an empty file takes these two.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES_MAX}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_OCTETS_KEPT}")
        # Erased code material is overwritten in the page, at no extra write.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}")
    except BaseException:
        connection.close()
        raise
    return connection


def seize(path: Path) -> sqlite3.Connection:
    """Open a database so that nobody else can. Raises: Conflict (somebody has it open)."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        # A log cannot be taken away from under another connection: this fails when there is one.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        connection.close()
        raise Conflict(f"{path.name} is in use; stop the service first.") from error
    return connection


@contextmanager
def served_alone(path: Path) -> Iterator[None]:
    """Be the one process that serves a database: each knows limits, binds and messages by heart.

    The lock ends with the process, however that ends, and no child of it has it. Commands do without.

    Raises:
        Conflict: Another process serves it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - not on every platform

    lock = _opened_mark(path.resolve())
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise Conflict(
                f"{path} is served by another process, and one serves a file. Next: stop that one, "
                "use another directory, or move to PostgreSQL (dastak migrate)."
            ) from error
        yield
    finally:
        os.close(lock)


def _opened_mark(path: Path) -> int:
    """Open what is locked: not the database, for whoever closes that once more loses the locks of SQLite."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = path.with_name(f"{path.name}{SERVED_MARK}")
    try:
        lock = os.open(mark, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Conflict(f"{mark} cannot be opened: {error.strerror}. Next: chown it to who serves.") from error
    if os.geteuid() == 0:
        # Who tries it as root once leaves nothing behind that keeps its owner out.
        owner = path if path.exists() else path.parent
        os.fchown(lock, owner.stat().st_uid, owner.stat().st_gid)
    return lock


class _Reading:
    """Tell of a database that cannot be read as of one that cannot be written: the caller may try again.

    A class, for every text and every check passes here, and a generator takes longer than what it guards.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            log.error("the database cannot be read: %s", error)
            raise Overloaded("The database cannot be read now.") from error


READING: Final = _Reading()
