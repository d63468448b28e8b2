"""Both our sides against another author's session (smpp34): binds, texts, receipts and their answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import smpp34

from bench.processes import free_port
from dastak.core.errors import CarrierRejected
from dastak.core.outcome import Outcome
from dastak.simulator.faults import Fault
from dastak.sms.dlr import is_receipt
from dastak.sms.esme import BindState
from dastak.sms.smpp_codes import Command, Status, Tag
from tests.support.smpp_pair import Ends, esme, smsc, soon, submission

VENDOR_TLV = (0x1400, b"\x00\xff1101234567890123456\x00")


@asynccontextmanager
async def their_client(port: int, bind_type: str = "TRX") -> AsyncIterator[smpp34.Smsc]:
    client = smpp34.Client("127.0.0.1", port, "sim_1", "secret", bind_type=bind_type)
    try:
        yield await soon(client.connect())
    finally:
        await soon(client.stop())


@asynccontextmanager
async def their_server() -> AsyncIterator[tuple[smpp34.Server, int]]:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="theirs")
    await soon(server.start())
    try:
        yield server, port
    finally:
        await soon(server.stop())


@pytest.mark.parametrize("bind_type", ["TX", "TRX"])
async def test_their_client_is_bound_and_its_submit_is_read(bind_type: str) -> None:
    ends = Ends()
    async with smsc(ends) as carrier, their_client(carrier.port, bind_type) as bind:
        answer = await soon(
            bind.submit_sm(
                "919876500001",
                b"Your code is 424242",
                source_addr="DASTAK",
                source_addr_ton=5,
                registered_delivery=1,
                tlvs=[smpp34.Tlv(*VENDOR_TLV)],
            )
        )

    (shown,) = ends.shown
    assert (answer.is_success, answer.message_id) == (True, shown.message_id)
    assert (shown.sm.short_message, shown.sm.tlvs) == (b"Your code is 424242", (VENDOR_TLV,))


@pytest.mark.parametrize("bind_type", ["RX", "TRX"])
async def test_receipt_of_ours_is_read_by_their_client(bind_type: str) -> None:
    async with (
        smsc(Ends()) as carrier,
        their_client(carrier.port, "TX") as sender,
        their_client(carrier.port, bind_type) as receiver,
    ):
        answer = await soon(
            sender.submit_sm("919876500001", b"x", source_addr="DASTAK", registered_delivery=1)
        )
        receipt = await soon(receiver.next())

    tlvs = {tlv.tag: tlv for tlv in receipt.tlvs}
    assert is_receipt(receipt.esm_class)
    assert (receipt.source_addr, receipt.destination_addr) == ("919876500001", "DASTAK")
    assert receipt.short_message.startswith(f"id:{answer.message_id} sub:001 dlvrd:001 ".encode())
    assert tlvs[smpp34.TLV_RECEIPTED_MESSAGE_ID].as_string() == answer.message_id
    assert tlvs[smpp34.TLV_MESSAGE_STATE].as_int() == 2


async def test_refusal_of_ours_is_read_by_their_client() -> None:
    refusing = Fault(status=Status.ESME_RTHROTTLED)
    async with smsc(Ends(), refusing) as carrier, their_client(carrier.port) as bind:
        answer = await soon(bind.submit_sm("919876500001", b"x", source_addr="DASTAK"))

    assert (answer.is_success, answer.command_status) == (False, Status.ESME_RTHROTTLED)


@pytest.mark.parametrize("bind_kind", ["transmitter", "transceiver"])
async def test_our_bind_is_taken_and_our_submit_is_read_and_answered(bind_kind: str) -> None:
    async with their_server() as (server, port), esme(Ends(), port, bind_kind=bind_kind) as client:
        bind = await soon(server.next())
        await soon(client.wait_bound())
        taking = asyncio.create_task(client.submit(submission(1, tlvs=(VENDOR_TLV,))))
        submit = await soon(server.next())
        submit.accept("theirs-1")
        accepted = await taking
        refusing = asyncio.create_task(client.submit(submission(2)))
        (await soon(server.next())).reject(smpp34.ESME_RMSGQFUL)
        with pytest.raises(CarrierRejected) as refused:
            await refusing

    assert (bind.system_id, bind.can_receive) == ("sim_1", bind_kind == "transceiver")
    assert (submit.source_addr, submit.destination_addr) == ("DASTAK", "919876500001")
    assert submit.short_message == b"Your code is 424242"
    assert [(tlv.tag, tlv.value) for tlv in submit.tlvs] == [
        (Tag.USER_MESSAGE_REFERENCE, b"\x00\x01"),
        VENDOR_TLV,
    ]
    assert accepted.message_id == "theirs-1"
    assert refused.value.status == "ESME_RMSGQFUL"


def receipt_of_theirs(bind: smpp34.Esme) -> "asyncio.Future[smpp34.DeliverSmResp]":
    tlvs = [smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, b"77\0"), smpp34.Tlv(*VENDOR_TLV)]
    text = b"id:77 stat:DELIVRD err:000"
    return asyncio.ensure_future(
        bind.deliver_sm("DASTAK", text, source_addr="919876500001", esm_class=4, tlvs=tlvs)
    )


async def test_receipt_of_theirs_is_read_and_acknowledged() -> None:
    ends = Ends()
    async with their_server() as (server, port), esme(ends, port) as client:
        bind = await soon(server.next())
        await soon(client.wait_bound())
        sending = receipt_of_theirs(bind)
        receipt = await ends.receipt()
        answer = await soon(sending)

    assert (receipt.message_id, receipt.outcome) == ("77", Outcome.DELIVERED)
    assert answer.is_success


async def test_acknowledgement_that_they_do_not_know_leaves_our_receiver_bound() -> None:
    ends = Ends()
    refused = asyncio.Event()

    def tap(sent: bool, frame: tuple[int, int, int, bytes]) -> None:
        if (sent, frame[0]) == (False, Command.GENERIC_NACK):
            refused.set()

    async with their_server() as (server, port), esme(ends, port, bind_kind="receiver") as client:
        bind = await soon(server.next())
        await soon(client.wait_bound())
        client.watch(tap)
        sending = receipt_of_theirs(bind)
        receipt = await ends.receipt()
        # smpp34 1.5.0 takes a deliver_sm_resp on no receiver bind, though the standard has it there.
        await soon(refused.wait())
        sending.cancel()

        assert (receipt.message_id, client.state) == ("77", BindState.BOUND)


async def test_our_question_whether_the_link_lives_is_answered() -> None:
    ends = Ends()
    heard: list[tuple[bool, int]] = []
    async with their_server() as (_, port), esme(ends, port, enquire_link_s=0.2) as client:
        asked = asyncio.Event()

        def tap(sent: bool, frame: tuple[int, int, int, bytes]) -> None:
            heard.append((sent, frame[0]))
            if frame[0] == Command.ENQUIRE_LINK_RESP:
                asked.set()

        client.watch(tap)
        await soon(asked.wait())

        assert client.state is BindState.BOUND
    assert heard.index((True, Command.ENQUIRE_LINK)) < heard.index((False, Command.ENQUIRE_LINK_RESP))
