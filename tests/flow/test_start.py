"""A start is durable when it returns, or leaves no trace."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core import codes
from dastak.core.errors import DastakError, InvalidRequest, Overloaded, RateLimited, Refused
from dastak.core.events import MessageQueued, VerificationCanceled, VerificationStarted
from dastak.core.node import LEASE_S
from dastak.core.policy import Channel, Narrowing, Policy
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State, Verification
from dastak.guard.buckets import Rate
from dastak.guard.destinations import MAGIC_FRAUD
from dastak.sms.segments import measure
from tests.support.house import PRICE_MICROS, WIDE, House, ScriptedRoute, open_house
from tests.support.samples import MSISDN, NOW, RING, some_msisdn
from tests.support.stores import open_sqlite

OWN_CODE = "hunter2024"


def octets_of(folder: Path) -> bytes:
    """Return all that the store has written so far."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def assert_nothing_happened(house: House, *, known: tuple[Verification, ...] = ()) -> None:
    assert tuple(await house.all()) == known
    assert (house.told, house.handed) == ([], [])


async def test_start_is_durable_before_it_returns(house: House, tmp_path: Path) -> None:
    started = await house.start()

    async with open_sqlite(tmp_path) as beside:
        assert (await beside.find(1, started.id)).verification == started


async def test_start_tells_what_was_written_once_and_in_order(house: House) -> None:
    started = await house.start()

    assert [type(event) for event in house.told] == [VerificationStarted, MessageQueued]
    assert list(await house.timeline(started)) == house.told


async def test_hand_over_carries_what_is_in_the_store(house: House) -> None:
    started = await house.start()

    [(verification, message)] = house.handed
    assert verification == await house.found(started)
    assert message == await house.message(started)
    assert (message.due_at - NOW).total_seconds() == LEASE_S


async def test_start_waits_for_no_carrier(house: House) -> None:
    await house.start()

    assert house.routes[0].offered == []


async def test_verification_lives_as_long_as_its_policy_says(house: House) -> None:
    started = await house.start(policy=Narrowing(ttl_s=90))

    assert (started.created_at, started.last_sent_at) == (NOW, NOW)
    assert (started.expires_at - NOW).total_seconds() == 90


async def test_number_is_kept_in_one_form_however_it_was_written(house: House) -> None:
    assert (await house.start("+9109876543210")).msisdn == MSISDN


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"to": "+14155552671"}, "country_closed"),
        ({"to": "+911123456789"}, "line_refused"),
        ({"to": "+12025550101"}, "fictional_number"),
        ({"channel": Channel.VOICE}, "no_route"),
    ],
)
async def test_refused_start_writes_nothing(house: House, asked: dict, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        await house.start(**asked)

    assert refusal.value.reason == reason
    await assert_nothing_happened(house)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"to": "98"}, "to"),
        ({"code": "12"}, "code"),
        ({"policy": Narrowing(ttl_s=301)}, "ttl_s"),
        ({"policy": Narrowing(length=5)}, "length"),
        ({"policy": Narrowing(attempts_max=0)}, "attempts_max"),
        ({"particulars": Particulars(domain="evil.example")}, "domain"),
        ({"particulars": Particulars(purpose="payment")}, "amount"),
        ({"client_ip": "here"}, "client_ip"),
    ],
)
async def test_start_that_is_not_valid_writes_nothing(house: House, asked: dict, field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await house.start(**asked)

    assert refusal.value.field == field
    await assert_nothing_happened(house)


async def test_magic_fraud_number_is_refused_for_a_test_key(house: House) -> None:
    with pytest.raises(Refused) as refusal:
        await house.start(MAGIC_FRAUD, caller=house.caller_of(mode=Mode.TEST))

    assert refusal.value.reason == "fraud_blocked"
    await assert_nothing_happened(house)


async def test_start_over_a_limit_writes_nothing_and_leaves_the_pending_one(tmp_path: Path) -> None:
    once_a_day = replace(WIDE, number=Rate(count=1, per_s=86_400))
    async with open_house(tmp_path, limits=once_a_day) as house:
        first = await house.start()
        house.told, house.handed = [], []

        with pytest.raises(RateLimited) as refusal:
            await house.start()

        assert refusal.value.limit == "number"
        await assert_nothing_happened(house, known=(first,))


async def test_start_that_a_judge_refuses_writes_nothing_and_costs_its_asker_nothing(tmp_path: Path) -> None:
    once_a_day = replace(WIDE, number=Rate(count=1, per_s=86_400), key=Rate(count=2, per_s=86_400))
    async with open_house(tmp_path, limits=once_a_day, judged=True) as house:
        first = await house.start()
        house.told, house.handed = [], []
        for _ in range(2):  # the judge's word, and then what is known of it
            with pytest.raises(RateLimited) as refusal:
                await house.start()
            assert (refusal.value.limit, refusal.value.retry_after_s) == ("number", 86_400)
        await assert_nothing_happened(house, known=(first,))

        other = await house.start(some_msisdn(1))

    assert other.msisdn == some_msisdn(1)


@pytest.mark.parametrize("may_be_done", [False, True])
async def test_start_that_the_store_refused_whole_costs_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_be_done: bool
) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise Overloaded("The database cannot write now.", may_be_done=may_be_done)

    once_a_day = replace(WIDE, number=Rate(count=1, per_s=86_400))
    async with open_house(tmp_path, limits=once_a_day) as house:
        with monkeypatch.context() as failing:
            failing.setattr(house.store, "open", full)
            with pytest.raises(Overloaded):
                await house.start()
        again = await asyncio.gather(house.start(), return_exceptions=True)

    # One that may be kept after all stays counted: a number gets no text more than its limit allows.
    assert isinstance(again[0], RateLimited if may_be_done else Verification)


