"""Whatever vendor and thief do with the addresses of a call, its code leaves only after the right digit."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twilio.request_validator import RequestValidator

from dastak.core.errors import NotFound
from dastak.core.message import Receipt
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_route import Callback
from dastak.http_voice.call_desk import CallDesk
from dastak.http_voice.call_script import TURNS_MAX
from dastak.voice.prompts import shipped
from dastak.voice.sound.g711 import ulaw_to_pcm
from tests.support.call_samples import HOOK, some_call, some_call_carrier
from tests.support.http_samples import NOW

CODE, GATE, SECRET = "482913", "7", "k3y"
SPOKEN = "four"
FORM = "application/x-www-form-urlencoded"
KEYS = st.sampled_from(["", "7", "3", "1", "9", "77"])
STATES = st.sampled_from(["ringing", "in-progress", "completed", "busy", "failed", "nonsense"])


def said_code(sound: bytes) -> bool:
    """Say whether the code is in a sound, sample by sample."""
    return all(ulaw_to_pcm(clip) in sound for clip in shipped("en").code(CODE))


class CallModel(RuleBasedStateMachine):
    """One call of Twilio's, its vendor, and a thief who knows every address."""

    @initialize(recorded=st.booleans())
    def begin(self, recorded: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.receipts: list[Receipt] = []
        self.steps: list[str] = []
        self.pressed: list[str] = []
        self.given: list[str] = []
        self.turn, self.over, self.named = 0, False, False
        self.desk = CallDesk(
            "main",
            some_call_carrier("twilio", recordings=recorded),
            Callback(("s3cr3t",), HOOK),
            take_receipt=self.take,
            take_step=lambda _key, step, _detail: self.steps.append(step),
            speech_of=shipped,
            chance=lambda _below: int(GATE),
        )
        self.call = self.loop.run_until_complete(self.begun())

    async def begun(self) -> Any:
        return self.desk.begin(some_call(code=CODE))

    def take(self, receipt: Receipt, acknowledge: Callable[[bool], None]) -> None:
        self.receipts.append(receipt)
        acknowledge(True)

    def hook(self, place: str, fields: dict[str, str], *, secret: str = SECRET) -> Hook:
        url = f"{HOOK}/calls/{self.call.token}/{place}"
        signature = RequestValidator(secret).compute_signature(url, fields)
        headers = {"content-type": FORM, "x-twilio-signature": signature}
        return Hook(method="POST", url=url, query="", headers=headers, body=urlencode(fields).encode())

    def fetch(self, turn: int, keys: str, *, secret: str = SECRET) -> str | None:
        fields = {"CallSid": "CA01", "CallStatus": "in-progress", "Digits": keys}
        hook = self.hook(str(turn), fields, secret=secret)
        try:
            page = self.desk.page(hook, self.call.token, turn, now=NOW)
        except NotFound:
            return None
        return page.body.decode()

    @rule(keys=KEYS)
    def vendor_fetches_what_is_next(self, keys: str) -> None:
        body = self.fetch(self.turn, keys)
        assert (body is None) == self.over
        if body is not None:
            self.pressed += [keys] if self.turn else []
            self.given.append(body)
            self.turn += 1
            self.over = "<Hangup/>" in body or not self.desk.knows(self.call.token)

    @rule(turn=st.integers(0, TURNS_MAX + 2), keys=KEYS)
    def thief_without_the_vendors_secret_fetches(self, turn: int, keys: str) -> None:
        assert self.fetch(turn, keys, secret="guessed") is None

    @rule(turn=st.integers(0, TURNS_MAX + 2), keys=KEYS)
    def replayed_or_early_fetch_gets_nothing(self, turn: int, keys: str) -> None:
        if turn != self.turn:
            assert self.fetch(turn, keys) is None

    @rule(turn=st.integers(-1, TURNS_MAX), part=st.sampled_from(["says", "asked", "x"]))
    def anybody_plays_a_sound(self, turn: int, part: str) -> None:
        try:
            sound = self.desk.sound(self.call.token, turn, part)
        except NotFound:
            return
        assert turn == self.turn - 1
        assert part != "says" or not said_code(sound) or GATE in self.pressed

    @rule(state=STATES)
    def vendor_tells_a_state(self, state: str) -> None:
        known = self.desk.knows(self.call.token)
        hook = self.hook("status", {"CallSid": "CA01", "CallStatus": state})
        told = self.desk.status(hook, self.call.token, now=NOW)
        # Only a call of before a restart is told of in the answer; this one was known.
        assert told == ()
        if known and not self.desk.knows(self.call.token):
            self.over = True

    @precondition(lambda self: not self.named)
    @rule()
    def answer_to_the_request_comes(self) -> None:
        self.named = True
        self.desk.named(self.call, "CA01")
        self.over = self.over or not self.desk.knows(self.call.token)

    @rule()
    def code_is_not_wanted_any_more(self) -> None:
        self.call.why_ended = "approved"

    @invariant()
    def code_is_given_only_after_the_right_digit(self) -> None:
        said = [number for number, body in enumerate(self.given) if SPOKEN in body]
        assert not said or GATE in self.pressed[: said[0]][-1:]
        assert not said or set(self.pressed[: said[0] - 1]) <= {""}

    @invariant()
    def one_receipt_at_most_and_none_before_the_vendors_id(self) -> None:
        assert len(self.receipts) <= (1 if self.named else 0)
        assert CODE not in json.dumps([str(receipt) for receipt in self.receipts]) + repr(self.steps)

    @invariant()
    def each_step_of_the_phone_is_told_once(self) -> None:
        assert all(self.steps.count(step) <= 1 for step in ("ringing", "answered", "hung_up", "right_key"))

    def teardown(self) -> None:
        if hasattr(self, "call"):
            self.call.timer.cancel()
            self.loop.close()


TestCallModel = CallModel.TestCase
