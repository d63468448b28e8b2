"""The whole cycle, from the start until its code is approved: by a clock, and as many as go."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from bench.cases import CHECK, OPEN_CONNECTIONS, Dastak, Latencies, Started, Throughput, dispatch_case, id_of
from bench.load import AGAIN_AFTER_S, TOO_BUSY, Answer, Figures, Pool, Request, connect, open_loop

LAST_S_MAX: Final = 30


class Cycles:
    """People who start, wait for their text, and check as soon as the answer and the text are here.

    Args:
        on_approved: Told how long each took, from the moment that `begin` was given.

    Attributes:
        sent_away: How often somebody was told to come again, and did.
    """

    def __init__(self, dastak: Dastak, pool: Pool, on_approved: Callable[[float], None]) -> None:
        self._dastak, self._pool, self._on_approved = dastak, pool, on_approved
        self._loop = asyncio.get_running_loop()
        self._since_s: dict[str, float] = {}
        self._started: dict[str, Started] = {}
        self.sent_away = 0
        dastak.carrier.on_text = self._check

    def begin(self, request: Request, since_s: float) -> None:
        """Let one begin."""
        self._since_s[request.subject] = since_s
        self._ask(request.octets, partial(self._on_started, request.subject))

    def _ask(self, octets: bytes, answered: Callable[[bytes], None]) -> None:
        def heard(status: int, body: bytes) -> None:
            if status == TOO_BUSY:
                self.sent_away += 1
                self._loop.call_later(AGAIN_AFTER_S, self._pool.ask, octets, heard)
                return
            assert status in (200, 201), (status, body)
            answered(body)

        self._pool.ask(octets, heard)

    def _on_started(self, msisdn: str, body: bytes) -> None:
        self._started[msisdn] = Started(id_of(body), msisdn)
        self._check(msisdn)

    def _check(self, msisdn: str) -> None:
        if msisdn in self._started and msisdn in self._dastak.carrier.texts:
            octets = self._dastak.check_octets(self._started.pop(msisdn))
            self._ask(octets, partial(self._on_checked, msisdn))

    def _on_checked(self, msisdn: str, body: bytes) -> None:
        self._dastak.on_answer(Answer(CHECK, 200, body, 0.0))
        self._on_approved(time.perf_counter() - self._since_s.pop(msisdn))


async def cycle_case(dastak: Dastak, *, per_s: float, count: int) -> Latencies:
    """Let people begin by a clock: timed from the scheduled start to `approved`."""
    pool = Pool(await connect(dastak.port, OPEN_CONNECTIONS))
    took_s: list[float] = []
    done = asyncio.get_running_loop().create_future()

    def approved(seconds: float) -> None:
        took_s.append(seconds)
        if len(took_s) == count:
            done.set_result(None)

    people = Cycles(dastak, pool, approved)
    wanted = dastak.carrier.delivered + count
    cpu_before_s = dastak.process.cpu_s
    await open_loop(dastak.starts(count), per_s=per_s, send=people.begin)
    async with asyncio.timeout(LAST_S_MAX):
        await done
    await dastak.carrier.until_delivered(wanted)
    dastak.carrier.on_text = None
    pool.close()
    used_s = dastak.process.cpu_s - cpu_before_s
    return Latencies.of("start to approved", per_s, took_s, failed=0, cpu_s=used_s)


async def half_load(dastak: Dastak, most: Sequence[Throughput], *, open_s: int) -> list[Latencies]:
    """Let people start, and go through whole cycles, by a clock at half of the most that goes."""
    starts, cycles = (
        int(max(case.per_s for case in most if case.name == name) / 2) for name in ("starts", "cycles")
    )
    latencies = await dispatch_case(dastak, per_s=starts, count=starts * open_s)
    return [*latencies, await cycle_case(dastak, per_s=cycles, count=cycles * open_s)]


async def most_cycles(dastak: Dastak, at_once: int, count: int) -> Throughput:
    """Have so many people at once, each followed by the next one when its code is approved."""
    starts = dastak.starts(count)
    return await dastak.measure(
        "cycles",
        partial(_one_after_the_other, dastak, starts, at_once, count),
        connections=at_once,
        texts=count,
    )


async def _one_after_the_other(
    dastak: Dastak, starts: Iterator[Request], at_once: int, count: int
) -> Figures:
    ports = [node.port for node in dastak.nodes]
    pool = Pool([one for port in ports for one in await connect(port, at_once // len(ports))])
    figures, done = Figures(), asyncio.get_running_loop().create_future()

    def begin() -> None:
        if (request := next(starts, None)) is not None:
            people.begin(request, time.perf_counter())

    def approved(seconds: float) -> None:
        figures.latencies_s.append(seconds)
        begin()
        if len(figures.latencies_s) == count:
            done.set_result(None)

    people = Cycles(dastak, pool, approved)
    began_s = time.perf_counter()
    for _ in range(at_once):
        begin()
    await done
    figures.wall_s = time.perf_counter() - began_s
    figures.statuses = Counter({200: count, TOO_BUSY: people.sent_away})
    dastak.carrier.on_text = None
    pool.close()
    return figures
