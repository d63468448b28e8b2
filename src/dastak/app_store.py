"""Open the database that the settings name, whichever it is, take its clock, and show how it does."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

from dastak.config import ConfigError, Settings
from dastak.flows.worker import every
from dastak.steady_clock import SteadyClock
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import Database, open_database
from dastak.store.sqlite import SqliteStore
from dastak.store.sqlite_file import served_alone
from dastak.telemetry.metrics import Metrics

CLOCK_EVERY_S: Final = 15.0


def open_store(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """Return the store, to be entered. Raises: Conflict (what speaks to it is not installed)."""
    password = settings.store.password
    return open_database(settings.store.url, None if password is None else password.reveal())


@asynccontextmanager
async def served_store(settings: Settings) -> AsyncIterator[Database]:
    """Open the store to serve it. Raises: Conflict (another process serves its file)."""
    nodes_share = is_postgres(settings.store.url)
    with nullcontext() if nodes_share else served_alone(sqlite_file_of(settings)):
        async with open_store(settings) as store:
            yield store


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


@asynccontextmanager
async def clock_of(store: Database) -> AsyncIterator[SteadyClock]:
    """Keep the clock that codes live by: nodes of one database agree on its server's."""
    latest_at = await store.latest_at()
    if isinstance(store, SqliteStore):
        yield SteadyClock(latest_at)
        return
    async with every(CLOCK_EVERY_S, store.read_clock):
        yield SteadyClock(latest_at, wall_ns=lambda: int(store.now_s() * 1_000_000_000))


def watch_store(metrics: Metrics, store: Database) -> None:
    """Show what a database has done and how it is."""
    metrics.watch("dastak_store_commits", lambda: store.commits)
    metrics.watch("dastak_store_operations", lambda: store.operations)
    metrics.watch("dastak_store_writes", lambda: store.healthy)
    if not isinstance(store, SqliteStore):
        metrics.watch("dastak_database_connects", lambda: store.connects)
        metrics.watch("dastak_database_doubts", lambda: store.doubts)
        metrics.watch("dastak_database_clock_offset_seconds", lambda: store.clock_ahead_s)
