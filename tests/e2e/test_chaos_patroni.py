"""The files of deploy/patroni as shipped, on three machines in a box that die, are cut off and come back."""

from pathlib import Path

import pytest

from tests.support.short_scene import play_short


@pytest.mark.parametrize("fault", ["F29", "F30", "F31", "F32", "F33", "F34"])
async def test_promises_hold_when_the_database_cluster_fails(fault: str, tmp_path: Path) -> None:
    outcome = await play_short(fault, tmp_path)

    assert outcome.recovery_s is not None
