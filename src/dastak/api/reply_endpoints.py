"""Replies over HTTP, and the numbers that want nothing more: each tenant its own, the rest for operators.

Numbers stand here whole: a tenant must know who wrote, and whom not to ask again in another way.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.api.admin_endpoints import audited
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.api.native import LIST_DEFAULT, LIST_MAX, whole
from dastak.core.errors import InvalidMsisdn, NotFound
from dastak.core.msisdn import Msisdn, parse
from dastak.core.reply import HeardReply, ReplyKind, Stop
from dastak.core.reply_store import ReplyPage
from dastak.core.tenant import Mode, Scope

Cursor = Annotated[str, Meta(description="Give it as `cursor` for the next page; null at the end.")] | None


class ReplyView(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a phone sent back."""

    at: datetime
    msisdn: Annotated[str, Meta(description="Who wrote it.", examples=["+919876543210"])]
    to: Annotated[str, Meta(description="The sender it answers, as the carrier writes it.")]
    kind: ReplyKind
    text_masked: Annotated[str, Meta(description="What was written, without digits.")]
    route: str
    mode: Annotated[str, Meta(description="`test` from a virtual phone, else `live`.")]


class RepliesView(msgspec.Struct, frozen=True, kw_only=True):
    """One page of replies, newest first."""

    replies: tuple[ReplyView, ...]
    next_cursor: Cursor


class StopView(msgspec.Struct, frozen=True, kw_only=True):
    """A number that wants nothing more of this tenant."""

    msisdn: Annotated[str, Meta(examples=["+919876543210"])]
    since: datetime
    mode: Annotated[str, Meta(description="`test`: a virtual phone asked, and it binds test keys only.")]


class StopsView(msgspec.Struct, frozen=True, kw_only=True):
    """One page of such numbers, newest first."""

    stops: tuple[StopView, ...]
    next_cursor: Cursor


class LiftView(msgspec.Struct, frozen=True, kw_only=True):
    """What a lift came to."""

    lifted: bool


async def list_replies(api: Api, call: Call) -> Response:
    """GET /v1/replies."""
    before, limit = asked(call)
    return _replies(await api.replies.replies(call.caller.tenant.n, before=before, limit=limit))


async def list_stray_replies(api: Api, call: Call) -> Response:
    """GET /v1/admin/replies."""
    before, limit = asked(call)
    return _replies(await api.replies.replies(None, before=before, limit=limit))


async def list_stops(api: Api, call: Call) -> Response:
    """GET /v1/stops."""
    before, limit = asked(call)
    page = await api.replies.stops(call.caller.tenant.n, before=before, limit=limit)
    shown = tuple(map(_stop_view, page.stops))
    return answer(200, StopsView(stops=shown, next_cursor=cursor_of(page.cursor)))


@audited
async def lift_stop(api: Api, call: Call) -> Response:
    """DELETE /v1/stops/{msisdn}."""
    msisdn, tenant = _msisdn(call.arguments[0]), call.caller.tenant.n
    return await api.once(
        call,
        act=lambda once: api.replies.lift_stop(tenant, msisdn, once=once),
        show=_lifted,
    )


def _lifted(lifted: bool) -> Response:
    if not lifted:
        raise NotFound("This number did not ask you to stop, or somebody lifted that already.")
    return answer(200, LiftView(lifted=True))


def asked(call: Call) -> tuple[int | None, int]:
    """Return which page of a list is asked for: before what, and how many. Raises: InvalidRequest."""
    said = call.query
    before = whole(said["cursor"], "cursor", 2**63 - 1, base=16) if "cursor" in said else None
    return before, whole(said["limit"], "limit", LIST_MAX) if "limit" in said else LIST_DEFAULT


def _msisdn(text: str) -> Msisdn:
    try:
        return parse(text).msisdn
    except InvalidMsisdn as error:
        raise InvalidMsisdn(error.detail, field="msisdn") from error


def cursor_of(n: int | None) -> str | None:
    """Show where a page ends."""
    return None if n is None else f"{n:x}"


def _replies(page: ReplyPage) -> Response:
    shown = tuple(map(reply_view, page.replies))
    return answer(200, RepliesView(replies=shown, next_cursor=cursor_of(page.cursor)))


def reply_view(heard: HeardReply) -> ReplyView:
    """Show a reply."""
    reply = heard.reply
    return ReplyView(
        at=heard.at,
        msisdn=reply.msisdn,
        to=reply.to,
        kind=reply.kind,
        text_masked=reply.text_masked,
        route=reply.route,
        mode=_mode(heard.test),
    )


def _stop_view(stop: Stop) -> StopView:
    return StopView(msisdn=stop.msisdn, since=stop.since, mode=_mode(stop.test))


def _mode(test: bool) -> Mode:
    return Mode.TEST if test else Mode.LIVE


PAGE: Final = (
    ("limit", f"How many at most, 1 to {LIST_MAX}; {LIST_DEFAULT} if absent."),
    ("cursor", "The `next_cursor` of the page before."),
)

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path="/v1/replies",
        scope=Scope.READ,
        handler=list_replies,
        summary="List what people wrote back to you, newest first",
        gives=RepliesView,
        parameters=PAGE,
    ),
    Endpoint(
        method="GET",
        path="/v1/stops",
        scope=Scope.READ,
        handler=list_stops,
        summary="List the numbers that want nothing more of you, newest first",
        gives=StopsView,
        parameters=PAGE,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/stops/{msisdn}",
        scope=Scope.ADMIN,
        handler=lift_stop,
        summary="Write to a number again that said STOP, because its owner asked you to",
        gives=LiftView,
        refusals=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/admin/replies",
        scope=Scope.OPERATOR,
        handler=list_stray_replies,
        summary="List the replies that are meant for no tenant we know, newest first",
        gives=RepliesView,
        parameters=PAGE,
    ),
)