async def test_start_over_the_spend_cap_writes_nothing_and_leaves_the_pending_one(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=PRICE_MICROS) as house:
        first = await house.start()
        house.told, house.handed = [], []

        with pytest.raises(Refused) as refusal:
            await house.start()

        assert refusal.value.reason == "spend_cap"
        await assert_nothing_happened(house, known=(first,))


async def test_spend_cap_counts_every_segment(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=2 * PRICE_MICROS - 1) as house:
        two_segments = Particulars(
            locale="hi", purpose="payment", amount="1234.50", currency="INR", payee="Acme Books of Pune Ltd"
        )

        with pytest.raises(Refused) as refusal:
            await house.start(particulars=two_segments)

        assert refusal.value.reason == "spend_cap"


async def test_spend_cap_begins_anew_with_the_utc_day(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=PRICE_MICROS) as house:
        await house.start()
        house.clock.advance(12 * 3600)

        assert (await house.start()).state is State.PENDING


async def test_test_messages_cost_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path, cap_micros=0) as house:
        assert (await house.start(caller=house.caller_of(mode=Mode.TEST))).mode is Mode.TEST


async def test_start_supersedes_the_pending_one_it_replaces(house: House) -> None:
    old = await house.start()

    new = await house.start()

    assert (await house.found(old)).state is State.CANCELED
    assert (await house.found(new)).state is State.PENDING
    last = (await house.timeline(old))[-1]
    assert isinstance(last, VerificationCanceled)
    assert last.cause == "superseded"
    assert house.told_of_each[old.id][-1] == last


async def test_start_leaves_what_it_does_not_replace(house: House) -> None:
    others = [
        await house.start(),
        await house.start(particulars=Particulars(purpose="reset")),
        await house.start(some_msisdn(1)),
        await house.start(caller=house.caller_of(service=2)),
        await house.start(caller=house.caller_of(tenant=2, service=3)),
        await house.start(caller=house.caller_of(mode=Mode.TEST)),
    ]

    assert [(await house.found(other)).state for other in others] == [State.PENDING] * 6


async def test_start_leaves_an_answered_one_as_it_is(house: House) -> None:
    old = await house.start()
    await house.check(old, house.code(old))

    await house.start()

    assert (await house.found(old)).state is State.APPROVED


async def test_of_two_starts_at_once_one_is_superseded(house: House) -> None:
    started = await asyncio.gather(house.start(), house.start())

    states = [(await house.found(verification)).state for verification in started]
    assert sorted(states) == [State.CANCELED, State.PENDING]


