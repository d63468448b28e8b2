"""What the admin API tells of routes: how good each is where, and what other rules would change."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dastak.carriers.fleet import Fleet
from dastak.core.carrier import CARRIERS_MAX, Carrier, CarrierState
from dastak.delivery.breaker import Breaker, BreakerState
from dastak.delivery.health import Health
from dastak.delivery.scores import Standing
from dastak.delivery.what_if import Outlook

HOURS_MAX: Final = 24

Share = Annotated[float, Meta(ge=0, le=1)]


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """How good a route is in a country, or on one network of it."""

    country: Annotated[str, Meta(description="ISO region; empty where no numbering plan knows the number.")]
    operator: Annotated[str, Meta(description="MCC and MNC; empty is the whole country.")]
    score: Annotated[float, Meta(description="The product of the five shares below.")]
    weight_left: Annotated[float, Meta(description="What the score leaves of its weight beside the others.")]
    submitted: Annotated[float, Meta(description="Submits that were not refused by a fault of the route.")]
    unthrottled: Annotated[float, Meta(description="Submits that were not throttled.")]
    arrived: Annotated[float, Meta(description="Texts whose receipt said delivered by the deadline.")]
    prompt: Annotated[float, Meta(description="The worth of the time they took; half after ten seconds.")]
    entered: Annotated[float, Meta(description="Codes typed, of the texts that were said to have arrived.")]
    entered_low: Annotated[Share, Meta(description="The 95 % interval of what was counted of that.")]
    entered_high: Share
    receipts: Annotated[float, Meta(description="For how many texts `arrived` speaks; old ones count less.")]
    entries: Annotated[float, Meta(description="For how many texts `entered` speaks.")]
    p50_s: Annotated[float | None, Meta(description="Half of the receipts came within this; null: none yet.")]
    p95_s: float | None
    median_s: Annotated[float, Meta(description="A code with less life left is not sent this way.")]
    deadline_s: Annotated[float, Meta(description="Without a receipt by then the next way is due.")]


class BreakerView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether messages are kept away from a route that fails."""

    state: Annotated[
        BreakerState,
        Meta(
            description="`closed` takes every message; `open` none while there is another way; `half_open` "
            "one at a time; `broken` none until an operator acts."
        ),
    ]
    why: str
    since: Annotated[datetime | None, Meta(description="Null: it was never anything but closed.")]
    back_off_s: Annotated[float, Meta(description="How long an open one waits before it tries again.")]


class MarkView(msgspec.Struct, frozen=True, kw_only=True):
    """Why receipts of a route that say delivered are not believed."""

    sign: Annotated[str, Meta(examples=["few_entries"])]
    why: str
    since: datetime
    weight_left: Share
    figures: dict[str, float]


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """One route with what was learned of it."""

    name: str
    state: CarrierState
    priority: int
    weight: int
    price_micros: int
    available: Annotated[bool, Meta(description="Whether it can take a message now.")]
    believed: Annotated[bool, Meta(description="Whether its receipts that say delivered stop the clocks.")]
    mark: MarkView | None
    breaker: BreakerView
    places: tuple[PlaceView, ...]


class RoutesView(msgspec.Struct, frozen=True, kw_only=True):
    """All routes, in the order they are asked."""

    routes: tuple[RouteView, ...]


class WhatIfBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask what other rules would change."""

    lanes: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            min_length=1,
            max_length=CARRIERS_MAX,
            description="By carrier: the fields of its lane that would be others, and `state`.",
            examples=[{"airtel_otp": {"weight": 30}, "bulk_http": {"state": "draining"}}],
        ),
    ]
    hours: Annotated[int, Meta(ge=1, le=HOURS_MAX, description="Replay the texts of so many hours.")] = (
        HOURS_MAX
    )


class WhatIfView(msgspec.Struct, frozen=True, kw_only=True):
    """What other rules would change, judged by the scores of now."""

    since: datetime
    complete: Annotated[bool, Meta(description="False: there were more texts, and the newest were replayed.")]
    outlook: Outlook


def route_view(carrier: Carrier, fleet: Fleet, health: Health) -> RouteView:
    """Show a route with what was learned of it."""
    opened, mark = fleet.find(carrier.name), health.marks().get(carrier.name)
    return RouteView(
        name=carrier.name,
        state=carrier.state,
        priority=carrier.lane.priority,
        weight=carrier.lane.weight,
        price_micros=carrier.lane.price_micros,
        available=opened is not None and opened[1].available,
        believed=mark is None,
        mark=None
        if mark is None
        else MarkView(
            sign=mark.sign,
            why=mark.why,
            since=_instant(mark.since_s),
            weight_left=mark.factor,
            figures=_rounded(mark.figures),
        ),
        breaker=_breaker_view(health.breakers().get(carrier.name, Breaker())),
        places=tuple(map(_place_view, health.standings(carrier.name))),
    )


def _breaker_view(breaker: Breaker) -> BreakerView:
    return BreakerView(
        state=breaker.state,
        why=breaker.why,
        since=_instant(breaker.since_s) if breaker.since_s else None,
        back_off_s=breaker.back_off_s,
    )


def _place_view(standing: Standing) -> PlaceView:
    figures = msgspec.structs.asdict(standing.figures)
    del figures["route"]
    return PlaceView(
        **figures,
        weight_left=standing.weight_left,
        median_s=standing.median_s,
        deadline_s=standing.deadline_s,
    )


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
