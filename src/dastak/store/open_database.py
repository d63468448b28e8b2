"""Open the database that a URL names: one SQLite file, or PostgreSQL for as many nodes as there are."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias

from dastak.core.errors import Conflict
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from dastak.store.postgres.postgres_store import PostgresStore

Database: TypeAlias = "SqliteStore | PostgresStore"


def open_database(url: str, password: str | None = None) -> AbstractAsyncContextManager[Database]:
    """Return the store of a URL, to be entered.

    Args:
        url: `sqlite:` and a file, or what libpq reads.
        password: Of the server, unless libpq finds it elsewhere.

    Raises:
        Conflict: What speaks to PostgreSQL is not installed.
    """
    if not is_postgres(url):
        return SqliteStore(sqlite_path(url))
    try:
        from dastak.store.postgres.postgres_store import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Conflict(f"{error.name} is not installed. Next: pip install 'dastak[postgres]'") from error
    return PostgresStore(url, password)
