"""Calls on their way: how often a number is called, what a call does not do, and what the person reports."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.call_price import CallPrice
from dastak.core.call_rules import CallRules
from dastak.core.call_terms import CALL_BARS, CallBar, CallTerms
from dastak.core.errors import CarrierRejected, CarrierUnavailable, NotFound, RateLimited, Refused
from dastak.core.events import (
    CallNoted,
    CallPriced,
    CallReported,
    FallbackDue,
    MessageDropped,
    MessageSubmitted,
    VerificationCanceled,
)
from dastak.core.message import CarrierRef, MessageKey, MessageState, Receipt
from dastak.core.outcome import Outcome
from dastak.core.past_use import PastCall
from dastak.core.policy import CALL_AFTER_S, Channel
from dastak.core.ports import Change
from dastak.core.spend import Spend
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State, Verification
from dastak.flows.call_steps import CallSteps
from dastak.flows.deliver import deliver
from dastak.flows.phone_back import AWAY, phone_back
from dastak.flows.settle import settle
from dastak.flows.spending import OFFERED
from dastak.guard.buckets import Rate
from dastak.guard.call_limits import CallLimits, CallSettings
from tests.flow.test_fall_back import sent, with_calls
from tests.support.house import PRICE_MICROS, House, ScriptedRoute, open_house
from tests.support.samples import MSISDN, NOW, ms, some_msisdn

FEW = CallSettings(
    apart=Rate(count=1, per_s=60), hourly=Rate(count=2, per_s=3600), daily=Rate(count=3, per_s=86400)
)


async def called(house: House) -> None:
    """Have a text fail so that a call follows, and have that taken."""
    await sent(house)
    await house.receive(f"north-{len(house.routes[0].offered)}", Outcome.SPAM_OR_CONTENT)
    await house.deliver()


async def test_call_that_a_limit_forbids_is_not_due(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW) as house:
        calls = with_calls(house)
        await called(house)
        house.clock.advance(30)
        await called(house)

        assert len(calls.offered) == 1
        assert [event.followed_by for event in house.told_of(FallbackDue)][-1] is None


async def test_call_that_met_a_limit_on_its_way_is_dropped_with_the_reason(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW) as house:
        calls = with_calls(house)
        started = await sent(house)
        await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
        house.ports.calls.take(started.mode, started.msisdn, now=house.clock.now())
        await house.deliver()

        assert calls.offered == []
        assert [event.cause for event in house.told_of(MessageDropped)] == ["call_limit"]


async def test_call_is_counted_before_it_is_dialled_where_other_nodes_call_as_well(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW, judged=True) as house:
        calls = with_calls(house)
        first, second = [
            await house.start(channel=Channel.VOICE, particulars=Particulars(purpose=purpose))
            for purpose in ("login", "signup")
        ]
        await deliver(house.ports, first, await house.message(first))
        other = CallLimits(live=FEW, judged=True)  # of a node that has heard of no call so far
        dropped = await deliver(replace(house.ports, calls=other), second, await house.message(second))
        refusal = other.refusal(Mode.LIVE, first.msisdn, now=NOW)

        assert [call.key.verification for call in calls.offered] == [first.id]
        assert [event.step for event in await noted(house, first)] == [OFFERED]
        assert [event.cause for event in dropped.events if isinstance(event, MessageDropped)] == [
            "call_limit"
        ]
        assert refusal is not None
        assert (refusal.limit, refusal.retry_after_s) == ("call_apart", 60)


async def test_call_that_was_counted_when_its_node_died_is_dialled_by_another_one(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW, judged=True) as house:
        calls = with_calls(house)
        started = await house.start(channel=Channel.VOICE)
        told = CallNoted(ms(NOW), 0, OFFERED)
        await house.store.decide(MessageKey(started.id, 0), lambda _: Change(answer=None, trace=(told,)))

        await house.deliver()

        assert [call.key.verification for call in calls.offered] == [started.id]


async def noted(house: House, verification: Verification) -> list[CallNoted]:
    return [event for event in await house.timeline(verification) if isinstance(event, CallNoted)]


async def test_asking_for_a_call_too_often_is_refused_with_the_wait(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW) as house:
        with_calls(house)
        await house.start(channel=Channel.VOICE)
        await house.deliver()
        house.clock.advance(20)

        with pytest.raises(RateLimited) as refused:
            await house.start(channel=Channel.VOICE)

        assert (refused.value.limit, refused.value.retry_after_s) == ("call_apart", 40)


def test_limits_count_over_the_minute_the_hour_and_the_day() -> None:
    limits, now, waits = CallLimits(live=FEW), NOW, []
    for _ in range(4):
        limits.take(Mode.LIVE, MSISDN, now=now)
        refused = limits.refusal(Mode.LIVE, MSISDN, now=now)
        assert refused is not None
        waits.append((refused.limit, refused.retry_after_s))
        now += timedelta(seconds=refused.retry_after_s)

    # Two at once in an hour refill each half of it, and three in a day each third.
    assert waits == [
        ("call_apart", 60),
        ("call_hourly", 1800 - 60),
        ("call_daily", 28_800 - 1800),
        ("call_daily", 28_800),
    ]
    assert limits.refusal(Mode.LIVE, some_msisdn(9), now=NOW) is None


def test_limits_are_seeded_with_the_calls_before_a_restart_and_test_calls_count_apart() -> None:
    limits = CallLimits(live=FEW, test=FEW)
    limits.seed(
        [
            PastCall(Mode.LIVE, MSISDN, NOW - timedelta(seconds=70)),
            PastCall(Mode.TEAM, MSISDN, NOW - timedelta(seconds=10)),
            PastCall(Mode.TEST, some_msisdn(9), NOW),
        ]
    )

    refused = limits.refusal(Mode.LIVE, MSISDN, now=NOW)
    assert refused is not None
    assert refused.limit == "call_hourly"
    assert limits.refusal(Mode.LIVE, some_msisdn(9), now=NOW) is None
    assert limits.refusal(Mode.TEST, some_msisdn(9), now=NOW) is not None


async def test_calls_of_an_earlier_process_still_count_and_dropped_ones_never_did(tmp_path: Path) -> None:
    async with open_house(tmp_path, call_limits=FEW) as house:
        with_calls(house)
        await called(house)
        at = house.told_of(MessageSubmitted)[-1].at_ms
        await house.start(some_msisdn(9), channel=Channel.VOICE)
        house.ports.calls.take(Mode.LIVE, some_msisdn(9), now=house.clock.now())
        await house.deliver()
        clock = house.clock
    async with open_house(tmp_path, clock=clock, call_limits=FEW, seed=1) as house:
        with_calls(house)
        past = await house.store.calls_since(clock.now() - timedelta(days=1))
        house.ports.calls.seed(past)

        assert [(call.mode, call.msisdn, ms(call.at)) for call in past] == [(Mode.LIVE, MSISDN, at)]
        with pytest.raises(RateLimited) as refused:
            await house.start(channel=Channel.VOICE)
        assert (refused.value.limit, refused.value.retry_after_s) == ("call_apart", 60)
        assert await house.store.calls_since(clock.now() + timedelta(seconds=1)) == []


async def test_silence_of_a_trunk_rings_no_second_time(house: House) -> None:
    calls = with_calls(house)
    calls.script = [CarrierUnavailable("no answer", outcome_unknown=True)]
    await called(house)

    assert len(house.told_of(FallbackDue)) == 1
    assert house.handed == []


async def test_person_who_did_not_ask_ends_the_verification(house: House) -> None:
    with_calls(house)
    started = await sent(house)
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.deliver()

    await house.receive("trunk-1", Outcome.REPORTED)

    assert (await house.found(started)).state is State.CANCELED
    assert [event.cause for event in house.told_of(VerificationCanceled)] == ["reported"]
    assert house.told_of(CallReported) == [CallReported(ms(house.clock.now()), 1)]
    told = [type(event) for event in await house.timeline(started)]
    assert told.index(CallReported) < told.index(VerificationCanceled)
    page = await house.store.reports(1)
    assert [(one.verification, one.mode, one.msisdn, ms(one.at)) for one in page.reports] == [
        (started.id, Mode.LIVE, MSISDN, ms(house.clock.now()))
    ]
    assert (await house.message(started, 1)).state is MessageState.UNDELIVERED


async def test_steps_of_a_call_stand_on_the_timeline_in_their_order(house: House) -> None:
    calls = with_calls(house)
    started = await sent(house)
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.deliver()
    steps = CallSteps()
    steps.begin(house.ports)
    for step in ("dialled", "ringing", "answered", "right_key", "spoken"):
        steps.take(MessageKey(started.id, 1), step, "word")
    await house.sees(CallNoted, 5)

    assert calls.offered
    told = [event for event in await house.timeline(started) if isinstance(event, CallNoted)]
    assert [event.step for event in told] == ["dialled", "ringing", "answered", "right_key", "spoken"]
    assert {(event.ordinal, event.detail) for event in told} == {(1, "word")}
    assert len(house.told_of(MessageSubmitted)) == 2


DAY = "08:00-21:00 Asia/Kolkata"
NIGHT = timedelta(hours=6)  # 18:00 in London, 23:30 in India


@pytest.fixture
async def at_night(tmp_path: Path) -> AsyncIterator[House]:
    """Give a house whose service calls by day, at night."""
    rules = CallRules(hours=DAY)
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), calls=rules) as house:
        house.clock.advance(NIGHT.total_seconds())
        yield house


async def test_call_that_nobody_asked_for_is_not_made_at_night_and_another_text_goes_out(
    at_night: House,
) -> None:
    calls = with_calls(at_night, texts=2)
    await sent(at_night)
    await at_night.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await at_night.deliver()

    assert calls.offered == []
    assert len(at_night.routes[1].offered) == 1
    [due] = at_night.told_of(FallbackDue)
    assert due.why.startswith("spam_or_content: another route once; ")
    assert due.why.endswith(
        "no call: it is 23:30 in Asia/Kolkata, and calls that nobody asked for are made " + DAY
    )


async def test_night_leaves_nothing_to_follow_where_no_other_text_would_arrive_and_says_so(
    at_night: House,
) -> None:
    calls = with_calls(at_night, texts=2)
    await sent(at_night)
    await at_night.receive("north-1", Outcome.DLT_TEMPLATE)

    assert (calls.offered, at_night.handed) == ([], [])
    [due] = at_night.told_of(FallbackDue)
    assert (due.channel, due.followed_by) == ("voice", None)
    assert "no call: it is 23:30 in Asia/Kolkata" in due.why


async def test_call_that_was_asked_for_is_made_at_night(at_night: House) -> None:
    calls = with_calls(at_night)
    started = await sent(at_night)
    at_night.clock.advance(30)
    await at_night.resend(started, Channel.VOICE)
    await at_night.deliver()
    await at_night.start(some_msisdn(7), channel=Channel.VOICE)
    await at_night.deliver()

    assert len(calls.offered) == 2


async def test_third_time_somebody_asks_at_night_without_naming_a_call_it_is_a_text(at_night: House) -> None:
    with_calls(at_night)
    started = await sent(at_night)

    channels = []
    for wait_s in (30, 60):
        at_night.clock.advance(wait_s)
        channels.append((await at_night.resend(started)).message.channel)

    assert channels == [Channel.SMS, Channel.SMS]


async def test_call_follows_by_day(at_night: House) -> None:
    calls = with_calls(at_night)
    at_night.clock.advance(timedelta(hours=9).total_seconds())
    await called(at_night)

    assert len(calls.offered) == 1


async def test_call_that_no_trunk_may_carry_is_not_made_and_the_reason_is_told(house: House) -> None:
    calls = with_calls(house, texts=2)
    bar_calls(house, CallBar.FOREIGN_CALLER)
    await called(house)

    assert calls.offered == []
    [due] = house.told_of(FallbackDue)
    assert due.why.endswith("no call: call_foreign_caller, " + CALL_BARS[CallBar.FOREIGN_CALLER].means)


async def test_asking_for_a_call_that_no_trunk_may_carry_is_refused_with_reason_and_remedy(
    house: House,
) -> None:
    with_calls(house)
    started = await sent(house)
    house.clock.advance(30)
    bar_calls(house, CallBar.NO_SERVICE_CALLER)

    for asked in (house.start(some_msisdn(9), channel=Channel.VOICE), house.resend(started, Channel.VOICE)):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.reason == "call_no_service_caller"
        assert "Next: add a trunk with such a number" in refused.value.detail


async def test_call_of_a_service_comes_from_the_number_it_chose(tmp_path: Path) -> None:
    async with open_house(tmp_path, calls=CallRules(caller="+911600999999")) as house:
        calls = with_calls(house)
        await called(house)

        assert [outgoing.sender for outgoing in calls.offered] == ["+911600999999"]


def bar_calls(house: House, bar: CallBar) -> None:
    house.ports = replace(house.ports, call_terms=lambda *_: CallTerms(bar=bar))
    house.settlement.begin(house.ports)


MINUTE = CallPrice(prefix="91", unit_micros=6_000, unit_s=60)
WORST = 2 * 6_000


def priced(house: House, *, prefix_cap: int | None = None) -> None:
    """Give calls a price: two begun minutes at worst."""
    terms = CallTerms(worst_micros=WORST, prefix="91", prefix_cap_micros=prefix_cap)
    house.ports = replace(house.ports, call_terms=lambda *_: terms, call_price=lambda *_: MINUTE)
    house.settlement.begin(house.ports)


async def spent(house: House, by: Verification) -> int:
    """Return what a tenant has spent today: a cap below that refuses even what is free."""
    day, low, high = house.clock.now().toordinal(), 0, 10**6
    while low < high:
        middle = (low + high) // 2
        change = Change(answer=None, spend=Spend(0, middle, day))
        try:
            await house.store.decide(by.id, lambda _, change=change: change)
            high = middle
        except Refused:
            low = middle + 1
    return low


@pytest.mark.parametrize(
    ("answered_s", "micros"), [(0.0, 0), (31.4, 6_000), (61.0, 12_000), (125.0, 18_000), (None, WORST)]
)
async def test_call_is_paid_by_its_length_after_its_worst_was_set_aside(
    house: House, answered_s: float | None, micros: int
) -> None:
    with_calls(house)
    priced(house)
    started = await house.start(channel=Channel.VOICE)
    await house.deliver()
    set_aside = await spent(house, started)

    ended = Receipt(CarrierRef("trunk", "trunk-1"), Outcome.DELIVERED, "call:BYE", answered_s=answered_s)
    await settle(house.ports, ended)
    with suppress(NotFound):  # of a delivered one nobody looks for the carrier's id any more
        await settle(house.ports, ended)

    assert (set_aside, await spent(house, started)) == (WORST, micros)
    assert house.told_of(CallPriced) == [
        CallPriced(ms(house.clock.now()), 0, "trunk", answered_s, micros, WORST)
    ]
    assert (await house.message(started)).reserve is None


async def test_call_that_nobody_answered_costs_nothing_though_its_carrier_tells_no_length(
    house: House,
) -> None:
    with_calls(house)
    priced(house)
    started = await house.start(channel=Channel.VOICE)
    await house.deliver()

    await house.receive("trunk-1", Outcome.NOT_ANSWERED)

    assert await spent(house, started) == 0


async def test_call_that_never_rang_or_was_not_wanted_any_more_costs_nothing(house: House) -> None:
    calls = with_calls(house)
    priced(house)
    calls.script = [CarrierRejected("busy", status="SIP 486", outcome=Outcome.BUSY)]
    await house.start(channel=Channel.VOICE)
    await house.deliver()
    canceled = await house.start(some_msisdn(2), channel=Channel.VOICE)
    await house.cancel(canceled)
    await house.deliver()

    assert [(event.route, event.micros) for event in house.told_of(CallPriced)] == [("", 0), ("", 0)]
    assert await spent(house, canceled) == 0


async def test_call_that_would_pass_the_cap_at_its_worst_is_refused_when_asked_for(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=WORST + 6_000) as house:
        with_calls(house)
        priced(house)
        await house.start(channel=Channel.VOICE)
        await house.deliver()

        with pytest.raises(Refused) as refused:
            await house.start(some_msisdn(2), channel=Channel.VOICE)
        assert refused.value.reason == "spend_cap"

        ended = Receipt(CarrierRef("trunk", "trunk-1"), Outcome.HUNG_UP, "call:BYE", answered_s=3.0)
        await settle(house.ports, ended)
        await house.start(some_msisdn(2), channel=Channel.VOICE)


@pytest.mark.parametrize(
    ("rules", "prefix_cap", "reason"),
    [
        (CallRules(daily_cap_micros=WORST), None, "call_service_cap"),
        (CallRules(), WORST, "call_prefix_cap"),
    ],
)
async def test_other_caps_of_a_day_refuse_the_call_that_would_pass_them_until_the_next(
    tmp_path: Path, rules: CallRules, prefix_cap: int | None, reason: str
) -> None:
    async with open_house(tmp_path, calls=rules) as house:
        with_calls(house)
        priced(house, prefix_cap=prefix_cap)
        await house.start(channel=Channel.VOICE)

        with pytest.raises(Refused) as refused:
            await house.start(some_msisdn(2), channel=Channel.VOICE)
        assert (refused.value.reason, "next UTC day" in refused.value.detail) == (reason, True)

        house.clock.advance(timedelta(days=1).total_seconds())
        await house.start(some_msisdn(2), channel=Channel.VOICE)


async def test_text_follows_where_the_call_would_pass_a_cap(tmp_path: Path) -> None:
    cap = PRICE_MICROS + PRICE_MICROS
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), cap_micros=cap) as house:
        calls = with_calls(house, texts=2)
        priced(house)
        await called(house)

        assert (calls.offered, len(house.routes[1].offered)) == ([], 1)
        [due] = house.told_of(FallbackDue)
        assert due.why.endswith("no call: spend_cap")


async def reported(house: House) -> ScriptedRoute:
    """Have a person say that they did not ask for a call."""
    calls = with_calls(house, texts=2)
    await called(house)
    await house.receive("trunk-1", Outcome.REPORTED)
    return calls


async def test_phone_that_reported_a_call_is_not_called_unasked_for_a_day_but_when_somebody_asks(
    house: House,
) -> None:
    calls = await reported(house)
    house.clock.advance(3_600)
    await called(house)
    [_, due] = house.told_of(FallbackDue)
    await house.start(channel=Channel.VOICE)
    await house.deliver()
    asked = len(calls.offered)
    house.clock.advance(timedelta(days=1).total_seconds())
    await called(house)

    assert "another route once" in due.why
    assert "no call: call_rest, " in due.why
    assert due.why.endswith("for 82800 s more")
    assert (asked, len(calls.offered)) == (2, 3)


async def test_rest_of_a_phone_outlives_a_restart_and_holds_for_all_tenants(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south")) as house:
        await reported(house)
        clock = house.clock
    async with open_house(tmp_path, ScriptedRoute("north"), clock=clock, seed=1) as house:
        since = await house.store.reports_since(clock.now() - timedelta(days=1))
        house.ports.calls.seed_reports(since)

        assert house.ports.calls.rest_s(Mode.LIVE, MSISDN, now=clock.now()) == 86_400
        assert house.ports.calls.rest_s(Mode.TEST, MSISDN, now=clock.now()) == 0
        assert await house.store.reports_since(clock.now() + timedelta(seconds=1)) == []


async def test_report_after_the_code_was_used_is_told_as_well(house: House) -> None:
    with_calls(house)
    started = await sent(house)
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.deliver()
    assert (await house.check(started, house.code(started))).approved

    await house.receive("trunk-1", Outcome.REPORTED)

    assert len(house.told_of(CallReported)) == 1
    assert (await house.found(started)).state is State.APPROVED
    assert len((await house.store.reports(1)).reports) == 1


# What follows a text by itself, clause by clause; the others stand above and in test_fall_back.py.


@pytest.mark.parametrize("outcome", sorted(AWAY))
async def test_phone_that_is_away_is_never_called_and_gets_its_text_again_when_it_is_back(
    house: House, outcome: Outcome
) -> None:
    calls = with_calls(house)
    await sent(house)

    await house.receive("north-1", outcome)
    house.clock.advance(CALL_AFTER_S + 1)
    await house.deliver_due()
    await phone_back(house.ports, house.store, "north", MSISDN, test=False)
    await house.deliver()

    assert calls.offered == []
    texts = [outgoing.text for outgoing in house.routes[0].offered]
    assert len(texts) == 2
    assert texts[0] == texts[1]


async def test_call_says_the_code_of_the_text_and_that_one_stays_right(house: House) -> None:
    calls = with_calls(house)
    started = await sent(house)
    [text] = house.routes[0].offered
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.deliver()

    assert calls.offered[0].code == text.code == house.code(started)
    assert (await house.check(started, text.code)).approved


async def test_text_that_arrives_late_stops_a_call_that_waits_for_a_trunk(house: House) -> None:
    calls = with_calls(house)
    started = await sent(house)
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.receive("north-1", Outcome.DELIVERED)
    await house.deliver()

    assert calls.offered == []
    assert [event.cause for event in house.told_of(MessageDropped)] == ["text_arrived"]
    assert house.ports.calls.refusal(Mode.LIVE, started.msisdn, now=house.clock.now()) is None


async def test_text_that_arrives_while_the_first_trunk_searches_lets_no_second_one_ring(house: House) -> None:
    async def searches() -> None:
        await house.receive("north-1", Outcome.DELIVERED)
        raise CarrierRejected("called off", status="408", outcome=Outcome.NETWORK_TEMPORARY)

    second = ScriptedRoute("trunk2")
    with_calls(house, ScriptedRoute("trunk", searches), second)
    await sent(house)
    await house.receive("north-1", Outcome.SPAM_OR_CONTENT)
    await house.deliver()

    assert second.offered == []
    assert [event.cause for event in house.told_of(MessageDropped)] == ["text_arrived"]


async def test_text_that_arrived_stops_no_call_that_was_asked_for(house: House) -> None:
    calls = with_calls(house)
    started = await sent(house)
    await house.receive("north-1", Outcome.DELIVERED)
    house.clock.advance(30)
    await house.resend(started, Channel.VOICE)
    await house.deliver()

    assert len(calls.offered) == 1
