"""The cases: starts, checks and both as fast as they go, and dispatch by a clock."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import msgspec

from bench.load import Answer, Figures, Pool, Request, closed_loop, connect, open_loop, post, quantile_ms
from bench.loopback_carrier import Carrier
from bench.processes import Pinned, cpu_s
from bench.scrape import Batches, batches

# Indian mobile numbers: 9 and nine more digits; every one is used once.
FIRST_MSISDN = 919_000_000_000
OPEN_CONNECTIONS = 64
# What requests are about: a start has its number, the others have nothing to keep.
CHECK = "check"
BARE = "bare"


class Throughput(msgspec.Struct, kw_only=True):
    """A closed loop.

    Attributes:
        sent_away: How often a request was told to come again, and did; its time counts from the first try.
        cpu_us: Of the server, all threads, for one operation and all that follows from it until the last
            receipt is durable.
        load_cpu_us: Of the bench (client and carrier) for the same.
        delivered_share: How many of the texts had their receipt durable when the last answer came.
        drain_s: How long the rest took.
        settled_per_s: Operations a second until everything was durable.
    """

    name: str
    connections: int
    operations: int
    failed: int
    sent_away: int = 0
    per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_us: float
    load_cpu_us: float
    commits_per_s: float | None
    batch_mean: float | None
    delivered_share: float
    drain_s: float
    settled_per_s: float


class Started(NamedTuple):
    """A verification that waits for its check."""

    id: str
    msisdn: str


class Node(NamedTuple):
    """One process of the program; without a port for figures it shows none."""

    process: Pinned
    port: int
    ops_port: int | None


class Dastak:
    """The program under test, as the bench drives it.

    Attributes:
        nodes: One; whoever adds another has the closed loops ask all of them.
        pending: What was started and not yet checked.
        msisdn: The number that was used last.
    """

    def __init__(
        self, process: Pinned, port: int, ops_port: int | None, api_key: str, carrier: Carrier
    ) -> None:
        self.process = process
        self.port = port
        self.nodes = [Node(process, port, ops_port)]
        self.carrier = carrier
        self.pending: deque[Started] = deque()
        self._api_key = api_key
        self.msisdn = FIRST_MSISDN

    def starts(self, count: int) -> Iterator[Request]:
        """Make start requests, each for a number of its own."""
        for _ in range(count):
            self.msisdn += 1
            msisdn = str(self.msisdn)
            body = b'{"to":"+%s"}' % msisdn.encode()
            yield Request(msisdn, post("/v1/verifications", self._api_key, body))

    def checks(self, started: Iterable[Started]) -> Iterator[Request]:
        """Make checks with the codes that the texts brought."""
        for verification in started:
            yield Request(CHECK, self.check_octets(verification))

    def check_octets(self, started: Started) -> bytes:
        body = b'{"code":"%s"}' % self.carrier.texts[started.msisdn].code.encode()
        return post(f"/v1/verifications/{started.id}/check", self._api_key, body)

    def on_answer(self, answer: Answer) -> None:
        """Remember what was started; an answer to a check must approve."""
        if answer.subject == CHECK:
            assert answer.status != 200 or b'"approved":true' in answer.body, answer
        elif answer.subject != BARE and answer.status == 201:
            self.pending.append(Started(id_of(answer.body), answer.subject))

    async def run(
        self, name: str, requests: Iterable[Request], *, connections: int, texts: int
    ) -> Throughput:
        """Run a closed loop over requests that lead to so many texts, and wait for the last receipt."""
        ready, ports = iter(list(requests)), [node.port for node in self.nodes]
        loop = partial(closed_loop, ports, ready, connections=connections, on_answer=self.on_answer)
        return await self.measure(name, loop, connections=connections, texts=texts)

    async def measure(
        self, name: str, loop: Callable[[], Awaitable[Figures]], *, connections: int, texts: int
    ) -> Throughput:
        """Run a loop that leads to so many texts, and wait for the last receipt."""
        carrier = self.carrier
        texts_before = carrier.delivered
        batches_before = await self._batches()
        cpu_before_s, load_before_s = self._cpu_s(), cpu_s(os.getpid())
        began_s = time.perf_counter()
        figures = await loop()
        delivered_share = (carrier.delivered - texts_before) / texts if texts else 1.0
        answered_s = time.perf_counter()
        # What was refused sends no text.
        await carrier.until_delivered(texts_before + texts - figures.failed if texts else 0)
        drained_s = time.perf_counter()
        operations = len(figures.latencies_s)
        committed = Batches.between(batches_before, await self._batches())
        return Throughput(
            name=name,
            connections=connections,
            operations=operations,
            failed=figures.failed,
            sent_away=figures.sent_away,
            per_s=figures.per_s,
            p50_ms=quantile_ms(figures.latencies_s, 0.5),
            p99_ms=quantile_ms(figures.latencies_s, 0.99),
            p999_ms=quantile_ms(figures.latencies_s, 0.999),
            cpu_us=(self._cpu_s() - cpu_before_s) / operations * 1e6,
            load_cpu_us=(cpu_s(os.getpid()) - load_before_s) / operations * 1e6,
            commits_per_s=committed and committed.commits / (drained_s - began_s),
            batch_mean=committed and committed.operations / committed.commits,
            delivered_share=delivered_share,
            drain_s=drained_s - answered_s,
            settled_per_s=operations / (drained_s - began_s),
        )

    async def _batches(self) -> Batches | None:
        shown = [await batches(node.ops_port) for node in self.nodes if node.ops_port is not None]
        counts = [one for one in shown if one is not None]
        return Batches(*map(sum, zip(*counts, strict=True))) if counts else None

    def _cpu_s(self) -> float:
        return sum(node.process.cpu_s for node in self.nodes)

    async def starts_case(self, connections: int, count: int) -> Throughput:
        """Start; the deliveries that follow take their share of the same core."""
        requests = self.starts(count)
        return await self.run("starts", requests, connections=connections, texts=count)

    async def checks_case(self, connections: int) -> Throughput:
        """Check everything that is pending, each once and with the right code."""
        requests = self.checks([self.pending.popleft() for _ in range(len(self.pending))])
        return await self.run("checks", requests, connections=connections, texts=0)

    async def mixed_case(self, connections: int, count: int) -> Throughput:
        """Start and check by turns; what is checked was started before the clock, as far as it was let in."""
        count = 2 * min(count // 2, len(self.pending))
        checks = self.checks([self.pending.popleft() for _ in range(count // 2)])
        starts = self.starts(count // 2)
        requests = (request for pair in zip(starts, checks, strict=True) for request in pair)
        return await self.run("mixed", requests, connections=connections, texts=count // 2)


class Latencies(msgspec.Struct, kw_only=True):
    """An open loop; every latency counts from the scheduled time or from the answer, as its name says."""

    name: str
    per_s: float
    operations: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_us: float

    @classmethod
    def of(cls, name: str, per_s: float, took_s: list[float], *, failed: int, cpu_s: float) -> "Latencies":
        return cls(
            name=name,
            per_s=per_s,
            operations=len(took_s),
            failed=failed,
            p50_ms=quantile_ms(took_s, 0.5),
            p99_ms=quantile_ms(took_s, 0.99),
            p999_ms=quantile_ms(took_s, 0.999),
            cpu_us=cpu_s / len(took_s) * 1e6,
        )


async def dispatch_case(dastak: Dastak, *, per_s: float, count: int) -> list[Latencies]:
    """Start by a clock; time the answers, and the way from each 201 to its submit_sm."""
    pool = Pool(await connect(dastak.port, OPEN_CONNECTIONS))
    wanted = dastak.carrier.delivered + count
    answered_s: dict[str, float] = {}
    took_s: list[float] = []
    failed = 0

    def answered(msisdn: str, due_s: float, status: int, body: bytes) -> None:
        nonlocal failed
        answered_s[msisdn] = time.perf_counter()
        took_s.append(answered_s[msisdn] - due_s)
        failed += status != 201
        dastak.on_answer(Answer(msisdn, status, body, answered_s[msisdn]))

    cpu_before_s = dastak.process.cpu_s
    await open_loop(
        dastak.starts(count),
        per_s=per_s,
        send=lambda request, due_s: pool.ask(request.octets, partial(answered, request.subject, due_s)),
    )
    await dastak.carrier.until_delivered(wanted)
    used_s = dastak.process.cpu_s - cpu_before_s
    pool.close()
    texts = dastak.carrier.texts
    # The two race over loopback: a text that was there before its 201 was read took no time at all.
    to_carrier_s = [max(0.0, texts[msisdn].at_s - at_s) for msisdn, at_s in answered_s.items()]
    return [
        Latencies.of("start, by a clock", per_s, took_s, failed=failed, cpu_s=used_s),
        Latencies.of("201 to submit_sm", per_s, to_carrier_s, failed=failed, cpu_s=used_s),
    ]


class Failover(msgspec.Struct, kw_only=True):
    """One of two binds is cut in the middle of an open loop.

    Attributes:
        lost: Texts that never came to the carrier.
        twice: Texts that came twice.
        in_doubt: Texts that the carrier had not answered when it was cut: they may come twice.
        calm_p99_ms: From 201 to the submit_sm that was answered, of those before the cut.
        cut_p99_ms: The same, of those in the second around the cut.
        longest_ms: The same, of all.
    """

    per_s: float
    operations: int
    lost: int
    twice: int
    in_doubt: int
    calm_p99_ms: float
    cut_p99_ms: float
    longest_ms: float


async def failover_case(dastak: Dastak, *, per_s: float, count: int) -> Failover:
    """Start by a clock and cut one of two binds half-way."""
    pool = Pool(await connect(dastak.port, OPEN_CONNECTIONS))
    carrier = dastak.carrier
    answered_s: dict[str, float] = {}

    def answered(msisdn: str, status: int, body: bytes) -> None:
        assert status == 201, (status, body)
        answered_s[msisdn] = time.perf_counter()

    cut_s = 0.0

    def cut() -> None:
        nonlocal cut_s
        cut_s = time.perf_counter()
        carrier.cut_a_link()

    asyncio.get_running_loop().call_later(count / per_s / 2, cut)
    await open_loop(
        dastak.starts(count),
        per_s=per_s,
        send=lambda request, _due_s: pool.ask(request.octets, partial(answered, request.subject)),
    )
    # What was in doubt may come twice, and only what was answered has a receipt.
    await carrier.until_delivered(count)
    pool.close()
    took_s = {
        msisdn: max(0.0, carrier.texts[msisdn].at_s - at_s)
        for msisdn, at_s in answered_s.items()
        if msisdn in carrier.texts
    }
    around = [took for msisdn, took in took_s.items() if abs(answered_s[msisdn] - cut_s) <= 0.5]
    before = [took for msisdn, took in took_s.items() if answered_s[msisdn] < cut_s - 0.5]
    return Failover(
        per_s=per_s,
        operations=count,
        lost=count - len(took_s),
        twice=carrier.submitted - len(took_s),
        in_doubt=carrier.in_doubt,
        calm_p99_ms=quantile_ms(before, 0.99),
        cut_p99_ms=quantile_ms(around, 0.99),
        longest_ms=max(took_s.values()) * 1000,
    )


def id_of(body: bytes) -> str:
    """Find the id in the answer to a start."""
    at = body.index(b"ver_")
    return body[at : at + 36].decode()
