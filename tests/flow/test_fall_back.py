"""A message that does not arrive is followed by the next way: the same code, once, in the same commit."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import CarrierRejected
from dastak.core.events import FallbackDue, MessageQueued, MessageSubmitted, ReceiptOverdue
from dastak.core.message import MessageState
from dastak.core.outcome import OUTCOMES, Outcome, When
from dastak.core.policy import CALL_AFTER_S, Channel, Policy
from dastak.core.verification import Verification
from dastak.core.way_out import Route, Wanted
from dastak.delivery.failover import ATTEMPTS_MAX, USEFUL_LIFE_S
from tests.support.house import PRICE_MICROS, RECEIPT_WITHIN_S, House, ScriptedRoute, open_house
from tests.support.samples import ms

TEXTS_ONLY = Policy(channels=(Channel.SMS,))
OTHER_ROUTE_NOW = [
    outcome
    for outcome, advice in OUTCOMES.items()
    if advice.terminal and advice.other_route in ("now", "once")
]
NOTHING_FOLLOWS = [
    outcome
    for outcome, advice in OUTCOMES.items()
    if advice.terminal
    and advice.other_route not in ("now", "once")
    and outcome is not Outcome.DELIVERED
    and outcome is not Outcome.UNKNOWN_NUMBER
]


class Ways:
    """Texts by some routes, and calls by others."""

    def __init__(self, texts: list[ScriptedRoute], calls: list[ScriptedRoute]) -> None:
        self.of = {Channel.SMS: texts, Channel.VOICE: calls}

    def carry(self, _mode: object, channel: Channel, *_whose: object) -> bool:
        return bool(self.of[channel])

    def median_s(self, *_of_what: object) -> float:
        return 0.0

    def order(self, wanted: Wanted) -> list[Route]:
        return sorted(self.of[wanted.channel], key=lambda route: route.name in wanted.tried)


async def sent(house: House, **asked: str) -> Verification:
    """Start a verification and have its first text taken."""
    started = await house.start(**asked)
    await house.deliver()
    return started


def with_calls(
    house: House, calls: ScriptedRoute | None = None, *more: ScriptedRoute, texts: int = 1
) -> ScriptedRoute:
    """Give the house its first routes for texts and one for calls, or more; return the first of those."""
    calls = calls or ScriptedRoute("trunk")
    house.ports = replace(house.ports, routes=Ways(list(house.routes[:texts]), [calls, *more]))
    house.settlement.begin(house.ports)
    return calls


@pytest.mark.parametrize("outcome", OTHER_ROUTE_NOW)
async def test_failed_text_goes_to_another_route_with_the_same_code(tmp_path: Path, outcome: Outcome) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), policy=TEXTS_ONLY
    ) as house:
        started = await sent(house)

        await house.receive("north-1", outcome)
        await house.deliver()

        first, second = await house.message(started), await house.message(started, 1)
        assert (first.state, second.state) == (MessageState.UNDELIVERED, MessageState.SUBMITTED)
        assert second.carrier is not None
        assert (second.carrier.route, second.tried) == ("south", ("north",))
        north, south = house.routes
        assert [outgoing.text for outgoing in north.offered] == [outgoing.text for outgoing in south.offered]
        [due] = house.told_of(FallbackDue)
        assert due == FallbackDue(ms(house.clock.now()), 0, "sms", outcome, followed_by=1, why=due.why)
        assert due.why.startswith(f"{outcome}: another route ")
        assert due.why.endswith("1 of 6 attempts, 1 other routes, 300 s to live")
        assert (await house.found(started)).sends == 1


@pytest.mark.parametrize("outcome", NOTHING_FOLLOWS)
async def test_failure_that_another_route_would_not_mend_is_not_followed_by_a_text(
    tmp_path: Path, outcome: Outcome
) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), policy=TEXTS_ONLY
    ) as house:
        await sent(house)

        await house.receive("north-1", outcome)

        assert house.handed == []
        assert house.told_of(FallbackDue) == []


@pytest.mark.parametrize("outcome", [Outcome.DLT_TEMPLATE, Outcome.CTA_NOT_WHITELISTED, Outcome.EXPIRED])
async def test_call_follows_a_text_at_once_where_no_text_would_arrive(house: House, outcome: Outcome) -> None:
    calls = with_calls(house)
    started = await sent(house)

    await house.receive("north-1", outcome)
    await house.deliver()

    assert (await house.message(started, 1)).channel is Channel.VOICE
    assert len(calls.offered) == 1
    assert (await house.found(started)).particulars.channel is Channel.VOICE


async def test_refused_text_is_followed_by_a_call_and_not_offered_again(house: House) -> None:
    house.routes[0].script = [
        CarrierRejected("No.", status="ESME_RSUBMITFAIL", outcome=Outcome.NETWORK_TEMPORARY)
    ]
    calls = with_calls(house)
    started = await house.start()

    await house.deliver()
    await house.deliver()

    assert (await house.message(started)).state is MessageState.UNDELIVERED
    assert len(calls.offered) == 1


async def test_fallback_that_has_no_way_is_told_with_its_channel(house: House) -> None:
    await sent(house)

    await house.receive("north-1", Outcome.DLT_TEMPLATE)

    assert house.handed == []
    [due] = house.told_of(FallbackDue)
    assert due == FallbackDue(ms(house.clock.now()), 0, "voice", "dlt_template", None, due.why)
    assert due.why.startswith("dlt_template: no route and no call is left")


async def test_text_without_a_receipt_goes_to_another_route_when_its_time_is_over(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        started = await sent(house)
        house.clock.advance(RECEIPT_WITHIN_S - 0.001)
        assert await house.deliver_due() == []

        house.clock.advance(0.001)
        await house.deliver_due()
        await house.deliver()

        assert [event.route for event in house.told_of(MessageSubmitted)] == ["north", "south"]
        assert house.told_of(ReceiptOverdue) == [
            ReceiptOverdue(ms(house.clock.now()), 0, "north", RECEIPT_WITHIN_S * 1000)
        ]
        assert (await house.message(started)).state is MessageState.SUBMITTED


async def test_late_receipt_of_the_first_text_still_counts(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        started = await sent(house)
        house.clock.advance(RECEIPT_WITHIN_S)
        await house.deliver_due()
        await house.deliver()

        await house.receive("north-1", Outcome.DELIVERED)

        assert await house.message_state(started, 0) is MessageState.DELIVERED
        assert await house.message_state(started, 1) is MessageState.SUBMITTED


async def test_failure_of_an_older_text_is_not_followed_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, *map(ScriptedRoute, ("north", "south", "west"))) as house:
        await sent(house)
        house.clock.advance(RECEIPT_WITHIN_S)
        await house.deliver_due()
        await house.deliver()

        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)

        assert house.handed == []


async def test_call_waits_for_its_time_when_only_the_receipt_is_missing(house: House) -> None:
    calls = with_calls(house)
    await sent(house)
    house.clock.advance(RECEIPT_WITHIN_S)
    await house.deliver_due()
    assert house.handed == []

    house.clock.advance(CALL_AFTER_S - RECEIPT_WITHIN_S)
    await house.deliver_due()
    await house.deliver()

    assert len(calls.offered) == 1
    assert [event.channel for event in house.told_of(MessageQueued)] == ["sms", "voice"]


async def test_call_starts_at_the_deadline_that_its_route_has_learned(house: House) -> None:
    calls = with_calls(house)
    house.learned.add("north")
    await sent(house)
    house.clock.advance(RECEIPT_WITHIN_S)
    await house.deliver_due()
    await house.deliver()

    assert len(calls.offered) == 1
    [overdue], [due] = house.told_of(ReceiptOverdue), house.told_of(FallbackDue)
    assert (due.at_ms, due.channel, due.cause) == (overdue.at_ms, Channel.VOICE, "no_receipt")


@pytest.mark.parametrize("doubt", ["the route is not believed", "the policy wants to wait"])
async def test_learned_deadline_starts_no_call_where_there_is_a_doubt(tmp_path: Path, doubt: str) -> None:
    patient = doubt == "the policy wants to wait"
    policy = Policy(call_after_s=60) if patient else Policy()
    async with open_house(tmp_path, policy=policy) as house:
        calls = with_calls(house)
        house.learned.add("north")
        if not patient:
            house.ports = replace(house.ports, believes=lambda route: route != "north")
        await sent(house)
        house.clock.advance(RECEIPT_WITHIN_S)
        await house.deliver_due()
        await house.deliver()
        before = len(calls.offered)

        house.clock.advance((60 if patient else CALL_AFTER_S) - RECEIPT_WITHIN_S)
        await house.deliver_due()
        await house.deliver()

        assert (before, len(calls.offered)) == (0, 1)


async def test_deadline_of_a_receipt_outlives_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        started = await sent(house)
        clock = house.clock
    async with open_house(tmp_path, ScriptedRoute("south"), clock=clock, seed=1) as house:
        await house.store.recover(clock.now())
        clock.advance(RECEIPT_WITHIN_S)

        await house.deliver_due()
        await house.deliver()

        second = await house.message(started, 1)
        assert (second.state, second.tried) == (MessageState.SUBMITTED, ("north",))


async def test_nothing_follows_a_verification_that_is_over(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        started = await sent(house)
        assert (await house.check(started, house.code(started))).approved

        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)
        house.clock.advance(RECEIPT_WITHIN_S)
        await house.deliver_due()

        assert house.handed == []
        assert house.told_of(FallbackDue) == []


async def test_nothing_follows_when_too_little_life_is_left(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        started = await sent(house)
        house.clock.advance(started.policy.ttl_s - USEFUL_LIFE_S + 0.001)

        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)

        assert house.handed == []


async def test_so_many_messages_follow_and_no_more(tmp_path: Path) -> None:
    names = [f"route{n}" for n in range(ATTEMPTS_MAX + 3)]
    async with open_house(tmp_path, *map(ScriptedRoute, names)) as house:
        started = await sent(house)

        for name in names:
            if house.told_of(MessageSubmitted)[-1].route == name:
                await house.receive(f"{name}-1", Outcome.NETWORK_TEMPORARY)
                await house.deliver()

        assert len(house.told_of(MessageSubmitted)) == ATTEMPTS_MAX
        assert (await house.found(started)).fallbacks == ATTEMPTS_MAX - 1


async def test_resend_after_a_fallback_is_a_message_of_its_own_by_a_route_not_yet_tried(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, *map(ScriptedRoute, ("north", "south", "west"))) as house:
        started = await sent(house)
        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)
        await house.deliver()
        house.clock.advance(30)

        resent = await house.resend(started)

        assert resent.message.key.ordinal == 2
        assert resent.message.tried == ("north", "south")


async def test_third_time_somebody_asks_it_is_the_call_that_comes(house: House) -> None:
    with_calls(house)
    started = await sent(house)

    channels = []
    for wait_s in (30, 60):
        house.clock.advance(wait_s)
        channels.append((await house.resend(started)).message.channel)

    assert channels == [Channel.SMS, Channel.VOICE]


async def test_repeated_failure_is_followed_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        await sent(house)

        for _ in range(3):
            await house.receive("north-1", Outcome.NETWORK_TEMPORARY)

        assert len(house.handed) == 1


async def test_fallback_over_the_spend_cap_is_not_sent_and_the_receipt_is_written(tmp_path: Path) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), cap_micros=PRICE_MICROS
    ) as house:
        started = await sent(house)

        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)

        assert await house.message_state(started) is MessageState.UNDELIVERED
        assert house.handed == []


async def test_own_code_stays_sealed_while_something_may_follow(tmp_path: Path) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), policy=Policy(resends_max=0)
    ) as house:
        started = await sent(house, code="hunter2024")
        assert (await house.found(started)).own_code_sealed is not None

        await house.receive("north-1", Outcome.NETWORK_TEMPORARY)
        await house.deliver()

        assert "hunter2024" in house.routes[1].offered[0].text
        assert (await house.found(started)).own_code_sealed is None


async def test_own_code_is_erased_once_its_text_is_delivered(tmp_path: Path) -> None:
    async with open_house(
        tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), policy=Policy(resends_max=0)
    ) as house:
        started = await sent(house, code="hunter2024")

        await house.receive("north-1", Outcome.DELIVERED)

        assert (await house.found(started)).own_code_sealed is None
        assert (await house.check(started, "hunter2024")).approved


def test_every_outcome_says_what_may_follow() -> None:
    assert {advice.voice for advice in OUTCOMES.values()} <= set(When)
    assert timedelta(seconds=RECEIPT_WITHIN_S) > timedelta(0)
