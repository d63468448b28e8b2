"""Calls that speak through the whole program: how evenly packets come while the API is at its limit.

The voice process has one core. The API, its load, the SMPP carrier and the phones share the other, which is
therefore busy all the time.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.cases import Dastak
from bench.load import Request, closed_loop, post
from bench.loopback_carrier import Carrier
from bench.phones import Heard
from bench.processes import LOAD_CORE, SERVER_CORE, cpu_s, move, resident_mib
from bench.scrape import until_figure
from bench.subject import Installation, make_installation

CALLS_A_TRUNK = 500
# Packets further apart than this are heard; beyond it is the limit that is looked for.
GAP_MS_MAX = 30.0
# So many calls more each time, until the limit is found or this bench knows no more ports.
STEP = 250
CALLS_MAX = 3_000
# Below what the system gives away by itself.
FIRST_RTP_PORT = 20_000
LOAD_CONNECTIONS = 64
# From the last ringing until all have answered and the interpreter is warm.
WARM_S = 1.5


class SpokenCalls(Heard, kw_only=True):
    """So many calls at one time.

    Attributes:
        wanted: How many were asked for.
        cpu_share: Of one core, for one call.
        begun_s: From the first request to the last phone that rings.
        loaded_per_s: What the API did meanwhile: starts, and the texts and receipts of each.
        resident_mib: Of the voice process.
        kib_each: What it grew by, for one call.
    """

    wanted: int
    cpu_share: float
    begun_s: float
    loaded_per_s: float
    resident_mib: float
    # Zero in runs that were kept before it was measured.
    kib_each: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether all calls spoke throughout, evenly enough."""
        return self.calls == self.wanted and self.gap_p99_ms <= GAP_MS_MAX


async def measure_spoken_calls(
    directory: Path, *, seconds: float, levels: tuple[int, ...], climb: bool
) -> list[SpokenCalls]:
    """Measure each number of calls, each with a fresh program.

    Args:
        directory: Empty; on the disk to measure.
        seconds: How long each is measured.
        levels: How many calls, upwards.
        climb: Go on above the last level until one does not hold.
    """
    found = [await _measure(directory / f"speaking-{calls}", calls, seconds) for calls in levels]
    while climb and found[-1].holds and (calls := found[-1].wanted + STEP) <= CALLS_MAX:
        found.append(await _measure(directory / f"speaking-{calls}", calls, seconds))
    return found


def limit_of(found: list[SpokenCalls]) -> str:
    """Say how many calls one process carries, as far as it was tried."""
    held = max((case.wanted for case in found if case.holds), default=0)
    missed = [case for case in found if not case.holds]
    if not missed:
        return f"the limit lies above {held:,} speaking calls, where no more were tried"
    first = min(missed, key=lambda case: case.wanted)
    return (
        f"{held:,} speaking calls held; of {first.wanted:,} {first.calls:,} spoke throughout, "
        f"with a gap of {first.gap_p99_ms:.1f} ms at p99 where {GAP_MS_MAX:.0f} are the most"
    )


async def _measure(directory: Path, calls: int, seconds: float) -> SpokenCalls:
    trunks = -(-calls // CALLS_A_TRUNK)
    carrier, told = Carrier(), directory.with_suffix(".json")
    command = [sys.executable, "-m", "bench.phones", str(seconds), str(told)]
    phones = await asyncio.to_thread(subprocess.Popen, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert phones.stdin is not None
    assert phones.stdout is not None
    try:
        installation = await make_installation(directory, await carrier.listen())
        sip_port = int(await asyncio.to_thread(phones.stdout.readline))
        await add_trunks(installation, sip_port, trunks=trunks)
        with installation.serve() as process:
            await process.until_listening(installation.port)
            await process.until_listening(installation.ops_port)
            key, ops = installation.api_key, installation.ops_port
            dastak = Dastak(process, installation.port, ops, key, carrier)
            voice = await process.child()
            for number in range(trunks):
                await until_figure(ops, f'dastak_bound{{route="trunk{number}"}}', 1)
            move(process.process.pid, LOAD_CORE)
            move(voice, SERVER_CORE)
            idle_mib = resident_mib(voice)
            began_s = time.perf_counter()
            await _ring(dastak, key, calls)
            await until_figure(ops, "dastak_calls_in_flight", calls)
            begun_s = time.perf_counter() - began_s
            await asyncio.sleep(WARM_S)
            phones.stdin.write(b"measure\n")
            phones.stdin.flush()
            cpu_before_s, began_s = cpu_s(voice), time.perf_counter()
            answers = await _load(dastak, seconds)
            took_s = time.perf_counter() - began_s
            cpu_share = (cpu_s(voice) - cpu_before_s) / took_s / calls
            memory = resident_mib(voice)
            await asyncio.to_thread(phones.wait, 60)
    finally:
        phones.kill()
        phones.wait()
    heard = msgspec.json.decode(told.read_bytes(), type=Heard)
    return SpokenCalls(
        **msgspec.structs.asdict(heard),
        wanted=calls,
        cpu_share=cpu_share,
        begun_s=begun_s,
        loaded_per_s=answers / took_s,
        resident_mib=memory,
        kib_each=(memory - idle_mib) * 1_024 / calls,
    )


async def add_trunks(installation: Installation, sip_port: int, *, trunks: int) -> None:
    """Add carriers that lead to the phones."""
    for number in range(trunks):
        first = FIRST_RTP_PORT + 2 * CALLS_A_TRUNK * number
        ports = f"rtp_ports=[{first}, {first + 2 * CALLS_A_TRUNK - 1}]"
        wanted = ("host=127.0.0.1", f"port={sip_port}", "caller=+911600123456", f"calls_max={CALLS_A_TRUNK}")
        settings = [word for one in (*wanted, ports) for word in ("--set", one)]
        await installation.command("carrier", "add", f"trunk{number}", "--kind", "sip", *settings)


async def _ring(dastak: Dastak, key: str, calls: int) -> None:
    """Ask for so many calls, as fast as the API takes them."""
    requests = []
    for start in dastak.starts(calls):
        body = b'{"to":"+%s","channel":"voice"}' % start.subject.encode()
        requests.append(Request(start.subject, post("/v1/verifications", key, body)))
    figures = await closed_loop([dastak.port], iter(requests), connections=16, on_answer=lambda _answer: None)
    assert not figures.failed, figures.statuses


async def _load(dastak: Dastak, seconds: float) -> int:
    """Start verifications as fast as the API takes them."""
    end_s = time.perf_counter() + seconds

    def until_the_end() -> Iterator[Request]:
        while time.perf_counter() < end_s:
            yield from dastak.starts(1)

    figures = await closed_loop(
        [dastak.port], until_the_end(), connections=LOAD_CONNECTIONS, on_answer=dastak.on_answer
    )
    return len(figures.latencies_s)
