"""Tenants, services and keys in the database: few, changed seldom, and always read as a whole."""

from collections.abc import Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec

from dastak.core.errors import Conflict
from dastak.core.msisdn import Msisdn
from dastak.core.ports import Once, ServiceRule, Tenancy
from dastak.core.tenant import ApiKey, Service, Tenant
from dastak.store import rows
from dastak.store.desk import Desk, Execute, Taken

Named = TypeVar("Named", Tenant, Service)

_TENANT: Final = msgspec.json.Decoder(Tenant)
_SERVICE: Final = msgspec.json.Decoder(Service)
_KEY: Final = msgspec.json.Decoder(ApiKey)


class TenancyTables:
    """What the port `Store` says of tenants, and of their numbers that are locked."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def tenancy(self) -> Tenancy:
        """See `Store.tenancy`."""
        return await self._desk.read(read)

    async def tenancy_revision(self) -> int:
        """See `Store.tenancy_revision`."""
        return await self._desk.read(_revision)

    async def put_tenant(self, tenant: Tenant, *, once: Once | None = None) -> Tenant:
        """See `Store.put_tenant`."""
        row = (tenant.name, rows.text(tenant))
        return await self._desk.write(partial(_put, ("insert_tenant", "put_tenant"), tenant, row), once=once)

    async def put_service(
        self, service: Service, *, rule: ServiceRule | None = None, once: Once | None = None
    ) -> Service:
        """See `Store.put_service`."""
        row = (service.tenant, service.name, rows.text(service))

        def put(execute: Execute) -> Service:
            if rule is not None:
                rule(services(execute))
            return _put(("insert_service", "put_service"), service, row, execute)

        return await self._desk.write(put, once=once)

    async def put_key(
        self, key: ApiKey, *, predecessor: ApiKey | None = None, once: Once | None = None
    ) -> ApiKey:
        """See `Store.put_key`."""

        def put(execute: Execute) -> ApiKey:
            for written in filter(None, (key, predecessor)):
                execute("put_key", (written.id, rows.text(written)))
            execute("raise_tenancy_revision")
            return key

        return await self._desk.write(put, once=once)

    async def note_keys(self, marks: Mapping[int, bytes]) -> Mapping[int, bytes]:
        """Write down the marks of keys that were not known, and return all that are; see `KeyRing.marks`."""
        known = await self._desk.read(key_marks)
        if marks.keys() <= known.keys():
            return known

        def note(execute: Execute) -> Mapping[int, bytes]:
            _note(execute, marks)
            return key_marks(execute)

        return await self._desk.write(note)

    async def adopt_keys(self, marks: Mapping[int, bytes]) -> None:
        """Take these keys for the right ones, and no other one."""

        def adopt(execute: Execute) -> None:
            execute("forget_key_marks")
            _note(execute, marks)

        await self._desk.write(adopt)

    async def unlock(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """See `Store.unlock`."""

        def forget(execute: Execute) -> bool:
            return sum(execute("delete_tally", one).rowcount for one in rows.tallies_of(tenant, msisdn)) > 0

        return await self._desk.write(forget, once=once)


def read(execute: Execute) -> Tenancy:
    """Return all tenants, services and keys."""
    return Tenancy(
        _revision(execute),
        tuple(_numbered(_TENANT, row) for row in execute("tenants").fetchall()),
        services(execute),
        tuple(_KEY.decode(record) for (record,) in execute("api_keys").fetchall()),
    )


def key_marks(execute: Execute) -> Mapping[int, bytes]:
    """Return the marks of all keys that this database was used with."""
    return {key_id: bytes(mark) for key_id, mark in execute("key_marks").fetchall()}


def services(execute: Execute) -> tuple[Service, ...]:
    """Return the services of all tenants."""
    return tuple(_numbered(_SERVICE, row) for row in execute("services").fetchall())


def _note(execute: Execute, marks: Mapping[int, bytes]) -> None:
    for mark in marks.items():
        execute("note_key_mark", mark)


def _revision(execute: Execute) -> int:
    return int(execute("tenancy_revision").fetchone()[0])


def _put(statements: tuple[str, str], record: Named, row: rows.Row, execute: Execute) -> Named:
    insert, put = statements
    try:
        found = execute(insert, row) if record.n == 0 else execute(put, (record.n, *row))
        (n,) = found.fetchone()
    except Taken as taken:
        raise Conflict(f"The name {record.name!r} is taken; choose another one.") from taken
    execute("raise_tenancy_revision")
    return msgspec.structs.replace(record, n=n)


def _numbered(decoder: "msgspec.json.Decoder[Named]", row: tuple[int, str]) -> Named:
    n, record = row
    return msgspec.structs.replace(decoder.decode(record), n=n)
