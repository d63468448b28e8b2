"""Counts on a real Valkey or Redis server: exact while it answers, and not missed while it does not."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from chaos.counting_server import CountingServer, counting_program
from dastak.commands.checks import limit_checks
from dastak.core.errors import RateLimited
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Policy
from dastak.core.tenant import ApiKey, Caller, Mode, Service, Tenant
from dastak.guard import shared_counts
from dastak.guard.buckets import US_PER_S, Rate
from dastak.guard.limits import LIMITS, LimitSettings, SendLimits
from dastak.guard.shared_counts import Answer, Asked, SharedCounts, Unshared
from tests.support.installed import Installation as Installed
from tests.support.needed import missing
from tests.support.patience import until

SECRET = b"k" * 32
HOUR_US = 3_600 * US_PER_S
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAST = Rate(count=1_000, per_s=1)
OPEN = LimitSettings(**dict.fromkeys(LIMITS, FAST))
FOUR_AN_HOUR = msgspec.structs.replace(OPEN, key=Rate(count=4, per_s=3_600))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CountingServer]:
    if counting_program() is None:
        missing("needs redis-server, which is not installed")
    with CountingServer(tmp_path / "counts") as one:
        yield one


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an answer while others keep this machine busy: what a late one means has a test of its own."""
    monkeypatch.setattr(shared_counts, "ANSWER_S_MAX", 10.0)


def counts(server: CountingServer, password: str | None = None) -> SharedCounts:
    return SharedCounts(server.url, password=password, secret=SECRET)


def asked(whose: str, burst: int, limit: str = "key") -> Asked:
    """So many at once, and then one each hour."""
    return Asked(limit, whose, HOUR_US, (burst - 1) * HOUR_US)


async def in_the_end(node: SharedCounts) -> Answer | None:
    """Ask again until the server is asked again and answers."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unshared):
                return await node.take([asked("a", 1)])
            await asyncio.to_thread(threading.Event().wait, 0.05)


async def test_nodes_allow_together_a_burst_and_not_one_more(server: CountingServer) -> None:
    async with counts(server) as first, counts(server) as second:
        told = await asyncio.gather(
            *(node.take([asked("a", 10)]) for _ in range(50) for node in (first, second))
        )
        other = await first.take([asked("b", 1)])

    refused = [answer for answer in told if answer is not None]
    assert (len(told) - len(refused), other) == (10, None)
    assert {answer.met for answer in refused} == {0}
    # One is allowed again an hour after the first.
    assert all(HOUR_US - 30 * US_PER_S < answer.wait_us <= HOUR_US for answer in refused)


async def test_limits_are_asked_together_and_one_that_is_met_leaves_the_others_uncounted(
    server: CountingServer,
) -> None:
    async with counts(server) as node:
        both = [await node.take([asked("a", 10), asked("s", 3, "service")]) for _ in range(6)]
        rest = [await node.take([asked("a", 10)]) for _ in range(8)]

    assert [answer and answer.met for answer in both] == [None] * 3 + [1] * 3
    assert [answer is None for answer in rest] == [True] * 7 + [False]


async def test_keys_tell_nothing_and_go_when_they_limit_nobody(server: CountingServer) -> None:
    async with counts(server) as node:
        await node.take([Asked("client_ip", "203.0.113.7", 50_000, 0)])
        keys = server.ask("KEYS *")
        await asyncio.to_thread(until, lambda: server.ask("DBSIZE") == b":0\r\n")

    assert keys.startswith(b"*1\r\n$39\r\ndastak:")
    assert b"203.0" not in keys


async def test_server_that_dies_is_not_waited_for_and_is_used_again_when_it_is_back(
    server: CountingServer,
) -> None:
    async with counts(server) as node:
        assert await node.take([asked("a", 1)]) is None
        server.kill()
        lost = await asyncio.gather(*(node.take([asked("a", 1)]) for _ in range(20)), return_exceptions=True)
        while_dead = node.shared
        server.start()
        again = await in_the_end(node)

    assert {type(answer) for answer in lost} == {Unshared}
    assert (while_dead, node.shared, node.unshared >= 20) == (False, True, True)
    assert again is None, "a server that was empty counts anew"


async def test_server_that_hangs_is_waited_for_by_those_of_one_moment_alone(
    server: CountingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counts(server) as node:
        assert await node.take([asked("a", 1)]) is None
        monkeypatch.setattr(shared_counts, "ANSWER_S_MAX", 0.02)
        server.freeze()
        try:
            first = await asyncio.gather(
                *(node.take([asked("a", 1)]) for _ in range(20)), return_exceptions=True
            )
            # Raised before anything is awaited: nobody else waits.
            for _ in range(20):
                with pytest.raises(Unshared):
                    node.take([asked("a", 1)]).send(None)
        finally:
            server.thaw()
        monkeypatch.undo()
        again = await in_the_end(node)

    assert {type(answer) for answer in first} == {Unshared}
    assert isinstance(again, Answer), "it kept what it had counted"


async def test_password_opens_and_a_wrong_one_is_no_answer(tmp_path: Path) -> None:
    if counting_program() is None:
        missing("needs redis-server, which is not installed")
    with CountingServer(tmp_path / "counts", password="open-sesame") as server:
        async with counts(server, "open-sesame") as right, counts(server, "shut") as wrong:
            told = await right.take([asked("a", 1)])
            with pytest.raises(Unshared):
                await wrong.take([asked("a", 1)])

    assert told is None


def caller() -> Caller:
    key = ApiKey(
        id="k1", digest=b"", tenant=1, service=1, mode=Mode.LIVE, scopes=(), name="app", created_at=NOON
    )
    service = Service(n=1, tenant=1, name="s", brand="Dastak", policy=Policy())
    return Caller(key, Tenant(n=1, name="t", daily_spend_cap_micros=0), service)


async def allowed(nodes: list[SendLimits], count: int) -> int:
    """Ask all nodes by turns for another number each time, and return how often they allow it."""
    told = 0
    for n in range(count):
        with suppress(RateLimited):
            await nodes[n % len(nodes)].take(caller(), Msisdn(f"+9198{n:08d}"), None, now=NOON)
            told += 1
    return told


async def test_nodes_share_the_rate_of_a_key_and_have_each_its_part_when_the_counts_are_lost(
    server: CountingServer,
) -> None:
    async with AsyncExitStack() as stack:
        several = [await stack.enter_async_context(counts(server)) for _ in range(2)]

        def fresh() -> list[SendLimits]:
            return [SendLimits(live=FOUR_AN_HOUR, shared=one, nodes=lambda: 2) for one in several]

        together = await allowed(fresh(), 12)
        server.kill()
        apart = await allowed(fresh(), 12)

    assert (together, apart) == (4, 4)


def test_doctor_finds_a_server_that_answers_well_and_one_that_hangs(
    server: CountingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installed(tmp_path / "installed")
    environment = {"DASTAK__LIMITS__VALKEY_URL": server.url}
    monkeypatch.setattr(limit_checks, "ANSWER_S_MAX", 10.0)
    well = installation.examine(environment)["limits.shared"]
    monkeypatch.setattr(limit_checks, "ANSWER_S_MAX", 0.0)
    slow = installation.examine(environment)["limits.shared"]
    server.freeze()
    hangs = installation.examine(environment)["limits.shared"]
    server.thaw()

    assert [one.status for one in (well, slow, hangs)] == ["ok", "warning", "failed"]
    assert "a node waits 0" in slow.what
    assert "TimeoutError" in hangs.what
