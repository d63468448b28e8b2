"""What a second process on one SQLite file would bring: `python -m bench.shared_file`.

Two programs on one file are no way to run Dastak, and the second one does not start: each keeps limits and
its newest messages in memory. Here they only show what the file allows.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.cases import Dastak, Throughput
from bench.loopback_carrier import Carrier
from bench.processes import Pinned, free_port
from bench.report import tabulated
from bench.subject import Installation, make_installation
from dastak.store.sqlite_file import SERVED_MARK

CONNECTIONS = 64
WARM = 500
# Of the numbers that each process is asked for.
APART = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.shared_file", description=__doc__)
    parser.add_argument("--operations", type=int, default=6_000)
    parser.add_argument("--data-dir", type=Path, default=Path("var/bench"), help="on the disk to measure")
    asked = parser.parse_args()
    asked.data_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=asked.data_dir)).resolve()
    try:
        rows = [uvloop.run(_measured(directory / str(count), count, asked.operations)) for count in (1, 2)]
    finally:
        shutil.rmtree(directory)
    head = (
        "processes",
        "starts/s",
        "checks/s",
        "CPU us a start",
        "CPU us a check",
        "p99 ms",
        "commits/s",
        "failed",
    )
    print(tabulated(head, rows))


async def _measured(directory: Path, count: int, operations: int) -> tuple[str, ...]:
    """Start and check with so many programs on one file; all cores are free to all."""
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    connections, each = CONNECTIONS // count, operations // count
    with ExitStack() as stack:
        programs = [await _run(stack, installation, carrier, number) for number in range(count)]

        async def starts(number_each: int) -> list[Throughput]:
            wanted = carrier.delivered + number_each * count
            cases = [
                one.run("starts", one.starts(number_each), connections=connections, texts=0)
                for one in programs
            ]
            done = await asyncio.gather(*cases)
            await carrier.until_delivered(wanted - sum(case.failed for case in done))
            return done

        await starts(WARM)
        started = await starts(each)
        cases = [
            one.run("checks", one.checks(one.pending), connections=connections, texts=0) for one in programs
        ]
        checked = await asyncio.gather(*cases)
    return (
        str(count),
        f"{sum(case.per_s for case in started):,.0f}",
        f"{sum(case.per_s for case in checked):,.0f}",
        f"{sum(case.cpu_us for case in started) / count:.0f}",
        f"{sum(case.cpu_us for case in checked) / count:.0f}",
        f"{max(case.p99_ms for case in started):.1f}",
        f"{sum(case.commits_per_s or 0 for case in started):,.0f}",
        f"{sum(case.failed for case in (*started, *checked))}",
    )


async def _run(stack: ExitStack, installation: Installation, carrier: Carrier, number: int) -> Dastak:
    port, ops_port = free_port(), free_port()
    environment = {
        **installation.environment,
        "DASTAK__SERVER__LISTEN": f"127.0.0.1:{port}",
        "DASTAK__SERVER__OPS_LISTEN": f"127.0.0.1:{ops_port}",
    }
    command = ("-m", "dastak", "--config", str(installation.directory / "dastak.toml"), "serve")
    process = stack.enter_context(
        Pinned(*command, environment=environment, log=installation.directory / "log")
    )
    os.sched_setaffinity(process.process.pid, range(os.cpu_count() or 1))
    await process.until_listening(port)
    await process.until_listening(ops_port)
    # Its lock stays with a file that nobody finds any more: the next one starts beside it.
    (installation.directory / f"dastak.db{SERVED_MARK}").unlink()
    dastak = Dastak(process, port, ops_port, installation.api_key, carrier)
    dastak.msisdn += number * APART
    return dastak


if __name__ == "__main__":
    main()
