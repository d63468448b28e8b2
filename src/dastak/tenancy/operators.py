"""What an operator does with tenants and services: make them, change them, open and close countries.

1. The admin API and the command line both come here, so one rule holds for both.
2. Each act reads what the database has now, checks, and writes one record; of two at once the later stays.
   Whose a domain is, is looked at again as the record is written, so two never get one. Which domains were
   proved or given is ours to say: what a caller brings of it counts for nothing.
3. A tenant's service is found only together with its tenant.
"""

from typing import Final

import msgspec

from dastak.core.errors import Conflict, InvalidRequest, NotFound
from dastak.core.policy import Policy
from dastak.core.ports import Once, Store, Tenancy
from dastak.core.tenant import Service, Tenant
from dastak.tenancy.domains.domain_rules import DomainGrant, check_domains, granted_of
from dastak.tenancy.service_rules import check_country, check_service, check_slug

DEFAULT_NAME: Final = "default"
# A thousand units of the currency, until the operator knows what a day costs; our choice.
DAILY_SPEND_CAP_MICROS: Final = 1_000 * 1_000_000
# A bound of what is kept in memory for each tenant; our choice.
SERVICES_MAX: Final = 100
# An operator may give a tenant any domain that no other one has.
ANY_DOMAIN: Final = DomainGrant()


def default_tenancy(*, home_country: str = "IN") -> tuple[Tenant, Service]:
    """Return the tenant and the service of a fresh installation, not yet stored; one country is open."""
    tenant = Tenant(n=0, name=DEFAULT_NAME, daily_spend_cap_micros=DAILY_SPEND_CAP_MICROS)
    service = Service(
        n=0, tenant=0, name=DEFAULT_NAME, brand="Dastak", policy=Policy(), countries=(home_country,)
    )
    return tenant, service


async def ensure_default(store: Store, *, home_country: str = "IN") -> Service:
    """Return the default service; it and its tenant are made unless they are there.

    Raises:
        InvalidRequest: There is no such country.
    """
    tenant, service = default_tenancy(home_country=check_country(home_country))
    tenancy = await store.tenancy()
    known = {tenant.name: tenant for tenant in tenancy.tenants}
    tenant = known[DEFAULT_NAME] if DEFAULT_NAME in known else await store.put_tenant(tenant)
    for there in tenancy.services:
        if (there.tenant, there.name) == (tenant.n, DEFAULT_NAME):
            return there
    return await store.put_service(msgspec.structs.replace(service, tenant=tenant.n))


async def create_tenant(
    store: Store,
    name: str,
    *,
    daily_spend_cap_micros: int = DAILY_SPEND_CAP_MICROS,
    once: Once | None = None,
) -> Tenant:
    """Make a tenant, without services and keys.

    Raises:
        InvalidRequest: The name or the cap is not valid.
        Conflict: The name is taken.
    """
    tenant = Tenant(
        n=0, name=check_slug("name", name), daily_spend_cap_micros=_check_cap(daily_spend_cap_micros)
    )
    return await store.put_tenant(tenant, once=once)


async def change_tenant(
    store: Store,
    tenant: int,
    *,
    daily_spend_cap_micros: int | None = None,
    suspended: bool | None = None,
    once: Once | None = None,
) -> Tenant:
    """Change what a tenant may spend, suspend it or let it go on; None leaves a thing as it is.

    Raises:
        NotFound: There is no such tenant.
        InvalidRequest: The cap is not valid.
    """
    found = find_tenant(await store.tenancy(), tenant)
    if daily_spend_cap_micros is not None:
        found = msgspec.structs.replace(found, daily_spend_cap_micros=_check_cap(daily_spend_cap_micros))
    if suspended is not None:
        found = msgspec.structs.replace(found, suspended=suspended)
    return await store.put_tenant(found, once=once)


async def create_service(
    store: Store, service: Service, *, grant: DomainGrant = ANY_DOMAIN, once: Once | None = None
) -> Service:
    """Make a service of the tenant it names; its `n` is given by the store.

    Raises:
        NotFound: There is no such tenant.
        InvalidRequest: Something in it is not valid.
        DomainNotProved, DomainTaken: As `check_domains` says.
        Conflict: The tenant has one of this name, or as many as it may have.
    """
    tenancy = await store.tenancy()
    find_tenant(tenancy, service.tenant)
    if sum(there.tenant == service.tenant for there in tenancy.services) >= SERVICES_MAX:
        raise Conflict(f"A tenant has at most {SERVICES_MAX} services.")
    return await _put(store, _granted(service, 0, tenancy, grant), grant, once)


async def change_service(
    store: Store, service: Service, *, grant: DomainGrant = ANY_DOMAIN, once: Once | None = None
) -> Service:
    """Replace a service; its tenant and name stay, for others know it by them.

    Raises:
        NotFound: The tenant has no service of this name.
        InvalidRequest: Something in it is not valid.
        DomainNotProved, DomainTaken: As `check_domains` says.
    """
    tenancy = await store.tenancy()
    found = find_service(tenancy, service.tenant, service.name)
    return await _put(store, _granted(service, found.n, tenancy, grant), grant, once)


async def open_country(store: Store, tenant: int, service: str, country: str) -> Service:
    """Let a service send to a country.

    Raises:
        NotFound: The tenant has no such service.
        InvalidRequest: There is no such country.
    """
    found = find_service(await store.tenancy(), tenant, service)
    countries = tuple(sorted({*found.countries, check_country(country)}))
    return await _put(store, msgspec.structs.replace(found, countries=countries))


async def close_country(store: Store, tenant: int, service: str, country: str) -> Service:
    """Stop a service from sending to a country; one that is closed stays closed.

    Raises:
        NotFound: The tenant has no such service.
        InvalidRequest: There is no such country.
    """
    found = find_service(await store.tenancy(), tenant, service)
    check_country(country)
    countries = tuple(open_one for open_one in found.countries if open_one != country)
    return await _put(store, msgspec.structs.replace(found, countries=countries))


def find_tenant(tenancy: Tenancy, n: int) -> Tenant:
    """Return a tenant by its number. Raises: NotFound."""
    for tenant in tenancy.tenants:
        if tenant.n == n:
            return tenant
    raise NotFound("There is no such tenant.")


def find_service(tenancy: Tenancy, tenant: int, name: str) -> Service:
    """Return a tenant's service by its name. Raises: NotFound."""
    for service in tenancy.services:
        if (service.tenant, service.name) == (tenant, name):
            return service
    raise NotFound("There is no such service.")


def _granted(service: Service, n: int, tenancy: Tenancy, grant: DomainGrant) -> Service:
    checked = check_service(service)
    granted = granted_of(checked, tenancy.services, grant)
    return msgspec.structs.replace(checked, n=n, granted_domains=granted)


async def _put(
    store: Store, service: Service, grant: DomainGrant = ANY_DOMAIN, once: Once | None = None
) -> Service:
    """Write a service whose domains are its tenant's at that moment."""
    return await store.put_service(
        service, rule=lambda services: check_domains(service, services, grant), once=once
    )


def _check_cap(micros: int) -> int:
    if not 0 <= micros < 2**53:
        raise InvalidRequest(
            "`daily_spend_cap_micros` must be 0 to 2^53 - 1.", field="daily_spend_cap_micros"
        )
    return micros
