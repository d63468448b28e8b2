"""Every implementation of the port `Store`: the contract tests run over all of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import cycle
from pathlib import Path
from typing import Any, Self

from dastak.core.carrier_store import CarrierStore
from dastak.core.ports import Store
from dastak.core.reply_store import ReplyStore
from dastak.store.postgres.postgres_store import PostgresStore
from dastak.store.sqlite import SqliteStore
from tests.support.postgres_server import migrated_database

Open = Callable[[Path], AbstractAsyncContextManager[Any]]


def open_sqlite(home: Path) -> SqliteStore:
    """Open the database of a folder; the same folder again is the same database."""
    return SqliteStore(home / "dastak.db")


def open_postgres(home: Path) -> PostgresStore:
    """Open the database of a folder, on the server of this process."""
    known = home / "postgres-url"
    if not known.exists():
        known.write_text(migrated_database(), encoding="utf-8")
    return PostgresStore(known.read_text(encoding="utf-8"))


class TwoNodes:
    """Two stores on one database: each call goes to the other one, as a balancer would have it."""

    def __init__(self, home: Path) -> None:
        self._nodes = [open_postgres(home), open_postgres(home)]
        self._turns = cycle(self._nodes)

    async def __aenter__(self) -> Self:
        for node in self._nodes:
            await node.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        for node in self._nodes:
            await node.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        # Only who came alone takes up what is queued.
        node = self._nodes[0] if name == "recover" else next(self._turns)
        return getattr(node, name)


# Another implementation is one more line here.
STORES: Mapping[str, Open] = {"sqlite": open_sqlite, "postgres": open_postgres, "two nodes": TwoNodes}


def _fits(store: SqliteStore | PostgresStore) -> tuple[Store, CarrierStore, ReplyStore]:
    """Let the type checker hold every implementation against the ports."""
    return store, store, store
