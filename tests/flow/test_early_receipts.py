"""Receipts that came to a node that did not send are found once the sender has written."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from dastak.core.events import MessageDelivered, ReceiptNoted
from dastak.core.message import CarrierRef, MessageState, Receipt
from dastak.core.outcome import Outcome
from dastak.delivery.receipts import LOOKED_FOR_MAX, LOOKS_MAX, EarlyReceipts
from dastak.flows.settle import Settlement
from tests.support.house import House, receipt
from tests.support.samples import NOW, some_msisdn

# How long a receipt that is nobody's here is asked for at least.
MINUTE_S = 60


class OtherNode:
    """A node that hears of no message of this house; every second it looks for what came to it."""

    def __init__(self, house: House) -> None:
        self.house, self.settlement = house, Settlement()
        self.settlement.begin(house.ports)

    async def hears(self, *receipts: Receipt) -> None:
        answers = [asyncio.get_running_loop().create_future() for _ in receipts]
        for one, answer in zip(receipts, answers, strict=True):
            self.settlement.take(one, answer.set_result)
        async with asyncio.timeout(60):
            assert all(await asyncio.gather(*answers))

    async def looks(self) -> None:
        self.house.clock.advance(1)
        await self.settlement.look_again(self.house.ports)


@pytest.fixture
def other(house: House) -> OtherNode:
    return OtherNode(house)


def first_parts(count: int, second: int = 0) -> list[Receipt]:
    """Return receipts of parts whose ids only the node has that sent them."""
    return [receipt(f"south-part-{second}-{n}", Outcome.DELIVERED) for n in range(count)]


async def test_receipt_that_overtook_its_commit_is_found_behind_many_of_first_parts(
    house: House, other: OtherNode
) -> None:
    for second in range(3):
        await other.hears(*first_parts(LOOKED_FOR_MAX // 2, second))
        await other.looks()
    await other.hears(receipt("north-1", Outcome.DELIVERED))
    started = await house.start()
    await house.deliver()

    await other.looks()

    assert await house.message_state(started) is MessageState.DELIVERED


async def test_receipts_of_one_look_share_a_commit(house: House, other: OtherNode) -> None:
    await other.hears(*first_parts(LOOKED_FOR_MAX))
    before = house.store.commits, house.store.operations

    await other.looks()

    assert house.store.operations - before[1] == LOOKED_FOR_MAX
    assert house.store.commits - before[0] == 1


async def test_later_receipt_of_a_message_that_was_found_is_settled_with_it(
    house: House, other: OtherNode
) -> None:
    await other.hears(receipt("north-1", Outcome.ENROUTE))
    for _ in range(3):
        await other.looks()
    await other.hears(receipt("north-1", Outcome.DELIVERED))
    for _ in range(4):
        await other.looks()
    started = await house.start()
    await house.deliver()

    await other.looks()
    await house.sees(MessageDelivered)

    assert await house.message_state(started) is MessageState.DELIVERED
    assert len(house.told_of(ReceiptNoted)) == 1


async def test_receipt_is_found_that_came_the_best_part_of_a_minute_before_its_message(
    house: House, other: OtherNode
) -> None:
    await other.hears(receipt("north-1", Outcome.DELIVERED))
    for _ in range(MINUTE_S - 2):
        await other.looks()
    started = await house.start(to=some_msisdn(1))
    await house.deliver()

    for _ in range(8):
        await other.looks()

    assert await house.message_state(started) is MessageState.DELIVERED


def test_receipt_of_nobody_is_asked_for_a_few_times_with_growing_waits() -> None:
    early = EarlyReceipts()
    stray = receipt("north-1", Outcome.DELIVERED)
    early.keep(stray, now=NOW)

    asked = [s for s in range(600) if early.waiting(now=NOW + timedelta(seconds=s))]

    assert asked == [0, 1, 3, 7, 15, 31, 63]
    assert len(asked) == LOOKS_MAX
    assert early.claim(stray.carrier) == [stray]


def test_youngest_receipts_are_asked_for_first_and_every_one_of_a_crowd_in_turn() -> None:
    early = EarlyReceipts()
    crowd = first_parts(5 * LOOKED_FOR_MAX)
    for n, one in enumerate(crowd):
        early.keep(one, now=NOW + timedelta(milliseconds=n))

    looks = [early.waiting(now=NOW + timedelta(seconds=s)) for s in range(1, 6)]

    assert looks[0] == crowd[: -LOOKED_FOR_MAX - 1 : -1]
    assert Counter(one for look in looks for one in look) == Counter(crowd)


def test_receipt_with_several_ids_or_that_came_twice_is_asked_for_once() -> None:
    early = EarlyReceipts()
    spelled = Receipt(CarrierRef("north", "1f"), Outcome.DELIVERED, "stat", (CarrierRef("north", "31"),))
    for _ in range(2):
        early.keep(spelled, now=NOW)

    assert early.waiting(now=NOW) == [spelled]