async def test_every_start_has_a_code_of_its_own(house: House) -> None:
    started = [await house.start() for _ in range(20)]

    assert len({verification.id for verification in started}) == 20
    assert len({house.code(verification) for verification in started}) > 10


async def test_own_code_is_kept_as_a_digest_and_sealed(house: House, tmp_path: Path) -> None:
    started = await house.start(code=OWN_CODE)

    kept = await house.found(started)
    assert kept.own_code_digest == codes.digest(
        RING.keys[2], tenant=1, verification_id=started.id, code=OWN_CODE
    )
    assert house.ports.sealer.unseal(kept.own_code_sealed, bound_to=started.id).decode() == OWN_CODE
    written = octets_of(tmp_path)
    assert started.id in written
    assert OWN_CODE.encode() not in written


@pytest.mark.parametrize(
    ("code", "legacy", "attempts_max"), [("4711", True, 3), ("471108", False, 5), ("hunter", False, 5)]
)
async def test_weak_own_code_is_legacy_and_has_fewer_attempts(
    house: House, code: str, legacy: bool, attempts_max: int
) -> None:
    policy = (await house.start(code=code)).policy

    assert (policy.length, policy.legacy, policy.attempts_max) == (len(code), legacy, attempts_max)


@pytest.mark.parametrize(("code", "trivial"), [("123456", True), ("471108", False), (None, False)])
async def test_start_says_whether_an_own_code_is_trivial(
    house: House, code: str | None, trivial: bool
) -> None:
    assert (await house.ask(code=code)).trivial is trivial


@pytest.mark.parametrize(
    ("asked", "used"), [("hi-IN", "hi"), ("ta", "ta"), ("xx", "en"), ("hi-Latn", "en"), ("", "en")]
)
async def test_unknown_language_falls_back_to_english(house: House, asked: str, used: str) -> None:
    started = await house.start(particulars=Particulars(locale=asked))

    assert started.particulars.locale == used


async def test_narrowed_policy_is_the_verifications_own(house: House) -> None:
    asked = Narrowing(length=8, ttl_s=60, attempts_max=2, resends_max=1)

    started = await house.start(policy=asked)

    assert started.policy == replace(Policy(), length=8, ttl_s=60, attempts_max=2, resends_max=1)
    assert len(house.code(started)) == 8


@pytest.mark.parametrize(
    "particulars",
    [
        Particulars(),
        Particulars(locale="hi"),
        Particulars(domain="login.acme.in", app_hash="FA+9qCX9VSu"),
        Particulars(locale="ta", purpose="payment", amount="1234.50", currency="INR", payee="Acme Books"),
    ],
)
@pytest.mark.parametrize("code", [None, OWN_CODE])
async def test_segments_told_are_those_of_the_text_that_is_sent(
    house: House, particulars: Particulars, code: str | None
) -> None:
    started = await house.ask(particulars=particulars, code=code)
    await house.deliver()

    [outgoing] = house.routes[0].offered
    sent = measure(outgoing.text)
    assert (started.segments, started.alphabet) == (sent.segments, sent.alphabet)
    assert (await house.message(started.verification)).segments == sent.segments


async def test_domain_is_free_to_choose_with_a_test_key(house: House) -> None:
    tried = await house.start(
        caller=house.caller_of(mode=Mode.TEST), particulars=Particulars(domain="localhost.example")
    )

    assert tried.particulars.domain == "localhost.example"


async def test_channel_is_the_first_of_the_policy_that_has_a_route(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(channels=(Channel.VOICE, Channel.SMS))) as house:
        assert (await house.start()).particulars.channel is Channel.SMS


async def test_channel_outside_the_policy_is_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path, policy=Policy(channels=(Channel.VOICE,))) as house:
        with pytest.raises(Refused, match="by sms for a live key"):
            await house.start(channel=Channel.SMS)


async def test_test_key_never_reaches_a_carrier(house: House) -> None:
    await house.start(caller=house.caller_of(mode=Mode.TEST))

    [step] = await house.deliver()

    assert step.message.carrier.route == "box"
    assert [route.offered for route in house.routes] == [[], []]


async def test_start_that_cannot_be_written_tells_and_hands_over_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedRoute("north")) as house:
        pass

    with pytest.raises(DastakError):
        await house.start()

    assert (house.told, house.handed) == ([], [])
