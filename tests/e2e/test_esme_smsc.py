"""Our ESME against our simulated SMSC over real TCP: well-behaved, and with every fault."""

import asyncio
import socket
from typing import Any

import pytest

from dastak.core.errors import CarrierFull, CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.simulator.faults import Fault, IdForm
from dastak.simulator.smsc import Account
from dastak.sms.dlr import id_forms, is_receipt, normal_id
from dastak.sms.esme import DRAIN_S, Accepted, BindState, Esme
from dastak.sms.pdu import frame
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_codes import Command, Status, Tag
from dastak.sms.smpp_settings import BindKind
from dastak.sms.submission import SubmitResult
from tests.support.smpp_pair import Ends, esme, pair, smsc, soon, submission


def submit_all(client: Esme, count: int) -> list[asyncio.Future[SubmitResult]]:
    """Submit without waiting."""
    answers = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for n, answer in enumerate(answers):
        client.submit_nowait(submission(n), answer.set_result)
    return answers


async def told(answers: list[asyncio.Future[SubmitResult]]) -> list[SubmitResult]:
    return await soon(asyncio.gather(*answers))


def unknown(results: list[SubmitResult]) -> list[bool]:
    return [isinstance(result, CarrierUnavailable) and result.outcome_unknown for result in results]


async def test_text_reaches_the_phone_and_its_receipt_comes_back() -> None:
    async with pair() as (client, _, ends):
        accepted = await client.submit(submission(7, tlvs=((0x1400, b"1101234567890123456\0"),)))
        receipt = await ends.receipt()

    (message,) = ends.shown
    assert (message.msisdn, message.account, message.message_id) == (
        "+919876500007",
        "sim_1",
        accepted.message_id,
    )
    assert message.sm.tlvs == ((Tag.USER_MESSAGE_REFERENCE, b"\0\7"), (0x1400, b"1101234567890123456\0"))
    assert (message.sm.source_addr, message.sm.source_addr_ton) == ("DASTAK", 5)
    assert message.sm.validity_period == "000000000500000R"
    assert (receipt.message_id, receipt.outcome) == (accepted.message_id, Outcome.DELIVERED)
    assert receipt.user_message_reference == 7


async def test_long_text_travels_as_message_payload() -> None:
    async with pair() as (client, _, ends):
        await client.submit(submission(octets=b"x" * 300))

    assert ends.shown[0].sm.text_octets == b"x" * 300
    assert ends.shown[0].sm.short_message == b""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wrong"}, "ESME_RINVPASWD"),
        ({"system_id": "nobody"}, "ESME_RINVSYSID"),
        ({"password": "much longer than eight", "long_password": True}, "ESME_RINVPASWD"),
    ],
)
async def test_refused_credentials_are_seen_with_their_reason(changes: dict[str, Any], reason: str) -> None:
    ends = Ends()
    async with smsc(ends) as carrier, esme(ends, carrier.port, **changes) as client:
        assert await ends.until_state(BindState.REFUSED) == reason
        with pytest.raises(CarrierUnavailable) as down:
            await client.submit(submission())

    assert not down.value.outcome_unknown
    assert reason in down.value.detail


async def test_one_bind_too_many_is_refused() -> None:
    ends, late = Ends(), Ends()
    accounts = [Account(system_id="sim_1", password="secret", binds_max=1)]
    async with smsc(ends, accounts=accounts) as carrier, esme(ends, carrier.port) as client:
        await soon(client.wait_bound())
        async with esme(late, carrier.port):
            assert await late.until_state(BindState.REFUSED) == "ESME_RBINDFAIL"


@pytest.mark.parametrize(
    ("status", "state"),
    [(Status.ESME_RBINDFAIL, BindState.DOWN), (Status.ESME_RINVPASWD, BindState.REFUSED)],
)
async def test_one_bind_too_many_is_no_refusal_of_credentials_that_were_good(
    monkeypatch: pytest.MonkeyPatch, status: Status, state: BindState
) -> None:
    async with pair() as (client, carrier, ends):
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(carrier, "admit", lambda _bind: status)
            carrier.drop_links()
            while await ends.until_state(state) != status.name:
                pass
        if state is BindState.DOWN:
            await ends.until_state(BindState.BOUND)
            assert isinstance(await client.submit(submission()), Accepted)


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (Fault(throttle=1.0), "ESME_RTHROTTLED", Outcome.THROTTLED),
        (Fault(status=0x412), "0x00000412", Outcome.NETWORK_TEMPORARY),
        (Fault(status=Status.ESME_RMISSINGOPTPARAM), "ESME_RMISSINGOPTPARAM", Outcome.ROUTE_CONFIG),
    ],
)
async def test_refusal_carries_status_and_outcome(fault: Fault, status: str, outcome: Outcome) -> None:
    async with pair(fault) as (client, _, ends):
        with pytest.raises(CarrierRejected) as rejected:
            await client.submit(submission())
        again = await told(submit_all(client, 1))

    assert (rejected.value.status, rejected.value.outcome) == (status, outcome)
    assert all(isinstance(result, CarrierRejected | CarrierFull) for result in again)
    assert ends.shown == []


