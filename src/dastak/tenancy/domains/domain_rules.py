"""Whose a domain is: the tenant's that an operator gave it to or that proved it, and no other one's.

1. What a tenant has already is not asked about again: services from before this rule go on to work. Which
   domains were asked about is kept with the service, so the others can be told.
2. Proof comes first: who cannot prove a domain does not learn whether another tenant has it.
3. What is nobody's, such as the host of our own pages, every tenant may have unasked.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from dastak.core.errors import DomainNotProved, DomainTaken
from dastak.core.tenant import Service

# It leads each browser to its own machine, and nobody to anybody else.
NOBODYS: Final = frozenset({"localhost"})


class DomainGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Which domains a change may bring to a tenant.

    Attributes:
        proved: Those and no other ones; None is any, as an operator may say.
        shared: Hosts that are no tenant's own, such as that of our own pages: all may have them.
        confirms: Whether an operator named all domains of the service now, also those it has already.
    """

    proved: frozenset[str] | None = None
    shared: frozenset[str] = frozenset()
    confirms: bool = False


def own_hosts_of(public_url: str | None) -> frozenset[str]:
    """Return the hosts that show everybody's pages, and are no tenant's own."""
    host = urlsplit(public_url or "").hostname
    return frozenset() if host is None else frozenset({host})


def new_domains(service: Service, services: Iterable[Service]) -> tuple[str, ...]:
    """Return the domains of a service that none of its tenant's services has yet.

    Args:
        service: As it shall stand.
        services: As they stand, of all tenants.
    """
    had = {domain for one in services if one.tenant == service.tenant for domain in one.domains}
    return tuple(domain for domain in service.domains if domain not in had | NOBODYS)


def granted_of(service: Service, services: Iterable[Service], grant: DomainGrant) -> tuple[str, ...]:
    """Return the domains of a service that were proved or given, now or before; in their order.

    Args:
        service: As it shall stand.
        services: As they stand, of all tenants.
        grant: What may come to its tenant; what is new to the tenant comes by it or not at all.
    """
    services = tuple(services)
    known = {domain for one in services if one.tenant == service.tenant for domain in one.granted_domains}
    given = service.domains if grant.confirms else new_domains(service, services)
    known.update(domain for domain in given if domain not in grant.shared | NOBODYS)
    return tuple(domain for domain in service.domains if domain in known)


def taken_as_it_is(service: Service, services: Iterable[Service]) -> tuple[str, ...]:
    """Return the domains of a service that nobody is known to have proved, or given to its tenant."""
    known = {domain for one in services if one.tenant == service.tenant for domain in one.granted_domains}
    return tuple(domain for domain in service.domains if domain not in known | NOBODYS)


def not_its_own(service: Service, services: Iterable[Service]) -> tuple[str, ...]:
    """Return the domains of a service that a service of another tenant has as well."""
    others = {domain for one in services if one.tenant != service.tenant for domain in one.domains}
    return tuple(domain for domain in service.domains if domain in others - NOBODYS)


def check_domains(service: Service, services: Iterable[Service], grant: DomainGrant) -> None:
    """Refuse domains that a service may not have.

    Args:
        service: As it shall stand.
        services: As they stand, of all tenants, and stay until it is written.
        grant: What may come to its tenant.

    Raises:
        DomainNotProved: One is new to its tenant and was not given.
        DomainTaken: One is another tenant's.
    """
    services = tuple(services)
    fresh = new_domains(service, services)
    for domain in fresh:
        if grant.proved is not None and domain not in grant.proved | grant.shared:
            raise DomainNotProved(f"`{domain}` is not proved to be this tenant's; ask the operator for it.")
    for domain in not_its_own(replace(service, domains=fresh), services):
        if domain not in grant.shared:
            raise DomainTaken(
                f"`{domain}` is a domain of another tenant; the operator has to take it away first."
            )
