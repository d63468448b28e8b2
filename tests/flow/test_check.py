"""A check judges one attempt, and approves a verification once in its life."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.codes import KeyRing
from dastak.core.errors import InvalidRequest, NotFound, Overloaded
from dastak.core.events import (
    AttemptMissed,
    NumberLocked,
    VerificationApproved,
    VerificationExhausted,
    VerificationExpired,
)
from dastak.core.lockout import LEGACY_WRONG_PER_DAY_MAX, WRONG_PER_HOUR_MAX
from dastak.core.policy import Policy, ResendCode
from dastak.core.tenant import Caller, Mode
from dastak.core.verification import Particulars, Reason, State, Verification, attempts_remaining
from dastak.flows.check import Attempt, check
from tests.support.house import House, open_house
from tests.support.samples import MSISDN, NOW, RING, some_id, some_msisdn

PAYMENT = Particulars(purpose="payment", amount="1234.50", currency="INR", payee="Acme Books")


async def miss(house: House, verification: Verification, times: int) -> list[Reason | None]:
    return [(await house.check(verification, house.wrong(verification))).reason for _ in range(times)]


async def test_right_code_approves_durably_and_tells_it_once(house: House) -> None:
    started = await house.start()

    judged = await house.check(started, house.code(started))

    assert (judged.approved, judged.reason) == (True, None)
    assert (await house.found(started)).state is State.APPROVED
    assert len(house.told_of(VerificationApproved)) == 1
    assert list(await house.timeline(started)) == house.told


async def test_node_that_lacks_the_key_of_a_code_says_ask_again_and_costs_no_attempt(house: House) -> None:
    started = await house.start()
    code = house.code(started)
    whole = house.ports
    house.ports = replace(whole, keys=KeyRing(current=1, keys={1: RING.keys[1]}))

    with pytest.raises(Overloaded, match="no key 2 yet"):
        await house.check(started, code)
    house.ports = whole

    assert (await house.check(started, code)).approved
    assert house.told_of(AttemptMissed) == []


async def test_approved_code_is_never_right_again(house: House) -> None:
    started = await house.start()
    await house.check(started, house.code(started))

    again = await house.check(started, house.code(started))

    assert (again.approved, again.reason) == (False, Reason.CONSUMED)
    assert len(house.told_of(VerificationApproved)) == 1


async def test_wrong_code_costs_one_attempt_and_is_told(house: House) -> None:
    started = await house.start()

    judged = await house.check(started, house.wrong(started))

    assert (judged.approved, judged.reason) == (False, Reason.WRONG_CODE)
    assert (await house.found(started)).attempts == 1
    assert [event.attempts_remaining for event in house.told_of(AttemptMissed)] == [4]


@pytest.mark.parametrize("nonsense", ["", "what?", "12345", "1234567", "\ud800", "9" * 10_000])
async def test_what_is_no_code_at_all_costs_an_attempt_too(house: House, nonsense: str) -> None:
    started = await house.start()

    assert (await house.check(started, nonsense)).reason is Reason.WRONG_CODE
    assert (await house.found(started)).attempts == 1


async def test_code_is_read_as_people_type_it(house: House) -> None:
    started = await house.start()
    code = house.code(started)

    judged = await house.check(started, f" {code[:3]}-{code[3:]} ")

    assert judged.approved


async def test_whole_text_may_be_pasted(house: House) -> None:
    started = await house.start(particulars=Particulars(domain="login.acme.in"))
    await house.deliver()

    assert (await house.check(started, house.routes[0].offered[0].text)).approved


async def test_right_code_on_the_last_attempt_approves(house: House) -> None:
    started = await house.start()
    await miss(house, started, 4)

    assert (await house.check(started, house.code(started))).approved


async def test_attempts_run_out_and_then_the_right_code_is_not_looked_at(house: House) -> None:
    started = await house.start()

    reasons = await miss(house, started, 6)
    judged = await house.check(started, house.code(started))

    assert reasons == [Reason.WRONG_CODE] * 5 + [Reason.EXHAUSTED]
    assert (judged.approved, judged.reason) == (False, Reason.EXHAUSTED)
    assert (await house.found(started)).attempts == 5
    assert len(house.told_of(VerificationExhausted)) == 1
    assert len(house.told_of(AttemptMissed)) == 5


async def test_every_generation_counts_but_only_the_newest_approves(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(resend_code=ResendCode.NEW)) as house:
        started = await house.start()
        first = house.code(started, 0)
        house.clock.advance(30)
        sent = (await house.resend(started)).verification

        older = await house.check(started, first)
        newest = await house.check(started, house.code(sent, 1))

        assert (older.approved, older.reason) == (False, Reason.OLDER_CODE)
        assert attempts_remaining(older.step.verification) == 4
        assert [event.reason for event in house.told_of(AttemptMissed)] == ["older_code"]
        assert newest.approved


async def test_code_of_a_generation_not_sent_yet_is_wrong(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(resend_code=ResendCode.NEW)) as house:
        started = await house.start()

        assert (await house.check(started, house.code(started, 1))).reason is Reason.WRONG_CODE


@pytest.mark.parametrize(("after_s", "approved"), [(299.999, True), (300, False), (4000, False)])
async def test_code_dies_on_the_instant_of_its_expiry(house: House, after_s: float, approved: bool) -> None:
    started = await house.start()
    house.clock.advance(after_s)

    judged = await house.check(started, house.code(started))

    assert judged.approved is approved
    assert (await house.found(started)).state is (State.APPROVED if approved else State.EXPIRED)


async def test_expiry_met_by_a_check_is_written_and_told_once(house: House) -> None:
    started = await house.start()
    house.clock.advance(300)

    reasons = [(await house.check(started, "000000")).reason for _ in range(2)]

    assert reasons == [Reason.EXPIRED, Reason.EXPIRED]
    assert len(house.told_of(VerificationExpired)) == 1
    assert (await house.found(started)).attempts == 0
    assert list(await house.timeline(started)) == house.told


async def test_number_is_locked_over_several_verifications(house: House) -> None:
    reasons = []
    for _ in range(3):
        started = await house.start()
        reasons += await miss(house, started, 4)

    judged = await house.check(started, house.code(started))

    assert reasons == [Reason.WRONG_CODE] * WRONG_PER_HOUR_MAX + [Reason.LOCKED] * 2
    assert (judged.approved, judged.reason, judged.lock.limit) == (False, Reason.LOCKED, "wrong_per_hour")
    assert [event.limit for event in house.told_of(NumberLocked)] == ["wrong_per_hour"]


async def test_locked_check_costs_no_attempt_and_tells_nothing(house: House) -> None:
    for _ in range(2):
        await miss(house, await house.start(), 5)
    started = await house.start()
    house.told = []

    await miss(house, started, 3)

    assert (await house.found(started)).attempts == 0
    assert house.told == []


async def test_locked_number_opens_when_it_was_said_to(house: House) -> None:
    for _ in range(2):
        await miss(house, await house.start(), 5)
    locked = await house.check(await house.start(), "000000")
    house.clock.advance((locked.lock.until - NOW).total_seconds())

    started = await house.start()

    assert (await house.check(started, house.code(started))).approved


async def test_right_code_does_not_wipe_out_the_wrong_ones_of_the_hour(house: House) -> None:
    await miss(house, await house.start(), 5)
    approved = await house.start()
    await miss(house, approved, 4)
    await house.check(approved, house.code(approved))
    started = await house.start()

    assert await miss(house, started, 2) == [Reason.WRONG_CODE, Reason.LOCKED]


async def test_right_code_ends_the_run_of_wrong_ones(house: House) -> None:
    started = await house.start()
    await miss(house, started, 3)
    await house.check(started, house.code(started))
    after = await house.start()

    judged = await house.check(after, house.wrong(after))

    assert (judged.tally.consecutive, len(judged.tally.wrong_at_s)) == (1, 4)


async def test_weak_codes_allow_five_wrong_attempts_a_day(house: House) -> None:
    reasons = []
    for _ in range(3):
        started = await house.start(code="4711")
        reasons += [(await house.check(started, "9999")).reason for _ in range(2)]
        house.clock.advance(3600)

    assert reasons == [Reason.WRONG_CODE] * LEGACY_WRONG_PER_DAY_MAX + [Reason.LOCKED]
    assert [event.limit for event in house.told_of(NumberLocked)] == ["wrong_per_day"]


async def test_lock_of_one_number_or_tenant_is_no_lock_of_another(house: House) -> None:
    for _ in range(2):
        await miss(house, await house.start(), 5)
    others = [
        await house.start(some_msisdn(1)),
        await house.start(caller=house.caller_of(tenant=2, service=2)),
    ]

    assert [(await house.check(other, house.code(other))).approved for other in others] == [True, True]


@pytest.mark.parametrize(
    ("typing", "other", "approved"),
    [
        (Mode.TEST, Mode.LIVE, True),
        (Mode.TEST, Mode.TEAM, True),
        (Mode.LIVE, Mode.TEST, True),
        (Mode.TEAM, Mode.TEST, True),
        (Mode.TEAM, Mode.LIVE, False),
        (Mode.LIVE, Mode.TEAM, False),
    ],
)
async def test_wrong_codes_of_virtual_phones_lock_no_real_one_and_the_other_way(
    house: House, typing: Mode, other: Mode, approved: bool
) -> None:
    service = replace(house.caller.service, team_numbers=(MSISDN,))
    callers = {
        mode: Caller(house.caller_of(mode=mode).key, house.caller.tenant, service) for mode in (typing, other)
    }
    for _ in range(2):
        await miss(house, await house.start(caller=callers[typing]), 5)
    locked = await house.start(caller=callers[typing])
    started = await house.start(caller=callers[other])

    assert (await house.check(locked, house.code(locked))).reason is Reason.LOCKED
    assert (await house.check(started, house.code(started))).approved is approved


async def test_own_code_is_checked_by_its_digest_and_its_case_counts(house: House) -> None:
    started = await house.start(code="Hunter24")

    assert (await house.check(started, "hunter24")).reason is Reason.WRONG_CODE
    assert (await house.check(started, "Hunter24")).approved
    assert (await house.found(started)).own_code_digest is None


@pytest.mark.parametrize("own", [None, "Hunter24"])
async def test_code_stays_right_when_a_new_key_becomes_the_current_one(house: House, own: str | None) -> None:
    house.ports = replace(house.ports, keys=KeyRing(current=1, keys=RING.keys))
    started = await house.start(code=own)
    code = own or house.code(started)

    house.ports = replace(house.ports, keys=RING)
    await house.deliver()

    assert house.routes[0].offered[0].text.startswith(code)
    assert (await house.check(started, code)).approved


async def test_derived_code_is_not_right_where_the_caller_brought_one(house: House) -> None:
    started = await house.start(code="471108")
    plain = await house.start(some_msisdn(1))

    assert (await house.check(started, house.code(plain))).reason is Reason.WRONG_CODE


async def test_code_of_one_is_wrong_for_another_and_counts(house: House) -> None:
    one = await house.start()
    other = await house.start(some_msisdn(1))

    judged = await house.check(other, house.code(one))

    assert judged.reason is Reason.WRONG_CODE
    assert (await house.found(other)).attempts == 1
    assert (await house.found(one)).attempts == 0
    assert (await house.check(one, house.code(one))).approved


async def test_same_own_code_of_another_approves_only_its_own(house: House) -> None:
    one = await house.start(code="471108")
    other = await house.start(some_msisdn(1), code="471108")

    await house.check(one, "471108")

    assert (await house.found(other)).state is State.PENDING


async def test_other_tenants_verification_does_not_exist(house: House) -> None:
    started = await house.start()

    with pytest.raises(NotFound) as strange:
        await check(house.ports, 2, started.id, Attempt(code=house.code(started)))
    with pytest.raises(NotFound) as unknown:
        await check(house.ports, 2, some_id(), Attempt(code=house.code(started)))

    assert strange.value.detail == unknown.value.detail
    assert (await house.found(started)).state is State.PENDING


async def test_transaction_named_word_for_word_approves(house: House) -> None:
    started = await house.start(particulars=PAYMENT)

    assert (await house.check(started, house.code(started), amount="1234.50", payee="Acme Books")).approved


@pytest.mark.parametrize(("amount", "payee"), [("1234.5", "Acme Books"), ("1234.50", "Evil Books")])
async def test_changed_transaction_voids_the_code_and_counts(house: House, amount: str, payee: str) -> None:
    started = await house.start(particulars=PAYMENT)
    code = house.code(started)

    changed = await house.check(started, code, amount=amount, payee=payee)
    right = await house.check(started, code, amount="1234.50", payee="Acme Books")

    assert (changed.approved, changed.reason, changed.tally.consecutive) == (False, Reason.WRONG_CODE, 1)
    assert (right.approved, right.reason) == (False, Reason.CANCELED)


@pytest.mark.parametrize(
    ("named", "field"),
    [({}, "amount"), ({"amount": "1234.50"}, "payee"), ({"payee": "Acme Books"}, "amount")],
)
async def test_transaction_not_named_is_asked_for_and_costs_nothing(
    house: House, named: dict[str, str], field: str
) -> None:
    started = await house.start(particulars=PAYMENT)

    with pytest.raises(InvalidRequest) as refusal:
        await house.check(started, house.code(started), **named)

    assert refusal.value.field == field
    assert (await house.found(started)).attempts == 0


@pytest.mark.parametrize("field", ["amount", "payee"])
async def test_transaction_named_for_a_code_without_one_is_refused(house: House, field: str) -> None:
    started = await house.start()

    with pytest.raises(InvalidRequest) as refusal:
        await house.check(started, house.code(started), **{field: "1"})

    assert refusal.value.field == field


async def test_hundred_right_checks_at_once_approve_once(house: House) -> None:
    started = await house.start()

    judged = await asyncio.gather(*(house.check(started, house.code(started)) for _ in range(100)))

    assert Counter(judgement.reason for judgement in judged) == {None: 1, Reason.CONSUMED: 99}
    assert sum(judgement.approved for judgement in judged) == 1
    assert len(house.told_of(VerificationApproved)) == 1


async def test_hundred_wrong_checks_at_once_are_judged_five_times(house: House) -> None:
    started = await house.start()

    judged = await asyncio.gather(*(house.check(started, house.wrong(started)) for _ in range(100)))

    assert Counter(judgement.reason for judgement in judged) == {
        Reason.WRONG_CODE: 5,
        Reason.EXHAUSTED: 95,
    }


async def test_right_code_among_few_wrong_ones_at_once_is_found(house: House) -> None:
    started = await house.start()
    typed = [house.code(started), *[house.wrong(started)] * 4]
    random.Random(7).shuffle(typed)

    judged = await asyncio.gather(*(house.check(started, code) for code in typed))

    assert [judgement.approved for judgement in judged] == [code == house.code(started) for code in typed]
