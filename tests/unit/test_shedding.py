"""Who is sent away when too much is asked: priorities, tenants, and a window that follows the delay."""

from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dastak.guard.shedding import (
    ANSWERS_MIN,
    DELAY_S_MAX,
    PERIOD_S,
    RETRY_S_MAX,
    SHARES,
    WINDOW_FIRST,
    WINDOW_MAX,
    WINDOW_MIN,
    Entered,
    Kind,
    Shedding,
)

OURS = 1
THEIRS = 2


def filled(kind: Kind, *, tenants: int = 1) -> Shedding:
    """Return a house in which nobody of a kind gets in any more."""
    shedding = Shedding(0.0)
    for n in range(10 * WINDOW_FIRST):
        shedding.enter(kind, n % tenants, 0.0)
    return shedding


@pytest.mark.parametrize(
    ("full_of", "still"),
    [
        (Kind.LOOK, [Kind.CHECK, Kind.START, Kind.RESEND]),
        (Kind.RESEND, [Kind.CHECK, Kind.START]),
        (Kind.START, [Kind.CHECK]),
        (Kind.CHECK, []),
    ],
)
def test_what_finishes_something_gets_in_after_the_others_do_not(full_of: Kind, still: list[Kind]) -> None:
    found = []
    for kind in Kind:
        if filled(full_of).enter(kind, 0, 0.0) is not None:
            found.append(kind)

    assert found == still


