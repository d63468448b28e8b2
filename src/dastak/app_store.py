"""Open the database that the settings name, whichever it is."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from dastak.config import ConfigError, Settings
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import Database, open_database


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
