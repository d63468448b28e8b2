"""Verifications in our own dialect: start, check, resend, cancel, look."""

from datetime import timedelta
from typing import Final

import msgspec

from dastak.api import problems, schema
from dastak.api.endpoints import Api, Call, Endpoint, instant
from dastak.api.exchange import Response, answer
from dastak.core import ids
from dastak.core.errors import InvalidRequest
from dastak.core.msisdn import parse
from dastak.core.ports import Filter
from dastak.core.tenant import Scope
from dastak.core.verification import Judgement, Reason, State, Verification
from dastak.flows.cancel import cancel
from dastak.flows.check import Attempt, check
from dastak.flows.compose import match_number_of
from dastak.flows.resend import resend
from dastak.flows.start import Ask, Started, start

LIST_MAX: Final = 200
LIST_DEFAULT: Final = 50
LIST_RANGE: Final = timedelta(days=31)


async def start_verification(api: Api, call: Call) -> Response:
    """POST /v1/verifications."""
    body: schema.StartBody = call.body
    caller = call.caller
    if body.service is not None:
        caller = msgspec.structs.replace(caller, service=api.directory.service(caller.tenant.n, body.service))
    service = caller.service
    ask = Ask(
        to=body.to,
        factor=None if body.factor is None else ids.read_factor(body.factor),
        channel=schema.channel_of(body.channel),
        code=body.code,
        client_ip=body.client_ip,
        match=body.match,
        policy=body.policy,
        particulars=schema.particulars_of(body, service.locale),
    )
    return await api.once(
        call,
        act=lambda once: start(api.ports, caller, ask, once=once),
        show=lambda started: _started(api, started, service.name),
        keep=lambda started: answer(201, schema.started_view(started, service.name)),
    )


async def check_verification(api: Api, call: Call) -> Response:
    """POST /v1/verifications/{id}/check."""
    body: schema.CheckBody = call.body
    verification_id, tenant = ids.read(call.arguments[0]), call.caller.tenant.n
    attempt = Attempt(code=body.code, amount=body.amount, payee=body.payee, at_s=body.at)
    return await api.once(
        call,
        act=lambda once: check(api.ports, tenant, verification_id, attempt, once=once),
        show=lambda judged: _checked(api, judged),
        keep=lambda judged: _checked(api, judged, kept=True),
    )


async def resend_verification(api: Api, call: Call) -> Response:
    """POST /v1/verifications/{id}/resend."""
    body: schema.ResendBody = call.body
    verification_id, channel = ids.read(call.arguments[0]), schema.channel_of(body.channel)
    return await api.once(
        call,
        act=lambda once: resend(api.ports, call.caller, verification_id, channel, once=once),
        show=lambda resent: _shown(api, resent.verification),
        keep=lambda resent: answer(200, _view(api, resent.verification)),
    )


async def cancel_verification(api: Api, call: Call) -> Response:
    """POST /v1/verifications/{id}/cancel."""
    verification_id, tenant = ids.read(call.arguments[0]), call.caller.tenant.n
    return await api.once(
        call,
        act=lambda once: cancel(api.ports, tenant, verification_id, once=once),
        show=lambda ended: _shown(api, ended.verification),
    )


async def show_verification(api: Api, call: Call) -> Response:
    """GET /v1/verifications/{id}."""
    held = await api.ports.store.find(call.caller.tenant.n, ids.read(call.arguments[0]))
    return _shown(api, held.verification)


async def show_timeline(api: Api, call: Call) -> Response:
    """GET /v1/verifications/{id}/timeline."""
    verification_id = ids.read(call.arguments[0])
    events = await api.ports.store.timeline(call.caller.tenant.n, verification_id)
    shown = tuple(schema.event_view(event) for event in events)
    return answer(200, schema.TimelineView(id=ids.show(verification_id), events=shown))


async def list_verifications(api: Api, call: Call) -> Response:
    """GET /v1/verifications."""
    page = await api.ports.store.list(_filter(api, call))
    shown = tuple(_view(api, verification) for verification in page.verifications)
    cursor = None if page.cursor is None else f"{page.cursor:x}"
    return answer(200, schema.ListView(verifications=shown, next_cursor=cursor))


def _checked(api: Api, judged: Judgement, *, kept: bool = False) -> Response:
    """Answer a check. The kept answer of the one that was right says only that it was used."""
    if judged.approved and kept:
        return problems.of_closed(
            msgspec.structs.replace(judged, approved=False, reason=Reason.CONSUMED),
            wait_s=None,
            replayed=True,
        )
    closed = judged.reason is not None and judged.reason not in (Reason.WRONG_CODE, Reason.OLDER_CODE)
    if not closed:
        return answer(200, schema.check_view(judged))
    wait_s = None
    if judged.lock is not None and judged.lock.until is not None:
        wait_s = int((judged.lock.until - api.ports.clock.now()).total_seconds()) + 1
    return problems.of_closed(judged, wait_s=wait_s, replayed=kept)


