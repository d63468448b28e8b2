"""One connection to PostgreSQL and the thread that waits for it, so that the loop never does.

1. A connection that was lost is opened again by the next work, and so is one to a server that writes no more.
2. What does not answer in time is cut: its caller is told, and no later work waits behind it.
3. What its caller was told to be undone is never done later, when a server answers at last.
4. A commit that is on the server's own disk alone, though a standby should have it, is told as in doubt.
5. To close waits for no server: what has not ended by then is cut, and its thread keeps no program alive.
6. Of several hosts the one that answered last is asked first: each new connection waits for a silent one.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dastak import precedence
from dastak.core.errors import InvalidRequest, Overloaded

T = TypeVar("T")
Connection = psycopg.Connection[Any]

CONNECT_S_MAX: Final = 2
# What waits for a lock or runs longer is stopped by the server; a server that does not answer at all, by us.
LOCK_MS_MAX: Final = 1_500
STATEMENT_MS_MAX: Final = 2_000
ANSWER_S_MAX: Final = 2.5
# The share of that time in which a connection must become free.
FREE_SHARE: Final = 0.4
# A transaction whose client is gone must not keep its locks.
IDLE_MS_MAX: Final = 5_000
# Of the five seconds that a stop may take: what the last work has to end, and after a cut to find out.
CLOSE_S_MAX: Final = 0.2
RETRY_AFTER_S: Final = 5
# A statement is prepared when it was run so often before.
PREPARED_AFTER: Final = 2
# The server is well, and gave up a transaction for what it is about: it waited for one lock, or for several.
OF_ONE: Final = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)
# It is not well, is another one than before, or was changed under what is prepared there.
_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.NotSupportedError,
)
# When somebody cancels a commit that waits for its standby, PostgreSQL confirms it with such a warning.
_UNCONFIRMED: Final = ("WARNING", "01000")

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

# By URL, which of its hosts and ports answered last in this process.
_answered: dict[str, tuple[str, str]] = {}


def answer_by_s() -> float:
    """Return the loop's time by which work that begins now is to be done."""
    return asyncio.get_running_loop().time() + ANSWER_S_MAX


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
    given |= _answered_first(given, _answered.get(url))
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
        make_conninfo(**{key: value for key, value in (known | given).items() if value is not None}),
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
    )
    connection.prepare_threshold = PREPARED_AFTER
    _answered[url] = connection.info.host, str(connection.info.port)
    return connection


def _answered_first(given: Mapping[str, Any], answered: tuple[str, str] | None) -> dict[str, str]:
    """Return the hosts and ports of a URL, with those that answered last before all others."""
    hosts, ports = (str(given.get(key, "")).split(",") for key in ("host", "port"))
    if answered is None or len(hosts) == 1 or "hostaddr" in given:
        return {}
    places = list(zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts), strict=True))
    # A port that is not written is the one that libpq takes.
    places.sort(key=lambda place: place not in (answered, (answered[0], "")))
    hosts, ports = (list(part) for part in zip(*places, strict=True))
    return {"host": ",".join(hosts), "port": ",".join(ports)}


def cut(connection: Connection) -> None:
    """Wake a thread that waits for a server: its socket is shut, from another thread."""
    if connection.closed:
        return
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        log.debug("the connection was closed before it could be cut")


class _Late(Exception):  # noqa: N818 - a signal: its caller has been told
    """The connection came too late for the work that asked for it."""


class NotThere(Exception):  # noqa: N818 - a signal: the work was not begun
    """No connection could be opened."""


class NotSent(Exception):  # noqa: N818 - a signal: nothing of it was kept
    """The connection of a transaction was lost before its COMMIT."""


