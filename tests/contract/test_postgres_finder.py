"""Those who look for verifications at the same time share one statement, and one refusal."""

import asyncio
from functools import partial
from typing import Any

import psycopg
import pytest

from dastak.core.errors import Overloaded
from dastak.store import rows
from dastak.store.postgres.finder import SET_MAX, Finder
from dastak.store.postgres.postgres_lane import Connection, Lane, connect
from dastak.store.postgres.postgres_store import PostgresStore
from tests.support.postgres_server import PostgresServer
from tests.support.samples import some_id, some_msisdn, some_opening, some_verification


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Lane]:
    """The lanes that worked, once for each piece of work."""
    run, seen = Lane.run, []

    async def noted(lane: Lane, *work: Any, **how: Any) -> Any:
        seen.append(lane)
        return await run(lane, *work, **how)

    monkeypatch.setattr(Lane, "run", noted)
    return seen


class Slow:
    """Finds nobody, when it is let.

    Attributes:
        begun: A set is being read.
        over: It may be answered.
        sets: How many were read.
    """

    def __init__(self) -> None:
        self.begun, self.over, self.sets = asyncio.Event(), asyncio.Event(), 0

    async def run(self, _work: Any) -> list[Any]:
        self.sets += 1
        self.begun.set()
        await self.over.wait()
        return []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """What every lane does instead of its work."""
    instead = Slow()
    monkeypatch.setattr(Lane, "run", lambda _lane, work: instead.run(work))
    return instead


async def test_all_who_look_at_once_share_one_statement(server: PostgresServer, reads: list[Lane]) -> None:
    url, known = server.new_database(), [some_id() for _ in range(SET_MAX - 1)]
    async with PostgresStore(url) as store:
        for n, one in enumerate(known):
            await store.open(some_opening(some_verification(id=one, msisdn=some_msisdn(n))))
        finder = Finder(partial(connect, url, in_sets=True))
        reads.clear()
        first = [asyncio.create_task(finder.find(one)) for one in (*known, some_id())]
        *found, nobody = await asyncio.gather(*first)
        at_once = reads.count(finder.lane)
        later = await asyncio.gather(*(finder.find(known[0]) for _ in range(SET_MAX + 1)))
        await finder.close()

    assert [rows.held_of(row).verification.id for row in found if row is not None] == known
    assert nobody is None
    assert at_once == 1
    assert later == [found[0]] * (SET_MAX + 1)
    assert reads.count(finder.lane) == 3


async def test_who_looks_while_a_set_is_read_is_in_the_next_one(slow: Slow) -> None:
    finder = Finder(partial(connect, ""))
    one = asyncio.create_task(finder.find(some_id()))
    await slow.begun.wait()
    others = [asyncio.create_task(finder.find(some_id())) for _ in range(5)]
    await asyncio.sleep(0)
    slow.over.set()
    told = await asyncio.gather(one, *others)
    await finder.close()

    assert told == [None] * 6
    assert slow.sets == 2


async def test_nobody_waits_for_a_second_try_to_connect() -> None:
    tries = []

    def opens() -> Connection:
        tries.append(None)
        raise psycopg.OperationalError("nobody is there")

    finder = Finder(opens)
    looks = (finder.find(some_id()) for _ in range(2 * SET_MAX))
    told = await asyncio.gather(*looks, return_exceptions=True)
    await finder.close()

    assert {type(one) for one in told} == {Overloaded}
    assert len(tries) == 1


async def test_who_waits_when_it_closes_is_told_so_and_not_looked_up(slow: Slow) -> None:
    finder = Finder(partial(connect, ""))
    read = asyncio.create_task(finder.find(some_id()))
    await slow.begun.wait()
    waits = asyncio.create_task(finder.find(some_id()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(finder.close())
    with pytest.raises(Overloaded):
        await waits
    slow.over.set()
    await closing

    assert await read is None
    assert slow.sets == 1
