"""Our calling side against SIPp, through real sockets: every end a call can come to."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dastak.voice.sip.call_events import Answered, CallEvent, EarlyMedia, Ended, Key, Offered, Ringing, Trying
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.line_call import LineCall
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_sockets import LineSettings
from dastak.voice.sip.sip_transactions import Timing
from dastak.voice.sip.sip_transport import SipLine
from tests.support.lossy_path import lossy_path
from tests.support.sipp import Sipp, answer, ask, authenticated, expect, expect_answer, sipp
from tests.support.smpp_pair import soon

TRYING_AND_RINGING = (expect("INVITE"), answer(100, tag=""), answer(180))
ANSWERED = (*TRYING_AND_RINGING, answer(200, sdp=True, repeat=True), expect("ACK"))
HUNG_UP = (expect("BYE"), answer(200, tag=""))
ACCEPTED_AND_HUNG_UP = (answer(180), answer(200, sdp=True, repeat=True), expect("ACK"), *HUNG_UP)
HANGS_UP = (ask("BYE", 9, headers=["Reason: Q.850;cause=16"]), expect_answer(200))
ASKS = 'Digest realm="trunk.example", nonce="4711", algorithm=MD5, qop="auth"'
PROXY_ASKS = (expect("INVITE"), answer(407, headers=[f"Proxy-Authenticate: {ASKS}"]), expect("ACK"))
# SIPp judges only the proof that a server asks for, not that of a proxy.
SERVER_ASKS = (expect("INVITE"), answer(401, headers=[f"WWW-Authenticate: {ASKS}"]), expect("ACK"))


def line_to(port: int | None, *, transport: str = "UDP", ring_s: float = 25.0, **changes: Any) -> SipLine:
    trunk = SipTrunk(
        transport=transport,
        sent_by="set.by.the.line",
        contact="sip:set.by.the.line",
        ring_s=ring_s,
        timing=Timing(silence_s=changes.pop("silence_s", 5.0)),
    )
    wanted = {"trunk": trunk, "host": "127.0.0.1", "port": port, "credentials": Credentials("shop", "secret")}
    return SipLine(LineSettings(**(wanted | changes)), lambda: secrets.token_hex(8))


def callee(port: int) -> Callee:
    return Callee(
        uri=f"sip:+919876543210@127.0.0.1:{port}",
        caller=NameAddr("sip:+911600100200@trunk.example", "Shop"),
        offer=b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    )


async def events_of(call: LineCall, act: Callable[[CallEvent], None] = lambda _: None) -> list[CallEvent]:
    """Read the events to the end, acting on each."""
    events: list[CallEvent] = []
    while not events or not isinstance(events[-1], Ended):
        events.append(await soon(call.events.get()))
        act(events[-1])
    return events


async def one_call(
    peer: Sipp, *, act: Callable[[LineCall, CallEvent], None] = lambda *_: None, **line: Any
) -> list[CallEvent]:
    """Call SIPp once; it must have seen all it waits for, the ACK included."""
    async with line_to(peer.port, **line) as trunk:
        call = await trunk.call(callee(peer.port))
        events = await events_of(call, lambda event: act(call, event))
        await peer.saw_everything()
    return events


def hang_up_when(kind: type[CallEvent], outcome: CallOutcome) -> Callable[[LineCall, CallEvent], None]:
    return lambda call, event: call.hang_up(outcome) if isinstance(event, kind) else None


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_answered_call_is_acknowledged_and_hung_up(tmp_path: Path, transport: str) -> None:
    async with sipp(*ANSWERED, *HUNG_UP, directory=tmp_path, transport=transport) as peer:
        events = await one_call(peer, transport=transport, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert [type(event) for event in events] == [Trying, Ringing, Answered, Ended]
    assert b"m=audio 49170" in events[2].sdp
    assert events[3] == Ended(CallOutcome.COMPLETED, 200)


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        (486, 17, CallOutcome.BUSY),
        (480, 19, CallOutcome.NO_ANSWER),
        (480, 20, CallOutcome.ABSENT),
        (503, 34, CallOutcome.TRUNK_DOWN),
        (603, 21, CallOutcome.DECLINED),
        (404, 1, CallOutcome.INVALID_NUMBER),
        (600, 17, CallOutcome.BUSY),
        (302, None, CallOutcome.FAILED),
    ],
)
async def test_refusal_is_acknowledged_and_named(
    tmp_path: Path, status: int, cause: int | None, outcome: CallOutcome
) -> None:
    reason = [f'Reason: Q.850;cause={cause};text="so"'] if cause else []
    steps = (*TRYING_AND_RINGING, answer(status, headers=reason, repeat=True), expect("ACK"))

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer)

    assert events == [Trying(), Ringing(180), Ended(outcome, status, cause)]


@pytest.mark.parametrize(
    "steps",
    [
        (*PROXY_ASKS, expect("INVITE"), *ACCEPTED_AND_HUNG_UP),
        (*PROXY_ASKS, *SERVER_ASKS, authenticated(*ACCEPTED_AND_HUNG_UP)),
    ],
)
async def test_challenge_is_proved_and_the_call_goes_on(tmp_path: Path, steps: tuple[str, ...]) -> None:
    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert events[-1] == Ended(CallOutcome.COMPLETED, 200)


async def test_wrong_password_is_told(tmp_path: Path) -> None:
    async with sipp(*SERVER_ASKS, authenticated(), directory=tmp_path) as peer:
        events = await one_call(peer, credentials=Credentials("shop", "guess"))

    assert events == [Ended(CallOutcome.FORBIDDEN, 403)]


async def test_trunk_that_challenges_without_end_does_not_know_us(tmp_path: Path) -> None:
    async with sipp(*PROXY_ASKS, *PROXY_ASKS, *PROXY_ASKS, directory=tmp_path) as peer:
        events = await one_call(peer)

    assert events == [Ended(CallOutcome.AUTH_FAILED, 407)]


async def test_phone_that_rings_for_ever_is_canceled(tmp_path: Path) -> None:
    steps = (
        *TRYING_AND_RINGING,
        expect("CANCEL"),
        answer(200),
        answer(487, cseq="CSeq: 1 INVITE", repeat=True),
        expect("ACK"),
    )

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, ring_s=0.5)

    assert events == [Trying(), Ringing(180), Ended(CallOutcome.NO_ANSWER, 487)]


async def test_answer_that_races_the_cancel_is_hung_up(tmp_path: Path) -> None:
    late = answer(200, cseq="CSeq: 1 INVITE", sdp=True, repeat=True)
    steps = (*TRYING_AND_RINGING, expect("CANCEL"), answer(200), late, expect("ACK"), *HUNG_UP)

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Ringing, CallOutcome.CANCELED))

    assert events == [Trying(), Ringing(180), Ended(CallOutcome.CANCELED, 200)]


@pytest.mark.parametrize("lost", [[b"ACK"], [b"SIP/2.0 200"], [b"INVITE", b"ACK", b"BYE"], [b"INVITE"] * 2])
async def test_call_stands_what_the_network_loses(tmp_path: Path, lost: list[bytes]) -> None:
    async with (
        lossy_path(lost) as path,
        sipp(*ANSWERED, *HUNG_UP, directory=tmp_path, contact_port=path.port) as peer,
        line_to(path.port) as trunk,
    ):
        path.peer = ("127.0.0.1", peer.port)
        call = await trunk.call(callee(path.port))
        await path.until_passed(b"ACK")
        call.hang_up(CallOutcome.COMPLETED)
        events = await events_of(call)
        await peer.saw_everything()

    assert path.lost == []
    assert [type(event) for event in events] == [Trying, Ringing, Answered, Ended]


async def test_second_fork_is_hung_up_and_the_first_stays(tmp_path: Path) -> None:
    other = answer(200, cseq="CSeq: 1 INVITE", tag="other").replace("[last_To:]", "To: <sip:callee@x>")
    steps = (*ANSWERED, other, expect("ACK"), *HUNG_UP, *HANGS_UP)

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer)

    assert [type(event) for event in events] == [Trying, Ringing, Answered, Ended]


async def test_callee_that_hangs_up_is_answered_and_its_cause_told(tmp_path: Path) -> None:
    async with sipp(*ANSWERED, *HANGS_UP, directory=tmp_path) as peer:
        events = await one_call(peer)

    assert events[-1] == Ended(CallOutcome.REMOTE_HANGUP, 200, 16)


async def test_key_by_info_and_hold_by_re_invite_are_told(tmp_path: Path) -> None:
    info = ask("INFO", 5, headers=["Content-Type: application/dtmf-relay"], body="Signal=7\nDuration=160\n")
    hold = ask("INVITE", 6, headers=["Contact: <sip:callee@[local_ip]:[local_port]>"], body="v=0\n")
    steps = (*ANSWERED, info, expect_answer(200), hold, expect_answer(200), ask("ACK", 6), *HANGS_UP)

    def act(call: LineCall, event: CallEvent) -> None:
        if isinstance(event, Offered):
            call.answer_offer(b"v=0\r\n")

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=act)

    keys_and_holds = [event for event in events if isinstance(event, Key | Offered)]
    assert keys_and_holds[0] == Key("7")
    assert keys_and_holds[1].sdp.startswith(b"v=0")
    assert events[-1] == Ended(CallOutcome.REMOTE_HANGUP, 200, 16)


async def test_early_media_is_told_and_is_no_answer(tmp_path: Path) -> None:
    early = (expect("INVITE"), answer(183, sdp=True), answer(480, repeat=True), expect("ACK"))

    async with sipp(*early, directory=tmp_path) as peer:
        events = await one_call(peer)

    assert [type(event) for event in events] == [EarlyMedia, Ended]
    assert events[-1] == Ended(CallOutcome.NO_ANSWER, 480)
