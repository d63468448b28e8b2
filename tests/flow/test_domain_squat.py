"""No tenant gets at the host of another one: not by a service, not by a page, and not by its root."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount

from dastak.core.errors import Conflict, DastakError, DomainNotProved, DomainTaken
from dastak.core.login_settings import LoginSettings
from dastak.core.tenant import Service
from dastak.tenancy import operators
from dastak.tenancy.directory import Directory
from dastak.tenancy.domains.domain_rules import DomainGrant
from dastak.web.host_root import HostRoot
from tests.support.house import House
from tests.support.landing_visitors import ORIGIN, Landing, open_landing
from tests.support.samples import NOW, some_service, some_tenant

HOST = "login.acme.in"
BY_ITSELF, BY_AN_OPERATOR = DomainGrant(proved=frozenset()), DomainGrant()


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


@pytest.fixture
async def rival(landing: Landing) -> Service:
    """The service of another tenant, with a login."""
    tenant = await landing.house.store.put_tenant(some_tenant("rival"))
    service: Service = await landing.house.store.put_service(some_service(tenant.n))
    await landing.house.store.people.put_login(LoginSettings(service=service.n))
    return service


async def root(landing: Landing) -> httpx.Response:
    """Ask for the root of the host."""
    directory = Directory(lambda: NOW)
    await directory.refresh(landing.house.store)
    nothing = JSONResponse({"code": "no_such_path"}, 404)
    shown = HostRoot(directory, landing.store, landing.house.store.people, ours=[ORIGIN], api=nothing)
    app: Any = Starlette(routes=[shown.route(), Mount("/", nothing)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anywhere") as client:
        return await client.get("/", headers={"host": HOST})


@pytest.mark.parametrize(("grant", "refusal"), [(BY_ITSELF, DomainNotProved), (BY_AN_OPERATOR, DomainTaken)])
async def test_rival_cannot_end_the_login_at_the_root_of_a_host(
    landing: Landing, rival: Service, grant: DomainGrant, refusal: type[DastakError]
) -> None:
    await landing.house.store.people.put_login(LoginSettings(service=1))
    before = await root(landing)

    with pytest.raises(refusal):
        await operators.change_service(landing.house.store, replace(rival, domains=(HOST,)), grant=grant)

    after = await root(landing)
    assert (before.status_code, before.headers["location"]) == (303, "/login/acme/login")
    assert (after.status_code, after.headers["location"]) == (303, "/login/acme/login")


async def test_owners_page_gets_the_host_that_a_rivals_page_has_from_an_older_program(
    landing: Landing, rival: Service
) -> None:
    squatted = await landing.published(slug="rivals", tenant=rival.tenant, service=rival.n, host=HOST)
    before = await root(landing)

    page = await landing.published(host=HOST)

    after = await root(landing)
    assert before.status_code == 404
    assert (after.status_code, after.headers["location"]) == (303, "/f/diwali")
    assert await landing.store.page_at(HOST) == page
    assert (await landing.store.page(squatted.n)).host is None


async def test_rivals_page_does_not_get_the_host_of_the_owners_page(landing: Landing, rival: Service) -> None:
    page = await landing.published(host=HOST)

    with pytest.raises(DomainNotProved):
        await operators.change_service(landing.house.store, replace(rival, domains=(HOST,)), grant=BY_ITSELF)
    with pytest.raises(Conflict):
        await landing.published(slug="rivals", tenant=rival.tenant, service=rival.n, host=HOST)

    assert await landing.store.page_at(HOST) == page
    assert (await root(landing)).headers["location"] == "/f/diwali"
