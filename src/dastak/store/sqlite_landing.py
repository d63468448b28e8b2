"""Landing pages in the SQLite database, with their visits, counts and leads."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, TypeVar

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.ids import VerificationId
from dastak.core.landing import (
    IMAGES_PER_PAGE_MAX,
    LEADS_EXPORTED_MAX,
    PAGES_MAX,
    VERSIONS_SHOWN_MAX,
    VISIT_KEPT,
    Count,
    LandingPage,
    Lead,
    LeadFilter,
    PageImage,
    PageState,
    PageVersion,
    Step,
    Variant,
    Visit,
)
from dastak.store import rows
from dastak.store.group_commit import GroupCommit
from dastak.store.landing_rows import (
    LeadRecord,
    PageRecord,
    VisitRecord,
    found,
    lead_of,
    page_of,
    version_of,
    visit_of,
)
from dastak.store.sqlite_file import READING
from dastak.store.statements import load

T = TypeVar("T")

# More open visits than this, and the figures of a page wait until the older ones are counted.
OPEN_VISITS_MAX: Final = 100_000
_NEWEST: Final = 2**63 - 1


statements: Final = cache(partial(load, "landing.sql"))


class SqliteLanding:
    """The port `LandingStore`, on the connections of one store.

    Args:
        group: Writes.
        writer: The connection it writes with.
        reader: For short reads on the loop thread.
        lister: For lists, in a thread of their own.
        listed: Runs a list there, within bounds.
    """

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

    async def put_page(self, page: LandingPage) -> LandingPage:
        """See `LandingStore.put_page`."""
        try:
            return await self._run(partial(self._put_page, page))
        except sqlite3.IntegrityError as error:
            raise Conflict("Another page has this address already; choose another one.") from error

    async def page(self, n: int) -> LandingPage:
        """See `LandingStore.page`."""
        return page_of(self._one("page_by_n", n))

    async def page_named(self, slug: str) -> LandingPage:
        """See `LandingStore.page_named`."""
        return page_of(self._one("page_by_slug", slug))

    async def page_at(self, host: str) -> LandingPage | None:
        """See `LandingStore.page_at`."""
        with READING:
            row = self._reader.execute(self._sql["page_by_host"], (host,)).fetchone()
        return None if row is None else page_of(row)

    async def pages(self, tenant: int | None) -> Sequence[LandingPage]:
        """See `LandingStore.pages`."""
        return [page_of(row) for row in await self._many("pages", tenant, PAGES_MAX)]

    async def publish(self, version: PageVersion) -> LandingPage:
        """See `LandingStore.publish`."""
        return await self._run(partial(self._publish, version))

    async def version(self, page: int, n: int) -> PageVersion:
        """See `LandingStore.version`."""
        return version_of(self._one("version", page, n))

    async def versions(self, page: int) -> Sequence[PageVersion]:
        """See `LandingStore.versions`."""
        return [version_of(row) for row in await self._many("versions", page, VERSIONS_SHOWN_MAX)]

    async def put_image(self, image: PageImage) -> None:
        """See `LandingStore.put_image`."""
        await self._run(partial(self._put_image, image))

    async def image(self, page: int, name: str) -> PageImage:
        """See `LandingStore.image`."""
        n, name, kind, width, height, octets = self._one("image", page, name)
        return PageImage(page=n, name=name, kind=kind, width=width, height=height, octets=octets)

    async def count_seen(self, page: int, variant: Variant, language: str) -> None:
        """See `LandingStore.count_seen`."""
        row = (page, variant.value, language, Step.SEEN.value, 1)
        await self._run(partial(self._writer.execute, self._sql["count"], row))

    async def put_visit(self, visit: Visit) -> None:
        """See `LandingStore.put_visit`."""
        record = VisitRecord(visit.version, visit.browser, visit.values, visit.consents)
        row = (
            visit.token_digest,
            visit.page,
            rows.to_ms(visit.at),
            visit.variant.value,
            visit.language,
            visit.verification,
            rows.text(record),
        )
        await self._run(partial(self._writer.execute, self._sql["put_visit"], row))

    async def find_visit(self, token_digest: bytes) -> Visit:
        """See `LandingStore.find_visit`."""
        return visit_of(self._one("visit", token_digest))

    async def note_entered(self, token_digest: bytes) -> None:
        """See `LandingStore.note_entered`."""
        await self._run(partial(self._writer.execute, self._sql["note_entered"], (token_digest,)))

    async def win(self, token_digest: bytes, lead: Lead, *, exchange: bytes | None, until: datetime) -> int:
        """See `LandingStore.win`."""
        return await self._run(partial(self._win, token_digest, lead, exchange, until))

    async def exchange(self, tenant: int, token_digest: bytes, *, now: datetime) -> tuple[LandingPage, Lead]:
        """See `LandingStore.exchange`."""
        return await self._run(partial(self._exchange, tenant, token_digest, now))

    async def leads(self, wanted: LeadFilter) -> Sequence[Lead]:
        """See `LandingStore.leads`."""
        listed = await self._many(
            "leads",
            wanted.page,
            wanted.language,
            None if wanted.variant is None else wanted.variant.value,
            None if wanted.since is None else rows.to_ms(wanted.since),
            None if wanted.until is None else rows.to_ms(wanted.until),
            wanted.contains,
            _NEWEST if wanted.before is None else wanted.before,
            min(wanted.limit, LEADS_EXPORTED_MAX),
        )
        return [lead_of(row) for row in listed]

    async def lead_count(self, page: int) -> int:
        """See `LandingStore.lead_count`."""
        return int(self._one("lead_count", page)[0])

    async def delete_lead(self, page: int, n: int) -> bool:
        """See `LandingStore.delete_lead`."""
        deleted = await self._run(partial(self._writer.execute, self._sql["delete_lead"], (page, n)))
        return deleted.rowcount > 0

    async def funnel(self, page: int) -> Sequence[Count]:
        """See `LandingStore.funnel`."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for variant, language, step, visits in await self._many("counts", page):
            counts[variant, language, step] += visits
        counts.update(_steps(await self._many("open_visits", page, OPEN_VISITS_MAX)))
        return [
            Count(variant=Variant(variant), language=language, step=Step(step), visits=visits)
            for (variant, language, step), visits in sorted(counts.items())
        ]

    async def lead_of(self, verification: VerificationId) -> Lead | None:
        """See `LandingStore.lead_of`."""
        with READING:
            row = self._reader.execute(self._sql["lead_by_verification"], (verification,)).fetchone()
        return None if row is None else lead_of(row)

    def _one(self, query: str, *asked: object) -> rows.Row:
        with READING:
            return found(self._reader.execute(self._sql[query], asked).fetchone())

    async def _many(self, query: str, *asked: object) -> Sequence[rows.Row]:
        def read() -> Sequence[rows.Row]:
            return self._lister.execute(self._sql[query], asked).fetchall()

        listed: Sequence[rows.Row] = await self._listed(read)
        return listed

    def _put_page(self, page: LandingPage) -> LandingPage:
        execute, sql = self._writer.execute, self._sql
        record = rows.text(PageRecord(page.service, page.mode, page.state, page.created_at, page.keep_days))
        edition = page.draft_edition + 1
        if page.n == 0:
            if execute(sql["page_count"], (page.tenant,)).fetchone()[0] >= PAGES_MAX:
                raise Conflict(f"A tenant has at most {PAGES_MAX} pages.")
            row = (page.tenant, page.slug, page.host, edition, page.live, record, page.draft)
            n = execute(sql["insert_page"], row).lastrowid
            assert n is not None
            return msgspec.structs.replace(page, n=n, draft_edition=edition)
        kept = (page.slug, page.host, edition, page.live, record, page.draft, page.n, page.draft_edition)
        if execute(sql["update_page"], kept).rowcount == 0:
            raise Conflict("Somebody else has saved this page meanwhile; open it again.")
        return msgspec.structs.replace(page, draft_edition=edition)

    def _publish(self, version: PageVersion) -> LandingPage:
        execute, sql = self._writer.execute, self._sql
        page = page_of(found(execute(sql["page_by_n"], (version.page,)).fetchone()))
        n = execute(sql["newest_version"], (version.page,)).fetchone()[0] + 1
        row = (version.page, n, rows.to_ms(version.at), version.author, version.reason, version.body)
        execute(sql["insert_version"], row)
        return self._put_page(msgspec.structs.replace(page, live=n, state=PageState.LIVE, draft=version.body))

    def _put_image(self, image: PageImage) -> None:
        execute, sql = self._writer.execute, self._sql
        if execute(sql["image_count"], (image.page, image.name)).fetchone()[0] >= IMAGES_PER_PAGE_MAX:
            raise Conflict(f"A page has at most {IMAGES_PER_PAGE_MAX} pictures.")
        row = (image.page, image.name, image.kind, image.width, image.height, image.octets)
        execute(sql["put_image"], row)

    def _win(self, token_digest: bytes, lead: Lead, exchange: bytes | None, until: datetime) -> int:
        execute, sql = self._writer.execute, self._sql
        visit = visit_of(found(execute(sql["visit"], (token_digest,)).fetchone()))
        if visit.lead:
            return visit.lead
        row = (
            lead.page,
            rows.to_ms(lead.at),
            rows.to_ms(lead.gone_at),
            lead.variant.value,
            lead.language,
            int(lead.msisdn),
            lead.verification,
            rows.text(LeadRecord(lead.version, lead.values, lead.consents)),
            exchange,
            rows.to_ms(until),
        )
        n = execute(sql["insert_lead"], row).lastrowid
        assert n is not None
        execute(sql["lead_of_visit"], (n, token_digest))
        execute(sql["queue_lead"], (lead.verification, rows.to_ms(lead.at), lead.page))
        return n

    def _exchange(self, tenant: int, token_digest: bytes, now: datetime) -> tuple[LandingPage, Lead]:
        execute, sql = self._writer.execute, self._sql
        lead = lead_of(found(execute(sql["lead_by_exchange"], (token_digest, rows.to_ms(now))).fetchone()))
        page = page_of(found(execute(sql["page_by_n"], (lead.page,)).fetchone()))
        if page.tenant != tenant:
            raise NotFound("There is no such token, or it was used.")
        execute(sql["use_exchange"], (lead.n,))
        return page, lead


