"""What one node does by the beats of all: it lives, lets go, and holds just its share of the binds."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.errors import CarrierUnavailable, Overloaded
from dastak.core.node import HOLD_S, Beat, Node, Role, Slot
from dastak.core.way_out import HeldElsewhere, Queue
from dastak.nodes.away_route import AwayRoute
from dastak.nodes.bind_shares import BindShares
from dastak.nodes.pulse import Pulse
from dastak.nodes.queues_elsewhere import queues_elsewhere
from dastak.sms.esme import OVER_S_MAX
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings

NORTH = Carrier(name="north", kind=CarrierKind.SMPP)
NODES = tuple(Node(n=n, name=f"host{n}", roles=(Role.ALL,)) for n in (1, 2, 3))


class Database:
    """The port `NodeStore` in memory, for node 1; it can be away, or take the node for dead.

    Attributes:
        slots: Who holds each slot of the carrier north.
        log: What was asked of it, in order.
    """

    alone = False

    def __init__(self) -> None:
        self.number = 0
        self.slots: dict[int, int] = {}
        self.log: list[str] = []
        self.queues: Mapping[str, Queue] = {}
        self.away = self.dead = False
        self.beaten = asyncio.Event()

    async def join(self, name: str, roles: Collection[Role]) -> int:
        self.number += 1
        self.log.append(f"join as {self.number}")
        return self.number

    async def beat(self, up: Collection[str], queues: Mapping[str, Queue]) -> Beat | None:
        self.queues = queues
        self.beaten.set()
        if self.away:
            raise Overloaded("The database does not answer.")
        if self.dead:
            self.dead = False
            return None
        return Beat(NODES[:1])

    async def leave(self) -> None:
        self.log.append("leave")
        if self.away:
            raise Overloaded("The database does not answer.")

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        if self.away:
            raise Overloaded("The database does not answer.")
        got = [slot for slot in range(binds) if slot not in self.slots][:wanted]
        self.slots |= dict.fromkeys(got, self.number)
        self.log.append(f"claim {got}")
        return got

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        self.log.append(f"release {sorted(slots)}")
        for slot in slots:
            self.slots.pop(slot, None)

    async def listed(self) -> Sequence[Node]:
        return NODES

    async def listen(self, bell: Callable[[], None]) -> None:
        del bell


async def turns(count: int = 10) -> None:
    """Let everybody go on who can."""
    for _ in range(count):
        await asyncio.sleep(0)


class Life:
    """A pulse, with what it tells."""

    def __init__(self, database: Database) -> None:
        self.heard: list[Beat] = []
        self.lost = asyncio.Event()
        self.pulse = Pulse(
            database, name="host1", roles=(Role.ALL,), up=lambda: (),
            queues=lambda: {"north": Queue({1: 3}, None)}, on_beat=self.heard.append, on_lost=self.lost.set,
        )  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.nodes.pulse.BEAT_EVERY_S", 0.001)


@pytest.mark.usefixtures("quick")
async def test_node_joins_is_told_who_lives_and_leaves() -> None:
    database = Database()
    life = Life(database)

    async with life.pulse:
        database.beaten.clear()
        await database.beaten.wait()

    assert life.heard[0] == Beat(NODES[:1])
    assert database.queues == {"north": Queue({1: 3}, None)}
    assert database.log == ["join as 1", "leave"]
    assert not life.lost.is_set()


@pytest.mark.usefixtures("quick")
async def test_node_that_was_taken_for_dead_lets_go_and_comes_back_under_a_new_number() -> None:
    database = Database()
    life = Life(database)

    async with life.pulse:
        database.dead = True
        await life.lost.wait()
        before = len(life.heard)
        while len(life.heard) == before:
            database.beaten.clear()
            await database.beaten.wait()

    assert database.log == ["join as 1", "join as 2", "leave"]


@pytest.mark.usefixtures("quick")
async def test_node_that_cannot_renew_lets_go_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.nodes.pulse.HOLD_S", 0.01)
    database = Database()
    life = Life(database)

    async with life.pulse:
        database.away = True
        await life.lost.wait()
        again = len(life.heard)
        database.away = False
        while len(life.heard) == again:
            database.beaten.clear()
            await database.beaten.wait()

    # The others had not buried it yet: it goes on under its number.
    assert database.log == ["join as 1", "leave"]


async def test_answer_to_a_beat_that_comes_too_late_renews_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, ahead = asyncio.get_running_loop(), [0.0]
    real = loop.time
    database = Database()
    life = Life(database)

    async def slow(up: Collection[str], queues: Mapping[str, Queue]) -> Beat:
        ahead[0] += HOLD_S
        return Beat(NODES[:1])

    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
    monkeypatch.setattr(database, "beat", slow)
    async with life.pulse:
        await life.lost.wait()

    assert life.heard == []


async def test_node_that_cannot_say_farewell_stops_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    database = Database()
    async with Life(database).pulse:
        database.away = True

    assert "could not be told that this one stops" in caplog.text


class Shares:
    """Node 1 with a carrier of four binds that nobody answers for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database: Database | None = None) -> None:
        self.database = database or Database()
        self.database.number = 1
        self._monkeypatch = monkeypatch
        self.route = self.new_route()
        self.is_used = True
        self.shares = BindShares(self.database, lambda: [(NORTH, self.route)] if self.is_used else [])

    def new_route(self) -> SmppRoute:
        settings = SmppSettings(host="127.0.0.1", port=1, system_id="us", password="x", binds=4)
        route = SmppRoute("north", settings, take_receipt=None, slots=())  # type: ignore[arg-type]
        log, hold = self.database.log, route.hold

        async def held(slots: Collection[int]) -> None:
            log.append(f"hold {sorted(slots)}")
            await hold(slots)

        self._monkeypatch.setattr(route, "hold", held)
        return route

    async def beat(self, *nodes: Node, slots: tuple[Slot, ...] = ()) -> None:
        self.shares.on_beat(Beat(nodes, slots))
        await turns()


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(monkeypatch)


