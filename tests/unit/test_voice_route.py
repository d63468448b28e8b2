import asyncio
import re
from random import Random

import pytest

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.events import MessageDelivered, VerificationApproved
from dastak.core.message import MessageKey, Receipt
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.voice.ivr import SILENCE
from dastak.voice.line import Dial, Hearer, Script, ivr_of
from dastak.voice.voice_route import VoiceRoute
from tests.support.samples import MSISDN, some_verification
from tests.unit.test_ivr import Words

VERIFICATION = some_verification()
KEY = MessageKey(VERIFICATION.id, 1)


class Leg:
    """One call."""

    def __init__(self, dial: Dial, hearer: Hearer) -> None:
        self.hearer = hearer
        self.ivr = ivr_of(dial.script, lambda _locale, _tenant: Words(), hearer.on_step)
        self.answered = self.over = False

    def hang_up(self) -> None:
        if not self.over:
            self.over = True
            outcome = self.ivr.outcome if self.answered else Outcome.NOT_ANSWERED
            self.hearer.on_ended(outcome, "hung up here")

    def answer(self) -> None:
        self.answered = True
        self.hearer.on_answered("200")

    def listen(self, *, press: str = "") -> list[str]:
        """Hear the call to its end, and press a key once a digit was asked for: `gate` is that digit."""
        heard: list[str] = []
        while (frame := self.ivr.frame()) is not None:
            if frame != SILENCE:
                heard.append(frame.decode().rstrip("."))
            elif press and heard[-1:] and heard[-1].startswith("gate_"):
                self.ivr.key(heard[-1][-1] if press == "gate" else press)
                press = ""
        self.over = True
        self.hearer.on_ended(self.ivr.outcome, "BYE")
        return heard


class Line:
    """A line in the hands of a test."""

    available = True
    calls_max = 7

    def __init__(self) -> None:
        self.dials: list[Dial] = []
        self.legs: list[Leg] = []
        self.dialled = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return sum(not leg.over for leg in self.legs)

    def dial(self, dial: Dial, hearer: Hearer) -> Leg:
        self.dials.append(dial)
        self.legs.append(Leg(dial, hearer))
        self.dialled.set()
        return self.legs[-1]


class Desk:
    """A route on such a line, and what it tells."""

    def __init__(self) -> None:
        self.line = Line()
        self.receipts: list[Receipt] = []
        self.steps: list[str] = []
        self.details: list[str] = []
        self.outgoing = outgoing()
        self.route = VoiceRoute(
            "trunk",
            self.line,
            take_receipt=lambda receipt, _acknowledge: self.receipts.append(receipt),
            take_step=self.take_step,
            chance=Random(1),
        )

    def take_step(self, _key: MessageKey, step: str, detail: str) -> None:
        self.steps.append(step)
        self.details.append(detail)

    async def dialled(self) -> tuple[asyncio.Task[object], Leg]:
        self.line.dialled.clear()
        task = asyncio.create_task(self.route.submit(self.outgoing))
        await self.line.dialled.wait()
        return task, self.line.legs[-1]

    async def ringing(self) -> Leg:
        task, leg = await self.dialled()
        leg.hearer.on_ringing("180")
        await task
        return leg


def outgoing() -> Outgoing:
    return Outgoing(KEY, MSISDN, "", "+911600", validity_s=300, code="4711", locale="en", brand="Acme")


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_call_that_rang_keeps_its_channel_until_it_ends(desk: Desk) -> None:
    task, leg = await desk.dialled()
    searching = desk.route.in_flight_max
    leg.hearer.on_ringing("180")
    await task
    rang = desk.route.in_flight_max
    leg.hang_up()

    assert (searching, rang, desk.route.in_flight_max) == (7, 6, 7)


async def test_message_is_taken_when_the_phone_rings_and_delivered_when_the_code_was_spoken(
    desk: Desk,
) -> None:
    leg = await desk.ringing()
    assert desk.receipts == []
    leg.answer()

    heard = leg.listen(press="gate")

    assert [word for word in heard if word.startswith("char_")] == [f"char_{n}" for n in "4711" * 2]
    assert [bool(receipt.answered_s) for receipt in desk.receipts] == [True]
    assert [receipt.outcome for receipt in desk.receipts] == [Outcome.DELIVERED]
    assert desk.steps == ["dialled", "ringing", "answered", "right_key", "spoken", "spoken", "hung_up"]
    (dial,) = desk.line.dials
    script = Script(locale="en", gate=dial.script.gate, code="4711", brand="Acme")
    assert dial == Dial(MSISDN, "+911600", 28.0, script)
    assert not {"4711", MSISDN} & set(re.findall(r"[+0-9]+", repr(dial)))