async def test_message_that_cannot_be_written_is_rejected_before_it_is_sent() -> None:
    async with pair() as (client, _, _):
        with pytest.raises(CarrierRejected) as rejected:
            await client.submit(submission(sender="longer than twenty characters"))

    assert rejected.value.outcome is Outcome.ROUTE_CONFIG


async def test_link_cut_with_full_window_leaves_every_outcome_unknown_and_no_room_lost() -> None:
    async with pair(Fault(silent=1.0), window=50, response_timeout_s=30.0) as (client, carrier, ends):
        answers = submit_all(client, 60)
        assert client.in_flight == 60
        carrier.drop_links()

        assert unknown(await told(answers)) == [True] * 50 + [False] * 10
        assert client.in_flight == 0

        carrier.faults.faults = ()
        await ends.until_state(BindState.BOUND)
        again = await told(submit_all(client, 60))
        assert all(isinstance(result, Accepted) for result in again)
        assert client.in_flight == 0


async def test_link_dropped_by_one_message_spoils_no_later_one() -> None:
    async with pair(Fault(number="*00003", drop_link=1.0), window=5) as (client, _, ends):
        results = await told(submit_all(client, 5))
        await ends.until_state(BindState.BOUND)
        assert isinstance(await client.submit(submission(9)), Accepted)

    assert unknown(results)[3]


async def test_silence_is_an_unknown_outcome_and_frees_its_room() -> None:
    async with pair(Fault(number="*00000", silent=1.0), window=1, response_timeout_s=0.2) as (client, _, _):
        with pytest.raises(CarrierUnavailable) as unavailable:
            await client.submit(submission(0))
        accepted = await client.submit(submission(1))

    assert unavailable.value.outcome_unknown
    assert accepted.message_id


async def test_message_that_found_no_room_in_time_was_never_sent() -> None:
    async with pair(Fault(silent=1.0), window=1, response_timeout_s=0.2) as (client, _, ends):
        results = await told(submit_all(client, 3))

    assert unknown(results) in (
        [True, False, False],
        [True, True, False],  # room came in the tick in which the second one's time was up
    )
    assert ends.shown == []


async def test_full_queue_refuses_at_once() -> None:
    async with pair(Fault(silent=1.0), window=1, queue_max=1, response_timeout_s=0.2) as (client, _, _):
        submit_all(client, 2)

        with pytest.raises(CarrierUnavailable, match="full"):
            client.submit_nowait(submission(), lambda _: None)


async def test_black_hole_is_found_by_enquire_link() -> None:
    fault = Fault(blackhole=1.0)
    async with pair(fault, enquire_link_s=0.2, response_timeout_s=30.0) as (client, carrier, ends):
        answers = submit_all(client, 1)

        assert await ends.until_state(BindState.DOWN) == "no answer to enquire_link"
        assert unknown(await told(answers)) == [True]
        carrier.faults.faults = ()
        await ends.until_state(BindState.BOUND)
        assert isinstance(await client.submit(submission(1)), Accepted)
        assert carrier.binds("sim_1") == 1  # the dead bind is not counted


async def test_receipt_may_come_before_the_answer() -> None:
    order: list[str] = []
    ends = Ends()
    async with smsc(ends, Fault(receipt_first=True)) as carrier:
        client = esme(ends, carrier.port)
        client._on_deliver = lambda delivery: (order.append("receipt"), ends.deliveries.put_nowait(delivery))
        async with client:
            await soon(client.wait_bound())
            answer = asyncio.get_running_loop().create_future()
            client.submit_nowait(submission(), lambda r: (order.append("answer"), answer.set_result(r)))
            await ends.receipt()
            await soon(answer)

    assert order == ["receipt", "answer"]


async def test_receipts_come_doubled_and_overtake_each_other() -> None:
    async with pair(Fault(duplicates=4, shuffle_s=0.3), window=20) as (client, _, ends):
        accepted = [await client.submit(submission(n)) for n in range(10)]
        seen = [(await ends.receipt()).message_id for _ in range(50)]

    sent = [a.message_id for a in accepted]
    assert {m: seen.count(m) for m in sent} == dict.fromkeys(sent, 5)
    assert seen != sorted(seen)


async def test_early_receipt_does_not_wait_for_a_late_one() -> None:
    late, early = Fault(number="*00000", receipt=3600.0), Fault(receipt=0.05)
    async with pair(late, early) as (client, _, ends):
        await client.submit(submission(0))
        accepted = await client.submit(submission(1))

        assert (await ends.receipt()).message_id == accepted.message_id