async def test_lone_node_takes_all_slots_before_it_binds(one: Shares) -> None:
    async with one.route, one.shares:
        await one.beat(NODES[0])

        assert one.database.log == ["claim [0, 1, 2, 3]", "hold [0, 1, 2, 3]"]
        assert one.shares.slots() == 4


async def test_slots_of_another_node_are_given_back_after_their_binds_are_closed(one: Shares) -> None:
    async with one.route, one.shares:
        await one.beat(NODES[0])
        await one.beat(*NODES[:2])

        assert one.database.log[2:] == ["hold [0, 1]", "release [2, 3]"]
        assert one.shares.slots() == 2


async def test_slots_of_a_dead_node_are_taken_over(one: Shares) -> None:
    one.database.slots = {0: 2, 1: 2}
    async with one.route, one.shares:
        await one.beat(*NODES[:2])
        before = set(one.route.held)
        one.database.slots = {slot: n for slot, n in one.database.slots.items() if n != 2}
        await one.beat(NODES[0])

    assert before == {2, 3}
    assert one.database.slots == dict.fromkeys(range(4), 1)


async def test_database_that_is_away_changes_nothing_of_what_is_held(one: Shares) -> None:
    async with one.route, one.shares:
        await one.beat(*NODES[:2])
        one.database.away = True
        await one.beat(NODES[0])
        held_then = one.shares.slots()
        one.database.away = False
        await one.beat(NODES[0])

        assert (held_then, one.shares.slots()) == (2, 4)


