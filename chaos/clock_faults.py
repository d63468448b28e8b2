"""The wall clock steps under the running program: F18."""

import shutil
import time
from pathlib import Path
from typing import Final

from chaos.outcome_table import Outcome
from chaos.people import Crowd, Habits
from chaos.stage import CannotPlay, Stage

LIBRARIES: Final = Path("/usr/lib")
# The shortest life that a policy may have.
TTL_S: Final = 60
# Back, a little ahead, back again, and last far ahead, which ends every code.
STEPS_S: Final = (-7_200, 90, -90, 3_600)
# Later than any code lives, and than the two seconds that are allowed.
TOO_LATE_S: Final = TTL_S + 3.0
LATE_PEOPLE: Final = 20


async def steps(stage: Stage) -> Outcome:
    """F18: the wall clock steps back and ahead; the monotonic one goes on."""
    wall = FakedWall(stage.directory / "f18-clock")
    # Who asks right before the clock steps ahead gets no text: it would come too late.
    habits = Habits(ttl_s=TTL_S, text_s=stage.scale.settle_s)
    async with stage.house("f18", habits=habits, environment=wall.environment) as house:
        crowd = house.crowd
        late = Crowd(
            house.lines,
            house.books,
            house.phones,
            chance=stage.chance("f18-late"),
            first=9_999_000_000,
            habits=Habits(ttl_s=TTL_S, types_after_s=TOO_LATE_S),
        )
        async with house.load():
            await house.until_accepted(10)
            if stage.scale.waits_for_expiry:
                for _ in range(LATE_PEOPLE):
                    late.let_in()
                await house.until_accepted(LATE_PEOPLE)
            house.fault_begins()
            for step_s in STEPS_S[:-1]:
                wall.step(step_s)
                await house.recovered(time.monotonic())
                await house.until_asked(stage.scale.requests_min)
            # They type when the code is over, though the wall says that it is not.
            await late.leave(within_s=TOO_LATE_S + crowd.habits.patience_s)
            wall.step(STEPS_S[-1])
            await house.recovered(time.monotonic())
            await house.until_accepted(10)
            house.fault_ended_s = time.monotonic()
        findings = await house.close(ttl_s=TTL_S)
        over = sum(call.status == 410 for call in house.books.calls)
        house.expect("F18", not late.came or over > 0, "nobody was too late, so nothing was tried")
        return stage.outcome("F18", "wall clock steps", house, findings, **{"told that it is over": over})


class FakedWall:
    """The wall's time plus so many seconds, for a program that runs in this environment (libfaketime)."""

    def __init__(self, file: Path) -> None:
        found = sorted(LIBRARIES.glob("*/faketime/libfaketime.so.1"))
        if shutil.which("faketime") is None or not found:
            raise CannotPlay("no libfaketime here, which steps the clock of one program")
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else it bends the timed waits by which Python's threads take turns, and nothing is committed.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set the wall clock this far from the real time, at once."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+}\n")
        new.replace(self._file)
