"""STOP ends what goes from one tenant to one number, START begins it again, and nothing else does either."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import CarrierUnavailable, NumberStopped, Overloaded, RateLimited
from dastak.core.events import MessageDropped, MessageSubmitted, ReplyHeard
from dastak.core.message import MessageState
from dastak.core.reply import HeardReply, ReplyKind
from dastak.core.tenant import Mode
from dastak.core.verification import State, Verification
from dastak.flows.hear import UNDER_WAY_MAX, Hearing, hear, meant_for
from dastak.guard.buckets import Rate
from dastak.sms.pdu_bodies import Sm
from dastak.sms.replies import read_reply
from tests.support.house import PRICE_MICROS, WIDE, House, ScriptedRoute, open_house
from tests.support.samples import MSISDN, ms, some_msisdn, some_verification

STOPS = [
    "STOP",
    "बंद करो",  # Hindi
    "বন্ধ করুন",  # Bengali
    "ఆపండి",  # Telugu
    "थांबवा",  # Marathi
    "நிறுத்து",  # Tamil
    "بند کریں",  # Urdu
    "બંધ કરો",  # Gujarati
    "ನಿಲ್ಲಿಸಿ",  # Kannada
    "നിർത്തുക",  # Malayalam
    "ਬੰਦ ਕਰੋ",  # Punjabi
    "ବନ୍ଦ କରନ୍ତୁ",  # Odia
    "বন্ধ কৰক",  # Assamese
]


def nobody(_sender: str) -> Collection[int]:
    return ()


async def says(
    house: House,
    text: str,
    msisdn: str = MSISDN,
    *,
    route: str = "north",
    to: str = "56161",
    owners: Callable[[str], Collection[int]] = nobody,
    test: bool = False,
) -> HeardReply | None:
    """Let a phone write something, as it comes from the wire."""
    sm = Sm(source_addr=msisdn.removeprefix("+"), source_addr_ton=1, destination_addr=to)
    reply = read_reply(route, sm, text)
    assert reply is not None
    return await hear(house.ports, house.store, owners, reply, test=test)


async def texted(house: House, msisdn: str = MSISDN, **asked: Any) -> Verification:
    """Start a verification and bring its text to a route."""
    verification = await house.start(msisdn, **asked)
    await house.deliver()
    return verification


@pytest.mark.parametrize("word", STOPS)
async def test_stop_in_any_language_refuses_the_next_start_and_start_allows_it(
    house: House, word: str
) -> None:
    await texted(house)
    await says(house, word)

    with pytest.raises(NumberStopped) as refusal:
        await house.start()

    assert (refusal.value.code, refusal.value.reason) == ("number_stopped", "stopped")
    await says(house, "START")
    await house.start()


@pytest.mark.parametrize("word", ["HELP", "मदद", "my code is 482913", "stop it, you said 5 minutes ago!"])
async def test_other_words_are_kept_and_refuse_nothing(house: House, word: str) -> None:
    await texted(house)
    await says(house, word)

    await house.start()

    (kept,) = (await house.store.replies(1)).replies
    assert kept.reply.kind in (ReplyKind.HELP, ReplyKind.OTHER)
    assert not any(char.isdigit() for char in kept.reply.text_masked)


async def test_refused_start_writes_counts_and_costs_nothing(tmp_path: Path) -> None:
    limits = replace(WIDE, number=Rate(count=2, per_s=600))
    async with open_house(tmp_path, limits=limits, cap_micros=2 * PRICE_MICROS) as house:
        first = await texted(house)
        await says(house, "STOP")
        for _ in range(5):
            with pytest.raises(NumberStopped):
                await house.start()

        assert [one.id for one in await house.all()] == [first.id]
        await says(house, "START")
        await house.start()
        with pytest.raises(RateLimited):
            await house.start()


async def test_stop_refuses_a_resend(house: House) -> None:
    verification = await texted(house)
    await says(house, "STOP")
    house.clock.advance(60)

    with pytest.raises(NumberStopped):
        await house.resend(verification)

    assert (await house.found(verification)).sends == 1


async def test_code_that_the_person_has_is_still_right_after_stop(house: House) -> None:
    verification = await texted(house)
    await says(house, "STOP")

    judged = await house.check(verification, house.code(verification))

    assert judged.approved


async def test_text_that_waits_is_not_sent_after_stop(house: House) -> None:
    await texted(house)
    waiting = await house.start(MSISDN)
    await says(house, "STOP")

    await house.deliver()

    assert len(house.routes[0].offered) == 1
    assert await house.message_state(waiting) is MessageState.EXPIRED
    assert [event.cause for event in house.told_of(MessageDropped)] == ["stopped"]
    assert (await house.found(waiting)).state is State.PENDING


async def test_text_is_not_offered_to_a_second_route_after_stop(tmp_path: Path) -> None:
    async def stop() -> None:
        await says(house, "STOP")
        raise CarrierUnavailable("The bind is down.")

    north, south = ScriptedRoute("north"), ScriptedRoute("south")
    async with open_house(tmp_path, north, south) as house:
        await texted(house)
        north.script.append(stop)
        await texted(house)
        house.clock.advance(1)
        await house.deliver_due()

    assert (len(north.offered), len(south.offered)) == (2, 0)
    assert [event.cause for event in house.told_of(MessageDropped)] == ["stopped"]


async def test_stop_counts_for_the_tenant_whose_text_came_last_by_that_route(house: House) -> None:
    first, second = house.caller_of(tenant=1), house.caller_of(tenant=2, service=2)
    await texted(house, caller=first)
    house.clock.advance(1)
    await texted(house, caller=second)

    heard = await says(house, "STOP")

    assert heard is not None
    assert heard.tenant == 2
    await house.start(caller=first)
    with pytest.raises(NumberStopped):
        await house.start(caller=second)


@pytest.mark.parametrize("owners", [(), (1, 2)])
async def test_start_takes_back_the_stops_of_all_who_write_as_that_sender(
    house: House, owners: tuple[int, ...]
) -> None:
    callers = [house.caller_of(tenant=n, service=n) for n in (1, 2)]
    for caller in callers:
        await texted(house, caller=caller)
        house.clock.advance(1)
        await says(house, "STOP", owners=lambda _, n=caller.tenant.n: {n})  # type: ignore[misc]
        house.clock.advance(1)

    heard = await says(house, "START", owners=lambda _: owners)

    assert heard is not None
    assert heard.tenant == 2
    for caller in callers:
        await house.start(caller=caller)


async def test_start_to_a_sender_of_others_takes_back_no_stop_of_another_sender(house: House) -> None:
    await texted(house)
    await says(house, "STOP", owners=lambda _: {1})

    await says(house, "START", owners=lambda _: {2, 3})

    with pytest.raises(NumberStopped):
        await house.start()


async def test_start_counts_when_the_texts_it_answers_are_forgotten(house: House) -> None:
    for n in (1, 2):
        await says(house, "STOP", owners=lambda _, n=n: {n})  # type: ignore[misc]
        house.clock.advance(1)

    heard = await says(house, "START", owners=lambda _: {1, 2})

    assert heard is not None
    assert heard.tenant is None
    assert [await house.store.is_stopped(n, Mode.LIVE, MSISDN) for n in (1, 2)] == [False, False]


async def test_stop_to_one_number_leaves_another_one_alone(house: House) -> None:
    await texted(house)
    await says(house, "STOP")

    await house.start(some_msisdn(1))


async def test_stop_counts_for_the_owner_of_the_sender_if_another_tenants_text_came_later(
    house: House,
) -> None:
    await texted(house, caller=house.caller_of(tenant=1))
    await texted(house, caller=house.caller_of(tenant=2, service=2))

    heard = await says(house, "STOP", owners=lambda sender: {1} if sender == "56161" else ())

    assert heard is not None
    assert heard.tenant == 1


async def test_stop_to_a_sender_of_one_tenant_counts_though_nothing_is_known_of_a_text(house: House) -> None:
    heard = await says(house, "STOP", owners=lambda _: {1})

    assert heard is not None
    assert heard.tenant == 1
    with pytest.raises(NumberStopped):
        await house.start()


@pytest.mark.parametrize("owners", [(), (1, 2)])
async def test_reply_that_could_be_meant_for_anybody_is_kept_for_the_operator(
    house: House, owners: tuple[int, ...]
) -> None:
    heard = await says(house, "STOP", owners=lambda _: owners)

    assert heard is not None
    assert heard.tenant is None
    await house.start()
    assert [one.reply.kind for one in (await house.store.replies(None)).replies] == [ReplyKind.STOP]


async def test_virtual_phone_stops_test_keys_and_no_live_key(house: House) -> None:
    tester = house.caller_of(mode=Mode.TEST)
    await texted(house, caller=tester)

    heard = await says(house, "STOP", route="box", test=True)

    assert heard is not None
    assert (heard.tenant, heard.test) == (1, True)
    await house.start()
    with pytest.raises(NumberStopped):
        await house.start(caller=tester)


async def test_virtual_phone_answers_no_live_text(house: House) -> None:
    await house.start()

    heard = await says(house, "STOP", route="box", test=True)

    assert heard is not None
    assert heard.tenant is None


async def test_reply_stands_in_the_timeline_of_what_it_answers_once(house: House) -> None:
    verification = await texted(house)

    heard = [await says(house, "STOP") for _ in range(2)]

    told = ReplyHeard(ms(house.clock.now()), "stop", "north")
    assert heard[1] is None
    assert [event for event in await house.timeline(verification) if isinstance(event, ReplyHeard)] == [told]
    assert house.told_of(ReplyHeard) == [told]


async def test_reply_that_overtakes_the_note_of_its_submit_finds_its_tenant(tmp_path: Path) -> None:
    async def answered() -> None:
        heard.append(await says(house, "STOP"))

    heard: list[HeardReply | None] = []
    async with open_house(tmp_path, ScriptedRoute("north", answered)) as house:
        await texted(house)

    assert [one.tenant for one in heard if one is not None] == [1]
    assert len(house.told_of(MessageSubmitted)) == 1


@pytest.mark.parametrize(
    ("sent", "owners", "tenant"),
    [
        ((), (), None),
        ((), (1,), 1),
        ((), (1, 2), None),
        ((2, 1), (), 2),
        ((2, 1), (1,), 1),
        ((2, 1), (1, 2), 2),
        ((2,), (1,), 1),
        ((2,), (1, 3), None),
    ],
)
def test_reply_is_meant_for(sent: tuple[int, ...], owners: tuple[int, ...], tenant: int | None) -> None:
    verifications = [some_verification(tenant=n) for n in sent]

    meant, answered = meant_for(verifications, owners)

    assert meant == tenant
    assert answered is next((one for one in verifications if one.tenant == tenant), None)


class Carrier:
    """Brings replies and waits for what it is answered."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self._news = asyncio.Event()

    def acknowledge(self, durable: bool) -> None:
        self.answers.append(durable)
        self._news.set()

    async def hears(self, count: int) -> list[bool]:
        async with asyncio.timeout(10):
            while len(self.answers) < count:
                self._news.clear()
                await self._news.wait()
        return self.answers


