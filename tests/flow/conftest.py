"""Give flow tests a house of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dastak.store import group_commit
from tests.support.house import MEMORY, House, ScriptedRoute, open_house


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give a folder in memory instead of one on the disk."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a core that others keep busy: what a slow one means is tested in test_store_faults."""
    monkeypatch.setattr(group_commit, "STALL_S_MAX", 60.0)
    monkeypatch.setattr(group_commit, "WAIT_S_MAX", 60.0)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as opened:
        yield opened
