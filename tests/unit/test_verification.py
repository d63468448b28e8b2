"""The state machine of a verification: every rule by example, its laws by random walks."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dastak.core import lockout
from dastak.core.errors import Conflict, RateLimited
from dastak.core.events import (
    AttemptMissed,
    MatchEnded,
    VerificationApproved,
    VerificationExhausted,
    VerificationExpired,
)
from dastak.core.policy import Channel, Policy, ResendCode
from dastak.core.tenant import Mode
from dastak.core.verification import (
    TRANSITIONS,
    Input,
    Particulars,
    Reason,
    State,
    Typed,
    Verification,
    attempts_remaining,
    call_off,
    expire,
    gate,
    give_up,
    judge,
    replaces,
    resend,
    resend_at,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def pending(**changes: object) -> Verification:
    verification = Verification(
        id=bytes(16),
        tenant=1,
        service=1,
        mode=Mode.TEST,
        msisdn="+919876543210",
        policy=Policy(),
        particulars=Particulars(),
        key_id=1,
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=300),
        last_sent_at=NOW,
    )
    return msgspec.structs.replace(verification, **changes)


def test_table_leaves_final_states_alone_and_knows_every_input_when_pending() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.PENDING}
    assert {happened for _, happened in TRANSITIONS} == set(Input)


def test_right_code_approves() -> None:
    judged = judge(pending(), Typed.RIGHT, lockout.CLEAN, now=NOW)

    assert judged.approved
    assert judged.step.verification.state is State.APPROVED
    assert [type(event) for event in judged.step.events] == [VerificationApproved]


def test_approval_erases_what_a_code_could_be_checked_against() -> None:
    held = pending(own_code_digest=b"digest", own_code_sealed=b"sealed")

    ended = judge(held, Typed.RIGHT, lockout.CLEAN, now=NOW).step.verification

    assert (ended.own_code_digest, ended.own_code_sealed) == (None, None)


@pytest.mark.parametrize(
    ("typed", "reason"), [(Typed.WRONG, Reason.WRONG_CODE), (Typed.OLDER, Reason.OLDER_CODE)]
)
def test_wrong_code_costs_an_attempt(typed: Typed, reason: Reason) -> None:
    judged = judge(pending(), typed, lockout.CLEAN, now=NOW)

    assert (judged.approved, judged.reason) == (False, reason)
    assert attempts_remaining(judged.step.verification) == 4
    assert judged.tally.consecutive == 1
    assert [type(event) for event in judged.step.events] == [AttemptMissed]


def test_last_wrong_code_exhausts() -> None:
    judged = judge(pending(attempts=4), Typed.WRONG, lockout.CLEAN, now=NOW)

    assert judged.step.verification.state is State.EXHAUSTED
    assert attempts_remaining(judged.step.verification) == 0
    assert [type(event) for event in judged.step.events] == [AttemptMissed, VerificationExhausted]


def test_changed_transaction_voids_even_for_the_right_code_later() -> None:
    judged = judge(pending(), Typed.TRANSACTION_CHANGED, lockout.CLEAN, now=NOW)

    assert (judged.step.verification.state, judged.reason) == (State.CANCELED, Reason.WRONG_CODE)
    assert gate(judged.step.verification, judged.tally, now=NOW).reason is Reason.CANCELED


TEXT = Particulars()
QUESTION = Particulars(channel=Channel.TOTP, factor="01")
TEXT_INSTEAD = Particulars(channel=Channel.SMS, factor="01")  # a resend put it in the place of a question


@pytest.mark.parametrize(
    ("new", "ended"),
    [
        (TEXT, [TEXT, TEXT_INSTEAD]),
        (QUESTION, [QUESTION, TEXT_INSTEAD]),
        (Particulars(channel=Channel.TOTP, factor="02"), []),
    ],
)
def test_start_ends_what_was_sent_if_it_is_sent_and_else_what_asks_for_its_factor(
    new: Particulars, ended: list[Particulars]
) -> None:
    others = [TEXT, QUESTION, TEXT_INSTEAD]

    assert [old for old in others if replaces(pending(particulars=new), pending(particulars=old))] == ended


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": 2},
        {"service": 2},
        {"mode": Mode.LIVE},
        {"mode": Mode.TEAM},
        {"msisdn": "+919876543211"},
        {"particulars": Particulars(purpose="payment")},
        *({"state": state} for state in State if state is not State.PENDING),
    ],
    ids=str,
)
def test_start_ends_nothing_that_is_not_its_like(other: dict[str, object]) -> None:
    assert not replaces(pending(), pending(**other))


def test_gate_says_no_by_the_state() -> None:
    closed = {
        state: gate(pending(state=state), lockout.CLEAN, now=NOW).reason for state in set(State) - {"pending"}
    }

    assert closed == {
        State.APPROVED: Reason.CONSUMED,
        State.EXHAUSTED: Reason.EXHAUSTED,
        State.EXPIRED: Reason.EXPIRED,
        State.CANCELED: Reason.CANCELED,
        State.FAILED: Reason.FAILED,
    }


@pytest.mark.parametrize(
    ("after_s", "reason"), [(299.999, None), (300, Reason.EXPIRED), (9000, Reason.EXPIRED)]
)
def test_expiry_falls_on_its_instant_and_beats_approval(after_s: float, reason: Reason | None) -> None:
    judged = gate(pending(), lockout.CLEAN, now=NOW + timedelta(seconds=after_s))

    assert (judged and judged.reason) == reason
    if judged:
        assert [type(event) for event in judged.step.events] == [VerificationExpired]


def test_gate_is_shut_while_the_number_is_locked() -> None:
    tally = lockout.Tally(10, tuple(int(NOW.timestamp()) for _ in range(10)))

    judged = gate(pending(), tally, now=NOW + timedelta(seconds=1))

    assert judged.reason is Reason.LOCKED
    assert judged.lock == lockout.Lock("wrong_per_hour", NOW + timedelta(hours=1))
    assert judged.step.verification == pending()


def test_resend_waits_as_the_policy_says_and_keeps_attempts() -> None:
    held = pending(attempts=3)

    with pytest.raises(RateLimited) as refusal:
        resend(held, Channel.SMS, now=NOW + timedelta(seconds=29))
    sent = resend(held, Channel.SMS, now=NOW + timedelta(seconds=30)).verification

    assert refusal.value.retry_after_s == 2
    assert (sent.sends, sent.attempts, sent.generation) == (2, 3, 0)
    assert resend_at(sent) == NOW + timedelta(seconds=30 + 60)


def test_resend_notes_the_way_it_takes() -> None:
    sent = resend(pending(), Channel.VOICE, now=NOW + timedelta(seconds=30)).verification

    assert sent.particulars.channel is Channel.VOICE


def test_resend_with_a_new_code_raises_the_generation() -> None:
    held = pending(policy=Policy(resend_code=ResendCode.NEW))

    assert resend(held, Channel.SMS, now=NOW + timedelta(seconds=30)).verification.generation == 1


def test_wrong_number_of_the_page_is_told_as_such_and_costs_an_attempt() -> None:
    judged = judge(pending(particulars=Particulars(match=True)), Typed.WRONG, lockout.CLEAN, now=NOW)

    assert (judged.approved, judged.reason) == (False, Reason.WRONG_NUMBER)
    assert attempts_remaining(judged.step.verification) == 4


@pytest.mark.parametrize(("channel", "match"), [(Channel.VOICE, True), (Channel.SMS, False)])
def test_asking_for_a_text_ends_the_matching_of_numbers(channel: Channel, match: bool) -> None:
    held = pending(particulars=Particulars(channel=Channel.VOICE, match=True), attempts=1)

    step = resend(held, channel, now=NOW + timedelta(seconds=30))

    assert (step.verification.particulars.match, step.verification.attempts) == (match, 1)
    assert [type(event) for event in step.events] == ([] if match else [MatchEnded])


def test_resend_is_refused_when_used_up_or_over() -> None:
    later = NOW + timedelta(seconds=250)

    with pytest.raises(Conflict, match="All 4 resends"):
        resend(pending(sends=5), Channel.SMS, now=later)
    with pytest.raises(Conflict, match="canceled"):
        resend(pending(state=State.CANCELED), Channel.SMS, now=later)


class LifeOfAVerification(RuleBasedStateMachine):
    """Random walks over everything that can happen; the invariants are the laws of the house."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.verification = pending()
        self.tally = lockout.CLEAN
        self.approvals = 0
        self.evaluated_wrong = 0
        self.final: State | None = None

    @rule(seconds=st.integers(0, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(typed=st.sampled_from(Typed))
    def somebody_types(self, typed: Typed) -> None:
        judged = gate(self.verification, self.tally, now=self.now)
        if judged is None:
            judged = judge(self.verification, typed, self.tally, now=self.now)
            self.evaluated_wrong += typed is not Typed.RIGHT
            assert self.now < self.verification.expires_at
        self.approvals += judged.approved
        assert judged.approved == (judged.reason is None)
        self.verification, self.tally = judged.step.verification, judged.tally

    @rule()
    def somebody_asks_again(self) -> None:
        before = self.verification.attempts
        try:
            self.verification = resend(self.verification, Channel.SMS, now=self.now).verification
        except (Conflict, RateLimited):
            return
        assert self.verification.attempts == before

    @rule()
    def the_sweeper_comes(self) -> None:
        self.verification = expire(self.verification, now=self.now).verification

    @precondition(lambda self: self.now > NOW + timedelta(seconds=60))
    @rule()
    def it_is_called_off(self) -> None:
        self.verification = call_off(self.verification, "canceled", now=self.now).verification

    @precondition(lambda self: self.now > NOW + timedelta(seconds=60))
    @rule()
    def the_number_turns_out_not_to_exist(self) -> None:
        self.verification = give_up(self.verification, "unknown_number", now=self.now).verification

    @invariant()
    def it_is_approved_at_most_once(self) -> None:
        assert self.approvals <= 1
        assert (self.approvals == 1) == (self.verification.state is State.APPROVED)

    @invariant()
    def a_final_state_is_never_left(self) -> None:
        if self.final is not None:
            assert self.verification.state is self.final
        if self.verification.state is not State.PENDING:
            self.final = self.verification.state

    @invariant()
    def no_more_wrong_codes_are_looked_at_than_the_policy_allows(self) -> None:
        assert self.evaluated_wrong <= self.verification.policy.attempts_max
        assert self.verification.attempts <= self.verification.policy.attempts_max

    @invariant()
    def nothing_to_check_against_is_left_when_it_is_over(self) -> None:
        if self.verification.state is not State.PENDING:
            assert self.verification.own_code_digest is None


TestLifeOfAVerification = LifeOfAVerification.TestCase
TestLifeOfAVerification.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
