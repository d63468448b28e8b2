"""The lane of messages that wait to be sent: the earliest expiry first, and nobody's crowd before the others.

1. Of one tenant on one route, the message that expires first leaves first.
2. Tenants take turns, and so do routes; of those whose turn it is, the earliest expiry goes first.
3. A full lane gives up a message of the tenant that has most of them there, and the one that expires last.
4. What would arrive after its life is given up: a late code only confuses.
"""

from bisect import insort
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

LANE_MAX: Final = 10_000
# A route that takes nothing keeps this share of the lane busy at most.
ROUTE_SHARE_MAX: Final = 0.5
ROUTE_MAX: Final = int(LANE_MAX * ROUTE_SHARE_MAX)


class Waiting(NamedTuple, Generic[T]):
    """One message in the lane.

    Attributes:
        what: Whatever the caller wants back.
        route: The first one it would be offered to.
        expires_s: The end of its code's life.
        needed_s: With no more life than this it is not sent any more.
    """

    what: T
    tenant: int
    route: str
    expires_s: float
    needed_s: float = 0.0


class GivenUp(NamedTuple, Generic[T]):
    """A message that left the lane unsent: it is `late`, or there was no room in a `crowded` lane."""

    waiting: Waiting[T]
    why: str


class _Turns:
    """Who was served in this round; whoever is served again begins the next one."""

    def __init__(self) -> None:
        self._served: set[Hashable] = set()

    def had(self, who: Hashable) -> bool:
        return who in self._served

    def serve(self, who: Hashable) -> None:
        if who in self._served:
            self._served.clear()
        self._served.add(who)


class _Queue(Generic[T]):
    """What waits for one route: for each tenant by expiry, then by arrival."""

    def __init__(self) -> None:
        self.crowds: dict[int, list[tuple[float, int, Waiting[T]]]] = {}
        self.waiting = 0


class OtpLane(Generic[T]):
    """A bounded queue.

    Args:
        limit: How many messages may wait.
    """

    def __init__(self, *, limit: int = LANE_MAX) -> None:
        self._limit = limit
        self._route_limit = max(1, int(limit * ROUTE_SHARE_MAX))
        self._queues: dict[str, _Queue[T]] = {}
        self._route_turns = _Turns()
        self._tenant_turns: dict[str, _Turns] = {}
        self._of_tenant: dict[int, int] = {}
        self._arrivals = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waiting_for(self, route: str) -> int:
        """Return how many messages wait for a route."""
        queue = self._queues.get(route)
        return 0 if queue is None else queue.waiting

    def routes(self) -> Collection[str]:
        """Return the routes that somebody waits for."""
        return self._queues.keys()

    def crowds(self, route: str) -> dict[int, int]:
        """Return how many messages of each tenant wait for a route."""
        queue = self._queues.get(route)
        return {} if queue is None else {tenant: len(crowd) for tenant, crowd in queue.crowds.items()}

    def add(self, waiting: Waiting[T]) -> list[GivenUp[T]]:
        """Put a message into the lane.

        Returns:
            Who had to leave for it; perhaps this message itself.
        """
        queue = self._queues.setdefault(waiting.route, _Queue())
        self._arrivals += 1
        insort(queue.crowds.setdefault(waiting.tenant, []), (waiting.expires_s, self._arrivals, waiting))
        queue.waiting += 1
        self._waiting += 1
        self._of_tenant[waiting.tenant] = self._of_tenant.get(waiting.tenant, 0) + 1
        given_up = []
        if queue.waiting > self._route_limit:
            crowds = queue.crowds
            given_up.append(self._give_up(waiting.route, max(crowds, key=lambda of: len(crowds[of]))))
        if self._waiting > self._limit:
            tenant = max(self._of_tenant, key=self._of_tenant.__getitem__)
            route = max(self._queues, key=lambda name: len(self._queues[name].crowds.get(tenant, ())))
            given_up.append(self._give_up(route, tenant))
        return given_up

    def take(
        self, now_s: float, *, ready: Callable[[str], bool]
    ) -> tuple[Waiting[T] | None, list[GivenUp[T]]]:
        """Take out the message that is next.

        Args:
            now_s: The time, by the clock of `expires_s`.
            ready: Says whether a route can take a message now; one that cannot holds up nobody else.

        Returns:
            The message, if any route is ready for one, and what was given up on the way because it is late.
        """
        late: list[GivenUp[T]] = []
        open_routes = [route for route in self._queues if ready(route)]
        while open_routes:
            route, tenant = min(
                ((route, self._next_tenant(route)) for route in open_routes), key=lambda way: self._rank(*way)
            )
            waiting = self._remove(route, tenant, 0)
            if waiting.expires_s - now_s > waiting.needed_s:
                self._route_turns.serve(route)
                self._tenant_turns.setdefault(route, _Turns()).serve(tenant)
                return waiting, late
            late.append(GivenUp(waiting, "late"))
            if route not in self._queues:
                open_routes.remove(route)
        return None, late

    def _next_tenant(self, route: str) -> int:
        crowds, turns = self._queues[route].crowds, self._tenant_turns.get(route)
        if turns is None:
            return min(crowds, key=lambda of: crowds[of][0])
        return min(crowds, key=lambda of: (turns.had(of), crowds[of][0]))

    def _rank(self, route: str, tenant: int) -> tuple[bool, float, int]:
        expires_s, arrival, _ = self._queues[route].crowds[tenant][0]
        return self._route_turns.had(route), expires_s, arrival

    def _give_up(self, route: str, tenant: int) -> GivenUp[T]:
        return GivenUp(self._remove(route, tenant, -1), "crowded")

    def _remove(self, route: str, tenant: int, n: int) -> Waiting[T]:
        """Take the n-th of a crowd out, and whatever is empty then."""
        queue = self._queues[route]
        crowd = queue.crowds[tenant]
        waiting = crowd.pop(n)[2]
        queue.waiting -= 1
        self._waiting -= 1
        self._of_tenant[tenant] -= 1
        if not crowd:
            del queue.crowds[tenant]
        if not queue.waiting:
            del self._queues[route]
        if not self._of_tenant[tenant]:
            del self._of_tenant[tenant]
        return waiting
