"""Let concurrent callers share one transaction and one fsync.

1. Operations run on the loop thread, one after the other; only COMMIT runs in a helper thread. While it
   runs, the next batch collects.
2. A caller hears of success only after the COMMIT that holds its change.
3. An operation that fails takes nobody with it: if it wrote nothing the batch goes on, and if it did, the
   batch is rolled back and run again with a savepoint around each.
4. When the disk fails, every operation of the batch is refused and none of it is kept.
5. When an fsync fails, or a statement lacks memory, nobody can say what is on the disk: nothing
   is acknowledged any more until a new start.
"""

import asyncio
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from dastak import precedence
from dastak.core.errors import Overloaded
from dastak.store.ran import Ran, tell

T = TypeVar("T")

WAITING_MAX: Final = 20_000
# A batch holds the loop as long as its operations take: about 10 ms.
BATCH_MAX: Final = 512
# Who comes while others have waited this long is sent away at once; who waits is told after the second.
WAIT_S_MAX: Final = 1.0
STALL_S_MAX: Final = 2.5
# Another process (the command line, a backup) may hold the write lock for a moment.
LOCKED_RETRY_S: Final = 0.002
# Changed rows between two checkpoints; each dirties one to four pages of the write-ahead log.
CHECKPOINT_CHANGES: Final = 10_000
CHECKPOINT_IDLE_S: Final = 1.0
DISK_RETRY_AFTER_S: Final = 5

_LOCKED: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DISK: Final = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
_FSYNC: Final = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}

log = logging.getLogger("dastak.store")


class _Operation(msgspec.Struct, frozen=True):
    work: Callable[[], Any]
    future: asyncio.Future[Any]


class _MustUndo(Exception):  # noqa: N818 - a signal inside this module
    """An operation wrote something and then failed."""


