"""Who waits for a full route and has no other keeps no idle route empty, however long the lane is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.events import MessageSubmitted, MessageUndelivered
from dastak.core.policy import Policy
from dastak.core.verification import Verification
from dastak.core.way_out import Route, Wanted
from dastak.flows import dispatch as dispatch_module
from dastak.flows import worker as worker_module
from dastak.flows.worker import Worker
from tests.flow.test_fall_back import Ways
from tests.flow.test_worker import Gate
from tests.support.house import House, ScriptedRoute, open_house
from tests.support.samples import NOW, some_msisdn

# To this number and those after it only the north leads.
FAR = 500


class NorthOrBoth(Ways):
    """Ways to numbers near and far; it is noted who is asked about who waits for the north alone."""

    def __init__(self, north: ScriptedRoute, south: ScriptedRoute) -> None:
        super().__init__([north, south], [])
        self.far = {some_msisdn(FAR + n) for n in range(10)}
        self.asked: list[str] = []

    def order(self, wanted: Wanted) -> list[Route]:
        if wanted.msisdn not in self.far:
            return super().order(wanted)
        self.asked.append(wanted.msisdn)
        return super().order(wanted)[:1]


class Full:
    """Two full routes for one message each; the north stays full until its gate is opened."""

    def __init__(self, house: House, worker: Worker, ways: NorthOrBoth, north: Gate, south: Gate) -> None:
        self.house, self.worker, self.ways = house, worker, ways
        self.north, self.south = north, south

    async def wait_far(self, n: int) -> Verification:
        """Have somebody wait for the north alone, whose code is over before those of all others."""
        policy = Policy(ttl_s=60 + n)
        caller = replace(self.house.caller, service=replace(self.house.caller.service, policy=policy))
        return await self.house.start(some_msisdn(FAR + n), caller=caller)

    async def free_south(self) -> None:
        """Let the south have room, while the north has none."""
        self.south.opened.set()
        await self.house.sees(MessageSubmitted)
        async with asyncio.timeout(10):
            while self.worker.in_flight > 1:  # noqa: ASYNC110
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 3600.0)


@asynccontextmanager
async def full(folder: Path) -> AsyncIterator[Full]:
    gates = Gate(), Gate()
    north, south = (ScriptedRoute(name, gate) for name, gate in zip(("north", "south"), gates, strict=True))
    north.in_flight_max = south.in_flight_max = 1
    async with open_house(folder, north, south) as house, Worker(retention=timedelta(days=1)) as worker:
        ways = NorthOrBoth(north, south)
        house.ports = replace(house.ports, hand_over=worker.hand_over, routes=ways)
        await worker.run(house.ports)
        for n in range(2):
            await house.start(some_msisdn(n))
        yield Full(house, worker, ways, *gates)


async def test_idle_route_takes_those_behind_the_first_who_cannot_leave_by_it(tmp_path: Path) -> None:
    async with full(tmp_path) as routes:
        far = [await routes.wait_far(n) for n in range(3)]
        near = [await routes.house.start(some_msisdn(10 + n)) for n in range(3)]
        assert routes.worker.waiting == len(far) + len(near)

        routes.south.opened.set()
        await routes.house.sees(MessageSubmitted, 1 + len(near))
        assert routes.worker.waiting == len(far)
        north, south = routes.house.routes
        by_south, by_north = len(south.offered), len(north.offered)
        routes.north.opened.set()
        await routes.house.sees(MessageSubmitted, 2 + len(near) + len(far))

    assert (by_south, by_north) == (1 + len(near), 1)
    assert {outgoing.msisdn for outgoing in south.offered[1:]} == {one.msisdn for one in near}
    assert [outgoing.msisdn for outgoing in north.offered[1:]] == [one.msisdn for one in far]


async def test_those_who_cannot_leave_are_not_asked_at_every_event_and_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_module, "STUCK_MAX", 2)
    async with full(tmp_path) as routes:
        far = [await routes.wait_far(n) for n in range(5)]
        routes.ways.asked.clear()
        await routes.free_south()
        event = MessageUndelivered(int(NOW.timestamp() * 1000), 0, "undelivered", "stat:UNDELIV")
        for _ in range(20):
            routes.worker.on_event(far[0], event)
        at_events = list(routes.ways.asked)
        routes.worker.look_now()
        async with asyncio.timeout(10):
            while len(routes.ways.asked) < 2 * len(at_events):  # noqa: ASYNC110
                await asyncio.sleep(0)

    first = [one.msisdn for one in far[:2]]
    assert at_events == first
    assert routes.ways.asked == 2 * first


async def test_those_who_cannot_leave_are_not_asked_at_each_end_of_a_delivery(tmp_path: Path) -> None:
    """A thousand deliveries end each second; to order routes for those who wait anyway takes its time."""
    async with full(tmp_path) as routes:
        far = [await routes.wait_far(n) for n in range(4)]
        again, south = Gate(), routes.house.routes[1]
        south.in_flight_max, south.script = 100, [again] * 20
        for n in range(20):
            await routes.house.start(some_msisdn(10 + n))
        assert routes.worker.waiting == len(far)
        routes.ways.asked.clear()
        routes.south.opened.set()
        again.opened.set()
        await routes.house.sees(MessageSubmitted, 21)

        assert len(routes.ways.asked) <= 2 * len(far)


async def test_idle_route_that_was_no_way_takes_who_comes_later_and_may_leave_by_it(tmp_path: Path) -> None:
    async with full(tmp_path) as routes:
        await routes.wait_far(0)
        await routes.free_south()
        again = Gate()
        routes.house.routes[1].script = [again]
        for n in range(2):
            await routes.house.start(some_msisdn(10 + n))
        waiting = routes.worker.waiting
        again.opened.set()
        await routes.house.sees(MessageSubmitted, 3)

        assert (waiting, routes.worker.waiting) == (2, 1)
