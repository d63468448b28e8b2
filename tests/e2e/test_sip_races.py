"""What trunks do that is rare, against the engine over real sockets: forks, races, refreshes, odd headers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from dastak.core.outcome import Outcome
from dastak.voice.prompts import pack
from dastak.voice.sip.call_events import Answered, EarlyMedia, Ended, Ringing, Trying
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_call import CANCEL_PATIENCE_S
from tests.e2e.test_sip_sipp import (
    ACCEPTED_AND_HUNG_UP,
    HUNG_UP,
    TRYING_AND_RINGING,
    callee,
    events_of,
    hang_up_when,
    line_to,
    one_call,
)
from tests.support import sip_samples
from tests.support.sip_phone import sip_phone
from tests.support.sipp import answer, authenticated, expect, pause, sipp
from tests.support.sipp import ask as sipp_asks
from tests.support.smpp_pair import soon
from tests.support.spoken_call import GATE, spoken_calls
from tests.support.talking_phone import TalkingPhone, talking_phone

ENGLISH = pack("en")
FIRST = 'Digest realm="trunk.example", nonce="1111", algorithm=MD5, qop="auth"'
STALE = 'Digest realm="trunk.example", nonce="2222", stale=true, algorithm=MD5, qop="auth"'


def server_asks(challenge: str) -> tuple[str, ...]:
    return expect("INVITE"), answer(401, headers=[f"WWW-Authenticate: {challenge}"]), expect("ACK")


async def test_stale_nonce_is_proved_with_the_new_one(tmp_path: Path) -> None:
    steps = (*server_asks(FIRST), *server_asks(STALE), authenticated(*ACCEPTED_AND_HUNG_UP))

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert events[-1] == Ended(CallOutcome.COMPLETED, 200)
    proofs = [
        message
        for message in peer.messages()
        if "Authorization: Digest" in message and "INVITE sip:" in message
    ]
    assert ['nonce="1111"' in proof for proof in proofs] == [True, False]
    assert "nc=00000001" in proofs[1]


async def test_phones_that_ring_at_once_are_one_call_and_the_one_that_answers_has_it(tmp_path: Path) -> None:
    steps = (
        *(expect("INVITE"), answer(180, tag="first"), answer(180, tag="second"), answer(183, tag="third")),
        *(answer(200, tag="second", sdp=True, repeat=True), expect("ACK"), *HUNG_UP),
    )

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert [type(event) for event in events] == [Ringing, Ringing, EarlyMedia, Answered, Ended]
    acks = [message for message in peer.messages() if "ACK sip:" in message]
    assert [";tag=second" in ack for ack in acks] == [True]


async def test_phone_that_answers_long_after_the_cancel_is_hung_up_though_the_call_is_over(
    tmp_path: Path,
) -> None:
    late = answer(200, cseq="CSeq: 1 INVITE", sdp=True, repeat=True)
    lull = pause(int(CANCEL_PATIENCE_S * 1_000) + 700)
    steps = (*TRYING_AND_RINGING, expect("CANCEL"), answer(200), lull, late, expect("ACK"), *HUNG_UP)

    async with sipp(*steps, directory=tmp_path) as peer, line_to(peer.port) as line:
        call = await line.call(callee(peer.port))
        events = await events_of(
            call, lambda told: call.hang_up(CallOutcome.CANCELED) if isinstance(told, Ringing) else None
        )
        await peer.saw_everything()

    assert events == [Trying(), Ringing(180), Ended(CallOutcome.CANCELED)]


async def test_cancel_that_the_trunk_does_not_know_ends_with_its_487(tmp_path: Path) -> None:
    steps = (
        *(*TRYING_AND_RINGING, expect("CANCEL"), answer(481)),
        *(answer(487, cseq="CSeq: 1 INVITE", repeat=True), expect("ACK")),
    )

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Ringing, CallOutcome.CANCELED))

    assert events[-1] == Ended(CallOutcome.CANCELED, 487)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("how", ["compact", "long"])
async def test_answer_is_read_however_its_headers_are_written(
    tmp_path: Path, transport: str, how: str
) -> None:
    steps = (*TRYING_AND_RINGING, answer(200, sdp=True, repeat=True), expect("ACK"), *HUNG_UP)
    changed = {
        "compact": (
            ("Contact:", "m:"),
            ("Content-Type:", "c:"),
            ("Content-Length:", "l:"),
        ),
        "long": (("Contact:", f"X-Long: {'z' * 10_000}\nContact:"),),
    }[how]
    written = [_changed(step, changed) if step.startswith("<send") else step for step in steps]

    async with sipp(*written, directory=tmp_path, transport=transport) as peer:
        events = await one_call(peer, transport=transport, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert [type(event) for event in events] == [Trying, Ringing, Answered, Ended]
    assert b"m=audio 49170" in next(event.sdp for event in events if isinstance(event, Answered))


async def test_folded_answer_is_read() -> None:
    async with sip_phone() as phone, line_to(phone.port, transport="TCP") as line:
        call = await line.call(callee(phone.port))
        octets = sip_samples.reply(
            await phone.hears("INVITE"), 200, body=b"sdp", headers=[("X-Folded", "one")]
        )
        for plain, folded in {
            b"From: ": b"From:\r\n \t ",
            b";tag=theirs": b"\r\n ;tag=theirs",
            b"X-Folded: one": b"X-Folded: one\r\n two\r\n\tthree",
            b"CSeq: 1 INVITE": b"CSeq: 1\r\n INVITE",
        }.items():
            assert plain in octets
            octets = octets.replace(plain, folded)
        phone.say(octets)
        answered = await soon(call.events.get())
        ack = await phone.hears("ACK")
        call.hang_up(CallOutcome.COMPLETED)
        phone.say(sip_samples.reply(await phone.hears("BYE"), 200))

    assert answered == Answered(b"sdp")
    assert ack.to_tag == "theirs"


def _changed(step: str, pairs: Sequence[tuple[str, str]]) -> str:
    for old, new in pairs:
        step = step.replace(old, new)
    return step


async def test_bye_that_crosses_ours_is_answered(tmp_path: Path) -> None:
    steps = (
        *(*TRYING_AND_RINGING, answer(200, sdp=True, repeat=True), expect("ACK"), expect("BYE")),
        *(sipp_asks("BYE", 9), '<recv response="200"/>'),
    )

    async with sipp(*steps, directory=tmp_path) as peer:
        events = await one_call(peer, act=hang_up_when(Answered, CallOutcome.COMPLETED))

    assert events[-1] == Ended(CallOutcome.COMPLETED, 200)


async def test_answer_without_a_description_is_hung_up_and_is_a_fault_of_the_trunk() -> None:
    async with talking_phone(sdp=False) as phone, spoken_calls(phone.port) as line:
        call = line.dial()
        outcome = await call.ends()
        await asyncio.wait_for(phone.hung_up.wait(), 5)

    assert outcome is Outcome.ROUTE_CONFIG
    assert "answered" not in call.told
    assert phone.sound.datagrams == []


def named(recording: bytes) -> bool:
    return ENGLISH.clip(f"gate_{GATE}") in recording


async def begun(phone: TalkingPhone) -> None:
    """Wait until some of the code is heard."""
    await phone.until_heard(lambda recording: ENGLISH.clip("code_is") in recording)


async def test_key_by_info_opens_the_code_and_a_person_who_hangs_up_in_the_gate_hears_none() -> None:
    async with (
        talking_phone() as one,
        talking_phone() as two,
        spoken_calls(one.port) as to_one,
        spoken_calls(two.port) as to_two,
    ):
        first, second = to_one.dial("471102"), to_two.dial("471102")
        await one.until_heard(named)
        pressed = await one.presses_by_info(GATE)
        left = await two.asks("BYE")
        outcome = await second.ends()
        await begun(one)
        await one.asks("BYE")
        cut_off = await first.ends()

    assert (pressed.status, left.status) == (200, 200)
    assert (outcome, cut_off) == (Outcome.HUNG_UP, Outcome.HUNG_UP)
    assert "right_key" in first.told
    assert ENGLISH.clip("code_is") not in two.recorded()


async def test_speaking_call_is_held_resumed_and_refreshed_and_says_all_of_it() -> None:
    async with talking_phone() as phone, spoken_calls(phone.port) as line:
        call = line.dial("47")
        await phone.until_heard(named)
        phone.press(GATE)
        await begun(phone)
        held = await phone.says("sendonly")
        heard_while_held = len(phone.sound.datagrams)
        refreshed = await phone.asks(
            "UPDATE", headers=[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]
        )
        inactive = await phone.says("inactive")
        later = len(phone.sound.datagrams)
        resumed = await phone.says("sendrecv")
        again = await phone.says("sendrecv")
        outcome = await call.ends()

    assert [one.status for one in (held, refreshed, inactive, resumed, again)] == [200] * 5
    for one in (refreshed, resumed, again):
        assert one.first("Session-Expires") == "90;refresher=uac"
    assert b"a=recvonly" in held.body
    assert b"a=inactive" in inactive.body
    assert b"a=sendrecv" in resumed.body
    # A packet may have been on its way.
    assert later - heard_while_held <= 1
    assert outcome is Outcome.DELIVERED
    # Nothing was left out or said twice: without the pause, all of it is heard in its order.
    payloads = b"".join(packet.payload for packet in phone.sound.packets)
    reading = b"".join(ENGLISH.code("47"))
    assert ENGLISH.clip("code_is") + reading in payloads
    assert payloads.count(reading) == 2
