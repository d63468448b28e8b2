"""The person types the number of the page into the phone: judged once, and no code anywhere."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from dastak.core import codes
from dastak.core.errors import InvalidRequest, NothingToCheck, Overloaded
from dastak.core.events import (
    AttemptMissed,
    CallNoted,
    MatchAsked,
    MatchEnded,
    VerificationApproved,
    VerificationCanceled,
)
from dastak.core.message import MessageKey
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy, ResendCode
from dastak.core.verification import Particulars, Reason, State, Verification
from dastak.flows.call_steps import TYPED, CallSteps
from dastak.flows.compose import match_number_of
from dastak.flows.match import TRIES_MAX, match
from dastak.flows.start import Started
from tests.flow.test_fall_back import with_calls
from tests.support.house import House, ScriptedRoute, open_house

MATCHING = Policy(match=True, channels=(Channel.VOICE, Channel.SMS))


@pytest.fixture
async def calls(house: House) -> ScriptedRoute:
    return with_calls(house)


async def asked(house: House) -> Verification:
    """Start one whose number is to be typed, and have it called."""
    started = await house.start(match=True)
    await house.deliver()
    return started


def shown(house: House, verification: Verification) -> str:
    number = match_number_of(house.ports, verification)
    assert number is not None
    return number


def other(number: str) -> str:
    return "111" if number != "111" else "222"


async def test_call_asks_for_a_number_and_carries_no_code(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)

    (outgoing,) = calls.offered
    assert (outgoing.code, outgoing.text, outgoing.match_digits) == ("", "", codes.MATCH_DIGITS)
    assert [type(event) for event in house.told[:3]][1] is MatchAsked
    assert (started.particulars.channel, started.particulars.match) == (Channel.VOICE, True)
    assert (started.policy.legacy, started.policy.attempts_max) == (True, 3)


async def test_right_number_approves_durably_once_and_tells_it_once(
    house: House, calls: ScriptedRoute
) -> None:
    started = await asked(house)
    number = shown(house, started)

    judged = [await match(house.ports, started.id, number) for _ in range(3)]

    assert [one and (one.approved, one.reason) for one in judged] == [
        (True, None),
        (False, Reason.CONSUMED),
        (False, Reason.CONSUMED),
    ]
    kept = await house.found(started)
    assert kept.state is State.APPROVED
    assert len(house.told_of(VerificationApproved)) == 1
    assert match_number_of(house.ports, kept) is None


async def test_hundred_right_numbers_at_once_approve_once(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    number = shown(house, started)

    judged = await asyncio.gather(*(match(house.ports, started.id, number) for _ in range(100)))

    assert sum(one is not None and one.approved for one in judged) == 1
    assert len(house.told_of(VerificationApproved)) == 1


async def test_wrong_number_costs_an_attempt_and_three_end_it(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    number = shown(house, started)

    reasons = [(await match(house.ports, started.id, other(number))).reason for _ in range(3)]

    assert reasons == [Reason.WRONG_NUMBER] * 3
    assert [event.attempts_remaining for event in house.told_of(AttemptMissed)] == [2, 1, 0]
    assert (await match(house.ports, started.id, number)).reason is Reason.EXHAUSTED
    assert (await house.found(started)).state is State.EXHAUSTED


async def test_wrong_numbers_lock_the_phone_over_several_verifications(
    house: House, calls: ScriptedRoute
) -> None:
    for _ in range(2):
        started = await asked(house)
        for _ in range(3):
            await match(house.ports, started.id, other(shown(house, started)))
    started = await asked(house)

    judged = await match(house.ports, started.id, shown(house, started))

    assert (judged.reason, judged.lock.limit) == (Reason.LOCKED, "wrong_per_day")


async def test_number_dies_on_the_instant_of_its_expiry(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    number = shown(house, started)
    house.clock.advance(started.policy.ttl_s)

    judged = await match(house.ports, started.id, number)

    assert judged.reason is Reason.EXPIRED
    assert (await house.found(started)).state is State.EXPIRED


async def test_what_was_canceled_is_not_approved(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    await house.cancel(started)

    assert (await match(house.ports, started.id, shown(house, started))).reason is Reason.CANCELED


async def test_check_is_refused_and_costs_nothing_whatever_is_typed(
    house: House, calls: ScriptedRoute
) -> None:
    started = await asked(house)
    for typed in (house.code(started), shown(house, started), "000000"):
        with pytest.raises(NothingToCheck):
            await house.check(started, typed)

    kept = await house.found(started)
    assert (kept.state, kept.attempts) == (State.PENDING, 0)


async def test_nothing_follows_a_call_that_was_not_taken(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    await house.receive("trunk-1", Outcome.BUSY)

    assert house.handed == []
    assert house.routes[0].offered == []
    assert (await house.found(started)).fallbacks == 0


async def test_asking_again_calls_again_and_asks_for_the_same_number(
    house: House, calls: ScriptedRoute
) -> None:
    started = await asked(house)
    await match(house.ports, started.id, other(shown(house, started)))
    house.clock.advance(30)
    resent = await house.resend(started)
    await house.deliver()

    assert [outgoing.match_digits for outgoing in calls.offered] == [3, 3]
    assert shown(house, resent.verification) == shown(house, started)
    assert (await match(house.ports, started.id, shown(house, started))).approved


async def test_new_code_on_resend_is_a_new_number_and_the_old_one_is_wrong(tmp_path: Path) -> None:
    policy = Policy(resend_code=ResendCode.NEW)
    async with open_house(tmp_path, policy=policy) as house:
        with_calls(house)
        started = await asked(house)
        first = shown(house, started)
        house.clock.advance(30)
        resent = (await house.resend(started)).verification

        assert shown(house, resent) != first
        assert (await match(house.ports, started.id, first)).reason is Reason.WRONG_NUMBER
        assert (await match(house.ports, started.id, shown(house, resent))).approved


async def test_text_that_is_asked_for_ends_the_matching_for_good(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    number = shown(house, started)
    house.clock.advance(30)
    resent = (await house.resend(started, Channel.SMS)).verification
    await house.deliver()

    assert await match(house.ports, started.id, number) is None
    assert match_number_of(house.ports, resent) is None
    assert len(house.told_of(MatchEnded)) == 1
    (text,) = house.routes[0].offered
    assert number not in text.code[:3]
    assert (await house.check(started, text.code)).approved


async def test_typed_step_is_judged_and_the_number_written_nowhere(
    house: House, calls: ScriptedRoute
) -> None:
    started = await asked(house)
    number = shown(house, started)
    steps = CallSteps()
    steps.begin(house.ports)
    steps.take(MessageKey(started.id, 0), TYPED, number)
    await house.sees(VerificationApproved)

    told = await house.timeline(started)
    assert [event.detail for event in told if isinstance(event, CallNoted) and event.step == TYPED] == [""]
    assert number not in {value for event in told for value in str(event).split("'")}


async def test_number_is_judged_once_the_store_can_write_again(
    house: House, calls: ScriptedRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await asked(house)
    decide, tries = house.store.decide, []

    def full(*args: object, **kwargs: object) -> object:
        tries.append(args)
        if len(tries) < TRIES_MAX:
            raise Overloaded("full", retry_after_s=1)
        return decide(*args, **kwargs)

    monkeypatch.setattr(house.store, "decide", full)
    judging = asyncio.create_task(match(house.ports, started.id, shown(house, started)))
    while not judging.done():
        await asyncio.sleep(0)
        house.clock.advance(1)

    assert (await judging).approved
    assert len(tries) == TRIES_MAX


async def test_person_who_did_not_ask_ends_it(house: House, calls: ScriptedRoute) -> None:
    started = await asked(house)
    await house.receive("trunk-1", Outcome.REPORTED)

    assert [event.cause for event in house.told_of(VerificationCanceled)] == ["reported"]
    assert (await match(house.ports, started.id, shown(house, started))).reason is Reason.CANCELED


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"match": True, "channel": Channel.SMS}, "match"),
        ({"match": True, "code": "hunter2024"}, "code"),
        ({"match": True, "particulars": Particulars(amount="1.00", currency="INR", payee="Bank")}, "amount"),
        ({"match": True, "particulars": Particulars(payee="Bank")}, "payee"),
    ],
)
async def test_what_a_number_cannot_do_is_refused(
    house: House, calls: ScriptedRoute, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await house.ask(**fields)

    assert refused.value.field == field
    assert await house.all() == ()


async def test_policy_has_calls_match_numbers_and_a_request_may_not_loosen_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=MATCHING) as house:
        with_calls(house)
        by_policy = await house.ask()
        text = await house.start(channel=Channel.SMS, particulars=Particulars(purpose="signup"))
        with pytest.raises(InvalidRequest) as refused:
            await house.ask(match=False)

    assert isinstance(by_policy, Started)
    assert by_policy.verification.particulars.match
    assert not text.particulars.match
    assert refused.value.field == "match"


async def test_call_after_a_text_speaks_its_code_whatever_the_policy_says(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(match=True)) as house:
        calls = with_calls(house)
        started = await house.start()
        await house.deliver()
        await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
        await house.deliver()

        (call,) = calls.offered
        assert (call.code, call.match_digits) == (house.code(started), 0)
        assert started.expires_at - house.clock.now() <= timedelta(seconds=300)
