"""Break Dastak on this machine: `python -m chaos [--only F1,F12] [--store NAME] [--seed N] [--quick]`."""

import argparse
import asyncio
import gc
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench.postgres_cluster import DURABLE, PostgresServer, programs
from bench.report import machine
from chaos.capacity import usual_load
from chaos.catalogue import SCENES
from chaos.fault_list import FAULTS, OWN_DATABASE
from chaos.outcome_table import Outcome, Report, table, unplayed
from chaos.stage import FULL, QUICK, CannotPlay, Scale, Stage

KEPT = Path("chaos/results/latest.json")
# A scene that takes longer hangs: it is told as one that ended too early, and the next one is played.
SCENE_S_MAX = 1_200.0
# What `--store` may be.
SQLITE: Final = "sqlite"
POSTGRES: Final = "postgres"
BOTH: Final = "both"


class Run(NamedTuple):
    """What is played on one store.

    Attributes:
        store: What keeps the rows.
        faults: Of the list, in order.
        file: Where the outcomes are kept.
    """

    store: str
    faults: Sequence[str]
    file: Path

    @property
    def all_own(self) -> bool:
        """Whether each fault brings a database of its own, whatever the store is."""
        return set(self.faults) <= OWN_DATABASE

    @property
    def database(self) -> str:
        """What kept the rows, as a report says it."""
        if self.all_own:
            return "a PostgreSQL of each scene's own"
        return "SQLite" if self.store == SQLITE else "PostgreSQL"


def main() -> int:
    """Play the scenes, print the tables and keep them; 1 when a promise did not hold."""
    asked = arguments(sys.argv[1:])
    named = {name: getattr(asked, name) for name in ("per_s", "kills", "pending", "soak_s")}
    changes = {name: value for name, value in named.items() if value is not None}
    scale = msgspec.structs.replace(QUICK if asked.quick else FULL, **changes)
    asked.data_dir.mkdir(parents=True, exist_ok=True)
    broken = False
    # Between scenes only: of a million records it takes a second, in which the carriers here are silent.
    gc.disable()
    for run in runs(asked, has_postgres=programs() is not None):
        outcomes = play_run(run, asked, scale)
        print(f"on {run.database}\n{table(outcomes)}\n")
        broken = broken or any(outcome.broken for outcome in outcomes)
    return int(broken)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--only", default="", help="such as F1,F12; else all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few requests each, as in the tests")
    parser.add_argument("--per-s", type=float, help="people a second; else six tenths of what goes here")
    parser.add_argument("--kills", type=int, help="how often the program is killed")
    parser.add_argument("--pending", type=int, help="how many texts wait when a full house is killed (F3)")
    parser.add_argument("--soak-s", type=float, help="how long a long day is (F26)")
    stores = parser.add_mutually_exclusive_group()
    stores.add_argument(
        "--store",
        choices=(SQLITE, POSTGRES, BOTH),
        default=BOTH,
        help="what keeps the rows: a file for each scene, or a PostgreSQL server that is started for this "
        "run; both, one after the other, if absent and PostgreSQL is installed",
    )
    stores.add_argument("--database-url", help="of a PostgreSQL server that runs here already")
    parser.add_argument(
        "--json",
        type=Path,
        default=KEPT,
        help=f"where to keep it, {KEPT} if absent; the second of two stores beside it",
    )
    parser.add_argument("--data-dir", type=Path, default=Path("var/chaos"), help="on the disk to use")
    return parser.parse_args(given)


def runs(asked: argparse.Namespace, *, has_postgres: bool) -> Sequence[Run]:
    """Return what is played on which store, and where that is kept. Those without any fault are left out."""
    faults = asked.only.split(",") if asked.only else list(FAULTS)
    if asked.database_url is not None or asked.store == POSTGRES:
        return [Run(POSTGRES, faults, asked.json)]
    if asked.store == SQLITE or not has_postgres:
        return [Run(SQLITE, faults, asked.json)]
    # Once is enough for scenes whose database is their own.
    on_file = [fault for fault in faults if fault not in OWN_DATABASE]
    beside = asked.json.with_stem(f"{asked.json.stem}-{POSTGRES}")
    both = [Run(SQLITE, on_file, asked.json), Run(POSTGRES, faults, beside)]
    return [run for run in both if run.faults]


def play_run(run: Run, asked: argparse.Namespace, scale: Scale) -> list[Outcome]:
    """Play all of it, on a server that is started for it where none is given."""
    directory = Path(tempfile.mkdtemp(dir=asked.data_dir)).resolve()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        server = None
        if run.store == POSTGRES and asked.database_url is None and not run.all_own:
            server = PostgresServer(DURABLE)
            stack.callback(server.remove)
        stage = Stage(directory, scale=scale, seed=asked.seed, database_url=asked.database_url, server=server)
        report = Report(at="", machine=machine(), database=run.database, quick=asked.quick, outcomes=[])
        return asyncio.run(play(stage, run.faults, lambda done: keep(report, done, run.file)))


def keep(report: Report, outcomes: list[Outcome], file: Path) -> None:
    """Write what was played so far, so that a run that is ended has not been for nothing."""
    report.at = datetime.now(UTC).isoformat(timespec="seconds")
    report.outcomes = tuple(outcomes)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    new.replace(file)


async def play(stage: Stage, wanted: Sequence[str], kept: Callable[[list[Outcome]], None]) -> list[Outcome]:
    """Play these scenes, one after the other; a SIGTERM ends them with all that they started."""
    playing = asyncio.current_task()
    assert playing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    if stage.scale.per_s is None and not set(wanted) <= OWN_DATABASE:
        tell("what this machine can carry")
        stage.per_s = await usual_load(stage)
    outcomes: list[Outcome] = []
    for fault in wanted:
        gc.collect()
        began_s = time.monotonic()
        if fault not in SCENES:
            tell(f"{fault} is not played: {FAULTS[fault].not_here}")
            continue
        tell(f"{fault}: {FAULTS[fault].what}")
        try:
            async with asyncio.timeout(SCENE_S_MAX):
                outcomes.append(await SCENES[fault](stage))
            broken = ", ".join(sorted(outcomes[-1].broken))
            came_to = f"BROKEN {broken}" if broken else "held"
            took = f"{time.monotonic() - began_s:.0f} s at {outcomes[-1].per_s:.0f} people a second"
            tell(f"{fault} took {took}: {came_to}")
        except CannotPlay as reason:
            tell(f"{fault} is not played: {reason}")
        except Exception as error:
            tell(f"{fault} ended too early: {error!r}")
            outcomes.append(unplayed(fault, FAULTS[fault].what, stage.seed, stage.per_s, repr(error)))
        kept(outcomes)
    return outcomes


def tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
