"""A route on carriers that do what no standard wants, played by an SMSC nobody of us wrote (npm smpp)."""

import asyncio
from collections import Counter, defaultdict

import pytest

from dastak.core.errors import CarrierUnavailable
from dastak.core.message import CarrierRef
from dastak.core.outcome import Outcome
from dastak.sms.bind_group import Count
from dastak.sms.esme import BindState
from dastak.sms.replies import ReplyKind
from tests.support.bound_route import BoundRoute, bound_route
from tests.support.npm_peer import NpmSmsc, npm_smsc
from tests.support.patience import until
from tests.support.smpp_pair import Ends, esme, soon

# tests/peers/misbehaviour.js does as the last two digits say, and of each the one before tells the end.
DELIVERED = "9198765431"
HEX_THEN_DECIMAL, DECIMAL_THEN_HEX, AS_TOLD, THROTTLES = "10", "11", "12", "13"
SHUFFLES, CUTS, UNKNOWN_TLVS, ALERTS = "14", "15", "16", "08"


def numbers(behaviour: str, count: int) -> list[str]:
    """Return so many phones: every third is one that no text reaches."""
    return [f"91987654{n:03d}{behaviour}" for n in range(count)]


def outcome_of(number: str) -> Outcome:
    return Outcome.DELIVERED if int(number[-3]) % 3 else Outcome.NETWORK_TEMPORARY


@pytest.mark.parametrize(
    ("behaviour", "correlation"),
    [
        (HEX_THEN_DECIMAL, "hex_to_dec"),
        (DECIMAL_THEN_HEX, "dec_to_hex"),
        (HEX_THEN_DECIMAL, "auto"),
        (DECIMAL_THEN_HEX, "auto"),
    ],
)
async def test_receipt_in_another_base_finds_its_message(behaviour: str, correlation: str) -> None:
    async with npm_smsc() as peer, bound_route(port=peer.port, correlation=correlation) as carrier:
        refs = {await carrier.submit(number): outcome_of(number) for number in numbers(behaviour, 6)}
        receipts = [await carrier.receipt() for _ in refs]

    assert {receipt.carrier: receipt.outcome for receipt in receipts} == refs


@pytest.mark.parametrize(
    ("receipt", "outcome"),
    [
        ("id:{id} sub:1 dlvrd:1 submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DELIVRD err:000 text:x",
         Outcome.DELIVERED),
        ("id:{id} sub:001 dlvrd:001 submit date:9999999999 done date:000000000000 stat:DELIVRD err:000 text:",
         Outcome.DELIVERED),
        ("id:{id} submit date: done date:yesterday stat:EXPIRED err:0A1 Text:stat:DELIVRD", Outcome.EXPIRED),
        ("ID:{id} STAT:DELIVRD", Outcome.DELIVERED),
        ("stat:delivrd done_date:-1 id:{id}", Outcome.DELIVERED),
    ],
)  # fmt: skip
async def test_receipt_with_garbage_dates_and_odd_keys_is_understood(receipt: str, outcome: Outcome) -> None:
    async with npm_smsc(receipt=receipt) as peer, bound_route(port=peer.port) as carrier:
        ref = await carrier.submit(DELIVERED + AS_TOLD)
        told = await carrier.receipt()

    assert (told.carrier, told.outcome) == (ref, outcome)


async def test_shuffled_early_and_repeated_receipts_find_their_messages() -> None:
    phones = numbers(SHUFFLES, 10)
    told: dict[CarrierRef, list[Outcome]] = defaultdict(list)
    async with npm_smsc() as peer, bound_route(port=peer.port, window=10) as carrier:
        refs = await asyncio.gather(*(carrier.submit(number) for number in phones))
        for _ in range(2 * len(phones)):
            receipt = await carrier.receipt()
            told[receipt.carrier].append(receipt.outcome)

    assert told == {ref: [outcome_of(number)] * 2 for ref, number in zip(refs, phones, strict=True)}


