"""The worker sends what is queued, whoever queued it, and stays up whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import CarrierUnavailable, NotFound, Overloaded
from dastak.core.events import (
    MessageDropped,
    MessageRefused,
    MessageSubmitted,
    ReceiptOverdue,
    VerificationExpired,
)
from dastak.core.message import MessageState, MessageStep
from dastak.core.node import LEASE_S
from dastak.core.ports import Held, Ports
from dastak.core.tenant import Service
from dastak.core.verification import State, Verification
from dastak.flows import dispatch as dispatch_module
from dastak.flows import worker as worker_module
from dastak.flows.settle import receipt_overdue
from dastak.flows.worker import Worker, every
from tests.support.house import FakeClock, House, ScriptedRoute, open_house
from tests.support.samples import some_msisdn

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for work all the time, since the clock of these tests stands still."""
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 0.001)
    monkeypatch.setattr(worker_module, "SWEEP_EVERY_S", 0.001)
    monkeypatch.setattr(worker_module, "DRAIN_S", 0.05)


@asynccontextmanager
async def working(house: House) -> AsyncIterator[Worker]:
    """Run a worker in a house, which from then on is handed what is committed."""
    async with Worker(retention=DAY) as worker:
        house.ports = replace(house.ports, hand_over=worker.hand_over)
        await worker.run(house.ports)
        yield worker


