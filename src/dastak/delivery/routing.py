"""Choose the ways out of a message, best first.

1. A test message never sees a carrier, a live one never the simulator.
2. Whoever may carry a message is in the list. A route that is down, had the code before, or trips goes last,
   and is never left out: it may be the only way.
3. Those of the first priority share the traffic by weight and health. A route that does much worse than the
   best is asked after the healthy ones, whatever its priority.
4. A few in a hundred messages go first to a route that gets hardly any, so that it is known how good it is;
   never the second message of a person, and never to a route that trips.
5. A choice is prepared for each kind of message and kept until health changes: asking costs a dictionary.
"""

from bisect import bisect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple, Protocol

from dastak.core.call_rules import CallRules
from dastak.core.call_terms import FREE, CallTerms
from dastak.core.carrier import SPEAKING, Carrier, CarrierKind, CarrierState
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.core.way_out import Route, Wanted
from dastak.delivery.call_ways import CallWays
from dastak.delivery.lane_rules import fits
from dastak.delivery.networks import Place, country_of

EXPLORATION: Final = 0.03
# Who gets less than this of the traffic is little known.
LITTLE: Final = 0.05
# Below the one the priority that an operator gave counts no more; above the other it counts again.
MUCH_WORSE: Final = 0.2
FAIR_AGAIN: Final = 0.4
PLANS_MAX: Final = 10_000

Routes = tuple[Route, ...]
Entry = tuple[Carrier, Route]


class Judge(Protocol):
    """Knows how good routes are; `delivery.health` is one."""

    version: int

    def watch(self, revisions: Mapping[str, int]) -> None:
        """Learn about these routes; a new revision of one is a fresh start."""

    def factors(self, routes: Sequence[tuple[str, int]], place: Place) -> list[float]:
        """Return what is left of each route's weight: 0 to 1. Each comes with its price."""

    def trips(self, route: str) -> bool:
        """Say whether a route is asked only when there is no other."""

    def half_open(self) -> tuple[str, ...]:
        """Return the routes that may be tried with single messages."""

    def probe(self, route: str) -> bool:
        """Take the right to try a route with one message."""

    def median_s(self, route: str, place: Place) -> float:
        """Return how long a route needs to the phone, half of the time."""

    def operator_of(self, msisdn: Msisdn) -> str:
        """Return the network of a number, where it is known."""


class Unjudged:
    """Takes all routes for equally good."""

    version = 0

    def watch(self, revisions: Mapping[str, int]) -> None:
        """Learn nothing."""

    def factors(self, routes: Sequence[tuple[str, int]], place: Place) -> list[float]:
        """Leave all weights as they are."""
        del place
        return [1.0] * len(routes)

    def trips(self, route: str) -> bool:
        """Trip nobody."""
        del route
        return False

    def half_open(self) -> tuple[str, ...]:
        """Try nobody."""
        return ()

    def probe(self, route: str) -> bool:
        """Try nobody."""
        del route
        return False

    def median_s(self, route: str, place: Place) -> float:
        """Take every route for as fast as can be."""
        del route, place
        return 0.0

    def operator_of(self, msisdn: Msisdn) -> str:
        """Know no networks."""
        del msisdn
        return ""


class _Plan(NamedTuple):
    """The choice for one kind of message.

    Attributes:
        ranked: All routes, best first.
        bounds: Where the shares of the routes of the first priority end, between 0 and 1.
        orders: For each of them the order that begins with it.
        little_known: The orders that begin with a route that gets hardly any traffic.
        medians_s: How long each route needs, and the longest of them.
    """

    ranked: Routes
    bounds: tuple[float, ...]
    orders: tuple[Routes, ...]
    little_known: tuple[Routes, ...]
    medians_s: Mapping[str, float]
    slowest_s: float


