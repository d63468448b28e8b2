"""One call on a virtual phone: it rings until somebody answers, hears what is spoken, and presses keys.

1. What a phone does by itself is its script; a person, or a test, may do it earlier.
2. What was heard is kept for as long as the phone keeps the call, for pages to play and tests to compare.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, Protocol
from weakref import WeakSet

from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import REFUSALS, CallFate, CallScript
from dastak.simulator.exchange.called_call import CalledCall
from dastak.simulator.exchange.called_events import (
    CalledEvent,
    Confirmed,
    Crossed,
    KeyTold,
    Over,
    Redescribed,
)
from dastak.simulator.exchange.listener import Listener
from dastak.simulator.exchange.phone_sound import PhoneSound
from dastak.simulator.exchange.tones import beep, ringing_tone
from dastak.voice.sip.sip_message import Header
from dastak.voice.sound.g711 import FRAME_OCTETS
from dastak.voice.sound.sdp import (
    Audio,
    Ours,
    UnusableSdp,
    read_answer,
    read_offer,
    write_answer,
    write_offer,
)

# A listener gets so many frames at once.
FRAMES_TOGETHER: Final = 5
KEY_EVERY_S: Final = 0.25
# How long a phone rings that nobody answers and no caller gives up.
RING_S_MAX: Final = 180.0


class CallState(StrEnum):
    """How a call stands on the phone."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Logged(NamedTuple):
    """One line of a call's log."""

    at: datetime
    word: str


class Switching(Protocol):
    """The exchange that a call is in."""

    def now(self) -> float:
        """Return the monotonic time."""

    def flush(self, call: "VirtualCall") -> None:
        """Send what the call has to say, and tell what has changed."""


