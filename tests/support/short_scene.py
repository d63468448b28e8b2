"""Play the short form of a fault test: too few requests to count, and every promise asserted all the same."""

import os
from pathlib import Path

import pytest

from chaos.catalogue import SCENES
from chaos.outcome_table import Outcome
from chaos.stage import QUICK, CannotPlay, Stage


async def play_short(fault: str, directory: Path, *, database_url: str | None = None) -> Outcome:
    """Play it, and assert what no fault may break."""
    stage = Stage(directory, scale=QUICK, seed=1, database_url=database_url)
    assert QUICK.per_s is not None
    stage.per_s = QUICK.per_s
    try:
        outcome = await SCENES[fault](stage)
    except CannotPlay as reason:
        (pytest.fail if os.environ.get("DASTAK_CI") == "1" else pytest.skip)(str(reason))

    assert outcome.broken == {}
    assert (outcome.lost, outcome.approved_twice) == (0, 0)
    assert outcome.accepted > 0
    assert outcome.in_fault > 0
    return outcome
