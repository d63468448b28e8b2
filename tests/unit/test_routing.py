"""Which routes a message may take, and in which order: rules, weights, prices and health."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dastak.core.carrier import Carrier, CarrierKind, CarrierState, Lane
from dastak.core.message import CarrierRef
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.core.way_out import Outgoing, Wanted
from dastak.delivery.lane_rules import fits
from dastak.delivery.networks import Place
from dastak.delivery.routing import EXPLORATION, LITTLE, RouteTable, Unjudged
from tests.support.samples import MSISDN

BRITON = Msisdn("+447400123456")
AIRTEL, JIO = "40410", "405857"
DRAWS = 20_000


class Named:
    """A route that is ranked and never used."""

    def __init__(self, name: str) -> None:
        self.name, self.available = name, True

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        raise AssertionError(f"{self.name} is only ranked")


class Opinion(Unjudged):
    """Leaves so much of each route's weight, and knows some networks."""

    def __init__(
        self, factors: Mapping[str, float] | None = None, networks: Mapping[Msisdn, str] | None = None
    ) -> None:
        self._factors, self._networks = factors or {}, networks or {}

    def factors(self, routes: Sequence[tuple[str, int]], place: Place) -> list[float]:
        return [self._factors.get(name, 1.0) for name, _ in routes]

    def operator_of(self, msisdn: Msisdn) -> str:
        return self._networks.get(msisdn, "")


def table(*lanes: tuple[str, Lane], judge: Opinion | None = None, seed: int | None = None) -> RouteTable:
    """Make a table; without a seed nothing is left to chance."""
    chance = None if seed is None else random.Random(seed).random
    made = RouteTable(judge=judge, chance=chance)
    made.replace((Carrier(name=name, kind=CarrierKind.SMPP, lane=lane), Named(name)) for name, lane in lanes)
    return made


def order(of: RouteTable, msisdn: Msisdn = MSISDN, tenant: int = 1, **wanted: Any) -> list[str]:
    asked = Wanted(
        mode=Mode.LIVE, channel=Channel.SMS, tenant=tenant, msisdn=msisdn, remaining_s=300.0, **wanted
    )
    return [route.name for route in of.order(asked)]


def drawn(of: RouteTable) -> dict[str, float]:
    firsts = Counter(order(of)[0] for _ in range(DRAWS))
    return {name: count / DRAWS for name, count in firsts.items()}


def test_country_decides_who_may_carry() -> None:
    routes = table(("india", Lane(countries=("IN",))), ("britain", Lane(countries=("GB",))), ("all", Lane()))

    assert order(routes, MSISDN) == ["india", "all"]
    assert order(routes, BRITON) == ["britain", "all"]


def test_network_decides_where_it_is_known_and_an_unknown_one_takes_no_lane_of_networks() -> None:
    judge = Opinion(networks={MSISDN: AIRTEL, Msisdn("+919800000001"): JIO})
    routes = table(("airtel", Lane(operators=(AIRTEL,))), ("all", Lane(priority=200)), judge=judge)

    assert order(routes, MSISDN) == ["airtel", "all"]
    assert order(routes, Msisdn("+919800000001")) == ["all"]
    assert order(routes, Msisdn("+919800000002")) == ["all"]


def test_prefix_decides_however_long_the_prefixes_of_others_are() -> None:
    routes = table(
        ("short", Lane(prefixes=("9198", "44"))), ("long", Lane(prefixes=("919876543",))), ("none", Lane())
    )

    assert order(routes, Msisdn("+919876543210")) == ["short", "long", "none"]
    assert order(routes, Msisdn("+919811111111")) == ["short", "none"]
    assert order(routes, Msisdn("+917011111111")) == ["none"]


def test_tenant_decides_and_others_do_not_see_the_lane() -> None:
    routes = table(("own", Lane(tenants=(2,), priority=1)), ("all", Lane()))

    assert order(routes, tenant=2) == ["own", "all"]
    assert order(routes, tenant=1) == ["all"]


def test_route_that_leaves_the_country_is_not_for_who_is_at_home_there() -> None:
    routes = table(("abroad", Lane(international=True)))

    assert order(routes, MSISDN) == []
    assert order(routes, BRITON) == ["abroad"]