async def test_messages_wait_while_the_carrier_does_not_listen() -> None:
    async with pair(window=5) as (client, _, _):
        assert client._link is not None
        client._link.pause_writing()
        answers = submit_all(client, 3)
        assert client._link.session.room == 5
        client._link.resume_writing()

        assert all(isinstance(result, Accepted) for result in await told(answers))


@pytest.mark.parametrize(
    ("response_id", "receipt_id"),
    [
        (IdForm.HEXADECIMAL, IdForm.DECIMAL),
        (IdForm.DECIMAL, IdForm.HEXADECIMAL),
        (IdForm.USELESS, IdForm.USELESS),
    ],
)
async def test_receipt_finds_its_message_in_another_base(response_id: IdForm, receipt_id: IdForm) -> None:
    async with pair(Fault(response_id=response_id, receipt_id=receipt_id)) as (client, _, ends):
        accepted = await client.submit(submission())
        receipt = await ends.receipt()

    assert normal_id(accepted.message_id) in id_forms(receipt.message_id)


async def test_false_receipt_tells_of_a_text_nobody_got() -> None:
    async with pair(Fault(false_receipt=1.0)) as (client, _, ends):
        await client.submit(submission())
        receipt = await ends.receipt()

    assert receipt.outcome is Outcome.DELIVERED
    assert ends.shown == []


async def test_receipts_wait_for_the_next_bind() -> None:
    async with pair(Fault(receipt=0.2)) as (client, carrier, ends):
        accepted = await client.submit(submission())
        await client.__aexit__(None, None, None)
        assert carrier.binds("sim_1") == 0
        async with esme(ends, carrier.port):
            receipt = await ends.receipt()

    assert receipt.message_id == accepted.message_id


async def test_receipt_comes_again_until_it_is_acknowledged() -> None:
    async with pair() as (client, carrier, ends):
        await client.submit(submission())
        first = await ends.delivery()
        carrier.drop_links()
        await ends.until_state(BindState.BOUND)
        second = await ends.delivery()
        first.acknowledge(0)  # too late, and without harm to the new link
        second.acknowledge(Status.ESME_RX_T_APPN)
        third = await ends.delivery()
        third.acknowledge(0)
        third.acknowledge(0)

    assert first.sm == second.sm == third.sm


async def test_more_receipts_than_can_be_kept_are_refused_and_come_again() -> None:
    async with pair(inbound_max=2) as (client, _, ends):
        for n in range(3):
            await client.submit(submission(n))
        for early in [await ends.delivery() for _ in range(2)]:
            early.acknowledge(0)

        assert (await ends.receipt()).outcome is Outcome.DELIVERED


async def test_phone_that_is_back_and_text_from_a_phone_are_told() -> None:
    async with pair() as (_, carrier, ends):
        carrier.send_alert("sim_1", "+919876543210")
        alert = await soon(ends.alerts.get())
        carrier.send_text(
            "sim_1", Sm(source_addr="919876543210", destination_addr="56161", short_message=b"STOP")
        )
        delivery = await ends.delivery()
        delivery.acknowledge(0)

    assert alert.source_addr == "919876543210"
    assert not is_receipt(delivery.sm.esm_class)
    assert delivery.sm.short_message == b"STOP"


async def test_stop_lets_what_is_under_way_end_and_unbinds() -> None:
    async with pair(Fault(response=0.2), window=5) as (client, carrier, _):
        answers = submit_all(client, 12)
        await client.__aexit__(None, None, None)

        assert all(isinstance(answer.result(), Accepted) for answer in answers)
        assert carrier.binds("sim_1") == 0
        assert client.reason == "unbound"
        with pytest.raises(CarrierUnavailable):
            client.submit_nowait(submission(), lambda _: None)


async def test_stop_does_not_wait_for_a_link_that_is_lost() -> None:
    async with pair(Fault(silent=1.0), response_timeout_s=60.0) as (client, carrier, _):
        answers = submit_all(client, 3)
        carrier.drop_links()
        async with asyncio.timeout(DRAIN_S / 2):
            await client.__aexit__(None, None, None)

    assert unknown(await told(answers)) == [True] * 3


async def test_transmitter_sends_and_receiver_hears() -> None:
    sending, hearing = Ends(), Ends()
    async with (
        smsc(sending) as carrier,
        esme(sending, carrier.port, bind_kind=BindKind.TRANSMITTER) as transmitter,
        esme(hearing, carrier.port, bind_kind=BindKind.RECEIVER) as receiver,
    ):
        await soon(transmitter.wait_bound())
        await soon(receiver.wait_bound())
        accepted = await transmitter.submit(submission())
        receipt = await hearing.receipt()
        with pytest.raises(CarrierUnavailable):
            await receiver.submit(submission())

    assert receipt.message_id == accepted.message_id
    assert sending.deliveries.empty()


