"""The exchange in the box over sockets, called by our own trunk: sound, keys, and all that goes wrong."""

import pytest

from dastak.core.errors import Overloaded
from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import REFUSALS, CallFate, CallFault
from dastak.simulator.call_pages import as_wav
from dastak.simulator.delays import Uniform
from dastak.simulator.exchange import telephone_exchange as exchange_module
from dastak.simulator.exchange.virtual_call import CallState
from dastak.simulator.faults import Fault
from dastak.voice.sip.call_events import Answered, EarlyMedia, Ringing, Trying
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sound.g711 import SILENT_FRAME
from tests.support.exchange_caller import NUMBER, calling, words

FRAMES = [bytes([n]) * 160 for n in range(1, 61)]
SPOKEN = b"".join(FRAMES)


@pytest.mark.parametrize(
    ("transport", "password"), [("UDP", ""), ("TCP", ""), ("UDP", "secret"), ("TCP", "secret")]
)
async def test_phone_is_answered_hears_bit_for_bit_and_keys_go_both_ways(
    transport: str, password: str
) -> None:
    async with calling(transport=transport, password=password) as caller:
        ours = await caller.dial()
        await ours.until(Ringing)
        phone = await caller.until(CallState.RINGING)
        assert caller.exchange.ringing(NUMBER) is phone
        phone.answer()
        await ours.until(Answered)
        await caller.until_logged(phone, "ACK")
        listener = phone.listen()
        ours.speak(FRAMES)
        phone.press("7")
        phone.press("#")
        await ours.until_keys("7#")
        await ours.spoke.wait()
        ours.hang_up()
        ended = await ours.ended()
        await caller.until(CallState.ENDED)

    pieces = []
    while (sound := await listener.sound()) is not None:
        pieces.append(sound)
    assert ended.outcome is CallOutcome.COMPLETED
    assert SPOKEN in phone.heard
    assert b"".join(pieces) in phone.heard
    assert SPOKEN in b"".join(pieces)
    assert (phone.caller, phone.keys, phone.why) == ("+911600100200", "7#", "BYE")
    assert words(phone) == ["INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "key 7", "key #", "BYE"]


@pytest.mark.parametrize("fate", [fate for fate in REFUSALS if fate is not CallFate.NO_ANSWER])
async def test_phone_that_refuses_by_itself_says_why(fate: CallFate) -> None:
    refusal = REFUSALS[fate]
    async with calling(fate) as caller:
        ours = await caller.dial()
        ended = await ours.ended()
        phone = await caller.until(CallState.ENDED)

    assert (ended.status, ended.cause) == (refusal.status, refusal.cause)
    assert any(isinstance(event, Ringing) for event in ours.events) == (fate is CallFate.DECLINE)
    assert phone.why == str(refusal)


async def test_person_declines_and_person_hangs_up() -> None:
    async with calling() as caller:
        declined = await caller.dial()
        await declined.until(Ringing)
        (await caller.until(CallState.RINGING)).put_down()
        told = await declined.ended()
        hung_up = await caller.dial()
        await hung_up.until(Ringing)
        phone = await caller.until(CallState.RINGING)
        phone.answer()
        await hung_up.until(Answered)
        await caller.until_logged(phone, "ACK")
        phone.put_down()
        over = await hung_up.ended()

    assert (told.outcome, told.status) == (CallOutcome.DECLINED, 603)
    assert over.outcome is CallOutcome.REMOTE_HANGUP
    assert phone.why == "BYE"


async def test_what_comes_too_late_changes_nothing() -> None:
    async with calling() as caller:
        ours = await caller.dial()
        await ours.until(Ringing)
        phone = await caller.until(CallState.RINGING)
        phone.press("1")
        ours.hang_up()
        await ours.ended()
        await caller.until(CallState.ENDED)
        for act in (phone.answer, phone.put_down, lambda: phone.press("1")):
            act()

    assert (phone.keys, phone.why, phone.heard) == ("", "CANCEL", b"")
    assert await phone.listen().sound() is None


async def test_phone_that_nobody_answers_rings_out_in_the_network() -> None:
    async with calling(CallFault(does=CallFate.NO_ANSWER, after=0.1)) as caller:
        ended = await (await caller.dial()).ended()

    assert (ended.outcome, ended.status, ended.cause) == (CallOutcome.NO_ANSWER, 480, 19)


async def test_voicemail_answers_beeps_and_presses_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(CallFault(does=CallFate.VOICEMAIL, after=0.0, keys="135", hang_up_s=2.0)) as caller:
        ours = await caller.dial()
        await ours.until(Answered)
        await ours.until_keys("135")
        ended = await ours.ended()

    assert ended.outcome is CallOutcome.REMOTE_HANGUP
    assert ours.leg.counts.received > 50


async def test_early_media_is_heard_and_is_no_answer() -> None:
    async with calling(CallFault(early_media=True)) as caller:
        ours = await caller.dial()
        early = await ours.until(EarlyMedia)
        await ours.until(Ringing)
        ours.hang_up()
        ended = await ours.ended()
        phone = await caller.until(CallState.ENDED)

    assert b"m=audio" in early.sdp  # type: ignore[attr-defined]
    assert not any(isinstance(event, Answered) for event in ours.events)
    assert ended.status == 487
    assert words(phone)[:4] == ["INVITE", "100 Trying", "183 Session Progress", "180 Ringing"]


async def test_late_answer_is_acknowledged_and_hung_up() -> None:
    async with calling(CallFault(late_answer=True)) as caller:
        ours = await caller.dial()
        await ours.until(Ringing)
        ours.hang_up()
        await ours.ended()
        phone = await caller.until(CallState.ENDED)

    assert words(phone)[3:] == ["CANCEL", "200 OK", "ACK", "BYE"]


async def test_lost_acks_and_byes_are_said_again() -> None:
    fault = CallFault(does=CallFate.ANSWER, after=0.0, lost_acks=2, lost_byes=1)
    async with calling(fault) as caller:
        ours = await caller.dial()
        await ours.until(Answered)
        phone = await caller.until(CallState.ANSWERED)
        await caller.until_logged(phone, "ACK")
        ours.hang_up()
        await caller.until(CallState.ENDED)

    assert words(phone)[3:] == ["200 OK", "ACK lost", "ACK lost", "ACK", "BYE lost", "BYE"]


async def test_forked_call_speaks_to_one_phone_and_hangs_up_on_the_others() -> None:
    async with calling(CallFault(does=CallFate.ANSWER, after=0.0, forks=3)) as caller:
        ours = await caller.dial()
        await ours.until(Answered)
        phone = await caller.until(CallState.ANSWERED)
        for n in (2, 3):
            await caller.until_logged(phone, f"BYE of phone {n}")
        assert phone.state is CallState.ANSWERED
        ours.hang_up()
        await caller.until(CallState.ENDED)

    assert words(phone)[-1] == "BYE"
    assert sum(isinstance(event, Answered) for event in ours.events) == 1


async def test_slow_exchange_gets_the_invite_again_and_has_one_call() -> None:
    async with calling(CallFault(slow=1.2)) as caller:
        ours = await caller.dial()
        await ours.until(Trying)
        await ours.until(Ringing)
        calls = caller.exchange.calls(NUMBER)
        ours.hang_up()
        await ours.ended()

    assert len(calls) == 1


async def heard_with(fault: CallFault, seed: int = 1) -> tuple[bytes, str, list[str]]:
    """Return what the phone heard, the keys that came of it, and its log."""
    async with calling(fault, seed=seed) as caller:
        ours = await caller.dial()
        await ours.until(Answered)
        phone = await caller.until(CallState.ANSWERED)
        ours.speak(FRAMES)
        await ours.spoke.wait()
        ours.hang_up()
        await caller.until(CallState.ENDED)
        return phone.heard, ours.keys, words(phone)


async def test_one_way_sound() -> None:
    answers = {"does": CallFate.ANSWER, "after": 0.0, "keys": "5"}
    deaf = await heard_with(CallFault(**answers, loss_to_phone=1.0))  # type: ignore[arg-type]
    mute = await heard_with(CallFault(**answers, loss_from_phone=1.0))  # type: ignore[arg-type]

    assert deaf[:2] == (b"", "5")
    assert SPOKEN in mute[0]
    assert mute[1] == ""


async def test_lost_packets_are_silence_and_the_same_for_the_same_seed() -> None:
    fault = CallFault(does=CallFate.ANSWER, after=0.0, loss_to_phone=0.3)
    sound, _, log = await heard_with(fault)
    again, _, log_again = await heard_with(fault)
    heard = [sound[at : at + 160] for at in range(0, len(sound), 160)]
    spoken = [frame for frame in heard if frame != SILENT_FRAME]

    assert 20 < len(spoken) < 58
    assert set(spoken) < set(FRAMES)
    assert lost_of(sound) == lost_of(again)
    assert log == log_again


def lost_of(sound: bytes) -> list[int]:
    """Return which frames of what was spoken did not come, up to the last that did."""
    return [n for n, frame in enumerate(FRAMES[:40]) if frame not in sound]


async def test_same_seed_gives_the_same_logs() -> None:
    faults = (
        Fault(number="*1", call=CallFault(does=CallFate.DECLINE, after=Uniform(min_s=0.0, max_s=0.2))),
        Fault(
            number="*2",
            # Its key is pressed a quarter of a second from the ACK that comes, and its end half of one.
            call=CallFault(does=CallFate.ANSWER, after=0.0, lost_acks=1, keys="1", hang_up_s=1.0),
        ),
        Fault(number="*3", call=CallFate.BUSY),
    )

    async def logs() -> list[list[str]]:
        async with calling(*faults, seed=9) as caller:
            calls = [await caller.dial(f"+91987654321{n}") for n in (1, 2, 3)]
            for call in calls:
                await call.ended()
            return [words(caller.exchange.calls(Msisdn(f"+91987654321{n}"))[-1]) for n in (1, 2, 3)]

    assert await logs() == await logs()


async def test_exchange_that_goes_down_ends_its_calls() -> None:
    async with calling() as caller:
        rings, speaks = await caller.dial("+919876543211"), await caller.dial("+919876543212")
        await rings.until(Ringing)
        await speaks.until(Ringing)
        (await caller.until(CallState.RINGING, Msisdn("+919876543212"))).answer()
        await speaks.until(Answered)
        await caller.exchange.__aexit__(None, None, None)
        ends = [await one.ended() for one in (rings, speaks)]

    assert [(end.outcome, end.status) for end in ends] == [
        (CallOutcome.TRUNK_DOWN, 503),
        (CallOutcome.REMOTE_HANGUP, 200),
    ]


async def test_call_that_no_port_is_left_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise Overloaded("all pairs of media ports are in use")

    monkeypatch.setattr(exchange_module, "PhoneSound", none_left)
    async with calling() as caller:
        ended = await (await caller.dial()).ended()

    assert (ended.status, ended.cause) == (503, 42)


async def test_ended_calls_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "CALLS_MAX", 1)
    monkeypatch.setattr(exchange_module, "KEPT_MAX", 2)
    async with calling(CallFate.BUSY) as caller:
        for _ in range(5):
            await (await caller.dial()).ended()

        assert [call.id for call in caller.exchange.calls(NUMBER)] == [3, 4, 5]


async def test_listener_who_does_not_keep_up_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dastak.simulator.exchange.listener.PENDING_MAX", 1)
    async with calling(CallFault(does=CallFate.ANSWER, after=0.0)) as caller:
        ours = await caller.dial()
        await ours.until(Answered)
        slow = (await caller.until(CallState.ANSWERED)).listen()
        ours.speak(FRAMES)
        await ours.spoke.wait()
        ours.hang_up()
        await ours.ended()

        assert await slow.sound() is not None
        assert await slow.sound() is None


def test_wav_file_says_how_long_it_is() -> None:
    octets = as_wav(b"\xff" * 8001)

    assert octets[:4] == b"RIFF"
    assert int.from_bytes(octets[4:8], "little") == len(octets) - 8
    assert octets[8:12] == b"WAVE"
    assert len(octets) % 2 == 0
