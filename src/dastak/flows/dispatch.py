"""Let messages leave as fast as the routes take them; what finds no room waits in the lane.

1. A message that finds room leaves at once, and so does one that nobody can take now: its refusal is quick.
2. While a route is full the next one in order is asked; only when all are full a message waits.
3. Who waits leaves by the rules of `delivery/lane.py`, when another message or call has ended: nobody polls.
   By an idle route leaves the first for whom it is a way; who has no other than a full one holds up nobody.
4. What is late is dropped, with an event. Whom a crowded lane puts out, the lease of its row brings back.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from dastak.core.errors import Damaged, DastakError
from dastak.core.message import Message, MessageKey
from dastak.core.node import LEASE_S
from dastak.core.policy import Channel
from dastak.core.ports import Ports
from dastak.core.verification import Verification
from dastak.core.way_out import Queue, Route, joined
from dastak.delivery.failover import CALL_S, USEFUL_LIFE_S
from dastak.delivery.lane import GivenUp, OtpLane, Waiting
from dastak.delivery.lane_pace import LanePace
from dastak.flows.dead_letter import broke
from dastak.flows.deliver import LATE, deliver, drop, ways_of

IN_FLIGHT_MAX: Final = 10_000
# So many of the first who wait are asked whether an idle route is a way for them: a long lane costs no more.
STUCK_MAX: Final = 16
_NEED: Final = {Channel.SMS: "half of all texts need", Channel.VOICE: "a call needs"}

log = logging.getLogger("dastak.dispatch")


class _Held(NamedTuple):
    """What waits in the lane; its message may have been leased anew since."""

    verification: Verification
    message: Message


class Dispatch:
    """The messages under way and those that wait."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._lane: OtpLane[_Held] = OtpLane()
        self._under_way: Counter[str] = Counter()
        self._tasks: dict[MessageKey, asyncio.Task[None]] = {}
        self._in_lane: dict[MessageKey, Message] = {}
        self._ended: set[MessageKey] = set()
        self._paces: dict[str, LanePace] = {}
        self._told_full_s: dict[str, float] = {}
        # As they were seen last, to ask them for room.
        self._routes: dict[str, Route] = {}
        # By which none of the first in the lane could leave, when they were asked last.
        self._no_way: set[str] = set()

    @property
    def in_flight(self) -> int:
        """How many messages are being delivered now."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """How many messages wait in the lane."""
        return len(self._lane)

    def queues(self) -> Mapping[str, Queue]:
        """Return who waits for which route, or before it."""
        routes = {*self._lane.routes(), *self._routes}
        return {route: queue for route in routes if (queue := self.queue_of(route))}

    def queue_of(self, route: str) -> Queue | None:
        """Return who waits for a route, those too for whom the lane has no room; None is nobody.

        A full route that nobody waits for has all who wait before it: they leave by it when it has room.
        """
        if self._lane.waiting_for(route):
            return self._queue(route)
        known = self._routes.get(route)
        if known is None or not len(self._lane) or self._has_room(known):
            return None
        return joined([self._queue(name) for name in self._lane.routes()])

    def _queue(self, route: str) -> Queue:
        now_s = self._ports.clock.now().timestamp()
        pace, crowds = self._paces[route], self._lane.crowds(route)
        for tenant, outside in pace.outside(now_s).items():
            crowds[tenant] = crowds.get(tenant, 0) + outside
        return Queue(crowds, pace.per_s(now_s))

    def offer(self, verification: Verification, message: Message) -> None:
        """Let a message leave, or wait. One that waits already (its lease ended) has its new lease then."""
        if message.key in self._tasks:
            return
        if message.key in self._in_lane:
            self._in_lane[message.key] = message
            return
        ways = ways_of(self._ports, verification, message, self._ports.clock.now())
        led = self._with_room(ways, message) if len(self._tasks) < IN_FLIGHT_MAX else None
        if led is not None:
            self._begin(message, led, deliver(self._ports, verification, message, led))
        else:
            self._wait(_Held(verification, message), ways)

    def go_on(self, *, afresh: bool = False) -> None:
        """Let those leave that now find room; afresh by routes too that were no way for them just now."""
        if afresh:
            self._no_way.clear()
        while len(self._lane) and len(self._tasks) < IN_FLIGHT_MAX:
            waiting = self._take(self._is_ready)
            if waiting is None:
                if not self._go_round():
                    return
            elif not self._leave(waiting):
                # Its route is no way for it any more.
                self._wait(waiting.what, self._ways(waiting.what))

    def _go_round(self) -> bool:
        """Let one that waits for a route leave by another one that nobody waits for; say whether one did.

        The first who can does; those before keep their places. If none of them can, nobody is asked about
        the same routes until somebody comes for whom one may be a way, or until it is tried afresh.
        """
        idle, left = self._idle(), False
        stuck: list[Waiting[_Held]] = []
        if idle <= self._no_way:
            return False
        try:
            while not left and len(stuck) < STUCK_MAX and (waiting := self._take(lambda _route: True)):
                left = self._leave(waiting)
                if not left:
                    stuck.append(waiting)
        finally:
            for one in stuck:
                self._lane.add(one)
        if not left:
            self._no_way |= idle
        return left

    def note_ends(self) -> Collection[MessageKey]:
        """Return what messages end their way from now on until this is asked again, as it fills."""
        self._ended = set()
        return self._ended

    def let_go(self) -> Collection[Message]:
        """Forget who waits, and return them: their rows are queued, and somebody finds them."""
        self._lane = OtpLane()
        waited, self._in_lane = self._in_lane, {}
        return waited.values()

    async def drain(self, within_s: float) -> None:
        """Let nobody leave any more, and those under way end, so long; what waits is queued in the store."""
        self.let_go()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _take(self, ready: Callable[[str], bool]) -> Waiting[_Held] | None:
        now_s = self._ports.clock.now().timestamp()
        waiting, late = self._lane.take(now_s, ready=ready)
        for given_up in late:
            self._give_up(given_up, now_s)
        if waiting is None:
            return None
        held = waiting.what
        return waiting._replace(what=held._replace(message=self._in_lane[held.message.key]))

    def _leave(self, waiting: Waiting[_Held]) -> bool:
        """Let a message leave that waited, if one of its routes has room."""
        held = waiting.what
        led = self._with_room(self._ways(held), held.message, passing=waiting.route)
        if led is None:
            return False
        self._paces[waiting.route].left(self._ports.clock.now().timestamp())
        self._begin(held.message, led, self._deliver_waited(held, led))
        return True

    def _ways(self, held: _Held) -> Sequence[Route]:
        return ways_of(self._ports, *held, self._ports.clock.now())

    def _with_room(
        self, ways: Sequence[Route], message: Message, *, passing: str = ""
    ) -> Sequence[Route] | None:
        """Return the routes with one first that has room, or all of them if none is up; None is to wait.

        Args:
            ways: Best first.
            message: Who asks. A route that had its code is no way round one that is full.
            passing: The route whose queue it has left; behind the queues of others it stays.
        """
        if not len(self._lane) and ways and self._takes(ways[0], message):
            return ways  # as nearly always
        fresh = _fresh(ways, message)
        for route in fresh:
            self._routes[route.name] = route
            passes = route.name == passing or not self._lane.waiting_for(route.name)
            if passes and self._has_room(route):
                return ways if route is ways[0] else (route, *(other for other in ways if other is not route))
        return None if fresh else ways

    def _takes(self, route: Route, message: Message) -> bool:
        return self._has_room(route) and route.available and route.name not in message.tried

    def _has_room(self, route: Route) -> bool:
        return self._under_way[route.name] < route.in_flight_max

    def _idle(self) -> set[str]:
        return {
            name
            for name, route in self._routes.items()
            if route.available and self._has_room(route) and not self._lane.waiting_for(name)
        }

    def _is_ready(self, name: str) -> bool:
        route = self._routes.get(name)
        return route is None or not route.available or self._has_room(route)

    def _begin(self, message: Message, ways: Sequence[Route], delivery: Awaitable[object]) -> None:
        route, key = ways[0].name if ways else "", message.key
        self._in_lane.pop(key, None)
        self._under_way[route] += 1
        self._tasks[key] = self._loop.create_task(self._run(message, route, delivery))

    async def _run(self, message: Message, route: str, delivery: Awaitable[object]) -> None:
        """See a delivery to its end, and let the next message leave; what failed, its lease brings back."""
        try:
            await delivery
        except Exception as error:
            if isinstance(error, DastakError) and not isinstance(error, Damaged):
                log.warning("message not settled: %s", error.detail)
            else:
                log.exception("a message could not be delivered")
                await broke(self._ports, message, error)
        finally:
            del self._tasks[message.key]
            self._ended.add(message.key)
            self._under_way[route] -= 1
            self.go_on()

    async def _deliver_waited(self, held: _Held, ways: Sequence[Route]) -> None:
        """Deliver what waited; much may have happened since."""
        known = held.verification
        verification = (await self._ports.store.find(known.tenant, known.id)).verification
        await deliver(self._ports, verification, held.message, ways)

    def _wait(self, held: _Held, ways: Sequence[Route]) -> None:
        verification, message = held
        fresh = _fresh(ways, message)
        route = fresh[0].name if fresh else ""
        self._no_way.difference_update(way.name for way in fresh)
        if message.channel is Channel.VOICE:
            needed_s = CALL_S
        else:
            median_s = self._ports.routes.median_s(route, verification.msisdn) if route else 0.0
            needed_s = max(USEFUL_LIFE_S, median_s)
        now_s = self._ports.clock.now().timestamp()
        if not self._lane.waiting_for(route):
            self._paces[route] = LanePace(now_s)
        self._in_lane[message.key] = message
        waiting = Waiting(
            held,
            verification.tenant,
            route,
            verification.expires_at.timestamp(),
            needed_s,
        )
        for given_up in self._lane.add(waiting):
            self._give_up(given_up, now_s)

    def _give_up(self, given_up: GivenUp[_Held], now_s: float) -> None:
        waiting = given_up.waiting
        message = self._in_lane.pop(waiting.what.message.key)
        if given_up.why == LATE:
            why = (
                f"after its wait for room on {waiting.route} the code lives "
                f"{waiting.expires_s - now_s:.1f} s more, and {_NEED[message.channel]} "
                f"{waiting.needed_s:.1f} s"
            )
            self._begin(message, (), drop(self._ports, message, LATE, why=why))
        else:
            self._paces[waiting.route].put_out(waiting.tenant, now_s)
            self._tell_full(waiting.route, now_s)

    def _tell_full(self, route: str, now_s: float) -> None:
        """Say once in a lease, in which each of those comes back, how many messages find no room."""
        if now_s - self._told_full_s.get(route, -LEASE_S) < LEASE_S:
            return
        self._told_full_s[route] = now_s
        outside = sum(self._paces[route].outside(now_s).values())
        log.info("no room in the lane of route %s: %d wait for their leases", route, outside)


def _fresh(ways: Sequence[Route], message: Message) -> Sequence[Route]:
    """Return the routes that are up and have not had this code; or those that had it, if no other is up."""
    up = [route for route in ways if route.available]
    return [route for route in up if route.name not in message.tried] or up
