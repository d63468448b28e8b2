"""Who is asking: all tenants, services and keys in memory, as the database last had them.

1. Every process looks for a new revision twice a second, so a revoked key ends within a second everywhere.
2. Keys are found by their digest, and no key's text is kept.
3. Unknown, expired and revoked keys get one answer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from dastak.core.errors import Forbidden, NotFound, Unauthenticated
from dastak.core.ports import Store, Tenancy
from dastak.core.reply import sender_key
from dastak.core.tenant import ApiKey, Caller, Mode, Scope, Service, Tenant
from dastak.tenancy.keys import digest, read_key

_EVER: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NOTHING: Final = Tenancy(-1, (), (), ())


class _View(msgspec.Struct, frozen=True):
    """One revision, by what it is asked for."""

    tenancy: Tenancy
    tenants: Mapping[int, Tenant]
    callers: Mapping[bytes, Caller]
    services: Mapping[int, Service]
    named: Mapping[tuple[int, str], Service]
    owners: Mapping[str, frozenset[int]]
    hosts: Mapping[str, frozenset[int]]


class Directory:
    """Answers from memory; empty until the first `refresh`.

    Args:
        now: The time, for the keys that have an end.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._view = _look(_NOTHING)

    @property
    def tenancy(self) -> Tenancy:
        """The revision it answers from."""
        return self._view.tenancy

    async def refresh(self, store: Store) -> bool:
        """Take over what the database has now; False when that is nothing new."""
        if await store.tenancy_revision() == self.tenancy.revision:
            return False
        self._view = _look(await store.tenancy())
        return True

    def caller(self, authorization: bytes | None) -> Caller:
        """Say who sent the header `Authorization: Bearer dk_...`.

        Raises:
            Unauthenticated: There is no such header, or its key does not count.
            Forbidden: The tenant is suspended.

        Source: RFC 6750, section 2.1.
        """
        scheme, _, key_text = (authorization or b"").partition(b" ")
        if scheme != b"Bearer" and scheme.lower() != b"bearer":
            raise Unauthenticated("Send an API key in the header `Authorization: Bearer dk_...`.")
        return self.caller_of_key(key_text.strip())

    def caller_of_key(self, key_text: bytes) -> Caller:
        """Say whose key this is, as another dialect may carry it.

        Raises:
            Unauthenticated: The key does not count.
            Forbidden: The tenant is suspended.
        """
        caller = self._view.callers.get(digest(key_text))
        if caller is None or (caller.key.expires_at is not None and self._now() >= caller.key.expires_at):
            raise Unauthenticated(_why_not(key_text))
        if caller.tenant.suspended:
            raise Forbidden("This tenant is suspended; ask the operator.", reason="tenant_suspended")
        return caller

    def page_caller(self, service: int, mode: Mode) -> Caller:
        """Return who asks for codes when a page of a service does, which needs no key.

        Raises:
            NotFound: There is no such service any more.
            Forbidden: The tenant is suspended.
        """
        asking = self.service_of(service)
        tenant = self.tenant_of(asking.tenant)
        if tenant.suspended:
            raise Forbidden("This tenant is suspended; ask the operator.", reason="tenant_suspended")
        key = ApiKey(
            id=f"page{service}",
            digest=b"",
            tenant=tenant.n,
            service=service,
            mode=mode,
            scopes=(Scope.START, Scope.CHECK, Scope.READ),
            name="pages",
            created_at=_EVER,
        )
        return Caller(key, tenant, asking)

    def service(self, tenant: int, name: str | None) -> Service:
        """Return a tenant's service by its name, or its oldest one.

        Raises:
            NotFound: The tenant has no such service.
        """
        if name is None:
            found = min(
                (service for service in self.tenancy.services if service.tenant == tenant),
                key=lambda service: service.n,
                default=None,
            )
        else:
            found = self._view.named.get((tenant, name))
        if found is None:
            raise NotFound("There is no such service.")
        return found

    def service_of(self, n: int) -> Service:
        """Return a service by its number in the store.

        Raises:
            NotFound: There is none.
        """
        found = self._view.services.get(n)
        if found is None:
            raise NotFound("There is no such service.")
        return found

    def tenant_of(self, n: int) -> Tenant:
        """Return a tenant by its number in the store.

        Raises:
            NotFound: There is none.
        """
        found = self._view.tenants.get(n)
        if found is None:
            raise NotFound("There is no such tenant.")
        return found

    def owners_of(self, sender: str) -> frozenset[int]:
        """Return the tenants whose services write as this sender, as carriers spell it."""
        return self._view.owners.get(sender_key(sender), frozenset())

    def services_at(self, host: str) -> frozenset[int]:
        """Return the services that have a host among their domains."""
        return self._view.hosts.get(host, frozenset())


def _look(tenancy: Tenancy) -> _View:
    """Make the tables of one revision; a key without its tenant or service opens nothing."""
    tenants = {tenant.n: tenant for tenant in tenancy.tenants}
    services = {service.n: service for service in tenancy.services}
    return _View(
        tenancy,
        tenants,
        {
            key.digest: Caller(key, tenants[key.tenant], services[key.service])
            for key in tenancy.keys
            if key.revoked_at is None
            and key.tenant in tenants
            and key.service in services
            and services[key.service].tenant == key.tenant
        },
        services,
        {(service.tenant, service.name): service for service in tenancy.services},
        _owners(tenancy.services),
        _hosts(tenancy.services),
    )


def _owners(services: Iterable[Service]) -> Mapping[str, frozenset[int]]:
    owners: defaultdict[str, set[int]] = defaultdict(set)
    for service in services:
        owners[sender_key(service.sender)].add(service.tenant)
    return {sender: frozenset(tenants) for sender, tenants in owners.items()}


def _hosts(services: Iterable[Service]) -> Mapping[str, frozenset[int]]:
    hosts: defaultdict[str, set[int]] = defaultdict(set)
    for service in services:
        for host in service.domains:
            hosts[host].add(service.n)
    return {host: frozenset(found) for host, found in hosts.items()}


def _why_not(key_text: bytes) -> str:
    if read_key(key_text.decode("ascii", "replace")) is None:
        return "This is not a whole API key; a character is missing or mistyped."
    return "The API key is unknown, expired or revoked."
