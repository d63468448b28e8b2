"""Calls to virtual phones: they ring until somebody answers, hear what is spoken, and press keys.

1. What a phone does by itself is data: busy, declined, rings for ever, a voicemail whose greeting plays keys.
2. What was heard is kept for as long as the phone keeps the call, for pages to play and tests to compare.
3. Everything is bounded; what is oldest goes first, and a listener who does not keep up is cut off.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Final
from weakref import WeakSet

from dastak.core.errors import CarrierUnavailable
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.simulator.faults import CallFate, FaultScript
from dastak.voice.ivr import Speech
from dastak.voice.line import Dial, Hearer, ivr_of
from dastak.voice.prompts import pack

CALLS_MAX: Final = 100
# Ended calls that can still be looked at.
KEPT_MAX: Final = 50
HEARD_S_MAX: Final = 150.0
FRAME_S: Final = 0.02
# A listener gets so many frames at once.
FRAMES_TOGETHER: Final = 5
PENDING_MAX: Final = 100
# What a phone that does something by itself waits before it does.
BY_ITSELF_S: Final = 0.3
VOICEMAIL_AFTER_S: Final = 1.0
KEY_EVERY_S: Final = 0.25


class CallState(StrEnum):
    """How a call stands on the phone."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class VirtualCall:
    """One call on a virtual phone; a `dastak.voice.line.Leg` for who dialled.

    Attributes:
        heard: What was spoken to the phone, G.711 µ-law at 8 kHz.
        rang: Whether the phone made a sound.
        why: How it ended, in a word of telephony; empty before.
    """

    def __init__(
        self,
        number: int,
        dial: Dial,
        hearer: Hearer,
        *,
        speech_of: Callable[[str], Speech],
        tell: Callable[["VirtualCall"], None],
    ) -> None:
        self.id = number
        self.msisdn, self.caller = dial.msisdn, dial.caller
        self.began_at = datetime.now(UTC)
        self.state = CallState.RINGING
        self.rang = False
        self.why = ""
        self.keys = ""
        self.heard = bytearray()
        self._hearer, self._tell = hearer, tell
        self._ivr = ivr_of(dial.script, speech_of, hearer.on_step)
        self._listeners: WeakSet[Listener] = WeakSet()
        self._loop = asyncio.get_running_loop()
        self._timers = [self._loop.call_later(dial.ring_s, self._rang_out)]
        self._speaking: asyncio.Task[None] | None = None

    def answer(self) -> None:
        """Pick up."""
        if self.state is CallState.RINGING:
            self.state = CallState.ANSWERED
            self._tell(self)
            self._hearer.on_answered("200 OK")
            self._speaking = self._loop.create_task(self._play())

    def press(self, key: str) -> None:
        """Press a key of the phone."""
        if self.state is CallState.ANSWERED:
            self.keys += key
            self._ivr.key(key)

    def put_down(self) -> None:
        """Decline a call that rings, or end one that was answered."""
        if self.state is CallState.RINGING:
            self.refuse(Outcome.DECLINED, "603 Decline")
        elif self.state is CallState.ANSWERED:
            self._end(self._ivr.outcome, "BYE")

    def refuse(self, outcome: Outcome, word: str) -> None:
        """Let it end before it was answered."""
        if self.state is CallState.RINGING:
            self._end(outcome, word)

    def hang_up(self) -> None:
        """See `Leg`."""
        if self.state is CallState.RINGING:
            self._end(Outcome.NOT_ANSWERED, "CANCEL")
        elif self.state is CallState.ANSWERED:
            self._end(self._ivr.outcome, "BYE")

    def later(self, after_s: float, act: Callable[[], None]) -> None:
        """Do something by itself after a while."""
        self._timers.append(self._loop.call_later(after_s, act))

    def rings(self) -> None:
        """Tell who dialled that the phone rings."""
        if self.state is CallState.RINGING:
            self.rang = True
            self._tell(self)
            self._hearer.on_ringing("180 Ringing")

    def listen(self) -> "Listener":
        """Hear what is spoken from now on; keep what is returned for as long as that is wanted."""
        listener = Listener()
        self._listeners.add(listener)
        if self.state is CallState.ENDED:
            listener.end()
        return listener

    async def _play(self) -> None:
        """Hear one frame each 20 ms, by a clock that catches up."""
        next_s = self._loop.time()
        pending = bytearray()
        while (frame := self._ivr.frame()) is not None and len(self.heard) < HEARD_S_MAX * 8000:
            self.heard += frame
            pending += frame
            if len(pending) >= FRAMES_TOGETHER * len(frame):
                self._let_hear(bytes(pending))
                pending.clear()
            next_s += FRAME_S
            await asyncio.sleep(max(0.0, next_s - self._loop.time()))
        self._let_hear(bytes(pending))
        self._speaking = None
        self._end(self._ivr.outcome, "BYE")

    def _let_hear(self, octets: bytes) -> None:
        for listener in list(self._listeners):
            listener.hear(octets)

    def _rang_out(self) -> None:
        self.refuse(Outcome.NOT_ANSWERED, "487 Request Terminated")

    def _end(self, outcome: Outcome, word: str) -> None:
        if self.state is CallState.ENDED:
            return
        self.state, self.why = CallState.ENDED, word
        for timer in self._timers:
            timer.cancel()
        if self._speaking is not None:
            self._speaking.cancel()
        for listener in list(self._listeners):
            listener.end()
        self._tell(self)
        self._hearer.on_ended(outcome, word)


