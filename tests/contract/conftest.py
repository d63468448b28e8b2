"""Give every contract test each implementation of the store in turn."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from dastak.core.ports import Store
from dastak.store import group_commit
from tests.support.postgres_server import PostgresServer, own_server
from tests.support.stores import STORES

Reopen = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Open the same database, once more each time it is called."""
    return lambda: STORES[request.param](tmp_path)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a disk that others keep busy: what a slow one means is tested in test_store_faults."""
    monkeypatch.setattr(group_commit, "STALL_S_MAX", 60.0)
    monkeypatch.setattr(group_commit, "WAIT_S_MAX", 60.0)


@pytest.fixture
async def store(reopen: Reopen) -> AsyncIterator[Store]:
    async with reopen() as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test's own, to be killed or set otherwise."""
    server = own_server()
    yield server
    server.remove()
