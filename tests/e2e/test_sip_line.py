"""The line to a trunk: connections refused, lost and opened again, certificates, silence, strangers."""

import asyncio
import re
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from bench.processes import free_port
from dastak.voice.sip.call_events import Answered, Ended, Ringing
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.line_call import EVENTS_MAX
from dastak.voice.sip.sip_message import parse
from dastak.voice.sip.sip_registration import Registered, Registrar
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from dastak.voice.sip.sip_standing import NOT_YET
from tests.e2e.test_sip_sipp import callee, events_of, line_to
from tests.support import sip_samples
from tests.support.authority import Authority
from tests.support.sip_phone import sip_phone
from tests.support.smpp_pair import soon


def certificate(tmp_path: Path, name: str = "phone") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a phone with a certificate needs, and what one needs who trusts its authority."""
    authority = Authority.make(tmp_path / name)
    authority.issue("phone")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(authority.path("phone.pem"), authority.path("phone.key"))
    return theirs, ssl.create_default_context(cafile=authority.path("ca.pem"))


async def test_trunk_that_nobody_listens_at_cannot_be_reached() -> None:
    line = line_to(free_port(), transport="TCP")

    with pytest.raises(TrunkUnreachable, match="no connection to 127"):
        await line.__aenter__()


async def test_name_that_is_not_found_is_told() -> None:
    line = line_to(5060, host="no.such.host.invalid")

    with pytest.raises(TrunkUnreachable, match="cannot be found"):
        await line.__aenter__()


async def test_silent_trunk_over_udp_is_unreachable() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with line_to(silent.getsockname()[1], silence_s=0.2) as line:
            call = await line.call(callee(5060))
            events = await events_of(call)

    assert events == [Ended(CallOutcome.UNREACHABLE)]


async def test_call_over_tls_believes_its_own_authority(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path)
    async with sip_phone(theirs) as phone, line_to(phone.port, transport="TLS", tls=ours) as line:
        call = await line.call(callee(phone.port))
        invite = await phone.hears("INVITE")
        phone.say(sip_samples.reply(invite, 200, body=b"their answer", contact="<sip:callee@127.0.0.1>"))
        answered = await soon(call.events.get())
        ack = await phone.hears("ACK")
        call.hang_up(CallOutcome.COMPLETED)
        bye = await phone.hears("BYE")
        phone.say(sip_samples.reply(bye, 200))

    assert answered == Answered(b"their answer")
    assert invite.via.transport == "TLS"
    assert invite.first("Contact").endswith(";transport=tls>")
    assert ack.to_tag == bye.to_tag == "theirs"


async def test_message_for_a_tls_connection_that_is_over_is_lost(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path)
    async with sip_phone(theirs) as phone, line_to(phone.port, transport="TLS", tls=ours) as line:
        connection = line._link
        await connection.close()
        await connection.close()

        connection.send(b"BYE sip:callee@127.0.0.1 SIP/2.0\r\n\r\n", None)


async def test_certificate_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    theirs, _ = certificate(tmp_path, "theirs")
    _, ours = certificate(tmp_path, "ours")
    async with sip_phone(theirs) as phone:
        with pytest.raises(TrunkUnreachable, match="certificate verify failed"):
            await line_to(phone.port, transport="TLS", tls=ours).__aenter__()


async def test_lost_connection_ends_its_calls_and_the_next_call_opens_another() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        first = await line.call(callee(phone.port))
        phone.say(sip_samples.reply(await phone.hears("INVITE"), 180))
        ringing = await soon(first.events.get())
        phone.cut()
        ended = await soon(first.events.get())
        second = await line.call(callee(phone.port))
        phone.say(sip_samples.reply(await phone.hears("INVITE"), 486))
        busy = await soon(second.events.get())

    assert [ringing, ended, busy] == [
        Ringing(180),
        Ended(CallOutcome.TRUNK_DOWN, 503),
        Ended(CallOutcome.BUSY, 486),
    ]
    assert phone.connections == 2


async def test_lost_connection_is_opened_again_without_a_call_and_registers_again() -> None:
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example")
    async with (
        sip_phone() as phone,
        line_to(phone.port, transport="TCP", registrar=registrar, reopen_s=0.01) as line,
    ):
        first = await phone.hears("REGISTER")
        phone.say(sip_samples.reply(first, 200))
        granted = await soon(line.registration_settled())
        phone.cut()
        second = await phone.hears("REGISTER")
        phone.say(sip_samples.reply(second, 200))
        stopping = asyncio.create_task(line.stop(within_s=30.0))
        last = await phone.hears("REGISTER")
        phone.say(sip_samples.reply(last, 200))
        await soon(stopping)

    assert granted is Registered.YES
    assert second.call_id != first.call_id
    assert last.first("Expires") == "0"
    assert line.registered is None


async def test_trunk_is_asked_by_options_and_its_answer_told() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk:
        trunk.bind(("127.0.0.1", 0))
        trunk.setblocking(False)
        port = trunk.getsockname()[1]
        async with line_to(port, probe_uri="sip:trunk.example", probe_s=30.0) as line:
            before = line.standing
            octets, ours = await soon(loop.sock_recvfrom(trunk, 4096))
            await loop.sock_sendto(trunk, sip_samples.reply(parse(octets), 405), ours)
            while not line.standing.available:
                await soon(line.changes())

    assert before == (False, NOT_YET)
    assert re.fullmatch(r"OPTIONS was answered with SIP 405 in [0-9]+ ms", line.standing.reason)


async def test_trunk_that_does_not_answer_options_is_not_available() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        async with line_to(port, probe_uri="sip:t.example", probe_s=30.0, silence_s=0.2) as line:
            while line.standing.reason == NOT_YET:
                await soon(line.changes())
            known = line.standing

    assert known == (False, "OPTIONS was not answered within 0.2 s")


async def test_call_that_is_not_answered_has_the_trunk_asked_at_once() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk:
        trunk.bind(("127.0.0.1", 0))
        trunk.setblocking(False)
        port = trunk.getsockname()[1]
        async with line_to(port, probe_uri="sip:t.example", probe_s=900.0, silence_s=0.3) as line:
            octets, ours = await soon(loop.sock_recvfrom(trunk, 4096))
            await loop.sock_sendto(trunk, sip_samples.reply(parse(octets), 200), ours)
            while not line.standing.available:
                await soon(line.changes())
            events = await events_of(await line.call(callee(port)))
            while line.standing.available:
                await soon(line.changes())

    assert events == [Ended(CallOutcome.UNREACHABLE)]
    assert "was not answered" in line.standing.reason


async def test_refused_registration_is_the_reason() -> None:
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example")
    async with sip_phone() as phone, line_to(phone.port, transport="TCP", registrar=registrar) as line:
        before = line.standing
        phone.say(sip_samples.reply(await phone.hears("REGISTER"), 403))
        await soon(line.registration_settled())
        after = line.standing

    assert (before, after) == (
        (False, NOT_YET),
        (False, "the trunk refuses our REGISTER: SIP 403"),
    )


async def test_trunk_that_stays_away_is_tried_for_until_the_line_stops() -> None:
    async with sip_phone() as phone:
        line = line_to(phone.port, transport="TCP", reopen_s=0.01)
        await line.__aenter__()
        await soon(phone.called.get())
        for _ in range(3):
            phone.cut()
            await soon(phone.called.get())
    await line.stop()
    await line.stop()

    assert phone.connections == 4


async def test_stream_that_is_no_sip_is_given_up() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        call = await line.call(callee(phone.port))
        await phone.hears("INVITE")
        phone.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        events = await events_of(call)

    assert events == [Ended(CallOutcome.TRUNK_DOWN, 503)]


def test_call_goes_through_on_the_loop_of_the_server_too() -> None:
    async def call_and_be_refused() -> list[object]:
        async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
            ends: list[object] = []
            for _ in range(3):
                call = await line.call(callee(phone.port))
                phone.say(sip_samples.reply(await phone.hears("INVITE"), 486))
                ends += await events_of(call)
                await phone.hears("ACK")
            return ends

    assert uvloop.run(call_and_be_refused()) == [Ended(CallOutcome.BUSY, 486)] * 3


async def test_stopping_hangs_up_and_waits_for_the_answer() -> None:
    async with sip_phone() as phone:
        line = line_to(phone.port, transport="TCP")
        async with line:
            call = await line.call(callee(phone.port))
            invite = await phone.hears("INVITE")
            phone.say(sip_samples.reply(invite, 200, body=b"sdp"))
            await phone.hears("ACK")
            await soon(call.events.get())
            stopping = asyncio.create_task(line.stop(within_s=30.0))
            bye = await phone.hears("BYE")
            assert not stopping.done()
            phone.say(sip_samples.reply(bye, 200))
            await soon(stopping)

    assert call.events.get_nowait() == Ended(CallOutcome.CANCELED, 200)


async def test_flood_of_keys_keeps_the_end() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        call = await line.call(callee(phone.port))
        invite = await phone.hears("INVITE")
        phone.say(sip_samples.reply(invite, 200, body=b"sdp"))
        await phone.hears("ACK")
        key = {"headers": [("Content-Type", "application/dtmf")], "body": b"7"}
        for number in range(EVENTS_MAX + 9):
            phone.say(sip_samples.ask(invite, "INFO", cseq=number + 1, **key))  # type: ignore[arg-type]
            assert (await phone.hears("INFO")).status in {200, 503}
        call.hang_up(CallOutcome.COMPLETED)
        phone.say(sip_samples.reply(await phone.hears("BYE"), 200))

    kept = [call.events.get_nowait() for _ in range(call.events.qsize())]
    assert len(kept) == EVENTS_MAX
    assert kept[-1] == Ended(CallOutcome.COMPLETED, 200)


async def test_junk_and_strangers_are_counted_and_a_call_goes_on() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk, _other_host() as scanner:
        trunk.bind(("127.0.0.1", 0))
        for one in (trunk, scanner):
            one.setblocking(False)
        async with line_to(trunk.getsockname()[1]) as line:
            call = await line.call(callee(5060))
            octets, ours = await soon(loop.sock_recvfrom(trunk, 4096))
            await loop.sock_sendto(scanner, b"\xff" * 100, ours)
            await loop.sock_sendto(scanner, sip_samples.INVITE, ours)
            await loop.sock_sendto(trunk, sip_samples.reply(parse(octets), 404), ours)
            events = await events_of(call)
            junk = line.junk
        with pytest.raises(BlockingIOError):
            scanner.recv(4096)

    assert events == [Ended(CallOutcome.INVALID_NUMBER, 404)]
    assert junk == {"unreadable": 1, "stranger": 1}


def _other_host() -> socket.socket:
    scanner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    scanner.bind(("127.0.0.66", 0))
    return scanner
