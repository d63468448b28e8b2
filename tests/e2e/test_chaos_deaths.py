"""The short form of the fault tests that kill, freeze and stop the program."""

from pathlib import Path

import pytest

from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F1", "F2", "F3", "F4", "F23"])
async def test_promises_hold_when_the_program_dies(fault: str, tmp_path: Path) -> None:
    outcome = await play_short(fault, tmp_path)

    assert outcome.recovery_s is not None
