"""What a route's options become in the eyes of an SMSC nobody of us wrote (npm smpp)."""

from typing import Any

import msgspec
import pytest

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.sms.inbound import Acknowledge
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from tests.support.npm_peer import npm_smsc
from tests.support.smpp_pair import soon

LONG = "123456 is your Acme code. " * 8


async def seen(text: str, parts: int, **settings: Any) -> list[dict[str, Any]]:
    """Send a text over a route with these settings, and return the submit_sm as the peer read them."""

    def take(receipt: Receipt, acknowledge: Acknowledge) -> None:
        acknowledge(True)

    async with npm_smsc() as peer:
        wanted = {"host": "127.0.0.1", "port": peer.port, "system_id": "sim_1", "password": "secret"}
        async with SmppRoute("r", msgspec.convert(wanted | settings, SmppSettings), take) as route:
            await soon(route.wait_bound())
            key = MessageKey(VerificationId(bytes((0x12, 0x34)) + bytes(14)), 0)
            dlt = {"pe_id": "1101172974420810001"}
            stored = await route.submit(Outgoing(key, Msisdn("+919876500000"), text, "ACMEOT", 299, dlt))
            submits: list[dict[str, Any]] = []
            while len(submits) < parts:
                fact = await peer.said()
                submits += [fact] if fact["command"] == "submit_sm" else []
    assert isinstance(stored, CarrierRef)
    return submits


@pytest.mark.parametrize(
    ("text", "settings", "data_coding"),
    [
        ("@_$£[é€ΔÄñ", {}, 0),
        ("@_$£[éÄñ", {"alphabet": "latin1", "plain_data_coding": 3}, 3),
        # This peer reads data_coding 1 as GSM too, so that only what both write alike tells.
        ("Hello, 123456!", {"alphabet": "ascii", "plain_data_coding": 1}, 1),
        ("आपका कोड 😀", {}, 8),
        ("plain", {"alphabet": "ucs2_only"}, 8),
    ],
)
async def test_text_is_read_in_every_alphabet(text: str, settings: dict[str, Any], data_coding: int) -> None:
    (submit,) = await seen(text, 1, **settings)

    assert (submit["short_message"], submit["data_coding"]) == (text, data_coding)


@pytest.mark.parametrize("concatenation", ["udh8", "udh16"])
async def test_headers_of_parts_are_read(concatenation: str) -> None:
    submits = await seen(LONG, 2, concatenation=concatenation)

    assert "".join(submit["short_message"] for submit in submits) == LONG
    assert [submit["esm_class"] for submit in submits] == [0x40, 0x40]


async def test_sar_tlvs_are_read() -> None:
    submits = await seen(LONG, 2, concatenation="sar")

    assert "".join(submit["short_message"] for submit in submits) == LONG
    told = [
        (submit["sar_msg_ref_num"], submit["sar_total_segments"], submit["sar_segment_seqnum"])
        for submit in submits
    ]
    assert told == [(0x1234, 2, 1), (0x1234, 2, 2)]


async def test_payload_is_read_whole() -> None:
    (submit,) = await seen(LONG, 1, concatenation="payload")

    assert submit["message_payload"]["message"] == LONG


async def test_options_of_the_carrier_are_read() -> None:
    (submit,) = await seen(
        "hello",
        1,
        esm_mode="store_and_forward",
        service_type="OTP",
        priority_flag=3,
        protocol_id=0x41,
        registered_delivery=17,
        tlvs=[{"tag": 0x1400, "value": "{pe_id}", "final_nul": True}],
    )

    wanted = {
        "esm_class": 3,
        "service_type": "OTP",
        "priority_flag": 3,
        "protocol_id": 0x41,
        "registered_delivery": 17,
        "pe_id": "1101172974420810001",
        "user_message_reference": 0x1234,
    }
    assert {name: submit[name] for name in wanted} == wanted
