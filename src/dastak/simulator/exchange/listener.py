"""Who listens to a call under way: its sound in pieces, until it ends or the listener falls behind."""

import asyncio
from collections import deque
from typing import Final

PENDING_MAX: Final = 100


class Listener:
    """Gets what is spoken in a call from now on, µ-law, about a tenth of a second at once."""

    def __init__(self) -> None:
        self._pending: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False

    def hear(self, octets: bytes) -> None:
        """Take some sound."""
        if len(self._pending) >= PENDING_MAX:
            self.end()
        elif octets and not self._ended:
            self._pending.append(octets)
            self._news.set()

    def end(self) -> None:
        """Get no more after what is pending."""
        self._ended = True
        self._news.set()

    async def sound(self) -> bytes | None:
        """Wait for the next piece; None when there will be no more."""
        while not self._pending and not self._ended:
            self._news.clear()
            await self._news.wait()
        return self._pending.popleft() if self._pending else None
