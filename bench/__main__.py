"""Measure this machine: `python -m bench [--quick] [--json FILE] [--data-dir DIRECTORY]`."""

import argparse
import asyncio
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop

from bench.call_setups import measure_first_ring, measure_setups
from bench.cases import (
    BARE,
    Dastak,
    Failover,
    Latencies,
    Throughput,
    dispatch_case,
    failover_case,
)
from bench.cycles import cycle_case, half_load, most_cycles
from bench.footprint import Footprint, measure_footprint, size_mib
from bench.fsyncs import measure_fsyncs
from bench.growth import Growth, growth_text, measure_growth
from bench.load import Request, post
from bench.loopback_carrier import Carrier
from bench.neighbour import slowdown
from bench.pages import measure_pages
from bench.postgres_cases import measure_postgres
from bench.processes import LOAD_CORE, Pinned, free_port
from bench.report import Memory, Report, machine, text
from bench.spoken_calls import measure_spoken_calls
from bench.subject import make_installation
from bench.submits import measure_submits

KEPT = Path("bench/results/latest.json")
GROWTH_KEPT = Path("bench/results/growth-latest.json")
CONNECTIONS = (64, 256)
DISPATCH_PER_S = 500
CYCLES_PER_S = 200
FAILOVER_PER_S = 500
# So long a carrier thinks about a text: without it nothing would be in doubt when a link is cut.
CARRIER_THINKS_S = 0.1
Found = TypeVar("Found")


class Scale(msgspec.Struct, frozen=True):
    """How much of everything."""

    rounds: int
    operations: int
    open_s: int
    pending: int
    fsync_s: float
    spoken_s: float
    speaking: tuple[int, ...]
    climb: bool
    setups: int
    failed_texts: int
    renders: int
    storm_s: float


FULL = Scale(
    rounds=3, operations=20_000, open_s=20, pending=100_000, fsync_s=3.0, spoken_s=10.0,
    speaking=(50, 200, 500, 750, 1_000), climb=True, setups=10_000, failed_texts=1_000,
    renders=10_000, storm_s=10.0,
)  # fmt: skip
QUICK = Scale(
    rounds=1, operations=6_000, open_s=4, pending=10_000, fsync_s=0.5, spoken_s=2.0,
    speaking=(500,), climb=False, setups=2_000, failed_texts=200,
    renders=1_000, storm_s=3.0,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough look in under a minute")
    parser.add_argument("--json", type=Path, help=f"where to keep it; {KEPT} or {GROWTH_KEPT} if absent")
    parser.add_argument("--data-dir", type=Path, default=Path("var/bench"), help="on the disk to measure")
    parser.add_argument(
        "--growth", type=int, nargs="+", metavar="ROWS",
        help="measure only how cost grows with so many verifications, such as 10000 1000000; takes minutes",
    )  # fmt: skip
    asked = parser.parse_args()
    asked.data_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=asked.data_dir)).resolve()
    os.sched_setaffinity(0, {min(LOAD_CORE, (os.cpu_count() or 1) - 1)})
    # The collector of the bench would stop its clock.
    gc.disable()
    try:
        scale = QUICK if asked.quick else FULL
        report: Report | Growth
        if asked.growth:
            report = uvloop.run(measure_growth(directory, sizes=asked.growth, operations=scale.operations))
        else:
            report = uvloop.run(measure(scale, directory))
    finally:
        shutil.rmtree(directory)
    kept = asked.json or (GROWTH_KEPT if asked.growth else KEPT)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    print(text(report) if isinstance(report, Report) else growth_text(report))
    return 1 if isinstance(report, Report) and report.failures else 0


