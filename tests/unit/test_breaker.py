"""When a route is asked last, and how it comes back."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dastak.core.outcome import Outcome
from dastak.delivery.breaker import (
    BACK_OFF_FIRST_S,
    BACK_OFF_S_MAX,
    BREAKER_TRANSITIONS,
    CONFIG_FAULTS_IN_A_ROW,
    PROBE_S,
    PROBES_TO_CLOSE,
    Answer,
    Breaker,
    BreakerState,
    Turn,
    answered,
    blame,
    may_probe,
    operator_acted,
    passed,
    probing,
)


def after(*answers: Answer, breaker: Breaker | None = None, now_s: float = 100.0, tenant: int = 1) -> Breaker:
    breaker = breaker or Breaker()
    for answer in answers:
        breaker = answered(breaker, answer, tenant=tenant, now_s=now_s)
    return breaker


OPEN = after(*[Answer.TIMED_OUT] * 3)


def test_breaker_opens_on_three_messages_in_a_row_without_an_answer() -> None:
    assert (
        after(*[Answer.TIMED_OUT] * 2, Answer.ACCEPTED, *[Answer.TIMED_OUT] * 2).state is BreakerState.CLOSED
    )
    assert (OPEN.state, OPEN.why) == (BreakerState.OPEN, "3 messages in a row were not answered")


@pytest.mark.parametrize(
    ("outcome", "status", "answer"),
    [
        (Outcome.UNKNOWN, "no_answer", Answer.TIMED_OUT),
        (Outcome.NETWORK_TEMPORARY, "carrier_unavailable", Answer.TIMED_OUT),
        (Outcome.NETWORK_TEMPORARY, "ESME_RSYSERR", Answer.FAILED),
        (Outcome.ROUTE_CONFIG, "ESME_RINVSRCADR", Answer.MISCONFIGURED),
        (Outcome.THROTTLED, "ESME_RTHROTTLED", Answer.NOT_ITS_FAULT),
    ],
)
def test_route_is_blamed_for_silence_and_not_for_throttling(
    outcome: Outcome, status: str, answer: Answer
) -> None:
    assert blame(outcome, status) is answer


@pytest.mark.parametrize(
    ("failed", "accepted", "state"),
    [
        (6, 14, BreakerState.CLOSED),
        (7, 13, BreakerState.OPEN),
        (5, 5, BreakerState.CLOSED),
    ],
)
def test_breaker_opens_on_the_share_of_errors_once_there_are_enough(
    failed: int, accepted: int, state: BreakerState
) -> None:
    assert after(*[Answer.ACCEPTED] * accepted, *[Answer.FAILED] * failed).state is state


def test_breaker_opens_when_too_many_messages_would_need_a_second_route() -> None:
    answers = ([Answer.ACCEPTED] * 15 + [Answer.TIMED_OUT]) * 5

    assert after(*answers).why == "5 of 80 messages were not answered in 30 s"


def test_breaker_forgets_errors_that_are_older_than_its_window() -> None:
    old = after(*[Answer.FAILED] * 6, *[Answer.ACCEPTED] * 14)

    assert after(Answer.FAILED, breaker=old, now_s=100.0 + 36).state is BreakerState.CLOSED


def test_breaker_counts_no_refusal_that_is_not_the_fault_of_the_route() -> None:
    assert after(*[Answer.NOT_ITS_FAULT] * 100).state is BreakerState.CLOSED


def test_open_breaker_lets_one_message_try_after_its_wait_and_closes_after_three() -> None:
    now_s = 100.0 + BACK_OFF_FIRST_S
    assert passed(OPEN, now_s=now_s - 0.1) is OPEN
    breaker = passed(OPEN, now_s=now_s)
    for _ in range(PROBES_TO_CLOSE):
        assert breaker.state is BreakerState.HALF_OPEN
        assert may_probe(breaker, now_s=now_s)
        breaker = probing(breaker, now_s=now_s)
        assert not may_probe(breaker, now_s=now_s + PROBE_S - 0.1)
        breaker = after(Answer.ACCEPTED, breaker=breaker, now_s=now_s + 1)

    assert breaker.state is BreakerState.CLOSED


def test_probe_without_an_answer_makes_room_for_the_next() -> None:
    half_open = probing(passed(OPEN, now_s=105.0), now_s=105.0)

    assert may_probe(half_open, now_s=105.0 + PROBE_S)


def test_wait_doubles_with_every_relapse_up_to_its_bound() -> None:
    breaker, now_s, waits = OPEN, 100.0, [OPEN.back_off_s]
    for _ in range(8):
        now_s += breaker.back_off_s
        breaker = after(Answer.FAILED, breaker=passed(breaker, now_s=now_s), now_s=now_s)
        waits.append(breaker.back_off_s)

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_route_that_was_well_for_a_minute_waits_the_first_wait_again() -> None:
    relapsed = after(Answer.FAILED, breaker=passed(OPEN, now_s=105.0), now_s=105.0)
    closed = after(*[Answer.ACCEPTED] * 3, breaker=passed(relapsed, now_s=115.0), now_s=115.0)

    soon = after(*[Answer.TIMED_OUT] * 3, breaker=closed, now_s=130.0)
    later = after(*[Answer.TIMED_OUT] * 3, breaker=closed, now_s=180.0)

    assert (closed.state, soon.back_off_s, later.back_off_s) == (BreakerState.CLOSED, 20.0, 5.0)


def test_fault_of_configuration_stays_until_an_operator_acts() -> None:
    broken = after(*[Answer.MISCONFIGURED] * CONFIG_FAULTS_IN_A_ROW)

    assert broken.state is BreakerState.BROKEN
    assert passed(broken, now_s=1e6) is broken
    assert operator_acted(broken, now_s=200.0).state is BreakerState.CLOSED


def test_broken_route_that_takes_a_message_after_all_is_tried_again() -> None:
    broken = after(*[Answer.MISCONFIGURED] * CONFIG_FAULTS_IN_A_ROW)

    assert after(Answer.ACCEPTED, breaker=broken).state is BreakerState.HALF_OPEN


def test_wrong_sender_of_one_tenant_breaks_the_route_of_nobody_else() -> None:
    used = after(Answer.ACCEPTED, tenant=7)

    one = after(*[Answer.MISCONFIGURED] * 20, breaker=used, tenant=3)
    two = after(Answer.MISCONFIGURED, breaker=one, tenant=7)

    assert (one.state, two.state) == (BreakerState.CLOSED, BreakerState.BROKEN)


def test_every_state_can_be_left() -> None:
    assert {state for state, _ in BREAKER_TRANSITIONS} == set(BreakerState)
    assert {turn for _, turn in BREAKER_TRANSITIONS} == set(Turn)


class BreakerMachine(RuleBasedStateMachine):
    """Whatever is answered and however time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.breaker = Breaker()
        self.opened_s = 0.0
        self.probes = 0

    def become(self, breaker: Breaker, *turns: Turn) -> None:
        before = self.breaker.state
        if breaker.state is not before:
            assert breaker.state in {BREAKER_TRANSITIONS.get((before, turn)) for turn in turns}
            assert breaker.why
            assert breaker.since_s == self.now_s
        self.breaker = breaker

    @rule(answer=st.sampled_from(Answer), tenant=st.integers(1, 3), times=st.integers(1, 25))
    def answer(self, answer: Answer, tenant: int, times: int) -> None:
        for _ in range(times):
            fresh = answered(self.breaker, answer, tenant=tenant, now_s=self.now_s)
            self.become(fresh, Turn.TRIPPED, Turn.MISCONFIGURED, Turn.PROVEN)

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        opened = self.breaker
        self.become(passed(opened, now_s=self.now_s), Turn.WAITED)
        if opened.state is BreakerState.OPEN:
            waited = self.now_s - opened.since_s >= opened.back_off_s
            assert (self.breaker.state is BreakerState.HALF_OPEN) == waited

    @rule()
    def probe(self) -> None:
        if may_probe(self.breaker, now_s=self.now_s):
            assert self.breaker.state is BreakerState.HALF_OPEN
            self.breaker = probing(self.breaker, now_s=self.now_s)
            assert not may_probe(self.breaker, now_s=self.now_s)

    @rule()
    def repair(self) -> None:
        self.become(operator_acted(self.breaker, now_s=self.now_s), Turn.OPERATOR_ACTED)
        assert self.breaker.state is BreakerState.CLOSED

    @invariant()
    def waits_and_counts_are_bounded(self) -> None:
        assert BACK_OFF_FIRST_S <= self.breaker.back_off_s <= BACK_OFF_S_MAX
        assert len(self.breaker.slots) <= 7
        assert len(self.breaker.misconfigured) <= CONFIG_FAULTS_IN_A_ROW
        assert len(self.breaker.served) <= 2


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
