"""What came of a landing page: its leads as a table and a file, and how far its visitors came."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dastak.core.landing import (
    LEADS_EXPORTED_MAX,
    Count,
    LandingPage,
    Lead,
    LeadFilter,
    PageVersion,
    RouteCount,
    Step,
    Variant,
)
from dastak.core.lead_hook import HookState
from dastak.web.landing.comparison import Arm, ExperimentRuns, compare
from dastak.web.landing.console_room import HOME, ONE, Author, ConsoleRoom
from dastak.web.landing.design import Design, decode
from dastak.web.landing.lead_export import columns_of, csv_of
from dastak.web.landing.lead_parquet import (
    NOT_INSTALLED,
    ROW_GROUP_LEADS_MAX,
    LeadFile,
    kinds_of,
    parquet_installed,
    shape_of,
)
from dastak.web.page_answers import headers, read_form, see_other
from dastak.web.page_words import LANGUAGES

SHOWN_MAX: Final = 50
ROUTES_SHOWN_MAX: Final = 20
_NOT_IMPLEMENTED: Final = 501
_PARQUET: Final = "application/vnd.apache.parquet"
_STEPS: Final[Mapping[Step, str]] = {
    Step.SEEN: "Saw the page",
    Step.GIVEN: "Gave a number",
    Step.SENT: "Code sent",
    Step.DELIVERED: "Code delivered",
    Step.ENTERED: "Typed a code",
    Step.APPROVED: "Proved the number",
}
assert list(_STEPS) == list(Step)


class PageResults:
    """The routes of leads and figures.

    Args:
        room: What all pages of the page builder share.
    """

    def __init__(self, room: ConsoleRoom) -> None:
        self._room, self._store = room, room.store
        self._runs = ExperimentRuns(room.store)

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._room.route
        return [
            route(f"{ONE}/leads", self.leads),
            route(f"{ONE}/leads", self.delete, "POST"),
            route(f"{ONE}/leads.csv", self.export),
            route(f"{ONE}/leads.parquet", self.export_parquet),
            route(f"{ONE}/results", self.results),
        ]

    async def leads(self, request: Request, author: Author) -> Response:
        """GET the leads, newest first."""
        return await self._listed(request, author)

    async def _listed(
        self, request: Request, author: Author, complaints: Sequence[str] = (), status: int = 200
    ) -> Response:
        found, design = await self._room.page(request, author)
        asked = dict(request.query_params)
        wanted = replace(_wanted(found, asked), limit=SHOWN_MAX + 1)
        listed = await self._store.leads(wanted)
        now = self._room.house.ports.clock.now()
        shown = listed[:SHOWN_MAX]
        told = await self._room.webhook.told(shown)
        values = {
            "title": f"{design.brand or found.slug} · Leads",
            "tab": "leads",
            "page": found,
            "columns": columns_of(design, shown),
            "leads": [_row(lead, now) for lead in shown],
            "told": told,
            "any_failed": any(one.state is HookState.FAILED for one in told.values()),
            "more": shown[-1].n if len(listed) > SHOWN_MAX else None,
            "asked": asked,
            "count": await self._store.lead_count(found.n),
            "tongues": [(tag, LANGUAGES.get(tag, tag)) for tag in design.languages],
            "complaints": complaints,
            "parquet": parquet_installed(),
            "exported_max": LEADS_EXPORTED_MAX,
        }
        return self._room.show("page_leads.html", author, values, status)

    async def delete(self, request: Request, author: Author) -> Response:
        """POST that a lead shall be forgotten."""
        form = await read_form(request)
        self._room.check(request, author, form)
        found, _ = await self._room.page(request, author)
        n = form.get("lead", "")
        if n.isascii() and n.isdigit():
            gone = await self._store.delete_lead(found.n, int(n[:18]))
            if gone:
                self._room.tell(author, "lead_deleted", found, f"lead {n[:18]}")
        return see_other(f"{HOME}/{found.n}/leads?done=deleted")

    async def export(self, request: Request, author: Author) -> Response:
        """GET the leads as a file, with the same filter."""
        found, design = await self._room.page(request, author)
        wanted = _wanted(found, dict(request.query_params))
        leads = await self._store.leads(replace(wanted, limit=LEADS_EXPORTED_MAX))
        table = await asyncio.to_thread(lambda: csv_of(design, leads).encode())
        self._room.tell(author, "leads_exported", found, f"csv {len(leads)}")
        return Response(table, headers=self._attached(found, "csv"), media_type="text/csv")

    async def export_parquet(self, request: Request, author: Author) -> Response:
        """GET the leads as a typed file, with the same filter, while they are read."""
        if not parquet_installed():
            return await self._listed(request, author, [NOT_INSTALLED], _NOT_IMPLEMENTED)
        found, design = await self._room.page(request, author)
        wanted = _wanted(found, dict(request.query_params))
        names: set[str] = set()
        versions: dict[int, Mapping[str, bool]] = {}
        async for leads in self._groups(wanted):
            # Nobody who comes meanwhile is in the file: its columns are settled.
            wanted = wanted if wanted.before is not None else replace(wanted, before=leads[0].n + 1)
            names.update(name for lead in leads for name in lead.values)
            for version in {lead.version for lead in leads} - versions.keys():
                published = await self._store.version(found.n, version)
                versions[version] = kinds_of(decode(published.body))
        wanted = wanted if versions else replace(wanted, before=0)
        file = await asyncio.to_thread(LeadFile, shape_of(design, names, versions))
        self._room.tell(author, "leads_exported", found, "parquet")
        return StreamingResponse(
            self._written(file, wanted), headers=self._attached(found, "parquet"), media_type=_PARQUET
        )

    async def _written(self, file: LeadFile, wanted: LeadFilter) -> AsyncIterator[bytes]:
        async for leads in self._groups(wanted):
            yield await asyncio.to_thread(file.group, leads)
        yield await asyncio.to_thread(file.end)

    async def _groups(self, wanted: LeadFilter) -> AsyncIterator[Sequence[Lead]]:
        """Read leads, newest first, as many at a time as may be in memory."""
        left = LEADS_EXPORTED_MAX
        while left > 0:
            leads = await self._store.leads(replace(wanted, limit=min(left, ROW_GROUP_LEADS_MAX)))
            if not leads:
                return
            yield leads
            left -= len(leads)
            wanted = replace(wanted, before=leads[-1].n)

    def _attached(self, found: LandingPage, ending: str) -> dict[str, str]:
        day = self._room.house.ports.clock.now().date().isoformat()
        return {**headers(), "content-disposition": f'attachment; filename="{found.slug}-{day}.{ending}"'}

    async def results(self, request: Request, author: Author) -> Response:
        """GET how far visitors came."""
        found, design = await self._room.page(request, author)
        counts = await self._store.funnel(found.n)
        versions = await self._store.versions(found.n)
        version, tried = _last_tried(versions) or (0, None)
        planned = 0 if tried is None or tried.experiment is None else tried.experiment.planned
        run = "" if tried is None else await self._runs.of(found.n, version, tried)
        compared = await self._store.funnel(found.n, run) if run else ()
        variants = () if tried is None else tuple(Variant)
        languages = sorted({one.language for one in counts})
        by_route = _by_route(await self._store.funnel_by_route(found.n))
        values = {
            "title": f"{design.brand or found.slug} · Results",
            "tab": "results",
            "page": found,
            "funnel": _funnel(counts),
            "by_variant": [(f"Variant {one.upper()}", _funnel(compared, variant=one)) for one in variants],
            "by_language": [(LANGUAGES.get(tag, tag), _funnel(counts, language=tag)) for tag in languages],
            "by_route": by_route[:ROUTES_SHOWN_MAX],
            "routes_more": max(0, len(by_route) - ROUTES_SHOWN_MAX),
            "comparison": None if tried is None else _compared(compared, planned),
            "planned": planned,
            "framed": any(decode(one.body).framed_by for one in versions),
            "figures": {one.value: _arm(compared, one) for one in Variant},
        }
        return self._room.show("page_results.html", author, values)


def _wanted(found: LandingPage, asked: Mapping[str, str]) -> LeadFilter:
    """Read a filter; what cannot be read filters nothing."""
    before = asked.get("before", "")
    return LeadFilter(
        page=found.n,
        language=asked.get("language") or None,
        variant=Variant(asked["variant"]) if asked.get("variant") in set(Variant) else None,
        since=_day(asked.get("since", "")),
        until=_day(asked.get("until", ""), after=timedelta(days=1)),
        contains=asked.get("contains", "").strip()[:100],
        before=int(before[:18]) if before.isascii() and before.isdigit() else None,
    )


def _day(text: str, after: timedelta = timedelta()) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + after
    except (ValueError, OverflowError):  # the day after the last of all days
        return None


def _row(lead: Lead, now: datetime) -> Mapping[str, Any]:
    return {"lead": lead, "days_left": max(0, (lead.gone_at - now).days)}


def _last_tried(versions: Sequence[PageVersion]) -> tuple[int, Design] | None:
    """Return the newest version that had two variants; it is compared when one of them is gone as well."""
    designs = ((one.version, decode(one.body)) for one in versions)
    return next((one for one in designs if one[1].experiment is not None), None)


def _funnel(
    counts: Sequence[Count], *, variant: Variant | None = None, language: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """Return each step with how many came to it, and their share of those who saw the page."""
    tally = {
        step: sum(
            one.visits
            for one in counts
            if one.step is step and variant in (None, one.variant) and language in (None, one.language)
        )
        for step in Step
    }
    seen = max(tally[Step.SEEN], 1)
    return [
        {"step": title, "visits": tally[step], "share": min(1.0, tally[step] / seen)}
        for step, title in _STEPS.items()
    ]


def _by_route(counts: Sequence[RouteCount]) -> Sequence[Mapping[str, Any]]:
    """Return each route with how many codes it took and what came of them, the busiest first."""
    tally: dict[str, dict[Step, int]] = {}
    for one in counts:
        tally.setdefault(one.route, dict.fromkeys(Step, 0))[one.step] += one.visits
    table = [
        {"route": route, **{step.value: reached[step] for step in (Step.SENT, Step.DELIVERED, Step.APPROVED)}}
        for route, reached in tally.items()
    ]
    return sorted(table, key=lambda row: (-int(row["sent"]), str(row["route"])))


def _arm(counts: Sequence[Count], variant: Variant) -> Arm:
    rows = dict.fromkeys(Step, 0)
    for one in counts:
        if one.variant is variant:
            rows[one.step] += one.visits
    # Who came back within an hour of a new browser may be counted once seen and twice approved.
    return Arm(max(rows[Step.SEEN], rows[Step.APPROVED]), rows[Step.APPROVED])


def _compared(counts: Sequence[Count], planned: int) -> Any:
    return compare(_arm(counts, Variant.A), _arm(counts, Variant.B), planned=planned)
