"""Pages that ask for a code, over HTTP: make one for a verification, and see what became of it."""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.api.schema import EXAMPLE_ID
from dastak.core import ids
from dastak.core.code_page import (
    ADDRESS_CHARACTERS_MAX,
    STATE_CHARACTERS_MAX,
    TOKEN_OCTETS,
    CodePage,
    check_return_url,
)
from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.ids import digest_of
from dastak.core.msisdn import mask
from dastak.core.template import Purpose
from dastak.core.tenant import Mode, Scope
from dastak.core.verification import State, Verification

# Whoever types a code a little late is sent a new one, and needs time for it.
OUTLIVES: Final = timedelta(minutes=15)
_EXAMPLE_URL: Final = "https://otp.example.in/v/Zk3v8Yb1Qw5tR0uJ2nLxPcA7dKs"

Language = Literal["en", "hi", "bn", "te", "mr", "ta", "gu", "kn", "ml", "pa", "or", "as", "ur"]


class CodePageBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a page that asks for the code of a verification."""

    return_url: Annotated[
        str,
        Meta(
            max_length=ADDRESS_CHARACTERS_MAX,
            description="Where the page leads back to, by https on one of the service's `domains`; "
            "`verification` and `state` are added to its query.",
            examples=["https://login.acme.in/done"],
        ),
    ]
    state: (
        Annotated[str, Meta(max_length=STATE_CHARACTERS_MAX, description="Yours; given back as it came.")]
        | None
    ) = None
    may_change_number: Annotated[
        bool, Meta(description="Let the person take another number; only where `purpose` is `signup`.")
    ] = False
    language: (
        Annotated[Language, Meta(description="Of the page; the browser's if absent. The person may choose.")]
        | None
    ) = None


class MadePageView(msgspec.Struct, frozen=True, kw_only=True):
    """A new page. Send the person's browser there: the first browser that opens it has it."""

    url: (
        Annotated[
            str,
            Meta(
                description="Shown once; null in the kept answer to an Idempotency-Key. A page that is made "
                "again has another address, and the first one is gone.",
                examples=[_EXAMPLE_URL],
            ),
        ]
        | None
    )
    expires_at: datetime


class CodePageView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a page."""

    verification: Annotated[
        str,
        Meta(
            description="What it asks for now: another one where the first was too old, or the person "
            "took another number.",
            examples=[EXAMPLE_ID],
        ),
    ]
    state: Annotated[State, Meta(description="Of that verification.")]
    to_masked: Annotated[str, Meta(examples=["+9198******10"])]
    to_changed: Annotated[bool, Meta(description="Whether the person took another number.")]
    opened: Annotated[bool, Meta(description="Whether a browser has it.")]
    finished_at: Annotated[datetime, Meta(description="When the code was right.")] | None
    expires_at: datetime


async def make_page(api: Api, call: Call) -> Response:
    """POST /v1/verifications/{id}/page."""
    body: CodePageBody = call.body
    held = await api.ports.store.find(call.caller.tenant.n, ids.read(call.arguments[0]))
    token = urlsafe_b64encode(api.ports.entropy(TOKEN_OCTETS)).rstrip(b"=").decode()
    page = _page(api, held.verification, body, token)
    return await api.once(
        call,
        act=lambda once: api.code_pages.put_page(page, once=once),
        show=lambda made: answer(201, _made(made, f"{api.public_url}/v/{token}")),
        keep=lambda made: answer(201, _made(made, None)),
    )


async def show_page(api: Api, call: Call) -> Response:
    """GET /v1/verifications/{id}/page."""
    tenant = call.caller.tenant.n
    page = await api.code_pages.page_for(tenant, ids.read(call.arguments[0]))
    asked = (await api.ports.store.find(tenant, page.asks_for)).verification
    return answer(
        200,
        CodePageView(
            verification=ids.show(asked.id),
            state=asked.state,
            to_masked=mask(asked.msisdn),
            to_changed=page.number_changes > 0,
            opened=page.browser is not None,
            finished_at=page.finished_at,
            expires_at=page.expires_at,
        ),
    )


def _page(api: Api, verification: Verification, body: CodePageBody, token: str) -> CodePage:
    if verification.state is not State.PENDING:
        raise Conflict(f"The verification is {verification.state}; start a new one.")
    if body.may_change_number and verification.particulars.purpose != Purpose.SIGNUP:
        raise InvalidRequest(
            "`may_change_number` is for a verification whose `purpose` is `signup`: whoever signs in must "
            "not choose where the code goes.",
            field="may_change_number",
        )
    service = api.directory.service_of(verification.service)
    return CodePage(
        token_digest=digest_of(token),
        tenant=verification.tenant,
        service=verification.service,
        mode=verification.mode,
        made_for=verification.id,
        asks_for=verification.id,
        return_url=check_return_url(
            body.return_url, domains=service.domains, tried_out=verification.mode is Mode.TEST
        ),
        expires_at=verification.expires_at + OUTLIVES,
        state=body.state,
        may_change_number=body.may_change_number,
        language=body.language,
    )


def _made(page: CodePage, url: str | None) -> MadePageView:
    return MadePageView(url=url, expires_at=page.expires_at)


_PATH: Final = "/v1/verifications/{id}/page"

ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path=_PATH,
        scope=Scope.START,
        handler=make_page,
        summary="Make a page that asks the person for the code",
        takes=CodePageBody,
        gives=MadePageView,
        status=201,
        refusals=(404, 409),
    ),
    Endpoint(
        method="GET",
        path=_PATH,
        scope=Scope.READ,
        handler=show_page,
        summary="See what became of the page, by the id of the verification that it was made for",
        gives=CodePageView,
        refusals=(404,),
    ),
)
