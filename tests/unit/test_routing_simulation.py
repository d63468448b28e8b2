"""Routes that die, fall silent, slow down and lie, in seeded, time-scaled traffic over the real table."""

from statistics import pstdev

import pytest

from dastak.core.carrier import Lane
from dastak.delivery.breaker import BreakerState
from dastak.delivery.false_receipts import SIGMAS, UNTRUSTED_S
from tests.support.scripted_traffic import BEGIN_S, Script, Traffic, share, start_to_phone_s

PER_S = 20.0
MAIN, BACKUP = Lane(priority=1), Lane(priority=2)


def shares_of(traffic: Traffic, name: str, windows: int, *, each_s: float, per_s: float) -> list[float]:
    return [share(traffic.run(each_s, per_s=per_s), name) for _ in range(windows)]


@pytest.fixture(params=[1, 2, 3])
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_dying_route_loses_nothing_and_comes_back_by_single_messages(seed: int) -> None:
    dying, other = Script("dying"), Script("other")
    traffic = Traffic(dying, other, seed=seed)
    traffic.run(60, per_s=PER_S)
    dying.linked = False
    during = traffic.run(60, per_s=PER_S)
    traffic.run(5, per_s=0.001)
    opened = traffic.health.breakers()["dying"].state
    dying.linked = True
    traffic.run(120, per_s=PER_S)
    after = traffic.run(60, per_s=PER_S)

    # All but those that tried whether it works again went elsewhere first, and all were taken within 2 s.
    assert opened in (BreakerState.OPEN, BreakerState.HALF_OPEN)
    assert sum(offer.first == "dying" for offer in during) <= 15
    assert all(offer.route == "other" and offer.submitted_s - offer.at_s <= 2.0 for offer in during)
    assert 0.4 <= share(after, "dying") <= 0.6
    assert [(change.factor, change.route) for change in traffic.told if not change.country] == [
        (0.0, "dying"),
        (1.0, "dying"),
    ]


def test_route_that_answers_nothing_is_left_before_many_wait_for_it(seed: int) -> None:
    hole, other = Script("hole"), Script("other")
    traffic = Traffic(hole, other, seed=seed)
    traffic.run(60, per_s=PER_S)
    hole.answers = False
    during = traffic.run(120, per_s=PER_S)

    # Those under way when the first time-outs come, 1.5 s at half of the traffic, and single ones later.
    assert sum(offer.first == "hole" for offer in during) <= 1.5 * PER_S / 2 + 25
    times_s = start_to_phone_s(during)
    assert times_s[int(0.99 * len(times_s))] <= 5.0
    assert all(offer.route == "other" for offer in during)


def test_slow_route_loses_its_share_within_a_minute_and_gets_it_back_without_swinging(seed: int) -> None:
    slowing, other = Script("slowing", latency_s=1.0), Script("other", latency_s=1.0)
    traffic = Traffic(slowing, other, seed=seed)
    before = shares_of(traffic, "slowing", 12, each_s=10, per_s=PER_S)
    slowing.latency_s = 8.0
    traffic.run(60, per_s=PER_S)
    slow = shares_of(traffic, "slowing", 24, each_s=10, per_s=PER_S)
    slowing.latency_s = 1.0
    traffic.run(120, per_s=PER_S)
    again = shares_of(traffic, "slowing", 24, each_s=10, per_s=PER_S)

    assert 0.4 <= sum(before) / len(before) <= 0.6
    assert max(slow) <= 0.15
    assert 0.4 <= sum(again) / len(again) <= 0.6
    # 200 draws at one half vary by 0.035 by chance.
    assert pstdev(before) <= 0.06
    assert pstdev(slow) <= 0.04
    assert pstdev(again) <= 0.06


@pytest.mark.parametrize("per_s", [0.5, 5.0])
def test_main_route_that_swallows_messages_stays_behind_its_backup_until_it_is_well(
    seed: int, per_s: float
) -> None:
    main, backup = Script("main", lane=MAIN), Script("backup", lane=BACKUP)
    traffic = Traffic(main, backup, seed=seed)
    well = traffic.run(300, per_s=per_s)
    main.reaches, main.silent = 0.0, True
    traffic.run(300, per_s=per_s)
    lost = shares_of(traffic, "main", 10, each_s=120, per_s=per_s)
    main.reaches, main.silent = 0.97, False
    traffic.run(1500, per_s=per_s)
    again = traffic.run(300, per_s=per_s)

    assert share(well, "main") >= 0.93
    assert max(lost) <= 0.12
    assert sum(lost) / len(lost) <= 0.06
    assert share(again, "main") >= 0.85


def test_route_with_false_receipts_is_found_and_demoted_with_figures(seed: int) -> None:
    lying, other = Script("lying", reaches=0.65, honest=False), Script("other", reaches=1.0)
    traffic = Traffic(lying, other, seed=seed)
    while "lying" not in traffic.health.marks() and traffic.now_s < 900:
        traffic.run(1, per_s=4.0)
    taken = sum(offer.route == "lying" and offer.at_s + 120.0 < traffic.now_s for offer in traffic.offers)
    traffic.run(300, per_s=4.0)
    later = traffic.run(120, per_s=4.0)

    # 0.85 of the codes are typed where the text arrives: 30 points are lost.
    mark = traffic.health.marks()["lying"]
    assert taken <= 200
    assert mark.sign == "few_entries"
    assert mark.figures["sigmas"] >= round(SIGMAS, 1)
    assert not traffic.health.trusted("lying")
    assert traffic.health.trusted("other")
    assert share(later, "lying") <= 0.08
    change = next(change for change in traffic.told if not change.country)
    assert (change.route, change.before, change.factor) == ("lying", 1.0, 0.1)
    assert change.why.startswith("receipts are not believed: of 50 texts said to be delivered ")
    assert change.at_s == pytest.approx(mark.since_s)
    assert mark.since_s > BEGIN_S


def test_route_that_stopped_lying_is_believed_again_by_the_codes_that_are_typed(seed: int) -> None:
    lying, other = Script("lying", reaches=0.65, honest=False), Script("other", reaches=1.0)
    traffic = Traffic(lying, other, seed=seed)
    while "lying" not in traffic.health.marks() and traffic.now_s < 900:
        traffic.run(1, per_s=4.0)
    lying.reaches = 1.0
    begun_s = traffic.now_s
    while "lying" in traffic.health.marks() and traffic.now_s - begun_s < UNTRUSTED_S / 2:
        traffic.run(10, per_s=4.0)

    # The few texts that it still gets are enough, long before time alone would end it.
    assert traffic.health.marks() == {}
    assert [change.factor for change in traffic.told if not change.country] == [0.1, 1.0]


def test_exploration_takes_two_to_five_in_a_hundred(seed: int) -> None:
    main, backup, spare = (
        Script("main", lane=MAIN),
        Script("backup", lane=BACKUP),
        Script("spare", lane=BACKUP),
    )
    traffic = Traffic(main, backup, spare, seed=seed)
    offers = traffic.run(600, per_s=PER_S)

    assert 0.02 <= 1 - share(offers, "main") <= 0.05
    assert abs(share(offers, "backup") - share(offers, "spare")) <= 0.01
