"""The desk of one SQLite file: a connection that writes, one for short reads, one for lists in a thread."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from dastak.core.errors import Overloaded
from dastak.core.ports import Once
from dastak.store import migrate, sqlite_file
from dastak.store.desk import Execute, Taken
from dastak.store.group_commit import GroupCommit
from dastak.store.sqlite_file import READING
from dastak.store.sqlite_writes import Writes
from dastak.store.statements import load

T = TypeVar("T")

# A list that takes longer asks for too much; it is stopped.
LIST_S_MAX: Final = 2.0

# Some milliseconds of SQLite's virtual machine.
_STEPS_BETWEEN_LOOKS: Final = 100_000
_UNIQUE: Final = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


class SqliteDesk:
    """The port `Desk`, as an async context.

    Short reads run at once, on the loop thread: they see all that was acknowledged.

    Attributes:
        sql: The statements by name.
        reader: For short reads.
        group: Has the connection that writes.
        writes: What the hot path writes, inside a transaction of the group.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    async def __aenter__(self) -> Self:
        migrate.upgrade(self._path)
        self.sql = load()
        # The group commit waits for locks itself, without holding the loop.
        self._writer = sqlite_file.connect(self._path, wait_s=0)
        self.reader = sqlite_file.connect(self._path, read_only=True)
        self._lister = sqlite_file.connect(self._path, read_only=True)
        self._list_thread = ThreadPoolExecutor(1, "dastak-list")
        self._written = executing(self._writer, self.sql)
        self._read = executing(self.reader, self.sql)
        self._listed = executing(self._lister, self.sql)
        self.writes = Writes(self._writer, self.sql, self._written)
        self.group = GroupCommit(self._writer, forget=self.writes.forget)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.group.close()
        self._list_thread.shutdown()
        for connection in (self._lister, self.reader, self._writer):
            connection.close()

    def write(self, work: Callable[[Execute], T], *, once: Once | None = None) -> Awaitable[T]:
        """See `Desk.write`."""
        write = partial(work, self._written)
        return self.group.run(write if once is None else partial(self.writes.once, once, write))

    async def read(self, work: Callable[[Execute], T]) -> T:
        """See `Desk.read`."""
        with READING, snapshot(self.reader):
            return work(self._read)

    async def list(self, work: Callable[[Execute], T]) -> T:
        """See `Desk.list`."""

        def bounded() -> T:
            with self._in_time():
                return work(self._listed)

        return await asyncio.get_running_loop().run_in_executor(self._list_thread, bounded)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Bound what is read in the list thread; in the list thread."""
        late_at = time.monotonic() + LIST_S_MAX
        self._lister.set_progress_handler(lambda: time.monotonic() > late_at, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Overloaded("The list takes too long; ask for a shorter time or for one number.") from error


def executing(connection: sqlite3.Connection, sql: Mapping[str, str]) -> Execute:
    """Return what runs named statements on a connection."""

    def execute(statement: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:
        try:
            return connection.execute(sql[statement], parameters)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _UNIQUE:
                raise Taken(statement) from error
            raise

    return execute


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Have all statements of a connection that only reads see one state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