class _Hand:
    """One thread that does one thing after the other; unlike an executor's, no program waits for it."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Do it when what was asked for before is done."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def end(self) -> None:
        """Let the thread end after what was asked for."""
        self._jobs.put(None)

    def _work(self) -> None:
        precedence.follow(os.getpid())
        while (asked := self._jobs.get()) is not None:
            future, job = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)


class Lane:
    """A connection, and the thread that works with it.

    Args:
        opens: Opens a connection; run in the thread.

    Attributes:
        connects: How many connections were opened.
        doubts: How many pieces of work nobody knows the outcome of.
    """

    def __init__(self, opens: Callable[[], Connection]) -> None:
        self._opens = opens
        self._thread = _Hand("dastak-postgres")
        self._connection: Connection | None = None
        self._failing = self._unconfirmed = False
        self.connects = self.doubts = 0

    @property
    def healthy(self) -> bool:
        """Whether the last work was done."""
        return not self._failing

    async def run(
        self, work: Callable[[Connection], T], *, ends: bool = True, by_s: float | None = None
    ) -> T:
        """Do work with the connection.

        Args:
            work: Run in the thread.
            ends: Whether a transaction that it leaves open is rolled back; else it commits nothing itself.
            by_s: From `answer_by_s`, where several pieces of work are to be done by one time.

        Raises:
            Overloaded: The database cannot be asked or did not answer, or others hold what the work is
                about; it says whether a commit may have been kept.
            InvalidRequest: A text has a character that PostgreSQL keeps nowhere.
        """
        begun, late = Event(), Event()
        job = self._thread.submit(lambda: self._in_thread(work, ends, begun, late))
        answer = asyncio.wrap_future(job)
        try:
            async with asyncio.timeout_at(answer_by_s() if by_s is None else by_s):
                result = await asyncio.shield(answer)
        except TimeoutError as error:
            answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            self._fail("it did not answer")
            job.cancel()
            late.set()
            # A transaction that an earlier step has left open ends with its connection.
            self._cut()
            raise self._away("The database does not answer", in_doubt=ends and begun.is_set()) from error
        except (NotThere, NotSent) as error:
            self._fail(str(error))
            raise self._away("The database cannot be asked now", in_doubt=False) from error
        except psycopg.DataError as error:
            raise InvalidRequest("A text has a character that cannot be kept.") from error
        except OF_ONE as error:
            raise Overloaded("Others work with what this is about.") from error
        except _AWAY as error:
            self._fail(str(error))
            # It may be the answer to COMMIT that was lost.
            raise self._away("The database cannot be asked now", in_doubt=ends) from error
        self._failing = False
        return result

    async def close(self) -> None:
        """Close the connection and end the thread, once the last work is done or cut."""
        closed = asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.end()
        try:
            await asyncio.wait((closed,), timeout=CLOSE_S_MAX)
        finally:
            if not closed.done():
                self._cut()
        if not closed.done():
            await asyncio.wait((closed,), timeout=CLOSE_S_MAX)

    def _away(self, detail: str, *, in_doubt: bool) -> Overloaded:
        self.doubts += in_doubt
        detail += "; the change may have been kept." if in_doubt else "."
        return Overloaded(detail, retry_after_s=RETRY_AFTER_S, may_be_done=in_doubt)

    def _in_thread(self, work: Callable[[Connection], T], ends: bool, begun: Event, late: Event) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = self._open()
        done = False
        try:
            # In this order: either this sees that it is late, or its caller sees that it has begun.
            begun.set()
            if late.is_set():
                raise _Late
            self._unconfirmed = False
            result = work(connection)
            done = not ends and not late.is_set()
        except (errors.ReadOnlySqlTransaction, errors.InvalidSqlStatementName, errors.FeatureNotSupported):
            # Another server, or one that does not know what was prepared: a new connection is right again.
            connection.close()
            raise
        finally:
            if not done and not connection.closed and connection.info.transaction_status:
                self._undo(connection)
        if self._unconfirmed:
            raise psycopg.OperationalError("a commit was cancelled while it waited for a standby")
        return result

    def _open(self) -> Connection:
        try:
            connection = self._opens()
        except psycopg.Error as error:
            raise NotThere(str(error)) from error
        connection.add_notice_handler(self._hear)
        self.connects += 1
        return connection

    def _hear(self, notice: errors.Diagnostic) -> None:
        self._unconfirmed |= (notice.severity_nonlocalized, notice.sqlstate) == _UNCONFIRMED

    def _undo(self, connection: Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _cut(self) -> None:
        if self._connection is not None:
            cut(self._connection)

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

    @property
    def connects(self) -> int:
        """How many connections were opened."""
        return sum(lane.connects for lane in self._all)

    @property
    def doubts(self) -> int:
        """How many pieces of work nobody knows the outcome of."""
        return sum(lane.doubts for lane in self._all)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """See `Lane.run`; the wait for a free one counts as well, and leaves time for an answer."""
        by_s = answer_by_s()
        try:
            async with asyncio.timeout(FREE_SHARE * ANSWER_S_MAX):
                lane = await self._free.get()
        except TimeoutError as error:
            raise Overloaded("The database is behind.", retry_after_s=RETRY_AFTER_S) from error
        try:
            return await lane.run(work, by_s=by_s)
        finally:
            self._free.put_nowait(lane)

    async def close(self) -> None:
        """Close all of them at once."""
        await asyncio.gather(*(lane.close() for lane in self._all))
