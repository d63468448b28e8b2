"""The short form of the fault tests whose database stalls, fills up, fails, forgets, or cannot be read."""

import asyncio
from pathlib import Path

import pytest

from tests.support.postgres_server import own_server
from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F6", "F7", "F10", "F11", "F24", "F28"])
async def test_promises_hold_when_the_database_fails(fault: str, tmp_path: Path) -> None:
    await play_short(fault, tmp_path)


@pytest.mark.parametrize("fault", ["F6", "F7"])
async def test_promises_hold_when_the_line_to_a_server_of_the_database_fails(
    fault: str, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(own_server)
    try:
        await play_short(fault, tmp_path, database_url=server.url)
    finally:
        await asyncio.to_thread(server.remove)
