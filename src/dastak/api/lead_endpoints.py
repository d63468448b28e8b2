"""Leads of landing pages over HTTP: the token that a visitor brings is exchanged for the lead, once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core import ids
from dastak.core.ids import digest_of
from dastak.core.landing import LandingPage, Lead
from dastak.core.tenant import Scope


class ExchangeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a visitor brought along."""

    token: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            description="The parameter `dastak_token` of the address that the visitor was sent on to.",
        ),
    ]


class ConsentView(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody agreed to."""

    field: str
    text: str
    text_version: Annotated[str, Meta(description="The first digits of the text's SHA-256.")]
    language: str
    at: datetime
    ip_digest: Annotated[str, Meta(description="A keyed hash of the address it came from.")]
    page_version: int


class LeadView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who proved a number on a landing page."""

    page: Annotated[str, Meta(description="The page's name in its address.")]
    page_version: int
    variant: str
    language: str
    verification: str
    msisdn: Annotated[str, Meta(examples=["+919876543210"])]
    at: datetime
    deleted_at: Annotated[datetime, Meta(description="When Dastak forgets it.")]
    values: Annotated[Mapping[str, str], Meta(description="What was typed, by the names of the fields.")]
    consents: tuple[ConsentView, ...]


async def exchange_lead(api: Api, call: Call) -> Response:
    """POST /v1/leads/exchange."""
    body: ExchangeBody = call.body
    now = api.ports.clock.now()
    page, lead = await api.landing.exchange(call.caller.tenant.n, digest_of(body.token), now=now)
    return answer(200, lead_view(page, lead))


def lead_view(page: LandingPage, lead: Lead) -> LeadView:
    """Show a lead."""
    return LeadView(
        page=page.slug,
        page_version=lead.version,
        variant=lead.variant.value,
        language=lead.language,
        verification=ids.show(lead.verification),
        msisdn=lead.msisdn,
        at=lead.at,
        deleted_at=lead.gone_at,
        values=lead.values,
        consents=tuple(ConsentView(**msgspec.structs.asdict(one)) for one in lead.consents),
    )


ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/leads/exchange",
        scope=Scope.CHECK,
        handler=exchange_lead,
        summary="Exchange the token that a landing page's visitor brought for the lead, once",
        takes=ExchangeBody,
        gives=LeadView,
        refusals=(404,),
    ),
)
