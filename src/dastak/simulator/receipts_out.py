"""The simulated carrier's receipts on their way to an account: kept until a bind takes and confirms them.

1. At least once: what was not confirmed before a link ended, or was refused for now, goes out again.
2. Bounded: past `QUEUE_MAX` the oldest is forgotten.
"""

import asyncio
from collections import deque
from heapq import heappop, heappush
from typing import Final, NamedTuple

from dastak.sms.smpp_codes import Command, Status
from dastak.sms.smpp_link import SmppLink

QUEUE_MAX: Final = 100_000
# After a refusal the same deliver_sm is offered again.
RETRY_S: Final = 1.0
# Receipts that are due within one of these go out together.
_GRAIN_S: Final = 0.01
_FOR_NOW: Final = frozenset(
    {Status.ESME_RSYSERR, Status.ESME_RMSGQFUL, Status.ESME_RTHROTTLED, Status.ESME_RX_T_APPN}
)


class _Waiting(NamedTuple):
    due_at: float
    number: int
    body: bytes


class ReceiptsOut:
    """The deliver_sm of one account."""

    def __init__(self) -> None:
        self.links: list[SmppLink] = []
        self._loop = asyncio.get_running_loop()
        self._later: list[_Waiting] = []
        self._now: deque[bytes] = deque(maxlen=QUEUE_MAX)
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, body: bytes, delay_s: float = 0.0) -> None:
        """Queue a deliver_sm as `encode_sm` writes it."""
        if delay_s <= 0:
            self._now.append(body)
            self.send()
            return
        self._count += 1
        heappush(self._later, _Waiting(self._loop.time() + delay_s, self._count, body))
        if len(self._later) > QUEUE_MAX:
            heappop(self._later)
        self._wake()

    def send(self) -> None:
        """Send what is due, as far as the windows of the bound links go."""
        for link in self.links:
            session = link.session
            if not self._now or not session.may(Command.DELIVER_SM):
                continue
            while self._now and session.room > 0 and link.writable:
                body = self._now.popleft()
                session.request(Command.DELIVER_SM, body, context=body, now=self._loop.time())
            link.flush()

    def settle(self, body: bytes, command_status: int) -> None:
        """Take the answer to a deliver_sm; one that was refused for now goes out again."""
        if command_status in _FOR_NOW:
            self.add(body, RETRY_S)
        if self._now:
            self.send()

    def give_back(self, bodies: tuple[bytes, ...]) -> None:
        """Take back what a lost link did not confirm; it goes out first."""
        self._now.extendleft(reversed(bodies))
        self.send()

    def stop(self) -> None:
        """Forget what is to come."""
        if self._timer is not None:
            self._timer.cancel()
        self._later.clear()

    def _wake(self) -> None:
        """Have the timer go off for the first that is due."""
        if not self._later:
            return
        wake_at = max(self._later[0].due_at, self._loop.time() + _GRAIN_S)
        if self._timer is not None:
            if self._timer.when() <= wake_at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at, self._ripen)

    def _ripen(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._later and self._later[0].due_at <= now:
            self._now.append(heappop(self._later).body)
        self._wake()
        self.send()