class Gate:
    """A carrier that lets its caller wait until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


async def test_handed_over_message_is_delivered_at_once(house: House) -> None:
    async with working(house):
        started = await house.start()

        await house.sees(MessageSubmitted)

    assert await house.message_state(started) is MessageState.SUBMITTED
    assert len(house.routes[0].offered) == 1


async def test_what_an_earlier_process_left_queued_is_sent_with_the_same_code(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_house(tmp_path, clock=clock) as before:
        started = [await before.start(some_msisdn(n)) for n in range(5)]
        codes = {verification.msisdn: before.code(verification) for verification in started}

    async with open_house(tmp_path, clock=clock) as house, working(house):
        await house.sees(MessageSubmitted, 5)

    assert {outgoing.msisdn: outgoing.text[:6] for outgoing in house.routes[0].offered} == codes


async def test_crash_between_the_submit_and_its_record_sends_the_same_code_again(tmp_path: Path) -> None:
    clock = FakeClock()
    gate = Gate()
    north = ScriptedRoute("north", gate)
    async with open_house(tmp_path, north, clock=clock) as before, working(before):
        started = await before.start()
        await gate.reached.wait()

    async with open_house(tmp_path, clock=clock) as house, working(house):
        await house.sees(MessageSubmitted)
        assert (await house.check(started, north.offered[0].text[:6])).approved

    assert north.offered[0].text == house.routes[0].offered[0].text


async def test_message_of_a_service_that_is_news_holds_up_no_other_and_leaves_when_it_is_known(
    house: House,
) -> None:
    """A node hears of a new service within half a second, and all that was found with it has a lease."""
    callers = [house.caller_of(service=service) for service in (1, 2, 1, 1)]
    started = [await house.start(some_msisdn(n), caller=caller) for n, caller in enumerate(callers)]
    house.clock.advance(LEASE_S)
    known, service_of = asyncio.Event(), house.ports.service_of

    def heard_of(n: int) -> Service:
        if n == 2 and not known.is_set():
            raise NotFound("There is no such service.")
        return service_of(n)

    house.ports = replace(house.ports, service_of=heard_of)
    async with working(house):
        await house.sees(MessageSubmitted, 3)
        known.set()
        await house.sees(MessageSubmitted, 4)

    assert {one.msisdn for one in started} == {outgoing.msisdn for outgoing in house.routes[0].offered}


async def test_lost_hand_over_is_found_when_its_lease_is_over_and_not_before(house: House) -> None:
    async with working(house) as worker:
        house.ports = replace(house.ports, hand_over=lambda verification, message: None)
        started = await house.start()
        house.clock.advance(LEASE_S - 0.001)
        assert await house.deliver_due() == []
        assert worker.in_flight == 0
        house.clock.advance(0.001)

        await house.sees(MessageSubmitted)

    assert await house.message_state(started) is MessageState.SUBMITTED


async def test_refused_message_is_taken_up_when_it_is_due(tmp_path: Path) -> None:
    down = CarrierUnavailable("The bind is down.")
    async with open_house(tmp_path, ScriptedRoute("north", down)) as house, working(house):
        started = await house.start()
        await house.sees(MessageRefused)
        house.clock.advance(1)

        await house.sees(MessageSubmitted)

        assert await house.message_state(started) is MessageState.SUBMITTED


async def test_no_more_than_the_bound_is_under_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_module, "IN_FLIGHT_MAX", 2)
    gate = Gate()
    house.use(ScriptedRoute("north", gate, gate))
    async with working(house) as worker:
        for n in range(3):
            await house.start(some_msisdn(n))
        await gate.reached.wait()
        assert worker.in_flight == 2
        gate.opened.set()
        await house.sees(MessageSubmitted, 2)
        house.clock.advance(LEASE_S)

        await house.sees(MessageSubmitted, 3)

    assert len(house.routes[0].offered) == 3


async def test_exit_lets_what_is_under_way_finish(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_S", 10)
    gate = Gate()
    house.use(ScriptedRoute("north", gate))
    async with working(house):
        started = await house.start()
        await gate.reached.wait()
        asyncio.get_running_loop().call_soon(gate.opened.set)

    assert await house.message_state(started) is MessageState.SUBMITTED


async def test_exit_does_not_wait_for_a_carrier_that_hangs_and_leaves_its_message_queued(
    house: House,
) -> None:
    gate = Gate()
    house.use(ScriptedRoute("north", gate))
    async with working(house) as worker:
        started = await house.start()
        await gate.reached.wait()

    assert worker.in_flight == 0
    assert await house.message_state(started) is MessageState.QUEUED


async def test_worker_that_stopped_takes_nothing(house: House) -> None:
    async with working(house) as worker:
        pass

    await house.start()

    assert worker.in_flight == 0
    assert house.routes[0].offered == []


async def test_sweep_expires_what_is_over_and_tells_it_once(house: House) -> None:
    async with working(house):
        started = [await house.start(some_msisdn(n)) for n in range(3)]
        await house.sees(MessageSubmitted, 3)
        house.clock.advance(300)

        await house.sees(VerificationExpired, 3)

    assert {(await house.found(verification)).state for verification in started} == {State.EXPIRED}
    assert len(house.told_of(VerificationExpired)) == 3


async def test_sweep_goes_on_while_there_is_more_than_it_takes_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "SWEEP_MAX", 2)
    monkeypatch.setattr(worker_module, "SWEEP_EVERY_S", 0)
    for n in range(7):
        await house.start(some_msisdn(n))
    house.clock.advance(300)

    async with working(house):
        await house.sees(VerificationExpired, 7)


async def test_queued_text_of_an_expired_verification_is_put_away(house: House) -> None:
    started = await house.start()
    house.clock.advance(300)

    async with working(house):
        [dropped] = await house.sees(MessageDropped)

    assert dropped.cause == "expired"
    assert await house.message_state(started) is MessageState.EXPIRED


async def test_sweep_deletes_what_is_older_than_the_retention(house: House) -> None:
    await house.start()
    house.clock.advance(DAY.total_seconds() - 100)
    new = await house.start(some_msisdn(1))
    async with working(house):
        await house.sees(VerificationExpired)
        house.clock.advance(300)

        await house.sees(VerificationExpired, 2)

    assert [verification.id for verification in await house.all()] == [new.id]


async def test_delivery_that_breaks_stops_neither_the_worker_nor_its_message(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down() -> None:
        raise ZeroDivisionError

    house.use(ScriptedRoute("north", break_down))
    async with working(house):
        broken = await house.start()
        whole = await house.start(some_msisdn(1))
        await house.sees(MessageSubmitted)
        assert await house.message_state(broken) is MessageState.QUEUED
        assert await house.message_state(whole) is MessageState.SUBMITTED
        house.clock.advance(LEASE_S)

        await house.sees(MessageSubmitted, 2)

    assert await house.message_state(broken) is MessageState.SUBMITTED
    assert [record.message for record in caplog.records] == ["a message could not be delivered"]
    assert house.code(broken) not in caplog.text


async def test_text_that_was_sent_while_a_look_was_under_way_is_not_sent_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    house.use(ScriptedRoute("north", gate))
    due = house.store.due
    late: list[Held] = []

    async def told_late(now: datetime, *, lease_until: datetime, limit: int) -> Sequence[Held]:
        found = await due(now, lease_until=lease_until, limit=limit)
        if found and not late:
            late.extend(found)
            gate.opened.set()
            await house.sees(MessageSubmitted)
        return found

    monkeypatch.setattr(house.store, "due", told_late)
    async with working(house) as worker:
        await house.start()
        await gate.reached.wait()
        house.clock.advance(LEASE_S)
        await house.sees(MessageSubmitted)
        second = await house.start(some_msisdn(1))
        await house.sees(MessageSubmitted, 2)

        async with asyncio.timeout(10):
            while worker.in_flight or worker.in_doubt:  # noqa: ASYNC110
                await asyncio.sleep(0)

    assert len(late) == 1
    assert len(house.routes[0].offered) == 2
    assert await house.message_state(second) is MessageState.SUBMITTED


async def until_receipts_are_overdue(house: House, count: int) -> list[Verification]:
    """Send some texts, and let the time pass in which their receipts should have come."""
    started = [await house.start(some_msisdn(n)) for n in range(count)]
    await house.deliver()
    messages = [await house.message(one) for one in started]
    last_at = max(one.due_at for one in messages if one.due_at is not None)
    house.clock.advance((last_at - house.clock.now()).total_seconds() + 1)
    return started


async def test_text_that_is_due_waits_for_no_receipt_that_is_overdue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(worker_module, "receipt_overdue", lambda _ports, _held: gate())
    await until_receipts_are_overdue(house, 3)
    late = await house.start(some_msisdn(3))
    house.clock.advance(LEASE_S)
    sent = len(house.told_of(MessageSubmitted))

    async with working(house):
        await gate.reached.wait()
        await house.sees(MessageSubmitted, sent + 1)
        gate.opened.set()

    assert await house.message_state(late) is MessageState.SUBMITTED


async def test_receipts_that_are_overdue_are_written_down_together_and_none_holds_another_up(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    together = asyncio.Barrier(3)

    async def at_once(ports: Ports, held: Held) -> MessageStep:
        async with asyncio.timeout(10):
            await together.wait()
        if held.verification.id == broken.id:
            raise ZeroDivisionError
        return await receipt_overdue(ports, held)

    monkeypatch.setattr(worker_module, "receipt_overdue", at_once)
    [broken, *_] = await until_receipts_are_overdue(house, 3)

    async with working(house):
        overdue = await house.sees(ReceiptOverdue, 2)

    assert len(overdue) == 2
    assert "1 receipts that are overdue could not be written down" in caplog.text


async def test_periodic_job_goes_on_after_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    ran, twice = [], asyncio.Event()

    def job() -> None:
        ran.append(len(ran))
        if len(ran) > 1:
            twice.set()
        raise ZeroDivisionError

    async with every(0, job), asyncio.timeout(10):
        await twice.wait()

    assert "what is done every 0 s failed" in caplog.text


async def test_periodic_job_that_the_store_puts_off_is_told_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = asyncio.Event()

    def job() -> None:
        asked.set()
        raise Overloaded("The database is behind.")

    async with every(60, job, bell=(bell := asyncio.Event())), asyncio.timeout(10):
        bell.set()
        await asked.wait()
        await asyncio.sleep(0)

    [told] = caplog.records
    assert told.levelname == "WARNING"
    assert told.message == "what is done every 60 s is put off: The database is behind."
    assert told.exc_info is None
