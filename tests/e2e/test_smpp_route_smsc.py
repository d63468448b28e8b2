"""A whole route against our simulated SMSC: the ref it stores with a message finds any carrier's receipts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dastak.core.errors import CarrierRejected
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.simulator.faults import Echo, Fault, IdForm
from dastak.simulator.smsc import Smsc
from dastak.sms.bind_group import WATCHED_MAX, Count
from dastak.sms.coded_text import TextOptions, write_text
from dastak.sms.correlation import Correlation
from dastak.sms.esme import BindState
from dastak.sms.pdu_bodies import Sm
from dastak.sms.pdu_words import Seen
from dastak.sms.replies import Reply, ReplyKind
from dastak.sms.smpp_codes import Tag
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import EsmMode, SmppSettings
from dastak.sms.vendor_tlvs import VendorTlv
from tests.support.smpp_pair import WAIT_S, Ends, smsc, soon

SHORT = "123456 is your Acme code."
LONG = "123456 is your Acme code. " * 12


class Desk:
    """Takes receipts, acknowledges them, and keeps them."""

    def __init__(self) -> None:
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue()

    def take(self, receipt: Receipt, acknowledge: Any) -> None:
        acknowledge(True)
        self.receipts.put_nowait(receipt)

    async def receipt(self) -> Receipt:
        return await soon(self.receipts.get())


def outgoing(n: int, text: str = SHORT, **changes: Any) -> Outgoing:
    key = MessageKey(VerificationId(n.to_bytes(2, "big") + bytes(14)), 0)
    return Outgoing(key, Msisdn(f"+9198765{n:05d}"), text, "ACMEOT", 299, **changes)


@asynccontextmanager
async def routed(*faults: Fault, **changes: Any) -> AsyncIterator[tuple[SmppRoute, Desk, Ends, Smsc]]:
    ends, desk = Ends(), Desk()
    async with smsc(ends, *faults) as carrier:
        wanted = {"host": "127.0.0.1", "port": carrier.port, "system_id": "sim_1", "password": "secret"}
        async with SmppRoute("r", SmppSettings(**(wanted | changes)), desk.take) as route:
            await soon(route.wait_bound())
            yield route, desk, ends, carrier


async def until_bound(route: SmppRoute, count: int) -> None:
    """Wait for a count of binds: each is told to the log of the route alone."""
    told = asyncio.Event()
    heard = route._group._on_state
    assert heard is not None

    def on_state(name: str, state: BindState, reason: str) -> None:
        heard(name, state, reason)
        told.set()

    route._group._on_state = on_state
    async with asyncio.timeout(WAIT_S):
        while sum(bind.state is BindState.BOUND for bind in route.binds()) < count:
            await told.wait()
            told.clear()


def refs(receipt: Receipt) -> tuple[CarrierRef, ...]:
    return (receipt.carrier, *receipt.alternatives)


HEX, DEC, USELESS = IdForm.HEXADECIMAL, IdForm.DECIMAL, IdForm.USELESS


@pytest.mark.parametrize(
    ("strategy", "fault"),
    [
        (Correlation.AUTO, Fault(response_id=HEX, receipt_id=HEX)),
        (Correlation.AUTO, Fault(response_id=HEX, receipt_id=DEC)),
        (Correlation.AUTO, Fault(response_id=DEC, receipt_id=HEX)),
        # OsmoMSC: no id in the answer, an unrelated one in the receipt, 8 bits of the reference.
        (
            Correlation.AUTO,
            Fault(response_id=USELESS, receipt_id=DEC, reference=Echo.LOW, literal_dates=True),
        ),
        (Correlation.MESSAGE_ID, Fault(response_id=HEX, receipt_id=HEX)),
        (Correlation.NORMALISED, Fault(response_id=DEC, receipt_id=DEC)),
        (Correlation.HEX_TO_DEC, Fault(response_id=HEX, receipt_id=DEC)),
        (Correlation.DEC_TO_HEX, Fault(response_id=DEC, receipt_id=HEX)),
        (Correlation.REFERENCE, Fault(response_id=USELESS, receipt_id=DEC)),
        (Correlation.REFERENCE_LOW, Fault(response_id=USELESS, receipt_id=USELESS, reference=Echo.LOW)),
        (Correlation.ADDRESSES, Fault(response_id=USELESS, receipt_id=USELESS, reference=Echo.NONE)),
    ],
)
async def test_receipt_finds_its_message(strategy: Correlation, fault: Fault) -> None:
    late = Fault(**{name: getattr(fault, name) for name in Fault.__struct_fields__} | {"receipt": 0.05})
    async with routed(late, correlation=strategy) as (route, desk, _, _):
        stored = {await route.submit(outgoing(n)) for n in range(5)}
        receipts = [await desk.receipt() for _ in range(5)]

    assert len(stored) == 5
    assert {receipt.carrier for receipt in receipts} == stored
    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}


async def test_receipt_that_overtakes_the_answer_names_the_message_among_its_candidates() -> None:
    async with routed(Fault(receipt_first=True, receipt_id=DEC)) as (route, desk, _, _):
        stored = await route.submit(outgoing(1))
        receipt = await desk.receipt()

    assert stored in refs(receipt)


@pytest.mark.parametrize("strategy", [Correlation.AUTO, Correlation.REFERENCE, Correlation.ADDRESSES])
@pytest.mark.parametrize("first", [True, False])
async def test_long_text_is_delivered_when_all_its_parts_are(strategy: Correlation, first: bool) -> None:
    fault = Fault(receipt_first=first, shuffle_s=0.0 if first else 0.1)
    async with routed(fault, correlation=strategy) as (route, desk, ends, _):
        stored = await route.submit(outgoing(1, LONG))
        receipts = [await desk.receipt() for _ in range(3)]

    assert len(ends.shown) == 3
    assert [receipt.carrier for receipt in receipts] == [stored] * 3
    assert [receipt.outcome for receipt in receipts] == [Outcome.ENROUTE, Outcome.ENROUTE, Outcome.DELIVERED]
    assert receipts[0].evidence.startswith("stat:DELIVRD part:")


async def test_long_text_is_undelivered_when_one_part_is() -> None:
    async with routed(Fault(stat="UNDELIV", err="027", duplicates=1)) as (route, desk, _, _):
        stored = await route.submit(outgoing(1, LONG))
        receipts = [await desk.receipt() for _ in range(6)]

    assert {(receipt.carrier, receipt.outcome) for receipt in receipts} == {
        (stored, Outcome.ABSENT_SUBSCRIBER)
    }


async def test_codes_of_the_route_go_before_the_hints() -> None:
    outcomes = {"UNDELIV:027": Outcome.HANDSET_OFF}
    async with routed(Fault(stat="UNDELIV", err="027"), receipt_outcomes=outcomes) as (route, desk, _, _):
        await route.submit(outgoing(1))

        assert (await desk.receipt()).outcome is Outcome.HANDSET_OFF


async def test_receipt_that_nobody_took_comes_again() -> None:
    async with routed() as (route, desk, _, _):
        answers = iter([False, True])
        route._inbound._take_receipt = lambda receipt, acknowledge: (
            acknowledge(next(answers)),
            desk.receipts.put_nowait(receipt),
        )
        await route.submit(outgoing(1))

        assert (await desk.receipt()).carrier == (await desk.receipt()).carrier


async def test_tlvs_of_the_carrier_are_filled_from_the_message() -> None:
    wanted = (
        VendorTlv(tag=0x1400, value="{pe_id}"),
        VendorTlv(tag=0x1401, value="{template_id}", final_nul=True),
    )
    async with routed(tlvs=wanted) as (route, _, ends, _):
        await route.submit(outgoing(1, dlt={"pe_id": "1101172974420810001", "template_id": "110716"}))
        await route.submit(outgoing(2))

    assert ends.shown[0].sm.tlvs[1:] == ((0x1400, b"1101172974420810001"), (0x1401, b"110716\0"))
    assert [tag for tag, _ in ends.shown[1].sm.tlvs] == [Tag.USER_MESSAGE_REFERENCE]


async def test_status_of_the_vendor_means_what_the_route_says() -> None:
    outcomes = {"0x412": Outcome.DLT_TEMPLATE}
    async with routed(Fault(status=0x412), status_outcomes=outcomes) as (route, _, _, _):
        with pytest.raises(CarrierRejected) as rejected:
            await route.submit(outgoing(1))

    assert (rejected.value.status, rejected.value.outcome) == ("0x00000412", Outcome.DLT_TEMPLATE)


async def test_vendors_own_throttling_goes_to_another_bind_and_slows_down() -> None:
    settings = {"status_outcomes": {"0x413": Outcome.THROTTLED}, "binds": 2}
    async with routed(Fault(status=0x413), **settings) as (route, _, _, _):
        await until_bound(route, 2)
        with pytest.raises(CarrierRejected):
            await route.submit(outgoing(1))
        rates = [bind.rate_per_s for bind in route.binds()]

    assert route.counts[Count.THROTTLED] == 2
    assert rates == [1.0, 1.0]


class Answers:
    """Takes replies and says of each whether it is durable."""

    def __init__(self, *durable: bool) -> None:
        self.durable = iter(durable)
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()
        self.alerts: asyncio.Queue[str] = asyncio.Queue()

    def take(self, reply: Reply, acknowledge: Any) -> None:
        acknowledge(next(self.durable))
        self.replies.put_nowait(reply)


@asynccontextmanager
async def answering(answers: Answers) -> AsyncIterator[Smsc]:
    async with smsc(Ends()) as carrier:
        settings = SmppSettings(host="127.0.0.1", port=carrier.port, system_id="sim_1", password="secret")
        route = SmppRoute(
            "r", settings, Desk().take, take_reply=answers.take, on_alert=answers.alerts.put_nowait
        )
        async with route:
            await soon(route.wait_bound())
            yield carrier


async def test_reply_comes_again_until_it_is_durable() -> None:
    answers = Answers(False, True)
    text = Sm(source_addr="919876543210", source_addr_ton=1, destination_addr="56161", short_message=b"STOP")
    async with answering(answers) as carrier:
        carrier.send_text("sim_1", text)
        first, second = [await soon(answers.replies.get()) for _ in range(2)]

    assert first == second
    assert (first.kind, first.msisdn, first.to) == (ReplyKind.STOP, "+919876543210", "56161")


async def test_long_reply_is_acknowledged_when_all_of_it_is_there() -> None:
    answers = Answers(True)
    written = write_text("बंद करो " * 20, TextOptions(), reference=9)
    async with answering(answers) as carrier:
        for part in written.parts:
            sm = Sm(
                source_addr="919876543210",
                source_addr_ton=1,
                destination_addr="56161",
                short_message=part.octets,
                esm_class=part.esm_class,
                data_coding=written.data_coding,
            )
            carrier.send_text("sim_1", sm)
        reply = await soon(answers.replies.get())

    assert len(written.parts) > 1
    assert reply.text_masked == ("बंद करो " * 20)[:160]


async def test_phone_that_is_back_is_told_by_its_number() -> None:
    answers = Answers()
    async with answering(answers) as carrier:
        carrier.send_alert("sim_1", "+919876543210")

        assert await soon(answers.alerts.get()) == "+919876543210"


async def test_watch_shows_a_message_from_bind_to_receipt_without_its_secrets() -> None:
    desk, seen = Desk(), asyncio.Queue[Seen]()
    async with smsc(Ends()) as carrier:
        settings = SmppSettings(host="127.0.0.1", port=carrier.port, system_id="sim_1", password="secret")
        route = SmppRoute("r", settings, desk.take)
        end = route.watch(seen.put_nowait)
        async with route:
            await soon(route.wait_bound())
            await route.submit(outgoing(1))
            await desk.receipt()
            shown = [await soon(seen.get()) for _ in range(6)]
            end()
            await route.submit(outgoing(2))
            await desk.receipt()

    assert [(pdu.sent, pdu.command, pdu.bind) for pdu in shown] == [
        (True, "bind_transceiver", "1"),
        (False, "bind_transceiver_resp", "1"),
        (True, "submit_sm", "1"),
        (False, "submit_sm_resp", "1"),
        (False, "deliver_sm", "1"),
        (True, "deliver_sm_resp", "1"),
    ]
    assert [pdu.at_ms for pdu in shown] == sorted(pdu.at_ms for pdu in shown)
    words = "\n".join(pdu.words for pdu in shown)
    assert "secret" not in words
    assert "123456" not in words
    assert "98765" not in words
    assert seen.empty()


async def test_watch_ends_by_itself() -> None:
    seen: list[Seen] = []
    async with routed() as (route, desk, _, _):
        route.watch(seen.append)
        for n in range(WATCHED_MAX // 4 + 5):
            await route.submit(outgoing(n))
            await desk.receipt()

    assert len(seen) == WATCHED_MAX


@pytest.mark.parametrize("text", [SHORT, LONG])
async def test_answer_in_forward_mode_is_the_receipt(text: str) -> None:
    settings = {"esm_mode": EsmMode.FORWARD, "answer_delivers": True, "registered_delivery": 0}
    async with routed(**settings) as (route, desk, ends, _):
        stored = await route.submit(outgoing(1, text))
        receipt = await desk.receipt()

    assert receipt == Receipt(stored, Outcome.DELIVERED, "submit_sm_resp:ESME_ROK")
    assert {message.sm.esm_class & 3 for message in ends.shown} == {2}
    assert desk.receipts.empty()
