"""The short form of the fault test whose program has no memory left."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_promises_hold_when_there_is_no_memory(tmp_path: Path) -> None:
    outcome = await play_short("F25", tmp_path)

    assert outcome.figures["memory refused"] > 0
