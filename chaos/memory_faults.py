"""The program has no memory left: F25."""

import asyncio
import math
import resource
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from chaos.deaths import ANSWER_S, SLOW
from chaos.memory_box import MemoryBox, can_be_made
from chaos.outcome_table import Outcome
from chaos.stage import House, Stage
from chaos.watched_carrier import until
from dastak.simulator.faults import Fault

KILLED_S_MAX: Final = 60.0
DEAD_S_MAX: Final = 5.0
# It is left in peace for so many times as long as it was away: at six tenths of what it can do, who came
# meanwhile is served in one and a half.
PEACE_TIMES: Final = 2.0
# Less than the program has: what it gives back it does not get again.
TAKEN_OCTETS: Final = 64 * 2**20


async def out_of_memory(stage: Stage) -> Outcome:
    """F25: the kernel kills the program for want of memory, and then refuses it what it asks for."""
    thinking = (Fault(response=ANSWER_S),)
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(MemoryBox()) if can_be_made() else None
        house = await stack.enter_async_context(
            stage.house("f25", north=thinking, south=thinking, habits=SLOW)
        )
        if box is not None:
            await _start_again(house, box)
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            if box is not None:
                await _kills(house, box, stage.scale.kills)
            await _refusals(house, stage.scale.kills, box)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        return stage.outcome("F25", "out of memory", house, findings)


async def _kills(house: House, box: MemoryBox, count: int) -> None:
    """Have the kernel kill it so often."""
    for _ in range(count):
        await house.until_accepted(10)
        await box.squeeze(within_s=KILLED_S_MAX)
        killed_s = time.monotonic()
        await house.victim.until_dead(within_s=DEAD_S_MAX)
        await _start_again(house, box)
        await house.recovered(killed_s)
        await _peace(house)
    house.figures["kernel kills"] = box.kills


async def _refusals(house: House, count: int, box: MemoryBox | None) -> None:
    """Refuse it memory so often, for a while; it may end by that, at once or when it has memory again."""
    async with _service_manager(house, box) as statuses:
        for _ in range(count):
            await house.until_accepted(10)
            with _refused(house.victim.pid):
                await _until_more(statuses, within_s=house.stage.scale.settle_s)
            await house.recovered(time.monotonic())
            await _peace(house)
    house.figures |= {"memory refused": count, "ended by that": len(statuses)}
    house.figures["of these by a signal"] = sum(status < 0 for status in statuses)


async def _peace(house: House) -> None:
    await asyncio.sleep(PEACE_TIMES * house.recoveries[-1])


async def _until_more(statuses: Sequence[int], *, within_s: float) -> None:
    ended = len(statuses)
    with suppress(TimeoutError):
        await until(lambda: len(statuses) > ended, within_s=within_s, what="it ends")


@asynccontextmanager
async def _service_manager(house: House, box: MemoryBox | None) -> AsyncIterator[Sequence[int]]:
    """Start the program again whenever it has ended; what it ended with is in the list."""
    statuses: list[int] = []

    async def keep_up() -> None:
        while True:
            statuses.append(await house.victim.until_dead(within_s=math.inf))
            _spawn(house, box)

    keeping = asyncio.create_task(keep_up())
    try:
        yield statuses
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _start_again(house: House, box: MemoryBox | None) -> None:
    house.victim.kill()
    _spawn(house, box)
    await house.victim.process.until_listening(house.victim.port)


def _spawn(house: House, box: MemoryBox | None) -> None:
    with box.inside() if box is not None else nullcontext():
        house.victim.spawn()


@contextmanager
def _refused(pid: int) -> Iterator[None]:
    """Give a process no memory while the context lasts."""
    limits = resource.prlimit(pid, resource.RLIMIT_AS)
    has_octets = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has_octets - TAKEN_OCTETS, limits[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, limits)
