"""Break Dastak on this machine: `python -m chaos [--only F1,F12] [--seed N] [--quick] [--json FILE]`."""

import argparse
import asyncio
import gc
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.report import machine
from chaos.capacity import capacity
from chaos.catalogue import SCENES
from chaos.fault_list import FAULTS, OWN_DATABASE
from chaos.outcome_table import Outcome, Report, table, unplayed
from chaos.stage import FULL, QUICK, CannotPlay, Stage

KEPT = Path("chaos/results/latest.json")
# A scene that takes longer hangs: it is told as one that ended too early, and the next one is played.
SCENE_S_MAX = 1_200.0


def main() -> int:
    """Play the scenes, print the table and keep it; 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--only", default="", help="such as F1,F12; else all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few requests each, as in the tests")
    parser.add_argument("--per-s", type=float, help="people a second; else six tenths of what goes here")
    parser.add_argument("--kills", type=int, help="how often the program is killed")
    parser.add_argument("--pending", type=int, help="how many texts wait when a full house is killed (F3)")
    parser.add_argument("--soak-s", type=float, help="how long a long day is (F26)")
    parser.add_argument(
        "--database-url", help="of a PostgreSQL server here; else a SQLite file for each scene"
    )
    parser.add_argument("--json", type=Path, default=KEPT, help=f"where to keep it, {KEPT} if absent")
    parser.add_argument("--data-dir", type=Path, default=Path("var/chaos"), help="on the disk to use")
    asked = parser.parse_args()
    named = {name: getattr(asked, name) for name in ("per_s", "kills", "pending", "soak_s")}
    changes = {name: value for name, value in named.items() if value is not None}
    scale = msgspec.structs.replace(QUICK if asked.quick else FULL, **changes)
    wanted = asked.only.split(",") if asked.only else list(FAULTS)
    asked.data_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=asked.data_dir)).resolve()
    # Between scenes only: of a million records it takes a second, in which the carriers here are silent.
    gc.disable()
    try:
        stage = Stage(directory, scale=scale, seed=asked.seed, database_url=asked.database_url)
        report = Report(
            at="",
            machine=machine(),
            database=database_of(wanted, asked.database_url),
            quick=asked.quick,
            outcomes=[],
        )
        outcomes = asyncio.run(play(stage, wanted, lambda done: keep(report, done, asked.json)))
    finally:
        shutil.rmtree(directory)
    print(table(outcomes))
    return int(any(outcome.broken for outcome in outcomes))


def keep(report: Report, outcomes: list[Outcome], file: Path) -> None:
    """Write what was played so far, so that a run that is ended has not been for nothing."""
    report.at = datetime.now(UTC).isoformat(timespec="seconds")
    report.outcomes = tuple(outcomes)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    new.replace(file)


async def play(stage: Stage, wanted: list[str], kept: Callable[[list[Outcome]], None]) -> list[Outcome]:
    """Play these scenes, one after the other; a SIGTERM ends them with all that they started."""
    playing = asyncio.current_task()
    assert playing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    if stage.scale.per_s is None:
        tell("what this machine can carry")
        stage.per_s = 0.6 * await capacity(stage)
    outcomes: list[Outcome] = []
    for fault in wanted:
        gc.collect()
        began_s = time.monotonic()
        if fault not in SCENES:
            tell(f"{fault} is not played: {FAULTS[fault].not_here}")
            continue
        tell(f"{fault}: {FAULTS[fault].what}, {stage.per_s:.0f} people a second")
        try:
            async with asyncio.timeout(SCENE_S_MAX):
                outcomes.append(await SCENES[fault](stage))
            broken = ", ".join(sorted(outcomes[-1].broken))
            came_to = f"BROKEN {broken}" if broken else "held"
            tell(f"{fault} took {time.monotonic() - began_s:.0f} s: {came_to}")
        except CannotPlay as reason:
            tell(f"{fault} is not played: {reason}")
        except Exception as error:
            tell(f"{fault} ended too early: {error!r}")
            outcomes.append(unplayed(fault, FAULTS[fault].what, stage.seed, stage.per_s, repr(error)))
        kept(outcomes)
    return outcomes


def database_of(wanted: list[str], url: str | None) -> str:
    """Name what kept the rows."""
    if set(wanted) <= OWN_DATABASE:
        return "a PostgreSQL of each scene's own"
    return "SQLite" if url is None else url.partition(":")[0]


def tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