class VirtualCall:
    """One call.

    Args:
        number: What it is called by.
        msisdn: The phone.
        caller: The number or name that the phone shows.
        sip: Its signalling.
        ours: Where the phone hears; the port is that of `sound`.
        exchange: What it is in.

    Attributes:
        rang: Whether the phone made a sound.
        why: How it ended, in a word of telephony; empty before.
        keys: Those that were pressed on the phone.
        keys_heard: Those that who called pressed.
        log: What was said and done, in order, with times.
        shown: What was told of it last.
    """

    def __init__(
        self,
        number: int,
        msisdn: Msisdn,
        caller: str,
        sip: CalledCall,
        ours: Ours,
        *,
        exchange: Switching,
    ) -> None:
        self.id, self.msisdn, self.caller, self.sip = number, msisdn, caller, sip
        self.began_at = datetime.now(UTC)
        self.state = CallState.RINGING
        self.rang = False
        self.why = self.keys = self.keys_heard = ""
        self.log: list[Logged] = []
        self.shown: tuple[object, ...] = ()
        self._ours, self._exchange = ours, exchange
        self._sound: PhoneSound | None = None
        self._audio: Audio | None = None
        self._listeners: WeakSet[Listener] = WeakSet()
        self._together = bytearray()
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def heard(self) -> bytes:
        """What was spoken to the phone, G.711 µ-law at 8 kHz."""
        return b"" if self._sound is None else bytes(self._sound.playout.heard)

    @property
    def script(self) -> CallScript:
        """What it meets."""
        return self.sip.script

    def begin(self, open_sound: Callable[["VirtualCall"], PhoneSound]) -> None:
        """Take the call: read what who called says of its sound, and let the script begin.

        Raises:
            UnusableSdp: No sound can be sent to it.
            Overloaded: No ports are left.
        """
        if self.sip.invite.body:
            self._audio = read_offer(self.sip.invite.body, self._ours)
        self._sound = open_sound(self)
        self._ours = replace(self._ours, port=self._sound.port)
        self._later(self.script.slow_s, self._begin)

    def answer(self) -> None:
        """Pick up."""
        if self.state is not CallState.RINGING or self._sound is None:
            return
        self.state = CallState.ANSWERED
        self._cancel_timers()
        self.sip.accept(self._description(), self._exchange.now())
        if self._audio is not None:
            self._sound.start(self._audio)
        self._after_answer()
        self._exchange.flush(self)

    def press(self, key: str) -> None:
        """Press a key of the phone."""
        if self.state is CallState.ANSWERED and self._sound is not None:
            self.keys += key
            self.sip.note(f"key {key}")
            self._sound.press(key)
            self._exchange.flush(self)

    def put_down(self) -> None:
        """Decline a call that rings, or end one that was answered."""
        if self.state is CallState.RINGING:
            self._refuse(CallFate.DECLINE)
        elif self.state is CallState.ANSWERED:
            self.sip.hang_up(self._exchange.now())
            self._exchange.flush(self)

    def listen(self) -> Listener:
        """Hear what is spoken from now on; keep what is returned for as long as that is wanted."""
        listener = Listener()
        self._listeners.add(listener)
        if self.state is CallState.ENDED:
            listener.end()
        return listener

    def on_sound(self, octets: bytes) -> None:
        """Hear what is new."""
        self._together += octets
        if len(self._together) >= FRAMES_TOGETHER * FRAME_OCTETS:
            self._let_hear()

    def on_key(self, key: str) -> None:
        """Hear a key that who called presses."""
        self.keys_heard += key
        self.sip.note(f"heard key {key}")
        self._exchange.flush(self)

    def take(self, event: CalledEvent) -> None:
        """Take what the signalling tells."""
        match event:
            case Confirmed(sdp):
                self._confirmed(sdp)
            case Crossed():
                self.answer()
            case KeyTold(body) if self._sound is not None:
                self._sound.hear_info(body)
            case Redescribed(sdp):
                self.sip.answer_offer(self._redescribe(sdp), self._exchange.now())
            case Over(why):
                self._end(why)
            case _:
                pass

    def stamp(self) -> None:
        """Write down when what is new in the log was written."""
        now = datetime.now(UTC)
        self.log += [Logged(now, word) for word in self.sip.log[len(self.log) :]]

    def drop(self) -> None:
        """Forget it at once: the exchange goes down."""
        self._cancel_timers()
        if self._sound is not None:
            self._sound.close()
        for listener in list(self._listeners):
            listener.end()

    def _begin(self) -> None:
        """Say that we have the call, and let the phone or its network do what the script says."""
        now = self._exchange.now()
        self.sip.trying(now)
        if self.script.fault.early_media and self._audio is not None and self._sound is not None:
            self.sip.progress(self._description(), now)
            self._sound.play(ringing_tone())
            self._sound.start(self._audio)
        if self.script.rings:
            self.sip.ring(now)
            self.rang = True
            self._later(RING_S_MAX, partial(self._refuse, CallFate.NO_ANSWER))
        if self.script.answers:
            self._later(self.script.after_s, self.answer)
        elif self.script.refusal is not None:
            self._later(self.script.after_s, partial(self._refuse, self.script.fault.does))
        self._exchange.flush(self)

    def _after_answer(self) -> None:
        fault = self.script.fault
        assert self._sound is not None
        self._sound.play(beep() if fault.does is CallFate.VOICEMAIL else iter(()))
        if self.script.answers:
            for n, key in enumerate(fault.keys, 1):
                self._later(n * KEY_EVERY_S, partial(self.press, key))
        if fault.hang_up_s is not None:
            self._later(fault.hang_up_s, self.put_down)

    def _refuse(self, fate: CallFate) -> None:
        elsewhere: tuple[Header, ...] = ()
        if fate is CallFate.REDIRECT:
            elsewhere = (("Contact", f"<sip:{self.msisdn}@elsewhere.invalid>"),)
        self.sip.refuse(REFUSALS[fate], elsewhere, self._exchange.now())
        self._exchange.flush(self)

    def _description(self) -> bytes:
        """Write our answer to an offer, or an offer where there was none."""
        return write_offer(self._ours) if self._audio is None else write_answer(self._ours, self._audio)

    def _confirmed(self, sdp: bytes) -> None:
        if self._audio is not None or self._sound is None:
            return
        try:
            self._audio = read_answer(sdp, self._ours)
        except UnusableSdp:
            self.put_down()
            return
        self._sound.start(self._audio)

    def _redescribe(self, sdp: bytes) -> bytes | None:
        """Follow a re-INVITE, such as hold; None refuses it."""
        ours = replace(self._ours, version=self._ours.version + 1)
        if not sdp:
            self._ours = ours
            return write_offer(ours)
        in_use = None if self._audio is None else self._audio.codec
        try:
            audio = read_offer(sdp, ours, in_use=in_use)
        except UnusableSdp:
            return None
        self._ours, self._audio = ours, audio
        if self._sound is not None:
            self._sound.start(audio)
        return write_answer(ours, audio)

    def _let_hear(self) -> None:
        for listener in list(self._listeners):
            listener.hear(bytes(self._together))
        self._together.clear()

    def _later(self, after_s: float, act: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(after_s, act))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _end(self, why: str) -> None:
        self._let_hear()
        self.state, self.why = CallState.ENDED, why
        self.drop()
