"""What must be known again after a restart, or was heard by another node: sends, calls, texts, timelines."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final

import msgspec

from dastak.core.call_report import CallReport, ReportPage
from dastak.core.errors import NotFound
from dastak.core.events import AnyEvent
from dastak.core.ids import VerificationId
from dastak.core.message import DeadLetter, RecordedText
from dastak.core.past_use import PastCall, PastSend
from dastak.store import reading, rows
from dastak.store.desk import NEWEST, PAGE_MAX, Desk, Execute, newest

# A second's work for the database.
LOOKED_THROUGH_MAX: Final = 100_000
# Verifications read at a time; of those that are too old no more than so many are read.
_CHUNK_MAX: Final = 1_000


class PastTables:
    """What the port `Store` says of the past of all tenants, and of the calls that nobody asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sends_since(self, since: datetime) -> Sequence[PastSend]:
        """See `Store.sends_since`."""

        def read(execute: Execute) -> Sequence[PastSend]:
            sends: list[PastSend] = []
            before = NEWEST
            while chunk := execute("newest_sends", (before, _CHUNK_MAX)).fetchall():
                for _, created_at_ms, *row in chunk:
                    if rows.from_ms(created_at_ms) < since:
                        return sends
                    sends += rows.sends_of(row)
                before = chunk[-1][0]
            return sends

        return await self._desk.read(read)

    async def calls_since(self, since: datetime) -> Sequence[PastCall]:
        """See `Store.calls_since`."""
        asked = (rows.to_ms(since),)
        found = await self._desk.read(lambda execute: execute("calls_since", asked).fetchall())
        return [call for row in found if (call := rows.call_of(row)) is not None]

    async def timelines(self, wanted: Sequence[tuple[int, VerificationId]]) -> Sequence[Sequence[AnyEvent]]:
        """See `CarrierStore.timelines`."""

        def read(execute: Execute) -> Sequence[Sequence[rows.Row]]:
            return [execute("timelines", one).fetchall() for one in wanted]

        return [_timeline(found) for found in await self._desk.list(read)]

    async def recorded_texts(self, since: datetime, *, limit: int) -> Sequence[RecordedText]:
        """See `Store.recorded_texts`."""
        since_ms = rows.to_ms(since)
        found = await self._desk.list(lambda execute: execute("newest_texts", (limit,)).fetchall())
        of_time = takewhile(lambda row: row[0] >= since_ms, found)
        return [rows.recorded_text_of(row) for row in of_time]

    async def dead_letters(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return those among the newest `LOOKED_THROUGH_MAX` verifications, newest first."""
        asked = (LOOKED_THROUGH_MAX, min(limit, PAGE_MAX))
        found = await self._desk.list(lambda execute: execute("dead_letters", asked).fetchall())
        return [rows.dead_letter_of(row) for row in found]

    async def reports(self, tenant: int, *, before: int | None = None, limit: int = 50) -> ReportPage:
        """See `Store.reports`."""
        found, cursor = await self._desk.list(newest("reports_of", tenant, before, limit))
        return ReportPage(tuple(map(rows.report_of, found)), cursor)

    async def reports_since(self, since: datetime) -> Sequence[CallReport]:
        """See `Store.reports_since`."""
        asked = (rows.to_ms(since),)
        found = await self._desk.read(lambda execute: execute("reports_since", asked).fetchall())
        return [rows.report_of(row) for row in found]

    async def latest_at(self) -> datetime | None:
        """See `Store.latest_at`."""
        return await self._desk.read(read_latest)


def _timeline(found: Sequence[rows.Row]) -> Sequence[AnyEvent]:
    try:
        return reading.timeline_of(found)
    except (NotFound, msgspec.DecodeError):  # it was swept, or a newer program wrote what is not known here
        return ()


def read_latest(execute: Execute) -> datetime | None:
    """Return the newest instant the database knows."""
    (latest,) = execute("newest_instant").fetchone()
    return rows.from_ms(latest) if latest else None