def sweep(connection: Callable[..., sqlite3.Cursor], now: datetime, limit: int) -> None:
    """Count the visits that are over and forget what was typed, and delete the leads whose time is up.

    Args:
        connection: Executes; in a transaction of its caller.
        now: The present instant.
        limit: How many of each at most.
    """
    sql = statements()
    over = connection(sql["visits_over"], (rows.to_ms(now - VISIT_KEPT), limit)).fetchall()
    by_page: dict[int, list[rows.Row]] = {}
    for row in over:
        by_page.setdefault(row[1], []).append(row)
    for page, visits in by_page.items():
        for (variant, language, step), count in _steps(visits).items():
            connection(sql["count"], (page, variant, language, step, count))
    for row in over:
        connection(sql["delete_visit"], (row[0],))
    connection(sql["delete_old_leads"], (rows.to_ms(now), limit))


def _steps(visits: Iterable[rows.Row]) -> Counter[tuple[str, str, str]]:
    """Count rows of `open_visits`. Who typed the right code had the message, whatever its receipt said."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for _, _, _, variant, language, given, sent, delivered, entered, approved in visits:
        reached = {
            Step.GIVEN: given,
            Step.SENT: sent or approved,
            Step.DELIVERED: delivered or approved,
            Step.ENTERED: entered,
            Step.APPROVED: approved,
        }
        for step, came in reached.items():
            if came:
                counts[variant, language, step.value] += 1
    return counts
