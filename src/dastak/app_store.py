"""Open the database that the settings name, whichever it is, and show how it does."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from dastak.config import ConfigError, Settings
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import Database, open_database
from dastak.store.sqlite import SqliteStore
from dastak.telemetry.metrics import Metrics


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


def watch_store(metrics: Metrics, store: Database) -> None:
    """Show what a database has done and how it is."""
    metrics.watch("dastak_store_commits", lambda: store.commits)
    metrics.watch("dastak_store_operations", lambda: store.operations)
    metrics.watch("dastak_store_writes", lambda: store.healthy)
    if not isinstance(store, SqliteStore):
        metrics.watch("dastak_database_connects", lambda: store.connects)
        metrics.watch("dastak_database_doubts", lambda: store.doubts)
        metrics.watch("dastak_database_clock_offset_seconds", lambda: store.clock_ahead_s)
