"""Whole calls under Wireshark's dissector: nothing is malformed, and no code is in the signalling."""

import asyncio
import itertools
import random
import secrets
import string
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dastak.core.outcome import Outcome
from dastak.voice.sip.call_events import Answered, CallEvent, Offered, Ringing
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_digest import Credentials, DigestClient
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_message import Address, parse
from dastak.voice.sip.sip_registration import Registered, Registrar, Registration
from dastak.voice.sip.sip_transport import LineCall
from dastak.voice.sound.sdes import new_keys
from dastak.voice.sound.sdp import Ours, write_offer
from tests.e2e.test_sip_sipp import (
    ACCEPTED_AND_HUNG_UP,
    ANSWERED,
    HANGS_UP,
    SERVER_ASKS,
    TRYING_AND_RINGING,
    events_of,
    line_to,
)
from tests.support import sip_samples
from tests.support.authority import Authority
from tests.support.baresip_phone import baresip
from tests.support.calling_house import TO, calling_house, code_heard, press_gate
from tests.support.capture import Carried, write_capture
from tests.support.kamailio import kamailio
from tests.support.needles import needles
from tests.support.patience import until
from tests.support.sip_peer import TRUNK
from tests.support.sipp import answer, ask, authenticated, expect, expect_answer, sipp
from tests.support.smpp_pair import soon
from tests.support.spoken_call import CALLEE, GATE, spoken_calls
from tests.support.tapped_path import tapped_path
from tests.support.tshark import Dissected, dissected, wrong
from tests.support.virtual_caller import CODES
from tests.unit.test_ivr import Words

CALLS = 200
OFFER = Ours(address="127.0.0.1", port=40_000, session_id=1)


def check(judged: Sequence[Dissected], *protocols: str) -> None:
    """Nothing may be wrong, and the judge must have seen what it was to judge."""
    assert wrong(judged) == []
    assert frozenset[str]().union(*(one.protocols for one in judged)) >= set(protocols)


@pytest.mark.parametrize(
    ("transport", "keys", "srtp"),
    [("UDP", "rtpevent", "off"), ("TCP", "info", "off"), ("UDP", "rtpevent", "required")],
)
def test_call_of_the_program_to_a_softphone_is_well_formed_and_its_code_is_in_the_sound_alone(
    tmp_path: Path, transport: str, keys: str, srtp: str
) -> None:
    folder, encrypted = tmp_path / "phone", srtp == "required"
    folder.mkdir()
    with (
        calling_house(tmp_path) as house,
        baresip(folder, number=TO, keys=keys, options=";mediaenc=srtp-mand" if encrypted else "") as phone,
        tapped_path(phone.port, transport=transport) as path,
    ):
        house.add(path.port, transport=transport.lower(), srtp=srtp, srtp_in_clear=encrypted)
        house.until_available()
        of = house.call()
        press_gate(phone)
        house.told_of(of, type="delivered")
        until(lambda: any(b" BYE\r\n" in one and one.startswith(b"SIP") for one in path.signalling()))
        heard = code_heard(phone)
        judged = dissected(path.write(tmp_path / "call.pcap"), sip_port=path.port)

    assert CODES.fullmatch(heard), heard
    check(
        judged, "sip", "sdp", "rtp", "rtcp", *(["rtpevent"] if keys == "rtpevent" and not encrypted else [])
    )
    profiles = {one.one("sdp.media.proto") for one in judged if "sdp" in one.protocols}
    assert profiles == {"RTP/SAVP" if encrypted else "RTP/AVP"}
    assert {one.method for one in judged} >= {"OPTIONS", "INVITE", "ACK", "BYE"}
    spoken = b"\n".join(path.signalling())
    assert {needle for needle in needles(heard[:6]) if len(needle) > 4 and needle in spoken} == set()


