"""DLT registers in the SQLite database: one JSON document a tenant, read whole."""

import sqlite3
from collections.abc import Mapping

from dastak.core.dlt_store import DltRecord
from dastak.core.errors import Conflict


def revision(connection: sqlite3.Connection, sql: Mapping[str, str]) -> int:
    """Return the number that rises with every change of a register."""
    return int(connection.execute(sql["dlt_revision"]).fetchone()[0])


def read(connection: sqlite3.Connection, sql: Mapping[str, str]) -> dict[int, DltRecord]:
    """Return all registers."""
    found = connection.execute(sql["dlt_records"])
    return {tenant: DltRecord(body.encode(), revision) for tenant, body, revision in found}


def put(connection: sqlite3.Connection, sql: Mapping[str, str], tenant: int, record: DltRecord) -> DltRecord:
    """Write a register.

    Raises:
        Conflict: Somebody else changed it since it was read.
    """
    body, known = record.body.decode(), record.revision
    statement = "insert_dlt_record" if known == 0 else "update_dlt_record"
    if connection.execute(sql[statement], (tenant, body, known)).rowcount == 0:
        raise Conflict("Somebody else changed this register meanwhile; look at it and try again.")
    return DltRecord(record.body, known + 1)
