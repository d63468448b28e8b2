"""The desk of a PostgreSQL database: what is seldom written is written by one node at a time."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from psycopg import errors

from dastak.core.errors import Conflict, Overloaded
from dastak.core.ports import Once, Replayed
from dastak.store import rows
from dastak.store.desk import Execute, Taken
from dastak.store.postgres.dialect import parameters, statements
from dastak.store.postgres.operations import replayed
from dastak.store.postgres.postgres_lane import STATEMENT_MS_MAX, Connection, Lane, Lanes

T = TypeVar("T")

# One lock for all that is no verification: what an operation read is still so when it writes.
_SELDOM: Final = (0x4453, 1)
# Held together by all nodes that are up, as long as they are: who holds it alone is alone.
_NODES: Final = (0x4453, 3)
READERS: Final = 2
# What operators list may take long: it holds no connection that sign-ins read with.
LISTERS: Final = 1
# What a list has at least, however long it waited for its connection.
LIST_MS_MIN: Final = 100
CLOCK_LOOKS: Final = 3
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def steady_s() -> float:
    """Return seconds since this machine was started, its sleep included: no clock that is set changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class ServerTime(NamedTuple):
    """What a server's clock said; all in seconds.

    Attributes:
        took_s: How long it took to ask, and so how wrong it may be.
        server_s: Since 1970, by the server, when it was asked.
        steady_s: `steady_s` then.
        wall_s: Since 1970, by this machine, then.
    """

    took_s: float
    server_s: float
    steady_s: float
    wall_s: float


class PostgresDesk:
    """The port `Desk`.

    Args:
        opens: Opens a connection.
        stays: Told the connection that is there as long as this node is up; again when it was opened again.
    """

    def __init__(self, opens: Callable[[], Connection], *, stays: Callable[[Connection], None]) -> None:
        self._sql = statements()
        self._writer = Lane(partial(_present, opens, stays))
        self._readers, self._listers = Lanes(opens, READERS), Lanes(opens, LISTERS)

    @property
    def healthy(self) -> bool:
        """Whether the last write and the last short read of one lane were done."""
        return self._writer.healthy and self._readers.healthy

    @property
    def connects(self) -> int:
        """How many connections were opened."""
        return self._writer.connects + self._readers.connects + self._listers.connects

    @property
    def doubts(self) -> int:
        """How many pieces of work nobody knows the outcome of."""
        return self._writer.doubts + self._readers.doubts + self._listers.doubts

    async def write(self, work: Callable[[Execute], T], *, once: Once | None = None) -> T:
        """See `Desk.write`."""

        def write(connection: Connection) -> T:
            execute = executing(connection, self._sql)
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _SELDOM)
            if once is not None and execute("kept_answer", (once.key,)).fetchone() is not None:
                raise Conflict("The same request was answered a moment ago; send it again for that answer.")
            result = work(execute)
            if once is not None:
                row = (once.key, once.fingerprint, once.render(result), rows.to_ms(once.asked_at))
                execute("keep_answer", row)
            connection.execute("COMMIT")
            return result

        return await self._writer.run(write)

    async def read(self, work: Callable[[Execute], T]) -> T:
        """See `Desk.read`."""

        def read(connection: Connection) -> T:
            connection.execute(_SNAPSHOT)
            return work(executing(connection, self._sql))

        return await self._readers.run(read)

    async def one(self, statement: str, values: Sequence[Any]) -> Sequence[rows.Row]:
        """Return the rows of one statement, which needs no transaction around it."""
        sql, values = self._sql[statement], parameters(values)
        return await self._readers.run(lambda connection: connection.execute(sql, values).fetchall())

    async def list(self, work: Callable[[Execute], T]) -> T:
        """See `Desk.list`."""
        asked_s = steady_s()

        def read(connection: Connection) -> T:
            # The wait for another list counts: the server ends this one before its connection would be cut.
            left_ms = max(LIST_MS_MIN, STATEMENT_MS_MAX - round((steady_s() - asked_s) * 1000))
            connection.execute(_SNAPSHOT)
            connection.execute("SELECT set_config('statement_timeout', $1, true)", (str(left_ms),))
            return work(executing(connection, self._sql))

        try:
            return await self._listers.run(read)
        except Overloaded as error:
            if isinstance(error.__cause__, errors.QueryCanceled):
                detail = "The list takes too long; ask for a shorter time or for one number."
                raise Overloaded(detail) from error
            raise

    async def is_alone(self) -> bool:
        """Say whether no other node is up."""
        sql = self._sql["nodes_up"]
        up = await self._writer.run(lambda connection: connection.execute(sql, _NODES).fetchone())
        return up == (1,)

    async def server_time(self) -> ServerTime:
        """Return the time by the server's clock; of some answers the quickest, which errs least."""
        return await self._readers.run(lambda connection: min(self._times(connection)))

    def _times(self, connection: Connection) -> Iterator[ServerTime]:
        for _ in range(CLOCK_LOOKS):
            began_s, wall_s = steady_s(), time.time()
            found = connection.execute(self._sql["server_clock"]).fetchone()
            assert found is not None
            took_s = steady_s() - began_s
            yield ServerTime(took_s, float(found[0]) - took_s / 2, began_s, wall_s)

    async def nodes_up(self) -> int:
        """Return how many nodes are up, with this one."""
        return int((await self.one("nodes_up", _NODES))[0][0])

    async def kept(self, once: Once) -> Replayed | None:
        """See `Store.kept`."""
        found = await self.one("kept_answer", (once.key,))
        return replayed(once, *found[0]) if found else None

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(self._writer.close(), self._readers.close(), self._listers.close())


def _present(opens: Callable[[], Connection], stays: Callable[[Connection], None]) -> Connection:
    """Open a connection that says, as long as it is there, that this node is up."""
    connection = opens()
    try:
        connection.execute("SELECT pg_advisory_lock_shared($1, $2)", _NODES)
        stays(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def executing(connection: Connection, sql: Mapping[str, str]) -> Execute:
    """Return what runs named statements on a connection."""

    def execute(statement: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        try:
            return connection.execute(sql[statement], parameters(values))
        except errors.UniqueViolation as error:
            raise Taken(statement) from error

    return execute
