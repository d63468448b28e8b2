"""The messages that wait before the window of a bind: few, and none for long.

What would wait goes elsewhere at once: by another bind, by another route, or it waits in the lane, where the
code that ends first leaves first.
"""

from collections import deque
from typing import NamedTuple

from dastak.core.errors import CarrierFull
from dastak.core.pace import ROOM_WITHIN_S, in_hand_max
from dastak.sms.submission import Done


class Queued(NamedTuple):
    """A submit_sm that waits, and who is told of it; `deadline` is in monotonic seconds."""

    deadline: float
    body: bytes
    done: Done


class InHand:
    """The queue of one bind, the oldest first.

    Args:
        queue_max: How many may wait while only the window limits.
        patience_s: How long one may wait.
    """

    def __init__(self, queue_max: int, patience_s: float) -> None:
        self._queue: deque[Queued] = deque()
        self._queue_max, self._patience_s = queue_max, min(ROOM_WITHIN_S, patience_s)

    def __len__(self) -> int:
        return len(self._queue)

    def room(self, rate_per_s: float | None) -> int:
        """Return how many more may wait at this rate; less than none are to be put out."""
        at_rate = self._queue_max if rate_per_s is None else in_hand_max(rate_per_s)
        return min(self._queue_max, at_rate) - len(self._queue)

    def add(self, body: bytes, done: Done, now: float) -> None:
        """Let one more wait."""
        self._queue.append(Queued(now + self._patience_s, body, done))

    def take(self) -> Queued:
        """Take out the one that waited longest."""
        return self._queue.popleft()

    def take_all(self) -> list[Queued]:
        """Take out all."""
        taken, self._queue = list(self._queue), deque()
        return taken

    def put_out(self, rate_per_s: float | None, now: float) -> None:
        """Tell those to go elsewhere that waited too long, or that would at this rate: the newest of them."""
        while self._queue and self._queue[0].deadline <= now:
            self._queue.popleft().done(CarrierFull("no room in the window in time"))
        while self.room(rate_per_s) < 0:
            self._queue.pop().done(CarrierFull("the carrier throttles"))