@pytest.mark.parametrize("state", [CarrierState.DRAINING, CarrierState.OFF])
def test_carrier_that_is_not_active_takes_nothing(state: CarrierState) -> None:
    routes = RouteTable()
    routes.replace([(Carrier(name="north", kind=CarrierKind.SMPP, state=state), Named("north"))])

    assert order(routes) == []
    assert not routes.carry(Mode.LIVE, Channel.SMS, 1, MSISDN)


def test_lower_priority_number_is_asked_first_whatever_the_weights() -> None:
    routes = table(("heavy", Lane(priority=20, weight=1000)), ("light", Lane(priority=10, weight=1)))

    assert order(routes) == ["light", "heavy"]


def test_price_decides_between_equals_only() -> None:
    equals = table(("dear", Lane(price_micros=200)), ("cheap", Lane(price_micros=100)))
    unequal = table(("dear", Lane(price_micros=200, weight=101)), ("cheap", Lane(price_micros=100)))

    assert order(equals) == ["cheap", "dear"]
    assert order(unequal) == ["dear", "cheap"]


@pytest.mark.parametrize("seed", [1, 2])
def test_weights_are_shares_of_the_traffic(seed: int) -> None:
    routes = table(("most", Lane(weight=70)), ("some", Lane(weight=30)), seed=seed)
    shares = drawn(routes)

    # Chance alone moves the share by 0.003; five times that is no chance.
    assert shares == pytest.approx({"most": 0.7, "some": 0.3}, abs=0.016)


def test_weight_of_nothing_is_for_tries_and_second_attempts() -> None:
    routes = table(("all", Lane(weight=100)), ("spare", Lane(weight=0)), seed=1)

    assert drawn(routes)["spare"] == pytest.approx(EXPLORATION, abs=0.006)
    assert order(routes, tried=("all",)) == ["spare", "all"]


def test_health_takes_from_the_weight_and_much_worse_is_asked_last_whatever_its_priority() -> None:
    half = table(("well", Lane()), ("ill", Lane()), judge=Opinion({"ill": 0.5}), seed=1)
    dying = table(("ill", Lane(priority=1)), ("well", Lane(priority=2)), judge=Opinion({"ill": 0.1}))

    assert drawn(half)["ill"] == pytest.approx(1 / 3, abs=0.017)
    assert order(dying) == ["well", "ill"]


@pytest.mark.parametrize(
    "lanes",
    [
        {"one": Lane()},
        {"one": Lane(weight=70), "two": Lane(weight=30)},
        {"one": Lane(weight=1000), "two": Lane(weight=1), "three": Lane(priority=200)},
        {"one": Lane(weight=0), "two": Lane(weight=0)},
        {"one": Lane(countries=("GB",))},
    ],
    ids=["alone", "weighted", "little_known", "weightless", "nobody"],
)
def test_shares_are_what_is_drawn(lanes: Mapping[str, Lane]) -> None:
    routes = table(*lanes.items(), seed=3)
    place, shares = routes.shares(1, MSISDN)

    counted = drawn(routes) if shares else {}
    assert place == Place("IN")
    assert sum(shares.values()) == pytest.approx(1.0 if shares else 0.0)
    assert {name: counted.get(name, 0.0) for name in shares} == pytest.approx(shares, abs=0.018)


def test_second_message_of_a_person_is_no_time_to_try_something_out() -> None:
    routes = table(("main", Lane(weight=100)), ("little", Lane(weight=1)), seed=1)

    assert LITTLE > 1 / 101
    assert {order(routes, anew=True)[0] for _ in range(1000)} == {"main"}


def test_every_rule_of_a_lane_must_allow() -> None:
    lane = Lane(countries=("IN",), operators=(AIRTEL,), prefixes=("9198",), tenants=(1,), international=True)
    allowed: dict[str, Any] = {
        "tenant": 1,
        "place": Place("IN", AIRTEL),
        "digits": "9198",
        "at_home": False,
    }
    others = {"tenant": 2, "place": Place("IN", JIO), "digits": "9197", "at_home": True}

    assert fits(lane, **allowed)
    assert [fits(lane, **{**allowed, name: other}) for name, other in others.items()] == [False] * 4
