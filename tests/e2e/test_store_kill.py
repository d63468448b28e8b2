"""Kill the process at any moment: what it acknowledged is there, and nothing happens twice."""

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from dastak.core.events import VerificationApproved
from dastak.core.ids import VerificationId
from dastak.core.verification import Reason, State, Typed
from tests.support.samples import checking
from tests.support.stores import open_sqlite

KILLS = 6
ROOT = Path(__file__).parents[2]


def run_and_kill(home: Path, after_lines: int) -> list[str]:
    """Start the driver, kill it after so many acknowledgements, and return all it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.store_driver", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        try:
            assert driver.stdout is not None
            said = [driver.stdout.readline() for _ in range(after_lines)]
        finally:
            driver.kill()
        said += driver.stdout.readlines()
    return [line.strip() for line in said]


async def test_nothing_acknowledged_is_lost_and_nothing_is_approved_twice_over_kills(tmp_path: Path) -> None:
    chance = random.Random()
    said: Counter[str] = Counter()

    for _ in range(KILLS):
        said.update(run_and_kill(tmp_path, after_lines=chance.randrange(1, 1500)))
        with closing(sqlite3.connect(tmp_path / "dastak.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    acknowledged = {word: {} for word in ("opened", "missed", "approved")}
    for line, times in said.items():
        word, verification_id = line.split()
        acknowledged[word][VerificationId(bytes.fromhex(verification_id))] = times
    assert set(acknowledged["approved"].values()) == {1}
    async with open_sqlite(tmp_path) as store:
        for verification_id in acknowledged["opened"]:
            held = await store.find(1, verification_id)
            assert held.verification.attempts >= acknowledged["missed"].get(verification_id, 0)
            told = await store.timeline(1, verification_id)
            approvals = sum(isinstance(event, VerificationApproved) for event in told)
            assert approvals == (held.verification.state is State.APPROVED)
        for verification_id in acknowledged["approved"]:
            held = await store.find(1, verification_id)
            assert held.verification.state is State.APPROVED
        for verification_id in list(acknowledged["approved"])[:200]:
            held = await store.find(1, verification_id)
            again = checking(Typed.RIGHT, held.verification.created_at + timedelta(seconds=1))
            judged = await store.decide(verification_id, again)
            assert (judged.approved, judged.reason) == (False, Reason.CONSUMED)
