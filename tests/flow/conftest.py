"""Give flow tests a house of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.house import House, ScriptedRoute, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as opened:
        yield opened
