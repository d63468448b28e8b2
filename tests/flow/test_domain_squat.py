"""No tenant gets at the host of another one: not by a service, not by a page, and not by its root."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from dastak.core.errors import Conflict, DastakError, DomainNotProved, DomainTaken
from dastak.core.login_settings import LoginSettings
from dastak.core.tenant import Service
from dastak.tenancy import operators
from dastak.tenancy.domains.domain_rules import DomainGrant
from tests.flow.test_host_root import asked
from tests.support.house import House
from tests.support.landing_visitors import Landing, open_landing
from tests.support.samples import some_service, some_tenant

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


@pytest.mark.parametrize(("grant", "refusal"), [(BY_ITSELF, DomainNotProved), (BY_AN_OPERATOR, DomainTaken)])
async def test_rival_cannot_end_the_login_at_the_root_of_a_host(
    landing: Landing, rival: Service, grant: DomainGrant, refusal: type[DastakError]
) -> None:
    await landing.house.store.people.put_login(LoginSettings(service=1))
    before = await asked(landing, HOST)

    with pytest.raises(refusal):
        await operators.change_service(landing.house.store, replace(rival, domains=(HOST,)), grant=grant)

    after = await asked(landing, HOST)
    assert (before.status_code, before.headers["location"]) == (303, "/login/acme/login")
    assert (after.status_code, after.headers["location"]) == (303, "/login/acme/login")


async def test_owners_page_gets_the_host_that_a_rivals_page_has_from_an_older_program(
    landing: Landing, rival: Service
) -> None:
    squatted = await landing.published(slug="rivals", tenant=rival.tenant, service=rival.n, host=HOST)
    before = await asked(landing, HOST)

    page = await landing.published(host=HOST)

    after = await asked(landing, HOST)
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
    assert (await asked(landing, HOST)).headers["location"] == "/f/diwali"