INFO = ask("INFO", 5, headers=["Content-Type: application/dtmf-relay"], body="Signal=7\nDuration=160\n")
HOLD = ask(
    "INVITE",
    6,
    headers=["Contact: <sip:callee@[local_ip]:[local_port]>", "Content-Type: application/sdp"],
    body="v=0\no=callee 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 49170 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=sendonly\n",
)
REFRESH = ask(
    "UPDATE",
    7,
    headers=[
        "Contact: <sip:callee@[local_ip]:[local_port]>",
        "Supported: timer",
        "Session-Expires: 90;refresher=uac",
    ],
)
STRANGE = ask("INFO", 8, headers=["Require: x-nothing"])
PUBLISH = ask("PUBLISH", 9)
LATE = ask("OPTIONS", 4)
RELIABLE = answer(183, sdp=True, headers=["Require: 100rel", "RSeq: 700"])
# Each scenario with what the judge must have seen of us.
SCENARIOS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "answered": (
        (*SERVER_ASKS, authenticated(*ACCEPTED_AND_HUNG_UP)),
        {"INVITE", "ACK", "BYE"},
    ),
    "asked within the call": (
        (
            *ANSWERED,
            *(INFO, expect_answer(200), HOLD, expect_answer(200), ask("ACK", 6)),
            *(REFRESH, expect_answer(200), STRANGE, expect_answer(420), PUBLISH, expect_answer(405)),
            *(LATE, expect_answer(500), ask("BYE", 10), expect_answer(200)),
        ),
        {"INVITE", "ACK", "200", "420", "405", "500"},
    ),
    "reliable ringing": (
        (
            *(expect("INVITE"), RELIABLE, expect("PRACK"), answer(200, tag="")),
            *(answer(200, cseq="CSeq: 1 INVITE", sdp=True, repeat=True), expect("ACK"), *HANGS_UP),
        ),
        {"INVITE", "PRACK", "ACK"},
    ),
    "canceled": (
        (
            *(*TRYING_AND_RINGING, expect("CANCEL"), answer(200)),
            *(answer(487, cseq="CSeq: 1 INVITE", repeat=True), expect("ACK")),
        ),
        {"INVITE", "CANCEL", "ACK"},
    ),
}


@pytest.mark.parametrize(
    ("transport", "srtp"), [("UDP", False), ("TCP", True)], ids=["UDP-plain", "TCP-srtp"]
)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_everything_that_we_say_is_well_formed(
    tmp_path: Path, name: str, transport: str, srtp: bool
) -> None:
    steps, ours = SCENARIOS[name]

    def act(call: LineCall, told: CallEvent) -> None:
        if isinstance(told, Answered) and name == "answered":
            call.hang_up(CallOutcome.COMPLETED)
        elif isinstance(told, Ringing) and name == "canceled":
            call.hang_up(CallOutcome.CANCELED)
        elif isinstance(told, Offered):
            call.answer_offer(write_offer(OFFER))

    cryptos = new_keys(secrets.token_bytes) if srtp else ()
    offer = write_offer(Ours(address="127.0.0.1", port=40_000, session_id=1, cryptos=cryptos))
    async with sipp(*steps, directory=tmp_path, transport=transport) as peer:
        with tapped_path(peer.port, transport=transport) as path:
            async with line_to(path.port, transport=transport) as line:
                callee = Callee(
                    uri=f"sip:{CALLEE}@trunk.example",
                    caller=NameAddr("sip:+911600100200@trunk.example", 'The "Shop", Inc \\ ü'),
                    offer=offer,
                )
                call = await line.call(callee)
                await events_of(call, lambda told: act(call, told))
                await peer.saw_everything()
            judged = dissected(path.write(tmp_path / "call.pcap"), sip_port=path.port)

    check(judged, "sip", "sdp")
    said = {one.octets for one in path.carried if one.sent}
    assert (b"a=crypto:" in b"".join(said)) is srtp
    assert {one.method for one in judged} >= ours


def test_registration_is_well_formed(tmp_path: Path) -> None:
    numbers = itertools.count()
    draw = lambda: f"tok{next(numbers)}"  # noqa: E731
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example", expires_s=600)
    digest = DigestClient(Credentials("shop", "secret"), draw)
    entry = Registration(TRUNK, registrar, digest, draw, now=0.0)
    said = []
    for status, name in ((401, "WWW-Authenticate"), (407, "Proxy-Authenticate"), (200, "X-Nothing")):
        said.append(entry.packets.pop().octets)
        asks = (name, 'Digest realm="trunk.example", nonce="n1", algorithm=SHA-256, qop="auth"')
        entry.receive(parse(sip_samples.reply(parse(said[-1]), status, headers=[asks])), 0.0)
    entry.leave(0.0)
    said.append(entry.packets.pop().octets)
    file = tmp_path / "registration.pcap"
    carried = [Carried(time.time(), 40_000, 41_000, octets, sent=True, signalling=True) for octets in said]
    write_capture(file, carried, tcp=False)
    judged = dissected(file, sip_port=41_000)

    check(judged, "sip")
    assert [one.method for one in judged] == ["REGISTER"] * 4
    assert (said[1].count(b"Authorization: "), said[2].count(b"Authorization: ")) == (1, 2)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_registration_at_kamailio_is_well_formed_on_the_wire(tmp_path: Path, transport: str) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example", expires_s=120)
    async with kamailio(tmp_path / "trunk", phone_port=9, **files) as trunk:
        with tapped_path(trunk.port, transport=transport) as path:
            async with line_to(path.port, transport=transport, registrar=registrar) as line:
                granted = await soon(line.registration_settled())
            judged = dissected(path.write(tmp_path / "registration.pcap"), sip_port=path.port)

    check(judged, "sip")
    assert granted is Registered.YES
    assert [one.method for one in judged] == ["REGISTER", "401", "REGISTER", "200", "REGISTER", "200"]
    said = [one.octets for one in path.carried if one.sent]
    assert [octets.count(b"Authorization: Digest") for octets in said] == [0, 1, 1]


