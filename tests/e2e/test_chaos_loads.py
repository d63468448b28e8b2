"""The short form of the fault tests with a clock that steps and with a long day."""

from pathlib import Path

import pytest

from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F18", "F26"])
async def test_promises_hold_under_load_and_over_time(fault: str, tmp_path: Path) -> None:
    await play_short(fault, tmp_path)
