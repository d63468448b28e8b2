"""A trunk whose name leads to several places: silent, full and closed ones, and a name that changes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import free_port
from dastak.voice.sip.call_events import Ended, Ringing
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_message import parse
from tests.e2e.test_sip_sipp import callee, events_of, line_to
from tests.support import sip_samples
from tests.support.dnsmasq import Dnsmasq, asking_dnsmasq
from tests.support.sip_phone import sip_phone
from tests.support.smpp_pair import soon

HOST = "host-record=sip.example,127.0.0.1"


class Place(asyncio.DatagramProtocol):
    """One place over UDP, which answers each method with a status, or not at all."""

    def __init__(self, answers: Mapping[str, int]) -> None:
        self.asked: list[str] = []
        self.news = asyncio.Event()
        self._answers = answers

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = parse(data)
        self.asked.append(request.method)
        self.news.set()
        if request.method in self._answers:
            self._transport.sendto(sip_samples.reply(request, self._answers[request.method]), addr)

    async def is_asked(self) -> None:
        self.news.clear()
        await soon(self.news.wait())


@asynccontextmanager
async def place(**answers: int) -> AsyncIterator[Place]:
    loop = asyncio.get_running_loop()
    transport, one = await loop.create_datagram_endpoint(lambda: Place(answers), local_addr=("127.0.0.1", 0))
    try:
        yield one
    finally:
        transport.close()


def srv(*ports: int, service: str = "_sip._udp") -> list[str]:
    """Return records that lead to these ports, the first one first."""
    return [
        HOST,
        *(f"srv-host={service}.trunk.example,sip.example,{port},{place}" for place, port in enumerate(ports)),
    ]


async def test_call_that_is_not_heard_goes_on_elsewhere_and_the_next_one_goes_there_at_once(
    tmp_path: Path,
) -> None:
    async with (
        place() as silent,
        place(INVITE=486) as busy,
        asking_dnsmasq(tmp_path / "dns", *srv(silent.port, busy.port)) as names,
        line_to(None, host="trunk.example", name_server=names.address, silence_s=0.3) as line,
    ):
        first = await events_of(await line.call(callee(5060)))
        heard = len(silent.asked)
        second = await events_of(await line.call(callee(5060)))

    assert first == second == [Ended(CallOutcome.BUSY, 486)]
    assert heard > 0
    assert len(silent.asked) == heard
    assert [method for method in busy.asked if method == "INVITE"] == ["INVITE"] * 2


async def test_call_that_is_refused_for_lack_of_channels_goes_on_elsewhere_once(tmp_path: Path) -> None:
    async with (
        place(INVITE=503) as full,
        place(INVITE=503) as full_too,
        place(INVITE=486) as third,
        asking_dnsmasq(tmp_path / "dns", *srv(full.port, full_too.port, third.port)) as names,
        line_to(None, host="trunk.example", name_server=names.address) as line,
    ):
        events = await events_of(await line.call(callee(5060)))

    assert events == [Ended(CallOutcome.TRUNK_DOWN, 503)]
    assert (full.asked, full_too.asked) == (["INVITE", "ACK"], ["INVITE", "ACK"])
    assert third.asked == []


async def test_call_that_rang_stays_where_it_is(tmp_path: Path) -> None:
    async with (
        place(INVITE=180) as rings,
        place(INVITE=486) as other,
        asking_dnsmasq(tmp_path / "dns", *srv(rings.port, other.port)) as names,
        line_to(None, host="trunk.example", name_server=names.address, ring_s=0.3) as line,
    ):
        call = await line.call(callee(5060))
        ringing = await soon(call.events.get())
        call.hang_up(CallOutcome.NO_ANSWER)
        await rings.is_asked()

    assert ringing == Ringing(180)
    assert "CANCEL" in rings.asked
    assert other.asked == []


async def test_line_leaves_a_place_that_does_not_answer_options(tmp_path: Path) -> None:
    async with (
        place() as silent,
        place(OPTIONS=200) as alive,
        asking_dnsmasq(tmp_path / "dns", *srv(silent.port, alive.port)) as names,
        line_to(
            None,
            host="trunk.example",
            name_server=names.address,
            silence_s=0.3,
            probe_uri="sip:trunk.example",
            probe_s=60.0,
        ) as line,
    ):
        while not line.standing.available:
            await soon(line.changes())

    assert silent.asked[0] == "OPTIONS"
    assert alive.asked == ["OPTIONS"]


async def test_connection_is_made_to_the_first_place_that_listens(tmp_path: Path) -> None:
    async with (
        sip_phone() as phone,
        asking_dnsmasq(tmp_path / "dns", *srv(free_port(), phone.port, service="_sip._tcp")) as names,
        line_to(None, transport="TCP", host="trunk.example", name_server=names.address) as line,
    ):
        call = await line.call(callee(5060))
        phone.say(sip_samples.reply(await phone.hears("INVITE"), 486))
        events = await events_of(call)

    assert events == [Ended(CallOutcome.BUSY, 486)]


async def test_connection_that_says_nothing_is_left_for_another(tmp_path: Path) -> None:
    async with (
        sip_phone() as deaf,
        sip_phone() as phone,
        asking_dnsmasq(tmp_path / "dns", *srv(deaf.port, phone.port, service="_sip._tcp")) as names,
        line_to(
            None,
            transport="TCP",
            host="trunk.example",
            name_server=names.address,
            silence_s=0.3,
            reopen_s=0.01,
            probe_uri="sip:trunk.example",
            probe_s=60.0,
        ) as line,
    ):
        await deaf.hears("OPTIONS")
        phone.say(sip_samples.reply(await phone.hears("OPTIONS"), 200))
        while not line.standing.available:
            await soon(line.changes())

    assert (deaf.connections, phone.connections) == (1, 1)


async def test_line_follows_its_name_when_the_old_answer_is_over(tmp_path: Path) -> None:
    async with place(OPTIONS=200) as old, place(OPTIONS=200, INVITE=486) as new:
        first = await asyncio.to_thread(lambda: Dnsmasq(tmp_path / "dns", srv(old.port), ttl_s=1))
        async with line_to(
            None,
            host="trunk.example",
            name_server=first.address,
            probe_uri="sip:trunk.example",
            probe_s=60.0,
        ) as line:
            await old.is_asked()
            await asyncio.to_thread(first.daemon.stop)
            second = await asyncio.to_thread(
                lambda: Dnsmasq(tmp_path / "dns2", srv(new.port), ttl_s=1, port=first.port)
            )
            await new.is_asked()
            events = await events_of(await line.call(callee(5060)))
            await asyncio.to_thread(second.daemon.stop)

    assert events == [Ended(CallOutcome.BUSY, 486)]
    assert "INVITE" not in old.asked