class Cases:
    """The cases of one run: one that fails is told and does not lose what the others measured."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}

    async def run(self, name: str, case: Callable[[], Awaitable[Found]]) -> Found | None:
        """Run a case; whatever goes wrong in it is kept beside its name."""
        tell(name)
        try:
            return await case()
        except Exception as error:
            self.failures[name] = f"{type(error).__name__}: {error}"
            tell(f"FAILED: {name}: {self.failures[name]}")
            return None


async def measure(scale: Scale, directory: Path) -> Report:
    """Run all cases, one after the other."""
    cases = Cases()
    run, at = cases.run, directory
    to_thread = asyncio.to_thread
    fsyncs = await run("disk", lambda: to_thread(measure_fsyncs, at, seconds=scale.fsync_s))
    slower = await run("a busy neighbour core", lambda: to_thread(slowdown))
    bare = await run("bare server", lambda: measure_bare(scale, at))
    submits = await run(
        "submit_sm against a bulk sink",
        lambda: measure_submits(at, count=2 * scale.operations, rounds=scale.rounds),
    )
    program = await run("the program", lambda: measure_program(scale, at / "cases"))
    rounds, latencies, started_mib, ended_mib = program or ([], [], None, None)
    failover = await run("a bind is cut", lambda: measure_failover(scale, at / "failover"))
    ring = await run(
        "texts that fail, and the calls that follow",
        lambda: measure_first_ring(at / "ring", count=scale.failed_texts),
    )
    call_setups = await run("call set-ups", lambda: measure_setups(scale.setups))
    spoken_calls = await run(
        "speaking calls",
        lambda: measure_spoken_calls(at, seconds=scale.spoken_s, levels=scale.speaking, climb=scale.climb),
    )
    pages = await run(
        "pages, and a storm of logins",
        lambda: measure_pages(
            at / "pages", renders=scale.renders, seconds=scale.storm_s, rounds=scale.rounds
        ),
    )
    postgres = await run(
        "the same on PostgreSQL",
        lambda: measure_postgres(at / "postgres", operations=scale.operations, open_s=scale.open_s),
    )
    footprint, filled_mib = await run("footprint", lambda: fill(scale, at / "fill")) or (None, None)
    return Report(
        machine=machine(),
        neighbour_slowdown=slower,
        fsyncs=fsyncs,
        bare=bare or [],
        throughput=middle(rounds),
        rounds=rounds,
        latencies=[*latencies, *([ring] if ring else [])],
        submits=submits or [],
        failover=failover,
        spoken_calls=spoken_calls or [],
        call_setups=call_setups,
        pages=pages,
        postgres=postgres,
        memory=Memory(started_mib=started_mib, ended_mib=ended_mib, filled_mib=filled_mib),
        footprint=footprint,
        failures=cases.failures,
    )


async def measure_bare(scale: Scale, directory: Path) -> list[Throughput]:
    """Ask our edge for a constant, with the octets of a start."""
    port = free_port()
    octets = post("/v1/verifications", "dk_live_" + "0" * 40, b'{"to":"+919000000001"}')
    with Pinned("-m", "bench.bare", str(port), log=directory / "bare.log") as process:
        await process.until_listening(port)
        bare = Dastak(process, port, None, "", Carrier())
        cases = []
        for connections in CONNECTIONS:
            tell(f"bare server, {connections} connections")
            await bare.run("bare", [Request(BARE, octets)] * 1_000, connections=connections, texts=0)
            requests = [Request(BARE, octets)] * scale.operations
            cases.append(await bare.run("bare", requests, connections=connections, texts=0))
    return cases


async def measure_program(
    scale: Scale, directory: Path
) -> tuple[list[Throughput], list[Latencies], float, float]:
    """Run every case on one installation."""
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    rounds: list[Throughput] = []
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await process.until_listening(installation.ops_port)
        started_mib = process.resident_mib
        dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
        tell("warm-up")
        await dastak.starts_case(64, 1_000)
        await dastak.checks_case(64)
        for number in range(1, scale.rounds + 1):
            for connections in CONNECTIONS:
                tell(f"round {number} of {scale.rounds}, {connections} connections")
                rounds.append(await dastak.starts_case(connections, scale.operations))
                rounds.append(await dastak.checks_case(connections))
                await dastak.starts_case(connections, scale.operations // 2)
                rounds.append(await dastak.mixed_case(connections, scale.operations))
                await dastak.checks_case(connections)
                rounds.append(await most_cycles(dastak, connections, scale.operations // 2))
        tell(f"{DISPATCH_PER_S} starts a second, {scale.open_s} s")
        latencies = await dispatch_case(dastak, per_s=DISPATCH_PER_S, count=DISPATCH_PER_S * scale.open_s)
        tell(f"{CYCLES_PER_S} whole cycles a second, {scale.open_s} s")
        latencies.append(await cycle_case(dastak, per_s=CYCLES_PER_S, count=CYCLES_PER_S * scale.open_s))
        tell(f"half of the most, {scale.open_s} s each")
        latencies += await half_load(dastak, middle(rounds), open_s=scale.open_s)
        return rounds, latencies, started_mib, process.resident_mib


async def measure_failover(scale: Scale, directory: Path) -> Failover:
    """Cut one of two binds under load."""
    carrier = Carrier(answer_after_s=CARRIER_THINKS_S)
    installation = await make_installation(directory, await carrier.listen(), binds=2)
    tell(f"{FAILOVER_PER_S} starts a second, {scale.open_s} s, and a bind is cut")
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await carrier.until_links(2)
        dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
        return await failover_case(dastak, per_s=FAILOVER_PER_S, count=FAILOVER_PER_S * scale.open_s)


async def fill(scale: Scale, directory: Path) -> tuple[Footprint, float]:
    """Fill a fresh database with pending verifications and measure it, as many as were let in."""
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    empty_mib = size_mib(installation.database)
    tell(f"{scale.pending:,} pending")
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await process.until_listening(installation.ops_port)
        dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
        await dastak.starts_case(CONNECTIONS[-1], scale.pending)
        filled_mib = process.resident_mib
        accepted = len(dastak.pending)
    tell("sweep")
    return await measure_footprint(installation.database, empty_mib=empty_mib, pending=accepted), filled_mib


def middle(rounds: Sequence[Throughput]) -> list[Throughput]:
    """Return of each case the round with the middle rate."""
    cases: dict[tuple[str, int], list[Throughput]] = {}
    for case in rounds:
        cases.setdefault((case.name, case.connections), []).append(case)
    return [sorted(same, key=lambda case: case.per_s)[len(same) // 2] for same in cases.values()]


def tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