async def test_esme_comes_up_when_the_carrier_does() -> None:
    ends = Ends()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    async with esme(ends, port) as client:
        assert "cannot connect" in await ends.until_state(BindState.DOWN)
        async with smsc(ends, port=port):
            await soon(client.wait_bound())


async def test_rate_of_the_account_is_kept_by_the_rate_of_the_bind() -> None:
    ends = Ends()
    accounts = [Account(system_id="sim_1", password="secret", rate_per_s=100.0)]
    async with (
        smsc(ends, accounts=accounts) as carrier,
        esme(ends, carrier.port, rate_per_s=50.0, response_timeout_s=5.0) as client,
    ):
        await soon(client.wait_bound())
        # As many at once as a bind keeps in hand at this rate.
        results = [result for _ in range(3) for result in await told(submit_all(client, 12))]

    assert all(isinstance(result, Accepted) for result in results)


async def test_throttled_bind_puts_out_at_once_what_would_wait() -> None:
    ends = Ends()
    accounts = [Account(system_id="sim_1", password="secret", rate_per_s=10.0)]
    async with smsc(ends, accounts=accounts) as carrier, esme(ends, carrier.port, window=20) as client:
        await soon(client.wait_bound())
        results = await told(submit_all(client, 100))
        room = client.in_flight_max

    # Twenty were sent before the first answer; of those behind them nearly all were told to go elsewhere.
    assert sum(isinstance(result, CarrierFull) for result in results) >= 70
    assert len(ends.shown) == sum(isinstance(result, Accepted) for result in results)
    assert 1 <= room < 20


async def test_account_that_sends_too_fast_is_throttled() -> None:
    ends = Ends()
    accounts = [Account(system_id="sim_1", password="secret", rate_per_s=10.0)]
    async with smsc(ends, accounts=accounts) as carrier, esme(ends, carrier.port, window=50) as client:
        await soon(client.wait_bound())
        results = await told(submit_all(client, 50))

    throttled = [r for r in results if isinstance(r, CarrierRejected) and r.status == "ESME_RTHROTTLED"]
    assert len(throttled) >= 40
    assert len(ends.shown) == 50 - len(throttled)


async def test_thousand_messages_are_each_told_once() -> None:
    async with pair(window=50) as (client, _, ends):
        results = await told(submit_all(client, 1000))
        receipts = [await ends.receipt() for _ in range(1000)]

    ids = [result.message_id for result in results if isinstance(result, Accepted)]
    assert len(set(ids)) == 1000
    assert {receipt.message_id for receipt in receipts} == set(ids)
    assert len(ends.shown) == 1000


async def test_same_script_and_seed_give_the_same_events() -> None:
    fault = Fault(throttle=0.3, loss=0.2, missing_receipt=0.2, duplicates=1)

    async def run(seed: int) -> list[tuple[str, str]]:
        ends, log = Ends(), []
        # With a rate of its own the bind does not slow down when it is throttled.
        async with (
            smsc(ends, fault, seed=seed) as carrier,
            esme(ends, carrier.port, rate_per_s=1000) as client,
        ):
            await soon(client.wait_bound())
            for n in range(60):
                try:
                    await client.submit(submission(n))
                except CarrierRejected as rejected:
                    log.append(("rejected", rejected.status))
            # Receipts come in order: the one of a last text that nothing befalls ends the run.
            carrier.faults.faults = ()
            await client.submit(submission(60))
            last = submission(60).destination.removeprefix("+")
            while log[-1:] != [("receipt", last)]:
                log.append(("receipt", (await soon(ends.deliveries.get())).sm.source_addr))
        return log + [("shown", message.msisdn) for message in ends.shown]

    assert await run(5) == await run(5)
    assert await run(5) != await run(6)


async def exchange(port: int, octets: bytes) -> bytes:
    """Say something to a server as a stranger, and return all it says until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await soon(reader.read())
    finally:
        writer.close()


async def test_stranger_is_cut_off_for_a_length_that_cannot_be() -> None:
    async with smsc(Ends()) as carrier:
        assert await exchange(carrier.port, b"\xff\xff\xff\xff") == b""


async def test_stranger_that_does_not_bind_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.simulator.smsc.BIND_TIMEOUT_S", 0.2)
    async with smsc(Ends()) as carrier:
        answer = await exchange(carrier.port, frame(Command.SUBMIT_SM, 0, 5, b""))

    assert answer == frame(Command.SUBMIT_SM_RESP, Status.ESME_RINVBNDSTS, 5)


async def test_one_connection_too_many_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.simulator.smsc.CONNECTIONS_MAX", 0)
    async with smsc(Ends()) as carrier:
        assert await exchange(carrier.port, b"") == b""
