"""Where answers of the database are lost, a slot of a carrier's binds is held by one node all the same."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from dastak.core.errors import Overloaded
from dastak.core.node import Slot
from dastak.sms.esme import OVER_S_MAX
from tests.unit.test_nodes_of_one import NODES, Database, Shares


class DoubtfulDatabase(Database):
    """It frees only what the node holds, and may do what it is asked without an answer, or not at all.

    Attributes:
        answers: Whether it says what it did.
        does: Whether it does what it is asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers = self.does = True

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        got = await super().claim(carrier, binds, wanted) if self.does else []
        self._answer()
        return got

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        if self.does:
            await super().release(carrier, [slot for slot in slots if self.slots.get(slot) == self.number])
        self._answer()

    def seen(self) -> tuple[Slot, ...]:
        return tuple(Slot("north", slot, node) for slot, node in self.slots.items())

    def _answer(self) -> None:
        if not self.answers:
            raise Overloaded("The database does not answer; the change may have been kept.", may_be_done=True)


class Doubtful(Shares):
    """Node 1 with a carrier of four binds, on a database whose answers may be lost."""

    database: DoubtfulDatabase

    async def see(self, *nodes: int) -> None:
        """Beat, and hear of these nodes and of all slots as they are now."""
        await self.beat(*(NODES[n - 1] for n in nodes), slots=self.database.seen())


async def unused(one: Doubtful, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the carrier not be used any more, until its binds must be closed."""
    loop = asyncio.get_running_loop()
    real = loop.time
    one.is_used = False
    await one.see(1)
    monkeypatch.setattr(loop, "time", lambda: real() + OVER_S_MAX)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Doubtful:
    return Doubtful(monkeypatch, DoubtfulDatabase())


async def test_slots_whose_claim_was_not_answered_are_bound_after_the_next_beat(one: Doubtful) -> None:
    async with one.route, one.shares:
        one.database.answers = False
        await one.see(1)
        slots_then, held_then = dict(one.database.slots), set(one.route.held)
        one.database.answers = True
        await one.see(1)

        assert (slots_then, held_then) == (dict.fromkeys(range(4), 1), set())
        assert set(one.route.held) == {0, 1, 2, 3}
        assert one.database.log[1:] == ["release [0, 1, 2, 3]", "claim [0, 1, 2, 3]", "hold [0, 1, 2, 3]"]
        assert one.shares.slots() == 4


async def test_slots_whose_release_was_not_answered_are_not_bound_when_another_node_has_them(
    one: Doubtful,
) -> None:
    async with one.route, one.shares:
        await one.see(1)
        one.database.answers = False
        await one.see(1, 2)
        one.database.answers = True
        one.database.slots |= {2: 2, 3: 2}
        await one.see(1)

        assert set(one.route.held) == {0, 1}
        assert one.database.slots == {0: 1, 1: 1, 2: 2, 3: 2}


async def test_slots_whose_release_was_not_done_are_given_back_after_the_next_beat(one: Doubtful) -> None:
    async with one.route, one.shares:
        await one.see(1)
        one.database.answers = one.database.does = False
        await one.see(1, 2)
        slots_then, held_then = dict(one.database.slots), set(one.route.held)
        one.database.answers = one.database.does = True
        await one.see(1, 2)

        assert slots_then == dict.fromkeys(range(4), 1)
        assert one.database.slots == {0: 1, 1: 1}
        assert held_then == set(one.route.held) == {0, 1}
        assert one.database.log[-1] == "release [2, 3]"


async def test_older_look_at_the_slots_takes_away_nothing_and_gives_nothing(one: Doubtful) -> None:
    async with one.route, one.shares:
        of_nobody = one.database.seen()
        await one.see(1)
        await one.beat(NODES[0], slots=of_nobody)
        held_then = set(one.route.held)
        of_one = one.database.seen()
        await one.see(1, 2)
        one.database.slots |= {2: 2, 3: 2}
        await one.beat(*NODES[:2], slots=of_one)

        assert held_then == {0, 1, 2, 3}
        assert set(one.route.held) == {0, 1}
        assert one.database.slots == {0: 1, 1: 1, 2: 2, 3: 2}


async def test_carrier_that_comes_back_has_no_slot_that_was_given_back_without_an_answer(
    one: Doubtful, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one.route, one.shares:
        await one.see(1)
        await unused(one, monkeypatch)
        one.database.answers = False
        await one.see(1)
        one.database.answers = True
        one.database.slots = {0: 2}
        one.is_used = True
        await one.see(1)

        assert set(one.route.held) == {1, 2, 3}


async def test_slots_of_a_carrier_that_is_gone_are_given_back_when_the_database_can_do_it(
    one: Doubtful, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one.route, one.shares:
        await one.see(1)
        await unused(one, monkeypatch)
        one.database.answers = one.database.does = False
        await one.see(1)
        slots_then = dict(one.database.slots)
        one.database.answers = one.database.does = True
        await one.see(1)

        assert slots_then == dict.fromkeys(range(4), 1)
        assert one.database.slots == {}


async def test_release_that_fails_is_told_and_tried_again_at_the_next_beat(
    one: Doubtful, caplog: pytest.LogCaptureFixture
) -> None:
    async with one.route, one.shares:
        one.database.slots = {0: 1}
        one.database.answers = one.database.does = False
        await one.see(1)
        one.database.answers = one.database.does = True
        await one.see(1)

        assert "slots of carrier north are not given back" in caplog.text
        assert set(one.route.held) == {0, 1, 2, 3}
