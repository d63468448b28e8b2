"""A receipt is believed once, in whatever order it comes, and it never approves."""

import asyncio
import gc
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from dastak.core.errors import CarrierRejected, NotFound, Overloaded
from dastak.core.events import (
    MessageDelivered,
    MessageUndelivered,
    ReceiptNoted,
    VerificationApproved,
    VerificationFailed,
)
from dastak.core.message import CarrierRef, MessageState, Receipt
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.verification import Reason, State, Verification
from dastak.delivery.receipts import EARLY_EACH_MAX, EARLY_LIFE, EARLY_MAX, EarlyReceipts
from dastak.flows.settle import Settlement, settle
from tests.support.house import House, ScriptedRoute, open_house, receipt
from tests.support.samples import NOW, some_msisdn


async def submitted(house: House, **asked: object) -> Verification:
    started = await house.start(**asked)
    await house.deliver()
    return started


class Carrier:
    """Sends receipts and waits for what it is answered."""

    def __init__(self, settlement: Settlement) -> None:
        self.settlement = settlement

    async def reports(self, ref: str, outcome: Outcome) -> bool:
        answered = asyncio.get_running_loop().create_future()
        self.settlement.take(receipt(ref, outcome), answered.set_result)
        async with asyncio.timeout(10):
            return await answered


async def test_delivered_is_written_with_the_carriers_words(house: House) -> None:
    started = await submitted(house)

    assert await house.receive("north-1", Outcome.DELIVERED)

    assert await house.message_state(started) is MessageState.DELIVERED
    assert [event.evidence for event in house.told_of(MessageDelivered)] == ["stat:delivered"]
    assert list(await house.timeline(started)) == house.told


@pytest.mark.parametrize(
    "outcome",
    [outcome for outcome in Outcome if OUTCOMES[outcome].terminal and outcome is not Outcome.DELIVERED],
)
async def test_final_failure_is_undelivered_with_its_reason(house: House, outcome: Outcome) -> None:
    started = await submitted(house)

    assert await house.receive("north-1", outcome)

    assert await house.message_state(started) is MessageState.UNDELIVERED
    assert [event.outcome for event in house.told_of(MessageUndelivered)] == [outcome]


async def test_receipts_that_come_early_leave_nothing_that_only_the_collector_finds(house: House) -> None:
    carrier = Carrier(house.settlement)
    gc.collect()
    of_others = [kept for kept in gc.get_objects() if isinstance(kept, NotFound)]
    gc.disable()
    try:
        answers = await asyncio.gather(*(carrier.reports(f"early-{n}", Outcome.DELIVERED) for n in range(9)))
        await asyncio.sleep(0)
        left = [kept for kept in gc.get_objects() if isinstance(kept, NotFound)]
        left = [kept for kept in left if all(kept is not other for other in of_others)]
    finally:
        gc.enable()

    assert answers == [True] * 9
    assert left == []


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not OUTCOMES[outcome].terminal])
async def test_receipt_that_settles_nothing_is_noted(house: House, outcome: Outcome) -> None:
    started = await submitted(house)

    assert await house.receive("north-1", outcome)

    assert await house.message_state(started) is MessageState.SUBMITTED
    assert [event.outcome for event in house.told_of(ReceiptNoted)] == [outcome]


@pytest.mark.parametrize("outcome", Outcome)
async def test_receipt_never_approves(house: House, outcome: Outcome) -> None:
    started = await submitted(house)

    await house.receive("north-1", outcome)

    ended = {Outcome.UNKNOWN_NUMBER: State.FAILED, Outcome.REPORTED: State.CANCELED}
    assert (await house.found(started)).state is ended.get(outcome, State.PENDING)
    assert house.told_of(VerificationApproved) == []


