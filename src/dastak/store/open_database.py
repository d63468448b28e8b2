"""Open and keep the database that a URL names: one SQLite file, or PostgreSQL for many nodes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dastak.core.errors import Conflict
from dastak.store import migrate
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from dastak.store.postgres.moving import Moved
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
    with _installed():
        from dastak.store.postgres.postgres_store import PostgresStore  # noqa: PLC0415 - an extra
    return PostgresStore(url, password)


def pending(url: str, password: str | None = None) -> Sequence[str]:
    """Return the migrations a database needs. Raises: Conflict, Overloaded (it cannot be asked)."""
    if not is_postgres(url):
        return migrate.plan(sqlite_path(url))
    with _installed():
        from dastak.store.postgres import postgres_lane, postgres_migrate, server_refusals  # noqa: PLC0415 - an extra
    with server_refusals.told(url), closing(postgres_lane.connect(url, password=password)) as connection:
        return postgres_migrate.plan(connection)


def upgrade(url: str, password: str | None = None) -> Sequence[str]:
    """Apply the migrations a database needs, and return them; a file is copied beside itself first.

    Raises:
        Conflict: It was made by a newer program, or is not Dastak's.
        Overloaded: It cannot be asked.
    """
    if not is_postgres(url):
        return migrate.upgrade(sqlite_path(url))
    with _installed():
        from dastak.store.postgres import postgres_lane, postgres_migrate, server_refusals  # noqa: PLC0415 - an extra
    with server_refusals.told(url):
        return postgres_migrate.upgrade(postgres_lane.connect(url, password=password))


def planned(source: Path) -> dict[str, int]:
    """Return what `move` would move; see `moving.plan`."""
    with _installed():
        from dastak.store.postgres import moving  # noqa: PLC0415 - an extra
    return moving.plan(source)


def move(
    source: Path, url: str, password: str | None, *, tell: Callable[[str, int], object]
) -> "Sequence[Moved]":
    """Move a SQLite database to PostgreSQL; see `moving.move`."""
    with _installed():
        from dastak.store.postgres import moving  # noqa: PLC0415 - an extra
    return moving.move(source, url, password, tell=tell)


def void(url: str, password: str | None, *, now: datetime) -> int:
    """Cancel everything pending in a PostgreSQL database that was put back; see `upkeep.void`."""
    with _installed():
        from dastak.store.postgres import upkeep  # noqa: PLC0415 - an extra
    return upkeep.void(url, password, now=now)


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        what = f"{error.name} is not installed. Next: pip install '.[postgres]' in the checkout"
        raise Conflict(what) from error
