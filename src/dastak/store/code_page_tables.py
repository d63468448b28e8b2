"""Pages that ask for a code, in the database."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from dastak.core.code_page import CodePage
from dastak.core.errors import NotFound
from dastak.core.ids import VerificationId
from dastak.core.ports import Once
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.desk import Desk, Execute

# Long enough to find out why somebody did not come back.
KEPT: Final = timedelta(days=1)
# What one new page deletes of old ones.
DELETED_MAX: Final = 20


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in the column `record`."""

    service: int
    mode: Mode
    return_url: str
    state: str | None = None
    may_change_number: bool = False
    language: str | None = None


_RECORD: Final = msgspec.json.Decoder(_Record)
_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(_Record))


class CodePageTables:
    """The port `CodePageStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def put_page(self, page: CodePage, *, once: Once | None = None) -> CodePage:
        """See `CodePageStore.put_page`."""
        return await self._desk.write(partial(_put, page), once=once)

    async def find_page(self, token_digest: bytes) -> CodePage:
        """See `CodePageStore.find_page`."""
        row = await self._desk.read(lambda execute: execute("code_page_by_token", (token_digest,)).fetchone())
        if row is None:
            raise NotFound("There is no such page.")
        return _page_of(row)

    async def page_for(self, tenant: int, made_for: VerificationId) -> CodePage:
        """See `CodePageStore.page_for`."""
        row = await self._desk.read(lambda execute: execute("code_page_for", (made_for,)).fetchone())
        if row is None or row[1] != tenant:
            raise NotFound("There is no such page.")
        return _page_of(row)

    async def claim_page(self, token_digest: bytes, browser: bytes) -> bool:
        """See `CodePageStore.claim_page`."""
        return await self._changed("claim_code_page", (token_digest, browser))

    async def turn_page(self, token_digest: bytes, *, asks: VerificationId, now_asks: VerificationId) -> bool:
        """See `CodePageStore.turn_page`."""
        return await self._changed("turn_code_page", (token_digest, asks, now_asks))

    async def count_change(self, token_digest: bytes, *, most: int) -> bool:
        """See `CodePageStore.count_change`."""
        return await self._changed("count_number_change", (token_digest, most))

    async def finish_page(self, token_digest: bytes, at: datetime) -> None:
        """See `CodePageStore.finish_page`."""
        await self._changed("finish_code_page", (token_digest, rows.to_ms(at)))

    async def _changed(self, statement: str, row: rows.Row) -> bool:
        return await self._desk.write(lambda execute: execute(statement, row).rowcount > 0)


def _put(page: CodePage, execute: Execute) -> CodePage:
    record = _Record(**{name: getattr(page, name) for name in _FIELDS})
    execute("delete_code_page_of", (page.made_for,))
    execute("delete_code_pages_over", (rows.to_ms(page.expires_at - KEPT), DELETED_MAX))
    row = (
        page.token_digest,
        page.tenant,
        page.made_for,
        page.asks_for,
        page.number_changes,
        rows.to_ms(page.expires_at),
        rows.text(record),
    )
    execute("insert_code_page", row)
    return page


def _page_of(row: rows.Row) -> CodePage:
    token_digest, tenant, made_for, asks_for, browser, number_changes, expires_at, finished_at, record = row
    said = _RECORD.decode(record)
    return CodePage(
        token_digest=token_digest,
        tenant=tenant,
        made_for=VerificationId(made_for),
        asks_for=VerificationId(asks_for),
        browser=browser,
        number_changes=number_changes,
        expires_at=rows.from_ms(expires_at),
        finished_at=None if finished_at is None else rows.from_ms(finished_at),
        **{name: getattr(said, name) for name in _FIELDS},
    )
