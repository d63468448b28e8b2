"""A SIP trunk as the main program sees it: a line whose calls are made by the voice process.

1. A call whose voice process died is over at once, by what it came to: a code that was spoken is delivered.
   Its last words are said here, so that its phone does not ring on and nobody listens to silence.
2. A line whose trunk is not open, or whose voice process is gone, takes no call; nor does one whose channels
   are all in use.
"""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Protocol, Self

from dastak.core.errors import CarrierFull, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.voice.engine.engine_messages import (
    CallAnswered,
    CallLastWords,
    CallOver,
    CallRings,
    CallStepped,
    FromEngine,
    HangUp,
    OfCall,
    PlaceCall,
    ToEngine,
)
from dastak.voice.engine.last_words import say_last_words
from dastak.voice.ivr import Step
from dastak.voice.line import Dial, Hearer
from dastak.voice.sip.line_call import LastWords
from dastak.voice.sip.sip_standing import NOT_YET
from dastak.voice.sip_settings import SipSettings

PROCESS_ENDED = "the voice process ended"


class Engine(Protocol):
    """What makes the calls of all lines."""

    @property
    def up(self) -> bool:
        """Whether it runs."""

    def number(self) -> int:
        """Return a number that no trunk or call had."""

    async def attach(self, line: "EngineLine") -> None:
        """Open a trunk, now and whenever the process is started again."""

    async def detach(self, line: "EngineLine") -> None:
        """Hang up what is under way on it, and close it."""

    def send(self, message: ToEngine) -> None:
        """Tell the process something."""


class EngineLine:
    """A `dastak.voice.line.Line`, kept open while the context lasts.

    Args:
        engine: What makes its calls.
        settings: Of the trunk.

    Attributes:
        number: What the voice process knows it by.
        reason: Why it is available or not, in words.
        junk: How many messages at its SIP port were thrown away without an answer, by reason.
    """

    def __init__(self, engine: Engine, settings: SipSettings) -> None:
        self.settings = settings
        self.number = engine.number()
        self.reason = NOT_YET
        self.junk: Counter[str] = Counter()
        self._engine = engine
        self._open = asyncio.Event()
        self._legs: dict[int, EngineLeg] = {}

    async def __aenter__(self) -> Self:
        """Begin to reach the trunk."""
        await self._engine.attach(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and close."""
        await self._engine.detach(self)
        self.lose("it is closed")

    @property
    def calls_max(self) -> int:
        """How many calls the contract allows at once."""
        return self.settings.calls_max

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._legs)

    @property
    def available(self) -> bool:
        """Whether it can ring now."""
        return self._open.is_set() and self._engine.up

    async def wait_open(self) -> None:
        """Return as soon as the trunk can be reached."""
        await self._open.wait()

    def dial(self, dial: Dial, hearer: Hearer) -> "EngineLeg":
        """See `Line`."""
        if not (self._open.is_set() and self._engine.up):
            raise CarrierUnavailable(f"The trunk takes no call: {self.reason}.")
        if self.in_flight >= self.calls_max:
            raise CarrierFull("As many calls as are allowed are under way by this trunk.")
        call = self._engine.number()
        leg = self._legs[call] = EngineLeg(self._engine, call, hearer)
        self._engine.send(PlaceCall(call, self.number, dial))
        return leg

    def stand(self, is_open: bool, reason: str) -> None:
        """Learn how the trunk stands."""
        self.reason = reason
        if is_open:
            self._open.set()
        else:
            self._open.clear()

    def lose(self, reason: str) -> None:
        """Learn that the voice process is gone, and with it every call: each is called off and over."""
        self.stand(False, reason)
        words = [leg.last_words for leg in self._legs.values() if leg.last_words is not None]
        # Before anybody is told, who may ring the same phone by another trunk.
        say_last_words(words)
        for call in tuple(self._legs):
            self._legs.pop(call).lose()

    def hear(self, message: OfCall) -> bool:
        """Take what happens in a call; False if it is none of this line."""
        leg = self._legs.get(message.call)
        if leg is None:
            return False
        if isinstance(message, CallOver):
            del self._legs[message.call]
        leg.hear(message)
        return True


class EngineLeg:
    """One call; a `dastak.voice.line.Leg`.

    Attributes:
        last_words: See `Leg`; as the voice process told them last.
    """

    def __init__(self, engine: Engine, call: int, hearer: Hearer) -> None:
        self.last_words: LastWords | None = None
        self._engine, self._call, self._hearer = engine, call, hearer
        # What comes of it if the process dies now. Until it rings another trunk may ring it.
        self._come_to = Outcome.NETWORK_TEMPORARY

    def hang_up(self) -> None:
        """See `Leg`."""
        self._engine.send(HangUp(self._call))

    def lose(self) -> None:
        """End with the process."""
        self._hearer.on_ended(self._come_to, PROCESS_ENDED)

    def hear(self, message: FromEngine) -> None:
        """Tell what happens."""
        match message:
            case CallRings(_, detail):
                self._come_to = Outcome.NOT_ANSWERED
                self._hearer.on_ringing(detail)
            case CallAnswered(_, detail):
                self._come_to = Outcome.HUNG_UP
                self._hearer.on_answered(detail)
            case CallStepped(_, step, typed):
                if step in (Step.SPOKEN, Step.TYPED):
                    self._come_to = Outcome.DELIVERED
                elif step is Step.REPORTED:
                    self._come_to = Outcome.REPORTED
                elif step is Step.WRONG_KEY:
                    self._come_to = Outcome.WRONG_KEY
                elif step is Step.NO_KEY:
                    self._come_to = Outcome.NO_HUMAN
                self._hearer.on_step(step, typed)
            case CallLastWords(_, words):
                self.last_words = words
            case CallOver(_, outcome, detail):
                self._hearer.on_ended(outcome, detail)
            case _:
                pass