async def test_burst_of_throttles_moves_messages_to_the_other_bind() -> None:
    phones = numbers(THROTTLES, 20)
    async with npm_smsc() as peer, bound_route(port=peer.port, binds=2) as carrier:
        await until_both_bound(carrier)
        refs = await asyncio.gather(*(carrier.submit(number) for number in phones))
        counts = carrier.route.counts

    assert len(set(refs)) == len(phones)
    assert 1 <= counts[Count.THROTTLED] <= 5
    assert counts[Count.MOVED] == counts[Count.THROTTLED]
    assert (counts[Count.ACCEPTED], counts[Count.REJECTED]) == (len(phones), 0)


async def submits(peer: NpmSmsc, count: int) -> Counter[str]:
    """Count the next submit_sm by their destinations."""
    seen: Counter[str] = Counter()
    while seen.total() < count:
        fact = await peer.said()
        if fact["command"] == "submit_sm":
            seen[fact["destination_addr"]] += 1
    return seen


async def test_cut_link_with_many_outstanding_loses_none_and_resends_those_alone() -> None:
    phones = numbers(CUTS, 20)
    async with npm_smsc() as peer, bound_route(port=peer.port, binds=2, window=20) as carrier:
        await until_both_bound(carrier)
        sending = asyncio.gather(*(carrier.submit(number) for number in phones))
        first = await submits(peer, len(phones))
        await sending
        counts = carrier.route.counts
        again = await submits(peer, counts[Count.RESUBMITTED])

    assert first == Counter(phones)
    assert 1 <= counts[Count.RESUBMITTED] < len(phones)
    assert set(again.values()) == {1}
    assert (counts[Count.ACCEPTED], counts[Count.UNAVAILABLE]) == (len(phones), 0)


async def test_cut_of_the_only_link_leaves_every_outcome_unknown_and_it_comes_back() -> None:
    phones = numbers(CUTS, 20)
    async with npm_smsc() as peer, bound_route(port=peer.port, window=20) as carrier:
        results = await asyncio.gather(*(carrier.submit(number) for number in phones), return_exceptions=True)
        await soon(carrier.route.wait_bound())
        after = await carrier.submit(phones[0])

    assert all(isinstance(result, CarrierUnavailable) and result.outcome_unknown for result in results)
    assert after.ref.startswith("kept")


@pytest.mark.parametrize("mute", ["bind", "enquire_link"])
async def test_carrier_that_never_answers_is_given_up_and_tried_again(mute: str) -> None:
    ends = Ends()
    patience = {"bind_timeout_s": 0.3, "enquire_link_s": 0.3}
    async with npm_smsc(mute=mute) as peer, esme(ends, peer.port, **patience):
        reasons = [await ends.until_state(BindState.DOWN) for _ in range(2)]

    assert len(set(reasons)) == 1
    assert mute in reasons[0]


async def test_unknown_tlvs_are_passed_over_and_the_operators_is_read() -> None:
    async with npm_smsc() as peer, bound_route(port=peer.port, operator_tags=[0x1503]) as carrier:
        ref = await carrier.submit(DELIVERED + UNKNOWN_TLVS)
        receipt = await carrier.receipt()

    assert (receipt.carrier, receipt.outcome, receipt.operator) == (ref, Outcome.DELIVERED, "40445")


async def test_alert_and_reply_reach_their_owners() -> None:
    number = DELIVERED + ALERTS
    async with npm_smsc() as peer, bound_route(port=peer.port) as carrier:
        await carrier.submit(number)
        alert = await soon(carrier.alerts.get())
        reply = await soon(carrier.replies.get())

    assert (alert, reply.msisdn, reply.kind) == ("+" + number, "+" + number, ReplyKind.STOP)


async def until_both_bound(carrier: BoundRoute) -> None:
    """Wait for the second bind, which comes a moment after the first."""

    def look() -> bool:
        return all(bind.state is BindState.BOUND for bind in carrier.route.binds())

    await asyncio.to_thread(until, look)
