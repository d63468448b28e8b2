"""Carriers over HTTP, for operators: add, look at, change, drain and remove them while the program runs."""

from typing import Final

import msgspec

from dastak.api import carrier_schema as schema
from dastak.api.admin_endpoints import audited
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.carriers.carrier_book import Act, Wish
from dastak.carriers.trial import Opener, opener
from dastak.carriers.trial_report import Errand, Report
from dastak.core.carrier import Carrier
from dastak.core.msisdn import parse
from dastak.core.ports import Once, Replayed
from dastak.core.tenant import Scope

HISTORY_MAX: Final = 100


async def list_carriers(api: Api, _call: Call) -> Response:
    """GET /v1/admin/carriers."""
    listed = await api.fleet.book.listed()
    fixed = [carrier for carrier, _ in api.fleet.entries if carrier.n == 0]
    shown = sorted((*fixed, *listed), key=lambda carrier: carrier.lane.priority)
    return answer(200, schema.CarriersView(carriers=tuple(_view(api, carrier) for carrier in shown)))


@audited
async def add_carrier(api: Api, call: Call) -> Response:
    """POST /v1/admin/carriers."""
    body: schema.CarrierBody = call.body
    wish = Wish(settings=body.settings, lane=body.lane)
    return await api.once(
        call,
        act=lambda once: api.fleet.book.add(body.name, body.kind, wish, _act(api, call, body.why, once)),
        show=lambda carrier: answer(201, _view(api, carrier)),
    )


async def show_carrier(api: Api, call: Call) -> Response:
    """GET /v1/admin/carriers/{carrier}."""
    opened = api.fleet.find(call.arguments[0])
    if opened is not None and opened[0].n == 0:
        return answer(200, _view(api, opened[0]))
    return answer(200, _view(api, await api.fleet.book.find(call.arguments[0])))


@audited
async def change_carrier(api: Api, call: Call) -> Response:
    """PATCH /v1/admin/carriers/{carrier}."""
    body: schema.CarrierPatch = call.body
    wish = Wish(settings=body.settings, lane=body.lane, state=body.state)
    return await api.once(
        call,
        act=lambda once: api.fleet.book.change(call.arguments[0], wish, _act(api, call, body.why, once)),
        show=lambda carrier: answer(200, _view(api, carrier)),
    )


@audited
async def remove_carrier(api: Api, call: Call) -> Response:
    """POST /v1/admin/carriers/{carrier}/remove."""
    body: schema.RemoveBody = call.body
    name = call.arguments[0]
    return await api.once(
        call,
        act=lambda once: api.fleet.book.remove(name, _act(api, call, body.why, once)),
        show=lambda _: answer(200, schema.RemovedView(removed=name)),
    )


@audited
async def try_carrier(api: Api, call: Call) -> Response:
    """POST /v1/admin/carriers/{carrier}/test."""
    body: schema.TrialBody = call.body
    name = call.arguments[0]
    to = None if body.to is None else parse(body.to).msisdn
    errand = Errand(to=to, sender=body.sender, text=body.text, dlt=body.dlt, timeout_s=body.timeout_s)
    open_one = api.trials.fixed.get(name) or await _opener(api, name)

    async def tried(once: Once | None) -> Report | Replayed:
        report = await api.trials.run(name, open_one, errand)
        return await api.fleet.book.note_trial(report, _act(api, call, "tested", once))

    return await api.once(call, act=tried, show=lambda report: answer(200, report))


async def list_changes(api: Api, call: Call) -> Response:
    """GET /v1/admin/carriers/{carrier}/history."""
    history = await api.fleet.book.history(call.arguments[0], limit=HISTORY_MAX)
    return answer(200, schema.HistoryView(changes=tuple(map(schema.change_view, history))))


async def _opener(api: Api, name: str) -> Opener:
    carrier = await api.fleet.book.find(name)
    return opener(carrier, api.fleet.book.revealed(carrier), api.trials.callback_of(name))


def _act(api: Api, call: Call, why: str, once: Once | None) -> Act:
    return Act(who=call.caller.key.id, why=why, at=api.ports.clock.now(), once=once)


def _view(api: Api, carrier: Carrier) -> schema.CarrierView:
    return schema.carrier_view(msgspec.structs.replace(carrier, sealed=b""), api.fleet)


_CARRIERS: Final = "/v1/admin/carriers"
_CARRIER: Final = f"{_CARRIERS}/{{carrier}}"

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_CARRIERS,
        scope=Scope.OPERATOR,
        handler=list_carriers,
        summary="List all carriers, in the order they are asked, with how they are",
        gives=schema.CarriersView,
    ),
    Endpoint(
        method="POST",
        path=_CARRIERS,
        scope=Scope.OPERATOR,
        handler=add_carrier,
        summary="Add a carrier; it is connected to within a second",
        takes=schema.CarrierBody,
        gives=schema.CarrierView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=_CARRIER,
        scope=Scope.OPERATOR,
        handler=show_carrier,
        summary="Look at a carrier",
        gives=schema.CarrierView,
        refusals=(409,),
    ),
    Endpoint(
        method="PATCH",
        path=_CARRIER,
        scope=Scope.OPERATOR,
        handler=change_carrier,
        summary="Change a carrier's settings or lane; drain it, turn it off, or restore it",
        takes=schema.CarrierPatch,
        gives=schema.CarrierView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_CARRIER}/remove",
        scope=Scope.OPERATOR,
        handler=remove_carrier,
        summary="Remove a carrier that takes nothing any more; its history stays",
        takes=schema.RemoveBody,
        gives=schema.RemovedView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_CARRIER}/test",
        scope=Scope.OPERATOR,
        handler=try_carrier,
        summary="Try a carrier: bind, send a text, wait for its receipt; each step is told with what it took",
        takes=schema.TrialBody,
        optional_body=True,
        gives=Report,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=f"{_CARRIER}/history",
        scope=Scope.OPERATOR,
        handler=list_changes,
        summary="Read what was done to a carrier: who, when, why",
        gives=schema.HistoryView,
    ),
)