def _view(api: Api, verification: Verification) -> schema.VerificationView:
    return schema.view(verification, api.ports.service_of(verification.service).name)


def _shown(api: Api, verification: Verification) -> Response:
    """Show one verification with the number of its page, which is nowhere kept."""
    service = api.ports.service_of(verification.service).name
    return answer(200, schema.view(verification, service, match_number_of(api.ports, verification)))


def _started(api: Api, started: Started, service: str) -> Response:
    number = match_number_of(api.ports, started.verification)
    return answer(201, schema.started_view(started, service, number))


def _filter(api: Api, call: Call) -> Filter:
    asked, tenant = call.query, call.caller.tenant.n
    since = instant(asked["since"], "since") if "since" in asked else None
    until = instant(asked["until"], "until") if "until" in asked else None
    if since is not None and until is not None and not timedelta(0) <= until - since <= LIST_RANGE:
        raise InvalidRequest("From `since` to `until` may be at most 31 days.", field="until")
    return Filter(
        tenant=tenant,
        service=api.directory.service(tenant, asked["service"]).n if "service" in asked else None,
        # An unescaped + in a query means a space; nothing else could begin with one.
        msisdn=parse(asked["to"].replace(" ", "+", 1)).msisdn if "to" in asked else None,
        state=_state(asked["state"]) if "state" in asked else None,
        created_from=since,
        created_to=until,
        before=whole(asked["cursor"], "cursor", 2**63 - 1, base=16) if "cursor" in asked else None,
        limit=whole(asked["limit"], "limit", LIST_MAX) if "limit" in asked else LIST_DEFAULT,
    )


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError as error:
        raise InvalidRequest(f"`state` is one of {', '.join(State)}.", field="state") from error


def whole(text: str, field: str, most: int, *, base: int = 10) -> int:
    """Read a whole number from 1, in ASCII (`int` alone takes digits of every script, signs, spaces)."""
    digits = "0123456789abcdef"[:base]
    value = int(text, base) if 0 < len(text) <= 16 and all(digit in digits for digit in text) else 0
    if not 1 <= value <= most:
        raise InvalidRequest(f"`{field}` is not valid here; a limit is 1 to {LIST_MAX}.", field=field)
    return value


_ID: Final = "/v1/verifications/{id}"
_LIST_PARAMETERS: Final = (
    ("to", "Only of this number, in E.164 with the + percent-encoded."),
    ("service", "Only of this service."),
    ("state", "Only in this state."),
    ("since", "Created at or after this instant."),
    ("until", "Created before this instant; at most 31 days after `since`."),
    ("limit", f"How many at most, 1 to {LIST_MAX}; {LIST_DEFAULT} if absent."),
    ("cursor", "The `next_cursor` of the page before."),
)

ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/verifications",
        scope=Scope.START,
        handler=start_verification,
        summary="Start a verification: make a code and bring it to a phone",
        takes=schema.StartBody,
        gives=schema.StartedView,
        status=201,
        refusals=(403, 404, 429),
    ),
    Endpoint(
        method="GET",
        path="/v1/verifications",
        scope=Scope.READ,
        handler=list_verifications,
        summary="List verifications, newest first",
        gives=schema.ListView,
        parameters=_LIST_PARAMETERS,
    ),
    Endpoint(
        method="POST",
        path=f"{_ID}/check",
        scope=Scope.CHECK,
        handler=check_verification,
        summary="Check what the person typed; approved exactly once",
        takes=schema.CheckBody,
        gives=schema.CheckView,
        refusals=(404, 409, 410),
    ),
    Endpoint(
        method="POST",
        path=f"{_ID}/resend",
        scope=Scope.START,
        handler=resend_verification,
        summary="Send the code once more",
        takes=schema.ResendBody,
        optional_body=True,
        gives=schema.VerificationView,
        refusals=(403, 404, 409, 429),
    ),
    Endpoint(
        method="POST",
        path=f"{_ID}/cancel",
        scope=Scope.START,
        handler=cancel_verification,
        summary="Call a verification off",
        gives=schema.VerificationView,
        refusals=(404, 409),
    ),
    Endpoint(
        method="GET",
        path=_ID,
        scope=Scope.READ,
        handler=show_verification,
        summary="Look at a verification",
        gives=schema.VerificationView,
        refusals=(404,),
    ),
    Endpoint(
        method="GET",
        path=f"{_ID}/timeline",
        scope=Scope.READ,
        handler=show_timeline,
        summary="See everything that happened to it",
        gives=schema.TimelineView,
        refusals=(404,),
    ),
)
