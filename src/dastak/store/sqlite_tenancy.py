"""Tenants, services and keys in the SQLite database: few, changed seldom, and always read as a whole."""

import sqlite3
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from dastak.core.errors import Conflict
from dastak.core.ports import Tenancy
from dastak.core.tenant import ApiKey, Service, Tenant
from dastak.store import rows

Named = TypeVar("Named", Tenant, Service)

_TENANT: Final = msgspec.json.Decoder(Tenant)
_SERVICE: Final = msgspec.json.Decoder(Service)
_KEY: Final = msgspec.json.Decoder(ApiKey)


def read(connection: sqlite3.Connection, sql: Mapping[str, str]) -> Tenancy:
    """Return all tenants, services and keys, as of one revision."""
    connection.execute("BEGIN")
    try:
        return Tenancy(
            revision(connection, sql),
            tuple(_numbered(_TENANT, row) for row in connection.execute(sql["tenants"])),
            tuple(_numbered(_SERVICE, row) for row in connection.execute(sql["services"])),
            tuple(_KEY.decode(record) for (record,) in connection.execute(sql["api_keys"])),
        )
    finally:
        connection.execute("ROLLBACK")


def revision(connection: sqlite3.Connection, sql: Mapping[str, str]) -> int:
    """Return the number that rises with every change of tenancy."""
    return int(connection.execute(sql["tenancy_revision"]).fetchone()[0])


def put_tenant(connection: sqlite3.Connection, sql: Mapping[str, str], tenant: Tenant) -> Tenant:
    """Write a tenant. Raises: Conflict (the name is taken)."""
    return _put(connection, sql, "put_tenant", tenant, (tenant.n or None, tenant.name, rows.text(tenant)))


def put_service(connection: sqlite3.Connection, sql: Mapping[str, str], service: Service) -> Service:
    """Write a service. Raises: Conflict (the name is taken)."""
    row = (service.n or None, service.tenant, service.name, rows.text(service))
    return _put(connection, sql, "put_service", service, row)


def put_key(
    connection: sqlite3.Connection, sql: Mapping[str, str], key: ApiKey, predecessor: ApiKey | None
) -> ApiKey:
    """Write a key, and the one it comes after."""
    for written in filter(None, (key, predecessor)):
        connection.execute(sql["put_key"], (written.id, rows.text(written)))
    connection.execute(sql["raise_tenancy_revision"])
    return key


def _put(
    connection: sqlite3.Connection, sql: Mapping[str, str], statement: str, record: Named, row: rows.Row
) -> Named:
    try:
        (n,) = connection.execute(sql[statement], row).fetchone()
    except sqlite3.IntegrityError as error:
        raise Conflict(f"The name {record.name!r} is taken; choose another one.") from error
    connection.execute(sql["raise_tenancy_revision"])
    return msgspec.structs.replace(record, n=n)


def _numbered(decoder: "msgspec.json.Decoder[Named]", row: tuple[int, str]) -> Named:
    n, record = row
    return msgspec.structs.replace(decoder.decode(record), n=n)
