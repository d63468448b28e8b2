"""A phone that was away gets its code once it is back: the same one, once, and only while it is wanted."""

import asyncio
from pathlib import Path

import pytest

from dastak.core.events import MessageQueued, MessageUndelivered, PhoneReturned
from dastak.core.message import MessageState
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.policy import Policy, ResendCode
from dastak.core.reply import HeardReply, Reply, ReplyKind
from dastak.core.tenant import Mode
from dastak.core.verification import State, Verification
from dastak.delivery.failover import USEFUL_LIFE_S
from dastak.flows.phone_back import AWAY, UNDER_WAY_MAX, Returns, SentAgain, phone_back
from tests.support.house import PRICE_MICROS, House, ScriptedRoute, open_house
from tests.support.samples import MSISDN, ms, some_msisdn


async def failed(house: House, outcome: Outcome = Outcome.ABSENT_SUBSCRIBER) -> Verification:
    """Start a verification whose text is taken and then fails."""
    verification = await house.start()
    await house.deliver()
    route = next(route for route in house.routes if route.offered)
    await house.receive(f"{route.name}-{len(route.offered)}", outcome)
    house.handed = []
    return verification


async def back(house: House, msisdn: Msisdn = MSISDN, *, test: bool = False) -> tuple[SentAgain, ...]:
    return await phone_back(house.ports, house.store, "north", msisdn, test=test)


@pytest.mark.parametrize("outcome", sorted(AWAY))
async def test_text_goes_out_again_at_once_with_the_same_code(house: House, outcome: Outcome) -> None:
    verification = await failed(house, outcome)
    house.clock.advance(60)

    (again,) = await back(house)
    await house.deliver()

    texts = [outgoing.text for route in house.routes for outgoing in route.offered]
    assert len(texts) == 2
    assert texts[0] == texts[1]
    assert (again.message.key.ordinal, again.verification.fallbacks) == (1, 1)
    assert await house.message_state(verification, 1) is MessageState.SUBMITTED
    told = PhoneReturned(ms(house.clock.now()), 0, "north", 1)
    assert house.told_of(PhoneReturned) == [told]
    assert told in await house.timeline(verification)
    assert (await house.check(verification, house.code(verification))).approved


async def test_second_return_sends_nothing_more(house: House) -> None:
    await failed(house)
    await back(house)
    await house.deliver()
    refused = next(route for route in house.routes if route.offered)
    await house.receive(f"{refused.name}-{len(refused.offered)}", Outcome.ABSENT_SUBSCRIBER)

    assert await back(house) == ()


async def test_word_of_one_return_over_many_binds_sends_one_text(house: House) -> None:
    await failed(house)

    sent = await asyncio.gather(*(back(house) for _ in range(20)))

    assert sum(map(len, sent)) == 1
    assert len(house.told_of(PhoneReturned)) == len(house.handed) == 1


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - AWAY - {Outcome.UNKNOWN_NUMBER}))
async def test_other_failures_and_texts_under_way_are_left_alone(house: House, outcome: Outcome) -> None:
    await failed(house, outcome)

    assert await back(house) == ()


async def test_text_that_was_followed_by_another_one_is_left_alone(house: House) -> None:
    verification = await failed(house)
    house.clock.advance(30)
    await house.resend(verification)

    assert await back(house) == ()


@pytest.mark.parametrize("state", [State.APPROVED, State.CANCELED, State.EXPIRED])
async def test_verification_that_is_over_gets_nothing(house: House, state: State) -> None:
    verification = await failed(house)
    match state:
        case State.APPROVED:
            await house.check(verification, house.code(verification))
        case State.CANCELED:
            await house.cancel(verification)
        case _:
            house.clock.advance(300)

    assert await back(house) == ()


async def test_code_that_would_come_too_late_is_not_sent(house: House) -> None:
    await failed(house)
    house.clock.advance(300 - USEFUL_LIFE_S + 1)

    assert await back(house) == ()


async def test_other_phones_and_other_kinds_of_phones_get_nothing(house: House) -> None:
    await failed(house)

    assert await back(house, some_msisdn(1)) == ()
    assert await back(house, test=True) == ()
    assert len(await back(house)) == 1


async def test_virtual_phone_gets_its_text_by_a_test_key(house: House) -> None:
    verification = await house.start(caller=house.caller_of(mode=Mode.TEST))
    await house.deliver()
    await house.receive("box-1", Outcome.HANDSET_OFF)

    (again,) = await back(house, test=True)

    assert again.verification.id == verification.id


async def test_phone_that_said_stop_gets_nothing(house: House) -> None:
    await failed(house)
    reply = Reply(route="north", msisdn=MSISDN, to="DASTAK", kind=ReplyKind.STOP, text_masked="STOP")
    await house.store.keep_reply(HeardReply(reply=reply, at=house.clock.now(), tenant=1, test=False))

    assert await back(house) == ()


async def test_newest_code_is_the_one_that_is_sent(tmp_path: Path) -> None:
    policy = Policy(resend_code=ResendCode.NEW)
    async with open_house(tmp_path, ScriptedRoute("north"), policy=policy) as house:
        verification = await house.start()
        await house.deliver()
        house.clock.advance(30)
        await house.resend(verification)
        await house.deliver()
        await house.receive("north-2", Outcome.ABSENT_SUBSCRIBER)
        await back(house)
        await house.deliver()

        assert house.routes[0].offered[2].text.startswith(house.code(verification, 1))


async def test_spend_cap_holds_and_the_verification_stays_as_it_was(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), cap_micros=PRICE_MICROS) as house:
        verification = await failed(house)

        assert await back(house) == ()
        assert (await house.found(verification)).fallbacks == 0
        assert house.told_of(PhoneReturned) == []


async def test_own_code_is_sent_again_while_it_is_kept(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north")) as house:
        await house.start(code="271828")
        await house.deliver()
        await house.receive("north-1", Outcome.HANDSET_OFF)
        await back(house)
        await house.deliver()

        assert [outgoing.text[:6] for outgoing in house.routes[0].offered] == ["271828"] * 2


async def test_own_code_that_was_erased_is_not_sent_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), policy=Policy(resends_max=0)) as house:
        verification = await house.start(code="271828")
        await house.deliver()
        await house.receive("north-1", Outcome.HANDSET_OFF)

        assert (await house.found(verification)).own_code_sealed is None
        assert await back(house) == ()


async def test_alerts_are_taken_one_after_the_other_and_bounded(house: House) -> None:
    await failed(house)
    returns = Returns()
    returns.take("north", MSISDN)  # before the start nobody listens
    returns.begin(house.ports, house.store)
    for n in range(UNDER_WAY_MAX):
        returns.take("north", some_msisdn(n))
    returns.take("north", MSISDN)  # no room
    await asyncio.gather(*returns._tasks)
    assert house.told_of(PhoneReturned) == []

    returns.take("north", MSISDN)
    await house.sees(PhoneReturned)

    assert len(house.told_of(MessageUndelivered)) == 1
    assert len(house.told_of(MessageQueued)) == 2
