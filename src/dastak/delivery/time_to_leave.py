"""Refuse what could not leave in time: accepting it would only let it expire.

1. Who waits for a route leaves at the pace at which others left of late, and tenants take turns.
2. A route that is down is taken to stay down as long again as it has been; a moment refuses nobody.
3. Nobody is let in whom a full lane would put out: that text would wait until its lease is over, and leave
   after others that came later.
4. What is not known refuses nobody, and nothing is refused to virtual phones.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from typing import Final

from dastak.core.errors import TooLate
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.core.way_out import Queue, Route, Routes
from dastak.delivery.lane import ROUTE_MAX

# The share of its code's life that a message may wait.
WAIT_SHARE: Final = 0.5
RETRY_AFTER_S_MAX: Final = 30
# A lane counts as full a little earlier: what was let in a moment ago is not in it yet.
CROWD_MAX: Final = int(0.9 * ROUTE_MAX)
CROWDED_RETRY_AFTER_S: Final = 5
_WHAT: Final = {Channel.SMS: "The text", Channel.VOICE: "The call"}


class TimeToLeave:
    """Says of what is to begin whether it could leave in time.

    Args:
        routes: All ways out.
        queue_of: Returns who waits for a route, if anybody does.
        down_s: Returns for how long a route that is down has been so.
        share: Of a code's life that a message may wait.
        chance: Returns a number from 0 to 1: who was refused shall not come back at once with all others.

    """

    def __init__(
        self,
        routes: Routes,
        *,
        queue_of: Callable[[Route], Queue | None],
        down_s: Callable[[str], float],
        share: float = WAIT_SHARE,
        chance: Callable[[], float],
    ) -> None:
        self._routes, self._queue_of, self._down_s = routes, queue_of, down_s
        self._share, self._chance = share, chance
        self._refused: Counter[Channel] = Counter()

    def __call__(self, verification: Verification) -> TooLate | None:
        """Return why the first message could not leave in time, if so; see `Ports.too_late`."""
        if verification.mode is Mode.TEST:
            return None
        ttl_s = verification.policy.ttl_s
        wait_s = self._wait_s(verification)
        if wait_s <= self._share * ttl_s:
            return None
        channel = verification.particulars.channel
        self._refused[channel] += 1
        if wait_s == inf:
            why = "would find no room among those that wait: more is asked than carriers take."
            retry_after_s = CROWDED_RETRY_AFTER_S
        else:
            why = (
                f"could leave in {wait_s:.0f} s at the earliest, of the {ttl_s} s that its code lives: "
                "carriers are slow or down."
            )
            retry_after_s = min(RETRY_AFTER_S_MAX, ceil(wait_s - self._share * ttl_s))
        return TooLate(
            f"{_WHAT[channel]} {why}",
            retry_after_s=retry_after_s + int(self._chance() * retry_after_s),
        )

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """Return how many were refused since the start, by channel."""
        return {(channel,): self._refused[channel] for channel in _WHAT}

    def _wait_s(self, verification: Verification) -> float:
        """Return how long a message would wait; 0 is not at all, or not known, and infinite to be put out."""
        channel, shortest_s = verification.particulars.channel, inf
        ways = self._ways(verification, channel)
        for route in ways:
            # Calls last longer than a pace is counted: how fast they leave is not known.
            queue = self._queue_of(route) if channel is Channel.SMS else None
            wait_s = 0.0 if queue is None else queue_s(queue, verification.tenant)
            if not route.available:
                wait_s = max(wait_s, self._down_s(route.name))
            if wait_s <= 0:
                return 0.0
            shortest_s = min(shortest_s, wait_s)
        if not any(route.available for route in ways) and self._called_instead(verification):
            return 0.0
        return shortest_s

    def _called_instead(self, verification: Verification) -> bool:
        """Say whether a call follows at once where no route of texts is up."""
        return Channel.VOICE in verification.policy.channels and any(
            route.available for route in self._ways(verification, Channel.VOICE)
        )

    def _ways(self, verification: Verification, channel: Channel) -> Sequence[Route]:
        return self._routes.ways(verification.mode, channel, verification.tenant, verification.msisdn)


def waits(queues: Mapping[str, Queue]) -> Mapping[tuple[str, ...], float]:
    """Return in how many seconds the last one in each queue leaves, where the pace is known."""
    return {
        (route,): sum(queue.crowds.values()) / queue.per_s
        for route, queue in queues.items()
        if queue.per_s is not None
    }


def queue_s(queue: Queue, tenant: int) -> float:
    """Return how long one more message of a tenant waits; 0 where the pace is not known.

    Nobody of another tenant goes first twice between two of its own. A full lane puts out whose crowd is the
    largest: then it is infinite, whatever the pace is.
    """
    own = queue.crowds.get(tenant, 0)
    if sum(queue.crowds.values()) >= CROWD_MAX and own == max(queue.crowds.values()):
        return inf
    if queue.per_s is None:
        return 0.0
    others = sum(min(crowd, own + 1) for other, crowd in queue.crowds.items() if other != tenant)
    return (own + others) / queue.per_s
