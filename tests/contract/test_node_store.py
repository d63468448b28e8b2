"""Nodes on one database: who lives, who holds which binds, and whose message is in whose hands."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from dastak import __version__
from dastak.core.errors import Conflict
from dastak.core.events import MessageResumed
from dastak.core.message import CarrierRef, Message, MessageState, submitted
from dastak.core.node import (
    BEAT_EVERY_S,
    COME_BACK_S,
    LEASE_S,
    MOURNED_S,
    Does,
    OneNode,
    Role,
    does,
    fair_share,
    read_roles,
)
from dastak.core.ports import Change, Held
from dastak.core.way_out import Queue
from dastak.flows.record import in_same_hands
from dastak.store.postgres.postgres_lane import connect
from dastak.store.postgres.postgres_nodes import CROWDS_TOLD_MAX, process_of
from dastak.store.postgres.postgres_store import PostgresStore
from tests.support.postgres_server import migrated_database
from tests.support.samples import NOW, some_message, some_opening, some_verification

SILENT_MS = 5_000


class Two:
    """Two nodes on one database, which lets one of them fall silent.

    Attributes:
        steady_s: The clock by which a node knows how long it was away itself; it stands.
    """

    def __init__(self, url: str, first: PostgresStore, second: PostgresStore) -> None:
        self.url, self.first, self.second = url, first, second
        self.steady_s = 1_000.0

    def silence(self, node: PostgresStore, ms: int = SILENT_MS) -> None:
        """Have the database believe that a node's last beat is so long ago."""
        with connect(self.url) as connection:
            connection.execute("UPDATE node SET beat_at = beat_at - $1 WHERE n = $2", (ms, node.nodes.number))

    def stand_still(self) -> None:
        """Have the database believe that it was away for some seconds, and the nodes know it."""
        self.silence(self.first)
        self.silence(self.second)
        self.steady_s += SILENT_MS / 1_000


