"""DLT registers in the database: one JSON document a tenant, read whole."""

from collections.abc import Mapping

from dastak.core.dlt_store import DltRecord
from dastak.core.errors import Conflict
from dastak.core.ports import Once
from dastak.store.desk import Desk, Execute


class DltTables:
    """The port `DltStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def dlt_revision(self) -> int:
        """See `DltStore.dlt_revision`."""
        (revision,) = await self._desk.read(lambda execute: execute("dlt_revision").fetchone())
        return int(revision)

    async def dlt_records(self) -> Mapping[int, DltRecord]:
        """See `DltStore.dlt_records`."""
        found = await self._desk.read(lambda execute: execute("dlt_records").fetchall())
        return {tenant: DltRecord(body.encode(), revision) for tenant, body, revision in found}

    async def put_dlt_record(self, tenant: int, record: DltRecord, *, once: Once | None = None) -> DltRecord:
        """See `DltStore.put_dlt_record`."""
        body, known = record.body.decode(), record.revision
        statement = "insert_dlt_record" if known == 0 else "update_dlt_record"

        def put(execute: Execute) -> DltRecord:
            if execute(statement, (tenant, body, known)).rowcount == 0:
                raise Conflict("Somebody else changed this register meanwhile; look at it and try again.")
            return DltRecord(record.body, known + 1)

        return await self._desk.write(put, once=once)
