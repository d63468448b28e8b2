"""The short form of the fault test whose database loses its primary, on two plain servers of this machine."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_promises_hold_when_a_standby_takes_over(tmp_path: Path) -> None:
    outcome = await play_short("F5", tmp_path)

    assert outcome.recovery_s is not None