async def test_binds_of_who_was_lost_are_opened_again_when_they_are_closed_and_not_before(
    one: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose carrier is slow to answer takes a second to end; a database may be back before."""
    closed, hold = asyncio.Event(), one.route.hold

    async def closing_slowly(slots: Collection[int]) -> None:
        await hold(slots)
        if not slots:
            await closed.wait()

    async with one.route, one.shares:
        await one.beat(NODES[0])
        monkeypatch.setattr(one.route, "hold", closing_slowly)
        one.shares.on_lost()
        await turns()
        await one.beat(NODES[0])
        held_then = set(one.route.held)
        # Others came meanwhile: they get what is theirs when it is closed.
        await one.beat(*NODES[:2])
        given_back_then = [said for said in one.database.log if said.startswith("release")]
        closed.set()
        await turns(20)

        assert (held_then, given_back_then) == (set(), [])
        assert set(one.route.held) == {0, 1}
        assert one.database.log[-2:] == ["hold [0, 1]", "release [2, 3]"]


async def test_who_is_lost_closes_all_binds_and_keeps_the_slots_that_nobody_took(one: Shares) -> None:
    async with one.route, one.shares:
        await one.beat(NODES[0])
        one.shares.on_lost()
        await turns()
        bound_then = set(one.route.held)
        await one.beat(NODES[0])

        assert bound_then == set()
        assert set(one.route.held) == {0, 1, 2, 3}
        assert one.database.log.count("claim [0, 1, 2, 3]") == 1


async def test_node_with_a_new_number_holds_nothing_of_what_it_had(one: Shares) -> None:
    async with one.route, one.shares:
        await one.beat(NODES[0])
        one.database.number, one.database.slots = 2, {}
        await one.beat(NODES[1])

        assert set(one.database.slots.values()) == {2}


async def test_route_that_takes_the_place_of_another_holds_its_slots_and_gives_none_back_before_its_end(
    one: Shares,
) -> None:
    ended = asyncio.get_running_loop().create_future()
    old, fresh = one.route, one.new_route()
    async with old, one.shares:
        await one.beat(NODES[0])
        fresh.follow(old, ended)
        one.route = fresh
        async with fresh:
            held_at_once = set(fresh.held)
            await one.beat(*NODES[:2])
            log_before = list(one.database.log)
            ended.set_result(None)
            await turns()

    assert held_at_once == {0, 1, 2, 3}
    assert log_before[2:] == ["hold [0, 1]"]
    assert one.database.log[2:4] == ["hold [0, 1]", "release [2, 3]"]


async def test_route_that_was_closed_while_its_slots_were_taken_opens_no_bind(one: Shares) -> None:
    async with one.shares:
        async with one.route:
            pass
        await one.beat(NODES[0])
        binds = one.route.binds()

    assert one.database.log[:2] == ["claim [0, 1, 2, 3]", "hold [0, 1, 2, 3]"]
    assert binds == ()


async def test_slots_of_a_carrier_that_is_gone_are_given_back_when_its_binds_must_be_closed(
    one: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, ahead = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
    async with one.route, one.shares:
        await one.beat(NODES[0])
        one.is_used = False
        await one.beat(NODES[0])
        ahead[0] += OVER_S_MAX / 2
        await one.beat(NODES[0])
        slots_before = one.shares.slots()
        ahead[0] += OVER_S_MAX / 2
        await one.beat(NODES[0])

        assert (slots_before, one.shares.slots()) == (4, 0)
        assert one.database.log[-1] == "release [0, 1, 2, 3]"


async def test_who_is_bound_is_told_to_a_node_that_is_not(one: Shares) -> None:
    await one.beat(*NODES, slots=(Slot("north", 0, 1, True), Slot("north", 1, 2), Slot("north", 2, 3, True)))

    assert one.route.elsewhere == 3
    assert one.route.available


async def test_message_for_a_carrier_of_other_nodes_is_passed_to_one_of_them() -> None:
    route = AwayRoute("voice", CarrierKind.SIP)
    async with route:
        with pytest.raises(CarrierUnavailable, match="no node is connected"):
            await route.submit(None)  # type: ignore[arg-type]
        before = route.available, route.reason
        route.elsewhere = 7
        with pytest.raises(HeldElsewhere) as passed:
            await route.submit(None)  # type: ignore[arg-type]

    assert before == (False, "no node is connected")
    assert (route.available, route.reason) == (True, "node 7 is connected")
    assert passed.value.args == HeldElsewhere(7).args


async def test_carrier_that_needs_no_bind_is_passed_to_a_node_that_speaks() -> None:
    database = Database()
    database.number = 1
    route = AwayRoute("trunk", CarrierKind.SIP)
    carrier = Carrier(name="trunk", kind=CarrierKind.SIP)
    shares = BindShares(database, lambda: [(carrier, route)])

    shares.on_beat(
        Beat((NODES[0], Node(n=2, name="b", roles=(Role.CARRIER,)), Node(n=5, name="c", roles=(Role.VOICE,))))
    )

    assert route.elsewhere == 5


def beat_of(*queues: dict[str, Queue], bound: tuple[int, ...]) -> Beat:
    nodes = tuple(
        Node(n=n, name=f"host{n}", roles=(Role.CARRIER,), queues=queue) for n, queue in enumerate(queues, 1)
    )
    return Beat(nodes, tuple(Slot("north", slot, n, up=True) for slot, n in enumerate(bound)))


def test_queues_of_all_other_nodes_that_send_by_a_carrier_are_one() -> None:
    beat = beat_of(
        {"north": Queue({1: 9}, 9.0)},
        {"north": Queue({1: 3, 2: 1}, 4.0)},
        {"north": Queue({2: 5}, 1.0)},
        {"north": Queue({3: 7}, 7.0)},
        bound=(1, 2, 3),
    )

    assert queues_elsewhere([NORTH], beat, 1) == {"north": Queue({1: 3, 2: 6}, 5.0)}


def test_queue_is_not_told_where_one_node_that_sends_has_none_or_does_not_know_its_pace() -> None:
    waiting = {"north": Queue({1: 3}, 4.0)}
    free = beat_of({}, waiting, {}, bound=(2, 3))
    unknown = beat_of({}, waiting, {"north": Queue({1: 3}, None)}, bound=(2, 3))

    assert queues_elsewhere([NORTH], free, 1) == {}
    assert queues_elsewhere([NORTH], unknown, 1) == {"north": Queue({1: 6}, None)}


def test_queues_of_a_carrier_over_http_are_those_of_all_that_send() -> None:
    carrier = Carrier(name="vendor", kind=CarrierKind.HTTP)
    beat = Beat(
        (
            Node(n=1, name="a", roles=(Role.API,)),
            Node(n=2, name="b", roles=(Role.WORKER,), queues={"vendor": Queue({1: 3}, 4.0)}),
        )
    )

    assert queues_elsewhere([carrier], beat, 1) == {"vendor": Queue({1: 3}, 4.0)}