@pytest.fixture
async def two(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    url = migrated_database()
    async with PostgresStore(url) as first, PostgresStore(url) as second:
        both = Two(url, first, second)
        monkeypatch.setattr("dastak.store.postgres.postgres_nodes.steady_s", lambda: both.steady_s)
        await first.nodes.join("one", (Role.ALL,))
        await second.nodes.join("two", (Role.API, Role.CARRIER))
        # Until both have been there for long enough to know who is dead.
        for _ in range(int(COME_BACK_S / BEAT_EVERY_S)):
            both.steady_s += BEAT_EVERY_S
            await asyncio.gather(first.nodes.beat([], {}), second.nodes.beat([], {}))
        yield both


async def living(node: PostgresStore) -> list[str]:
    """Have a node beat, and return who it hears of."""
    heard = await node.nodes.beat([], {})
    assert heard is not None
    return [one.name for one in heard.nodes]


async def open_one(store: PostgresStore, **changes: object) -> Message:
    verification = some_verification()
    message = some_message(verification, **changes)
    await store.open(some_opening(verification, message=message))
    return message


async def due(store: PostgresStore, after_s: float = 0) -> list[Message]:
    now = NOW + timedelta(seconds=after_s)
    held = await store.due(now, lease_until=now + timedelta(seconds=LEASE_S), limit=10)
    return [one.message for one in held if one.message is not None]


async def test_node_whose_process_is_gone_is_buried_by_the_next_one_on_its_machine(two: Two) -> None:
    running = await asyncio.create_subprocess_exec("sleep", "600")
    async with AsyncExitStack() as stack:
        third, fourth, fifth = [await stack.enter_async_context(PostgresStore(two.url)) for _ in range(3)]
        third.nodes.process = process_of(running.pid)
        await third.nodes.join("three", (Role.ALL,))
        assert await third.nodes.claim("north", 1, 1) == [0]

        await fourth.nodes.join("four", (Role.ALL,))
        assert await living(fourth) == ["one", "two", "three", "four"]

        running.kill()
        await running.wait()
        await fifth.nodes.join("five", (Role.ALL,))

        assert await living(fifth) == ["one", "two", "four", "five"]
        assert await fifth.nodes.claim("north", 1, 1) == [0]
        assert await third.nodes.beat([], {}) is None


async def test_nodes_hear_of_each_other_and_of_what_each_holds(two: Two) -> None:
    slots = await two.second.nodes.claim("north", 3, 2)
    await two.second.nodes.beat(["north"], {})
    heard = await two.first.nodes.beat([], {})
    listed = await two.first.nodes.listed()

    assert heard is not None
    assert list(slots) == [0, 1]
    assert [(node.name, node.roles) for node in heard.nodes] == [
        ("one", (Role.ALL,)),
        ("two", (Role.API, Role.CARRIER)),
    ]
    assert [(slot.slot, slot.node, slot.up) for slot in heard.slots] == [
        (0, two.second.nodes.number, True),
        (1, two.second.nodes.number, True),
    ]
    assert [node.slots for node in listed] == [0, 2]
    assert [node.version for node in listed] == [__version__] * 2
    # Its clock and the server's are one; what it takes to ask makes the second one seem behind.
    assert listed[1].ahead_s is not None
    assert -60 < listed[1].ahead_s < 1


async def test_claims_at_once_never_pass_the_allowance(two: Two) -> None:
    got = await asyncio.gather(*(node.nodes.claim("north", 5, 4) for node in (two.first, two.second)))
    more = await two.first.nodes.claim("north", 5, 5)

    taken = [slot for slots in (*got, more) for slot in slots]
    assert sorted(taken) == [0, 1, 2, 3, 4]


async def test_slot_that_is_given_back_is_another_nodes_to_take(two: Two) -> None:
    await two.first.nodes.claim("north", 1, 1)
    before = await two.second.nodes.claim("north", 1, 1)
    await two.first.nodes.release("north", [0])

    assert list(before) == []
    assert list(await two.second.nodes.claim("north", 1, 1)) == [0]


async def test_silent_node_is_dead_and_its_slots_are_free(two: Two) -> None:
    await two.first.nodes.claim("north", 1, 1)
    two.silence(two.first)

    heard = await two.second.nodes.beat([], {})
    got = await two.second.nodes.claim("north", 1, 1)

    assert heard is not None
    assert [node.name for node in heard.nodes] == ["two"]
    assert heard.mourned
    assert list(got) == [0]
    assert await two.first.nodes.beat(["north"], {}) is None
    assert list(await two.first.nodes.claim("north", 1, 1)) == []


async def test_node_that_was_away_itself_buries_nobody(two: Two) -> None:
    two.stand_still()

    first = await living(two.second)
    second = await living(two.second)

    assert first == second == ["one", "two"]


async def test_node_that_comes_back_in_time_lives_on_and_one_that_does_not_is_dead(two: Two) -> None:
    two.stand_still()
    heard = []
    for _ in range(int(COME_BACK_S / BEAT_EVERY_S)):
        heard.append(await living(two.second))
        two.steady_s += BEAT_EVERY_S
    await living(two.first)
    back = await living(two.second)
    two.silence(two.first)

    assert heard == [["one", "two"]] * len(heard)
    assert back == ["one", "two"]
    assert await living(two.second) == ["two"]


async def test_busy_node_that_is_late_now_and_then_finds_the_dead_all_the_same(two: Two) -> None:
    heard = []
    for after_s in (2.5, 1.0, 2.5, 1.0, 1.0, 1.0):
        two.silence(two.first, int(after_s * 1000))
        two.silence(two.second, int(after_s * 1000))
        two.steady_s += after_s
        heard.append(await living(two.second))

    assert heard == [["one", "two"]] * 5 + [["two"]]


async def test_node_that_was_taken_for_dead_buries_nobody_when_it_comes_back(two: Two) -> None:
    two.silence(two.first)
    await living(two.second)
    two.stand_still()

    beaten = await two.first.nodes.beat([], {})
    await two.first.nodes.join("one", (Role.ALL,))

    assert beaten is None
    assert await living(two.first) == ["two", "one"]


async def test_node_that_starts_right_after_a_pause_of_the_database_buries_nobody_at_first(two: Two) -> None:
    two.stand_still()
    async with PostgresStore(two.url) as third:
        await third.nodes.join("three", (Role.ALL,))
        heard = []
        for _ in range(int(COME_BACK_S / BEAT_EVERY_S) + 1):
            heard.append(await living(third))
            two.steady_s += BEAT_EVERY_S

    assert heard == [["one", "two", "three"]] * (len(heard) - 1) + [["three"]]


async def test_dead_node_comes_back_under_a_new_number(two: Two) -> None:
    old = two.first.nodes.number
    two.silence(two.first)
    await two.second.nodes.beat([], {})

    new = await two.first.nodes.join("one", (Role.ALL,))

    assert new > old
    assert await two.first.nodes.beat([], {}) is not None


async def test_node_that_leaves_gives_all_back_at_once(two: Two) -> None:
    await two.first.nodes.claim("north", 1, 1)
    await open_one(two.first, owner=two.first.nodes.number, due_at=NOW + timedelta(seconds=LEASE_S))
    await two.first.nodes.leave()

    heard = await two.second.nodes.beat([], {})

    assert heard is not None
    assert [node.name for node in heard.nodes] == ["two"]
    assert list(await two.second.nodes.claim("north", 1, 1)) == [0]
    assert len(await due(two.second)) == 1


async def test_dead_nodes_are_forgotten_in_the_end(two: Two) -> None:
    two.silence(two.first)
    await two.second.nodes.beat([], {})
    two.silence(two.first, int(MOURNED_S * 1000))
    await two.second.nodes.beat([], {})

    assert [node.name for node in await two.second.nodes.listed()] == ["two"]


async def test_message_in_the_hands_of_a_living_node_is_left_to_it_even_after_its_lease(two: Two) -> None:
    await open_one(two.first, owner=two.first.nodes.number, due_at=NOW)

    assert await due(two.second, LEASE_S) == []
    assert [message.fence for message in await due(two.first, LEASE_S)] == [0]


async def test_message_of_nobody_is_taken_by_one(two: Two) -> None:
    await open_one(two.first, due_at=NOW)

    taken = await asyncio.gather(due(two.first), due(two.second))

    assert sorted(len(messages) for messages in taken) == [0, 1]


async def test_message_of_a_dead_node_moves_before_its_lease_ends_and_the_late_write_is_refused(
    two: Two,
) -> None:
    in_hand = await open_one(two.first, owner=two.first.nodes.number, due_at=NOW + timedelta(seconds=LEASE_S))
    two.silence(two.first)
    await two.second.nodes.beat([], {})

    [taken] = await due(two.second)

    def write(held_as: Message, ref: str) -> Callable[[Held], Change[None]]:
        def rule(held: Held) -> Change[None]:
            assert held.message is not None
            step, _ = in_same_hands(
                held_as,
                lambda found: (submitted(found, CarrierRef("north", ref), latency_ms=1, now=NOW), None),
            )(held.message)
            return Change(answer=None, message=step.message, trace=step.events)

        return rule

    with pytest.raises(Conflict):
        await two.first.decide(in_hand.key, write(in_hand, "zombie"))
    await two.second.decide(taken.key, write(taken, "alive"))

    assert (taken.owner, taken.fence) == (two.second.nodes.number, 2)
    after = await two.first.decide(CarrierRef("north", "alive"), lambda held: Change(answer=held.message))
    assert isinstance(after, Message)
    assert (after.state, after.owner) == (MessageState.SUBMITTED, 0)


async def test_message_in_dead_hands_is_told_as_resumed_even_after_its_lease(two: Two) -> None:
    in_hand = await open_one(two.first, owner=two.first.nodes.number, due_at=NOW)
    two.silence(two.first)
    await two.second.nodes.beat([], {})

    [taken] = await due(two.second, LEASE_S)

    assert taken.key == in_hand.key
    events = await two.second.timeline(1, in_hand.key.verification)
    assert [type(event) for event in events].count(MessageResumed) == 1


async def test_node_that_came_alone_takes_nothing_from_who_joined_while_it_came() -> None:
    url = migrated_database()
    async with PostgresStore(url) as first, PostgresStore(url) as second:
        await second.nodes.join("two", (Role.ALL,))
        await first.nodes.join("one", (Role.ALL,))
        await open_one(second, owner=second.nodes.number, due_at=NOW + timedelta(seconds=LEASE_S))

        resumed = await first.recover(NOW)

        assert (resumed, len(await due(second, LEASE_S))) == (0, 1)


async def test_node_that_came_alone_leaves_what_is_in_the_hands_of_who_may_come_back() -> None:
    url = migrated_database()
    async with PostgresStore(url) as gone:
        await gone.nodes.join("gone", (Role.ALL,))
        number = gone.nodes.number
        await open_one(gone, owner=number, due_at=NOW + timedelta(seconds=LEASE_S))
    async with PostgresStore(url) as first:
        left = await first.recover(NOW)
        with connect(url) as connection:
            connection.execute("UPDATE node SET dead = 1 WHERE n = $1", (number,))
        taken = await first.recover(NOW)

    assert (left, taken) == (0, 1)


async def test_dead_node_takes_nothing(two: Two) -> None:
    await open_one(two.first, due_at=NOW)
    two.silence(two.first)
    await two.second.nodes.beat([], {})

    assert await due(two.first) == []
    assert len(await due(two.second)) == 1


async def test_bell_rings_for_what_is_due_now_and_in_no_hand_of_its_writer(two: Two) -> None:
    rung = asyncio.Event()
    await two.second.nodes.listen(rung.set)

    async with asyncio.timeout(30):
        while not rung.is_set():  # the first ring may come before the ear
            await open_one(two.first, due_at=NOW)
            await asyncio.wait([asyncio.create_task(rung.wait())], timeout=0.1)

    assert rung.is_set()


async def test_file_of_sqlite_has_one_node(tmp_path: Path) -> None:
    from tests.support.stores import open_sqlite

    async with open_sqlite(tmp_path) as store:
        assert isinstance(store.nodes, OneNode)
        assert await store.nodes.join("alone", (Role.ALL,)) == 0
        assert list(await store.nodes.claim("north", 2, 5)) == [0, 1]
        assert await store.nodes.listed() == ()


@pytest.mark.parametrize("binds", range(1, 9))
@pytest.mark.parametrize("nodes", [(1,), (1, 2), (3, 9, 4)])
def test_fair_shares_come_to_the_allowance_and_differ_by_one(binds: int, nodes: tuple[int, ...]) -> None:
    shares = [fair_share("north", binds, nodes, node) for node in nodes]

    assert sum(shares) == binds
    assert max(shares) - min(shares) <= 1


def test_who_does_not_bind_has_no_share() -> None:
    assert fair_share("north", 4, (1, 2), 3) == 0


def test_roles_are_read_and_come_to_what_a_node_does() -> None:
    assert does(read_roles("all")) == Does()
    assert does(read_roles("api")) == Does(answers=True, sends=False, binds=False, speaks=False)
    assert does(read_roles("worker, voice")) == Does(answers=False, sends=True, binds=False, speaks=True)
    with pytest.raises(ValueError, match="'apy' is no role"):
        read_roles("apy")


async def test_node_tells_with_its_beat_who_waits_there(two: Two) -> None:
    waiting = {"north": Queue({7: 3, 9: 1}, 12.5), "south": Queue({7: 1}, None)}
    await two.second.nodes.beat(["north"], waiting)
    told = await two.first.nodes.beat([], {})
    await two.second.nodes.beat(["north"], {})
    ended = await two.first.nodes.beat([], {})

    assert told is not None
    assert ended is not None
    assert [node.queues for node in told.nodes] == [{}, waiting]
    assert [node.queues for node in ended.nodes] == [{}, {}]


async def test_of_many_tenants_that_wait_the_largest_crowds_are_told(two: Two) -> None:
    crowds = {tenant: tenant for tenant in range(1, CROWDS_TOLD_MAX + 11)}
    await two.second.nodes.beat([], {"north": Queue(crowds, 1.0)})
    told = await two.first.nodes.beat([], {})

    assert told is not None
    known = told.nodes[1].queues["north"].crowds
    assert known == {0: sum(range(1, 11)), **{tenant: tenant for tenant in crowds if tenant > 10}}


async def test_what_a_newer_node_tells_otherwise_is_left_out(two: Two) -> None:
    with connect(two.url) as connection:
        connection.execute("UPDATE node SET queues = '[1]' WHERE n = $1", (two.second.nodes.number,))
    heard = await two.first.nodes.beat([], {})

    assert heard is not None
    assert [node.queues for node in heard.nodes] == [{}, {}]
