"""The store in one SQLite file: what is acknowledged is on the disk, and whatever runs at once is serial."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from dastak.core.call_report import CallReport, ReportPage
from dastak.core.carrier import Carrier, CarrierChange
from dastak.core.carrier_store import CarrierList
from dastak.core.dlt_store import DltRecord
from dastak.core.errors import NotFound, Overloaded
from dastak.core.events import AnyEvent, Event, from_lines
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, RecordedText
from dastak.core.msisdn import Msisdn
from dastak.core.ports import (
    Change,
    Filter,
    Held,
    Once,
    Opening,
    Page,
    PastCall,
    PastSend,
    Replayed,
    Swept,
    Tenancy,
)
from dastak.core.reply import HeardReply
from dastak.core.reply_store import ReplyPage, StopPage
from dastak.core.tenant import ApiKey, Mode, Service, Tenant
from dastak.core.verification import Verification
from dastak.store import (
    migrate,
    rows,
    sqlite_carriers,
    sqlite_dlt,
    sqlite_file,
    sqlite_past,
    sqlite_replies,
    sqlite_tenancy,
)
from dastak.store.group_commit import GroupCommit
from dastak.store.sqlite_code_pages import SqliteCodePages
from dastak.store.sqlite_factors import SqliteFactors
from dastak.store.sqlite_file import READING
from dastak.store.sqlite_landing import SqliteLanding
from dastak.store.sqlite_lead_hooks import SqliteLeadHooks
from dastak.store.sqlite_oidc import SqliteOidc
from dastak.store.sqlite_people import SqlitePeople
from dastak.store.sqlite_writes import Writes
from dastak.store.statements import load
from dastak.store.stop_list import StopList

T = TypeVar("T")

PAGE_MAX: Final = 200
# A list that takes longer asks for too much; it is stopped.
LIST_S_MAX: Final = 2.0

# Some milliseconds of SQLite's virtual machine.
_STEPS_BETWEEN_LOOKS: Final = 100_000
_NEWEST: Final = 2**63 - 1

log = logging.getLogger("dastak.store")


class SqliteStore:
    """The port `Store` on one file, as an async context.

    Short reads use a connection of their own on the loop thread: they see all that was acknowledged. Lists
    run in a thread.

    Attributes:
        factors, code_pages, people, oidc, landing, lead_hooks: The ports of these subjects.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    async def __aenter__(self) -> Self:
        migrate.upgrade(self._path)
        self._sql = load("queries.sql")
        # The group commit waits for locks itself, without holding the loop.
        self._writer = sqlite_file.connect(self._path, wait_s=0)
        self._reader = sqlite_file.connect(self._path, read_only=True)
        self._lister = sqlite_file.connect(self._path, read_only=True)
        self._list_thread = ThreadPoolExecutor(1, "dastak-list")
        self._writes = Writes(self._writer, self._sql)
        self._stops = StopList(self._reader, self._sql)
        self._group = GroupCommit(self._writer, forget=self._writes.forget)
        group, writer, reader, once = self._group, self._writer, self._reader, self._writes.once
        self.factors = SqliteFactors(group, once=once, writer=writer, reader=reader, sql=self._sql)
        self.code_pages = SqliteCodePages(group, once=once, writer=writer, reader=reader, sql=self._sql)
        self.people = SqlitePeople(group, once=once, writer=writer, reader=reader)
        self.oidc = SqliteOidc(group, once=once, writer=writer, reader=reader)
        self.landing = SqliteLanding(group, writer, reader, self._lister, self._listed)
        self.lead_hooks = SqliteLeadHooks(group, writer, reader, self._lister, self._listed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._group.close()
        self._list_thread.shutdown()
        for connection in (self._lister, self._reader, self._writer):
            connection.close()

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
    ) -> Awaitable[T | Replayed]:
        """See `Store.decide`."""
        return self._group.run(partial(self._writes.decide, key, rule, tenant, once))

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
        if not found:
            raise NotFound("There is no such verification.")
        (started, *later), *of_messages = (from_lines(lines) for _, lines in found)
        # Within one millisecond a verification begins before its messages, and ends because of them.
        events = [started, *chain.from_iterable(of_messages), *later]
        return sorted(events, key=lambda event: event.at_ms)

    async def list(self, wanted: Filter) -> Page:
        """See `Store.list`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._list_thread, self._page, wanted)

    def _page(self, wanted: Filter) -> Page:
        """In the list thread."""
        limit = min(wanted.limit, PAGE_MAX)
        parameters: list[Any] = [
            wanted.tenant,
            wanted.service,
            None if wanted.state is None else rows.STATES[wanted.state],
            None if wanted.created_from is None else rows.to_ms(wanted.created_from),
            None if wanted.created_to is None else rows.to_ms(wanted.created_to),
            _NEWEST if wanted.before is None else wanted.before,
            limit + 1,
        ]
        query = "list_of_tenant"
        if wanted.msisdn is not None:
            query = "list_of_number"
            parameters.append(int(wanted.msisdn))
        with self._in_time():
            found = self._lister.execute(self._sql[query], parameters).fetchall()
        cursor = found[limit - 1][0] if len(found) > limit else None
        return Page(tuple(rows.held_of(row).verification for row in found[:limit]), cursor)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Bound what is read in the list thread; in the list thread."""
        late_at = time.monotonic() + LIST_S_MAX
        self._lister.set_progress_handler(lambda: time.monotonic() > late_at, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Overloaded("The list takes too long; ask for a shorter time or for one number.") from error

    async def _listed(self, read: Callable[[], T]) -> T:
        """Read something in the list thread."""

        def bounded() -> T:
            with self._in_time():
                return read()

        return await asyncio.get_running_loop().run_in_executor(self._list_thread, bounded)

    async def due(self, now: datetime, *, lease_until: datetime, limit: int) -> Sequence[Held]:
        """See `Store.due`."""
        return await self._group.run(partial(self._writes.due, now, lease_until, limit))

    async def recover(self, now: datetime) -> int:
        """See `Store.recover`."""
        return await self._group.run(partial(self._writes.recover, now))

    async def sweep(self, now: datetime, *, keep_after: datetime, limit: int) -> Swept:
        """See `Store.sweep`."""
        return await self._group.run(partial(self._writes.sweep, now, keep_after, limit))

    async def sends_since(self, since: datetime) -> Sequence[PastSend]:
        """See `Store.sends_since`."""
        return sqlite_past.sends_since(self._reader, self._sql, since)

    async def calls_since(self, since: datetime) -> Sequence[PastCall]:
        """See `Store.calls_since`."""
        return sqlite_past.calls_since(self._reader, self._sql, since)

    async def reports(self, tenant: int, *, before: int | None = None, limit: int = 50) -> ReportPage:
        """See `Store.reports`."""
        found, cursor = await self._listed(partial(self._newest, "reports_of", tenant, before, limit))
        return ReportPage(tuple(map(rows.report_of, found)), cursor)

    async def reports_since(self, since: datetime) -> Sequence[CallReport]:
        """See `Store.reports_since`."""
        return sqlite_past.reports_since(self._reader, self._sql, since)

    async def recorded_texts(self, since: datetime, *, limit: int) -> Sequence[RecordedText]:
        """See `Store.recorded_texts`."""
        since_ms = rows.to_ms(since)
        return await self._listed(
            partial(sqlite_past.recorded_texts, self._lister, self._sql, since_ms, limit)
        )

    async def latest_at(self) -> datetime | None:
        """See `Store.latest_at`."""
        (newest,) = self._reader.execute(self._sql["newest_instant"]).fetchone()
        return rows.from_ms(newest) if newest else None

    async def tenancy(self) -> Tenancy:
        """See `Store.tenancy`."""
        with READING:
            return sqlite_tenancy.read(self._reader, self._sql)

    async def tenancy_revision(self) -> int:
        """See `Store.tenancy_revision`."""
        with READING:
            return sqlite_tenancy.revision(self._reader, self._sql)

    async def put_tenant(self, tenant: Tenant, *, once: Once | None = None) -> Tenant:
        """See `Store.put_tenant`."""
        put = partial(sqlite_tenancy.put_tenant, self._writer, self._sql, tenant)
        return await self._group.run(partial(self._writes.once, once, put))

    async def put_service(self, service: Service, *, once: Once | None = None) -> Service:
        """See `Store.put_service`."""
        put = partial(sqlite_tenancy.put_service, self._writer, self._sql, service)
        return await self._group.run(partial(self._writes.once, once, put))

    async def put_key(
        self, key: ApiKey, *, predecessor: ApiKey | None = None, once: Once | None = None
    ) -> ApiKey:
        """See `Store.put_key`."""
        put = partial(sqlite_tenancy.put_key, self._writer, self._sql, key, predecessor)
        return await self._group.run(partial(self._writes.once, once, put))

    async def unlock(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """See `Store.unlock`."""
        unlock = partial(self._writes.unlock, tenant, msisdn)
        return await self._group.run(partial(self._writes.once, once, unlock))

    async def carriers(self) -> CarrierList:
        """See `CarrierStore.carriers`."""
        with READING:
            return sqlite_carriers.read(self._reader, self._sql)

    async def carrier_revision(self) -> int:
        """See `CarrierStore.carrier_revision`."""
        with READING:
            return sqlite_carriers.revision(self._reader, self._sql)

    async def put_carrier(
        self, carrier: Carrier, change: CarrierChange, *, once: Once | None = None
    ) -> Carrier:
        """See `CarrierStore.put_carrier`."""
        put = partial(sqlite_carriers.put, self._writer, self._sql, carrier, change)
        return await self._group.run(partial(self._writes.once, once, put))

    async def remove_carrier(self, change: CarrierChange, *, once: Once | None = None) -> None:
        """See `CarrierStore.remove_carrier`."""
        remove = partial(sqlite_carriers.remove, self._writer, self._sql, change)
        await self._group.run(partial(self._writes.once, once, remove))

    async def note_change(
        self, change: CarrierChange, *, answer: Any = None, once: Once | None = None
    ) -> Any:
        """See `CarrierStore.note_change`."""
        note = partial(sqlite_carriers.note, self._writer, self._sql, change, answer)
        return await self._group.run(partial(self._writes.once, once, note))

    async def carrier_history(self, carrier: str, *, limit: int) -> tuple[CarrierChange, ...]:
        """See `CarrierStore.carrier_history`."""
        with READING:
            return sqlite_carriers.history(self._reader, self._sql, carrier, min(limit, PAGE_MAX))

    async def dlt_revision(self) -> int:
        """See `DltStore.dlt_revision`."""
        with READING:
            return sqlite_dlt.revision(self._reader, self._sql)

    async def dlt_records(self) -> Mapping[int, DltRecord]:
        """See `DltStore.dlt_records`."""
        with READING:
            return sqlite_dlt.read(self._reader, self._sql)

    async def put_dlt_record(self, tenant: int, record: DltRecord, *, once: Once | None = None) -> DltRecord:
        """See `DltStore.put_dlt_record`."""
        put = partial(sqlite_dlt.put, self._writer, self._sql, tenant, record)
        return await self._group.run(partial(self._writes.once, once, put))

    async def learned(self, name: str) -> bytes | None:
        """See `CarrierStore.learned`."""
        with READING:
            found = self._reader.execute(self._sql["learned"], (name,)).fetchone()
        return None if found is None else bytes(found[0])

    async def learn(self, name: str, body: bytes) -> None:
        """See `CarrierStore.learn`."""
        await self._group.run(partial(self._writer.execute, self._sql["learn"], (name, body)))

    async def answered_by(self, msisdn: Msisdn, *, route: str) -> tuple[Verification, ...]:
        """See `ReplyStore.answered_by`."""
        return await self._listed(partial(sqlite_replies.answered_by, self._lister, self._sql, msisdn, route))

    async def pending_of(self, msisdn: Msisdn) -> tuple[Verification, ...]:
        """See `ReplyStore.pending_of`."""
        return await self._listed(partial(sqlite_replies.pending_of, self._lister, self._sql, msisdn))

    async def keep_reply(
        self,
        heard: HeardReply,
        *,
        answers: VerificationId | None = None,
        events: tuple[Event, ...] = (),
        lifts: Collection[int] = (),
    ) -> bool:
        """See `ReplyStore.keep_reply`."""
        told = sqlite_replies.Told(answers, events, lifts)
        keep = partial(sqlite_replies.keep, self._writer, self._sql, heard, told)
        try:
            return await self._group.run(keep)
        finally:
            self._stops.forget()

    async def is_stopped(self, tenant: int, mode: Mode, msisdn: Msisdn) -> bool:
        """See `ReplyStore.is_stopped`."""
        with READING:
            return self._stops.has((tenant, int(msisdn), mode is Mode.TEST))

    async def lift_stop(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """See `ReplyStore.lift_stop`."""
        lift = partial(sqlite_replies.lift, self._writer, self._sql, tenant, msisdn)
        try:
            return await self._group.run(partial(self._writes.once, once, lift))
        finally:
            self._stops.forget()

    async def replies(self, tenant: int | None, *, before: int | None = None, limit: int = 50) -> ReplyPage:
        """See `ReplyStore.replies`."""
        of = sqlite_replies.tenant_number(tenant)
        found, cursor = await self._listed(partial(self._newest, "replies_of", of, before, limit))
        return ReplyPage(tuple(map(sqlite_replies.reply_of, found)), cursor)

    async def stops(self, tenant: int, *, before: int | None = None, limit: int = 50) -> StopPage:
        """See `ReplyStore.stops`."""
        found, cursor = await self._listed(partial(self._newest, "stops_of", tenant, before, limit))
        return StopPage(tuple(map(sqlite_replies.stop_of, found)), cursor)

    def _newest(self, query: str, tenant: int, before: int | None, limit: int) -> sqlite_replies.Page:
        before, limit = _NEWEST if before is None else before, min(limit, PAGE_MAX)
        return sqlite_replies.newest(self._lister, self._sql[query], tenant, before, limit)
