"""The service that operators sign in to: of a tenant of its own, so that no customer's rules reach it."""

from typing import Final

from dastak.core.errors import NotFound
from dastak.core.policy import Policy
from dastak.core.ports import Store
from dastak.core.tenant import Service, Tenant
from dastak.tenancy.directory import Directory
from dastak.tenancy.operators import DAILY_SPEND_CAP_MICROS
from dastak.tenancy.service_rules import check_country

CONSOLE_TENANT: Final = "operators"
CONSOLE_SERVICE: Final = "console"


async def ensure_console(store: Store, *, home_country: str = "IN") -> Service:
    """Return the service of the console; it and its tenant are made unless they are there.

    Raises:
        InvalidRequest: There is no such country.
    """
    tenancy = await store.tenancy()
    tenant = next((one for one in tenancy.tenants if one.name == CONSOLE_TENANT), None)
    if tenant is None:
        cap = DAILY_SPEND_CAP_MICROS
        tenant = await store.put_tenant(Tenant(n=0, name=CONSOLE_TENANT, daily_spend_cap_micros=cap))
    for service in tenancy.services:
        if (service.tenant, service.name) == (tenant.n, CONSOLE_SERVICE):
            return service
    country = check_country(home_country)
    return await store.put_service(
        Service(
            n=0,
            tenant=tenant.n,
            name=CONSOLE_SERVICE,
            brand="Dastak",
            policy=Policy(),
            countries=(country,),
        )
    )


def console_service(directory: Directory) -> Service | None:
    """Return the service of the console, if any operator was ever invited."""
    try:
        return service_named(directory, CONSOLE_TENANT, CONSOLE_SERVICE)
    except NotFound:
        return None


def service_named(directory: Directory, tenant: str, service: str) -> Service:
    """Return a service by its own name and its tenant's. Raises: NotFound."""
    for one in directory.tenancy.tenants:
        if one.name == tenant:
            return directory.service(one.n, service)
    raise NotFound("There is no such service.")