@pytest.mark.parametrize(
    ("press", "outcome"), [("", Outcome.NO_HUMAN), ("*", Outcome.WRONG_KEY), ("gate", Outcome.DELIVERED)]
)
async def test_answering_alone_is_no_delivery(desk: Desk, press: str, outcome: Outcome) -> None:
    leg = await desk.ringing()
    leg.answer()
    heard = leg.listen(press=press)

    assert [receipt.outcome for receipt in desk.receipts] == [outcome]
    assert any(word.startswith("char_") for word in heard) == (outcome is Outcome.DELIVERED)


async def test_phone_that_never_rang_is_a_refusal_with_its_reason(desk: Desk) -> None:
    task, leg = await desk.dialled()
    leg.hearer.on_ended(Outcome.BUSY, "486 Busy Here")

    with pytest.raises(CarrierRejected) as refused:
        await task

    assert (refused.value.outcome, refused.value.status) == (Outcome.BUSY, "486 Busy Here")
    assert desk.receipts == []


async def test_trunk_that_says_nothing_is_left_and_its_call_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.route, "_heard_within_s", 0.01)
    task, leg = await desk.dialled()

    with pytest.raises(CarrierUnavailable):
        await task

    assert leg.over
    assert desk.receipts == []


async def test_phone_that_rings_out_is_told_as_not_answered(desk: Desk) -> None:
    leg = await desk.ringing()
    leg.hearer.on_ended(Outcome.NOT_ANSWERED, "487")

    assert [(receipt.outcome, receipt.evidence) for receipt in desk.receipts] == [
        (Outcome.NOT_ANSWERED, "call:487")
    ]
    assert desk.receipts[0].answered_s == 0


async def test_call_stops_ringing_when_the_code_was_typed(desk: Desk) -> None:
    leg = await desk.ringing()

    desk.route.on_event(VERIFICATION, VerificationApproved(1))

    assert leg.over
    assert [receipt.evidence for receipt in desk.receipts] == ["call:the code is not wanted any more"]


async def test_late_receipt_of_the_text_stops_the_ringing_and_no_call_that_was_answered(desk: Desk) -> None:
    ringing = await desk.ringing()
    desk.route.on_event(VERIFICATION, MessageDelivered(1, 0, "stat:DELIVRD"))
    answered = await desk.ringing()
    answered.answer()
    desk.route.on_event(VERIFICATION, MessageDelivered(1, 0, "stat:DELIVRD"))

    assert ringing.over
    assert not answered.over


async def test_its_own_delivery_and_other_verifications_stop_nothing(desk: Desk) -> None:
    leg = await desk.ringing()

    desk.route.on_event(VERIFICATION, MessageDelivered(1, KEY.ordinal, "call:BYE"))
    desk.route.on_event(some_verification(id=bytes(16)), VerificationApproved(1))

    assert not leg.over


async def test_number_that_was_typed_is_told_and_what_it_brings_cuts_no_goodbye_off(
    desk: Desk,
) -> None:
    desk.outgoing = Outgoing(KEY, MSISDN, "", "+911600", validity_s=300, locale="en", match_digits=3)
    leg = await desk.ringing()
    leg.answer()
    for _ in range(100):
        leg.ivr.frame()
    for key in "407":
        leg.ivr.key(key)
    frame: bytes | None = b""
    while desk.steps[-1] != "typed":
        frame = leg.ivr.frame()
    desk.route.on_event(VERIFICATION, VerificationApproved(1))

    assert not leg.over
    assert frame is not None
    assert frame.startswith(b"goodbye")
    leg.listen()
    assert [receipt.outcome for receipt in desk.receipts] == [Outcome.DELIVERED]
    assert desk.steps == ["dialled", "ringing", "answered", "typed", "hung_up"]
    assert desk.details[3] == "407"
    assert desk.line.dials[0].script == Script(locale="en", gate=desk.line.dials[0].script.gate, typed=3)


async def test_each_call_asks_for_a_digit_of_its_own(desk: Desk) -> None:
    asked = set()
    for _ in range(100):
        leg = await desk.ringing()
        leg.answer()
        asked |= {word for word in leg.listen() if word.startswith("gate_")}

    assert asked == {f"gate_{n}" for n in range(10)}


async def test_no_call_is_kept_when_it_is_over(desk: Desk) -> None:
    for _ in range(3):
        leg = await desk.ringing()
        leg.answer()
        leg.listen()

    assert desk.route._calls == {}
