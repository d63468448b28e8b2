"""SIP transactions: the four tables, their timers on the dot, and their laws under any course of events."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dastak.voice.sip.sip_transactions import (
    ARMED,
    TRANSITIONS,
    Effect,
    Input,
    State,
    Timing,
    Transaction,
    happened_by,
)

BEGINNINGS = [State.INVITE_CALLING, State.ASKING_TRYING, State.INVITED_PROCEEDING, State.ASKED_TRYING]


def begun(state: State, *, reliable: bool = False, **timing: float) -> Transaction:
    return Transaction(state, Timing(**timing), reliable=reliable, octets=b"x", now=0.0)


def run(transaction: Transaction, until: float) -> list[tuple[float, Effect]]:
    """Advance the clock from timer to timer; return what had an effect, and when."""
    told: list[tuple[float, Effect]] = []
    while (deadline := transaction.deadline) is not None and deadline <= until:
        told += [(deadline, effect) for effect in transaction.tick(deadline) if effect is not Effect.NONE]
    return told


def test_every_state_can_be_reached_and_left() -> None:
    reached, fresh = set(BEGINNINGS), set(BEGINNINGS)
    while fresh:
        fresh = {move.to for (state, _), move in TRANSITIONS.items() if state in fresh} - reached
        reached |= fresh

    assert reached == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.TERMINATED}


def test_every_armed_timer_has_a_row() -> None:
    armed = {(state, timer) for state, timers in ARMED.items() for timer in timers}
    inherited = {
        (State.ASKING_PROCEEDING, Input.TIMER_E),
        (State.ASKING_PROCEEDING, Input.TIMER_F),
    }
    rows = {(state, happened) for state, happened in TRANSITIONS if len(happened.value) == 1}

    assert rows == armed | inherited


def test_unanswered_invite_is_repeated_with_doubling_pauses_until_timer_b() -> None:
    told = run(begun(State.INVITE_CALLING), until=100.0)

    repeats = [(at, Effect.REPEAT) for at in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]
    assert told == [*repeats, (32.0, Effect.TIMED_OUT)]


def test_unanswered_request_is_repeated_with_pauses_up_to_t2_until_timer_f() -> None:
    told = run(begun(State.ASKING_TRYING), until=100.0)

    repeats = [(at, Effect.REPEAT) for at in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)]
    assert told == [*repeats, (32.0, Effect.TIMED_OUT)]


@pytest.mark.parametrize("state", [State.INVITE_CALLING, State.ASKING_TRYING])
def test_reliable_transport_repeats_nothing_and_still_times_out(state: State) -> None:
    assert run(begun(state, reliable=True, silence_s=5.0), until=100.0) == [(5.0, Effect.TIMED_OUT)]


def test_provisional_stops_timers_a_and_b() -> None:
    invite = begun(State.INVITE_CALLING)

    assert invite.take(Input.PROVISIONAL, 0.2) is Effect.TELL
    assert invite.deadline is None


def test_provisional_slows_timer_e_and_leaves_timer_f() -> None:
    asking = begun(State.ASKING_TRYING)

    assert asking.take(Input.PROVISIONAL, 0.2) is Effect.TELL

    repeats = [(at, Effect.REPEAT) for at in (0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5)]
    assert run(asking, until=100.0) == [*repeats, (32.0, Effect.TIMED_OUT)]


def test_repeated_refusal_is_acknowledged_again_for_32_s_and_told_once() -> None:
    invite = begun(State.INVITE_CALLING)

    effects = [invite.take(Input.FAILURE, at) for at in (1.0, 1.5, 2.5)]

    assert effects == [Effect.TELL_AND_ACKNOWLEDGE, Effect.ACKNOWLEDGE, Effect.ACKNOWLEDGE]
    assert invite.deadline == 33.0
    assert run(invite, until=40.0) == []
    assert invite.terminated


def test_every_2xx_is_told_and_no_refusal_after_it() -> None:
    invite = begun(State.INVITE_CALLING)

    effects = [invite.take(happened, 1.0) for happened in (Input.SUCCESS, Input.SUCCESS, Input.FAILURE)]

    assert effects == [Effect.TELL, Effect.TELL, Effect.NONE]
    assert invite.state is State.INVITE_ACCEPTED


@pytest.mark.parametrize("reliable", [False, True])
def test_2xx_to_a_re_invite_is_repeated_until_its_ack(reliable: bool) -> None:
    invited = begun(State.INVITED_PROCEEDING, reliable=reliable)

    assert invited.take(Input.SUCCESS, 0.0) is Effect.REPEAT
    assert run(invited, until=4.0) == [(0.5, Effect.REPEAT), (1.5, Effect.REPEAT), (3.5, Effect.REPEAT)]
    assert invited.take(Input.ACK, 4.0) is Effect.TELL
    assert run(invited, until=100.0) == []
    assert invited.terminated


def test_2xx_to_a_re_invite_without_ack_is_given_up() -> None:
    invited = begun(State.INVITED_PROCEEDING)
    invited.take(Input.SUCCESS, 0.0)

    assert run(invited, until=100.0)[-1] == (32.0, Effect.TIMED_OUT)


def test_repeated_request_gets_the_same_answer_for_32_s() -> None:
    asked = begun(State.ASKED_TRYING)

    assert asked.take(Input.REQUEST, 0.0) is Effect.NONE
    assert asked.take(Input.SUCCESS, 0.1) is Effect.REPEAT
    assert asked.take(Input.REQUEST, 0.6) is Effect.REPEAT
    assert asked.deadline == 32.1


def test_late_clock_does_not_make_a_burst() -> None:
    invite = begun(State.INVITE_CALLING)

    assert invite.tick(20.0) == [Effect.REPEAT]
    assert invite.deadline == 21.0


def test_status_is_sorted() -> None:
    assert [happened_by(status) for status in (100, 199, 200, 299, 300, 699)] == [
        Input.PROVISIONAL,
        Input.PROVISIONAL,
        Input.SUCCESS,
        Input.SUCCESS,
        Input.FAILURE,
        Input.FAILURE,
    ]


class AnyCourse(RuleBasedStateMachine):
    """Messages and time in any order."""

    @initialize(state=st.sampled_from(BEGINNINGS), reliable=st.booleans())
    def begin(self, state: State, reliable: bool) -> None:
        self.client = state in {State.INVITE_CALLING, State.ASKING_TRYING}
        self.invite = state is State.INVITE_CALLING
        self.now = 0.0
        self.transaction = begun(state, reliable=reliable)
        self.finals: list[Input | Effect] = []

    @rule(happened=st.sampled_from([one for one in Input if len(one.value) > 1]))
    def happen(self, happened: Input) -> None:
        effect = self.transaction.take(happened, self.now)
        told = effect in {Effect.TELL, Effect.TELL_AND_ACKNOWLEDGE}
        if self.client and told and happened is not Input.PROVISIONAL:
            self.finals.append(happened)

    @rule(step=st.floats(0.01, 10.0))
    def wait(self, step: float) -> None:
        self.now += step
        self.finals += [one for one in self.transaction.tick(self.now) if one is Effect.TIMED_OUT]

    @invariant()
    def client_is_told_of_one_final_or_of_silence(self) -> None:
        if self.client and len(self.finals) > 1:
            assert self.invite
            assert set(self.finals) == {Input.SUCCESS}

    @invariant()
    def no_deadline_has_passed(self) -> None:
        deadline = self.transaction.deadline
        assert deadline is None or deadline >= self.now

    @invariant()
    def nothing_runs_when_it_is_over(self) -> None:
        assert not self.transaction.terminated or self.transaction.deadline is None


TestAnyCourse = AnyCourse.TestCase
