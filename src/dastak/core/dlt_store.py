"""Where DLT registers are written down, one record a tenant; what stands in one is the business of `dlt/`."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from dastak.core.ports import Once


class DltRecord(msgspec.Struct, frozen=True):
    """One tenant's register as JSON; the revision rises by one with each change of it."""

    body: bytes
    revision: int


class DltStore(Protocol):
    """The registers in the database; it raises `Overloaded` as `Store` does."""

    async def dlt_revision(self) -> int:
        """Return a number that rises with every change of a register, by any process."""

    async def dlt_records(self) -> Mapping[int, DltRecord]:
        """Return the register of every tenant that has one."""

    async def put_dlt_record(self, tenant: int, record: DltRecord, *, once: Once | None = None) -> DltRecord:
        """Insert (revision 0) or replace a register; the answer has the new revision.

        Raises:
            Conflict: It was changed since it was read.
        """
