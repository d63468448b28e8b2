"""What scanners and strange peers send to the SIP port: it costs little, and honest calls go through."""

import asyncio
import gc
import random
import socket
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from dastak.voice.sip.call_events import Answered, CallEvent, Ended
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_endpoint import Junk
from dastak.voice.sip.sip_message import HEAD_OCTETS_MAX, MESSAGE_OCTETS_MAX, Address, SipMessage, parse
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from dastak.voice.sip.sip_transport import SipLine
from tests.e2e.test_sip_sipp import callee, events_of, line_to
from tests.support import sip_samples
from tests.support.sip_phone import sip_phone
from tests.support.smpp_pair import soon

Run = Callable[[Coroutine[Any, Any, None]], None]
EVERY_LOOP = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class UdpPhone(asyncio.DatagramProtocol):
    """A phone that answers every call, and says in its Contact where it wants to be reached."""

    def __init__(self, contact: str = "") -> None:
        self.heard: asyncio.Queue[SipMessage] = asyncio.Queue()
        self.line: Address = ("", 0)
        self._contact = contact

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.line = addr
        request = parse(data)
        self.heard.put_nowait(request)
        if request.method != "ACK":
            contact = self._contact or f"<sip:phone@127.0.0.1:{self.port}>"
            self._transport.sendto(sip_samples.reply(request, 200, body=b"sdp", contact=contact), addr)

    async def hears(self, method: str) -> SipMessage:
        """Wait for a message of this kind; repeats of others are passed over."""
        while (message := await soon(self.heard.get())).method != method:
            pass
        return message

    def close(self) -> None:
        self._transport.close()


async def udp_phone(contact: str = "") -> UdpPhone:
    loop = asyncio.get_running_loop()
    _, phone = await loop.create_datagram_endpoint(lambda: UdpPhone(contact), local_addr=("127.0.0.1", 0))
    return phone


async def honest_call(line: SipLine, phone: UdpPhone) -> list[CallEvent]:
    """Call, be answered, hang up; the phone must have heard all of it."""
    call = await line.call(callee(phone.port))
    events = await events_of(
        call, lambda event: call.hang_up(CallOutcome.COMPLETED) if isinstance(event, Answered) else None
    )
    for method in ("INVITE", "ACK", "BYE"):
        await phone.hears(method)
    return events


@EVERY_LOOP
@pytest.mark.parametrize(
    "host",
    ["[::1]", "[fe80::1]", "255.255.255.255", "240.0.0.1", "a..b", "x" * 64 + ".example", "no.such.invalid"],
)
def test_phone_that_wants_to_be_reached_where_nobody_can_send_to_stops_nothing(run: Run, host: str) -> None:
    defects: list[dict[str, Any]] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
        phone = await udp_phone(f"<sip:phone@{host}:5060>")
        async with line_to(phone.port, silence_s=0.3) as line:
            call = await line.call(callee(phone.port))
            answered = await soon(call.events.get())
            call.hang_up(CallOutcome.COMPLETED)
            ended = await soon(call.events.get())
            honest = await udp_phone()
            phone._contact = f"<sip:phone@127.0.0.1:{honest.port}>"
            next_call = await line.call(callee(phone.port))
            assert await soon(next_call.events.get()) == Answered(b"sdp")
            await honest.hears("ACK")
            next_call.hang_up(CallOutcome.COMPLETED)
            await honest.hears("BYE")
            assert (answered, ended) == (Answered(b"sdp"), Ended(CallOutcome.COMPLETED, 200))
        for one in (phone, honest):
            one.close()

    run(scene())

    assert defects == []


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_name_that_no_name_may_look_like_is_told(transport: str) -> None:
    with pytest.raises(TrunkUnreachable):
        await line_to(5060, host="a..b", transport=transport).__aenter__()


# As they come to every SIP port on the internet, within minutes of its being there.
SCANS = tuple(
    (
        f"{method} sip:100@127.0.0.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.66:5071;branch=z9hG4bK-{n};rport\r\n"
        'From: "sipvicious"<sip:100@1.1.1.1>;tag={n}\r\n'
        'To: "sipvicious"<sip:100@1.1.1.1>\r\n'
        "Call-ID: {n}\r\n"
        f"CSeq: 1 {method}\r\n"
        "Contact: sip:100@127.0.0.66:5071\r\n"
        "Max-Forwards: 70\r\n"
        "User-Agent: friendly-scanner\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    for method in ("OPTIONS", "INVITE", "REGISTER", "SUBSCRIBE", "CANCEL", "BYE", "ACK")
)
STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12) + b"\x80\x22\x00\x04test"
DTLS = b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x01" + bytes(31)
MANY = 6_000


