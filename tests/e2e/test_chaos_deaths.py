"""The short form of the fault tests that kill, freeze and stop the program."""

import asyncio
from pathlib import Path

import pytest

from tests.support.postgres_server import own_server
from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F1", "F2", "F3", "F4", "F23"])
async def test_promises_hold_when_the_program_dies(fault: str, tmp_path: Path) -> None:
    outcome = await play_short(fault, tmp_path)

    assert outcome.recovery_s is not None


async def test_promises_hold_when_the_server_of_the_database_dies_with_the_program(tmp_path: Path) -> None:
    server = await asyncio.to_thread(own_server)
    first = server.pid
    try:
        outcome = await play_short("F3", tmp_path, server=server)
        assert server.pid != first
    finally:
        await asyncio.to_thread(server.remove)

    assert outcome.recovery_s is not None
    assert outcome.title == "kill -9 of program and PostgreSQL with a full queue"
