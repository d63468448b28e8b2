"""The short form of the fault tests with far too many people, who may ask again at once."""

from pathlib import Path

import pytest

from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F19", "F20", "F35"])
async def test_promises_hold_in_a_flood(fault: str, tmp_path: Path) -> None:
    outcome = await play_short(fault, tmp_path)

    assert outcome.figures["refused"] > 0
