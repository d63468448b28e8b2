"""Let all who look for a verification at the same time share one statement.

Each message that has waited for room looks at what it is about before it leaves. One by one, those reads
would be what a crowd waits for.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from dastak.core.errors import Overloaded
from dastak.core.ids import VerificationId
from dastak.store import rows
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.postgres_lane import RETRY_AFTER_S, Connection, Lane
from dastak.store.postgres.sheet import encoded
from dastak.store.ran import Ran, tell

SET_MAX: Final = 256


class _Look(msgspec.Struct, frozen=True):
    verification: VerificationId
    future: asyncio.Future[rows.Row | None]


class Finder:
    """Reads verifications of one node in sets; while one is read, the next one gathers.

    Args:
        opens: Opens a connection for statements in sets.
    """

    def __init__(self, opens: Callable[[], Connection]) -> None:
        self.lane = Lane(opens)
        self._sql = statements()["held_by_ids"]
        self._waiting: deque[_Look] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def find(self, verification: VerificationId) -> rows.Row | None:
        """Return the row of a verification of the view `held_by_mode`; None if there is none.

        Raises:
            Overloaded: The database cannot be asked, or did not answer.
        """
        look = _Look(verification, asyncio.get_running_loop().create_future())
        self._waiting.append(look)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await look.future

    async def close(self) -> None:
        """Close the connection; who still waits is told so at once."""
        self._send_away(Overloaded("The database is closed.", retry_after_s=RETRY_AFTER_S))
        await self.lane.close()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        while self._waiting:
            looks = [self._waiting.popleft() for _ in range(min(len(self._waiting), SET_MAX))]
            asked = encoded({"i": i, "id": look.verification} for i, look in enumerate(looks))

            def read(connection: Connection, asked: str = asked) -> list[Any]:
                return connection.execute(self._sql, (asked,)).fetchall()

            try:
                found = {i: row for i, *row in await self.lane.run(read)}
            except Exception as error:
                # Nobody waits twice for a server that does not answer.
                self._send_away(error, looks)
            else:
                tell([Ran(look.future, found.get(i), None) for i, look in enumerate(looks)])

    def _send_away(self, error: Exception, looks: Sequence[_Look] = ()) -> None:
        """Tell these, and those who wait as well."""
        tell([Ran(look.future, None, error) for look in (*looks, *self._waiting)])
        self._waiting.clear()
