"""Landing pages in the database, with their visits, counts and leads."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.ids import VerificationId
from dastak.core.landing import (
    IMAGE_UNSAVED_KEPT,
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
    RouteCount,
    Step,
    Variant,
    Visit,
)
from dastak.store import rows
from dastak.store.desk import NEWEST, Desk, Execute, Taken
from dastak.store.landing_rows import (
    Carried,
    LeadRecord,
    PageRecord,
    VisitRecord,
    as_recorded,
    carried_of,
    found,
    lead_of,
    number_in,
    page_of,
    version_of,
    visit_of,
)
from dastak.store.tenancy_tables import services

# More open visits than this, and the figures of a page wait until the older ones are counted.
OPEN_VISITS_MAX: Final = 100_000
# How many leads are looked at in one transaction, and given another end where theirs is later.
LEADS_AT_ONCE: Final = 1000
_DAY_MS: Final = 86_400_000
_SAVED_MEANWHILE: Final = "Somebody else has saved this page meanwhile; open it again."


class LandingTables:
    """The port `LandingStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def put_page(self, page: LandingPage) -> LandingPage:
        """See `LandingStore.put_page`."""
        return await self._desk.write(partial(_put_page, page))

    async def page(self, n: int) -> LandingPage:
        """See `LandingStore.page`."""
        return page_of(await self._one("page_by_n", n))

    async def page_named(self, slug: str) -> LandingPage:
        """See `LandingStore.page_named`."""
        return page_of(await self._one("page_by_slug", slug))

    async def page_at(self, host: str) -> LandingPage | None:
        """See `LandingStore.page_at`."""
        row = await self._desk.read(lambda execute: execute("page_by_host", (host,)).fetchone())
        return None if row is None else page_of(row)

    async def pages(self, tenant: int | None) -> Sequence[LandingPage]:
        """See `LandingStore.pages`."""
        return [page_of(row) for row in await self._many("pages_of", tenant, PAGES_MAX)]

    async def publish(
        self, version: PageVersion, *, edition: int | None = None, back: bool = False
    ) -> LandingPage:
        """See `LandingStore.publish`."""
        return await self._desk.write(partial(_publish, version, edition, back))

    async def version(self, page: int, n: int) -> PageVersion:
        """See `LandingStore.version`."""
        return version_of(await self._one("page_version", page, n))

    async def versions(self, page: int) -> Sequence[PageVersion]:
        """See `LandingStore.versions`."""
        return [version_of(row) for row in await self._many("page_versions", page, VERSIONS_SHOWN_MAX)]

    async def put_image(self, image: PageImage, *, now: datetime, beside: Collection[str] = ()) -> None:
        """See `LandingStore.put_image`."""
        await self._desk.write(partial(_put_image, image, now, beside))

    async def image(self, page: int, name: str) -> PageImage:
        """See `LandingStore.image`."""
        n, name, kind, width, height, octets = await self._one("page_image", page, name)
        return PageImage(page=n, name=name, kind=kind, width=width, height=height, octets=octets)

    async def count_seen(self, page: int, variant: Variant, language: str, *, experiment: str = "") -> None:
        """See `LandingStore.count_seen`."""
        row = (variant.value, language, Step.SEEN.value, 1)
        if experiment:
            await self._write("count_tried", page, experiment, *row)
        else:
            await self._write("count_visits", page, *row)

    async def put_visit(self, visit: Visit) -> None:
        """See `LandingStore.put_visit`."""
        record = VisitRecord(visit.version, visit.browser, visit.values, visit.consents)
        await self._write(
            "put_landing_visit",
            visit.token_digest,
            visit.page,
            rows.to_ms(visit.at),
            visit.variant.value,
            visit.language,
            visit.experiment,
            visit.verification,
            rows.text(record),
        )

    async def find_visit(self, token_digest: bytes) -> Visit:
        """See `LandingStore.find_visit`."""
        return visit_of(await self._one("landing_visit", token_digest))

    async def note_entered(self, token_digest: bytes) -> None:
        """See `LandingStore.note_entered`."""
        await self._write("note_entered", token_digest)

    async def win(self, token_digest: bytes, lead: Lead, *, exchange: bytes | None, until: datetime) -> int:
        """See `LandingStore.win`."""
        return await self._desk.write(partial(_win, token_digest, lead, exchange, until))

    async def exchange(self, tenant: int, token_digest: bytes, *, now: datetime) -> tuple[LandingPage, Lead]:
        """See `LandingStore.exchange`."""
        return await self._desk.write(partial(_exchange, tenant, token_digest, now))

    async def leads(self, wanted: LeadFilter) -> Sequence[Lead]:
        """See `LandingStore.leads`."""
        asked = [
            wanted.page,
            wanted.language,
            None if wanted.variant is None else wanted.variant.value,
            None if wanted.since is None else rows.to_ms(wanted.since),
            None if wanted.until is None else rows.to_ms(wanted.until),
            wanted.contains,
            number_in(wanted.contains),
            as_recorded(wanted.contains),
            NEWEST if wanted.before is None else wanted.before,
            min(wanted.limit, LEADS_EXPORTED_MAX),
        ]
        # Many are read where lists are, and not on the loop.
        return await self._desk.list(partial(_leads, asked))

    async def lead_count(self, page: int) -> int:
        """See `LandingStore.lead_count`."""
        return int((await self._one("lead_count", page))[0])

    async def keep_leads(self, page: int, days: int) -> None:
        """See `LandingStore.keep_leads`."""
        last: int | None = 0
        # Whatever a page has, no transaction reads more than a few, and what others write comes in between.
        while last is not None:
            last = await self._desk.write(partial(_shorten, page, days * _DAY_MS, last))

    async def delete_lead(self, page: int, n: int) -> bool:
        """See `LandingStore.delete_lead`."""
        return await self._write("delete_lead", page, n) > 0

    async def funnel(self, page: int, experiment: str = "") -> Sequence[Count]:
        """See `LandingStore.funnel`."""
        asked = ("tried_counted", page, experiment) if experiment else ("visits_counted", page)
        counts: Counter[tuple[str, str, str]] = Counter()
        for variant, language, step, visits in await self._many(*asked):
            counts[variant, language, step] += visits
        open_visits = await self._many("open_landing_visits", page, OPEN_VISITS_MAX)
        counts.update(_steps(row for row in open_visits if experiment in ("", row[-1])))
        return [
            Count(variant=Variant(variant), language=language, step=Step(step), visits=visits)
            for (variant, language, step), visits in sorted(counts.items())
        ]

    async def funnel_by_route(self, page: int) -> Sequence[RouteCount]:
        """See `LandingStore.funnel_by_route`."""
        counts: Counter[tuple[str, str]] = Counter()
        for route, step, visits in await self._many("carried_counted", page):
            counts[route, step] += visits
        counts.update(_carried(await self._many("open_carried", page, OPEN_VISITS_MAX)))
        return [
            RouteCount(route=route, step=Step(step), visits=visits)
            for (route, step), visits in sorted(counts.items())
        ]

    async def lead_of(self, verification: VerificationId) -> Lead | None:
        """See `LandingStore.lead_of`."""
        asked = (verification,)
        row = await self._desk.read(lambda execute: execute("lead_by_verification", asked).fetchone())
        return None if row is None else lead_of(row)

    async def _one(self, statement: str, *asked: object) -> rows.Row:
        return found(await self._desk.read(lambda execute: execute(statement, asked).fetchone()))

    async def _many(self, statement: str, *asked: object) -> Sequence[rows.Row]:
        return await self._desk.list(lambda execute: execute(statement, asked).fetchall())

    async def _write(self, statement: str, *row: object) -> int:
        return await self._desk.write(lambda execute: execute(statement, row).rowcount)


def _leads(asked: Sequence[object], execute: Execute) -> Sequence[Lead]:
    return [lead_of(row) for row in execute("leads", asked).fetchall()]


def sweep(execute: Execute, now: datetime, limit: int) -> None:
    """Count the visits that are over and forget what was typed, and delete the leads whose time is up.

    Args:
        execute: In a transaction of its caller.
        now: The present instant.
        limit: How many of each at most.
    """
    over = execute("landing_visits_over", (rows.to_ms(now - VISIT_KEPT), limit)).fetchall()
    by_page: dict[int, list[rows.Row]] = {}
    for row in over:
        by_page.setdefault(row[1], []).append(row)
    for page, visits in by_page.items():
        for counted, count in _steps(visits).items():
            execute("count_visits", (page, *counted, count))
        for experiment in sorted({row[-1] for row in visits} - {""}):
            for counted, count in _steps(row for row in visits if row[-1] == experiment).items():
                execute("count_tried", (page, experiment, *counted, count))
        taken = [row for visit in visits for row in execute("carried_of_visit", (visit[0],)).fetchall()]
        for (route, step), count in _carried(taken).items():
            execute("count_carried", (page, route, step, count))
    for row in over:
        execute("delete_landing_visit", (row[0],))
    execute("delete_old_leads", (rows.to_ms(now), limit))


def _put_page(page: LandingPage, execute: Execute) -> LandingPage:
    record = rows.text(PageRecord(page.service, page.mode, page.state, page.created_at, page.keep_days))
    edition = page.draft_edition + 1
    row = (page.slug, page.host, edition, page.live, record, page.draft)
    if page.n == 0 and execute("page_count", (page.tenant,)).fetchone()[0] >= PAGES_MAX:
        raise Conflict(f"A tenant has at most {PAGES_MAX} pages.")
    _free_host(page, execute)
    try:
        if page.n == 0:
            (n,) = execute("insert_page", (page.tenant, *row)).fetchone()
            return msgspec.structs.replace(page, n=n, draft_edition=edition)
        kept = execute("update_page", (*row, page.n, page.draft_edition)).rowcount
    except Taken as taken:
        raise Conflict("Another page has this address already; choose another one.") from taken
    if kept == 0:
        raise Conflict(_SAVED_MEANWHILE)
    execute("images_saved", (page.n, page.draft))
    return msgspec.structs.replace(page, draft_edition=edition)


def _free_host(page: LandingPage, execute: Execute) -> None:
    """Have a page whose service has not got its host give it up to one whose service has."""
    row = None if page.host is None else execute("page_by_host", (page.host,)).fetchone()
    holder = None if row is None else page_of(row)
    if holder is None or holder.n == page.n:
        return
    owners = {one.n for one in services(execute) if page.host in one.domains}
    if page.service in owners and holder.service not in owners:
        execute("drop_page_host", (holder.n,))


def _publish(version: PageVersion, edition: int | None, back: bool, execute: Execute) -> LandingPage:
    page = page_of(found(execute("page_by_n", (version.page,)).fetchone()))
    if edition not in (None, page.draft_edition):
        raise Conflict(_SAVED_MEANWHILE)
    shown = execute("page_version", (page.n, page.live)).fetchone()
    unpublished = shown is None or version_of(shown).body != page.draft
    n = execute("newest_version", (version.page,)).fetchone()[0] + 1
    row = (version.page, n, rows.to_ms(version.at), version.author, version.reason, version.body)
    execute("insert_version", row)
    live = msgspec.structs.replace(
        page,
        live=n,
        state=page.state if back else PageState.LIVE,
        draft=page.draft if back and unpublished else version.body,
    )
    return _put_page(live, execute)


def _put_image(image: PageImage, now: datetime, beside: Collection[str], execute: Execute) -> None:
    def full() -> bool:
        counted = execute("image_count", (image.page, image.name)).fetchone()
        return int(counted[0]) >= IMAGES_PER_PAGE_MAX

    if full():
        # Whoever uploaded one a moment ago may be about to save it, or to choose what stays.
        old = rows.to_ms(now - IMAGE_UNSAVED_KEPT)
        for (name,) in execute("unused_images", (image.page, old)).fetchall():
            if name not in beside:
                execute("delete_image", (image.page, name))
        if full():
            raise Conflict(
                f"A page has at most {IMAGES_PER_PAGE_MAX} pictures, with those of its earlier versions and "
                "those of the last hour that are not saved; a duplicate of it begins with those of its "
                "draft alone."
            )
    row = (image.page, image.name, image.kind, image.width, image.height, image.octets, rows.to_ms(now))
    execute("put_image", row)


def _win(token_digest: bytes, lead: Lead, exchange: bytes | None, until: datetime, execute: Execute) -> int:
    visit = visit_of(found(execute("landing_visit", (token_digest,)).fetchone()))
    if visit.lead:
        return visit.lead
    # Whoever asks may have read the page before it was to keep its leads for less time.
    page = page_of(found(execute("page_by_n", (lead.page,)).fetchone()))
    row = (
        lead.page,
        rows.to_ms(lead.at),
        rows.to_ms(min(lead.gone_at, lead.at + timedelta(days=page.keep_days))),
        lead.variant.value,
        lead.language,
        int(lead.msisdn),
        lead.verification,
        rows.text(LeadRecord(lead.version, lead.values, lead.consents)),
        exchange,
        rows.to_ms(until),
    )
    n = int(execute("insert_lead", row).fetchone()[0])
    execute("lead_of_visit", (n, token_digest))
    execute("queue_lead", (lead.verification, rows.to_ms(lead.at), lead.page))
    return n


def _shorten(page: int, kept_ms: int, after: int, execute: Execute) -> int | None:
    """Give the leads that come next by their numbers a sooner end; return the last one's, None after them."""
    (last,) = execute("leads_after", (page, after, LEADS_AT_ONCE)).fetchone()
    if last is not None:
        execute("keep_leads", (page, kept_ms, after, LEADS_AT_ONCE))
    return None if last is None else int(last)


def _exchange(tenant: int, token_digest: bytes, now: datetime, execute: Execute) -> tuple[LandingPage, Lead]:
    lead = lead_of(found(execute("lead_by_exchange", (token_digest, rows.to_ms(now))).fetchone()))
    page = page_of(found(execute("page_by_n", (lead.page,)).fetchone()))
    if page.tenant != tenant:
        raise NotFound("There is no such token, or it was used.")
    execute("use_exchange", (lead.n,))
    return page, lead


def _steps(visits: Iterable[rows.Row]) -> Counter[tuple[str, str, str]]:
    """Count rows of open visits. Who typed the right code had the message, whatever a receipt said."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for _, _, _, variant, language, given, sent, delivered, entered, approved, _ in visits:
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


def _carried(messages: Iterable[rows.Row]) -> Counter[tuple[str, str]]:
    """Count rows of `landing_carried`, each visit once for a route and step."""
    by_visit: dict[bytes, list[Carried]] = {}
    for row in messages:
        if (carried := carried_of(row)) is not None:
            by_visit.setdefault(carried.visit, []).append(carried)
    counts: Counter[tuple[str, str]] = Counter()
    for taken in by_visit.values():
        last = max(taken, key=lambda one: one.ordinal)
        proved = {last.route} if last.approved else set()
        delivered = {one.route for one in taken if one.delivered} | proved
        counts.update((route, Step.SENT.value) for route in {one.route for one in taken})
        counts.update((route, Step.DELIVERED.value) for route in delivered)
        counts.update((route, Step.APPROVED.value) for route in proved)
    return counts
