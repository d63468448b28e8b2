"""The OTP lane: order, fairness and bounds, by any sequence of arrivals and departures."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dastak.delivery.lane import GivenUp, OtpLane, Waiting


def every_route(_route: str) -> bool:
    return True


def waiting(what: int, *, tenant: int = 1, route: str = "alpha", expires_s: float = 300.0) -> Waiting[int]:
    return Waiting(what, tenant, route, expires_s, 4.0)


def left(lane: OtpLane[int], count: int, now_s: float = 0.0) -> list[Waiting[int]]:
    taken = [lane.take(now_s, ready=every_route)[0] for _ in range(count)]
    return [one for one in taken if one is not None]


@given(st.lists(st.floats(10, 1000), min_size=1, max_size=50))
def test_lane_serves_one_tenant_by_expiry(expiries: list[float]) -> None:
    lane: OtpLane[int] = OtpLane()
    for n, expires_s in enumerate(expiries):
        lane.add(waiting(n, expires_s=expires_s))

    served = left(lane, len(expiries))

    assert [one.expires_s for one in served] == sorted(expiries)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.integers(0, 10_000))
def test_lane_serves_tenants_in_turns(crowds: list[int], seed: int) -> None:
    lane: OtpLane[int] = OtpLane()
    for tenant, crowd in enumerate(crowds):
        for n in range(crowd):
            lane.add(waiting(n, tenant=tenant, expires_s=100.0 + (seed * (n + 1) * (tenant + 7)) % 97))

    served = Counter(one.tenant for one in left(lane, min(crowds) * len(crowds)))

    assert set(served.values()) == {min(crowds)}


def test_lane_gives_no_extra_turn_to_a_tenant_that_sends_one_at_a_time() -> None:
    lane: OtpLane[int] = OtpLane()
    for n in range(50):
        lane.add(waiting(n, tenant=1, expires_s=400.0))
    served: Counter[int] = Counter()
    for n in range(40):
        lane.add(waiting(n, tenant=2, expires_s=100.0))
        served.update(one.tenant for one in left(lane, 1))

    assert served == {1: 20, 2: 20}


def test_lane_passes_by_a_route_that_takes_nothing_and_gives_it_no_claim_to_the_time_after() -> None:
    lane: OtpLane[int] = OtpLane()
    for n in range(100):
        lane.add(waiting(n, route="alpha"))
        lane.add(waiting(n, route="beta"))

    blocked = [lane.take(0.0, ready=lambda route: route == "beta")[0] for _ in range(30)]
    both = Counter(one.route for one in left(lane, 40))

    assert {one.route for one in blocked if one is not None} == {"beta"}
    assert abs(both["alpha"] - both["beta"]) <= 2


def test_lane_gives_up_what_would_arrive_too_late() -> None:
    lane: OtpLane[int] = OtpLane()
    lane.add(waiting(1, expires_s=13.9))
    lane.add(waiting(2, expires_s=14.1))

    taken, late = lane.take(10.0, ready=every_route)

    assert taken == waiting(2, expires_s=14.1)
    assert late == [GivenUp(waiting(1, expires_s=13.9), "late")]
    assert len(lane) == 0


def test_full_lane_gives_up_a_message_of_the_tenant_that_crowds_it() -> None:
    lane: OtpLane[int] = OtpLane(limit=10)
    for n in range(4):
        lane.add(waiting(n, tenant=1, route="alpha", expires_s=100.0 + n))
        lane.add(waiting(n, tenant=1, route="beta", expires_s=100.0 + n))
    lane.add(waiting(8, tenant=2, route="alpha"))
    lane.add(waiting(9, tenant=3, route="beta"))

    gone = lane.add(waiting(10, tenant=4, route="beta"))

    assert [(one.waiting.tenant, one.waiting.what, one.why) for one in gone] == [(1, 3, "crowded")]
    assert {one.tenant for one in left(lane, 10)} == {1, 2, 3, 4}


def test_route_that_takes_nothing_keeps_half_of_the_lane_at_most() -> None:
    lane: OtpLane[int] = OtpLane(limit=100)
    gone = [one for n in range(200) for one in lane.add(waiting(n, route="stuck"))]

    assert lane.waiting_for("stuck") == 50
    assert len(gone) == 150
    assert lane.add(waiting(1, tenant=2, route="alpha")) == []


ROUTES = ["alpha", "beta", "gamma"]


class LaneMachine(RuleBasedStateMachine):
    """Whatever comes and goes, every message leaves once, and the lane is never over its bound."""

    LIMIT = 12

    def __init__(self) -> None:
        super().__init__()
        self.lane: OtpLane[int] = OtpLane(limit=self.LIMIT)
        self.inside: dict[int, Waiting[int]] = {}
        self.count = 0
        self.now_s = 0.0

    @rule(tenant=st.integers(1, 4), route=st.sampled_from(ROUTES), life_s=st.floats(1, 60))
    def add(self, tenant: int, route: str, life_s: float) -> None:
        self.count += 1
        fresh = Waiting(self.count, tenant, route, self.now_s + life_s, 4.0)
        self.inside[self.count] = fresh
        before = Counter(one.tenant for one in self.inside.values())
        on_route = Counter(one.tenant for one in self.inside.values() if one.route == route)
        for gone in self.lane.add(fresh):
            of = gone.waiting.tenant
            assert before[of] == max(before.values()) or on_route[of] == max(on_route.values())
            assert self.inside.pop(gone.waiting.what) == gone.waiting

    @rule(blocked=st.sampled_from(["", "alpha", "beta"]), later_s=st.floats(0, 10))
    def take(self, blocked: str, later_s: float) -> None:
        self.now_s += later_s
        taken, late = self.lane.take(self.now_s, ready=lambda route: route != blocked)
        for gone in late:
            assert self.inside.pop(gone.waiting.what).expires_s - self.now_s <= gone.waiting.needed_s
        if taken is None:
            assert all(one.route == blocked for one in self.inside.values())
            return
        assert self.inside.pop(taken.what).expires_s - self.now_s > taken.needed_s
        assert taken.route != blocked
        same = [one for one in self.inside.values() if (one.tenant, one.route) == (taken.tenant, taken.route)]
        assert all(one.expires_s >= taken.expires_s for one in same)

    @invariant()
    def lane_holds_what_came_and_did_not_leave(self) -> None:
        assert len(self.lane) == len(self.inside) <= self.LIMIT
        by_route = Counter(one.route for one in self.inside.values())
        assert {route: self.lane.waiting_for(route) for route in by_route} == by_route


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_smallest_lanes_keep_their_bound(limit: int) -> None:
    lane: OtpLane[int] = OtpLane(limit=limit)
    for n in range(10):
        lane.add(waiting(n, tenant=n, route=f"route{n}"))

    assert len(lane) <= limit
