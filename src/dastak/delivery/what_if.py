"""Replay recorded texts against other rules before they apply: who would have been asked first, and for what.

1. Nothing is drawn: a text counts for each route by the route's chance to be asked first, so that the same
   question has the same answer.
2. Both sides are judged by the scores of now; what differs is the rules alone. A route takes no text that
   began while it was down, by either of them.
3. The replay only looks. It takes no probe, and neither scores nor breakers change by it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from dastak.core.carrier import Carrier, CarrierState, Lane
from dastak.core.errors import CarrierUnavailable, InvalidRequest
from dastak.core.message import CarrierRef, RecordedText
from dastak.core.way_out import Outgoing
from dastak.delivery.downtime import Downtime
from dastak.delivery.networks import Place
from dastak.delivery.routing import EXPLORATION, Judge, RouteTable
from dastak.delivery.scores import Chances

# What a text is expected to become on a route at a place: the chance to arrive, and to be typed.
Expect = Callable[[str, Place], Chances]
# A field of a lane, or its state.
Changes = Mapping[str, Mapping[str, Any]]

STATE: Final = "state"
ALWAYS_UP: Final = Downtime({}, broken=())


class Prospect(msgspec.Struct, kw_only=True):
    """What some texts would become under one set of rules.

    Attributes:
        texts: How many would be asked of the route first; not whole, for shares are not.
        share: Of all texts that have a way.
        arrived: How many of them would reach the phone.
        entered: How many codes would be typed.
        cost_micros: What their segments would cost, in millionths of the currency.
    """

    texts: float = 0.0
    share: float = 0.0
    arrived: float = 0.0
    entered: float = 0.0
    cost_micros: float = 0.0

    def add(self, share: float, chances: Chances, cost_micros: int) -> None:
        """Count a part of a text."""
        self.texts += share
        self.arrived += share * chances.arrived
        self.entered += share * chances.entered
        self.cost_micros += share * cost_micros


class RouteOutlook(msgspec.Struct, kw_only=True):
    """One route: what it would get by the rules of now, and by the others.

    Attributes:
        took: How many texts it took in truth.
        down: How many began while it was down.
    """

    route: str
    took: int = 0
    down: int = 0
    now: Prospect = msgspec.field(default_factory=Prospect)
    then: Prospect = msgspec.field(default_factory=Prospect)


class Outlook(msgspec.Struct, kw_only=True):
    """What other rules would change.

    Attributes:
        texts: How many were replayed.
        without_route_now: How many of them have no way that was up by the rules of now, and by the others.
        now: All routes together.
    """

    texts: int
    without_route_now: int
    without_route_then: int
    now: Prospect
    then: Prospect
    routes: tuple[RouteOutlook, ...]


class Replay:
    """Counts texts under two sets of rules, a few at a time if the caller has something else to do.

    Args:
        carriers: As they are; those that are not active may become so.
        changed: As they would be.
        judge: Knows how good routes are.
        expect: See `Expect`.
        exploration: See `RouteTable`.
        downtime: Which routes were down when.
    """

    def __init__(
        self,
        carriers: Sequence[Carrier],
        changed: Sequence[Carrier],
        *,
        judge: Judge,
        expect: Expect,
        exploration: float = EXPLORATION,
        downtime: Downtime = ALWAYS_UP,
    ) -> None:
        self._now = _Side(carriers, judge, expect, exploration)
        self._then = _Side(changed, judge, expect, exploration)
        self._took: dict[str, int] = {carrier.name: 0 for carrier in carriers}
        self._downtime = downtime
        self._down = dict.fromkeys(self._took, 0)
        self._texts = 0

    def add(self, texts: Iterable[RecordedText]) -> None:
        """Replay some texts."""
        for text in texts:
            self._texts += 1
            if text.route:
                self._took[text.route] = self._took.get(text.route, 0) + 1
            down = self._downtime.at(text.at_ms)
            for route in down & self._down.keys():
                self._down[route] += 1
            self._now.add(text, down)
            self._then.add(text, down)

    def outlook(self) -> Outlook:
        """Return what was counted."""
        return Outlook(
            texts=self._texts,
            without_route_now=self._now.without_route,
            without_route_then=self._then.without_route,
            now=self._now.total(),
            then=self._then.total(),
            routes=tuple(
                RouteOutlook(
                    route=name,
                    took=took,
                    down=self._down.get(name, 0),
                    now=self._now.of(name),
                    then=self._then.of(name),
                )
                for name, took in self._took.items()
            ),
        )


def with_changes(carriers: Sequence[Carrier], changes: Changes) -> tuple[Carrier, ...]:
    """Return carriers with some fields of their lanes, or their states, as they would be.

    Raises:
        InvalidRequest: There is no such carrier, or a value is not valid.
    """
    known = {carrier.name for carrier in carriers}
    for name in changes:
        if name not in known:
            raise InvalidRequest(f"There is no carrier {name[:40]!r}.", field="lanes")
    return tuple(_changed(carrier, changes.get(carrier.name, {})) for carrier in carriers)


def _changed(carrier: Carrier, fields: Mapping[str, Any]) -> Carrier:
    lane = {name: value for name, value in fields.items() if name != STATE}
    try:
        return msgspec.structs.replace(
            carrier,
            state=msgspec.convert(fields.get(STATE, carrier.state), CarrierState),
            lane=msgspec.convert({**msgspec.to_builtins(carrier.lane), **lane}, Lane),
        )
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{carrier.name}: {error}.", field="lanes") from error


class _Side:
    """The texts under one set of rules."""

    def __init__(self, carriers: Sequence[Carrier], judge: Judge, expect: Expect, exploration: float) -> None:
        self._table = RouteTable(judge=_AsOfNow(judge), chance=lambda: 0.0, exploration=exploration)
        self._table.replace((carrier, _OnPaper(carrier.name)) for carrier in carriers)
        self._prices = {carrier.name: carrier.lane.price_micros for carrier in carriers}
        self._expect = expect
        self._chances: dict[tuple[str, Place], Chances] = {}
        self._prospects: dict[str, Prospect] = {}
        self.without_route = 0

    def add(self, text: RecordedText, down: Collection[str]) -> None:
        """Replay one text that began while these routes were down."""
        place, shares = self._table.shares(text.tenant, text.msisdn, down=down)
        if not shares:
            self.without_route += 1
        for route, share in shares.items():
            chances = self._chances.get((route, place))
            if chances is None:
                chances = self._chances[route, place] = self._expect(route, place)
            prospect = self._prospects.setdefault(route, Prospect())
            prospect.add(share, chances, text.segments * self._prices[route])

    def of(self, route: str) -> Prospect:
        """Return what a route gets."""
        prospect = self._prospects.get(route, Prospect())
        routed = sum(other.texts for other in self._prospects.values())
        return msgspec.structs.replace(prospect, share=prospect.texts / routed if routed else 0.0)

    def total(self) -> Prospect:
        """Return what all of them get."""
        prospects = self._prospects.values()
        return Prospect(
            texts=sum(one.texts for one in prospects),
            share=1.0 if prospects else 0.0,
            arrived=sum(one.arrived for one in prospects),
            entered=sum(one.entered for one in prospects),
            cost_micros=sum(one.cost_micros for one in prospects),
        )


class _AsOfNow:
    """A judge that can be asked and not moved.

    It trips nobody: a breaker that is open now was closed for most of the texts, and downtime has the rest.
    """

    version = 0

    def __init__(self, judge: Judge) -> None:
        self.factors = judge.factors
        self.median_s, self.operator_of = judge.median_s, judge.operator_of

    def watch(self, revisions: Mapping[str, int]) -> None:
        """Learn nothing: the routes are only thought of."""

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


class _OnPaper:
    """A route that is ranked and never used."""

    available = True
    in_flight_max = 1

    def __init__(self, name: str) -> None:
        self.name = name

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Refuse: what was sent once is not sent again to see what would happen."""
        del outgoing
        raise CarrierUnavailable("This route is only thought of.")
