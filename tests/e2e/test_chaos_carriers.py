"""The short form of the fault tests whose carriers fail."""

from pathlib import Path

import pytest

from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F12", "F13", "F14", "F15", "F17", "F27"])
async def test_promises_hold_when_carriers_fail(fault: str, tmp_path: Path) -> None:
    await play_short(fault, tmp_path)
