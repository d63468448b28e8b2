"""Open the database that the settings name, whichever it is, take its clock, and show how it does."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

from dastak.config import ConfigError, Settings
from dastak.steady_clock import SteadyClock
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import Database, open_database
from dastak.store.sqlite import SqliteStore
from dastak.telemetry.metrics import Metrics

# A clock that was set moves at once by more than that; to read the server's over the network errs by less.
SET_S_MIN: Final = 1.0
_NS: Final = 1_000_000_000


def open_store(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """Return the store, to be entered. Raises: Conflict (what speaks to it is not installed)."""
    password = settings.store.password
    return open_database(settings.store.url, None if password is None else password.reveal())


def sqlite_file_of(settings: Settings) -> Path:
    """Return the file of the database.

    Raises:
        ConfigError: It is none: PostgreSQL has programs of its own for what is wanted here.
    """
    if is_postgres(settings.store.url):
        raise ConfigError(
            "store.url: this works on the file of a SQLite database; of PostgreSQL ask its own programs."
        )
    return sqlite_path(settings.store.url).absolute()


async def clock_of(store: Database) -> SteadyClock:
    """Return the clock that codes live by: nodes of one database agree on its server's, not on their own."""
    if isinstance(store, SqliteStore):
        return SteadyClock(await store.latest_at())
    return SteadyClock(wall_ns=servers_wall(store))


class Server(Protocol):
    """A database with a clock of its own; see `PostgresStore`."""

    clock_ahead_s: float


def servers_wall(server: Server) -> Callable[[], int]:
    """Return what tells the time of a server's wall clock, in nanoseconds since 1970."""
    ahead_s = server.clock_ahead_s

    def wall_ns() -> int:
        nonlocal ahead_s
        if abs(server.clock_ahead_s - ahead_s) > SET_S_MIN:
            ahead_s = server.clock_ahead_s
        return time.time_ns() + int(ahead_s * _NS)

    return wall_ns


def watch_store(metrics: Metrics, store: Database) -> None:
    """Show what a database has done and how it is."""
    metrics.watch("dastak_store_commits", lambda: store.commits)
    metrics.watch("dastak_store_operations", lambda: store.operations)
    metrics.watch("dastak_store_writes", lambda: store.healthy)
    if not isinstance(store, SqliteStore):
        metrics.watch("dastak_database_connects", lambda: store.connects)
        metrics.watch("dastak_database_doubts", lambda: store.doubts)
        metrics.watch("dastak_database_clock_offset_seconds", lambda: store.clock_ahead_s)
