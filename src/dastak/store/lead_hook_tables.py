"""Webhooks of landing pages in the database, and which leads they were told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from dastak.core.ids import VerificationId
from dastak.core.lead_hook import Delivery, DueLead, HookState, LeadHook
from dastak.store import rows
from dastak.store.desk import Desk, Execute
from dastak.store.landing_rows import lead_of

# Of `hook`, and the first ones of `due_leads`.
_HOOK_COLUMNS: Final = 6


class LeadHookTables:
    """The port `LeadHookStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def put_hook(self, hook: LeadHook, *, now: datetime) -> None:
        """See `LeadHookStore.put_hook`."""

        def put(execute: Execute) -> None:
            execute("put_hook", (hook.page, hook.url, hook.secret))
            execute("hurry_leads", (rows.to_ms(now), hook.page))

        await self._desk.write(put)

    async def hook(self, page: int) -> LeadHook | None:
        """See `LeadHookStore.hook`."""
        row = await self._desk.read(lambda execute: execute("hook", (page,)).fetchone())
        return None if row is None else _hook(row)

    async def rotate_hook(self, page: int, secret: bytes, *, before_until: datetime) -> bool:
        """See `LeadHookStore.rotate_hook`."""
        row = (page, secret, rows.to_ms(before_until))
        return await self._desk.write(lambda execute: execute("rotate_hook", row).rowcount > 0)

    async def remove_hook(self, page: int) -> None:
        """See `LeadHookStore.remove_hook`."""

        def remove(execute: Execute) -> None:
            execute("delete_hook", (page,))
            execute("give_up_leads", ("The webhook was taken away.", page))

        await self._desk.write(remove)

    async def turn_off(self, hook: LeadHook) -> None:
        """See `LeadHookStore.turn_off`."""
        await self._write("turn_off_hook", hook.page, hook.secret)

    async def due(self, now: datetime, *, each: int, limit: int) -> Sequence[DueLead]:
        """See `LeadHookStore.due`."""
        asked = (rows.to_ms(now), each, limit)
        found = await self._desk.list(lambda execute: execute("due_leads", asked).fetchall())
        return [_due(row) for row in found]

    async def note(self, verification: VerificationId, delivery: Delivery) -> None:
        """See `LeadHookStore.note`."""
        row = (delivery.state.value, delivery.tries, rows.to_ms(delivery.due_at), delivery.error)
        await self._write("note_delivery", *row, verification)

    async def again(self, page: int, *, now: datetime) -> None:
        """See `LeadHookStore.again`."""
        await self._write("failed_leads_again", rows.to_ms(now), page)

    async def deliveries(self, of: Sequence[VerificationId]) -> Mapping[VerificationId, Delivery]:
        """See `LeadHookStore.deliveries`."""
        found = await self._desk.read(
            lambda execute: {one: execute("delivery", (one,)).fetchone() for one in of}
        )
        return {
            one: Delivery(state=HookState(row[0]), tries=row[1], due_at=rows.from_ms(row[2]), error=row[3])
            for one, row in found.items()
            if row is not None
        }

    async def _write(self, statement: str, *row: object) -> None:
        await self._desk.write(lambda execute: execute(statement, row).rowcount)


def _due(row: rows.Row) -> DueLead:
    slug, tries, *lead = row[_HOOK_COLUMNS:]
    return DueLead(hook=_hook(row), slug=slug, lead=lead_of(tuple(lead)), tries=tries)


def _hook(row: rows.Row) -> LeadHook:
    page, url, secret, off, before, until = row[:_HOOK_COLUMNS]
    return LeadHook(
        page=page,
        url=url,
        secret=secret,
        off=bool(off),
        before=before,
        before_until=None if until is None else rows.from_ms(until),
    )
