"""What could not leave in time is refused, and nothing else is."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dastak.core.errors import TooLate
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel, Policy
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, Verification
from dastak.core.way_out import Queue, Route
from dastak.delivery.lane import OtpLane, Waiting
from dastak.delivery.routing import RouteTable
from dastak.delivery.time_to_leave import (
    CROWD_MAX,
    CROWDED_RETRY_AFTER_S,
    RETRY_AFTER_S_MAX,
    TimeToLeave,
    queue_s,
    waits,
)
from tests.support.house import ScriptedRoute
from tests.support.samples import some_verification

TTL_S = 300
TENANT, CROWD = 1, 2


class Table(RouteTable):
    """A table with ways for calls to real phones, which are no carriers here."""

    def __init__(self, texts: Sequence[Route], calls: Sequence[Route]) -> None:
        super().__init__(carriers=texts, simulated=texts)
        self._called = tuple(calls)

    def ways(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> tuple[Route, ...]:
        return self._called if channel is Channel.VOICE else super().ways(mode, channel, tenant, msisdn)


class Ways:
    """Routes, who waits for them, and for how long they have been down."""

    def __init__(self, *names: str, calls: Sequence[str] = ()) -> None:
        self.routes = {name: ScriptedRoute(name) for name in (*names, *calls)}
        self.queues: dict[str, Queue] = {}
        self.down_s: dict[str, float] = {}
        self.to_leave = TimeToLeave(
            Table([self.routes[name] for name in names], [self.routes[name] for name in calls]),
            queue_of=lambda route: self.queues.get(route.name),
            down_s=lambda name: self.down_s.get(name, 0.0),
            chance=lambda: 0.5,
        )

    def is_down(self, name: str, seconds: float) -> None:
        self.routes[name].available = False
        self.down_s[name] = seconds

    def refuses(self, verification: Verification | None = None) -> bool:
        return self.to_leave(verification or asked()) is not None


def asked(**changes: object) -> Verification:
    verification = some_verification(
        policy=Policy(ttl_s=TTL_S),
        particulars=Particulars(channel=Channel.SMS),
        tenant=TENANT,
        mode=Mode.LIVE,
    )
    return replace(verification, **changes)


def test_queue_longer_than_half_of_a_life_refuses_and_says_when_to_come_again() -> None:
    ways = Ways("north")
    ways.queues = {"north": Queue({TENANT: 1_600}, 10.0)}

    refusal = ways.to_leave(asked())

    assert isinstance(refusal, TooLate)
    assert refusal.retry_after_s == 10 + 5
    assert "160 s" in refusal.detail
    assert ways.to_leave.counts() == {("sms",): 1, ("voice",): 0}


def test_wait_to_come_again_is_bounded() -> None:
    ways = Ways("north")
    ways.queues = {"north": Queue({TENANT: 1_000_000}, 0.1)}

    refusal = ways.to_leave(asked())

    assert refusal is not None
    assert refusal.retry_after_s <= 2 * RETRY_AFTER_S_MAX


@pytest.mark.parametrize(
    "queues",
    [
        {},
        {"north": Queue({TENANT: 1_500}, 10.0)},
        {"north": Queue({TENANT: CROWD_MAX - 1}, None)},
        {"north": Queue({CROWD: 1_000_000}, 1.0)},
    ],
    ids=["nobody waits", "they leave in time", "the pace is not known", "another tenant's crowd"],
)
def test_what_may_leave_in_time_is_not_refused(queues: Mapping[str, Queue]) -> None:
    ways = Ways("north")
    ways.queues = dict(queues)

    assert not ways.refuses()


@pytest.mark.parametrize("per_s", [10_000.0, None], ids=["a quick queue", "the pace is not known"])
def test_nobody_is_let_in_whom_a_full_lane_would_put_out(per_s: float | None) -> None:
    ways = Ways("north")
    ways.queues = {"north": Queue({TENANT: CROWD_MAX}, per_s)}

    refusal = ways.to_leave(asked())

    assert isinstance(refusal, TooLate)
    assert refusal.retry_after_s == CROWDED_RETRY_AFTER_S + CROWDED_RETRY_AFTER_S // 2
    assert "no room" in refusal.detail


@pytest.mark.parametrize("crowds", [{TENANT: CROWD_MAX - 1}, {TENANT: CROWD_MAX // 2, CROWD: CROWD_MAX}])
def test_full_lane_keeps_nobody_out_but_whose_crowd_it_is(crowds: dict[int, int]) -> None:
    ways = Ways("north")
    ways.queues = {"north": Queue(crowds, 10_000.0)}

    assert not ways.refuses()


def test_shortest_of_all_queues_counts() -> None:
    ways = Ways("north", "south")
    ways.queues = {"north": Queue({TENANT: 9_000}, 1.0), "south": Queue({TENANT: 100}, 1.0)}
    in_time = ways.refuses()
    ways.queues["south"] = Queue({TENANT: 151}, 1.0)

    assert not in_time
    assert ways.refuses()


def test_virtual_phones_are_refused_nothing() -> None:
    ways = Ways("north")
    ways.is_down("north", 9_000)
    ways.queues = {"north": Queue({TENANT: 9_000}, 1.0)}

    assert not ways.refuses(asked(mode=Mode.TEST))
    assert ways.refuses()


def test_route_that_is_down_is_waited_for_as_long_as_it_has_been() -> None:
    ways = Ways("north")
    ways.is_down("north", TTL_S / 2)
    just_in_time = ways.refuses()
    ways.is_down("north", TTL_S / 2 + 1)

    assert not just_in_time
    assert ways.refuses()


def test_shorter_life_is_refused_sooner() -> None:
    ways = Ways("north")
    ways.is_down("north", 40)

    assert ways.refuses(asked(policy=Policy(ttl_s=60)))
    assert not ways.refuses()


def test_route_that_is_up_serves_while_another_one_is_down() -> None:
    ways = Ways("north", "south")
    ways.is_down("north", 9_000)

    assert not ways.refuses()


def test_nothing_is_refused_where_a_call_follows_at_once() -> None:
    ways = Ways("north", calls=["trunk"])
    ways.is_down("north", 9_000)
    called = ways.refuses()
    texts_only = ways.refuses(asked(policy=Policy(ttl_s=TTL_S, channels=(Channel.SMS,))))
    ways.is_down("trunk", 1)

    assert not called
    assert texts_only
    assert ways.refuses()


def test_call_is_refused_where_no_trunk_was_up_for_long_and_not_for_those_that_wait() -> None:
    ways = Ways("north", calls=["trunk"])
    call = asked(particulars=Particulars(channel=Channel.VOICE))
    ways.queues = {"trunk": Queue({TENANT: 9_000}, 1.0)}
    behind_others = ways.refuses(call)
    ways.is_down("trunk", 9_000)

    assert not behind_others
    assert ways.refuses(call)
    assert ways.to_leave.counts()["voice",] == 1


@given(st.dictionaries(st.integers(1, 6), st.integers(1, 30), max_size=6), st.integers(1, 6))
def test_wait_is_what_the_lane_makes_of_it(crowds: dict[int, int], tenant: int) -> None:
    lane: OtpLane[str] = OtpLane()
    for one, crowd in crowds.items():
        for n in range(crowd):
            lane.add(Waiting(f"{one}-{n}", one, "north", 1_000.0 + n))
    lane.add(Waiting("mine", tenant, "north", 9_000.0))
    before = 0
    while (taken := lane.take(0.0, ready=lambda _route: True)[0]) is not None and taken.what != "mine":
        before += 1

    # Whoever has had a turn in this round when it comes may be one for each other tenant.
    assert abs(before - queue_s(Queue(crowds, 1.0), tenant)) <= len(crowds)


def test_wait_is_shown_for_each_route_whose_pace_is_known() -> None:
    queues = {"north": Queue({1: 10, 2: 30}, 4.0), "south": Queue({1: 9}, None)}

    assert waits(queues) == {("north",): 10.0}
