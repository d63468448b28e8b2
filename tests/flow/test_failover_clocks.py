"""A route that does not answer in time is followed by the next one, and its late answer still counts."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.carrier import Carrier, CarrierKind, Lane
from dastak.core.errors import CarrierError, CarrierRejected, CarrierUnavailable
from dastak.core.events import (
    FallbackDue,
    MessageDelivered,
    MessageDropped,
    MessageQueued,
    MessageRefused,
    MessageSubmitted,
    MessageUndelivered,
)
from dastak.core.message import CarrierRef, MessageState
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel
from dastak.core.verification import Verification
from dastak.delivery.breaker import TIMEOUTS_IN_A_ROW
from dastak.delivery.failover import ANSWER_WITHIN_S, ATTEMPTS_MAX, RETRY_S
from dastak.delivery.health import Health
from dastak.delivery.hedging import SILENT_S
from dastak.delivery.routing import RouteTable
from dastak.telemetry.publisher import Publisher
from tests.flow.test_fall_back import Ways
from tests.support.house import PRICE_MICROS, RECEIPT_WITHIN_S, House, ScriptedRoute, open_house
from tests.support.samples import some_msisdn

NO_ANSWER = CarrierUnavailable("no submit_sm_resp in time", outcome_unknown=True)
DOWN = CarrierUnavailable("the bind is down")


def refusing(outcome: Outcome) -> CarrierRejected:
    return CarrierRejected("No.", status=f"said_{outcome}", outcome=outcome)


def silent(
    house: House,
    seconds: float = ANSWER_WITHIN_S,
    *,
    then: Callable[[], Awaitable[object]] | None = None,
    answer: CarrierError | None = None,
) -> Callable[[], Awaitable[None]]:
    """Return a step of a route: let time pass, let something happen, and answer at last."""

    async def think() -> None:
        house.clock.advance(seconds)
        if then is not None:
            await then()
        if answer is not None:
            raise answer

    return think


async def followed(house: House) -> None:
    """Have the message that follows a silence delivered while the first route still thinks."""
    await house.sees(FallbackDue)
    await house.deliver()


async def hedged(house: House, answer: CarrierError | None = None) -> Verification:
    """Start; the first route answers only after the second one took the same code."""
    house.routes[0].script = [silent(house, then=lambda: followed(house), answer=answer)]
    started = await house.start()
    await house.deliver()
    return started


async def test_silent_route_is_followed_by_the_next_with_the_same_code_while_it_still_thinks(
    house: House,
) -> None:
    started = await hedged(house, NO_ANSWER)

    north, south = house.routes
    assert [outgoing.text for outgoing in north.offered] == [outgoing.text for outgoing in south.offered]
    assert [(event.route, event.status, event.outcome) for event in house.told_of(MessageRefused)] == [
        ("north", "no_answer", "unknown")
    ]
    [due] = house.told_of(FallbackDue)
    assert (due.ordinal, due.cause, due.followed_by, due.channel) == (0, "no_answer", 1, "sms")
    assert due.why.startswith("no_answer: another route at once; ")
    assert [(event.ordinal, event.route) for event in house.told_of(MessageSubmitted)] == [(1, "south")]
    first, second = await house.message(started), await house.message(started, 1)
    assert (first.state, first.carrier, first.tried, first.due_at) == (
        MessageState.SUBMITTED,
        None,
        ("north",),
        None,
    )
    assert (second.state, second.tried) == (MessageState.SUBMITTED, ("north",))


async def test_route_that_answers_in_time_is_not_followed(house: House) -> None:
    house.routes[0].script = [silent(house, ANSWER_WITHIN_S - 0.001)]
    await house.start()

    await house.deliver()
    house.clock.advance(1)

    assert house.handed == []
    assert [event.route for event in house.told_of(MessageSubmitted)] == ["north"]


async def test_late_acceptance_is_written_down_and_its_receipt_finds_its_message(house: House) -> None:
    started = await hedged(house)

    assert [(event.ordinal, event.carrier_ref) for event in house.told_of(MessageSubmitted)] == [
        (1, "south-1"),
        (0, "north-1"),
    ]
    assert (await house.message(started)).carrier == CarrierRef("north", "north-1")
    assert await house.receive("north-1", Outcome.DELIVERED)
    assert await house.receive("south-1", Outcome.DELIVERED)
    assert [event.ordinal for event in house.told_of(MessageDelivered)] == [0, 1]
    assert (await house.check(started, house.code(started))).approved
    assert house.handed == []


async def test_late_acceptance_reports_how_long_it_took(house: House) -> None:
    await hedged(house)

    assert [event.latency_ms for event in house.told_of(MessageSubmitted)] == [0, 1500]


async def test_receipt_before_a_late_acceptance_waits_for_it(house: House) -> None:
    async def receipt_first() -> None:
        await followed(house)
        house.settlement.begin(house.ports)
        with pytest.raises(Exception, match="No message"):
            await house.receive("north-1", Outcome.DELIVERED)

    house.routes[0].script = [silent(house, then=receipt_first)]
    started = await house.start()
    await house.deliver()

    assert await house.receive("north-1", Outcome.DELIVERED)
    assert await house.message_state(started) is MessageState.DELIVERED


async def test_late_refusal_ends_its_message_and_nothing_more_follows(house: House) -> None:
    started = await hedged(house, refusing(Outcome.OPERATOR_REJECT))

    assert [(event.ordinal, event.outcome) for event in house.told_of(MessageUndelivered)] == [
        (0, "operator_reject")
    ]
    assert await house.message_state(started) is MessageState.UNDELIVERED
    assert house.handed == []


async def test_late_word_that_the_number_does_not_exist_ends_the_verification(house: House) -> None:
    started = await hedged(house, refusing(Outcome.UNKNOWN_NUMBER))

    assert (await house.found(started)).state == "failed"


async def test_failure_of_the_second_does_not_go_back_to_the_silent_route(house: House) -> None:
    house.routes[1].script = [refusing(Outcome.OPERATOR_REJECT)]
    await hedged(house, NO_ANSWER)

    await house.deliver()

    assert [len(route.offered) for route in house.routes] == [1, 1]


async def test_silent_route_is_waited_for_when_there_is_no_other_way(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.routes[0].script = [silent(house, 4)]
        started = await house.start()

        await house.deliver()

        assert house.told_of(MessageRefused) == house.told_of(FallbackDue) == []
        assert await house.message_state(started) is MessageState.SUBMITTED
        assert [event.latency_ms for event in house.told_of(MessageSubmitted)] == [4000]


async def test_call_follows_a_silent_route_when_no_other_is_left(house: House) -> None:
    calls = ScriptedRoute("trunk")
    house.ports = replace(house.ports, routes=Ways(list(house.routes[:1]), [calls]))

    await hedged(house, NO_ANSWER)

    assert len(calls.offered) == 1
    assert [event.channel for event in house.told_of(MessageQueued)] == ["sms", "voice"]


async def test_nothing_follows_a_silence_over_the_spend_cap_and_the_event_says_so(tmp_path: Path) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), cap_micros=PRICE_MICROS
    ) as house:
        await hedged(house)

        assert house.routes[1].offered == []
        assert [(event.followed_by, event.why) for event in house.told_of(FallbackDue)] == [
            (None, "no_answer: the cap of cost is reached")
        ]
        assert [event.route for event in house.told_of(MessageSubmitted)] == ["north"]


async def test_text_that_may_not_be_followed_goes_by_the_next_route_where_the_silent_one_never_answers(
    tmp_path: Path,
) -> None:
    """The same message costs nothing more; a second one is over the cap."""
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), cap_micros=PRICE_MICROS
    ) as house:
        await hedged(house, NO_ANSWER)

        assert [event.route for event in house.told_of(MessageSubmitted)] == ["south"]
        assert len(house.told_of(MessageQueued)) == len(house.routes[1].offered) == 1


async def test_verification_that_was_approved_meanwhile_is_not_followed(house: House) -> None:
    async def approve() -> None:
        assert (await house.check(started, house.code(started))).approved
        house.clock.advance(ANSWER_WITHIN_S)
        await house.sees(MessageRefused)

    house.routes[0].script = [silent(house, 0, then=approve)]
    started = await house.start()
    await house.deliver()

    assert house.handed == []
    assert await house.message_state(started) is MessageState.SUBMITTED


async def test_storm_of_silences_ends_with_the_attempts(tmp_path: Path) -> None:
    names = [f"route{n}" for n in range(ATTEMPTS_MAX + 3)]
    async with open_house(tmp_path, *map(ScriptedRoute, names)) as house:
        for route in house.routes:
            route.script = [silent(house, answer=NO_ANSWER)]
        await house.start()

        while house.handed:
            await house.deliver()

        assert len(house.told_of(MessageQueued)) == ATTEMPTS_MAX
        assert len(house.told_of(FallbackDue)) == ATTEMPTS_MAX - 1


async def test_route_that_is_silent_too_often_is_asked_last_from_then_on(house: House) -> None:
    health = Health()
    table, listeners = RouteTable(judge=health), Publisher((health,))
    table.replace(
        (Carrier(name=route.name, kind=CarrierKind.SMPP, lane=Lane(priority=n)), route)
        for n, route in enumerate(house.routes)
    )
    house.ports = replace(house.ports, routes=table)
    north, south = house.routes
    for n in range(TIMEOUTS_IN_A_ROW):
        north.script = [silent(house, answer=NO_ANSWER)]
        started = await house.start(some_msisdn(n))
        await house.deliver()
        await house.deliver()
        listeners.publish(started, house.told_of_each[started.id])

    await house.start(some_msisdn(99))
    await house.deliver()

    assert (len(north.offered), len(south.offered)) == (TIMEOUTS_IN_A_ROW, TIMEOUTS_IN_A_ROW + 1)


async def test_every_refusal_says_by_which_rule_the_next_route_was_asked(house: House) -> None:
    house.routes[0].script = [refusing(Outcome.THROTTLED)]
    await house.start()

    await house.deliver()

    [refused] = house.told_of(MessageRefused)
    assert refused.why == "throttled: another route at once; 0 of 6 attempts, 1 other routes, 300 s to live"


async def test_throttled_text_is_offered_to_the_same_route_after_longer_and_longer_waits(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, ScriptedRoute("north", *[refusing(Outcome.THROTTLED)] * 3)) as house:
        started = await house.start()
        await house.deliver()

        for wait_s in RETRY_S[:3]:
            assert await house.message_state(started) is MessageState.QUEUED
            house.clock.advance(wait_s)
            await house.deliver_due()

        assert await house.message_state(started) is MessageState.SUBMITTED


async def test_route_that_refused_for_good_is_not_asked_again_while_another_one_is_waited_for(
    tmp_path: Path,
) -> None:
    async with open_house(
        tmp_path,
        ScriptedRoute("north", DOWN),
        ScriptedRoute("south", refusing(Outcome.OPERATOR_REJECT)),
    ) as house:
        started = await house.start()
        await house.deliver()
        house.clock.advance(RETRY_S[0])

        await house.deliver_due()

        assert [len(route.offered) for route in house.routes] == [2, 1]
        assert await house.message_state(started) is MessageState.SUBMITTED


async def test_busy_phone_gets_its_text_again_by_the_same_route_after_a_back_off(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        started = await house.start()
        await house.deliver()

        await house.receive("north-1", Outcome.HANDSET_BUSY_OR_MEMORY)
        assert house.handed == []
        house.clock.advance(1.999)
        assert await house.deliver_due() == []
        house.clock.advance(0.001)
        await house.deliver_due()

        assert [event.route for event in house.told_of(MessageSubmitted)] == ["north", "north"]
        [due] = house.told_of(FallbackDue)
        assert due.why.startswith("handset_busy_or_memory: the same route after a while; ")
        assert (await house.message(started, 1)).channel is Channel.SMS


async def test_missing_receipt_with_no_way_left_is_told_when_its_deadline_is_over(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.start()
        await house.deliver()
        house.clock.advance(RECEIPT_WITHIN_S)

        await house.deliver_due()

        [due] = house.told_of(FallbackDue)
        assert (due.channel, due.cause, due.followed_by) == ("voice", "no_receipt", None)
        assert due.why == (
            "no_receipt: no route and no call is left that may follow; "
            "1 of 6 attempts, 0 other routes, 292 s to live"
        )


async def test_code_canceled_at_a_route_that_refuses_is_not_offered_to_the_next(house: House) -> None:
    async def cancel_and_refuse() -> None:
        await house.cancel(started)
        raise refusing(Outcome.OPERATOR_REJECT)

    house.routes[0].script = [cancel_and_refuse]
    started = await house.start()

    await house.deliver()

    assert house.routes[1].offered == []
    assert [event.cause for event in house.told_of(MessageDropped)] == ["canceled"]
    assert len(house.told_of(MessageRefused)) == 1


async def test_route_whose_budget_is_used_up_is_waited_for(house: House) -> None:
    house.ports = replace(house.ports, may_hedge=lambda _route: False)
    house.routes[0].script = [silent(house, SILENT_S - 0.001)]
    await house.start()

    await house.deliver()

    assert house.handed == []
    assert [event.route for event in house.told_of(MessageSubmitted)] == ["north"]


async def test_route_that_is_silent_for_long_is_followed_beyond_its_budget(house: House) -> None:
    house.ports = replace(house.ports, may_hedge=lambda _route: False)

    async def think() -> None:
        house.clock.advance(ANSWER_WITHIN_S)
        house.clock.advance(SILENT_S - ANSWER_WITHIN_S)
        await followed(house)

    house.routes[0].script = [think]
    await house.start()

    await house.deliver()

    assert [(event.ordinal, event.route) for event in house.told_of(MessageSubmitted)] == [
        (1, "south"),
        (0, "north"),
    ]
