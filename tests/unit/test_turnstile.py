"""Requests come to a carrier at its rate: who passes, who waits a moment, who is told that it is full."""

import asyncio

import pytest

from dastak.core.errors import CarrierFull
from dastak.core.pace import in_hand_max
from dastak.http_carriers.turnstile import Turnstile

RATE = 1000.0
IN_HAND = in_hand_max(RATE)


class HeldClock:
    """Stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def settled(tasks: list[asyncio.Task[None]], count: int) -> None:
    async with asyncio.timeout(10):
        while sum(task.done() for task in tasks) < count:
            await asyncio.wait(
                [task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED
            )


async def test_few_wait_and_what_does_not_fit_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.http_carriers.turnstile.ROOM_WITHIN_S", 60.0)
    clock = HeldClock()
    turnstile = Turnstile(RATE, clock=clock)
    await turnstile.take()
    waiting = [asyncio.create_task(turnstile.take()) for _ in range(IN_HAND)]
    await asyncio.wait(waiting, timeout=0)

    with pytest.raises(CarrierFull):
        await turnstile.take()
    assert turnstile.room == 0
    clock.now = 0.1
    await settled(waiting, 100)
    passed = [task.done() for task in waiting]
    for _ in waiting:
        clock.now += 0.1
        await asyncio.wait(waiting, timeout=0)
    await settled(waiting, IN_HAND)

    # In the order in which they came.
    assert passed == [True] * 100 + [False] * (IN_HAND - 100)
    assert all(task.exception() is None for task in waiting)


async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.http_carriers.turnstile.ROOM_WITHIN_S", 0.01)
    turnstile = Turnstile(RATE, clock=HeldClock())
    await turnstile.take()

    with pytest.raises(CarrierFull):
        await turnstile.take()

    assert turnstile.room == IN_HAND


async def test_nobody_waits_for_a_token_that_is_too_far_away() -> None:
    clock = HeldClock()
    turnstile = Turnstile(0.5, clock=clock)
    rooms = [turnstile.room]
    await turnstile.take()
    rooms.append(turnstile.room)
    with pytest.raises(CarrierFull):
        await asyncio.wait_for(turnstile.take(), 0.5)
    clock.now = 1.0
    rooms.append(turnstile.room)
    clock.now = 2.0
    rooms.append(turnstile.room)

    assert rooms == [2, 0, 1, 2]


async def test_throttle_halves_the_rate_and_without_a_contract_begins_one() -> None:
    clock = HeldClock()
    contracted, free = Turnstile(RATE, clock=clock), Turnstile(None, clock=clock)
    for _ in range(10):
        await free.take()
    before = (contracted.slowed, free.slowed, free.room)
    clock.now = 1.0
    for turnstile in (contracted, free):
        turnstile.throttled()

    assert before == (False, False, None)
    assert (contracted.rate_per_s, contracted.slowed) == (RATE / 2, True)
    assert (free.rate_per_s, free.slowed, free.room) == (5.0, True, 1)
