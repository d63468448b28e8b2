"""Our simulated SMSC against a gateway nobody of us wrote (Kannel), which has met carriers since 1999."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.processes import free_port
from dastak.simulator.faults import Fault
from dastak.simulator.smsc_bind import SimMessage
from dastak.sms.pdu_bodies import Sm
from tests.support.kannel import Kannel, kannel
from tests.support.smpp_pair import Ends, smsc

NUMBER = "919876500001"
# What Kannel's dlr types are called in its manual.
DELIVERED, FAILED, TAKEN, REFUSED = "1", "2", "8", "16"


async def fates(peer: Kannel, messages: int) -> dict[str, list[str]]:
    """Collect what Kannel tells of so many messages, until each came to its end.

    Each word comes by a request of its own, so that the carrier took a text may be heard after what became of
    it; it is put first.
    """
    told: dict[str, list[str]] = {}
    while sum(map(_is_ended, told.values())) < messages:
        receipt = await peer.heard("/receipt")
        told.setdefault(receipt["name"], []).append(receipt["type"])
    return {number: sorted(types, key=lambda kind: kind != TAKEN) for number, types in told.items()}


def _is_ended(types: list[str]) -> bool:
    return REFUSED in types or (TAKEN in types and len(types) > 1)


# Number, text, Kannel's coding, and what shall be on the wire.
TEXTS = (
    ("919876500001", "Your code is 424242", "0", b"Your code is 424242"),
    # In the GSM alphabet, where they are not where ASCII has them.
    ("919876500002", "@£$_{€}é", "0", bytes.fromhex("000102111b281b651b2905")),
    ("919876500003", "आपका कोड 424242", "2", "आपका कोड 424242".encode("utf-16-be")),
    ("919876500004", "code 😀 424242", "2", "code 😀 424242".encode("utf-16-be")),
)


async def test_texts_of_kannel_reach_the_phones_and_their_receipts_come_back(tmp_path: Path) -> None:
    ends = Ends()
    told: dict[str, dict[str, str]] = {TAKEN: {}, DELIVERED: {}}
    async with smsc(ends) as carrier, kannel(tmp_path, carrier.port) as peer:
        answers = {await peer.send(number, text, coding=coding) for number, text, coding, _ in TEXTS}
        for _ in range(2 * len(TEXTS)):
            receipt = await peer.heard("/receipt")
            told[receipt["type"]][receipt["name"]] = receipt["text"]

    shown = {message.msisdn[1:]: message for message in ends.shown}
    assert answers == {"0: Accepted for delivery"}
    assert {(message.sm.source_addr, message.sm.source_addr_ton) for message in ends.shown} == {("DASTAK", 5)}
    assert {n: (message.sm.data_coding, message.sm.short_message) for n, message in shown.items()} == {
        number: (8 if coding == "2" else 0, octets) for number, _, coding, octets in TEXTS
    }
    assert set(told[TAKEN]) == set(shown)
    assert {number: text.split()[0] for number, text in told[DELIVERED].items()} == {
        number: f"id:{message.message_id}" for number, message in shown.items()
    }


async def test_options_of_a_submit_are_read(tmp_path: Path) -> None:
    ends = Ends()
    async with smsc(ends) as carrier, kannel(tmp_path, carrier.port) as peer:
        options = {"validity": "5", "priority": "2", "meta-data": "?smpp?PE_ID=1101234567890123456"}
        await peer.send(NUMBER, "hello", **options)
        await fates(peer, 1)

    (shown,) = ends.shown
    assert shown.sm.priority_flag == 2
    assert shown.sm.registered_delivery & 1
    assert shown.sm.tlvs == ((0x1400, b"1101234567890123456\0"),)
    # Kannel writes the instant and not the span.
    valid_until = datetime.strptime(shown.sm.validity_period[:12] + "+0000", "%y%m%d%H%M%S%z")
    assert abs(valid_until - datetime.now(UTC) - timedelta(minutes=5)) < timedelta(minutes=1)


async def test_long_text_comes_in_parts_that_make_it_whole(tmp_path: Path) -> None:
    ends = Ends()
    text = "".join(f"{n:03d} " for n in range(90))
    async with smsc(ends) as carrier, kannel(tmp_path, carrier.port) as peer:
        await peer.send(NUMBER, text)
        told = await fates(peer, 1)

    def number(shown: SimMessage) -> int:
        return shown.sm.short_message[5]

    parts = sorted(ends.shown, key=number)
    assert [part.sm.esm_class & 0x40 for part in parts] == [0x40] * 3
    assert b"".join(part.sm.short_message[6:] for part in parts).decode() == text
    assert told[NUMBER][-1] == DELIVERED


async def test_each_receipt_finds_its_message(tmp_path: Path) -> None:
    ends = Ends()
    faults = (
        Fault(number="*1", stat="UNDELIV", err="027", receipt=0.1),
        Fault(number="*2", status=0x412),
        Fault(number="*3", shuffle_s=0.3),
        Fault(number="*4", duplicates=2),
    )
    fate = {"1": FAILED, "2": REFUSED, "3": DELIVERED, "4": DELIVERED, "5": DELIVERED}
    numbers = [f"9198765{n:04d}{last}" for n in range(4) for last in fate]
    async with smsc(ends, *faults) as carrier, kannel(tmp_path, carrier.port) as peer:
        await asyncio.gather(*(peer.send(number, "x") for number in numbers))
        told = await fates(peer, len(numbers))

    assert {number: types[-1] for number, types in told.items()} == {n: fate[n[-1]] for n in numbers}
    assert {number: types[:-1] for number, types in told.items()} == {
        n: [] if fate[n[-1]] == REFUSED else [TAKEN] for n in numbers
    }


async def test_text_from_a_phone_reaches_kannel(tmp_path: Path) -> None:
    async with smsc(Ends()) as carrier, kannel(tmp_path, carrier.port) as peer:
        carrier.send_text("sim_1", Sm(source_addr=NUMBER, destination_addr="56161", short_message=b"STOP"))
        reply = await peer.heard("/reply")

    assert reply == {"from": NUMBER, "to": "56161", "text": "STOP"}


async def test_kannel_comes_back_after_its_link_was_cut(tmp_path: Path) -> None:
    ends = Ends()
    async with smsc(ends) as carrier, kannel(tmp_path, carrier.port) as peer:
        await peer.send(NUMBER, "before")
        before = await fates(peer, 1)
        carrier.drop_links()
        await peer.send(NUMBER, "after")
        after = await fates(peer, 1)

    assert before == after == {NUMBER: [TAKEN, DELIVERED]}
    assert [shown.sm.short_message for shown in ends.shown] == [b"before", b"after"]


async def test_kannel_with_a_wrong_password_is_refused_and_told_why(tmp_path: Path) -> None:
    # Nobody listens until all of Kannel runs: one that is refused while it still starts may panic.
    carrier = smsc(Ends(), port=free_port())
    async with kannel(tmp_path, carrier.port, smsc_password="wrong") as peer, carrier:
        bearerbox = peer.daemons[0]
        await asyncio.to_thread(bearerbox.until_said, "0x0000000e")

        assert carrier.binds("sim_1") == 0
