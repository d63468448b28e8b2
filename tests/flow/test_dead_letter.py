"""A message that cannot be written is tried three times and put away, and nobody waits behind it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import Damaged, Overloaded
from dastak.core.events import MessageDropped, MessageRefused, MessageSubmitted
from dastak.core.message import MessageKey, MessageState
from dastak.core.node import LEASE_S
from dastak.core.ports import Change, Held
from dastak.core.sealer import Sealer
from dastak.core.verification import State
from dastak.flows import dead_letter as dead_letter_module
from dastak.flows import worker as worker_module
from dastak.flows.dead_letter import BREAKS_MAX, broke
from dastak.flows.worker import Worker
from tests.support.house import House, open_house
from tests.support.samples import some_msisdn

SECRET = "+919876543210 and 493817"


def broken() -> Callable[[], Awaitable[None]]:
    async def encode() -> None:
        raise KeyError(SECRET)

    return encode


class DamagedSealer:
    """Lacks the key when it first unseals; with the key it finds damage."""

    def __init__(self, sealer: Sealer) -> None:
        self.seal = sealer.seal
        self.lacked = asyncio.Event()

    def unseal(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        if self.lacked.is_set():
            raise Damaged(SECRET)
        self.lacked.set()
        raise Overloaded("The key file of this node has no key 2 yet.")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 0.001)
    monkeypatch.setattr(dead_letter_module, "AGAIN_S", 0.0)


@pytest.mark.usefixtures("quick")
async def test_message_that_cannot_be_written_is_a_dead_letter_after_three_tries_and_others_leave(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house, Worker(retention=timedelta(days=1)) as worker:
        [north] = house.routes[:1]
        house.use(north)
        north.script = [broken()] * BREAKS_MAX
        house.ports = replace(house.ports, hand_over=worker.hand_over)
        await worker.run(house.ports)

        poisoned = await house.start()
        await house.sees(MessageDropped)
        well = await house.start(some_msisdn(9001))
        await house.sees(MessageSubmitted)

        breaks = [(event.status, event.route, event.why) for event in house.told_of(MessageRefused)]
        assert breaks == [("broken", "", "KeyError")] * BREAKS_MAX
        [dropped] = house.told_of(MessageDropped)
        assert (dropped.cause, dropped.why) == ("broken", "KeyError, 3 times")
        assert await house.message_state(poisoned) is MessageState.EXPIRED
        assert await house.message_state(well) is MessageState.SUBMITTED
        assert (await house.ports.store.find(1, poisoned.id)).verification.state is State.PENDING
        dead = [record.getMessage() for record in caplog.records if "dead letter" in record.getMessage()]
        assert len(dead) == 1
        assert SECRET not in dead[0]


@pytest.mark.usefixtures("quick")
async def test_own_code_waits_for_a_key_that_comes_later_and_is_a_dead_letter_when_it_is_damaged(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house, Worker(retention=timedelta(days=1)) as worker:
        sealer = DamagedSealer(house.ports.sealer)
        house.ports = replace(house.ports, sealer=sealer, hand_over=worker.hand_over)
        await worker.run(house.ports)

        poisoned = await house.start(code="493817")
        async with asyncio.timeout(10):
            await sealer.lacked.wait()
        house.clock.advance(LEASE_S)
        await house.sees(MessageDropped)

        assert [event.why for event in house.told_of(MessageRefused)] == ["Damaged"] * BREAKS_MAX
        assert await house.message_state(poisoned) is MessageState.EXPIRED


async def test_message_that_breaks_once_is_sent_when_it_is_due_again(house: House) -> None:
    started = await house.start()
    await broke(house.ports, await house.message(started), ValueError(SECRET))

    house.clock.advance(dead_letter_module.AGAIN_S)
    now = house.clock.now()
    due = await house.ports.store.due(now, lease_until=now + timedelta(seconds=30), limit=10)

    assert [held.message.key.ordinal for held in due if held.message is not None] == [0]
    assert await house.message_state(started) is MessageState.QUEUED


async def test_message_that_left_meanwhile_is_left_alone(house: House) -> None:
    started = await house.start()
    message = await house.message(started)
    await house.deliver()

    for _ in range(BREAKS_MAX):
        await broke(house.ports, message, ValueError(SECRET))

    assert house.told_of(MessageRefused) == []
    assert await house.message_state(started) is MessageState.SUBMITTED


async def test_message_that_another_node_took_over_is_neither_put_off_nor_put_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await house.start()
    held, decide = await house.message(started), house.store.decide

    def taken_over(key: MessageKey, rule: Callable[[Held], Change[Any]]) -> Awaitable[Any]:
        return decide(key, lambda found: rule(replace(found, message=replace(found.message, fence=1))))

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(house.store, "decide", taken_over)
        for _ in range(BREAKS_MAX):
            await broke(house.ports, held, ValueError(SECRET))

    assert (house.told_of(MessageRefused), house.told_of(MessageDropped)) == ([], [])
    assert await house.message(started) == held


async def test_store_that_cannot_write_leaves_it_to_the_lease(house: House) -> None:
    started = await house.start()

    class Full:
        def __getattr__(self, _name: str) -> object:
            async def refuse(*_args: object, **_named: object) -> None:
                raise Overloaded("The database cannot write now.")

            return refuse

    ports = replace(house.ports, store=Full())

    await broke(ports, await house.message(started), ValueError(SECRET))

    assert await house.message_state(started) is MessageState.QUEUED