async def test_unknown_number_fails_the_verification_and_no_code_is_right_any_more(house: House) -> None:
    started = await submitted(house)

    await house.receive("north-1", Outcome.UNKNOWN_NUMBER)
    judged = await house.check(started, house.code(started))

    assert (judged.approved, judged.reason) == (False, Reason.FAILED)
    assert [event.cause for event in house.told_of(VerificationFailed)] == ["unknown_number"]
    assert list(await house.timeline(started)) == house.told


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.UNKNOWN_NUMBER])
async def test_receipt_does_not_reopen_or_end_what_was_answered(house: House, outcome: Outcome) -> None:
    started = await submitted(house)
    await house.check(started, house.code(started))

    await house.receive("north-1", outcome)

    assert (await house.found(started)).state is State.APPROVED
    assert house.told_of(VerificationFailed) == []


async def test_late_delivery_is_believed_after_undelivered(house: House) -> None:
    started = await submitted(house)
    await house.receive("north-1", Outcome.EXPIRED)

    assert await house.receive("north-1", Outcome.DELIVERED)

    assert await house.message_state(started) is MessageState.DELIVERED


async def test_unknown_number_after_delivered_is_not_believed(house: House) -> None:
    started = await submitted(house)
    await house.receive("north-1", Outcome.DELIVERED)

    with pytest.raises(NotFound):
        await house.receive("north-1", Outcome.UNKNOWN_NUMBER)

    assert await house.message_state(started) is MessageState.DELIVERED
    assert (await house.found(started)).state is State.PENDING


async def test_repeated_failure_changes_and_tells_nothing(house: House) -> None:
    await submitted(house)
    await house.receive("north-1", Outcome.EXPIRED)
    before = list(house.told)

    assert not await house.receive("north-1", Outcome.EXPIRED)
    assert house.told == before


@pytest.mark.parametrize(
    "outcomes",
    sorted(set(permutations([Outcome.ENROUTE, Outcome.EXPIRED, Outcome.DELIVERED, Outcome.DELIVERED]))),
)
async def test_shuffled_receipts_end_delivered_and_say_so_once(
    house: House, outcomes: tuple[Outcome, ...]
) -> None:
    started = await submitted(house)
    carrier = Carrier(house.settlement)

    assert [await carrier.reports("north-1", outcome) for outcome in outcomes] == [True] * 4

    assert await house.message_state(started) is MessageState.DELIVERED
    assert len(house.told_of(MessageDelivered)) == 1


