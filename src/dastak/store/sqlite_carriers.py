"""Carriers in the SQLite database, the history of each, and what was learned of them."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dastak.core.carrier import Carrier, CarrierChange
from dastak.core.carrier_store import CarrierList
from dastak.core.errors import Conflict, NotFound
from dastak.store import rows

_CARRIER: Final = msgspec.json.Decoder(Carrier)
_CHANGE: Final = msgspec.json.Decoder(CarrierChange)


def read(connection: sqlite3.Connection, sql: Mapping[str, str]) -> CarrierList:
    """Return all carriers, as of one revision."""
    connection.execute("BEGIN")
    try:
        found = connection.execute(sql["carriers"]).fetchall()
        return CarrierList(revision(connection, sql), tuple(map(_carrier, found)))
    finally:
        connection.execute("ROLLBACK")


def revision(connection: sqlite3.Connection, sql: Mapping[str, str]) -> int:
    """Return the number that rises with every change of a carrier."""
    return int(connection.execute(sql["carrier_revision"]).fetchone()[0])


def put(
    connection: sqlite3.Connection, sql: Mapping[str, str], carrier: Carrier, change: CarrierChange
) -> Carrier:
    """Write a carrier and the line of its history.

    Raises:
        Conflict: The name is taken, or somebody else changed it since it was read.
    """
    fresh = msgspec.structs.replace(carrier, revision=carrier.revision + 1)
    record = rows.text(msgspec.structs.replace(fresh, sealed=b""))
    if carrier.n == 0:
        try:
            new = (carrier.name, record, carrier.sealed)
            (n,) = connection.execute(sql["insert_carrier"], new).fetchone()
        except sqlite3.IntegrityError as error:
            raise Conflict(f"There is a carrier {carrier.name!r} already; choose another name.") from error
    else:
        known = (record, carrier.sealed, carrier.n, carrier.revision)
        if connection.execute(sql["update_carrier"], known).rowcount == 0:
            raise Conflict("Somebody else changed this carrier meanwhile; look at it and try again.")
        n = carrier.n
    note(connection, sql, change)
    connection.execute(sql["raise_carrier_revision"])
    return msgspec.structs.replace(fresh, n=n)


def remove(connection: sqlite3.Connection, sql: Mapping[str, str], change: CarrierChange) -> None:
    """Delete a carrier; its history stays. Raises: NotFound."""
    if connection.execute(sql["delete_carrier"], (change.carrier,)).rowcount == 0:
        raise NotFound("There is no such carrier.")
    note(connection, sql, change)
    connection.execute(sql["raise_carrier_revision"])


def note(
    connection: sqlite3.Connection, sql: Mapping[str, str], change: CarrierChange, answer: Any = None
) -> Any:
    """Append a line to the history of a carrier; return the answer."""
    connection.execute(sql["insert_carrier_change"], (change.carrier, rows.text(change)))
    return answer


def history(
    connection: sqlite3.Connection, sql: Mapping[str, str], carrier: str, limit: int
) -> tuple[CarrierChange, ...]:
    """Return the newest lines of a carrier's history, newest first."""
    found = connection.execute(sql["carrier_changes"], (carrier, limit)).fetchall()
    return tuple(_CHANGE.decode(record) for (record,) in found)


def _carrier(row: tuple[int, str, bytes]) -> Carrier:
    n, record, sealed = row
    return msgspec.structs.replace(_CARRIER.decode(record), n=n, sealed=sealed)
