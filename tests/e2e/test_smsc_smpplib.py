"""Our simulated SMSC against a client nobody of us wrote (smpplib, blocking, in a thread)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions

from dastak.simulator.faults import Fault
from dastak.sms.smpp_codes import Status
from tests.support.smpp_pair import WAIT_S, Ends, smsc


@contextmanager
def connected(port: int) -> Iterator[smpplib.client.Client]:
    client = smpplib.client.Client("127.0.0.1", port, timeout=WAIT_S, allow_unknown_opt_params=True)
    client.connect()
    try:
        yield client
    finally:
        client.disconnect()


def send(client: smpplib.client.Client, destination: str, text: bytes) -> None:
    client.send_message(
        source_addr_ton=5,
        source_addr_npi=0,
        source_addr="DASTAK",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=destination,
        short_message=text,
        registered_delivery=True,
        user_message_reference=77,
    )


def whole_exchange(port: int) -> list[Any]:
    """Bind, send, hear the answer and the receipt, ask whether the link lives, unbind."""
    heard: list[Any] = []

    def heard_pdu(pdu: Any) -> None:
        heard.append(pdu)

    with connected(port) as client:
        client.set_message_sent_handler(lambda pdu: heard.append(pdu.message_id.decode()))
        client.set_message_received_handler(heard_pdu)
        bound = client.bind_transceiver(system_id="sim_1", password="secret")
        heard.append(bound.system_id.decode())
        send(client, "919876500000", b"Your code is 424242")
        client.read_once()
        client.read_once()
        heard.append(client.unbind().command)
    return heard


async def test_bind_submit_receipt_unbind() -> None:
    ends = Ends()
    async with smsc(ends) as carrier:
        system_id, message_id, receipt, last = await asyncio.to_thread(whole_exchange, carrier.port)

    (message,) = ends.shown
    assert (system_id, message_id, last) == ("dastak-sim", message.message_id, "unbind_resp")
    assert (message.msisdn, message.sm.short_message) == ("+919876500000", b"Your code is 424242")
    assert receipt.receipted_message_id.decode() == message_id
    assert receipt.message_state == smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED
    assert receipt.user_message_reference == 77
    assert receipt.short_message.startswith(f"id:{message_id} sub:001 dlvrd:001 submit date:".encode())


def bind_status(port: int, **credentials: str) -> int:
    with connected(port) as client, pytest.raises(smpplib.exceptions.PDUError) as refused:
        client.bind_transceiver(**credentials)
    return int(refused.value.args[1])


async def test_wrong_credentials_are_refused() -> None:
    async with smsc(Ends()) as carrier:
        password = await asyncio.to_thread(bind_status, carrier.port, system_id="sim_1", password="wrong")
        system_id = await asyncio.to_thread(bind_status, carrier.port, system_id="nobody", password="secret")

    assert (password, system_id) == (Status.ESME_RINVPASWD, Status.ESME_RINVSYSID)


def submit_status(port: int, destination: str) -> int:
    with connected(port) as client:
        client.bind_transmitter(system_id="sim_1", password="secret")
        send(client, destination, b"x")
        return int(client.read_pdu().status)


@pytest.mark.parametrize(
    ("destination", "status"),
    [("919876500000", 0x412), ("12345", Status.ESME_RINVDSTADR), ("DASTAK", Status.ESME_RINVDSTADR)],
)
async def test_refused_submit_is_read_with_its_status(destination: str, status: int) -> None:
    async with smsc(Ends(), Fault(status=0x412)) as carrier:
        assert await asyncio.to_thread(submit_status, carrier.port, destination) == status


def query_status(port: int) -> int:
    with connected(port) as client:
        client.bind_transceiver(system_id="sim_1", password="secret")
        client.query_message(message_id="1", source_addr_ton=5, source_addr_npi=0, source_addr="DASTAK")
        return int(client.read_pdu().status)


async def test_service_that_does_not_exist_is_refused_honestly() -> None:
    async with smsc(Ends()) as carrier:
        assert await asyncio.to_thread(query_status, carrier.port) == Status.ESME_RINVCMDID
