"""One connection to PostgreSQL and the thread that waits for it, so that the loop never does.

1. A connection that was lost is opened again by the next work.
2. What does not answer in time is cut: its caller is told, and no later work waits behind it.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dastak.core.errors import InvalidRequest, Overloaded

T = TypeVar("T")
Connection = psycopg.Connection[Any]

CONNECT_S_MAX: Final = 2
# What waits for a lock or runs longer is stopped by the server; a server that does not answer at all, by us.
LOCK_MS_MAX: Final = 1_500
STATEMENT_MS_MAX: Final = 2_000
ANSWER_S_MAX: Final = 2.5
# A transaction whose client is gone must not keep its locks.
IDLE_MS_MAX: Final = 5_000
RETRY_AFTER_S: Final = 5

# The planner takes a set of a batch for longer than it is, and reads whole tables to join them.
_SETTINGS: Final = {
    "statement_timeout": STATEMENT_MS_MAX,
    "lock_timeout": LOCK_MS_MAX,
    "idle_in_transaction_session_timeout": IDLE_MS_MAX,
    "synchronous_commit": "on",
    "timezone": "UTC",
    "jit": "off",
}
_NESTED_LOOPS: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # To walk through an index is never cheap: a plan outlives the small table that it was made for.
    "cpu_index_tuple_cost": "1",
    "plan_cache_mode": "force_generic_plan",
}

log = logging.getLogger("dastak.store")


def connect(url: str, *, password: str | None = None, in_sets: bool = False) -> Connection:
    """Open a connection that commits each statement unless it is told to begin.

    Args:
        url: As libpq reads it, with several hosts where one may take over from another.
        password: Unless it stands in the URL, or libpq finds it elsewhere.
        in_sets: Whether it runs the statements of batches, whose plans must not depend on how large they are.

    Raises:
        psycopg.OperationalError: Nobody answers, or the password is wrong.
    """
    settings = _SETTINGS | (_NESTED_LOOPS if in_sets else {})
    given = conninfo_to_dict(url)
    known: dict[str, Any] = {
        "connect_timeout": CONNECT_S_MAX,
        "application_name": "dastak",
        "password": password,
        # With several hosts: the one that can write.
        "target_session_attrs": "read-write",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": int(ANSWER_S_MAX * 1000),
        "options": " ".join(f"-c {key}={value}" for key, value in settings.items()),
    }
    connection = psycopg.connect(
        make_conninfo(
            url, **{key: value for key, value in known.items() if key not in given and value is not None}
        ),
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
    )
    connection.prepare_threshold = 2
    return connection


class Lane:
    """A connection, and the thread that works with it.

    Args:
        opens: Opens a connection; run in the thread.
    """

    def __init__(self, opens: Callable[[], Connection]) -> None:
        self._opens = opens
        self._thread = ThreadPoolExecutor(1, "dastak-postgres")
        self._connection: Connection | None = None
        self._failing = False

    @property
    def healthy(self) -> bool:
        """Whether the last work was done."""
        return not self._failing

    async def run(self, work: Callable[[Connection], T], *, ends: bool = True) -> T:
        """Do work with the connection.

        Args:
            work: Run in the thread.
            ends: Whether a transaction that it leaves open is rolled back.

        Raises:
            Overloaded: The database cannot be asked, or did not answer; a commit may have been kept.
            InvalidRequest: A text has a character that PostgreSQL keeps nowhere.
        """
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, work, ends)
        try:
            result = await asyncio.wait_for(asyncio.shield(future), ANSWER_S_MAX)
        except TimeoutError as error:
            future.add_done_callback(lambda late: late.cancelled() or late.exception())
            self._cut()
            self._fail("it did not answer")
            detail = "The database does not answer; the change may have been kept."
            raise Overloaded(detail, retry_after_s=RETRY_AFTER_S, may_be_done=True) from error
        except psycopg.DataError as error:
            raise InvalidRequest("A text has a character that cannot be kept.") from error
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
            self._fail(str(error))
            detail = "The database cannot be asked now."
            # It may be the answer to COMMIT that was lost.
            raise Overloaded(detail, retry_after_s=RETRY_AFTER_S, may_be_done=True) from error
        self._failing = False
        return result

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _in_thread(self, work: Callable[[Connection], T], ends: bool) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = self._opens()
        done = False
        try:
            result = work(connection)
            done = not ends
        finally:
            if not done and not connection.closed and connection.info.transaction_status:
                self._undo(connection)
        return result

    def _undo(self, connection: Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _cut(self) -> None:
        """Wake the thread that waits: its socket is shut, from another thread."""
        connection = self._connection
        if connection is None or connection.closed:
            return
        try:
            with socket.socket(fileno=os.dup(connection.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            log.debug("the connection was closed before it could be cut")

    def _fail(self, why: str) -> None:
        if not self._failing:
            log.error("the database cannot be asked: %s", why.strip().splitlines()[0] if why.strip() else "?")
        self._failing = True


class Lanes:
    """Some lanes; each work takes the one that is free."""

    def __init__(self, opens: Callable[[], Connection], count: int) -> None:
        self._all = [Lane(opens) for _ in range(count)]
        self._free: asyncio.Queue[Lane] = asyncio.Queue()
        for lane in self._all:
            self._free.put_nowait(lane)

    @property
    def healthy(self) -> bool:
        """Whether any of them did its last work."""
        return any(lane.healthy for lane in self._all)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """See `Lane.run`; the wait for a free one counts as well."""
        try:
            lane = await asyncio.wait_for(self._free.get(), ANSWER_S_MAX)
        except TimeoutError as error:
            raise Overloaded("The database is behind.", retry_after_s=RETRY_AFTER_S) from error
        try:
            return await lane.run(work)
        finally:
            self._free.put_nowait(lane)

    async def close(self) -> None:
        """Close all of them."""
        for lane in self._all:
            await lane.close()
