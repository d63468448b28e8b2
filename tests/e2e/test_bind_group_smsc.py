"""Several binds to our simulated SMSC over real TCP: spread, lost one by one, and drained."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.simulator.faults import USUAL, Answer, Fate, Fault, FaultScript
from dastak.simulator.smsc import Account, Smsc
from dastak.sms.bind_group import BindGroup, Count
from dastak.sms.esme import BindState
from dastak.sms.smpp_settings import BindKind, SmppSettings
from dastak.sms.submission import Accepted, SubmitResult
from tests.support.smpp_pair import Ends, smsc, soon, submission


class FirstInBlackHole(FaultScript):
    """The first message freezes its link; all others do well."""

    def fate_of(self, msisdn: str, account: str) -> Fate:
        del msisdn, account
        self.seen = getattr(self, "seen", 0) + 1
        return Fate(answer=Answer.BLACKHOLE) if self.seen == 1 else USUAL


@asynccontextmanager
async def bound(ends: Ends, carrier: Smsc, **changes: Any) -> AsyncIterator[BindGroup]:
    """Run a group and wait until all of its binds are up."""
    wanted = {"host": "127.0.0.1", "port": carrier.port, "system_id": "sim_1", "password": "secret"}
    settings = SmppSettings(**(wanted | changes))
    group = BindGroup(
        settings,
        on_deliver=ends.deliveries.put_nowait,
        on_state=lambda name, state, reason: ends.on_state(state, reason),
    )
    async with group:
        for _ in group.binds():
            await ends.until_state(BindState.BOUND)
        yield group


def submit_all(group: BindGroup, count: int) -> list[asyncio.Future[SubmitResult]]:
    answers = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for n, answer in enumerate(answers):
        group.submit_nowait(submission(n), answer.set_result)
    return answers


async def told(answers: list[asyncio.Future[SubmitResult]]) -> list[SubmitResult]:
    return await soon(asyncio.gather(*answers))


async def test_all_binds_carry_messages_and_receipts() -> None:
    ends = Ends()
    async with smsc(ends) as carrier, bound(ends, carrier, binds=3, window=4) as group:
        assert carrier.binds("sim_1") == 3
        answers = submit_all(group, 12)
        assert [bind.in_flight for bind in group.binds()] == [4, 4, 4]

        results = await told(answers)
        receipts = {(await ends.receipt()).message_id for _ in range(12)}

    assert receipts == {result.message_id for result in results if isinstance(result, Accepted)}
    assert len(receipts) == 12


async def test_pairs_send_on_one_half_and_hear_on_the_other() -> None:
    ends = Ends()
    async with (
        smsc(ends) as carrier,
        bound(ends, carrier, binds=2, bind_kind=BindKind.PAIR) as group,
    ):
        assert carrier.binds("sim_1") == 4
        assert group.in_flight_max == 2 * 2 * 10  # of the halves that send
        (accepted,) = await told(submit_all(group, 1))

        assert isinstance(accepted, Accepted)
        assert (await ends.receipt()).message_id == accepted.message_id


async def test_lost_bind_hands_everything_to_the_other_and_loses_nothing() -> None:
    ends = Ends()
    slow = Fault(response=0.3)
    async with (
        smsc(ends, slow) as carrier,
        bound(ends, carrier, binds=2, window=10, response_timeout_s=10.0) as group,
    ):
        answers = submit_all(group, 30)  # ten sent and five waiting on each
        carrier.drop_links(1)
        results = await told(answers)

        assert all(isinstance(result, Accepted) for result in results)
        assert (group.counts[Count.MOVED], group.counts[Count.RESUBMITTED]) == (5, 10)
        assert group.available
        await ends.until_state(BindState.BOUND)
        assert group.reason == "2 of 2 binds are up"


async def test_black_hole_on_one_bind_is_found_and_its_messages_sent_again() -> None:
    ends = Ends()
    async with (
        smsc(ends, faults=FirstInBlackHole(Random(1))) as carrier,
        bound(ends, carrier, binds=2, window=10, response_timeout_s=30.0, enquire_link_s=0.2) as group,
    ):
        (result,) = await told(submit_all(group, 1))

    assert isinstance(result, Accepted)
    assert group.counts[Count.RESUBMITTED] == 1


async def test_bind_that_does_not_answer_gets_no_more_messages_while_another_does() -> None:
    ends = Ends()
    async with (
        smsc(ends, faults=FirstInBlackHole(Random(1))) as carrier,
        bound(ends, carrier, binds=2, window=10, response_timeout_s=0.2, enquire_link_s=30.0) as group,
    ):
        (lost,) = await told(submit_all(group, 1))
        results = [(await told(submit_all(group, 1)))[0] for _ in range(6)]

    assert isinstance(lost, CarrierUnavailable)
    assert lost.outcome_unknown
    assert all(isinstance(result, Accepted) for result in results)


async def test_full_queue_at_the_carrier_is_tried_on_every_bind() -> None:
    ends = Ends()
    async with (
        smsc(ends, Fault(throttle=1.0)) as carrier,
        bound(ends, carrier, binds=3) as group,
    ):
        (result,) = await told(submit_all(group, 1))

    assert isinstance(result, CarrierRejected)
    assert result.status == "ESME_RTHROTTLED"
    assert group.counts[Count.THROTTLED] == 3


async def test_stop_drains_all_binds_at_once() -> None:
    ends = Ends()
    async with (
        smsc(ends, Fault(response=0.2)) as carrier,
        bound(ends, carrier, binds=3, window=2) as group,
    ):
        answers = submit_all(group, 12)
        await group.__aexit__(None, None, None)

        assert all(isinstance(answer.result(), Accepted) for answer in answers)
        assert carrier.binds("sim_1") == 0
        assert not group.available


async def test_binds_that_an_account_may_not_have_leave_the_others_working() -> None:
    ends = Ends()
    accounts = [Account(system_id="sim_1", password="secret", binds_max=1)]
    async with smsc(ends, accounts=accounts) as carrier:
        wanted = {"host": "127.0.0.1", "port": carrier.port, "system_id": "sim_1", "password": "secret"}
        group = BindGroup(
            SmppSettings(**wanted, binds=2),
            on_deliver=ends.deliveries.put_nowait,
            on_state=lambda name, state, reason: ends.on_state(state, reason),
        )
        async with group:
            await ends.until_state(BindState.REFUSED)
            (accepted,) = await told(submit_all(group, 1))
            reason = group.reason

    assert isinstance(accepted, Accepted)
    assert reason == "1 of 2 binds are up; 2: ESME_RBINDFAIL"


async def test_binds_that_die_under_load_lose_nothing_and_double_only_what_was_in_doubt() -> None:
    ends = Ends()
    slow = Fault(response=0.02)
    async with (
        smsc(ends, slow) as carrier,
        bound(ends, carrier, binds=3, window=20, queue_max=2000, response_timeout_s=20.0) as group,
    ):
        answers = []
        for wave in range(6):
            answers += submit_all(group, 200)
            await soon(answers[200 * wave + 20])  # the wave is under way
            carrier.drop_links(1)
            if wave:
                await ends.until_state(BindState.BOUND)
        results = await told(answers)

    copies = Counter(message.msisdn for message in ends.shown)
    assert [result for result in results if not isinstance(result, Accepted)] == []
    assert len(results) == 1200
    assert set(copies) == {submission(n).destination for n in range(200)}
    doubled = sum(copies.values()) - 1200
    assert 0 <= doubled <= group.counts[Count.RESUBMITTED]
    assert group.counts[Count.RESUBMITTED] <= 6 * 20
    assert group.counts[Count.ACCEPTED] == group.counts[Count.SUBMITTED] == 1200