class Listener:
    """Gets what is spoken in a call from now on, µ-law, about a tenth of a second at once."""

    def __init__(self) -> None:
        self._pending: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False

    def hear(self, octets: bytes) -> None:
        """Take some sound."""
        if len(self._pending) >= PENDING_MAX:
            self.end()
        elif octets and not self._ended:
            self._pending.append(octets)
            self._news.set()

    def end(self) -> None:
        """Get no more after what is pending."""
        self._ended = True
        self._news.set()

    async def sound(self) -> bytes | None:
        """Wait for the next piece; None when there will be no more."""
        while not self._pending and not self._ended:
            self._news.clear()
            await self._news.wait()
        return self._pending.popleft() if self._pending else None


class Switchboard:
    """All calls to virtual phones; a `dastak.voice.line.Line`.

    Args:
        faults: What phones do by themselves.
        tell: Told of every call that begins, is answered or ends.
        speech_of: Returns how a locale is spoken.
    """

    def __init__(
        self,
        faults: FaultScript,
        tell: Callable[[VirtualCall], None],
        speech_of: Callable[[str], Speech] = pack,
    ) -> None:
        self._faults, self._tell, self._speech_of = faults, tell, speech_of
        self._calls: dict[int, VirtualCall] = {}
        self._dialled = 0
        self._news = asyncio.Event()

    @property
    def available(self) -> bool:
        """Whether a phone can be rung."""
        return True

    @property
    def calls_max(self) -> int:
        """How many calls may be under way at once."""
        return CALLS_MAX

    def dial(self, dial: Dial, hearer: Hearer) -> VirtualCall:
        """See `Line`."""
        if sum(call.state is not CallState.ENDED for call in self._calls.values()) >= CALLS_MAX:
            raise CarrierUnavailable("All lines of the switchboard in the box are busy.")
        self._dialled += 1
        call = VirtualCall(self._dialled, dial, hearer, speech_of=self._speech_of, tell=self._changed)
        self._calls[call.id] = call
        while len(self._calls) > CALLS_MAX + KEPT_MAX:
            del self._calls[next(iter(self._calls))]
        asyncio.get_running_loop().call_soon(self._begin, call)
        return call

    def calls(self, msisdn: Msisdn) -> list[VirtualCall]:
        """Return the calls to a phone, oldest first."""
        return [call for call in self._calls.values() if call.msisdn == msisdn]

    def call(self, number: int) -> VirtualCall | None:
        """Return a call by its id."""
        return self._calls.get(number)

    def ringing(self, msisdn: Msisdn) -> VirtualCall | None:
        """Return the call that rings a phone now."""
        calls = self._calls.values()
        return next(
            (c for c in calls if c.msisdn == msisdn and c.state is CallState.RINGING and c.rang), None
        )

    async def changes(self) -> None:
        """Wait until a call begins, is answered or ends."""
        await self._news.wait()

    def close(self) -> None:
        """End everything."""
        for call in self._under_way():
            call.put_down()

    def _changed(self, call: VirtualCall) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        self._tell(call)

    def _under_way(self) -> Iterable[VirtualCall]:
        return [call for call in self._calls.values() if call.state is not CallState.ENDED]

    def _begin(self, call: VirtualCall) -> None:
        """Let a phone ring, or do what it does by itself."""
        fault = self._faults.fault_of(call.msisdn)
        refusals = {
            CallFate.BUSY: (Outcome.BUSY, "486 Busy Here"),
            CallFate.CONGESTION: (Outcome.CONGESTION, "503 Service Unavailable"),
            CallFate.UNREACHABLE: (Outcome.ABSENT_SUBSCRIBER, "480 Temporarily Unavailable"),
        }
        if fault.call in refusals:
            call.refuse(*refusals[fault.call])
            return
        call.rings()
        if fault.call is CallFate.DECLINE:
            call.later(BY_ITSELF_S, call.put_down)
        elif fault.call in (CallFate.VOICEMAIL, CallFate.ANSWER):
            call.later(VOICEMAIL_AFTER_S if fault.call is CallFate.VOICEMAIL else BY_ITSELF_S, call.answer)
            for n, key in enumerate(fault.call_keys):
                call.later(VOICEMAIL_AFTER_S + n * KEY_EVERY_S, partial(call.press, key))
