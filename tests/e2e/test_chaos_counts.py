"""The short form of the fault test whose shared counts are lost."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_promises_hold_when_shared_counts_are_lost(tmp_path: Path) -> None:
    outcome = await play_short("F8", tmp_path)

    assert outcome.figures["unshared"] > 0
