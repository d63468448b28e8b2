"""Webhooks of landing pages in the SQLite database, and which leads they were told."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from dastak.core.ids import VerificationId
from dastak.core.lead_hook import Delivery, DueLead, HookState, LeadHook
from dastak.store import rows
from dastak.store.group_commit import GroupCommit
from dastak.store.landing_rows import lead_of
from dastak.store.sqlite_file import READING
from dastak.store.statements import load

statements: Final = cache(partial(load, "lead_hooks.sql"))


class SqliteLeadHooks:
    """The port `LeadHookStore`, on the connections of one store; see `SqliteLanding` for the arguments."""

    def __init__(
        self,
        group: GroupCommit,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        lister: sqlite3.Connection,
        listed: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._run, self._writer, self._reader = group.run, writer, reader
        self._lister, self._listed, self._sql = lister, listed, statements()

    async def put_hook(self, hook: LeadHook, *, now: datetime) -> None:
        """See `LeadHookStore.put_hook`."""

        def put() -> None:
            self._execute("put_hook", hook.page, hook.url, hook.secret)
            self._execute("hurry", rows.to_ms(now), hook.page)

        await self._run(put)

    async def hook(self, page: int) -> LeadHook | None:
        """See `LeadHookStore.hook`."""
        with READING:
            row = self._reader.execute(self._sql["hook"], (page,)).fetchone()
        return None if row is None else LeadHook(page=row[0], url=row[1], secret=row[2], off=bool(row[3]))

    async def remove_hook(self, page: int) -> None:
        """See `LeadHookStore.remove_hook`."""

        def remove() -> None:
            self._execute("delete_hook", page)
            self._execute("give_up", "The webhook was taken away.", page)

        await self._run(remove)

    async def turn_off(self, hook: LeadHook) -> None:
        """See `LeadHookStore.turn_off`."""
        await self._run(partial(self._execute, "turn_off", hook.page, hook.secret))

    async def due(self, now: datetime, *, each: int, limit: int) -> Sequence[DueLead]:
        """See `LeadHookStore.due`."""

        def read() -> Sequence[rows.Row]:
            return self._lister.execute(self._sql["due"], (rows.to_ms(now), each, limit)).fetchall()

        return [_due(row) for row in await self._listed(read)]

    async def note(self, verification: VerificationId, delivery: Delivery) -> None:
        """See `LeadHookStore.note`."""
        row = (delivery.state.value, delivery.tries, rows.to_ms(delivery.due_at), delivery.error)
        await self._run(partial(self._execute, "note", *row, verification))

    async def again(self, page: int, *, now: datetime) -> None:
        """See `LeadHookStore.again`."""
        await self._run(partial(self._execute, "again", rows.to_ms(now), page))

    async def deliveries(self, of: Sequence[VerificationId]) -> Mapping[VerificationId, Delivery]:
        """See `LeadHookStore.deliveries`."""
        with READING:
            found = {one: self._reader.execute(self._sql["delivery"], (one,)).fetchone() for one in of}
        return {
            one: Delivery(state=HookState(row[0]), tries=row[1], due_at=rows.from_ms(row[2]), error=row[3])
            for one, row in found.items()
            if row is not None
        }

    def _execute(self, query: str, *values: object) -> None:
        self._writer.execute(self._sql[query], values)


def _due(row: rows.Row) -> DueLead:
    page, url, secret, slug, tries, *lead = row
    hook = LeadHook(page=page, url=url, secret=secret)
    return DueLead(hook=hook, slug=slug, lead=lead_of(tuple(lead)), tries=tries)