def scanned(dice: random.Random, n: int) -> bytes:
    """Return the n-th thing that a scanner sends."""
    match n % 8:
        case 0 | 1 | 2:
            return dice.choice(SCANS).replace("{n}", f"{dice.randrange(10**9)}").encode()
        case 3:
            return dice.randbytes(dice.randrange(1, 1_400))
        case 4:
            return dice.choice([STUN, DTLS, b"\r\n\r\n", b"", b"\0" * 200])
        case 5:
            return sip_samples.spoiled(dice.choice(sip_samples.ALL), dice)
        case 6:
            return sip_samples.RINGING.replace(b"<sip:+911600100200", b"a" + b" " * 9_000 + b"<<")
        case _:
            return (b"OPTIONS sip:x SIP/2.0\r\n" + b"X: y\r\n" * 9_000)[: dice.randrange(2_000, 50_000)]


@EVERY_LOOP
def test_flood_of_scans_is_not_answered_keeps_nothing_and_lets_honest_calls_through(run: Run) -> None:
    async def scene() -> None:
        phone = await udp_phone()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as scanner:
            scanner.bind(("127.0.0.66", 0))
            scanner.setblocking(False)
            async with line_to(phone.port) as line:
                await honest_call(line, phone)
                dice, ours = random.Random(1), phone.line
                _flood(scanner, ours, dice, MANY // 3)
                await honest_call(line, phone)
                gc.collect()
                tracemalloc.start()
                kept_before, _ = tracemalloc.get_traced_memory()
                for _ in range(20):
                    _flood(scanner, ours, dice, MANY // 30)
                    assert (await honest_call(line, phone))[-1] == Ended(CallOutcome.COMPLETED, 200)
                gc.collect()
                kept_after, _ = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                junk = line.junk
                with pytest.raises(BlockingIOError):
                    scanner.recv(4_096)
        phone.close()

        assert junk[Junk.UNREADABLE] > MANY // 10
        assert junk[Junk.STRANGER] > MANY // 10
        # What the calls themselves leave for 32 s of late messages is all that may stay.
        assert kept_after - kept_before < 1_000_000

    run(scene())


def _flood(scanner: socket.socket, to: Address, dice: random.Random, count: int) -> None:
    for n in range(count):
        try:
            scanner.sendto(scanned(dice, n), to)
        except BlockingIOError:
            continue


async def test_answer_as_large_as_a_datagram_can_be_is_dropped_and_the_call_goes_on() -> None:
    phone = await udp_phone()
    async with line_to(phone.port) as line:
        call = await line.call(callee(phone.port))
        invite = await phone.hears("INVITE")
        # More headers than we read, and the answer within them.
        more = [("X-More", "y" * 1_000)] * (HEAD_OCTETS_MAX // 1_000 + 1)
        phone._transport.sendto(sip_samples.reply(invite, 486, headers=more), phone.line)
        events = await events_of(
            call, lambda event: call.hang_up(CallOutcome.COMPLETED) if isinstance(event, Answered) else None
        )
    phone.close()

    assert events[-1] == Ended(CallOutcome.COMPLETED, 200)


async def test_line_over_tcp_opens_no_door_that_others_could_hold_open() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        call = await line.call(callee(phone.port))
        invite = await phone.hears("INVITE")
        with socket.socket() as scanner, pytest.raises(ConnectionRefusedError):
            scanner.connect((invite.via.host, invite.via.port))
        phone.say(sip_samples.reply(invite, 486))
        assert await events_of(call) == [Ended(CallOutcome.BUSY, 486)]


@pytest.mark.parametrize("length", ["99999999", "-1", "4x", "0", f"{MESSAGE_OCTETS_MAX + 1}", ""])
async def test_stream_whose_content_length_is_wrong_is_given_up_and_the_next_call_opens_another(
    length: str,
) -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        call = await line.call(callee(phone.port))
        invite = await phone.hears("INVITE")
        wrong = sip_samples.reply(invite, 183, body=b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n")
        right = b"Content-Length: %d" % len(wrong.partition(b"\r\n\r\n")[2])
        assert right in wrong
        phone.say(wrong.replace(right, f"Content-Length: {length}".encode()))
        phone.say(sip_samples.reply(invite, 180))
        events = await events_of(call)
        again = await line.call(callee(phone.port))
        phone.say(sip_samples.reply(await phone.hears("INVITE"), 486))
        busy = await events_of(again)

    assert events[-1] == Ended(CallOutcome.TRUNK_DOWN, 503)
    assert busy == [Ended(CallOutcome.BUSY, 486)]


async def test_message_over_tcp_that_never_ends_lets_the_call_time_out() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP", silence_s=0.3) as line:
        call = await line.call(callee(phone.port))
        await phone.hears("INVITE")
        phone.say(b"SIP/2.0 180 Ringing\r\nVia: ")
        events = await events_of(call)

    assert events == [Ended(CallOutcome.UNREACHABLE)]