def test_crowd_of_one_tenant_leaves_room_for_another() -> None:
    shedding = Shedding(0.0)
    shedding.enter(Kind.START, OURS, 0.0)
    crowd = [shedding.enter(Kind.START, THEIRS, 0.0) for _ in range(10 * WINDOW_FIRST)]

    ours = [shedding.enter(Kind.START, OURS, 0.0) for _ in range(WINDOW_FIRST // 4)]

    assert sum(one is not None for one in crowd) == WINDOW_FIRST // 2
    assert all(ours)


def test_tenant_has_all_the_room_when_nobody_else_asks() -> None:
    shedding = Shedding(0.0)

    entered = [shedding.enter(Kind.START, THEIRS, 0.0) for _ in range(10 * WINDOW_FIRST)]

    assert sum(one is not None for one in entered) == WINDOW_FIRST


def test_check_of_a_crowded_tenant_is_not_held_back_by_its_starts() -> None:
    shedding = Shedding(0.0)
    shedding.enter(Kind.START, OURS, 0.0)
    for _ in range(10 * WINDOW_FIRST):
        shedding.enter(Kind.START, THEIRS, 0.0)

    assert shedding.enter(Kind.CHECK, THEIRS, 0.0) is not None


class Program:
    """A program that answers so many a second, one after the other, behind a gate; time is its own."""

    def __init__(self, per_s: float) -> None:
        self.now_s, self.per_s = 0.0, per_s
        self.shedding = Shedding(0.0)
        self.queue: deque[Entered] = deque()
        self.took_s: list[float] = []
        self.answered: Counter[tuple[Kind, int]] = Counter()
        self.refused: Counter[tuple[Kind, int]] = Counter()

    def run(self, seconds: float, *asked: tuple[Kind, int, float]) -> None:
        """Let requests come in time: kind, tenant, and how many a second."""
        end_s = self.now_s + seconds
        due_s = [self.now_s] * len(asked)
        free_s = self.now_s
        while self.now_s < end_s:
            nearest = min([*due_s, *([free_s] if self.queue else [])])
            self.now_s = max(self.now_s, nearest)
            for n, (kind, tenant, per_s) in enumerate(asked):
                if due_s[n] <= self.now_s:
                    due_s[n] += 1 / per_s
                    self._ask(kind, tenant)
            if self.queue and free_s <= self.now_s:
                entered = self.queue.popleft()
                free_s = self.now_s + 1 / self.per_s
                self.shedding.leave(entered, self.now_s, worked=True)
                self.took_s.append(self.now_s - entered.at_s)
                self.answered[entered.kind, entered.tenant] += 1

    def _ask(self, kind: Kind, tenant: int) -> None:
        entered = self.shedding.enter(kind, tenant, self.now_s)
        if entered is None:
            self.refused[kind, tenant] += 1
        else:
            self.queue.append(entered)


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


@pytest.mark.parametrize("per_s", [50.0, 300.0, 3_000.0])
def test_ten_times_too_many_leave_the_work_done_and_the_wait_short(per_s: float) -> None:
    program = Program(per_s)
    seconds = 20.0

    program.run(seconds, (Kind.START, OURS, 10 * per_s))

    settled = program.took_s[len(program.took_s) // 2 :]
    assert program.answered[Kind.START, OURS] >= 0.97 * seconds * per_s
    assert p99(settled) <= max(0.5, 2 * WINDOW_MIN / per_s)


def test_checks_are_answered_while_starts_are_ten_times_too_many() -> None:
    program = Program(500.0)

    program.run(10.0, (Kind.START, OURS, 5_000.0), (Kind.CHECK, OURS, 250.0))

    assert program.refused[Kind.CHECK, OURS] == 0
    assert program.answered[Kind.CHECK, OURS] >= 2_400
    assert program.answered[Kind.START, OURS] >= 0.9 * 10 * 250


def test_noisy_tenant_takes_nothing_from_a_quiet_one() -> None:
    program = Program(500.0)

    program.run(10.0, (Kind.START, THEIRS, 5_000.0), (Kind.START, OURS, 50.0))

    assert program.refused[Kind.START, OURS] == 0
    assert program.answered[Kind.START, OURS] >= 490


def test_house_is_as_before_once_the_crowd_is_gone() -> None:
    program = Program(500.0)
    program.run(10.0, (Kind.START, OURS, 5_000.0))
    program.run(0.5, (Kind.START, OURS, 300.0))
    before = program.refused.total()

    program.run(3.0, (Kind.START, OURS, 300.0))

    assert program.refused.total() == before
    assert program.took_s[-1] <= 2 / 300


def test_slow_disk_is_no_queue() -> None:
    shedding, now_s = Shedding(0.0), 0.0
    commit_s = 1.5 * DELAY_S_MAX

    for _ in range(100):
        entered = [shedding.enter(Kind.START, OURS, now_s) for _ in range(WINDOW_FIRST // 2)]
        now_s += commit_s
        for one in entered:
            assert one is not None
            shedding.leave(one, now_s, worked=True)

    assert shedding.window == WINDOW_FIRST


@pytest.mark.parametrize(("refused", "is_narrower"), [(0, False), (9 * WINDOW_FIRST, True)])
def test_delay_that_is_fine_for_all_is_too_long_where_most_are_refused(
    refused: int, is_narrower: bool
) -> None:
    shedding, took_s = Shedding(0.0), 0.7 * DELAY_S_MAX
    quick = shedding.enter(Kind.START, OURS, 0.0)
    assert quick is not None
    shedding.leave(quick, 0.0, worked=True)
    entered = [shedding.enter(Kind.START, OURS, 0.0) for _ in range(WINDOW_FIRST)]
    assert sum(shedding.refuse(Kind.START, OURS, 0.0) for _ in range(refused)) == refused

    for one in entered:
        assert one is not None
        shedding.leave(one, took_s, worked=True)
    shedding.refuse(Kind.LOOK, OURS, PERIOD_S)

    assert (shedding.window < WINDOW_FIRST) is is_narrower


def test_refusals_are_told_different_seconds_and_more_of_them_when_there_are_more() -> None:
    few, many = Program(500.0), Program(500.0)
    few.run(2.0, (Kind.START, OURS, 750.0))
    many.run(2.0, (Kind.START, OURS, 4_000.0))

    told_few = Counter(few.shedding.retry_after_s() for _ in range(100))
    told_many = Counter(many.shedding.retry_after_s() for _ in range(100))

    assert max(told_few) <= 2
    assert len(told_many) >= 6
    assert max(told_many) <= RETRY_S_MAX
    assert max(told_many.values()) <= 2 * min(told_many.values())


class AnyTraffic(RuleBasedStateMachine):
    """Whatever comes and goes, the window and the counts stay within their bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.shedding = Shedding(self.now_s)
        self.inside: list[Entered] = []

    @rule(kind=st.sampled_from(Kind), tenant=st.integers(0, 3), count=st.integers(1, 200))
    def come(self, kind: Kind, tenant: int, count: int) -> None:
        for _ in range(count):
            before = self.shedding.under_way
            entered = self.shedding.enter(kind, tenant, self.now_s)
            if entered is not None:
                self.inside.append(entered)
                assert before < self.shedding.window * SHARES[kind]
            else:
                assert 2 * before >= self.shedding.window * SHARES[kind]

    @precondition(lambda self: self.inside)
    @rule(count=st.integers(1, 200), worked=st.booleans())
    def go(self, count: int, worked: bool) -> None:
        for entered in self.inside[:count]:
            self.shedding.leave(entered, self.now_s, worked=worked)
        del self.inside[:count]

    @rule(seconds=st.sampled_from([0.001, PERIOD_S, 1.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @invariant()
    def nothing_is_counted_twice_or_forgotten(self) -> None:
        assert self.shedding.under_way == len(self.inside)

    @invariant()
    def window_is_bounded(self) -> None:
        assert WINDOW_MIN <= self.shedding.window <= WINDOW_MAX

    @invariant()
    def wait_is_bounded(self) -> None:
        assert 1 <= self.shedding.retry_after_s() <= RETRY_S_MAX

    def teardown(self) -> None:
        for entered in self.inside:
            self.shedding.leave(entered, self.now_s, worked=False)
        assert self.shedding._of_tenants == Counter()


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_period_with_few_answers_moves_nothing() -> None:
    shedding = Shedding(0.0)
    entered = [shedding.enter(Kind.START, OURS, 0.0) for _ in range(ANSWERS_MIN - 1)]

    for one in entered:
        assert one is not None
        shedding.leave(one, 10.0, worked=True)
    shedding.enter(Kind.CHECK, OURS, 10.0 + PERIOD_S)

    assert shedding.window == WINDOW_FIRST
