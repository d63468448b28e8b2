"""A carrier whose settings change never sees more binds than it allows, refuses none, and gets every text."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dastak.carriers.carrier_book import Act, CarrierBook, Wish
from dastak.carriers.carrier_kinds import open_route
from dastak.carriers.fleet import Fleet
from dastak.core.carrier import CarrierKind, CarrierState
from dastak.core.errors import CarrierUnavailable
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.node import Beat, Node, OneNode, Role
from dastak.core.way_out import Outgoing
from dastak.nodes.bind_shares import BindShares
from dastak.simulator.faults import Fault, FaultScript
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import Served
from dastak.sms.esme import BindState
from dastak.sms.pdu_bodies import Bind
from dastak.sms.smpp_codes import Status
from dastak.sms.smpp_route import SmppRoute
from dastak.store.seal import AesGcmSealer
from dastak.store.sqlite import SqliteStore
from tests.support.patience import LOOK_EVERY_S
from tests.support.samples import NOW, RING
from tests.support.smpp_pair import WAIT_S, Ends
from tests.support.stores import open_sqlite

BINDS = 3
SLOW = Fault(response=0.2)


class CountingSmsc(Smsc):
    """A carrier that allows `BINDS` binds.

    Attributes:
        refused: What it said to those it did not take.
        taken: How many binds it took.
        counts_old: Whether it counts binds that are closed, and so takes none.
    """

    def __init__(self, ends: Ends, *faults: Fault) -> None:
        account = Account(system_id="sim_1", password="secret", binds_max=BINDS)
        super().__init__(
            [account], on_message=ends.shown.append, faults=FaultScript(Random(1), faults=faults)
        )
        self.refused: list[Status] = []
        self.taken = 0
        self.counts_old = False

    def admit(self, bind: Bind) -> Served | Status:
        admitted = Status.ESME_RBINDFAIL if self.counts_old else super().admit(bind)
        if isinstance(admitted, Status):
            self.refused.append(admitted)
        else:
            self.taken += 1
        return admitted


class Changing:
    """A fleet, the carrier north, and whoever changes it."""

    def __init__(self, fleet: Fleet, carrier: CountingSmsc, ends: Ends) -> None:
        self.fleet, self.carrier, self.ends = fleet, carrier, ends
        self._acts = 0

    async def add(self) -> None:
        account = {"host": "127.0.0.1", "port": self.carrier.port, "system_id": "sim_1", "password": "secret"}
        wish = Wish(settings={**account, "binds": BINDS, "window": 5})
        await self.fleet.book.add("north", CarrierKind.SMPP, wish, self._act())
        await self.fleet.refresh()

    async def change(self, **settings: Any) -> None:
        await self.fleet.book.change("north", Wish(settings=settings), self._act())
        await self.fleet.refresh()

    async def turn(self, state: CarrierState) -> None:
        await self.fleet.book.change("north", Wish(state=state), self._act())
        await self.fleet.refresh()

    async def remove(self) -> None:
        await self.turn(CarrierState.OFF)
        await self.fleet.book.remove("north", self._act())
        await self.fleet.refresh()

    @property
    def route(self) -> SmppRoute:
        found = self.fleet.find("north")
        assert found is not None
        assert isinstance(found[1], SmppRoute)
        return found[1]

    def is_up(self) -> bool:
        return [bind.state for bind in self.route.binds()] == [BindState.BOUND] * BINDS

    async def until_up(self) -> None:
        await seen(self.is_up)

    async def send(self, n: int) -> CarrierRef:
        """Offer a text until it is taken, as a message is offered again that no route could take."""
        key = MessageKey(VerificationId(n.to_bytes(2, "big") + bytes(14)), 0)
        outgoing = Outgoing(key, Msisdn(f"+9198765{n:05d}"), "123456 is your code.", "ACMEOT", 299)
        async with asyncio.timeout(WAIT_S):
            while True:
                found = self.fleet.find("north")
                if found is not None:
                    try:
                        return await found[1].submit(outgoing)
                    except CarrierUnavailable as unavailable:
                        if unavailable.outcome_unknown:
                            raise
                await asyncio.sleep(LOOK_EVERY_S)

    def _act(self) -> Act:
        self._acts += 1
        return Act(who="cli", why=f"act {self._acts}", at=NOW)


async def seen(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not look():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def changing(home: Path, *faults: Fault) -> AsyncIterator[Changing]:
    ends = Ends()
    async with (
        CountingSmsc(ends, *faults) as carrier,
        open_sqlite(home) as store,
        fleet_on(store, slots=None) as fleet,
    ):
        yield Changing(fleet, carrier, ends)


def fleet_on(store: SqliteStore, *, slots: tuple[int, ...] | None) -> Fleet:
    def take(_receipt: object, acknowledge: Callable[[bool], None]) -> None:
        acknowledge(True)

    return Fleet(
        store,
        CarrierBook(store, AesGcmSealer(RING)),
        fixed=(),
        open_route=lambda one, settings: open_route(
            one.kind, one.name, settings, take, take_reply=take, slots=slots
        ),
        on_change=lambda entries: None,
    )


class SlotsOfAll(OneNode):
    """The slots that nodes share, as one of them sees them."""

    alone = False

    def __init__(self, number: int, holders: dict[int, int]) -> None:
        self.number, self._holders = number, holders

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        got = [slot for slot in range(binds) if slot not in self._holders][:wanted]
        self._holders |= dict.fromkeys(got, self.number)
        return got

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        for slot in slots:
            del self._holders[slot]


@asynccontextmanager
async def two_nodes(home: Path, *faults: Fault) -> AsyncIterator[list[Changing]]:
    """Run two nodes that share the binds of a carrier; nothing moves them to beat once more."""
    nodes = Beat(tuple(Node(n=n, name=f"host{n}", roles=(Role.ALL,)) for n in (1, 2)))
    ends, holders = Ends(), dict[int, int]()
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(CountingSmsc(ends, *faults))
        store = await stack.enter_async_context(open_sqlite(home))
        fleets = [await stack.enter_async_context(fleet_on(store, slots=())) for _ in nodes.nodes]
        both = [Changing(fleet, carrier, ends) for fleet in fleets]
        await both[0].add()
        await both[1].fleet.refresh()
        for node, fleet in zip(nodes.nodes, fleets, strict=True):
            shares = BindShares(SlotsOfAll(node.n, holders), lambda fleet=fleet: fleet.entries)
            await stack.enter_async_context(shares)
            shares.on_beat(nodes)
        yield both


async def begun(house: Changing, begin: int, count: int) -> list[asyncio.Task[CarrierRef]]:
    """Begin to send texts, and return when each was offered."""
    tasks = [asyncio.create_task(house.send(n)) for n in range(begin, begin + count)]
    await asyncio.sleep(0)
    return tasks


def phones(house: Changing) -> list[str]:
    return sorted(message.msisdn for message in house.ends.shown)


def phones_of(count: int) -> list[str]:
    return [f"+9198765{n:05d}" for n in range(count)]


async def test_change_of_the_window_under_load_opens_no_bind_too_many_and_loses_no_text(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, SLOW) as house:
        await house.add()
        await house.until_up()
        under_way = await begun(house, 0, 15)
        old = house.route

        await house.change(window=20)
        under_way += await begun(house, 15, 15)
        await asyncio.gather(*under_way)
        await house.until_up()

        assert house.route is not old
        assert old.binds()[0].reason == "unbound"

    assert (house.carrier.refused, house.carrier.taken) == ([], 2 * BINDS)
    assert phones(house) == phones_of(30)


async def test_nodes_that_share_the_binds_have_no_bind_too_many_when_one_hears_of_the_change_late(
    tmp_path: Path,
) -> None:
    async with two_nodes(tmp_path, SLOW) as both:
        one, two = both
        carrier = one.carrier
        await seen(lambda: carrier.taken == BINDS)
        under_way = await begun(one, 0, 5) + await begun(two, 5, 5)

        await one.change(window=20)
        under_way += await begun(one, 10, 5) + await begun(two, 15, 5)
        await asyncio.gather(*under_way)
        await two.fleet.refresh()
        under_way = await begun(one, 20, 5) + await begun(two, 25, 5)
        await asyncio.gather(*under_way)
        await seen(lambda: carrier.taken == 2 * BINDS)
        held = sorted(len(node.route.held) for node in both)

    assert (carrier.refused, held) == ([], [1, 2])
    assert phones(one) == phones_of(30)


async def test_two_changes_quickly_one_after_the_other_wait_for_the_first_route(tmp_path: Path) -> None:
    async with changing(tmp_path, SLOW) as house:
        await house.add()
        await house.until_up()
        under_way = await begun(house, 0, 15)

        await house.change(window=20)
        between = house.route
        await house.change(window=30)
        under_way += await begun(house, 15, 15)
        await asyncio.gather(*under_way)
        await house.until_up()

        assert {bind.reason for bind in between.binds()} == {"not started"}

    assert (house.carrier.refused, house.carrier.taken) == ([], 2 * BINDS)
    assert phones(house) == phones_of(30)


@pytest.mark.parametrize("removed", [True, False])
async def test_carrier_that_goes_and_comes_back_at_once_waits_for_its_own_binds(
    tmp_path: Path, removed: bool
) -> None:
    async with changing(tmp_path, SLOW) as house:
        await house.add()
        await house.until_up()
        under_way = await begun(house, 0, 15)

        if removed:
            await house.remove()
            await house.add()
        else:
            await house.turn(CarrierState.OFF)
            await house.turn(CarrierState.ACTIVE)
        await asyncio.gather(*under_way)
        await house.until_up()

    assert (house.carrier.refused, house.carrier.taken) == ([], 2 * BINDS)
    assert phones(house) == phones_of(15)


@pytest.mark.parametrize(
    ("settings", "refused"), [({"window": 20}, False), ({"window": 20, "system_type": "otp"}, True)]
)
async def test_carrier_that_still_counts_the_old_binds_is_asked_again_soon_if_the_account_is_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], refused: bool
) -> None:
    async with changing(tmp_path) as house:
        await house.add()
        await house.until_up()
        house.carrier.counts_old = True

        await house.change(**settings)
        await seen(lambda: {bind.reason for bind in house.route.binds()} == {"ESME_RBINDFAIL"})
        states = {bind.state for bind in house.route.binds()}
        house.carrier.counts_old = False
        if not refused:
            await house.until_up()

    assert states == {BindState.REFUSED if refused else BindState.DOWN}
    assert ("is refused" in caplog.text) is refused
