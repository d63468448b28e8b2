"""What-if: traffic that ran is replayed against other rules; nothing changes by asking."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from dastak.core.carrier import Carrier, CarrierChange, CarrierState, Lane
from dastak.core.errors import InvalidRequest
from dastak.core.message import RecordedText
from dastak.delivery.downtime import DOWN, LINK, UP, Downtime
from dastak.delivery.networks import Place
from dastak.delivery.scores import Chances
from dastak.delivery.what_if import Outlook, Replay, RouteOutlook, with_changes
from tests.support.samples import some_msisdn
from tests.support.scripted_traffic import Offer, Script, Traffic, recorded, share

PER_S = 5.0
Lanes = Mapping[str, Mapping[str, Any]]


def two(**lanes: Lane) -> Traffic:
    """Two routes: half of what bad takes never arrives, and it says so by silence."""
    good = Script("good", lane=lanes.get("good", Lane(price_micros=200)), reaches=0.97)
    bad = Script("bad", lane=lanes.get("bad", Lane(price_micros=50)), reaches=0.5, honest=True)
    return Traffic(good, bad, seed=5)


def ask(traffic: Traffic, offers: list[Offer], changes: Lanes) -> Outlook:
    replay = Replay(
        traffic.carriers,
        with_changes(traffic.carriers, changes),
        judge=traffic.health,
        expect=traffic.health.chances,
    )
    replay.add(recorded(offers))
    return replay.outlook()


def of(outlook: Outlook, name: str) -> RouteOutlook:
    return next(route for route in outlook.routes if route.route == name)


def test_what_if_foretells_the_shares_that_other_weights_bring() -> None:
    good, bad = Script("good"), Script("other")
    traffic = Traffic(good, bad, seed=7)
    offers = traffic.run(600, per_s=PER_S)
    outlook = ask(traffic, offers, {"good": {"weight": 300}})

    traffic.carriers = list(with_changes(traffic.carriers, {"good": {"weight": 300}}))
    traffic.table.replace(zip(traffic.carriers, (good, bad), strict=True))
    came = traffic.run(600, per_s=PER_S)

    assert outlook.texts == len(offers)
    assert of(outlook, "good").now.share == pytest.approx(share(offers, "good"), abs=0.1)
    assert of(outlook, "good").then.share == pytest.approx(0.75, abs=0.05)
    assert share(came, "good") == pytest.approx(of(outlook, "good").then.share, abs=0.08)


def test_what_if_tells_what_leaving_a_bad_route_brings_and_costs() -> None:
    traffic = two()
    offers = traffic.run(900, per_s=PER_S)

    outlook = ask(traffic, offers, {"bad": {"state": "draining"}, "good": {"price_micros": 300}})
    none_left = ask(traffic, offers, {name: {"state": "off"} for name in ("good", "bad")})

    good, bad = of(outlook, "good"), of(outlook, "bad")
    assert good.took + bad.took == sum(offer.route != "" for offer in offers)
    assert (bad.then.texts, bad.then.share, good.then.share) == (0.0, 0.0, 1.0)
    assert good.then.texts == pytest.approx(len(offers))
    assert good.then.cost_micros == pytest.approx(300 * len(offers))
    assert outlook.then.arrived > outlook.now.arrived
    assert outlook.then.entered > outlook.now.entered
    assert (outlook.without_route_now, outlook.without_route_then) == (0, 0)
    assert (none_left.without_route_now, none_left.without_route_then) == (0, len(offers))
    assert none_left.then.texts == 0.0


def test_every_text_is_counted_once_on_each_side() -> None:
    traffic = two(bad=Lane(countries=("GB",)))
    texts = [RecordedText(1, some_msisdn(n), 1 + n % 3, "good", n) for n in range(300)]
    replay = Replay(
        traffic.carriers,
        with_changes(traffic.carriers, {"good": {"prefixes": ["91980000000"]}}),
        judge=traffic.health,
        expect=lambda _route, place: Chances(1.0, 0.5) if place == Place("IN") else Chances(0.0, 0.0),
    )
    for begin in range(0, len(texts), 100):
        replay.add(texts[begin : begin + 100])
    outlook = replay.outlook()

    assert outlook.now.texts == pytest.approx(300)
    assert outlook.now.arrived == pytest.approx(300)
    assert outlook.then.texts + outlook.without_route_then == pytest.approx(300)
    assert outlook.without_route_then == 290
    assert outlook.then.entered == pytest.approx(5)


def test_text_that_began_while_a_route_was_down_goes_by_another_whatever_the_rules() -> None:
    traffic = two()
    at = datetime(2026, 11, 28, 9, tzinfo=UTC)
    lines = [
        CarrierChange(carrier="bad", at=at + timedelta(seconds=s), who=LINK, what=what, why="")
        for s, what in ((100, DOWN), (200, UP))
    ]
    replay = Replay(
        traffic.carriers,
        with_changes(traffic.carriers, {"good": {"weight": 0, "priority": 900}}),
        judge=traffic.health,
        expect=lambda _route, _place: Chances(1.0, 1.0),
        exploration=0.0,
        downtime=Downtime(
            {"bad": lines, "good": [msgspec.structs.replace(lines[0], carrier="good")]}, broken=()
        ),
    )
    began = [int(at.timestamp() * 1000) + s * 1000 for s in (50, 150, 250)]

    replay.add([RecordedText(1, some_msisdn(n), 1, "bad", at_ms) for n, at_ms in enumerate(began)])
    outlook = replay.outlook()

    assert [of(outlook, name).down for name in ("good", "bad")] == [2, 1]
    assert (outlook.without_route_now, outlook.without_route_then) == (1, 1)
    assert of(outlook, "bad").then.texts == pytest.approx(2)
    assert of(outlook, "good").then.texts == 0
    assert of(outlook, "good").now.texts == pytest.approx(0.5)


def test_asking_changes_nothing() -> None:
    traffic = two()
    offers = traffic.run(300, per_s=PER_S)
    before = (traffic.health.version, traffic.health.snapshot(), len(traffic.told))

    ask(traffic, offers, {"bad": {"weight": 1}})

    assert (traffic.health.version, traffic.health.snapshot(), len(traffic.told)) == before


def test_same_question_has_the_same_answer() -> None:
    traffic = two()
    offers = traffic.run(300, per_s=PER_S)

    assert ask(traffic, offers, {"bad": {"weight": 1}}) == ask(traffic, offers, {"bad": {"weight": 1}})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nobody": {"weight": 1}}, "There is no carrier 'nobody'."),
        ({"good": {"weight": -1}}, "good: "),
        ({"good": {"wight": 1}}, "good: "),
        ({"good": {"state": "asleep"}}, "good: "),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes: Lanes, told: str) -> None:
    carriers = [Carrier(name="good", kind=Traffic(Script("good")).carriers[0].kind)]

    with pytest.raises(InvalidRequest) as refused:
        with_changes(carriers, changes)

    assert refused.value.detail.startswith(told)


def test_changes_leave_the_rest_of_a_carrier_as_it_is() -> None:
    traffic = two()

    changed = with_changes(traffic.carriers, {"bad": {"priority": 5, "state": "off"}})

    assert changed[0] == traffic.carriers[0]
    assert (changed[1].state, changed[1].lane) == (CarrierState.OFF, Lane(price_micros=50, priority=5))


def test_standings_are_of_every_route_and_place_as_of_the_last_tick() -> None:
    traffic = two()
    traffic.run(300, per_s=PER_S)

    standings = traffic.health.standings()

    places = [(one.figures.route, (one.figures.country, one.figures.operator)) for one in standings]
    assert places == traffic.health.scores.places()
    assert [one.figures.route for one in traffic.health.standings("bad")] == ["bad"]
    best = max(standings, key=lambda one: one.figures.score)
    assert (best.figures.route, best.weight_left) == ("good", 1.0)