def some_reply(text: str = "STOP") -> Any:
    return read_reply("north", Sm(source_addr=MSISDN, source_addr_ton=1, destination_addr="56161"), text)


async def test_carrier_is_answered_when_the_reply_is_durable(house: House) -> None:
    told: list[HeardReply] = []
    hearing, carrier = Hearing(told.append), Carrier()
    hearing.begin(house.ports, house.store, lambda _: {1})

    for _ in range(2):
        hearing.take(some_reply(), carrier.acknowledge)

    assert carrier.answers == []
    assert await carrier.hears(2) == [True, True]
    assert await house.store.is_stopped(1, Mode.LIVE, MSISDN)
    assert len(told) == 1


async def test_reply_that_cannot_be_kept_shall_come_again(house: House) -> None:
    class Full:
        async def answered_by(self, *_: Any, **__: Any) -> Any:
            return ()

        async def keep_reply(self, *_: Any, **__: Any) -> bool:
            raise Overloaded("The disk is full.")

    hearing, carrier = Hearing(lambda _: None), Carrier()
    hearing.begin(house.ports, Full(), nobody)  # type: ignore[arg-type]

    hearing.take(some_reply(), carrier.acknowledge)

    assert await carrier.hears(1) == [False]


async def test_replies_before_the_start_and_past_the_bound_shall_come_again(house: House) -> None:
    hearing, carrier = Hearing(lambda _: None), Carrier()
    hearing.take(some_reply(), carrier.acknowledge)
    hearing.begin(house.ports, house.store, nobody)
    for _ in range(UNDER_WAY_MAX + 1):
        hearing.take(some_reply(), carrier.acknowledge)

    at_once = list(carrier.answers)

    assert at_once == [False, False]
    assert (await carrier.hears(UNDER_WAY_MAX + 2))[2:] == [True] * UNDER_WAY_MAX