class RouteTable:
    """All ways out.

    Args:
        carriers: Routes without rules, for a house that has no carriers written down.
        simulated: The ways of texts to the virtual phones, in the order to try them.
        simulated_calls: The ways of calls to them.
        judge: Knows how good routes are.
        chance: Returns a number from 0 to 1, evenly spread. Without it the best route always comes first.
        exploration: The share of messages that go first to a little known route.
        at_home: Says whether a tenant is established in a country; then it sends nothing there from abroad.

    Attributes:
        speaking: The routes of calls; every event asks for them.
        calls: Those to real phones.
    """

    def __init__(
        self,
        *,
        carriers: Sequence[Route] = (),
        simulated: Sequence[Route] = (),
        simulated_calls: Sequence[Route] = (),
        judge: Judge | None = None,
        chance: Callable[[], float] | None = None,
        exploration: float = EXPLORATION,
        at_home: Callable[[int, str], bool] = lambda _tenant, country: country == "IN",
    ) -> None:
        self._judge: Judge = judge or Unjudged()
        self._simulated = tuple(simulated)
        self._simulated_calls = tuple(simulated_calls)
        self._chance, self._exploration, self._at_home = chance, exploration, at_home
        self.calls = CallWays()
        self.speaking: Routes = self._simulated_calls
        self._version = -1
        self._plans: dict[tuple[int, str, str, str], _Plan] = {}
        self._half_open: tuple[str, ...] = ()
        self._much_worse: set[tuple[str, Place]] = set()
        self._use(())
        # Until its carriers are known a table says nothing of them: else they would be taken for gone.
        if carriers:
            self.replace((Carrier(name=route.name, kind=CarrierKind.SMPP), route) for route in carriers)

    def replace(self, entries: Iterable[Entry]) -> None:
        """Send by these carriers from now on."""
        active = [entry for entry in entries if entry[0].state is CarrierState.ACTIVE]
        self.calls.replace(entry for entry in active if entry[0].kind in SPEAKING)
        self.speaking = (*self._simulated_calls, *self.calls.routes)
        self._use([entry for entry in active if entry[0].kind not in SPEAKING])
        self._judge.watch({carrier.name: carrier.revision for carrier, _ in active})

    def _use(self, active: Sequence[Entry]) -> None:
        self._entries = active
        lanes = [carrier.lane for carrier, _ in active]
        self._tenants_matter = any(lane.tenants or lane.international for lane in lanes)
        # Of the number, only as many digits as a rule looks at make one kind of message.
        self._digits = max((len(prefix) for lane in lanes for prefix in lane.prefixes), default=0)
        self._plans.clear()

    def carry(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> bool:
        """Say whether there is any way."""
        return bool(self.ways(mode, channel, tenant, msisdn))

    def ways(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> Routes:
        """Return all ways."""
        if channel is not Channel.SMS:
            return self._simulated_calls if mode is Mode.TEST else self.calls.routes
        return self._simulated if mode is Mode.TEST else self._plan(tenant, msisdn).ranked

    def order(self, wanted: Wanted) -> Sequence[Route]:
        """Return the routes a message may take, best first."""
        if wanted.channel is not Channel.SMS:
            routes = self._calls(wanted)
        elif wanted.mode is Mode.TEST:
            routes = self._simulated
        else:
            plan = self._plan(wanted.tenant, wanted.msisdn)
            routes = plan.ranked if wanted.anew or wanted.tried else self._drawn(plan)
            if wanted.remaining_s <= plan.slowest_s:
                medians_s = plan.medians_s
                routes = tuple(route for route in routes if wanted.remaining_s > medians_s[route.name])
        if not wanted.tried:
            for route in routes:
                if not route.available:
                    break
            else:
                return routes
        return sorted(routes, key=lambda route: (not route.available, route.name in wanted.tried))

    def call_terms(self, mode: Mode, tenant: int, rules: CallRules, msisdn: Msisdn) -> CallTerms:
        """Say whether a number may be called, and at which price; virtual phones cost nothing."""
        return FREE if mode is Mode.TEST else self.calls.terms(tenant, rules, msisdn)

    def _calls(self, wanted: Wanted) -> Routes:
        if wanted.mode is Mode.TEST:
            return self._simulated_calls
        return self.calls.order(wanted.tenant, wanted.calls, wanted.msisdn)

    def shares(
        self, tenant: int, msisdn: Msisdn, *, down: Collection[str] = ()
    ) -> tuple[Place, dict[str, float]]:
        """Return where a number is, and the chance of each route to be asked first for a message to it.

        Routes that are down are passed by. Whether one is up now does not count, nor do the single messages
        that try a broken one.
        """
        plan = self._plan(tenant, msisdn)
        place = Place(country_of(msisdn), self._judge.operator_of(msisdn))
        if self._chance is None or not plan.bounds:
            drawn = [(plan.ranked, 1.0)]
        else:
            ends = (0.0, *plan.bounds, 1.0)
            drawn = [
                (order, end - begin) for order, (begin, end) in zip(plan.orders, pairwise(ends), strict=True)
            ]
        if self._chance is not None and plan.little_known:
            explored = self._exploration
            drawn = [(order, chance * (1 - explored)) for order, chance in drawn]
            drawn += [(order, explored / len(plan.little_known)) for order in plan.little_known]
        chances: dict[str, float] = {}
        for order, chance in drawn:
            first = next((route.name for route in order if route.name not in down), None)
            if first is not None:
                chances[first] = chances.get(first, 0.0) + chance
        return place, chances

    def median_s(self, route: str, msisdn: Msisdn) -> float:
        """Return how long a route needs to a phone, half of the time."""
        return self._judge.median_s(route, Place(country_of(msisdn), self._judge.operator_of(msisdn)))

    def _drawn(self, plan: _Plan) -> Routes:
        """Choose who is first."""
        if self._half_open:
            for route in plan.ranked:
                if route.name in self._half_open and route.available and self._judge.probe(route.name):
                    self._half_open = self._judge.half_open()
                    return _led_by(route, plan.ranked)
        if self._chance is None:
            return plan.ranked
        drawn = self._chance()
        if plan.little_known:
            share = self._exploration
            if drawn < share:
                return plan.little_known[int(drawn / share * len(plan.little_known))]
            drawn = (drawn - share) / (1 - share)
        return plan.orders[bisect(plan.bounds, drawn)] if plan.bounds else plan.ranked

    def _plan(self, tenant: int, msisdn: Msisdn) -> _Plan:
        judge = self._judge
        if judge.version != self._version:
            self._plans.clear()
            self._half_open = judge.half_open()
            self._version = judge.version
        country, operator = country_of(msisdn), judge.operator_of(msisdn)
        digits = msisdn[1 : 1 + self._digits] if self._digits else ""
        key = (tenant if self._tenants_matter else 0, country, operator, digits)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = self._prepared(tenant, Place(country, operator), digits)
        return plan

    def _prepared(self, tenant: int, place: Place, digits: str) -> _Plan:
        at_home = self._at_home(tenant, place.country) if self._tenants_matter else False
        fitting = [
            (carrier, route)
            for carrier, route in self._entries
            if fits(carrier.lane, tenant=tenant, place=place, digits=digits, at_home=at_home)
        ]
        factors = self._judge.factors(
            [(carrier.name, carrier.lane.price_micros) for carrier, _ in fitting], place
        )
        ranks = sorted(
            (self._rank(carrier, factor, place), n)
            for n, ((carrier, _), factor) in enumerate(zip(fitting, factors, strict=True))
        )
        ranked = tuple(fitting[n][1] for _, n in ranks)
        medians_s = {route.name: self._judge.median_s(route.name, place) for route in ranked}
        first = [rank for rank, _ in ranks if rank.group == ranks[0][0].group and rank.share > 0]
        sums = list(accumulate(rank.share for rank in first))
        little_known = [
            route
            for (rank, _), route in zip(ranks, ranked, strict=True)
            if not rank.trips and not (rank in first and rank.share >= LITTLE * sums[-1])
        ]
        return _Plan(
            ranked,
            tuple(part / sums[-1] for part in sums[:-1]),
            tuple(_led_by(route, ranked) for route in ranked[: len(first)]),
            tuple(_led_by(route, ranked) for route in little_known),
            medians_s,
            max(medians_s.values(), default=0.0),
        )

    def _rank(self, carrier: Carrier, factor: float, place: Place) -> "_Rank":
        where, lane = (carrier.name, place), carrier.lane
        if factor < (FAIR_AGAIN if where in self._much_worse else MUCH_WORSE):
            if len(self._much_worse) < PLANS_MAX:
                self._much_worse.add(where)
        else:
            self._much_worse.discard(where)
        return _Rank(
            self._judge.trips(carrier.name),
            where in self._much_worse,
            lane.priority,
            -lane.weight * factor,
            lane.price_micros,
        )


class _Rank(NamedTuple):
    """Where a route stands; the smaller the better."""

    trips: bool
    much_worse: bool
    priority: int
    minus_share: float
    price_micros: int

    @property
    def group(self) -> tuple[bool, bool, int]:
        """Whom it shares the traffic with."""
        return self.trips, self.much_worse, self.priority

    @property
    def share(self) -> float:
        """Its share, before all shares are made to sum up to 1."""
        return -self.minus_share


def _led_by(first: Route, ranked: Routes) -> Routes:
    """Return all routes, that one first."""
    return (first, *(route for route in ranked if route is not first))
