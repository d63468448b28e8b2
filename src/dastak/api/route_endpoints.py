"""Routes over HTTP, for operators: how good each is and why, and what other rules would change."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from dastak.api import route_schema as schema
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core.carrier import Carrier
from dastak.core.errors import NotFound
from dastak.core.tenant import Scope
from dastak.delivery.downtime import Downtime
from dastak.delivery.what_if import Replay, with_changes

# A day of a small house, or the last minutes of a large one; some seconds of one core at most.
TEXTS_MAX: Final = 20_000
# So many hold the loop for some ten milliseconds.
TEXTS_AT_ONCE: Final = 200
# Of each carrier's history; outages before the oldest of them are not known.
LINES_MAX: Final = 200


async def list_routes(api: Api, _call: Call) -> Response:
    """GET /v1/admin/routes."""
    shown = tuple(schema.route_view(carrier, api.fleet, api.health) for carrier in await _carriers(api))
    return answer(200, schema.RoutesView(routes=shown))


async def show_route(api: Api, call: Call) -> Response:
    """GET /v1/admin/routes/{carrier}."""
    for carrier in await _carriers(api):
        if carrier.name == call.arguments[0]:
            return answer(200, schema.route_view(carrier, api.fleet, api.health))
    raise NotFound("There is no route of this name.")


async def ask_what_if(api: Api, call: Call) -> Response:
    """POST /v1/admin/routes/what-if."""
    body: schema.WhatIfBody = call.body
    carriers = await _carriers(api)
    changed = with_changes(carriers, body.lanes)
    since = api.ports.clock.now() - timedelta(hours=body.hours)
    texts = await api.ports.store.recorded_texts(since, limit=TEXTS_MAX + 1)
    replay = Replay(
        carriers,
        changed,
        judge=api.health,
        expect=api.health.chances,
        exploration=api.exploration,
        downtime=await _downtime(api, carriers),
    )
    for begin in range(0, min(len(texts), TEXTS_MAX), TEXTS_AT_ONCE):
        replay.add(texts[begin : min(begin + TEXTS_AT_ONCE, TEXTS_MAX)])
        # Codes that people wait for go first.
        await asyncio.sleep(0)
    view = schema.WhatIfView(since=since, complete=len(texts) <= TEXTS_MAX, outlook=replay.outlook())
    return answer(200, view)


async def _downtime(api: Api, carriers: Sequence[Carrier]) -> Downtime:
    names = [carrier.name for carrier in carriers]
    histories = {name: await api.fleet.book.lines(name, limit=LINES_MAX) for name in names}
    return Downtime(histories, broken=filter(api.health.trips, names))


async def _carriers(api: Api) -> tuple[Carrier, ...]:
    """Return all carriers, those of the settings file too, first asked first; without secrets."""
    fixed = [carrier for carrier, _ in api.fleet.entries if carrier.n == 0]
    known = [*fixed, *(await api.fleet.book.listed())]
    shown = [msgspec.structs.replace(carrier, sealed=b"") for carrier in known]
    return tuple(sorted(shown, key=lambda carrier: carrier.lane.priority))


_ROUTES: Final = "/v1/admin/routes"

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_ROUTES,
        scope=Scope.OPERATOR,
        handler=list_routes,
        summary="List all routes with their scores and what those are made of, breakers and deadlines",
        gives=schema.RoutesView,
    ),
    Endpoint(
        method="GET",
        path=f"{_ROUTES}/{{carrier}}",
        scope=Scope.OPERATOR,
        handler=show_route,
        summary="Look at what was learned of a route",
        gives=schema.RouteView,
    ),
    Endpoint(
        method="POST",
        path=f"{_ROUTES}/what-if",
        scope=Scope.OPERATOR,
        handler=ask_what_if,
        summary="Replay recorded texts against other rules, before they apply",
        takes=schema.WhatIfBody,
        gives=schema.WhatIfView,
    ),
)
