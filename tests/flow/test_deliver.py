"""A message leaves while its code is wanted, by the first route that takes it, and is never lost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dastak.core.errors import CarrierError, CarrierRejected, CarrierUnavailable, Overloaded
from dastak.core.events import (
    Event,
    MessageDropped,
    MessageRefused,
    MessageSubmitted,
    MessageUndelivered,
    VerificationFailed,
)
from dastak.core.message import CarrierRef, MessageKey, MessageState
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.policy import Policy
from dastak.core.verification import State, Verification
from dastak.delivery.failover import RETRY_S, USEFUL_LIFE_S
from dastak.flows.deliver import KEEP_AGAIN_S, deliver
from tests.support.house import RECEIPT_WITHIN_S, House, ScriptedRoute, open_house
from tests.support.samples import ms, some_msisdn

DOWN = CarrierUnavailable("The bind is down.")
NO_ANSWER = CarrierUnavailable("No answer.", outcome_unknown=True)
BUSY = CarrierRejected("Slow down.", status="ESME_RTHROTTLED", outcome=Outcome.THROTTLED)
NO_SUCH_NUMBER = CarrierRejected("No.", status="ESME_RINVDSTADR", outcome=Outcome.UNKNOWN_NUMBER)


def refusing(outcome: Outcome) -> CarrierRejected:
    return CarrierRejected("No.", status="ESME_RSUBMITFAIL", outcome=outcome)


async def ended(house: House, verification: Verification, state: State) -> None:
    """Bring a verification to its end."""
    match state:
        case State.APPROVED:
            await house.check(verification, house.code(verification))
        case State.EXHAUSTED:
            for _ in range(5):
                await house.check(verification, house.wrong(verification))
        case State.CANCELED:
            await house.cancel(verification)
        case State.EXPIRED:
            house.clock.advance(300)
            await house.check(verification, "000000")


async def test_accepted_message_is_written_with_the_carriers_id(house: House) -> None:
    started = await house.start()

    await house.deliver()

    message = await house.message(started)
    receipt_by = house.clock.now() + timedelta(seconds=RECEIPT_WITHIN_S)
    assert (message.state, message.due_at) == (MessageState.SUBMITTED, receipt_by)
    assert message.carrier == CarrierRef("north", "north-1")
    assert house.told_of(MessageSubmitted) == [
        MessageSubmitted(ms(house.clock.now()), 0, "north", "north-1", latency_ms=0)
    ]
    assert list(await house.timeline(started)) == house.told


async def test_route_is_given_number_text_sender_and_key(house: House) -> None:
    started = await house.start()

    await house.deliver()

    [outgoing] = house.routes[0].offered
    assert (outgoing.msisdn, outgoing.sender) == (started.msisdn, "DASTAK")
    assert outgoing.key == MessageKey(started.id, 0)
    assert outgoing.text.startswith(house.code(started))


@pytest.mark.parametrize(("waited_s", "validity_s"), [(0, 300), (0.5, 299), (120, 180), (295, 5)])
async def test_carrier_may_try_as_long_as_the_code_lives(
    house: House, waited_s: float, validity_s: int
) -> None:
    await house.start()
    house.clock.advance(waited_s)

    await house.deliver()

    assert [outgoing.validity_s for outgoing in house.routes[0].offered] == [validity_s]


@pytest.mark.parametrize("waited_s", [300 - USEFUL_LIFE_S + 0.001, 300, 4000])
async def test_message_is_not_sent_when_its_code_is_as_good_as_over(house: House, waited_s: float) -> None:
    started = await house.start()
    house.clock.advance(waited_s)

    await house.deliver()

    assert house.routes[0].offered == []
    assert await house.message_state(started) is MessageState.EXPIRED
    assert [event.cause for event in house.told_of(MessageDropped)] == ["expired"]


@pytest.mark.parametrize("state", [State.APPROVED, State.EXHAUSTED, State.CANCELED, State.EXPIRED])
async def test_message_is_not_sent_after_its_verification_ended(house: House, state: State) -> None:
    started = await house.start()
    await ended(house, started, state)

    await house.deliver()

    assert house.routes[0].offered == []
    assert (await house.message(started)).due_at is None
    assert [event.cause for event in house.told_of(MessageDropped)] == [state]


async def test_message_is_not_sent_after_another_start_superseded_it(house: House) -> None:
    old = await house.start()
    new = await house.start()

    await house.deliver()

    assert [outgoing.key.verification for outgoing in house.routes[0].offered] == [new.id]
    assert await house.message_state(old) is MessageState.EXPIRED


@pytest.mark.parametrize("refusal", [DOWN, NO_ANSWER, BUSY, refusing(Outcome.OPERATOR_REJECT)])
async def test_next_route_is_offered_the_same_text_and_the_refusal_is_told(
    tmp_path: Path, refusal: CarrierError
) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", refusal), ScriptedRoute("south")) as house:
        started = await house.start()

        await house.deliver()

        north, south = house.routes
        assert [outgoing.text for outgoing in north.offered] == [outgoing.text for outgoing in south.offered]
        assert (await house.message(started)).carrier == CarrierRef("south", "south-1")
        told = await house.timeline(started)
        assert [type(event) for event in told[-2:]] == [MessageRefused, MessageSubmitted]
        assert told[-2].route == "north"
        assert list(told) == house.told


async def test_refusal_is_told_in_the_carriers_words_and_ours(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", BUSY), ScriptedRoute("south", DOWN)) as house:
        await house.start()

        await house.deliver()

        assert [(event.route, event.status, event.outcome) for event in house.told_of(MessageRefused)] == [
            ("north", "ESME_RTHROTTLED", "throttled"),
            ("south", "carrier_unavailable", "network_temporary"),
        ]


async def test_route_that_is_down_is_offered_last(house: House) -> None:
    north, south = house.routes
    north.available = False
    await house.start()

    await house.deliver()

    assert (len(north.offered), len(south.offered)) == (0, 1)


@pytest.mark.parametrize(
    "outcome", [outcome for outcome, advice in OUTCOMES.items() if not advice.other_route]
)
async def test_no_other_route_is_offered_what_none_would_take(tmp_path: Path, outcome: Outcome) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north", refusing(outcome)), ScriptedRoute("south")
    ) as house:
        await house.start()

        await house.deliver()

        assert house.routes[1].offered == []


async def test_number_that_does_not_exist_stops_all_tries(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", NO_SUCH_NUMBER), ScriptedRoute("south")) as house:
        started = await house.start()

        await house.deliver()

        message = await house.message(started)
        assert (message.state, message.due_at, message.tries) == (MessageState.UNDELIVERED, None, 1)
        assert [(event.outcome, event.evidence) for event in house.told_of(MessageUndelivered)] == [
            ("unknown_number", "ESME_RINVDSTADR")
        ]
        assert [type(event) for event in (await house.timeline(started))[-3:]] == [
            MessageRefused,
            MessageUndelivered,
            VerificationFailed,
        ]
        assert (await house.found(started)).state is State.FAILED


async def test_refused_message_is_offered_again_after_longer_and_longer_waits(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", *[DOWN] * 6)) as house:
        started = await house.start()
        await house.deliver()

        waits = []
        while (message := await house.message(started)).state is MessageState.QUEUED:
            waits.append((message.due_at - house.clock.now()).total_seconds())
            house.clock.advance(waits[-1] - 0.001)
            assert await house.deliver_due() == []
            house.clock.advance(0.001)
            await house.deliver_due()

        assert waits == [*RETRY_S, RETRY_S[-1], RETRY_S[-1]]
        assert (message.state, message.tries) == (MessageState.SUBMITTED, 6)
        assert len(house.told_of(MessageRefused)) == 6


async def test_tries_end_with_the_life_of_the_code_and_say_why(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", *[DOWN] * 100)) as house:
        started = await house.start()
        await house.deliver()

        while (message := await house.message(started)).state is MessageState.QUEUED:
            house.clock.advance((message.due_at - house.clock.now()).total_seconds())
            await house.deliver_due()

        assert message.state is MessageState.UNDELIVERED
        assert house.clock.now() < started.expires_at
        assert all(outgoing.validity_s >= USEFUL_LIFE_S for outgoing in house.routes[0].offered)
        assert [event.outcome for event in house.told_of(MessageUndelivered)] == ["network_temporary"]


@pytest.mark.parametrize(
    ("left_s", "again"), [(RETRY_S[0] + USEFUL_LIFE_S, True), (USEFUL_LIFE_S + 0.5, False)]
)
async def test_refused_message_waits_only_while_enough_life_is_left(
    tmp_path: Path, left_s: float, again: bool
) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", DOWN)) as house:
        started = await house.start()
        house.clock.advance(300 - left_s)

        await house.deliver()

        expected = MessageState.QUEUED if again else MessageState.UNDELIVERED
        assert await house.message_state(started) is expected


async def test_unknown_outcome_is_sent_again_with_the_same_code(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", NO_ANSWER)) as house:
        started = await house.start()
        await house.deliver()
        house.clock.advance(RETRY_S[0])

        await house.deliver_due()

        first, second = house.routes[0].offered
        assert (first.text, first.key) == (second.text, second.key)
        assert await house.message_state(started) is MessageState.SUBMITTED


async def test_message_without_any_route_waits_for_one(house: House) -> None:
    started = await house.start()
    house.use()

    await house.deliver()

    assert await house.message_state(started) is MessageState.QUEUED
    assert [(event.route, event.status) for event in house.told_of(MessageRefused)] == [("", "no_route")]


def slowly(
    house: House, seconds: float, then: Callable[[], Awaitable[object]] | None = None
) -> ScriptedRoute:
    """Return a route that takes its time, lets something happen, and gives no answer."""

    async def submit() -> None:
        house.clock.advance(seconds)
        if then is not None:
            await then()
        raise NO_ANSWER

    return ScriptedRoute("slow", submit)


async def test_second_route_is_told_the_life_that_is_left_by_then(house: House) -> None:
    await house.start()
    house.use(slowly(house, 40), second := ScriptedRoute("second"))

    await house.deliver()
    await house.deliver()

    assert [outgoing.validity_s for outgoing in second.offered] == [260]
    assert [event.latency_ms for event in house.told_of(MessageSubmitted)] == [0]


async def test_second_route_is_not_offered_a_code_that_died_at_the_first(house: House) -> None:
    started = await house.start()
    house.use(slowly(house, 300), second := ScriptedRoute("second"))

    await house.deliver()

    assert second.offered == []
    assert await house.message_state(started) is MessageState.UNDELIVERED


async def test_second_route_is_not_offered_a_code_that_was_canceled_at_the_first(house: House) -> None:
    started = await house.start()
    house.use(slowly(house, 1, lambda: house.cancel(started)), second := ScriptedRoute("second"))

    await house.deliver()
    house.clock.advance(RETRY_S[0])
    await house.deliver_due()

    assert second.offered == []
    assert await house.message_state(started) is MessageState.EXPIRED


async def test_latency_is_that_of_the_route_that_took_it(house: House) -> None:
    async def think() -> None:
        house.clock.advance(0.25)

    await house.start()
    house.routes[0].script = [think]

    await house.deliver()

    assert [event.latency_ms for event in house.told_of(MessageSubmitted)] == [250]


async def test_message_delivered_by_two_at_once_keeps_the_first_carriers_id(house: House) -> None:
    started = await house.start()
    house.handed *= 2

    await house.deliver()

    assert (await house.message(started)).carrier == CarrierRef("north", "north-1")
    assert len(house.told_of(MessageSubmitted)) == 1


@pytest.mark.parametrize("refusal", [NO_SUCH_NUMBER, DOWN])
async def test_late_refusal_does_not_move_a_message_that_was_taken(
    house: House, refusal: CarrierError
) -> None:
    house.use(ScriptedRoute("north"))
    started = await house.start()
    [(verification, message)] = house.handed

    async def meanwhile() -> None:
        house.routes[0].script = []
        await deliver(house.ports, verification, message)
        raise refusal

    house.routes[0].script = [meanwhile]

    await deliver(house.ports, verification, message)

    taken = await house.message(started)
    assert (taken.state, taken.carrier, taken.tries) == (
        MessageState.SUBMITTED,
        CarrierRef("north", "north-2"),
        0,
    )


async def test_own_code_is_sent_as_the_caller_wrote_it(house: House) -> None:
    await house.start(code="Hunter24")

    await house.deliver()

    assert house.routes[0].offered[0].text.startswith("Hunter24")


async def test_own_code_of_a_message_that_must_wait_stays_sealed(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", DOWN), policy=Policy(resends_max=0)) as house:
        started = await house.start(code="Hunter24")
        await house.deliver()
        assert (await house.found(started)).own_code_sealed is not None
        house.clock.advance(RETRY_S[0])

        await house.deliver_due()

        assert "Hunter24" in house.routes[0].offered[1].text
        assert (await house.found(started)).own_code_sealed is None


async def test_texts_of_different_numbers_carry_different_codes(house: House) -> None:
    started = [await house.start(some_msisdn(n)) for n in range(10)]

    await house.deliver()

    texts = {outgoing.msisdn: outgoing.text for outgoing in house.routes[0].offered}
    assert all(texts[verification.msisdn].startswith(house.code(verification)) for verification in started)


class Away:
    """A store that cannot write for a while; who wants to is counted."""

    def __init__(self, house: House) -> None:
        self._decide = house.store.decide
        self.tries: asyncio.Queue[None] = asyncio.Queue()
        self.away = True

    def decide(self, *wanted: Any, **more: Any) -> Awaitable[Any]:
        self.tries.put_nowait(None)
        return self._refuse() if self.away else self._decide(*wanted, **more)

    async def _refuse(self) -> None:
        raise Overloaded("The database does not answer.", may_be_done=True)


@pytest.mark.parametrize(
    ("answer", "kept"), [((), MessageSubmitted), ((NO_SUCH_NUMBER,), MessageUndelivered)]
)
async def test_what_a_carrier_said_is_written_when_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[CarrierError, ...], kept: type[Event]
) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", *answer)) as house:
        await house.start()
        store = Away(house)
        monkeypatch.setattr(house.store, "decide", store.decide)
        delivering = asyncio.ensure_future(house.deliver())
        for _ in range(3):
            await asyncio.wait_for(store.tries.get(), 10)
            await asyncio.sleep(0)
            house.clock.advance(KEEP_AGAIN_S)
        store.away = False
        await asyncio.wait_for(delivering, 10)

        [route] = house.routes
        assert len(house.told_of(kept)) == 1
        assert len(route.offered) == 1


async def test_what_a_carrier_said_is_given_up_when_nobody_waits_for_the_code(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    store = Away(house)
    monkeypatch.setattr(house.store, "decide", store.decide)
    house.routes[0].script = [CarrierUnavailable("The bind is down.")]
    delivering = asyncio.ensure_future(house.deliver())
    await asyncio.wait_for(store.tries.get(), 10)
    await asyncio.sleep(0)
    house.clock.advance(Policy().ttl_s)

    with pytest.raises(Overloaded):
        await asyncio.wait_for(delivering, 10)
