"""What came of a landing page: its leads as a table and a file, and how far its visitors came."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.landing import (
    LEADS_EXPORTED_MAX,
    Count,
    LandingPage,
    Lead,
    LeadFilter,
    Step,
    Variant,
)
from dastak.core.lead_hook import HookState
from dastak.web.landing.comparison import Arm, compare
from dastak.web.landing.console_room import HOME, Author, ConsoleRoom
from dastak.web.landing.lead_export import columns_of, csv_of
from dastak.web.page_answers import headers, read_form, see_other
from dastak.web.page_words import LANGUAGES

SHOWN_MAX: Final = 50
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

    def routes(self) -> list[Route]:
        """Return the routes."""
        guarded, one = self._room.guarded, f"{HOME}/{{page:int}}"
        return [
            Route(f"{one}/leads", guarded(self.leads)),
            Route(f"{one}/leads", guarded(self.delete), methods=["POST"]),
            Route(f"{one}/leads.csv", guarded(self.export)),
            Route(f"{one}/results", guarded(self.results)),
        ]

    async def leads(self, request: Request, author: Author) -> Response:
        """GET the leads, newest first."""
        found, design = await self._room.page(request, author)
        asked = dict(request.query_params)
        wanted = msgspec.structs.replace(_wanted(found, asked), limit=SHOWN_MAX + 1)
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
        }
        return self._room.show("page_leads.html", author, values)

    async def delete(self, request: Request, author: Author) -> Response:
        """POST that a lead shall be forgotten."""
        form = await read_form(request)
        self._room.check(request, author, form)
        found, _ = await self._room.page(request, author)
        n = form.get("lead", "")
        if n.isascii() and n.isdigit():
            await self._store.delete_lead(found.n, int(n[:18]))
        return see_other(f"{HOME}/{found.n}/leads?done=deleted")

    async def export(self, request: Request, author: Author) -> Response:
        """GET the leads as a file, with the same filter."""
        found, design = await self._room.page(request, author)
        wanted = _wanted(found, dict(request.query_params))
        leads = await self._store.leads(msgspec.structs.replace(wanted, limit=LEADS_EXPORTED_MAX))
        day = self._room.house.ports.clock.now().date().isoformat()
        named = {"content-disposition": f'attachment; filename="{found.slug}-{day}.csv"'}
        return Response(csv_of(design, leads), headers={**headers(), **named}, media_type="text/csv")

    async def results(self, request: Request, author: Author) -> Response:
        """GET how far visitors came."""
        found, design = await self._room.page(request, author)
        counts = await self._store.funnel(found.n)
        variants = [Variant.A, *([Variant.B] if _has_b(counts) or design.experiment else [])]
        languages = sorted({one.language for one in counts})
        values = {
            "title": f"{design.brand or found.slug} · Results",
            "tab": "results",
            "page": found,
            "funnel": _funnel(counts),
            "by_variant": [(f"Variant {one.upper()}", _funnel(counts, variant=one)) for one in variants],
            "by_language": [(LANGUAGES.get(tag, tag), _funnel(counts, language=tag)) for tag in languages],
            "comparison": None if design.experiment is None else _compared(counts, design.experiment.planned),
            "planned": 0 if design.experiment is None else design.experiment.planned,
            "figures": {one.value: _arm(counts, one) for one in Variant},
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
    except ValueError:
        return None


def _row(lead: Lead, now: datetime) -> Mapping[str, Any]:
    return {"lead": lead, "days_left": max(0, (lead.gone_at - now).days)}


def _has_b(counts: Sequence[Count]) -> bool:
    return any(one.variant is Variant.B for one in counts)


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


def _arm(counts: Sequence[Count], variant: Variant) -> Arm:
    rows = dict.fromkeys(Step, 0)
    for one in counts:
        if one.variant is variant:
            rows[one.step] += one.visits
    # Who came back within an hour of a new browser may be counted once seen and twice approved.
    return Arm(max(rows[Step.SEEN], rows[Step.APPROVED]), rows[Step.APPROVED])


def _compared(counts: Sequence[Count], planned: int) -> Any:
    return compare(_arm(counts, Variant.A), _arm(counts, Variant.B), planned=planned)
