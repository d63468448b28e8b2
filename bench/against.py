"""Is this program faster than another version? `python -m bench.against ../other/src [--rounds 24]`.

Both run side by side, each with a carrier and a database of its own, and are asked by turns. A machine that
is slow for a minute is so for both, so the median of the ratios tells a change of one or two per cent where
two runs of the bench, one after the other, tell none below ten.
"""

import argparse
import gc
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import uvloop

from bench.cases import Dastak, Throughput
from bench.loopback_carrier import Carrier
from bench.processes import LOAD_CORE
from bench.subject import make_installation

OURS: Final = Path(__file__).parents[1] / "src"
WARM: Final = 5_000
OPERATIONS: Final = 4_000
CASES: Final = ("starts", "mixed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.against", description=__doc__)
    parser.add_argument("theirs", type=Path, help="the `src` of another checkout")
    parser.add_argument("--rounds", type=int, default=24, help="of some three seconds each")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--data-dir", type=Path, help="on the disk to use")
    asked = parser.parse_args()
    if not (asked.theirs / "dastak").is_dir():
        parser.error(f"{asked.theirs} has no package `dastak`")
    os.sched_setaffinity(0, {LOAD_CORE})
    gc.disable()
    with tempfile.TemporaryDirectory(dir=asked.data_dir) as directory:
        uvloop.run(_compare(Path(directory), asked.theirs.resolve(), asked.rounds, asked.connections))


async def _compare(directory: Path, theirs: Path, rounds: int, connections: int) -> None:
    async with AsyncExitStack() as stack:
        both = [
            await _running(stack, directory / name, src) for name, src in (("theirs", theirs), ("ours", OURS))
        ]
        took: dict[str, list[tuple[Throughput, Throughput]]] = {name: [] for name in CASES}
        for n in range(rounds):
            for name in CASES:
                order = (0, 1) if n % 2 == 0 else (1, 0)
                by_turns = {who: await _measure(both[who], name, connections) for who in order}
                took[name].append((by_turns[0], by_turns[1]))
    for name, pairs in took.items():
        print(f"{name:7}{_compared(pairs)}", flush=True)


async def _running(stack: AsyncExitStack, directory: Path, src: Path) -> Dastak:
    """Start a version and warm it up; the stack stops it."""
    carrier = Carrier()
    made = await make_installation(directory, await carrier.listen())
    installation = made._replace(environment=made.environment | {"PYTHONPATH": str(src)})
    process = stack.enter_context(installation.serve())
    await process.until_listening(installation.port)
    await process.until_listening(installation.ops_port)
    dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
    await dastak.starts_case(64, WARM)
    return dastak


async def _measure(dastak: Dastak, name: str, connections: int) -> Throughput:
    case = dastak.starts_case if name == "starts" else dastak.mixed_case
    return await case(connections, OPERATIONS)


def _compared(pairs: list[tuple[Throughput, Throughput]]) -> str:
    low, middle, high = quantiles([ours.cpu_us / theirs.cpu_us for theirs, ours in pairs], n=4)
    figures = " ".join(
        f"{whose} {median(one.cpu_us for one in each):.0f} us {median(one.per_s for one in each):,.0f}/s"
        for whose, each in zip(("theirs", "ours"), zip(*pairs, strict=True), strict=True)
    )
    return f"{middle - 1:+.1%} CPU (half of the rounds {low - 1:+.1%} to {high - 1:+.1%}); {figures}"


if __name__ == "__main__":
    main()
