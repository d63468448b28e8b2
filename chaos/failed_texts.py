"""Texts fail, and phones are called: F16."""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from bench.sip_callee import Does, SipCallee
from chaos.books import Told
from chaos.outcome_table import Outcome
from chaos.people import Habits
from chaos.stage import House, Stage
from chaos.watched_carrier import Phones, WatchedCarrier, code_in
from dastak.simulator.faults import Fault
from dastak.simulator.smsc_bind import SimMessage
from dastak.voice.sip.sip_message import parse

TRUNK: Final = "trunk"
# Numbers that end so: their texts come to the carrier, and the carrier says that they failed.
FAILING: Final = "01234"
UNREACHABLE: Final = ("UNDELIV", "031")
ARRIVED: Final = ("DELIVRD", "000")
# They listen before they type; a call that speaks costs more than a text.
LISTENING: Final = Habits(types_after_s=1.0)
PER_S_MAX: Final = 40.0
CALLS_MAX: Final = 500
RINGS_S_MAX: Final = 1.0
SAID_S_MAX: Final = 60.0


class CalledPhones(Phones):
    """Phones of which some get no text: who is called is told the code by the call.

    Attributes:
        failed_s: When the carrier said that a text failed.
        rings: When a phone was called, by number, and by Call-ID.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failed_s: dict[str, float] = {}
        self.rings: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._failed: dict[str, tuple[WatchedCarrier, SimMessage]] = {}

    def take(self, carrier: WatchedCarrier, message: SimMessage) -> None:
        """Show a text, or let the carrier say that it failed."""
        if message.msisdn[-1] not in FAILING:
            super().take(carrier, message)
            return
        self._failed[message.msisdn] = carrier, message
        self.failed_s.setdefault(message.msisdn, time.monotonic())
        carrier.smsc.report(message, *UNREACHABLE)

    def ring(self, number: str, call: str) -> None:
        """Be called; an INVITE that comes again is the same call."""
        if call not in self.rings[number]:
            self.rings[number][call] = time.monotonic()
        if number in self._failed:
            self.show(number, code_in(self._failed[number][1]))

    def say_again(self) -> None:
        """Let carriers say of each text that failed that it did, and then that it arrived after all."""
        for carrier, message in self._failed.values():
            carrier.smsc.report(message, *UNREACHABLE)
            carrier.smsc.report(message, *ARRIVED)


class _Trunk(asyncio.DatagramProtocol):
    """A trunk that leads to these phones, which answer all calls and say nothing."""

    def __init__(self, phones: CalledPhones, media_port: int) -> None:
        self._phones = phones
        self.callee = SipCallee(Does.ANSWERS, media_port=lambda: media_port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.callee.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse(data)
        if message.method == "INVITE" and not message.status:
            number = message.uri.removeprefix("sip:").partition("@")[0]
            self._phones.ring(number, message.call_id)
        for said in self.callee.hear(data):
            self._transport.sendto(said, addr)


async def failed_texts(stage: Stage) -> Outcome:
    """F16: half of the texts fail and are followed by calls; later each is said to have arrived after all."""
    untold = tuple(Fault(number=f"*{digit}", missing_receipt=1.0) for digit in FAILING)
    phones = CalledPhones()
    async with (
        stage.house("f16", north=untold, south=untold, habits=LISTENING, phones=phones) as house,
        _trunk(house, phones),
    ):
        house.per_s = min(stage.per_s, PER_S_MAX)
        async with house.load():
            house.fault_begins()
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        phones.say_again()
        told = await _until_said(house, phones)
        await asyncio.sleep(stage.scale.settle_s)  # a call that follows would come at once
        findings = await house.join(told)
        judge_calls(house, phones)
        return stage.outcome("F16", "texts fail, phones are called", house, findings)


async def _until_said(house: House, phones: CalledPhones) -> Mapping[str, Told]:
    """Wait until the program tells of each text that it arrived after all."""
    give_up_s = time.monotonic() + SAID_S_MAX
    while True:
        told = await house.told()
        unsaid = sum(not _arrived(told[number].events) for number in phones.failed_s)
        if not unsaid or time.monotonic() >= give_up_s:
            house.expect("F16", not unsaid, f"{unsaid} late receipts are told nowhere")
            return told


def _arrived(events: Sequence[Mapping[str, Any]]) -> bool:
    return any(event["type"] == "delivered" and event["ordinal"] == 0 for event in events)


def judge_calls(house: House, phones: CalledPhones) -> None:
    """Who got no text is called once, soon, and never again; nobody else is called."""
    failed, rings = phones.failed_s, phones.rings
    house.expect("F16", bool(failed), "no text failed, so nothing was tried")
    uncalled = [number for number in failed if number not in rings]
    house.expect("F16", not uncalled, f"{len(uncalled)} got no text and no call")
    strange = [number for number in rings if number not in failed]
    house.expect("F16", not strange, f"{len(strange)} had their text and were called")
    again = [number for number, calls in rings.items() if len(calls) > 1]
    house.expect("F16", not again, f"{len(again)} were called twice")
    took = sorted(min(calls.values()) - failed[number] for number, calls in rings.items() if number in failed)
    if took:
        house.expect_within("seconds from the receipt to the INVITE", took[-1], RINGS_S_MAX)
        p99 = took[int(0.99 * len(took))]
        house.figures |= {"calls": len(took), "receipt to INVITE p99 s": p99, "longest s": took[-1]}


@asynccontextmanager
async def _trunk(house: House, phones: CalledPhones) -> AsyncIterator[None]:
    """Have a trunk that leads to these phones."""
    loop = asyncio.get_running_loop()
    # What is said to the phones goes to a port that nobody reads.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        media_port = ear.getsockname()[1]
        transport, trunk = await loop.create_datagram_endpoint(
            lambda: _Trunk(phones, media_port), local_addr=("127.0.0.1", 0)
        )
        try:
            house.books.trunks.add(TRUNK)
            await house.victim.add_trunk(TRUNK, trunk.callee.port, calls_max=CALLS_MAX)
            yield
        finally:
            transport.close()
