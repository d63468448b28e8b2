"""Give every contract test each implementation of the store in turn."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from dastak.core.ports import Store
from tests.support.stores import STORES

Reopen = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Open the same database, once more each time it is called."""
    return lambda: STORES[request.param](tmp_path)


@pytest.fixture
async def store(reopen: Reopen) -> AsyncIterator[Store]:
    async with reopen() as opened:
        yield opened
