"""The numbers that said STOP, in memory while they are few: every text asks for its number.

1. What this process wrote is seen at once; what another one wrote, as soon as memory is not fresh any more.
2. With more than memory holds, the database is asked for each number.
"""

import asyncio
import time
from typing import Final

from dastak.core.errors import Overloaded
from dastak.store.desk import Desk, Execute

STOPS_MAX: Final = 2_000
FRESH_S: Final = 0.5

# Tenant, number without plus, and whether it was said to a test key.
Key = tuple[int, int, bool]


class StopList:
    """Answers for one process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: frozenset[Key] | None = None
        self._fresh_until_s = 0.0
        # How often it was forgotten: what was being read meanwhile is not fresh.
        self._forgotten = 0
        self._reading: tuple[int, asyncio.Future[frozenset[Key] | None]] | None = None

    async def has(self, key: Key) -> bool:
        """Say whether a number wants nothing of a tenant."""
        now_s = time.monotonic()
        known = self._known
        if now_s >= self._fresh_until_s:
            known = await self._read(now_s)
        if known is not None:
            return key in known
        tenant, msisdn, test = key
        asked = (tenant, msisdn, int(test))
        return await self._desk.read(lambda execute: execute("is_stopped", asked).fetchone()) is not None

    async def _read(self, now_s: float) -> frozenset[Key] | None:
        """Read all, once for everybody who asks meanwhile."""
        forgotten = self._forgotten
        if self._reading is not None and self._reading[0] == forgotten:
            return await asyncio.shield(self._reading[1])
        told: asyncio.Future[frozenset[Key] | None] = asyncio.get_running_loop().create_future()
        self._reading = forgotten, told
        try:
            known = await self._desk.read(_read)
        except BaseException:
            told.set_exception(Overloaded("The database cannot be read now."))
            told.exception()  # nobody may be waiting for it
            raise
        else:
            told.set_result(known)
        finally:
            if self._reading == (forgotten, told):
                self._reading = None
        if forgotten == self._forgotten:
            self._known, self._fresh_until_s = known, now_s + FRESH_S
        return known

    def forget(self) -> None:
        """Read again: this process wrote something."""
        self._fresh_until_s = 0.0
        self._forgotten += 1


def _read(execute: Execute) -> frozenset[Key] | None:
    found = execute("all_stops", (STOPS_MAX + 1,)).fetchall()
    if len(found) > STOPS_MAX:
        return None
    return frozenset((tenant, msisdn, bool(test)) for tenant, msisdn, test in found)
