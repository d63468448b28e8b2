"""What finds no room waits in the lane, leaves by expiry and in turns, and is dropped when it is late."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import TooLate
from dastak.core.events import Event, MessageDropped, MessageQueued, MessageSubmitted
from dastak.core.message import MessageState
from dastak.core.node import LEASE_S, in_hand
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.delivery import lane as lane_module
from dastak.delivery.failover import CALL_S, USEFUL_LIFE_S
from dastak.delivery.lane_pace import SURE_AFTER_S
from dastak.delivery.routing import RouteTable, Unjudged
from dastak.delivery.time_to_leave import TimeToLeave
from dastak.flows import worker as worker_module
from dastak.flows.worker import Worker
from dastak.telemetry.publisher import Publisher
from tests.flow.test_fall_back import with_calls
from tests.flow.test_worker import Gate
from tests.support.house import House, ScriptedRoute, open_house
from tests.support.samples import some_msisdn

FEW = 2


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 0.001)


@asynccontextmanager
async def overloaded(house: House) -> AsyncIterator[tuple[Worker, Gate]]:
    """Fill all routes, which take two messages at once each; opening the gate lets everything go on."""
    gate = Gate()
    for route in house.routes:
        route.in_flight_max = FEW
        route.script = [gate] * FEW
    async with Worker(retention=timedelta(days=1)) as worker:
        house.ports = replace(house.ports, hand_over=worker.hand_over)
        await worker.run(house.ports)
        for n in range(FEW * len(house.routes)):
            await house.start(some_msisdn(9000 + n))
        yield worker, gate


async def test_message_waits_while_its_route_is_full_and_leaves_when_one_ended(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        assert (worker.waiting, worker.in_flight) == (1, FEW)
        assert await house.message_state(started) is MessageState.QUEUED

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 1)

        assert worker.waiting == 0
        assert await house.message_state(started) is MessageState.SUBMITTED


async def test_message_that_waited_when_its_node_was_lost_leaves_before_its_lease_is_over_and_once(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        worker.let_go()
        assert worker.waiting == 0

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 1)

        assert await house.message_state(started) is MessageState.SUBMITTED
        assert [outgoing.msisdn for outgoing in house.routes[0].offered].count(started.msisdn) == 1


async def test_message_goes_by_another_route_while_the_first_is_full(house: House) -> None:
    gate = Gate()
    north, south = house.routes
    north.in_flight_max, north.script = 1, [gate]
    async with Worker(retention=timedelta(days=1)) as worker:
        house.ports = replace(house.ports, hand_over=worker.hand_over)
        await worker.run(house.ports)
        await house.start()
        await gate.reached.wait()

        await house.start(some_msisdn(1))
        await house.sees(MessageSubmitted)

        assert (worker.waiting, len(south.offered)) == (0, 1)
        gate.opened.set()
        await house.sees(MessageSubmitted, 2)


async def test_earliest_expiry_leaves_first(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (_, gate):
        [route] = house.routes
        late = await house.start(some_msisdn(1))
        hasty = replace(house.caller, service=replace(house.caller.service, policy=Policy(ttl_s=60)))
        early = await house.start(some_msisdn(2), caller=hasty)
        assert early.expires_at < late.expires_at

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 2)

        assert [outgoing.msisdn for outgoing in route.offered[FEW:]] == [early.msisdn, late.msisdn]


async def test_tenant_with_few_messages_does_not_wait_behind_one_with_many(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        [route] = house.routes
        for n in range(60):
            await house.start(some_msisdn(n))
        few = {
            (await house.start(some_msisdn(100 + n), caller=house.caller_of(tenant=2, service=2))).msisdn
            for n in range(10)
        }
        assert worker.waiting == 70

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 70)

        served = [outgoing.msisdn in few for outgoing in route.offered[FEW:]]
        assert Counter(served[:20]) == {True: 10, False: 10}


async def test_what_waits_for_a_full_route_leaves_by_one_that_has_room_again(tmp_path: Path) -> None:
    north, south = ScriptedRoute("north"), ScriptedRoute("south")
    async with open_house(tmp_path, north, south) as house:
        stuck, gate = Gate(), Gate()
        north.in_flight_max = south.in_flight_max = 1
        north.script, south.script = [stuck], [gate]
        async with Worker(retention=timedelta(days=1)) as worker:
            house.ports = replace(house.ports, hand_over=worker.hand_over)
            await worker.run(house.ports)
            for n in range(5):
                await house.start(some_msisdn(n))
            assert worker.waiting == 3

            gate.opened.set()
            await house.sees(MessageSubmitted, 4)

            assert (len(north.offered), len(south.offered)) == (1, 4)
            stuck.opened.set()
            await house.sees(MessageSubmitted, 5)


async def test_message_that_became_late_in_the_lane_is_dropped_and_the_event_says_so(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        house.clock.advance(started.policy.ttl_s - USEFUL_LIFE_S)
        gate.opened.set()

        [dropped] = await house.sees(MessageDropped)

        assert (dropped.cause, dropped.why) == (
            "late",
            "after its wait for room on north the code lives 5.0 s more, and half of all texts need 5.0 s",
        )
        assert await house.message_state(started) is MessageState.EXPIRED
        assert worker.waiting == 0


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 3600.0)


@pytest.mark.usefixtures("nobody_looks")
async def test_message_leased_anew_while_it_waited_is_still_looked_for_when_its_node_is_lost(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        now = house.clock.advance(LEASE_S)
        for held in await house.store.due(now, lease_until=in_hand(now).due_at, limit=FEW + 1):
            worker.hand_over(held.verification, held.message)
        worker.let_go()
        worker.look_now()
        gate.opened.set()

        await house.sees(MessageSubmitted, FEW + 1)

        assert await house.message_state(started) is MessageState.SUBMITTED
        assert [outgoing.msisdn for outgoing in house.routes[0].offered].count(started.msisdn) == 1


async def test_message_that_is_offered_again_while_it_waits_leaves_as_it_is_then(tmp_path: Path) -> None:
    north, south = ScriptedRoute("north"), ScriptedRoute("south")
    async with open_house(tmp_path, north, south) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        worker.hand_over(started, replace(await house.message(started), tries=1, tried=("north",)))
        assert worker.waiting == 1

        gate.opened.set()
        await house.sees(MessageSubmitted, 2 * FEW + 1)

    assert [outgoing.msisdn for outgoing in south.offered].count(started.msisdn) == 1


@asynccontextmanager
async def full_trunk(house: House) -> AsyncIterator[tuple[Worker, ScriptedRoute]]:
    """Have a call ring on a trunk of one channel, which it keeps."""
    trunk = with_calls(house)

    async def rings() -> None:
        trunk.in_flight_max = 0

    trunk.in_flight_max, trunk.script = 1, [rings]
    async with Worker(retention=timedelta(days=1)) as worker:
        tell, tell_worker = house.ports.publish, Publisher((worker,)).publish

        def publish(verification: Verification, events: Sequence[Event]) -> None:
            tell(verification, events)
            tell_worker(verification, events)

        house.ports = replace(house.ports, hand_over=worker.hand_over, publish=publish)
        await worker.run(house.ports)
        await house.start(channel=Channel.VOICE)
        await house.sees(MessageSubmitted)
        yield worker, trunk


@pytest.mark.usefixtures("nobody_looks")
async def test_call_waits_while_all_channels_are_in_use_and_leaves_the_moment_one_is_free(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house, full_trunk(house) as (worker, trunk):
        await house.start(some_msisdn(1), channel=Channel.VOICE)
        assert (worker.waiting, len(trunk.offered)) == (1, 1)

        trunk.in_flight_max = 1
        await house.receive("trunk-1", Outcome.NOT_ANSWERED)
        await house.sees(MessageSubmitted, 2)

        assert (worker.waiting, len(trunk.offered)) == (0, 2)


@pytest.mark.usefixtures("nobody_looks")
async def test_call_that_waited_until_its_code_lives_too_short_is_dropped_and_the_event_says_so(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house, full_trunk(house) as (_, trunk):
        started = await house.start(some_msisdn(1), channel=Channel.VOICE)
        house.clock.advance(started.policy.ttl_s - CALL_S + 0.5)
        trunk.in_flight_max = 1
        await house.receive("trunk-1", Outcome.NOT_ANSWERED)

        [dropped] = await house.sees(MessageDropped)

        assert (dropped.cause, dropped.why) == (
            "late",
            "after its wait for room on trunk the code lives 19.5 s more, and a call needs 20.0 s",
        )
        assert len(trunk.offered) == 1


async def test_message_is_dropped_when_no_route_is_fast_enough_for_its_life(house: House) -> None:
    class Slow(Unjudged):
        def median_s(self, route: str, place: object) -> float:
            del route, place
            return 30.0

    started = await house.start()
    house.clock.advance(started.policy.ttl_s - 29.5)
    house.ports = replace(house.ports, routes=RouteTable(carriers=house.routes, judge=Slow()))

    await house.deliver()

    assert [(event.cause, event.why) for event in house.told_of(MessageDropped)] == [
        ("late", "the code lives 29.5 s more, and no route is that fast half of the time")
    ]
    assert house.routes[0].offered == []


async def test_message_that_was_canceled_while_it_waited_is_not_sent(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (_, gate):
        started = await house.start()
        await house.cancel(started)

        gate.opened.set()
        [dropped] = await house.sees(MessageDropped)

        assert dropped.cause == "canceled"
        assert len(house.routes[0].offered) == FEW


async def test_crowd_is_put_out_of_a_full_lane_and_comes_back_with_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module.OtpLane.__init__, "__kwdefaults__", {"limit": 4})
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        for n in range(3):
            await house.start(some_msisdn(n))
        assert worker.waiting == 2  # a route may fill half of the lane
        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 2)

        house.clock.advance(LEASE_S)
        await house.sees(MessageSubmitted, FEW + 3)

        assert len(house.routes[0].offered) == FEW + 3


async def test_full_lane_is_told_once_in_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dastak.dispatch")
    monkeypatch.setattr(lane_module.OtpLane.__init__, "__kwdefaults__", {"limit": 4})
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        route = house.routes[0].name
        for n in range(5):
            await house.start(some_msisdn(n))
        assert worker.waiting == 2
        assert caplog.messages == [f"no room in the lane of route {route}: 1 wait for their leases"]

        house.clock.advance(LEASE_S)
        async with asyncio.timeout(10):
            while len(caplog.messages) == 1:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
        assert caplog.messages[1].startswith(f"no room in the lane of route {route}")

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 2)


async def test_message_whose_lease_ends_while_it_waits_is_sent_once(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        started = await house.start()
        await house.sees(MessageQueued, FEW + 1)
        house.clock.advance(LEASE_S)
        held = await house.store.find(started.tenant, started.id)
        worker.hand_over(held.verification, await house.message(started))
        assert worker.waiting == 1

        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 1)

    assert len(house.routes[0].offered) == FEW + 1


async def test_worker_that_stops_leaves_what_waits_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_S", 0.05)
    async with open_house(tmp_path) as house:
        async with overloaded(house):
            started = await house.start()

        assert await house.message_state(started) is MessageState.QUEUED
        assert len(house.routes[0].offered) == FEW


async def test_start_is_refused_when_its_text_could_not_leave_in_time(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, overloaded(house) as (worker, gate):
        house.ports = replace(
            house.ports,
            too_late=TimeToLeave(
                house.ports.routes,
                queue_of=lambda route: worker.queue_of(route.name),
                down_s=lambda _route: 0.0,
                chance=lambda: 0.0,
            ),
        )
        other = house.caller_of(tenant=2)
        # One in five seconds at most: thirty of them take all the time that there is.
        for n in range(31):
            await house.start(some_msisdn(n))
        house.clock.advance(SURE_AFTER_S)

        with pytest.raises(TooLate) as refused:
            await house.start(some_msisdn(100))
        of_another_tenant = await house.start(some_msisdn(101), caller=other)
        tried_out = await house.start(some_msisdn(102), caller=house.caller_of(mode=Mode.TEST))
        known = len(await house.all())
        gate.opened.set()
        await house.sees(MessageSubmitted, FEW + 33)
        await house.start(some_msisdn(100))

    assert refused.value.retry_after_s == 5
    assert of_another_tenant.msisdn == some_msisdn(101)
    assert tried_out.msisdn == some_msisdn(102)
    assert known == FEW + 31 + 1


async def test_those_for_whom_the_lane_has_no_room_wait_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module.OtpLane.__init__, "__kwdefaults__", {"limit": 4})
    async with open_house(tmp_path) as house, overloaded(house) as (worker, _):
        for n in range(7):
            await house.start(some_msisdn(n))
        waiting = worker.queue_of("north")

    assert waiting is not None
    assert waiting.crowds == {1: 7}


async def test_all_who_wait_stand_before_a_full_route_that_nobody_waits_for(tmp_path: Path) -> None:
    north, south = ScriptedRoute("north"), ScriptedRoute("south")
    async with open_house(tmp_path, north, south) as house, overloaded(house) as (worker, gate):
        at_first = worker.queue_of("south")
        for n in range(3):
            await house.start(some_msisdn(n))
        waiting = [worker.queue_of(name) for name in ("north", "south", "elsewhere")]
        told_to_nodes = {route: queue.crowds for route, queue in worker.queues().items()}
        gate.opened.set()
        await house.sees(MessageSubmitted, 2 * FEW + 3)
        at_last = worker.queue_of("south")

    crowds = [None if queue is None else queue.crowds for queue in waiting]
    assert crowds == [{1: 3}, {1: 3}, None]
    assert told_to_nodes == {"north": {1: 3}, "south": {1: 3}}
    assert (at_first, at_last) == (None, None)
