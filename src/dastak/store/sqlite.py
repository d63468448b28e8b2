"""The store in one SQLite file: what is acknowledged is on the disk, and whatever runs at once is serial."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from dastak.core.errors import NotFound
from dastak.core.events import AnyEvent
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.node import OneNode
from dastak.core.past_use import Judge
from dastak.core.ports import Change, Filter, Held, Once, Opening, Page, Replayed, Swept
from dastak.store import reading, rows
from dastak.store.sqlite_desk import SqliteDesk
from dastak.store.sqlite_file import READING
from dastak.store.subjects import Subjects

T = TypeVar("T")


class SqliteStore(Subjects):
    """The port `Store` on one file, as an async context.

    What every code passes through asks the connections themselves; all else goes over the desk.
    """

    def __init__(self, path: Path | str) -> None:
        self.nodes = OneNode()
        self._sqlite = SqliteDesk(path)
        super().__init__(self._sqlite)

    async def __aenter__(self) -> Self:
        desk = await self._sqlite.__aenter__()
        self._group, self._writes, self._reader, self._sql = desk.group, desk.writes, desk.reader, desk.sql
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sqlite.__aexit__(kind, error, trace)

    @property
    def healthy(self) -> bool:
        """Whether the database can write."""
        return self._group.healthy

    @property
    def commits(self) -> int:
        """How many commits were made since the start."""
        return self._group.commits

    @property
    def operations(self) -> int:
        """How many operations those commits held."""
        return self._group.operations

    async def nodes_up(self) -> int:
        """Return how many nodes are up: a file has one."""
        return 1

    def open(self, opening: Opening[T], *, once: Once | None = None) -> Awaitable[T | Replayed]:
        """See `Store.open`."""
        return self._group.run(partial(self._writes.open, opening, once))

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
        return self._group.run(partial(self._writes.decide, key, rule, tenant, once, judge))

    async def kept(self, once: Once) -> Replayed | None:
        """See `Store.kept`."""
        return await self._group.run(partial(self._writes.kept, once))

    async def find(self, tenant: int, verification_id: VerificationId) -> Held:
        """See `Store.find`."""
        with READING:
            row = self._reader.execute(self._sql["held_by_id"], (verification_id,)).fetchone()
        # A foreign row is not read any further than one that is not there: no clock tells the two apart.
        if row is None or row[rows.TENANT_COLUMN] != tenant:
            raise NotFound("There is no such verification.")
        return rows.held_of(row)

    async def timeline(self, tenant: int, verification_id: VerificationId) -> Sequence[AnyEvent]:
        """See `Store.timeline`."""
        with READING:
            found = self._reader.execute(self._sql["timelines"], (tenant, verification_id)).fetchall()
        return reading.timeline_of(found)

    async def list(self, wanted: Filter) -> Page:
        """See `Store.list`."""
        return await self._sqlite.list(partial(reading.page, wanted))

    async def due(self, now: datetime, *, lease_until: datetime, limit: int) -> Sequence[Held]:
        """See `Store.due`."""
        return await self._group.run(partial(self._writes.due, now, lease_until, limit))

    async def recover(self, now: datetime) -> int:
        """See `Store.recover`."""
        return await self._group.run(partial(self._writes.recover, now))

    async def sweep(self, now: datetime, *, keep_after: datetime, limit: int) -> Swept:
        """See `Store.sweep`."""
        return await self._group.run(partial(self._writes.sweep, now, keep_after, limit))
