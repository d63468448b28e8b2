"""What a PostgreSQL server says of itself, asked once over one connection."""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from dastak.core.errors import Conflict
from dastak.core.node import Beat
from dastak.store.desk import Execute

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

COMMITS: Final = 9
CLOCK_LOOKS: Final = 5

_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)"
_NAMES: Final = [
    "server_version_num", "fsync", "full_page_writes", "synchronous_commit", "max_connections",
    "superuser_reserved_connections", "reserved_connections", "server_encoding",
]  # fmt: skip
_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
# It has a commit wait for the disk as one that changed a row, and changes none.
_DURABLE: Final = "SELECT pg_logical_emit_message(true, 'dastak', 'doctor')"
# Beside 1 to 4, which the program's own parts take.
_LOCK: Final = (0x4453, 5)


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One server at one moment.

    Attributes:
        refusal: Why it cannot be asked, and the next command; what follows is empty then.
        settings: What it is set to, as it holds for a connection of ours.
        others: Connections that are open besides the one that asks.
        missing: Migrations that the database needs.
        conflict: Why it has no schema of ours.
        commit_ms: How long a durable commit takes, the median of some.
        clock_ahead_ms: Its clock against ours.
        excludes: Whether a lock of one session keeps another one out; true where no other one was let in.
        beat: The nodes that live on it, and the binds they hold.
    """

    refusal: tuple[str, str] | None = None
    settings: Mapping[str, str] = {}
    others: int = 0
    missing: Sequence[str] = ()
    conflict: str | None = None
    commit_ms: float = 0.0
    clock_ahead_ms: float = 0.0
    excludes: bool = True
    beat: Beat = Beat()

    @property
    def version(self) -> int:
        """Its version as a number: 150004 is 15.4."""
        return int(self.settings["server_version_num"])

    @property
    def connections(self) -> int:
        """How many connections may be open, without those it keeps for its own people."""
        kept = ("superuser_reserved_connections", "reserved_connections")
        return int(self.settings["max_connections"]) - sum(int(self.settings.get(name, 0)) for name in kept)


def look_at_server(
    url: str, password: str | None, read: "Callable[[Execute], T]"
) -> tuple[ServerFacts, T | None]:
    """Ask a server, and read what is in its database if it has our schema.

    Args:
        url: As libpq reads it.
        password: Unless libpq finds it elsewhere.
        read: Reads the database in one snapshot.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra

        from dastak.store.postgres import server_refusals  # noqa: PLC0415 - likewise
    except ImportError as error:
        missing = f"{error.name} is not installed", "pip install '.[postgres]' in the checkout"
        return ServerFacts(refusal=missing), None
    try:
        return _look(url, password, read)
    except psycopg.Error as error:
        what, command = server_refusals.refusal_of(error, url)
        return ServerFacts(refusal=(what, command)), None


def _look(url: str, password: str | None, read: "Callable[[Execute], T]") -> tuple[ServerFacts, T | None]:
    from dastak.store.postgres.dialect import statements  # noqa: PLC0415 - an extra
    from dastak.store.postgres.postgres_desk import executing  # noqa: PLC0415
    from dastak.store.postgres.postgres_lane import connect  # noqa: PLC0415
    from dastak.store.postgres.postgres_migrate import plan  # noqa: PLC0415
    from dastak.store.postgres.postgres_nodes import heard_of  # noqa: PLC0415

    with closing(connect(url, password=password)) as connection:
        ask = connection.execute
        others = ask(_OTHERS).fetchone()
        facts = ServerFacts(
            settings=dict(ask(_SETTINGS, (_NAMES,)).fetchall()),
            others=others[0] if others else 0,
            commit_ms=_commit_ms(connection),
            clock_ahead_ms=_clock_ahead_ms(connection),
            excludes=_excludes(connection, partial(connect, url, password=password)),
        )
        try:
            missing = plan(connection)
        except Conflict as error:
            return msgspec.structs.replace(facts, conflict=error.detail), None
        if missing:
            return msgspec.structs.replace(facts, missing=missing), None
        with connection.transaction():
            ask("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            facts = msgspec.structs.replace(facts, beat=heard_of(connection))
            return facts, read(executing(connection, statements()))


def _commit_ms(connection: Any) -> float:
    """Measure how long a durable commit takes, with the way there and back."""
    taken = []
    for _ in range(COMMITS):
        began = time.perf_counter()
        connection.execute(_DURABLE)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _excludes(connection: Any, opens: "Callable[[], Any]") -> bool:
    """Hold a lock in one session, ask for it in another one, and say whether that did not get it."""
    import psycopg  # noqa: PLC0415 - an extra

    try:
        other = opens()
    except psycopg.OperationalError:
        # There is no room for it, and another check is about that.
        return True
    with closing(other):
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK)
                tried = other.execute("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK)
                return bool(tried.fetchone() == (False,))
        except psycopg.errors.UndefinedFunction:
            return False


def _clock_ahead_ms(connection: Any) -> float:
    """Compare clocks by the quickest of some answers, as its time is that of the middle."""
    looks: list[tuple[float, float]] = []
    for _ in range(CLOCK_LOOKS):
        began, sent_at = time.perf_counter(), datetime.now(UTC)
        (theirs,) = connection.execute("SELECT clock_timestamp()").fetchone()
        took_s = time.perf_counter() - began
        looks.append((took_s, (theirs - sent_at).total_seconds() - took_s / 2))
    return min(looks)[1] * 1000
