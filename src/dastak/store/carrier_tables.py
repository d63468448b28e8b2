"""Carriers in the database, the history of each, and what was learned of them."""

from functools import partial
from typing import Any, Final

import msgspec

from dastak.core.carrier import Carrier, CarrierChange
from dastak.core.carrier_store import CarrierList
from dastak.core.errors import Conflict, NotFound
from dastak.core.ports import Once
from dastak.store import rows
from dastak.store.desk import PAGE_MAX, Desk, Execute, Taken

_CARRIER: Final = msgspec.json.Decoder(Carrier)
_CHANGE: Final = msgspec.json.Decoder(CarrierChange)


class CarrierTables:
    """The port `CarrierStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def carriers(self) -> CarrierList:
        """See `CarrierStore.carriers`."""
        return await self._desk.read(read)

    async def carrier_revision(self) -> int:
        """See `CarrierStore.carrier_revision`."""
        return await self._desk.read(_revision)

    async def put_carrier(
        self, carrier: Carrier, change: CarrierChange, *, once: Once | None = None
    ) -> Carrier:
        """See `CarrierStore.put_carrier`."""
        return await self._desk.write(partial(_put, carrier, change), once=once)

    async def remove_carrier(self, change: CarrierChange, *, once: Once | None = None) -> None:
        """See `CarrierStore.remove_carrier`."""
        await self._desk.write(partial(_remove, change), once=once)

    async def note_change(
        self, change: CarrierChange, *, answer: Any = None, once: Once | None = None
    ) -> Any:
        """See `CarrierStore.note_change`."""

        def note(execute: Execute) -> Any:
            _note(execute, change)
            return answer

        return await self._desk.write(note, once=once)

    async def carrier_history(self, carrier: str, *, limit: int) -> tuple[CarrierChange, ...]:
        """See `CarrierStore.carrier_history`."""
        asked = (carrier, min(limit, PAGE_MAX))
        found = await self._desk.read(lambda execute: execute("carrier_changes", asked).fetchall())
        return tuple(_CHANGE.decode(record) for (record,) in found)

    async def learned(self, name: str) -> bytes | None:
        """See `CarrierStore.learned`."""
        found = await self._desk.read(lambda execute: execute("learned", (name,)).fetchone())
        return None if found is None else bytes(found[0])

    async def learn(self, name: str, body: bytes) -> None:
        """See `CarrierStore.learn`."""
        await self._desk.write(lambda execute: execute("learn", (name, body)).rowcount)


def read(execute: Execute) -> CarrierList:
    """Return all carriers."""
    found = execute("carriers").fetchall()
    return CarrierList(_revision(execute), tuple(map(_carrier, found)))


def _revision(execute: Execute) -> int:
    return int(execute("carrier_revision").fetchone()[0])


def _put(carrier: Carrier, change: CarrierChange, execute: Execute) -> Carrier:
    fresh = msgspec.structs.replace(carrier, revision=carrier.revision + 1)
    record = rows.text(msgspec.structs.replace(fresh, sealed=b""))
    if carrier.n == 0:
        try:
            (n,) = execute("insert_carrier", (carrier.name, record, carrier.sealed)).fetchone()
        except Taken as taken:
            raise Conflict(f"There is a carrier {carrier.name!r} already; choose another name.") from taken
    else:
        known = (record, carrier.sealed, carrier.n, carrier.revision)
        if execute("update_carrier", known).rowcount == 0:
            raise Conflict("Somebody else changed this carrier meanwhile; look at it and try again.")
        n = carrier.n
    _note(execute, change)
    execute("raise_carrier_revision")
    return msgspec.structs.replace(fresh, n=n)


def _remove(change: CarrierChange, execute: Execute) -> None:
    if execute("delete_carrier", (change.carrier,)).rowcount == 0:
        raise NotFound("There is no such carrier.")
    _note(execute, change)
    execute("raise_carrier_revision")


def _note(execute: Execute, change: CarrierChange) -> None:
    execute("insert_carrier_change", (change.carrier, rows.text(change)))


def _carrier(row: tuple[int, str, bytes]) -> Carrier:
    n, record, sealed = row
    return msgspec.structs.replace(_CARRIER.decode(record), n=n, sealed=sealed)
