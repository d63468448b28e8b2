"""A fake of the part of the store that keeps tenants, services and keys."""

from typing import TypeVar

import msgspec

from dastak.core.errors import Conflict
from dastak.core.ports import Once, ServiceRule, Tenancy
from dastak.core.tenant import ApiKey, Service, Tenant

Named = TypeVar("Named", Tenant, Service)


class TenancyMemory:
    """Keeps them in dictionaries, and counts how often all of them were read. It keeps no answers."""

    def __init__(self) -> None:
        self.reads = 0
        self._revision = 0
        self._tenants: dict[int, Tenant] = {}
        self._services: dict[int, Service] = {}
        self._keys: dict[str, ApiKey] = {}

    async def tenancy(self) -> Tenancy:
        self.reads += 1
        return Tenancy(
            self._revision,
            tuple(self._tenants.values()),
            tuple(self._services.values()),
            tuple(self._keys.values()),
        )

    async def tenancy_revision(self) -> int:
        return self._revision

    async def put_tenant(self, tenant: Tenant, *, once: Once | None = None) -> Tenant:
        return self._put(self._tenants, tenant, taken=[there.name for there in self._tenants.values()])

    async def put_service(
        self, service: Service, *, rule: ServiceRule | None = None, once: Once | None = None
    ) -> Service:
        if rule is not None:
            rule(tuple(self._services.values()))
        taken = [there.name for there in self._services.values() if there.tenant == service.tenant]
        return self._put(self._services, service, taken=taken)

    async def put_key(
        self, key: ApiKey, *, predecessor: ApiKey | None = None, once: Once | None = None
    ) -> ApiKey:
        self._revision += 1
        self._keys |= {written.id: written for written in (key, predecessor) if written is not None}
        return key

    def _put(self, kept: dict[int, Named], record: Named, *, taken: list[str]) -> Named:
        if record.n == 0 and record.name in taken:
            raise Conflict("The name is taken.")
        self._revision += 1
        record = msgspec.structs.replace(record, n=record.n or len(kept) + 1)
        kept[record.n] = record
        return record
