"""The numbers that said STOP, in memory while they are few: every text asks for its number.

1. What this process wrote is seen at once; what another one wrote, as soon as memory is not fresh any more.
2. With more than memory holds, the database is asked for each number.
"""

import sqlite3
import time
from collections.abc import Mapping
from typing import Final

STOPS_MAX: Final = 2_000
FRESH_S: Final = 0.5

# Tenant, number without plus, and whether it was said to a test key.
Key = tuple[int, int, bool]


class StopList:
    """Answers for one connection that reads."""

    def __init__(self, connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._connection, self._sql = connection, sql
        self._known: frozenset[Key] | None = None
        self._fresh_until_s = 0.0

    def has(self, key: Key) -> bool:
        """Say whether a number wants nothing of a tenant."""
        now_s = time.monotonic()
        if now_s >= self._fresh_until_s:
            self._known = self._read()
            self._fresh_until_s = now_s + FRESH_S
        if self._known is not None:
            return key in self._known
        return self._connection.execute(self._sql["is_stopped"], key).fetchone() is not None

    def forget(self) -> None:
        """Read again: this process wrote something."""
        self._fresh_until_s = 0.0

    def _read(self) -> frozenset[Key] | None:
        found = self._connection.execute(self._sql["all_stops"], (STOPS_MAX + 1,)).fetchall()
        if len(found) > STOPS_MAX:
            return None
        return frozenset((tenant, msisdn, bool(test)) for tenant, msisdn, test in found)
