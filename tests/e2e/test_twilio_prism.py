"""Twilio's own OpenAPI document has nothing against our requests, as Prism judges them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dastak.core.msisdn import Msisdn
from dastak.http_carriers.http_render import HttpRequest
from dastak.http_carriers.http_route import Callback, HttpRoute
from dastak.http_voice.call_requests import end_request
from tests.support.call_samples import abroad, created, some_call, some_call_carrier
from tests.support.http_samples import CALLBACK_URL, NOW, is_foreign, rendered, some_carrier, some_outgoing
from tests.support.prism_peer import prism

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
# It makes its answer up from the whole document the first time.
PATIENT_S = 20


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with prism(tmp_path) as served:
        yield served


def route_to(url: str, **settings: Any) -> HttpRoute:
    carrier = some_carrier("twilio", base_url=url, account=ACCOUNT, total_s=PATIENT_S, **settings)
    return HttpRoute("main", carrier, Callback(("t0ken",), CALLBACK_URL), foreign=is_foreign)


async def test_document_accepts_every_kind_of_message(url: str) -> None:
    pool = {"messaging_service_sid": "MG0123456789abcdef0123456789abcdef"}
    messages = [
        *(some_outgoing(text) for text in ("482913 is your code", "कोड 482913", '482913 &=+#@%"')),
        *(some_outgoing(validity_s=seconds) for seconds in (0, 1, 36_000, 36_001)),
        some_outgoing(msisdn=Msisdn("+12025550123"), dlt={}),
    ]

    async with route_to(url) as plain, route_to(url, options=pool) as pooled:
        refs = [await route.submit(message) for message in messages for route in (plain, pooled)]

    assert len(refs) == 16
    assert all(ref.ref for ref in refs)


async def test_document_would_have_refused_a_wrong_one(url: str) -> None:
    """The judge does judge: the same request with one thing wrong is told so."""
    good = rendered(some_carrier("twilio", base_url=url, account=ACCOUNT))
    form = {"content-type": good.headers["content-type"]}

    async with httpx.AsyncClient(timeout=PATIENT_S, trust_env=False) as client:

        async def status(body: bytes, headers: dict[str, str]) -> int:
            return (await client.post(good.url, content=body, headers=headers)).status_code

        statuses = [
            await status(good.body, good.headers),
            await status(good.body.replace(b"To=", b"Too="), good.headers),
            await status(good.body.replace(b"ValidityPeriod=300", b"ValidityPeriod=soon"), good.headers),
            await status(good.body, form),
        ]

    assert statuses == [201, 422, 422, 401]


async def test_document_accepts_calls_and_their_ends_and_would_have_refused_a_wrong_one(url: str) -> None:
    carriers = [
        some_call_carrier("twilio", base_url=url, account=ACCOUNT, **more)
        for more in ({}, {"options": {"machine_detection": "Enable"}}, {"ring_s": 60})
    ]
    calls = [created(carrier, call) for carrier in carriers for call in (some_call(), abroad())]
    ends = [
        end_request(carriers[0], "CA0123456789abcdef0123456789abcdef", answered=answered, now=NOW)
        for answered in (False, True)
    ]

    async with httpx.AsyncClient(timeout=PATIENT_S, trust_env=False) as client:

        async def status(request: HttpRequest | None, wrong: bytes = b"", right: bytes = b"") -> int:
            assert request is not None
            # Prism reads no field of a form that is repeated; the vendor's library repeats it as we do.
            body = re.sub(b"&StatusCallbackEvent=[a-z]+", b"", request.body)
            body = body.replace(right, wrong) if right else body
            answer = await client.post(request.url, content=body, headers=request.headers)
            return answer.status_code

        good = [await status(request) for request in (*calls, *ends)]
        bad = [
            await status(calls[0], b"Too=", b"To="),
            await status(calls[0], b"Timeout=soon", b"Timeout=25"),
            await status(calls[0], b"Method=PUSH", b"Method=POST"),
            await status(ends[0], b"Status=over", b"Status=canceled"),
        ]

    assert good == [201] * len(calls) + [200] * len(ends)
    assert bad == [422] * 4