async def test_receipt_settles_the_message_it_names(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        first = await house.start()
        house.clock.advance(30)
        await house.resend(first)
        await house.deliver()

        await house.receive("north-2", Outcome.DELIVERED)

        assert await house.message_state(first, 0) is MessageState.SUBMITTED
        assert await house.message_state(first, 1) is MessageState.DELIVERED


async def test_same_id_from_another_carrier_is_another_message(house: House) -> None:
    started = await submitted(house)

    assert await Carrier(house.settlement).reports("south-1", Outcome.DELIVERED)
    with pytest.raises(NotFound):
        await house.receive("south-1", Outcome.DELIVERED)

    assert await house.message_state(started) is MessageState.SUBMITTED


async def test_receipt_before_the_answer_to_its_submit_is_settled_when_that_is_written(house: House) -> None:
    carrier = Carrier(house.settlement)

    async def report_first() -> None:
        assert await carrier.reports("north-1", Outcome.ENROUTE)
        assert await carrier.reports("north-1", Outcome.DELIVERED)

    house.routes[0].script = [report_first]
    started = await submitted(house)

    await house.sees(MessageDelivered)

    assert await house.message_state(started) is MessageState.DELIVERED
    assert len(house.told_of(ReceiptNoted)) == 1


async def test_early_receipt_is_settled_once_whatever_comes_later(house: House) -> None:
    carrier = Carrier(house.settlement)
    await carrier.reports("north-1", Outcome.DELIVERED)
    await submitted(house)
    await house.sees(MessageDelivered)

    assert await carrier.reports("north-1", Outcome.DELIVERED)

    assert len(house.told_of(MessageDelivered)) == 1


async def test_receipt_is_asked_for_again_before_there_is_a_store(house: House) -> None:
    assert not await Carrier(Settlement()).reports("north-1", Outcome.DELIVERED)


async def test_receipt_is_not_acknowledged_when_it_cannot_be_written(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await submitted(house)
    before = list(house.told)

    with pytest.raises(Overloaded):
        await house.receive("north-1", Outcome.DELIVERED)
    assert not await Carrier(house.settlement).reports("north-1", Outcome.DELIVERED)
    assert house.told == before


async def test_receipt_is_durable_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        started = await submitted(house)
        assert await Carrier(house.settlement).reports("north-1", Outcome.DELIVERED)

        async with open_house(tmp_path) as beside:
            assert await beside.message_state(started) is MessageState.DELIVERED


async def test_receipt_after_expiry_still_says_what_became_of_the_text(house: House) -> None:
    started = await submitted(house)
    house.clock.advance(301)

    await house.receive("north-1", Outcome.DELIVERED)

    assert await house.message_state(started) is MessageState.DELIVERED
    assert (await house.check(started, house.code(started))).reason is Reason.EXPIRED


async def test_evidence_is_cut_to_a_bounded_size(house: House) -> None:
    await submitted(house)
    long = Receipt(CarrierRef("north", "north-1"), Outcome.DELIVERED, "x" * 10_000)

    await Carrier(house.settlement).reports("north-9", Outcome.DELIVERED)
    house.settlement.take(long, lambda _: None)
    [told] = await house.sees(MessageDelivered)

    assert len(told.evidence) == 160


async def test_failed_route_of_a_text_that_another_took_takes_no_receipts(tmp_path: Path) -> None:
    busy = CarrierRejected("No.", status="ESME_RTHROTTLED", outcome=Outcome.THROTTLED)
    async with open_house(tmp_path, ScriptedRoute("north", busy), ScriptedRoute("south")) as house:
        started = await submitted(house)

        with pytest.raises(NotFound):
            await house.receive("north-1", Outcome.UNKNOWN_NUMBER)

        assert (await house.found(started)).state is State.PENDING


def test_early_receipts_are_claimed_once_in_their_order() -> None:
    early = EarlyReceipts()
    came = [receipt("north-1", outcome) for outcome in (Outcome.ENROUTE, Outcome.DELIVERED)]
    for one in came:
        early.keep(one, now=NOW)

    assert early.claim(came[0].carrier) == came
    assert early.claim(came[0].carrier) == []


def test_early_receipt_is_claimed_by_any_of_its_refs_once() -> None:
    early = EarlyReceipts()
    hexadecimal, decimal = CarrierRef("north", "1f"), CarrierRef("north", "31")
    stray = Receipt(hexadecimal, Outcome.DELIVERED, "stat:DELIVRD err:000", (decimal,))
    early.keep(stray, now=NOW)

    assert early.claim(decimal) == [stray]
    assert early.claim(hexadecimal) == []
    assert len(early) == 0


def test_early_receipt_is_gone_after_ten_minutes() -> None:
    early = EarlyReceipts()
    old, new = receipt("north-1", Outcome.DELIVERED), receipt("north-2", Outcome.DELIVERED)
    early.keep(old, now=NOW)

    early.keep(new, now=NOW + EARLY_LIFE)

    assert len(early) == 1
    assert early.claim(old.carrier) == []


def test_early_receipt_that_comes_again_after_ten_minutes_is_kept_anew() -> None:
    early = EarlyReceipts()
    stray = receipt("north-1", Outcome.DELIVERED)
    early.keep(stray, now=NOW)

    early.keep(stray, now=NOW + EARLY_LIFE)

    assert early.claim(stray.carrier) == [stray]


def test_early_receipts_are_bounded_and_the_oldest_go_first() -> None:
    early = EarlyReceipts()
    for n in range(EARLY_MAX + 1):
        early.keep(receipt(f"north-{n}", Outcome.DELIVERED), now=NOW + timedelta(milliseconds=n))

    assert len(early) == EARLY_MAX
    assert early.claim(CarrierRef("north", "north-0")) == []
    assert len(early.claim(CarrierRef("north", f"north-{EARLY_MAX}"))) == 1


def test_early_receipts_of_one_message_are_bounded() -> None:
    early = EarlyReceipts()
    for _ in range(100):
        early.keep(receipt("north-1", Outcome.ENROUTE), now=NOW)

    assert len(early.claim(CarrierRef("north", "north-1"))) == EARLY_EACH_MAX


async def test_delivered_of_a_route_that_is_not_believed_is_noted_and_its_clock_runs_on(house: House) -> None:
    house.ports = msgspec.structs.replace(house.ports, believes=lambda route: route != "north")
    house.settlement.begin(house.ports)
    started = await submitted(house)
    due_at = (await house.message(started)).due_at

    assert await house.receive("north-1", Outcome.DELIVERED)

    message = await house.message(started)
    assert (message.state, message.due_at) == (MessageState.SUBMITTED, due_at)
    assert [event.outcome for event in house.told_of(ReceiptNoted)] == [Outcome.DELIVERED]


async def test_receipt_that_names_the_network_of_the_number_teaches_it(house: House) -> None:
    learned: list[tuple[str, str]] = []
    house.ports = msgspec.structs.replace(
        house.ports, learn_network=lambda msisdn, operator: learned.append((msisdn, operator))
    )
    started = await submitted(house)
    told = msgspec.structs.replace(receipt("north-1", Outcome.DELIVERED), operator="40445")

    await settle(house.ports, told)

    assert learned == [(started.msisdn, "40445")]


def spelled(first: str, *others: str, phones: tuple[str, ...]) -> Receipt:
    """Return a receipt whose id can be read in several ways."""
    refs = [CarrierRef("north", ref) for ref in (first, *others)]
    return Receipt(refs[0], Outcome.DELIVERED, "stat:DELIVRD", tuple(refs[1:]), phones=phones)


async def test_receipt_of_an_ambiguous_id_is_about_the_message_to_its_number(house: House) -> None:
    other, meant = await submitted(house, to=some_msisdn(1)), await submitted(house, to=some_msisdn(2))

    assert await settle(house.ports, spelled("north-1", "north-2", phones=(meant.msisdn[-9:],)))

    assert await house.message_state(meant) is MessageState.DELIVERED
    assert await house.message_state(other) is MessageState.SUBMITTED


async def test_burst_of_receipts_looks_at_the_numbers_as_well(house: House) -> None:
    other, meant = await submitted(house, to=some_msisdn(1)), await submitted(house, to=some_msisdn(2))
    taken = asyncio.get_running_loop().create_future()

    house.settlement.take(
        spelled("north-1", "north-2", phones=("123456789", meant.msisdn[-9:])), taken.set_result
    )

    async with asyncio.timeout(10):
        assert await taken
    assert await house.message_state(meant) is MessageState.DELIVERED
    assert await house.message_state(other) is MessageState.SUBMITTED


async def test_no_reading_of_an_ambiguous_id_is_taken_for_another_number(house: House) -> None:
    unlikely = await submitted(house, to=some_msisdn(1))

    with pytest.raises(NotFound):
        await settle(house.ports, spelled("north-9", "north-1", phones=(some_msisdn(2)[-9:],)))
    with pytest.raises(NotFound):
        await settle(house.ports, spelled("north-1", "north-9", phones=(some_msisdn(2)[-9:],)))

    assert await house.message_state(unlikely) is MessageState.SUBMITTED


async def test_receipt_without_a_number_is_found_by_any_reading_of_its_id(house: House) -> None:
    started = await submitted(house)

    assert await settle(house.ports, spelled("north-9", "north-1", phones=()))

    assert await house.message_state(started) is MessageState.DELIVERED
