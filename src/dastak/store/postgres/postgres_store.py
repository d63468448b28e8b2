"""The store on PostgreSQL: what is acknowledged is durable there, and each number has one who decides."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from os import urandom
from types import TracebackType
from typing import Final, Self, TypeVar

import psycopg

from dastak.core import verification as rules
from dastak.core.errors import NotFound, Overloaded
from dastak.core.events import AnyEvent, Event, MessageResumed
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge
from dastak.core.ports import Change, Filter, Held, Once, Opening, Page, Replayed, Swept
from dastak.core.verification import State, Verification
from dastak.store import reading, rows
from dastak.store.desk import Execute
from dastak.store.old_rows import sweep_rest
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.batches import Batches
from dastak.store.postgres.finder import Finder
from dastak.store.postgres.operations import Decide, Look, Open, Unlock
from dastak.store.postgres.postgres_desk import PostgresDesk, steady_s
from dastak.store.postgres.postgres_lane import Connection, connect
from dastak.store.postgres.postgres_nodes import PostgresNodes
from dastak.store.postgres.server_refusals import told
from dastak.store.postgres.sheet import encoded
from dastak.store.rows import LIFE_MS_MAX, TIMELINE_OCTETS_MAX
from dastak.store.subjects import Subjects

T = TypeVar("T")
Expired = tuple[Verification, tuple[Event, ...]]

# Row numbers rise with time on every node, so that lists are in order: 41 bits of milliseconds since 2024,
# 10 of the node, 12 of a count.
_SINCE_MS: Final = 1_704_067_200_000
_NODE_BITS: Final = 10
_COUNT_BITS: Final = 12
# A server's clock that was set is followed from more than this on; less is drift, and how long asking takes.
CLOCK_SET_S_MIN: Final = 0.25
CLOCK_ERROR_S_MAX: Final = 0.25
# Messages resumed in one transaction: a long queue as a whole takes longer than the database may take to
# answer, and the program did not start.
RESUME_MAX: Final = 1_000
# As many as there are in a lease.
LOST_LOOKS_MAX: Final = 60
NODES_MAX: Final = 1 << _NODE_BITS
_COUNTS_MAX: Final = 1 << _COUNT_BITS
# The node that has number 7 holds lock 10007.
_NODE_LOCK: Final = 10_000


class PostgresStore(Subjects):
    """The port `Store` on one PostgreSQL database, as an async context.

    Args:
        url: `postgresql://user@host/database`, or anything else that libpq reads.
        password: Of the server, unless libpq finds it elsewhere.

    Attributes:
        clock_ahead_s: How far the server's clock was ahead of this machine's when it was last read.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._url, self._connect = url, partial(connect, url, password=password)
        # Until when they leased what they took.
        self._lost_looks: list[int] = []

    async def __aenter__(self) -> Self:
        with told(self._url):
            await asyncio.to_thread(lambda: postgres_migrate.upgrade(self._connect()))
        self._number = RowNumbers(int.from_bytes(urandom(2), "big") % NODES_MAX, now_s=self.now_s)
        arrive = partial(postgres_migrate.arrive, self._connect)
        self._seldom = PostgresDesk(arrive, stays=self._number.claim)
        super().__init__(self._seldom)
        # In this order: whoever joined before it is seen, and whoever joins later is newer.
        [(self._newest_node,)] = await self._seldom.one("newest_node", ())
        self._came_alone = await self._seldom.is_alone()
        self._started_s: float | None = None
        await self.read_clock()
        self.nodes = PostgresNodes(arrive)
        in_sets = partial(postgres_migrate.arrive, partial(self._connect, in_sets=True))
        self._batches = Batches(
            in_sets, octets_max=TIMELINE_OCTETS_MAX, node=lambda: self.nodes.number, now_s=self.now_s
        )
        self._finder = Finder(in_sets)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        parts = (self.nodes, self._batches, self._finder, self._seldom)
        await asyncio.gather(*(part.close() for part in parts))

    @property
    def healthy(self) -> bool:
        """Whether the database can be written."""
        return self._batches.healthy and self._seldom.healthy

    @property
    def commits(self) -> int:
        """How many batches were committed since the start."""
        return self._batches.commits

    @property
    def operations(self) -> int:
        """How many operations those commits held."""
        return self._batches.operations

    @property
    def connects(self) -> int:
        """How many connections were opened since the start: seven, and one more for each that was lost."""
        return self._batches.connects + self._finder.lane.connects + self._seldom.connects

    @property
    def doubts(self) -> int:
        """How often nobody could say whether the database did what it was asked."""
        return self._batches.doubts + self._finder.lane.doubts + self._seldom.doubts

    async def nodes_up(self) -> int:
        """Return how many nodes are up, with this one."""
        return await self._seldom.nodes_up()

    def open(self, opening: Opening[T], *, once: Once | None = None) -> Awaitable[T | Replayed]:
        """See `Store.open`."""
        return self._batches.run(Open(opening, once, self._number))

    def decide(
        self,
        key: VerificationId | MessageKey | CarrierRef,
        rule: Callable[[Held], Change[T]],
        *,
        tenant: int | None = None,
        once: Once | None = None,
        judge: Judge | None = None,
    ) -> Awaitable[T | Replayed]:
        """See `Store.decide`."""
        return self._batches.run(Decide(key, rule, tenant, once, judge))

    async def unlock(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """See `Store.unlock`."""
        unlocked: bool = await self._batches.run(Unlock(tenant, msisdn, once))
        return unlocked

    async def kept(self, once: Once) -> Replayed | None:
        """See `Store.kept`."""
        return await self._seldom.kept(once)

    async def find(self, tenant: int, verification_id: VerificationId) -> Held:
        """See `Store.find`."""
        found = await self._finder.find(verification_id)
        if found is None or found[rows.TENANT_COLUMN] != tenant:
            raise NotFound("There is no such verification.")
        return rows.held_of(found)

    async def timeline(self, tenant: int, verification_id: VerificationId) -> Sequence[AnyEvent]:
        """See `Store.timeline`."""
        return reading.timeline_of(await self._seldom.one("timelines", (tenant, verification_id)))

    async def list(self, wanted: Filter) -> Page:
        """See `Store.list`."""
        return await self._seldom.list(partial(reading.page, wanted))

    async def due(self, now: datetime, *, lease_until: datetime, limit: int) -> Sequence[Held]:
        """See `Store.due`.

        Before that, what dead nodes had in their hands becomes due, and what this one took without knowing.
        """
        now_ms, until_ms, node = rows.to_ms(now), rows.to_ms(lease_until), self.nodes.number
        if self.nodes.mourning:
            await self._seldom.write(partial(_resume, now_ms, "in_dead_hands", (limit,)))
        self._lost_looks = [lost_ms for lost_ms in self._lost_looks if lost_ms > now_ms]
        if self._lost_looks:
            await self._seldom.one("take_back", (now_ms, node, self._lost_looks))
        try:
            taken = await self._seldom.one("take_due", (now_ms, limit, until_ms, node))
        except Overloaded as why:
            if why.may_be_done:  # perhaps only later, as by a server that waits for its standby
                self._lost_looks = [*self._lost_looks, until_ms][-LOST_LOOKS_MAX:]
            raise
        return rows.all_held(taken)

    async def recover(self, now: datetime) -> int:
        """See `Store.recover`.

        What other nodes had in their hands when this one came is left to them: when one of them dies, the
        others take it over within seconds.
        """
        if not self._came_alone:
            return 0
        now_ms, resumed = rows.to_ms(now), 0
        asked = (now_ms, self._newest_node, RESUME_MAX)
        while portion := await self._seldom.write(partial(_resume, now_ms, "in_earlier_hands", asked)):
            resumed += portion
        return resumed

    async def sweep(self, now: datetime, *, keep_after: datetime, limit: int) -> Swept:
        """See `Store.sweep`."""
        await self._look()
        over = await self._seldom.one("expiring", (rows.to_ms(now), limit))
        ending = (self._expire(VerificationId(row[0]), now) for row in over)
        expired = await asyncio.gather(*ending)

        def delete(execute: Execute) -> int:
            deleted = execute("delete_old_verifications", (rows.to_ms(keep_after), limit)).rowcount
            sweep_rest(execute, now, keep_after, limit)
            return deleted

        deleted = await self._seldom.write(delete)
        return Swept(tuple(one for one in expired if one is not None), deleted)

    async def _look(self) -> None:
        """Find out what nobody else does in a quiet hour: that batches are written again."""
        if not self._batches.healthy:
            await self._batches.run(Look())

    async def read_clock(self) -> None:
        """Take the time of the server's clock, where it is known well enough and was set since."""
        read = await self._seldom.server_time()
        since_start_s = read.server_s - read.steady_s
        if self._started_s is None or (
            read.took_s <= CLOCK_ERROR_S_MAX and abs(since_start_s - self._started_s) > CLOCK_SET_S_MIN
        ):
            self._started_s = since_start_s
        self.clock_ahead_s = read.server_s - read.wall_s

    def now_s(self) -> float:
        """Return the time by the server's clock, in seconds since 1970."""
        assert self._started_s is not None
        return self._started_s + steady_s()

    async def _expire(self, verification_id: VerificationId, now: datetime) -> Expired | None:
        """End one whose time is over; None when somebody else has ended it."""

        def rule(held: Held) -> Change[Expired | None]:
            one = held.verification
            if one.state is not State.PENDING or one.expires_at > now:
                return Change(answer=None)
            step = rules.expire(one, now=now)
            return Change(
                answer=(step.verification, step.events), verification=step.verification, events=step.events
            )

        try:
            answer = await self.decide(verification_id, rule)
        except NotFound:
            return None
        assert not isinstance(answer, Replayed)
        return answer


def _resume(now_ms: int, statement: str, asked: Sequence[int], execute: Execute) -> int:
    """Make messages due that some process had in its hands, or might have; return how many."""
    found = execute(statement, asked).fetchall()
    if found:
        traces = [
            {"verification": n, "ordinal": ordinal, "trace": rows.lines((MessageResumed(now_ms, ordinal),))}
            for n, ordinal in found
        ]
        execute("resume_messages", (now_ms, LIFE_MS_MAX, TIMELINE_OCTETS_MAX, encoded(traces)))
    return len(found)


class RowNumbers:
    """Give each row of this node a number that no other node gives.

    Args:
        node: Where to look for a free one first.
        now_s: Returns the time, in seconds since 1970.

    Attributes:
        node: This node's own number; a lock of its connection keeps others from having it too.
    """

    def __init__(self, node: int, *, now_s: Callable[[], float] = time.time) -> None:
        self.node, self._now_s = node, now_s
        self._ms = self._count = 0

    def claim(self, connection: Connection) -> None:
        """Keep the node's number, or find another one that is free.

        Raises:
            psycopg.OperationalError: There are as many nodes as numbers.
        """
        for node in ((self.node + more) % NODES_MAX for more in range(NODES_MAX)):
            taken = connection.execute("SELECT pg_try_advisory_lock($1, $2)", (0x4453, _NODE_LOCK + node))
            if taken.fetchone() == (True,):
                self.node = node
                return
        raise psycopg.OperationalError(f"{NODES_MAX} nodes are up, and no number is left for another one")

    def __call__(self) -> int:
        """Return the next number."""
        now_ms = int(self._now_s() * 1_000) - _SINCE_MS
        if now_ms > self._ms:
            self._ms, self._count = now_ms, 0
        else:
            # In one millisecond the count rises; when it is used up, the next millisecond is begun early.
            self._count += 1
            if self._count == _COUNTS_MAX:
                self._ms, self._count = self._ms + 1, 0
        return (self._ms << _NODE_BITS | self.node) << _COUNT_BITS | self._count
