"""Calls that somebody did not ask for, over HTTP: what the person who was called told us by a key."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.api.reply_endpoints import PAGE, Cursor, asked, cursor_of
from dastak.core.ids import show
from dastak.core.tenant import Mode, Scope


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """One person who was called and says that they did not ask for it."""

    at: datetime
    verification: Annotated[str, Meta(description="It was called off with the report.")]
    msisdn: str
    mode: Mode


class ReportsView(msgspec.Struct, frozen=True, kw_only=True):
    """One page of reports, newest first; `next_cursor` is null at the end."""

    reports: tuple[ReportView, ...]
    next_cursor: Cursor


async def list_reports(api: Api, call: Call) -> Response:
    """GET /v1/reports."""
    before, limit = asked(call)
    page = await api.ports.store.reports(call.caller.tenant.n, before=before, limit=limit)
    shown = tuple(
        ReportView(at=one.at, verification=show(one.verification), msisdn=one.msisdn, mode=one.mode)
        for one in page.reports
    )
    return answer(200, ReportsView(reports=shown, next_cursor=cursor_of(page.cursor)))


ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path="/v1/reports",
        scope=Scope.READ,
        handler=list_reports,
        summary="List the people who were called and say that they did not ask for it, newest first",
        gives=ReportsView,
        parameters=PAGE,
    ),
)
