"""A resend sends once more, and neither gives nor takes attempts."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import Conflict, InvalidRequest, NotFound, Overloaded, RateLimited, Refused
from dastak.core.events import MessageDropped, MessageQueued
from dastak.core.policy import Channel, Narrowing, Policy, ResendCode
from dastak.core.verification import Reason
from dastak.flows import factors
from dastak.flows.resend import resend
from dastak.guard.buckets import Rate
from tests.support.house import PRICE_MICROS, WIDE, House, open_house
from tests.support.samples import MSISDN, NOW, some_id

NEW_CODE = Policy(resend_code=ResendCode.NEW)


async def test_resend_waits_as_the_policy_says(house: House) -> None:
    started = await house.start(policy=Narrowing(ttl_s=300))

    sent_after_s = []
    for wait_s in (30, 60, 120):
        house.clock.advance(wait_s - 0.001)
        with pytest.raises(RateLimited) as refusal:
            await house.resend(started)
        assert (refusal.value.limit, refusal.value.retry_after_s) == ("resend_wait", 1)
        house.clock.advance(0.001)
        sent = await house.resend(started)
        sent_after_s.append((sent.verification.last_sent_at - NOW).total_seconds())

    assert sent_after_s == [30, 90, 210]


async def test_resent_text_is_durable_told_and_handed_over(house: House) -> None:
    started = await house.start()
    house.handed = []
    house.clock.advance(30)

    sent = await house.resend(started)

    assert house.handed == [(await house.found(started), await house.message(started, 1))]
    assert (sent.verification, sent.message) == house.handed[0]
    assert [event.ordinal for event in house.told_of(MessageQueued)] == [0, 1]
    assert list(await house.timeline(started)) == house.told


async def test_resend_says_the_same_code_again(house: House) -> None:
    started = await house.start()
    house.clock.advance(30)
    await house.resend(started)

    await house.deliver()

    first, second = house.routes[0].offered
    assert first.text == second.text
    assert house.code(started) in second.text
    assert (first.key.ordinal, second.key.ordinal) == (0, 1)


async def test_code_of_the_first_text_stays_good_after_a_resend(house: House) -> None:
    started = await house.start()
    code = house.code(started)
    house.clock.advance(30)
    await house.resend(started)

    assert (await house.check(started, code)).approved


async def test_resend_with_a_new_code_says_another_one(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=NEW_CODE) as house:
        started = await house.start()
        house.clock.advance(30)
        sent = await house.resend(started)

        await house.deliver()

        first, second = house.routes[0].offered
        assert house.code(started, 0) in first.text
        assert house.code(started, 1) in second.text
        assert (sent.verification.generation, sent.message.generation) == (1, 1)
        assert (await house.check(started, house.code(started, 0))).reason is Reason.OLDER_CODE


async def test_own_code_stays_the_same_whatever_the_policy_says(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=NEW_CODE) as house:
        started = await house.start(code="hunter2024")
        house.clock.advance(30)
        sent = await house.resend(started)

        await house.deliver()

        assert sent.verification.generation == 0
        assert all("hunter2024" in outgoing.text for outgoing in house.routes[0].offered)
        assert (await house.check(started, "hunter2024")).approved


async def test_resend_neither_spends_nor_gives_back_attempts(house: House) -> None:
    started = await house.start()
    for _ in range(3):
        await house.check(started, house.wrong(started))
    house.clock.advance(30)

    sent = await house.resend(started)

    assert sent.verification.attempts == 3
    assert (await house.found(started)).attempts == 3


async def test_resend_does_not_lengthen_the_life_of_the_code(house: House) -> None:
    started = await house.start()
    house.clock.advance(299)

    sent = await house.resend(started)

    assert sent.verification.expires_at == started.expires_at


async def test_resends_run_out(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(resends_max=2, resend_waits_s=(0,))) as house:
        started = await house.start()
        await house.resend(started)
        await house.resend(started)

        with pytest.raises(Conflict, match="All 2 resends are used"):
            await house.resend(started)

        assert (await house.found(started)).sends == 3


@pytest.mark.parametrize("end", ["approved", "canceled", "expired"])
async def test_what_is_over_is_not_sent_again(house: House, end: str) -> None:
    started = await house.start()
    house.clock.advance(300 if end == "expired" else 30)
    if end == "approved":
        await house.check(started, house.code(started))
    if end == "canceled":
        await house.cancel(started)
    house.handed = []

    with pytest.raises(Conflict, match=f"The verification is {end}"):
        await house.resend(started)

    assert house.handed == []


async def test_resend_by_a_channel_without_a_route_is_refused(house: House) -> None:
    started = await house.start()
    house.clock.advance(30)

    with pytest.raises(Refused) as refusal:
        await house.resend(started, Channel.VOICE)

    assert refusal.value.reason == "no_route"
    assert await house.found(started) == started


async def test_resend_by_a_channel_outside_the_policy_is_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(channels=(Channel.SMS,))) as house:
        started = await house.start()
        house.clock.advance(30)

        with pytest.raises(Refused) as refusal:
            await house.resend(started, Channel.VOICE)

        assert refusal.value.reason == "no_route"


async def test_resend_takes_the_first_channel_that_has_a_route_as_the_start_did(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(channels=(Channel.VOICE, Channel.SMS))) as house:
        started = await house.start()
        house.clock.advance(30)

        assert (await house.resend(started)).message.channel is Channel.SMS


async def test_authenticator_gives_way_to_a_text_only_where_the_channel_is_named(house: House) -> None:
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    started = await house.start(factor=made.factor.id)

    with pytest.raises(InvalidRequest, match="Nothing was sent that could be sent again") as refusal:
        await house.resend(started)
    left = (await house.found(started), list(house.handed))
    named = await house.resend(started, Channel.SMS)
    house.clock.advance(60)
    again = await house.resend(started)

    assert refusal.value.field == "channel"
    assert left == (started, [])
    assert [sent.message.channel for sent in (named, again)] == [Channel.SMS, Channel.SMS]


async def test_resend_over_a_limit_changes_nothing(tmp_path: Path) -> None:
    once_a_day = replace(WIDE, number=Rate(count=1, per_s=86_400))
    async with open_house(tmp_path, limits=once_a_day) as house:
        started = await house.start()
        house.clock.advance(30)

        with pytest.raises(RateLimited) as refusal:
            await house.resend(started)

        assert refusal.value.limit == "number"
        assert await house.found(started) == started


async def test_resend_over_the_spend_cap_changes_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=PRICE_MICROS) as house:
        started = await house.start()
        house.clock.advance(30)

        with pytest.raises(Refused) as refusal:
            await house.resend(started)

        assert refusal.value.reason == "spend_cap"
        assert await house.found(started) == started


async def test_resend_that_must_wait_costs_no_limit(tmp_path: Path) -> None:
    twice_a_day = replace(WIDE, number=Rate(count=2, per_s=86_400))
    async with open_house(tmp_path, limits=twice_a_day) as house:
        started = await house.start()
        for _ in range(3):
            with pytest.raises(RateLimited):
                await house.resend(started)
        house.clock.advance(30)

        assert (await house.resend(started)).verification.sends == 2


async def test_resend_that_the_store_refused_whole_costs_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise Overloaded("The database cannot write now.")

    twice_a_day = replace(WIDE, number=Rate(count=2, per_s=86_400))
    async with open_house(tmp_path, limits=twice_a_day) as house:
        started = await house.start()
        house.clock.advance(30)
        with monkeypatch.context() as failing:
            failing.setattr(house.store, "decide", full)
            with pytest.raises(Overloaded):
                await house.resend(started)

        assert (await house.resend(started)).verification.sends == 2


async def test_other_tenants_verification_cannot_be_resent(house: House) -> None:
    started = await house.start()

    for verification_id in (started.id, some_id()):
        with pytest.raises(NotFound):
            await resend(house.ports, house.caller_of(tenant=2), verification_id)


async def test_sealed_own_code_is_erased_once_the_last_send_is_submitted(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(resends_max=1)) as house:
        started = await house.start(code="hunter2024")
        await house.deliver()
        assert (await house.found(started)).own_code_sealed is not None
        house.clock.advance(30)
        await house.resend(started)
        assert (await house.found(started)).own_code_sealed is not None

        await house.deliver()

        erased = await house.found(started)
        assert erased.own_code_sealed is None
        assert erased.own_code_digest is not None
        assert (await house.check(started, "hunter2024")).approved


async def test_sealed_own_code_outlives_an_earlier_text_that_leaves_after_the_last_was_asked_for(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, policy=Policy(resends_max=1)) as house:
        started = await house.start(code="hunter2024")
        house.clock.advance(30)
        await house.resend(started)
        first, (_, last) = house.handed

        house.handed = [first]
        await house.deliver()
        house.handed = [(await house.found(started), last)]
        await house.deliver()

        assert ["hunter2024" in outgoing.text for outgoing in house.routes[0].offered] == [True, True]
        assert (await house.found(started)).own_code_sealed is None


async def test_earlier_text_with_an_own_code_is_put_away_once_the_last_has_left(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(resends_max=1)) as house:
        started = await house.start(code="hunter2024")
        house.clock.advance(30)
        await house.resend(started)
        first, last = house.handed

        house.handed = [last, first]
        await house.deliver()

        assert [outgoing.key.ordinal for outgoing in house.routes[0].offered] == [1]
        assert [event.cause for event in house.told_of(MessageDropped)] == ["superseded"]
