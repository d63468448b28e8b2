"""Every implementation of the port `Store`: the contract tests run over all of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from dastak.core.carrier_store import CarrierStore
from dastak.core.ports import Store
from dastak.core.reply_store import ReplyStore
from dastak.store.sqlite import SqliteStore

Open = Callable[[Path], AbstractAsyncContextManager[Any]]


def open_sqlite(home: Path) -> SqliteStore:
    """Open the database of a folder; the same folder again is the same database."""
    return SqliteStore(home / "dastak.db")


# A second implementation is one more line here.
STORES: Mapping[str, Open] = {"sqlite": open_sqlite}


def _fits(store: SqliteStore) -> tuple[Store, CarrierStore, ReplyStore]:
    """Let the type checker hold every implementation against the ports."""
    return store, store, store
