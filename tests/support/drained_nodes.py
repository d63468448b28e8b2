"""A balancer before some nodes: it asks them in turn, and one leaves when all it was asked is answered."""

import asyncio
from collections import Counter
from typing import Any, Final

from chaos.api_lines import Answer, ApiLines

LEAVES_S_MAX: Final = 30


class DrainedNodes:
    """Asks as `ApiLines` does, of whichever node is in.

    Attributes:
        answered: How many requests each port has answered.
    """

    def __init__(self, key: str, *ports: int, connections: int) -> None:
        self._lines = {port: ApiLines(port, key, connections=connections) for port in ports}
        self._in = list(ports)
        self._asked: Counter[int] = Counter()
        self._left = asyncio.Event()
        self.answered: Counter[int] = Counter()

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, idempotency_key: str = ""
    ) -> Answer:
        """See `ApiLines.ask`."""
        port = self._in.pop(0)
        self._in.append(port)
        self._asked[port] += 1
        try:
            answer = await self._lines[port].ask(method, path, body, idempotency_key=idempotency_key)
            self.answered[port] += 1
            return answer
        finally:
            self._asked[port] -= 1
            self._left.set()

    async def take_out(self, port: int) -> None:
        """Ask a node nothing more, and wait for its last answer."""
        self._in.remove(port)
        async with asyncio.timeout(LEAVES_S_MAX):
            while self._asked[port]:
                self._left.clear()
                await self._left.wait()
        self._lines[port].close()

    def put_in(self, port: int) -> None:
        """Ask a node again."""
        self._in.append(port)

    def close(self) -> None:
        """Hang up."""
        for lines in self._lines.values():
            lines.close()