class Callees(asyncio.DatagramProtocol):
    """Everybody who is called: they answer at once, and press the key a little later where they do."""

    def __init__(self, sound_port: int, *, presses: bool = True) -> None:
        self.messages: list[Carried] = []
        self._sound_port, self._presses = sound_port, presses

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._keep(data, addr, sent=True)
        message = parse(data)
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self._sound_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        ).encode()
        contact = f"<sip:phone@127.0.0.1:{self.port}>"
        match message.method:
            case "INVITE":
                self._say(sip_samples.reply(message, 180, contact=contact), addr)
                kind = [("Content-Type", "application/sdp")]
                self._say(sip_samples.reply(message, 200, headers=kind, body=sdp, contact=contact), addr)
                if self._presses:
                    asyncio.get_running_loop().call_later(1.5, self._press, message, addr)
            case "BYE":
                self._say(sip_samples.reply(message, 200), addr)

    def called(self, method: str) -> int:
        """Return in how many calls they were told this."""
        told = [parse(one.octets) for one in self.messages if one.sent]
        return len({one.call_id for one in told if one.method == method})

    def _press(self, invite: Any, addr: Address) -> None:
        kind = [("Content-Type", "application/dtmf-relay")]
        body = f"Signal={GATE}\r\n".encode()
        self._say(sip_samples.ask(invite, "INFO", headers=kind, body=body), addr)

    def _say(self, octets: bytes, to: Address) -> None:
        self._keep(octets, to, sent=False)
        self._transport.sendto(octets, to)

    def _keep(self, octets: bytes, line: Address, *, sent: bool) -> None:
        source, to = (line[1], self.port) if sent else (self.port, line[1])
        self.messages.append(Carried(time.time(), source, to, octets, sent=sent, signalling=True))


def some_code(dice: random.Random) -> str:
    """Draw a code so long that no token or tag holds it by chance."""
    letters = dice.choice([string.digits, string.ascii_uppercase + string.digits])
    return "".join(dice.choices(letters, k=10))


async def test_no_code_of_hundreds_is_anywhere_in_the_signalling(tmp_path: Path) -> None:
    dice = random.Random(7)
    codes = [some_code(dice) for _ in range(CALLS)]
    loop = asyncio.get_running_loop()
    nobody, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    sound_port = nobody.get_extra_info("sockname")[1]
    wire, callees = await loop.create_datagram_endpoint(
        lambda: Callees(sound_port), local_addr=("127.0.0.1", 0)
    )
    async with spoken_calls(callees.port, speech_of=lambda _locale, _tenant: Words()) as line:
        calls = [line.dial(code, to=f"+9198{number:08}", locale="en") for number, code in enumerate(codes)]
        outcomes = {await call.ends() for call in calls}
    for one in (nobody, wire):
        one.close()
    file = tmp_path / "calls.pcap"
    write_capture(file, callees.messages, tcp=False)
    judged = dissected(file, sip_port=callees.port)

    assert outcomes == {Outcome.DELIVERED}
    assert all(call.told.count("spoken") == 2 for call in calls)
    check(judged, "sip", "sdp")
    assert sum(one.method == "BYE" for one in judged) >= CALLS
    spoken = b"\n".join(message.octets for message in callees.messages)
    assert {code for code in codes if any(needle in spoken for needle in needles(code))} == set()
    # The search finds what is there.
    assert any(needle in spoken + b"x" + codes[0].encode() for needle in needles(codes[0]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda octets: octets.replace(b"Content-Length: ", b"Content-Length= "),
        lambda octets: octets.replace(b"m=audio", b"m=audio x"),
        lambda octets: octets.replace(b"CSeq: 1 INVITE", b"CSeq: 1 ACK"),
        lambda octets: octets.replace(b"i: 7f3a", b"7f3a"),
        lambda octets: octets.replace(b";tag=ours", b""),
        lambda octets: octets.replace(b"o=- ", b"o="),
        lambda octets: octets.replace(b"\r\nc=IN", b"\r\nc IN"),
        lambda octets: octets.replace(b"INVITE sip", b"INVITE\tsip"),
    ],
)
def test_judge_finds_what_is_wrong(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    invite = sip_samples.INVITE.replace(b"l: 5\r\n\r\nv=0\r\n", b"")
    offer = write_offer(OFFER)
    octets = invite + b"Content-Length: %d\r\n\r\n" % len(offer) + offer
    file = tmp_path / "spoilt.pcap"
    for sound, expected in ((octets, False), (spoil(octets), True)):
        write_capture(
            file, [Carried(time.time(), 40_000, 41_000, sound, sent=True, signalling=True)], tcp=False
        )
        judged = dissected(file, sip_port=41_000)
        assert bool(wrong(judged)) is expected
