"""Give flow tests a house of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.house import MEMORY, House, ScriptedRoute, open_house


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give a folder in memory instead of one on the disk."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as opened:
        yield opened
