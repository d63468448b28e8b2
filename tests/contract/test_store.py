"""What every store must keep true, whatever runs at once; each name says the invariant."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core import verification as rules
from dastak.core.call_terms import CallBar
from dastak.core.errors import Conflict, IdempotencyMismatch, NotFound, RateLimited, Refused
from dastak.core.events import (
    AttemptMissed,
    CallNoted,
    CallReported,
    MessageDelivered,
    MessageDropped,
    MessageQueued,
    MessageRefused,
    MessageResumed,
    MessageSubmitted,
    NumberLocked,
    VerificationApproved,
    VerificationCanceled,
    VerificationExpired,
    VerificationStarted,
)
from dastak.core.lockout import CLEAN, WRONG_CONSECUTIVE_MAX, WRONG_PER_DAY_MAX, Tally
from dastak.core.message import CarrierRef, MessageKey, MessageState, RecordedText
from dastak.core.outcome import Outcome
from dastak.core.past_use import Judge, LookFurther, PastCall, PastSend
from dastak.core.policy import Channel, Policy
from dastak.core.ports import Change, Filter, Held, Replayed, Store, Tenancy
from dastak.core.spend import Account, Correction, Reserve, Spend
from dastak.core.tenant import Mode
from dastak.core.verification import Judgement, Particulars, Reason, State, Typed, Verification
from dastak.store import past_tables, rows
from dastak.store.postgres import postgres_store
from tests.support.samples import (
    MSISDN,
    NOW,
    checking,
    ms,
    settling,
    some_id,
    some_key,
    some_message,
    some_msisdn,
    some_once,
    some_opening,
    some_service,
    some_tenant,
    some_verification,
    submitting,
)
from tests.support.stores import open_sqlite

CARRIER = CarrierRef("north", "ref-1")
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


async def opened(store: Store, **changes: Any) -> Verification:
    verification = some_verification(**changes)
    await store.open(some_opening(verification))
    return verification


async def found(store: Store, verification: Verification) -> Verification:
    return (await store.find(verification.tenant, verification.id)).verification


async def at_once(*operations: Any) -> list[Any]:
    return await asyncio.gather(*operations, return_exceptions=True)


def failing(error: Exception) -> Callable[[Held], Change[None]]:
    def rule(held: Held) -> Change[None]:
        raise error

    return rule


def judging(use: PastSend | PastCall, allowed: int) -> Judge:
    """Allow a number so many uses."""

    def rule(past: Sequence[Any], whole: bool) -> None:
        if not whole and len(past) >= allowed:
            raise LookFurther
        if len(past) >= allowed:
            raise RateLimited("too many", limit="number", retry_after_s=1)

    return Judge(use, NOW - DAY, rule)


def noting(**change: Any) -> Callable[[Held], Change[str]]:
    return lambda held: Change(answer="noted", **change)


# What is written comes back.


async def test_verification_comes_back_as_it_was_opened(store: Store) -> None:
    verification = some_verification(
        policy=Policy(length=8, ttl_s=120, channels=(Channel.VOICE, Channel.SMS)),
        particulars=Particulars(
            channel=Channel.VOICE, locale="hi", amount="10.00", currency="INR", payee="Acme"
        ),
        own_code_digest=b"d" * 32,
        own_code_sealed=b"s" * 40,
    )

    answer = await store.open(some_opening(verification))

    assert answer == verification
    assert await store.find(1, verification.id) == Held(verification, CLEAN)


async def test_timeline_tells_of_verification_and_messages_in_order_of_time(store: Store) -> None:
    verification = await opened(store)
    at = [ms(NOW + n * SECOND) for n in range(5)]

    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER, NOW + SECOND))
    await store.decide(verification.id, checking(Typed.WRONG, NOW + 2 * SECOND))
    await store.decide(CARRIER, settling(CARRIER, Outcome.DELIVERED, NOW + 3 * SECOND))
    await store.decide(verification.id, checking(Typed.RIGHT, NOW + 4 * SECOND))

    assert await store.timeline(1, verification.id) == [
        VerificationStarted(at[0], "sms"),
        MessageQueued(at[0], 0, "sms", 1),
        MessageSubmitted(at[1], 0, "north", "ref-1", 12),
        AttemptMissed(at[2], Reason.WRONG_CODE, 4),
        MessageDelivered(at[3], 0, "stat:DELIVRD"),
        VerificationApproved(at[4]),
    ]


async def test_resend_adds_a_message_and_changes_the_particulars(store: Store) -> None:
    verification = await opened(store)
    now = NOW + timedelta(seconds=30)
    call = some_message(verification, 1, channel=Channel.VOICE)
    queued = MessageQueued(ms(now), 1, "voice", 1)

    def rule(held: Held) -> Change[Verification]:
        step = rules.resend(held.verification, Channel.VOICE, now=now)
        return Change(answer=step.verification, verification=step.verification, message=call, trace=(queued,))

    resent = await store.decide(verification.id, rule)

    assert await found(store, verification) == resent
    assert resent.particulars.channel is Channel.VOICE
    held = await store.decide(MessageKey(verification.id, 1), lambda held: Change(answer=held))
    assert held == Held(resent, CLEAN, call)
    assert (await store.timeline(1, verification.id))[-1] == queued


# Attempts and approval.


@pytest.mark.parametrize("_round", range(20))
async def test_hundred_right_checks_at_once_approve_once(store: Store, _round: int) -> None:
    verification = await opened(store)

    judged = await at_once(*(store.decide(verification.id, checking(Typed.RIGHT)) for _ in range(100)))

    assert Counter((j.approved, j.reason) for j in judged) == {(True, None): 1, (False, Reason.CONSUMED): 99}
    told = await store.timeline(1, verification.id)
    assert [event for event in told if isinstance(event, VerificationApproved)] == [
        VerificationApproved(ms(NOW))
    ]


async def test_hundred_wrong_checks_at_once_spend_exactly_the_attempts_there_are(store: Store) -> None:
    verification = await opened(store)

    judged = await at_once(*(store.decide(verification.id, checking(Typed.WRONG)) for _ in range(100)))

    assert Counter(j.reason for j in judged) == {Reason.WRONG_CODE: 5, Reason.EXHAUSTED: 95}
    held = await store.find(1, verification.id)
    assert (held.verification.state, held.verification.attempts) == (State.EXHAUSTED, 5)
    assert held.tally.consecutive == 5


async def test_wrong_attempts_count_per_number_over_all_its_verifications(store: Store) -> None:
    verifications = [await opened(store, service=n) for n in range(1, 6)]

    judged = await at_once(
        *(store.decide(v.id, checking(Typed.WRONG)) for _ in range(4) for v in verifications),
        store.decide(verifications[0].id, checking(Typed.RIGHT)),
    )

    assert Counter(j.reason for j in judged) == {Reason.WRONG_CODE: 10, Reason.LOCKED: 11}
    assert (await store.find(1, verifications[0].id)).tally.consecutive == 10


async def test_wrong_codes_of_test_keys_and_of_others_are_counted_apart(store: Store) -> None:
    modes = (Mode.LIVE, Mode.TEST, Mode.TEAM)
    live, test, team = [await opened(store, mode=mode, policy=Policy(attempts_max=10)) for mode in modes]

    await at_once(*(store.decide(test.id, checking(Typed.WRONG)) for _ in range(10)))
    await store.decide(team.id, checking(Typed.WRONG))

    counted = [(await store.find(1, one.id)).tally.consecutive for one in (live, test, team)]
    assert counted == [1, 10, 1]
    locked = await store.decide((await opened(store, mode=Mode.TEST)).id, checking(Typed.RIGHT))
    right = await store.decide(live.id, checking(Typed.RIGHT))
    assert (locked.reason, right.approved) == (Reason.LOCKED, True)
    counted = [(await store.find(1, one.id)).tally.consecutive for one in (live, test, team)]
    assert counted == [0, 10, 0]


async def test_unlock_forgets_the_wrong_codes_of_every_mode(store: Store) -> None:
    live, test = await opened(store), await opened(store, mode=Mode.TEST)
    await store.decide(live.id, checking(Typed.WRONG))
    await store.decide(test.id, checking(Typed.WRONG))

    forgot = [await store.unlock(1, MSISDN), await store.unlock(1, MSISDN)]

    assert forgot == [True, False]
    assert [(await store.find(1, one.id)).tally for one in (live, test)] == [CLEAN, CLEAN]


async def test_wrong_guess_in_flight_never_makes_the_right_code_fail(store: Store) -> None:
    verification = await opened(store)
    wrong = [store.decide(verification.id, checking(Typed.WRONG)) for _ in range(4)]

    judged = await at_once(*wrong[:2], store.decide(verification.id, checking(Typed.RIGHT)), *wrong[2:])

    assert [j.approved for j in judged] == [False, False, True, False, False]


async def test_approval_does_not_wipe_what_other_guesses_counted(store: Store) -> None:
    first, second = await opened(store), await opened(store, service=2)

    await at_once(
        *(store.decide(first.id, checking(Typed.WRONG)) for _ in range(3)),
        store.decide(second.id, checking(Typed.RIGHT)),
    )

    # Whatever came first: the approval ends the run of wrong ones before it, and no more.
    tally = (await store.find(1, first.id)).tally
    assert (tally.consecutive <= 3, tally.wrong_at_s) == (True, (int(NOW.timestamp()),) * 3)


async def test_unlock_forgets_a_number_once(store: Store) -> None:
    verification = await opened(store)
    await store.decide(verification.id, checking(Typed.WRONG))

    forgot = [await store.unlock(1, MSISDN), await store.unlock(1, MSISDN)]

    assert forgot == [True, False]
    assert (await store.find(1, verification.id)).tally == CLEAN


async def test_ended_verification_keeps_no_code_material(store: Store) -> None:
    verification = await opened(store, own_code_digest=b"d" * 32, own_code_sealed=b"s" * 40)

    await store.decide(verification.id, checking(Typed.RIGHT))

    ended = await found(store, verification)
    assert (ended.own_code_digest, ended.own_code_sealed) == (None, None)


async def test_timeline_is_bounded_and_still_tells_the_end(store: Store) -> None:
    verification = await opened(store)
    chatter = tuple(NumberLocked(ms(NOW), "wrong_per_hour") for _ in range(100))
    for _ in range(10):
        await store.decide(verification.id, noting(events=chatter))

    await store.decide(verification.id, checking(Typed.RIGHT, NOW + SECOND))

    told = await store.timeline(1, verification.id)
    assert len(told) < 400
    assert told[-1] == VerificationApproved(ms(NOW + SECOND))


# A failure is its caller's alone.


@pytest.mark.parametrize("error", [Conflict("no"), ValueError("a bug in a rule")])
async def test_rule_that_raises_fails_only_its_own_caller(store: Store, error: Exception) -> None:
    verifications = [await opened(store, msisdn=some_msisdn(n)) for n in range(20)]

    answers = await at_once(
        *(
            store.decide(v.id, failing(error) if n % 2 else checking(Typed.RIGHT))
            for n, v in enumerate(verifications)
        )
    )

    assert [answer is error if n % 2 else answer.approved for n, answer in enumerate(answers)] == [True] * 20
    assert [(await found(store, v)).state for v in verifications] == [State.APPROVED, State.PENDING] * 10


async def test_operation_that_fails_after_writing_leaves_no_trace_and_spares_the_others(store: Store) -> None:
    victim = await opened(store)
    others = [some_opening(some_verification(msisdn=some_msisdn(n))) for n in range(10)]
    taken = some_message(victim)

    def rule(held: Held) -> Change[None]:
        # The message exists, so the second write of this change breaks a key after the first was done.
        spent = replace(held.verification, attempts=3)
        return Change(answer=None, verification=spent, tally=Tally(3, (1,)), message=taken)

    answers = await at_once(
        *map(store.open, others[:5]), store.decide(victim.id, rule), *map(store.open, others[5:])
    )

    assert isinstance(answers.pop(5), Exception)
    assert answers == [opening.verification for opening in others]
    assert await store.find(1, victim.id) == Held(victim, CLEAN)
    for opening in others:
        assert await found(store, opening.verification) == opening.verification


async def test_policy_of_an_operation_that_was_undone_is_not_mistaken_for_another(store: Store) -> None:
    rare, other = Policy(ttl_s=61), Policy(ttl_s=62)

    def unable(result: object) -> bytes:
        raise ValueError("cannot be rendered")

    once = replace(some_once(), render=unable)
    failed = await at_once(store.open(some_opening(some_verification(policy=rare)), once=once))
    verifications = [
        await opened(store, msisdn=some_msisdn(n), policy=p) for n, p in enumerate((other, rare))
    ]

    assert [type(error) for error in failed] == [ValueError]
    assert [(await found(store, v)).policy for v in verifications] == [other, rare]


async def test_caller_that_went_away_takes_nobody_with_it(store: Store) -> None:
    gone, stays = some_opening(), some_opening(some_verification(msisdn=some_msisdn(2)))
    task = asyncio.ensure_future(store.open(gone))
    await asyncio.sleep(0)
    task.cancel()

    assert await store.open(stays) == stays.verification


# Starting.


async def test_new_start_supersedes_the_pending_one_of_the_same_purpose(store: Store) -> None:
    old = await opened(store)
    spared = [
        await opened(store, service=2),
        await opened(store, msisdn=some_msisdn(1)),
        await opened(store, tenant=2),
        await opened(store, particulars=Particulars(purpose="payment")),
    ]

    new = await opened(store, created_at=NOW + SECOND)

    assert (await found(store, old)).state is State.CANCELED
    assert (await store.timeline(1, old.id))[-1] == VerificationCanceled(ms(NOW + SECOND), "superseded")
    assert [await found(store, v) for v in (*spared, new)] == [*spared, new]


async def test_hundred_starts_at_once_for_one_number_leave_one_pending(store: Store) -> None:
    verifications = [some_verification() for _ in range(100)]

    await at_once(*(store.open(some_opening(v)) for v in verifications))

    states = Counter([(await found(store, v)).state for v in verifications])
    assert states == {State.PENDING: 1, State.CANCELED: 99}


async def test_same_idempotency_key_at_once_makes_one_verification(store: Store) -> None:
    answers = await at_once(
        *(store.open(some_opening(), once=some_once(answer=b"201 one")) for _ in range(100))
    )

    assert Counter(type(answer) for answer in answers) == {Verification: 1, Replayed: 99}
    assert {answer.answer for answer in answers if isinstance(answer, Replayed)} == {b"201 one"}
    assert len((await store.list(Filter(tenant=1))).verifications) == 1


async def test_idempotency_key_with_another_request_is_refused_and_changes_nothing(store: Store) -> None:
    verification = await opened(store)
    await store.decide(verification.id, checking(Typed.WRONG), once=some_once())

    with pytest.raises(IdempotencyMismatch):
        await store.decide(verification.id, checking(Typed.RIGHT), once=some_once(fingerprint="other"))

    assert await store.decide(verification.id, checking(Typed.RIGHT), once=some_once()) == Replayed(b"201 {}")
    assert (await found(store, verification)).attempts == 1


async def test_request_that_failed_keeps_no_answer(store: Store) -> None:
    verification = await opened(store)
    await at_once(store.decide(verification.id, failing(Conflict("not yet")), once=some_once()))

    judged = await store.decide(verification.id, checking(Typed.RIGHT), once=some_once())

    assert isinstance(judged, Judgement)
    assert judged.approved


async def test_kept_answer_is_found_and_guarded_by_its_request(store: Store) -> None:
    before = await store.kept(some_once())
    await store.open(some_opening(), once=some_once(answer=b"201 one"))

    assert before is None
    assert await store.kept(some_once()) == Replayed(b"201 one")
    with pytest.raises(IdempotencyMismatch):
        await store.kept(some_once(fingerprint="other"))


async def test_spend_cap_is_exact_under_concurrency(store: Store) -> None:
    def opening(n: int) -> Any:
        spend = Spend(micros=300, cap_micros=1_000, day=7)
        return some_opening(some_verification(msisdn=some_msisdn(n)), spend=spend)

    answers = await at_once(*(store.open(opening(n)) for n in range(50)))

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert (len(refused), {answer.reason for answer in refused}) == (47, {"spend_cap"})
    assert len((await store.list(Filter(tenant=1))).verifications) == 3


async def test_spend_is_per_tenant_and_day_and_a_refused_change_costs_nothing(store: Store) -> None:
    verification, other = await opened(store), await opened(store, tenant=2)

    async def spend(v: Verification, micros: int, day: int) -> Any:
        change = noting(spend=Spend(micros=micros, cap_micros=1_000, day=day))
        return (await at_once(store.decide(v.id, change)))[0]

    assert isinstance(await spend(verification, 1_001, 1), Refused)
    assert await spend(verification, 1_000, 1) == "noted"
    assert isinstance(await spend(verification, 1, 1), Refused)
    assert [await spend(verification, 1_000, 2), await spend(other, 1_000, 1)] == ["noted", "noted"]


async def test_caps_of_accounts_hold_over_all_tenants_and_a_refusal_charges_nothing(store: Store) -> None:
    verification, other = await opened(store), await opened(store, tenant=2)

    async def spend(v: Verification, micros: int, *accounts: Account, cap_micros: int = 1_000) -> Any:
        change = noting(spend=Spend(micros, cap_micros, 1, accounts))
        return (await at_once(store.decide(v.id, change)))[0]

    prefix = Account("prefix:44", 500, CallBar.PREFIX_CAP)
    service = Account("service:1", 400, CallBar.SERVICE_CAP)
    assert await spend(verification, 300, prefix, service) == "noted"
    assert (await spend(verification, 150, prefix, service)).reason == "call_service_cap"
    assert (await spend(other, 250, prefix)).reason == "call_prefix_cap"
    assert (await spend(other, 200, prefix, cap_micros=199)).reason == "spend_cap"
    assert await spend(other, 200, prefix) == "noted"
    assert (await spend(other, 1, prefix)).reason == "call_prefix_cap"


async def test_correction_gives_back_on_its_own_day_whatever_the_caps(store: Store) -> None:
    verification = await opened(store)
    account = Account("service:1", 1_000, CallBar.SERVICE_CAP)
    spend = Spend(1_000, 1_000, 1, (account,))
    await store.decide(verification.id, noting(spend=spend))
    reserve = Reserve(1_000, 1, ("service:1",))

    await store.decide(verification.id, noting(correction=Correction(-400, reserve)))
    left = await at_once(
        store.decide(verification.id, noting(spend=Spend(401, 1_000, 1))),
        store.decide(verification.id, noting(spend=Spend(401, 2_000, 1, (account,)))),
        store.decide(verification.id, noting(spend=Spend(400, 1_000, 1, (account,)))),
    )
    await store.decide(verification.id, noting(correction=Correction(+5_000, reserve)))
    after = await at_once(store.decide(verification.id, noting(spend=Spend(0, 5_999, 1))))

    assert [getattr(answer, "reason", answer) for answer in (*left, *after)] == [
        "spend_cap", "call_service_cap", "noted", "spend_cap",
    ]  # fmt: skip


async def test_what_is_set_aside_for_a_call_is_kept_with_it(store: Store) -> None:
    verification = some_verification()
    reserve = Reserve(700, 7, ("prefix:44",))
    call = some_message(verification, channel=Channel.VOICE, reserve=reserve)
    await store.open(some_opening(verification, message=call))

    [due] = await store.due(NOW + DAY, lease_until=NOW + DAY, limit=1)
    await store.decide(call.key, noting(message=replace(call, reserve=None)))
    await opened(store, msisdn=some_msisdn(1))
    [later, _] = await store.due(NOW + 2 * DAY, lease_until=NOW + 2 * DAY, limit=2)

    assert due.message is not None
    assert later.message is not None
    assert (due.message.reserve, later.message.reserve) == (reserve, None)


# Messages.


async def test_row_that_cannot_be_read_holds_up_no_other_message(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held_of = rows.held_of
    strange, plain = [await opened(store, msisdn=some_msisdn(n)) for n in range(2)]

    def not_that_one(row: rows.Row) -> Held:
        held = held_of(row)
        if held.verification.id == strange.id:
            raise ValueError("a word of a newer program")
        return held

    monkeypatch.setattr(rows, "held_of", not_that_one)
    due_at = NOW + timedelta(seconds=30)
    due = await store.due(due_at, lease_until=due_at, limit=10)

    later = plain.expires_at + SECOND
    over = await store.sweep(later, keep_after=NOW - DAY, limit=10)
    anew = await opened(store, msisdn=strange.msisdn)

    assert [held.verification.id for held in due] == [plain.id]
    assert [one.id for one, _ in over.expired] == [plain.id]
    assert await found(store, anew) == anew
    assert "cannot be read, and is left out" in caplog.text


async def test_due_messages_are_leased_to_one_taker(store: Store) -> None:
    verifications = [await opened(store, msisdn=some_msisdn(n)) for n in range(5)]
    due_at, until = NOW + timedelta(seconds=30), NOW + timedelta(seconds=60)

    early = await store.due(NOW, lease_until=until, limit=10)
    takers = await at_once(*(store.due(due_at, lease_until=until, limit=2) for _ in range(5)))
    again = await store.due(until, lease_until=until + SECOND, limit=10)

    assert early == []
    taken = {held.verification.id: held for taker in takers for held in taker}
    assert taken == {v.id: Held(v, CLEAN, some_message(v, due_at=until)) for v in verifications}
    assert sum(map(len, takers)) == len(taken)
    assert {held.verification.id for held in again} == {v.id for v in verifications}


async def test_recover_makes_only_queued_messages_due(store: Store) -> None:
    waiting, sent = await opened(store), await opened(store, msisdn=some_msisdn(1))
    await store.decide(MessageKey(sent.id, 0), submitting(CARRIER))

    recovered = await store.recover(NOW)

    assert recovered == 1
    due = await store.due(NOW, lease_until=NOW + SECOND, limit=10)
    assert [held.verification.id for held in due] == [waiting.id]


async def test_recover_finds_all_of_a_long_queue(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_store, "RESUME_MAX", 3)
    waiting = [await opened(store, msisdn=some_msisdn(n)) for n in range(7)]

    recovered = await store.recover(NOW)

    assert recovered == 7
    due = await store.due(NOW, lease_until=NOW + SECOND, limit=10)
    assert {held.verification.id for held in due} == {one.id for one in waiting}


async def test_recover_makes_the_earliest_expiry_due_first(store: Store) -> None:
    lives_s = (200, 3600, 30, 300, 60, 120)
    for n, life_s in enumerate(lives_s):
        await opened(store, msisdn=some_msisdn(n), expires_at=NOW + timedelta(seconds=life_s))

    await store.recover(NOW)

    taken = [held for _ in range(3) for held in await store.due(NOW, lease_until=NOW + SECOND, limit=2)]
    expire_at = [held.verification.expires_at for held in taken]
    assert expire_at == [NOW + timedelta(seconds=life_s) for life_s in sorted(lives_s)]


async def test_recover_writes_down_which_messages_a_carrier_may_have_had(store: Store) -> None:
    in_hands = await opened(store)
    due_at, now = some_message(in_hands).due_at, NOW
    assert due_at is not None
    assert due_at > now
    await store.recover(now)
    await store.recover(now)  # it is due already, so nobody had it meanwhile

    events = await store.timeline(in_hands.tenant, in_hands.id)
    assert [event for event in events if isinstance(event, MessageResumed)] == [
        MessageResumed(int(now.timestamp() * 1000), 0)
    ]


async def test_message_that_was_in_hands_at_a_crash_is_told_however_late_the_restart_comes(
    tmp_path: Path,
) -> None:
    later = NOW + timedelta(hours=1)
    async with open_sqlite(tmp_path) as store:
        in_hands = await opened(store)
    async with open_sqlite(tmp_path) as store:
        await store.recover(later)

        events = await store.timeline(in_hands.tenant, in_hands.id)

    assert MessageResumed(ms(later), 0) in events


async def test_receipt_finds_its_message_by_the_carriers_id(store: Store) -> None:
    verification = await opened(store)
    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))

    held = await store.decide(CARRIER, lambda held: Change(answer=held))

    assert held.verification == verification
    assert held.message == some_message(
        verification, state=MessageState.SUBMITTED, due_at=None, carrier=CARRIER
    )


async def test_receipts_at_once_settle_a_message_once(store: Store) -> None:
    verification = await opened(store)
    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))

    answers = await at_once(*(store.decide(CARRIER, settling(CARRIER, Outcome.DELIVERED)) for _ in range(20)))

    # A delivered message is not looked for any more, so what comes later finds nothing.
    assert answers.count(True) == 1
    assert [type(answer) for answer in answers].count(NotFound) == 19
    told = await store.timeline(1, verification.id)
    assert len([event for event in told if isinstance(event, MessageDelivered)]) == 1


async def test_delivered_wins_over_undelivered_and_stays(store: Store) -> None:
    verification = await opened(store)
    key = MessageKey(verification.id, 0)
    await store.decide(key, submitting(CARRIER))

    await store.decide(CARRIER, settling(CARRIER, Outcome.UNKNOWN_NUMBER))
    await store.decide(CARRIER, settling(CARRIER, Outcome.DELIVERED))

    assert await store.decide(key, settling(CARRIER, Outcome.UNKNOWN_NUMBER)) is False
    state = await store.decide(key, lambda held: Change(answer=held.message.state))
    assert state is MessageState.DELIVERED


async def test_carrier_id_that_comes_again_means_the_newest_message(store: Store) -> None:
    old, new = await opened(store), await opened(store, msisdn=some_msisdn(1))
    for verification in (old, new):
        await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))

    held = await store.decide(CARRIER, lambda held: Change(answer=held))

    assert held.verification.id == new.id


# Time goes by.


async def test_sweep_expires_what_is_over_and_erases_its_code_material(store: Store) -> None:
    over = await opened(store, own_code_digest=b"d" * 32, own_code_sealed=b"s" * 40)
    alive = await opened(store, msisdn=some_msisdn(1), created_at=NOW + SECOND)

    swept = await store.sweep(over.expires_at, keep_after=NOW - DAY, limit=10)

    expired = replace(over, state=State.EXPIRED, own_code_digest=None, own_code_sealed=None)
    told = VerificationExpired(ms(over.expires_at))
    assert (swept.expired, swept.deleted) == (((expired, (told,)),), 0)
    assert [await found(store, over), await found(store, alive)] == [expired, alive]
    assert (await store.timeline(1, over.id))[-1] == told


async def test_sweep_deletes_old_ones_with_their_messages_and_keeps_to_its_limit(store: Store) -> None:
    old = [await opened(store, msisdn=some_msisdn(n)) for n in range(5)]
    new = await opened(store, created_at=NOW + DAY)
    for verification in old:
        await store.decide(verification.id, checking(Typed.RIGHT))

    deleted = [(await store.sweep(NOW, keep_after=NOW + SECOND, limit=2)).deleted for _ in range(4)]

    assert deleted == [2, 2, 1, 0]
    assert (await store.list(Filter(tenant=1))).verifications == (new,)
    for verification in old:
        with pytest.raises(NotFound):
            await store.timeline(1, verification.id)


async def test_sweep_never_deletes_a_pending_one(store: Store) -> None:
    verification = await opened(store)

    swept = await store.sweep(NOW, keep_after=NOW + DAY, limit=10)

    assert (swept.expired, swept.deleted) == ((), 0)
    assert await found(store, verification) == verification


async def test_idempotency_key_is_kept_a_day_and_not_for_ever(store: Store) -> None:
    first = some_opening()
    await store.open(first, once=some_once())

    await store.sweep(NOW + DAY, keep_after=NOW - DAY, limit=10)
    assert isinstance(await store.open(some_opening(), once=some_once()), Replayed)
    await store.sweep(NOW + 2 * DAY, keep_after=NOW - DAY, limit=10)
    assert isinstance(await store.open(some_opening(), once=some_once()), Verification)


async def test_sweep_forgets_old_tallies_but_no_lock_for_good(store: Store) -> None:
    some, locked = await opened(store), await opened(store, msisdn=some_msisdn(1))
    at_s = (int(NOW.timestamp()),) * WRONG_PER_DAY_MAX
    await store.decide(some.id, noting(tally=Tally(99, at_s)))
    await store.decide(locked.id, noting(tally=Tally(WRONG_CONSECUTIVE_MAX, at_s)))

    await store.sweep(NOW, keep_after=NOW + DAY, limit=10)

    assert (await store.find(1, some.id)).tally == CLEAN
    assert (await store.find(1, locked.id)).tally.consecutive == WRONG_CONSECUTIVE_MAX


async def test_sends_of_the_last_while_are_remembered(store: Store) -> None:
    await opened(store, created_at=NOW - DAY)
    once = await opened(store, msisdn=some_msisdn(1))
    resent_at = NOW + timedelta(minutes=2)
    await opened(store, msisdn=some_msisdn(2), tenant=2, sends=2, last_sent_at=resent_at)

    sends = await store.sends_since(NOW)

    assert sorted(sends, key=lambda send: (send.tenant, send.at)) == [
        PastSend(Mode.LIVE, 1, once.msisdn, NOW),
        PastSend(Mode.LIVE, 2, some_msisdn(2), NOW),
        PastSend(Mode.LIVE, 2, some_msisdn(2), resent_at),
    ]


async def test_sends_are_remembered_however_many_there_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_tables, "_CHUNK_MAX", 2)
    for n, created_at in enumerate((NOW - DAY, NOW - DAY, NOW, NOW, NOW)):
        await opened(store, msisdn=some_msisdn(n), created_at=created_at)

    recent = await store.sends_since(NOW)
    all_of_them = await store.sends_since(NOW - DAY)

    assert [send.msisdn for send in recent] == [some_msisdn(n) for n in (4, 3, 2)]
    assert [send.msisdn for send in all_of_them] == [some_msisdn(n) for n in (4, 3, 2, 1, 0)]


async def test_calls_of_the_last_while_are_remembered_once_a_trunk_was_asked(store: Store) -> None:
    offered_at = NOW + timedelta(seconds=7)
    for n, trace, created_at in (
        (4, CallNoted(ms(NOW - DAY), 0, "dialled"), NOW - DAY),
        (1, CallNoted(ms(offered_at), 0, "dialled"), NOW),
        (2, MessageRefused(ms(offered_at), 0, "trunk", "SIP 503", "congestion"), NOW),
        (3, MessageDropped(ms(offered_at), 0, "call_limit"), NOW),
    ):
        call = some_verification(msisdn=some_msisdn(n), tenant=n, created_at=created_at)
        message = some_message(call, channel=Channel.VOICE)
        await store.open(some_opening(call, message=message, trace=(trace,)))
    await opened(store)

    calls = await store.calls_since(NOW)

    assert sorted(calls) == [
        PastCall(Mode.LIVE, some_msisdn(1), offered_at),
        PastCall(Mode.LIVE, some_msisdn(2), offered_at),
    ]


async def test_sends_at_once_are_as_many_as_their_judge_allows_over_all_tenants(store: Store) -> None:
    def opening(n: int) -> Any:
        one = some_verification(tenant=1 + n % 3)
        return some_opening(one, judge=judging(PastSend(one.mode, one.tenant, one.msisdn, NOW), 5))

    answers = await at_once(*(store.open(opening(n)) for n in range(40)))
    other = some_verification(msisdn=some_msisdn(1))
    use = PastSend(other.mode, other.tenant, other.msisdn, NOW)

    assert [type(answer) for answer in answers].count(RateLimited) == 35
    assert len(await store.sends_since(NOW)) == 5
    assert await store.open(some_opening(other, judge=judging(use, 1))) == other


async def test_judge_of_a_resend_sees_what_any_tenant_sent_and_its_refusal_changes_nothing(
    store: Store,
) -> None:
    long_ago = NOW - timedelta(days=2)
    await opened(store, tenant=2, created_at=long_ago)
    await opened(store, tenant=2, mode=Mode.TEST)
    mine = await opened(store, sends=2, last_sent_at=NOW + SECOND)
    asked = await opened(store, tenant=3, particulars=Particulars(factor="a" * 32), sends=2)
    seen: list[PastSend] = []
    recent: list[PastSend] = []
    wholes: list[bool] = []

    def rule(past: Sequence[PastSend], whole: bool) -> None:
        seen[:] = past
        wholes.append(whole)
        if len(wholes) > 1:
            raise RateLimited("too many", limit="number", retry_after_s=1)
        recent.extend(past)
        raise LookFurther

    again = Judge(PastSend(mine.mode, 1, mine.msisdn, NOW), NOW - DAY, rule)
    with pytest.raises(RateLimited):
        await store.decide(mine.id, noting(verification=replace(mine, sends=3)), judge=again)

    # What asked for a code of the person's own sent nothing until a text was asked for.
    assert wholes == [False, True]
    assert sorted(seen) == sorted((*recent, PastSend(Mode.LIVE, 2, mine.msisdn, long_ago)))
    assert sorted(recent, key=lambda send: (send.tenant, send.at)) == [
        PastSend(Mode.LIVE, 1, mine.msisdn, NOW),
        PastSend(Mode.LIVE, 1, mine.msisdn, NOW + SECOND),
        PastSend(Mode.TEST, 2, mine.msisdn, NOW),
        PastSend(Mode.LIVE, 3, asked.msisdn, NOW),
    ]
    assert await found(store, mine) == mine


async def test_calls_at_once_are_as_many_as_their_judge_allows_and_a_known_one_is_shown(store: Store) -> None:
    calls = [some_verification(tenant=n) for n in range(1, 21)]
    for call in calls:
        await store.open(some_opening(call, message=some_message(call, channel=Channel.VOICE)))

    def offered(call: Verification, allowed: int) -> Any:
        key = MessageKey(call.id, 0)
        judge = judging(PastCall(call.mode, call.msisdn, NOW, key), allowed)
        return store.decide(key, noting(trace=(CallNoted(ms(NOW), 0, "offered"),)), judge=judge)

    answers = await at_once(*(offered(call, 2) for call in calls))
    allowed = [call for call, answer in zip(calls, answers, strict=True) if answer == "noted"]
    seen: list[PastCall] = []
    look = Judge(PastCall(Mode.LIVE, MSISDN, NOW), NOW - DAY, lambda past, _: seen.extend(past))
    await store.decide(calls[0].id, noting(), judge=look)

    assert [type(answer) for answer in answers].count(RateLimited) == 18
    assert set(seen) == {PastCall(Mode.LIVE, MSISDN, NOW, MessageKey(call.id, 0)) for call in allowed}


async def test_reports_of_calls_are_listed_newest_first_and_deleted_when_they_are_old(store: Store) -> None:
    several = [await opened(store, msisdn=some_msisdn(n), tenant=1 + n // 3) for n in range(4)]
    for n, verification in enumerate(several):
        event = CallReported(ms(NOW + n * SECOND), 1)
        await store.decide(verification.id, noting(events=(event,)))

    first = await store.reports(1, limit=2)
    rest = await store.reports(1, limit=2, before=first.cursor)
    since = await store.reports_since(NOW + 2 * SECOND)
    await store.sweep(NOW, keep_after=NOW + 3 * SECOND, limit=10)
    left = [*(await store.reports(1)).reports, *(await store.reports(2)).reports]

    ids = [verification.id for verification in several]
    assert [one.verification for one in (*first.reports, *rest.reports)] == [ids[2], ids[1], ids[0]]
    assert rest.cursor is None
    assert [(one.tenant, one.verification, one.at) for one in since] == [
        (1, ids[2], NOW + 2 * SECOND),
        (2, ids[3], NOW + 3 * SECOND),
    ]
    assert [one.verification for one in left] == [ids[3]]


async def test_recorded_texts_say_who_took_each_and_leave_out_test_messages(store: Store) -> None:
    await opened(store, created_at=NOW - timedelta(days=2))
    taken = await opened(store, msisdn=some_msisdn(2), tenant=2)
    await opened(store, mode=Mode.TEST, msisdn=some_msisdn(3))
    await opened(store, msisdn=some_msisdn(4))
    carrier = CarrierRef("north", "1")
    await store.decide(MessageKey(taken.id, 0), submitting(carrier))
    await store.decide(carrier, settling(carrier, Outcome.DELIVERED))

    texts = await store.recorded_texts(NOW - timedelta(days=1), limit=10)
    newest = await store.recorded_texts(NOW - timedelta(days=1), limit=1)

    assert texts == [
        RecordedText(1, some_msisdn(4), 1, "", ms(NOW)),
        RecordedText(2, some_msisdn(2), 1, "north", ms(NOW)),
    ]
    assert newest == texts[:1]


async def test_latest_at_is_the_newest_instant_known(store: Store) -> None:
    assert await store.latest_at() is None
    verification = await opened(store)
    assert await store.latest_at() == NOW
    await store.decide(verification.id, checking(Typed.WRONG, NOW + timedelta(minutes=1)))
    assert await store.latest_at() == (NOW + timedelta(minutes=1)).replace(microsecond=0)


# Reading.


async def test_list_pages_newest_first_without_gap_or_repeat(store: Store) -> None:
    verifications = []
    for n in range(25):
        verifications.append(await opened(store, msisdn=some_msisdn(n)))
        await asyncio.sleep(0.002)  # within one millisecond two nodes have no order

    seen: list[Verification] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = await store.list(Filter(tenant=1, before=cursor, limit=10))
        seen += page.verifications
        cursor, pages = page.cursor, pages + 1

    assert seen == verifications[::-1]
    assert pages == 3


async def test_list_filters(store: Store) -> None:
    plain = await opened(store)
    service = await opened(store, service=2, created_at=NOW + SECOND)
    number = await opened(store, msisdn=some_msisdn(1), created_at=NOW + 2 * SECOND)
    approved = await opened(store, msisdn=some_msisdn(2), created_at=NOW + 3 * SECOND)
    await store.decide(approved.id, checking(Typed.RIGHT, NOW + 3 * SECOND))
    await opened(store, tenant=2)

    async def ids(**wanted: Any) -> list[bytes]:
        return [v.id for v in (await store.list(Filter(tenant=1, **wanted))).verifications]

    assert await ids() == [approved.id, number.id, service.id, plain.id]
    assert await ids(service=2) == [service.id]
    assert await ids(msisdn=some_msisdn(1)) == [number.id]
    assert await ids(msisdn=MSISDN) == [service.id, plain.id]
    assert await ids(msisdn=MSISDN, service=1) == [plain.id]
    assert await ids(state=State.APPROVED) == [approved.id]
    assert await ids(created_from=NOW + SECOND, created_to=NOW + 3 * SECOND) == [number.id, service.id]


async def test_tenant_sees_nothing_of_another(store: Store) -> None:
    verification = await opened(store)

    for operation in (
        store.find(2, verification.id),
        store.timeline(2, verification.id),
        store.decide(verification.id, checking(Typed.RIGHT), tenant=2),
        store.find(1, some_id()),
        store.decide(MessageKey(verification.id, 9), noting()),
        store.decide(CarrierRef("north", "nobody's"), noting()),
    ):
        with pytest.raises(NotFound):
            await operation
    assert await found(store, verification) == verification
    assert (await store.list(Filter(tenant=2))).verifications == ()


async def test_same_number_at_two_tenants_has_two_tallies(store: Store) -> None:
    first, second = await opened(store), await opened(store, tenant=2)

    await store.decide(first.id, checking(Typed.WRONG))

    assert (await store.find(1, first.id)).tally.consecutive == 1
    assert (await store.find(2, second.id)).tally == CLEAN


# Tenancy.


async def test_tenancy_comes_back_with_its_numbers(store: Store) -> None:
    tenant = await store.put_tenant(some_tenant())
    service = await store.put_service(some_service(tenant.n, team_numbers=(MSISDN,), countries=("IN",)))
    key = some_key(tenant=tenant.n, service=service.n)
    await store.put_key(key)

    renamed = await store.put_tenant(replace(tenant, name="acme-2", suspended=True))

    assert await store.tenancy() == Tenancy(4, (renamed,), (service,), (key,))
    assert (tenant.n, service.n) == (1, 1)


async def test_taken_name_is_a_conflict_and_changes_nothing(store: Store) -> None:
    first = await store.put_tenant(some_tenant())
    second = await store.put_tenant(some_tenant("other"))
    await store.put_service(some_service(first.n))
    await store.put_service(some_service(second.n))
    before = await store.tenancy()

    for operation in (
        store.put_tenant(some_tenant()),
        store.put_tenant(replace(second, name=first.name)),
        store.put_service(some_service(first.n)),
    ):
        with pytest.raises(Conflict):
            await operation

    assert await store.tenancy() == before


async def test_kept_answer_of_a_change_of_tenancy_is_written_with_it_and_only_once(store: Store) -> None:
    once = some_once(answer=b"201 acme")
    await store.put_tenant(some_tenant(), once=once)
    before = await store.tenancy()

    for operation in (
        store.put_tenant(some_tenant("other"), once=once),
        store.put_service(some_service(), once=once),
        store.put_key(some_key(), once=once),
        store.unlock(1, MSISDN, once=once),
    ):
        with pytest.raises(Conflict):
            await operation

    assert await store.kept(once) == Replayed(b"201 acme")
    assert await store.tenancy() == before


async def test_key_and_its_predecessor_are_written_together(store: Store) -> None:
    old = some_key("old")
    await store.put_key(old)

    written = await store.put_key(some_key("new"), predecessor=replace(old, expires_at=NOW))

    tenancy = await store.tenancy()
    assert written == some_key("new")
    assert {key.id: key.expires_at for key in tenancy.keys} == {"old": NOW, "new": None}
    assert tenancy.revision == 2


async def test_keys_are_known_by_the_first_mark_of_each_until_others_are_adopted(store: Any) -> None:
    first = await store.note_keys({1: b"a" * 16})
    other = await store.note_keys({1: b"b" * 16, 2: b"c" * 16})
    await store.adopt_keys({1: b"b" * 16})

    assert (first, other) == ({1: b"a" * 16}, {1: b"a" * 16, 2: b"c" * 16})
    assert await store.note_keys({1: b"b" * 16}) == {1: b"b" * 16}


# Several at a time, and one after another.


async def test_second_store_on_the_same_data_sees_a_change_of_tenancy(
    store: Store, reopen: Callable[[], AbstractAsyncContextManager[Store]]
) -> None:
    async with reopen() as other:
        before = await other.tenancy_revision()
        tenant = await store.put_tenant(some_tenant())

        assert await other.tenancy_revision() == before + 1
        assert (await other.tenancy()).tenants == (tenant,)


async def test_right_checks_on_two_stores_at_once_approve_once(
    store: Store, reopen: Callable[[], AbstractAsyncContextManager[Store]]
) -> None:
    verification = await opened(store)
    async with reopen() as other:
        judged = await at_once(
            *(s.decide(verification.id, checking(Typed.RIGHT)) for _ in range(50) for s in (store, other))
        )

    assert Counter(j.approved for j in judged) == {True: 1, False: 99}


async def test_everything_is_there_after_closing_and_opening_again(
    reopen: Callable[[], AbstractAsyncContextManager[Store]],
) -> None:
    async with reopen() as store:
        verification = await opened(store)
        judgement = await store.decide(verification.id, checking(Typed.WRONG))
        await store.put_tenant(some_tenant())

    async with reopen() as store:
        assert await store.find(1, verification.id) == Held(judgement.step.verification, judgement.tally)
        assert [tenant.name for tenant in (await store.tenancy()).tenants] == ["acme"]
