"""The root of a customer's own host leads to what belongs there; every other root is the API's."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount

from dastak.core.landing import PageState
from dastak.core.login_settings import LoginSettings
from dastak.tenancy.directory import Directory
from dastak.web.host_root import HostRoot
from tests.support.house import House
from tests.support.landing_visitors import ORIGIN, Landing, open_landing
from tests.support.samples import NOW, some_service

HOST = "login.acme.in"
LOGIN = "/login/acme/login"


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def asked(landing: Landing, host: str, path: str = "/", method: str = "GET") -> httpx.Response:
    """Ask for the root of a host, with an API behind it that finds nothing."""
    directory = Directory(lambda: NOW)
    await directory.refresh(landing.house.store)
    nothing = JSONResponse({"code": "no_such_path"}, 404)
    root = HostRoot(directory, landing.store, landing.house.store.people, ours=[ORIGIN], api=nothing)
    app: Any = Starlette(routes=[root.route(), Mount("/", nothing)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anywhere") as client:
        return await client.request(method, path, headers={"host": host})


async def open_login(landing: Landing, services: Sequence[int] = (1,)) -> None:
    for n in services:
        await landing.house.store.people.put_login(LoginSettings(service=n))


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:8443", f"{HOST}."])
async def test_root_of_a_landing_pages_host_leads_to_it_with_its_campaign(
    landing: Landing, host: str
) -> None:
    await landing.published(host=HOST)
    await open_login(landing)

    answer = await asked(landing, host, "/?utm_source=poster&lang=hi")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/f/diwali?utm_source=poster&lang=hi"


async def test_root_of_a_services_host_leads_to_its_login(landing: Landing) -> None:
    before = await asked(landing, HOST)
    await open_login(landing)

    after = await asked(landing, HOST)

    assert before.json() == {"code": "no_such_path"}, "nobody signs in there"
    assert (after.status_code, after.headers["location"]) == (303, LOGIN)


async def test_closed_page_is_led_to_and_a_draft_is_not(landing: Landing) -> None:
    page = await landing.published(host=HOST)
    answers = []
    for state in (PageState.CLOSED, PageState.DRAFT):
        page = await landing.store.put_page(replace(await landing.store.page(page.n), state=state))
        answers.append(await asked(landing, HOST))

    assert [one.status_code for one in answers] == [303, 404]


async def test_page_at_a_host_that_its_service_lost_is_not_led_to(landing: Landing) -> None:
    await landing.published(host="former.acme.in")

    assert (await asked(landing, "former.acme.in")).status_code == 404


async def test_host_that_two_services_claim_is_nobodys(landing: Landing) -> None:
    await landing.house.store.put_service(some_service(name="second", domains=(HOST,)))
    await open_login(landing, (1, 2))

    assert (await asked(landing, HOST)).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_are_the_apis(landing: Landing, method: str) -> None:
    await landing.published(host=HOST)

    assert (await asked(landing, HOST, method=method)).json() == {"code": "no_such_path"}


@pytest.mark.parametrize(
    "host", ["otp.example.in", "other.acme.in", "", "[::1]", "a" * 300, "login.acme.in.evil.example"]
)
async def test_every_other_host_shows_nothing(landing: Landing, host: str) -> None:
    await landing.house.store.put_service(some_service(n=1, domains=(HOST, "otp.example.in")))
    await landing.published(host=HOST)
    await open_login(landing)

    assert (await asked(landing, host)).json() == {"code": "no_such_path"}
