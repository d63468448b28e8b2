"""A carrier's webhook is answered only when all of its receipts are durable."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from dastak.api.carrier_hooks import hook_routes
from dastak.core.message import Receipt
from dastak.http_carriers.http_route import Callback, HttpRoute
from tests.support.house import FakeClock
from tests.support.http_samples import CALLBACK_URL, is_foreign, some_carrier

BATCH = [{"requestId": f"r{n}", "status": "1"} for n in range(20)]


class OneRoute:
    """A fleet of one route."""

    def __init__(self, route: Any) -> None:
        self._route = route

    def hears(self, name: str) -> Any:
        return self._route if name == "main" else None


class Taking:
    """Takes receipts, and acknowledges them when it is told to.

    Attributes:
        taken: With the ways to acknowledge each.
    """

    def __init__(self, *, at_once: Callable[[Receipt], bool] | None) -> None:
        self.taken: list[tuple[Receipt, Callable[[bool], None]]] = []
        self._at_once = at_once

    def __call__(self, receipt: Receipt, acknowledge: Callable[[bool], None]) -> None:
        self.taken.append((receipt, acknowledge))
        if self._at_once is not None:
            acknowledge(self._at_once(receipt))


def client_of(taking: Taking, route: Any = None) -> httpx.AsyncClient:
    if route is None:
        route = HttpRoute(
            "main", some_carrier("msg91"), Callback(("t0ken",), CALLBACK_URL), foreign=is_foreign
        )
    routes = hook_routes(OneRoute(route), taking, FakeClock())  # type: ignore[arg-type]
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://dastak"
    )


async def test_batch_is_answered_when_all_of_it_is_durable() -> None:
    taking = Taking(at_once=lambda _: True)
    async with client_of(taking) as client:
        answer = await client.post("/hooks/carriers/main/t0ken", json=BATCH)

    assert answer.status_code == 200
    assert [receipt.carrier.ref for receipt, _ in taking.taken] == [f"r{n}" for n in range(20)]


async def test_batch_comes_again_when_one_of_it_is_not_durable() -> None:
    async with client_of(Taking(at_once=lambda receipt: receipt.carrier.ref != "r7")) as client:
        answer = await client.post("/hooks/carriers/main/t0ken", json=BATCH)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == "overloaded"


async def test_receipt_that_never_becomes_durable_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.api.carrier_hooks.DURABLE_WITHIN_S", 0.01)
    taking = Taking(at_once=None)
    async with client_of(taking) as client:
        answer = await client.post("/hooks/carriers/main/t0ken", json=BATCH[:1])
    # Late, and nobody waits any more.
    taking.taken[0][1](True)

    assert answer.status_code == 503


@pytest.mark.parametrize("path", ["main/wrong", "other/t0ken", "m%00/t0ken", "main/%2e%2e"])
async def test_stranger_learns_nothing_of_names_and_changes_nothing(path: str) -> None:
    taking = Taking(at_once=lambda _: True)
    async with client_of(taking) as client:
        answer = await client.post(f"/hooks/carriers/{path}", json=BATCH)

    assert (answer.status_code, taking.taken) in ((401, []), (404, []))


async def test_route_that_is_not_http_has_no_webhooks() -> None:
    taking = Taking(at_once=lambda _: True)
    async with client_of(taking, route=object()) as client:
        answer = await client.post("/hooks/carriers/main/t0ken", json=BATCH)

    assert answer.status_code == 401


async def test_question_whether_receipts_are_wanted_is_shown_to_the_operator() -> None:
    taking = Taking(at_once=lambda _: True)
    route = HttpRoute("main", some_carrier("aws"), Callback(("t0ken",), CALLBACK_URL), foreign=is_foreign)
    url = "https://sns.ap-south-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    asked = json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": url}).encode()
    event = json.dumps({"eventType": "TEXT_DELIVERED", "messageId": "m-1"}).encode()
    plain = {"content-type": "text/plain; charset=UTF-8"}

    async with client_of(taking, route) as client:
        answers = [await client.post("/hooks/carriers/main/t0ken", content=asked, headers=plain)]
        shown = route.reason
        answers += [await client.post("/hooks/carriers/main/t0ken", content=event, headers=plain)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert url in shown
    assert (url in route.reason, len(taking.taken)) == (False, 1)
