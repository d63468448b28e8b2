import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.ports import Clock
from dastak.steady_clock import SteadyClock

NS = 1_000_000_000
START_S = 1_800_000_000
START = datetime.fromtimestamp(START_S, UTC)
TTL = timedelta(seconds=300)


class Machine:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall_ns = START_S * NS
        self.monotonic_ns = 12_345

    def clock(self, latest_at: datetime | None = None) -> SteadyClock:
        return SteadyClock(latest_at, wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns)

    def wait(self, seconds: float) -> None:
        self.wall_ns += int(seconds * NS)
        self.monotonic_ns += int(seconds * NS)

    def step(self, seconds: float) -> None:
        self.wall_ns += int(seconds * NS)


def life_s(machine: Machine, clock: Clock, steps: list[tuple[int, float]]) -> int:
    """Return after how many monotonic seconds a code of `TTL` is over, when the wall steps after so many."""
    expires_at, lived_s = clock.now() + TTL, 0
    pending = dict(steps)
    while clock.now() < expires_at:
        machine.step(pending.pop(lived_s, 0))
        if clock.now() >= expires_at:
            break
        machine.wait(1)
        lived_s += 1
    return lived_s


def test_clock_is_the_walls_while_nobody_sets_it() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wait(1.5)

    assert clock.now() == START + timedelta(seconds=1.5)
    assert clock.now().tzinfo is UTC
    assert clock.offset_s() == 0


@pytest.mark.parametrize(
    ("steps", "lived_s"),
    [
        ([], 300),
        ([(100, -7200)], 300),
        ([(100, -90)], 300),
        ([(100, 3600)], 100),
        ([(100, 90)], 210),
        ([(100, 90), (101, -90)], 210),
        ([(100, 60), (110, -60), (120, 60), (130, -60)], 240),
        ([(50, -7200), (60, 7200)], 300),
        ([(299, -1)], 300),
    ],
)
def test_code_lives_no_longer_than_its_lifetime_when_wall_steps(
    steps: list[tuple[int, float]], lived_s: int
) -> None:
    machine = Machine()

    assert life_s(machine, machine.clock(), steps) == lived_s


happenings = st.lists(st.tuples(st.floats(0, 1_000), st.floats(-1e6, 1e6)), max_size=20)


@given(happenings)
def test_clock_never_runs_backwards_or_slower_than_monotonic(
    waits_and_steps: list[tuple[float, float]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    seen = [(clock.now(), machine.monotonic_ns)]
    for wait_s, step_s in waits_and_steps:
        machine.wait(wait_s)
        machine.step(step_s)
        seen.append((clock.now(), machine.monotonic_ns))
        assert clock.now() >= datetime.fromtimestamp(machine.wall_ns // NS, UTC)

    for (earlier, from_ns), (later, to_ns) in pairwise(seen):
        # Instants are whole microseconds, so two of them may hide almost one.
        assert later - earlier >= timedelta(microseconds=(to_ns - from_ns) // 1_000 - 1)


@given(happenings)
def test_clock_is_the_wall_or_the_last_instant_and_what_passed(
    waits_and_steps: list[tuple[float, float]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    last_ns, last_monotonic_ns = machine.wall_ns, machine.monotonic_ns
    for wait_s, step_s in waits_and_steps:
        machine.wait(wait_s)
        machine.step(step_s)
        expected_ns = max(machine.wall_ns, last_ns + machine.monotonic_ns - last_monotonic_ns)
        last_ns, last_monotonic_ns = expected_ns, machine.monotonic_ns

        assert clock.now() == START + timedelta(microseconds=(expected_ns - START_S * NS) // 1_000)


def test_clock_starts_where_the_database_ended_when_wall_is_behind() -> None:
    machine = Machine()
    clock = machine.clock(latest_at=START + timedelta(hours=2))
    machine.wait(1)

    assert clock.now() == START + timedelta(hours=2, seconds=1)
    assert clock.offset_s() == 7200


def test_clock_starts_at_the_wall_when_the_database_is_older() -> None:
    assert Machine().clock(latest_at=START - timedelta(hours=2)).now() == START


def test_offset_tells_of_a_wall_set_back() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.step(-90)

    assert clock.offset_s() == 90


def test_pause_between_two_readings_is_no_step() -> None:
    machine = Machine()
    clock = machine.clock()

    def wall_then_pause() -> int:
        wall_ns = machine.wall_ns
        machine.wait(5)
        return wall_ns

    paused = SteadyClock(wall_ns=wall_then_pause, monotonic_ns=lambda: machine.monotonic_ns)
    for _ in range(3):
        paused.now()
        clock.now()

    assert clock.offset_s() == 0
    assert paused.now() <= clock.now()


def test_real_clock_is_the_machines() -> None:
    before = datetime.now(UTC)
    clock = SteadyClock()

    assert before - timedelta(milliseconds=1) <= clock.now() <= datetime.now(UTC) + timedelta(seconds=1)
    assert abs(clock.offset_s()) < 1


async def test_bells_ring_in_time_and_order_except_those_unwanted() -> None:
    clock, rung, unwanted = SteadyClock(), list[str](), list[Callable[[], None]]()
    last = asyncio.Event()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for n in range(6):
        unwanted.append(clock.ring(0.05, partial(rung.append, f"late {n}")))
        clock.ring(0.01, partial(rung.append, f"soon {n}"))
    unwanted[0]()
    unwanted[3]()
    clock.ring(0.05, last.set)
    await asyncio.wait_for(last.wait(), 5)

    assert rung == [f"soon {n}" for n in range(6)] + [f"late {n}" for n in (1, 2, 4, 5)]
    assert loop.time() - began_s >= 0.05
    unwanted[1]()  # it has rung: nothing happens


async def test_bell_rings_that_is_hung_after_all_before_were_unwanted() -> None:
    clock, rung = SteadyClock(), asyncio.Event()
    for _ in range(100):
        clock.ring(0.01, lambda: pytest.fail("it is unwanted"))()
    await asyncio.sleep(0.03)
    clock.ring(0.01, rung.set)

    await asyncio.wait_for(rung.wait(), 5)


async def test_bell_is_unwanted_in_the_moment_before_it_rings() -> None:
    clock, rung, unwanted = SteadyClock(), asyncio.Event(), list[Callable[[], None]]()

    def first() -> None:
        unwanted[0]()

    clock.ring(0.01, first)
    unwanted.append(clock.ring(0.01, lambda: pytest.fail("it is unwanted")))
    clock.ring(0.01, rung.set)

    await asyncio.wait_for(rung.wait(), 5)