class GroupCommit:
    """The one writer of a connection.

    Args:
        connection: In autocommit mode; nobody else uses it.
        forget: Called when changes were rolled back or another process wrote, to drop what was remembered.

    Attributes:
        commits: How many were made.
        operations: How many they held together.
    """

    def __init__(self, connection: sqlite3.Connection, *, forget: Callable[[], None]) -> None:
        self._connection = connection
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._helper = ThreadPoolExecutor(
            1, "dastak-commit", initializer=precedence.follow, initargs=(os.getpid(),)
        )
        self._waiting: deque[_Operation] = deque()
        self._waiting_since = 0.0
        self._batch: Sequence[_Operation] = ()
        self._stalled = self._failing = self._broken = self._closing = False
        self._checkpointed = connection.total_changes
        self.commits = self.operations = 0
        # Changes whenever somebody else has committed.
        self._version = 0
        self._wake = asyncio.Event()
        self._writer = self._loop.create_task(self._write_all())

    @property
    def healthy(self) -> bool:
        """Whether the last batch was written."""
        return not (self._failing or self._stalled or self._broken or self._closing)

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run work inside the next transaction; the future is done when that is durable.

        Its error is what the work raises, or:
            Overloaded: Too much waits, or the disk does not answer. Nothing was done.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        waiting = self._waiting
        if self._stalled or self._broken or self._closing:
            _overload((_Operation(work, future),), "The database cannot write now.")
        elif not waiting:
            self._waiting_since = self._loop.time()
            self._wake.set()
            waiting.append(_Operation(work, future))
        elif len(waiting) >= WAITING_MAX or self._loop.time() - self._waiting_since > WAIT_S_MAX:
            future.set_exception(Overloaded("The database is behind."))
        else:
            waiting.append(_Operation(work, future))
        return future

    async def close(self) -> None:
        """Finish what waits, then stop. Stopping twice is fine."""
        self._closing = True
        self._wake.set()
        await self._writer
        self._helper.shutdown()

    async def _write_all(self) -> None:
        try:
            await self._write()
        except MemoryError:  # Python's word for SQLITE_NOMEM
            log.exception("the database lacks memory")
            self._broken = True
            _overload((*self._batch, *self._waiting), "The database cannot write now.", may_be_done=True)

    async def _write(self) -> None:
        while self._waiting or not self._closing:
            if self._waiting:
                stall = self._loop.call_later(STALL_S_MAX, self._give_up)
                await self._one_batch()
                stall.cancel()
                self._stalled = False
            else:
                await self._rest()
            if self._connection.total_changes - self._checkpointed > CHECKPOINT_CHANGES:
                await self._checkpoint()

    async def _rest(self) -> None:
        """Wait for work; when none comes for a while, tidy up."""
        self._wake.clear()
        if self._connection.total_changes == self._checkpointed:
            await self._wake.wait()
            return
        idle = self._loop.call_later(CHECKPOINT_IDLE_S, self._wake.set)
        await self._wake.wait()
        idle.cancel()
        if not self._waiting:
            await self._checkpoint()

    async def _one_batch(self) -> None:
        """Run what waits in one transaction and tell everybody what came of it."""
        ran: Sequence[Ran] = ()
        try:
            await self._begin()
            self._batch = self._take()
            ran = self._perform(self._batch)
            await self._in_helper("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            self._refuse(self._batch or self._take(), error)
        else:
            self._failing = False
            self.commits += 1
            self.operations += len(ran)
            tell(ran)
        self._batch = ()

    def _take(self) -> Sequence[_Operation]:
        self._waiting_since = self._loop.time()
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]

    async def _begin(self) -> None:
        """Take the write lock, without holding the loop while another process has it."""
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _primary(error) not in _LOCKED:
                    raise
            else:
                break
            await asyncio.sleep(LOCKED_RETRY_S)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._forget()

    def _perform(self, batch: Sequence[_Operation]) -> Sequence[Ran]:
        try:
            return [self._together(operation) for operation in batch if not operation.future.done()]
        except _MustUndo:
            self._undo()
            self._connection.execute("BEGIN IMMEDIATE")
            return [self._apart(operation) for operation in batch if not operation.future.done()]

    def _together(self, operation: _Operation) -> Ran:
        changes = self._connection.total_changes
        try:
            return Ran(operation.future, operation.work(), None)
        except Exception as error:  # a rule may raise anything, and only its own caller hears of it
            _raise_if_disk(error)
            if self._connection.total_changes != changes:
                raise _MustUndo from error
            return Ran(operation.future, None, error)

    def _apart(self, operation: _Operation) -> Ran:
        self._connection.execute("SAVEPOINT operation")
        try:
            ran = Ran(operation.future, operation.work(), None)
        except Exception as error:  # as above
            _raise_if_disk(error)
            self._connection.execute("ROLLBACK TO operation")
            self._forget()
            ran = Ran(operation.future, None, error)
        self._connection.execute("RELEASE operation")
        return ran

    def _undo(self) -> None:
        # On some errors SQLite has rolled back already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._forget()

    def _refuse(self, operations: Iterable[_Operation], error: sqlite3.Error) -> None:
        """Tell everybody that nothing was kept, and remember a disk that lost an fsync."""
        self._broken = self._broken or error.sqlite_errorcode in _FSYNC
        if not self._failing:
            log.error("the database cannot write: %s (%s)", error, error.sqlite_errorname)
        self._failing = True
        _overload(operations, "The database cannot write now.")

    def _give_up(self) -> None:
        """Tell everybody that the disk does not answer; what is being committed may still be kept."""
        log.error("the database did not answer in %s s", STALL_S_MAX)
        self._stalled = True
        _overload(
            self._batch, "The database does not answer; the change may have been kept.", may_be_done=True
        )
        _overload(self._waiting, "The database does not answer.")
        self._waiting.clear()

    async def _checkpoint(self) -> None:
        """Move the log into the file while nobody writes, so that the log starts anew."""
        self._checkpointed = self._connection.total_changes
        try:
            await self._in_helper("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            # The log has everything; only an fsync that failed must stop us.
            self._broken = self._broken or error.sqlite_errorcode in _FSYNC
            log.error("no checkpoint: %s (%s)", error, error.sqlite_errorname)

    async def _in_helper(self, sql: str) -> None:
        """Run a statement that waits for the disk, while the loop leaves the connection alone."""
        await self._loop.run_in_executor(self._helper, lambda: self._connection.execute(sql).fetchall())


def _overload(operations: Iterable[_Operation], detail: str, *, may_be_done: bool = False) -> None:
    for operation in operations:
        if not operation.future.done():
            error = Overloaded(detail, retry_after_s=DISK_RETRY_AFTER_S, may_be_done=may_be_done)
            operation.future.set_exception(error)


def _raise_if_disk(error: Exception) -> None:
    if isinstance(error, sqlite3.Error) and _primary(error) in _DISK:
        raise error


def _primary(error: sqlite3.Error) -> int:
    """Return the primary result code, without its extension."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
