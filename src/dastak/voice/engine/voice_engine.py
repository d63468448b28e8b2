"""All trunks and calls of the voice process, at the word of the main program.

1. Every call that is placed is told to be over once, whatever happens.
2. When the main program is gone, what is under way is hung up: nobody would be told of it any more.
3. A trunk or call that fails by itself disturbs no other one.
4. What would end a call is told beforehand, for the main program to say should this process be killed: before
   it is told that a phone rings or was answered, and of what else has changed with the next pulse.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from functools import partial
from typing import Final

from dastak.core.errors import CarrierError
from dastak.core.outcome import Outcome
from dastak.voice.engine.engine_messages import (
    DETAIL_CHARACTERS_MAX,
    TO_ENGINE,
    CallAnswered,
    CallLastWords,
    CallOver,
    CallRings,
    CallStepped,
    CloseTrunk,
    FromEngine,
    HangUp,
    OpenTrunk,
    PlaceCall,
    Pulse,
    ToEngine,
    TrunkClosed,
    TrunkJunk,
    TrunkStands,
)
from dastak.voice.engine.engine_wire import EngineWire
from dastak.voice.engine.kept_trunk import Kept, keep_trunk
from dastak.voice.engine.open_files import FileLimit
from dastak.voice.ivr import SpeechOf, Step
from dastak.voice.line import Leg
from dastak.voice.sip.line_call import LastWords

PULSE_S: Final = 1.0
# To be told by the trunks that they know of the end of their calls.
FAREWELL_S_MAX: Final = 1.0

log = logging.getLogger("dastak.voice")


class VoiceEngine:
    """The trunks and calls.

    Args:
        speech_of: Returns how a locale is spoken.
        files: Raised as trunks want it.
    """

    def __init__(self, *, speech_of: SpeechOf, files: FileLimit) -> None:
        self._wire = EngineWire(TO_ENGINE, self._take)
        self._speech_of, self._files = speech_of, files
        self._trunks: dict[int, Kept] = {}
        self._calls_max: dict[int, int] = {}
        self._legs: dict[int, Leg] = {}
        self._last_words: dict[int, LastWords] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def serve(self, end: socket.socket) -> None:
        """Serve until the main program closes its end of the socket, then end everything."""
        await self._wire.open(end)
        beating = asyncio.get_running_loop().create_task(self._pulse())
        await self._wire.lost.wait()
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await self._end()

    def send(self, message: FromEngine) -> None:
        """Tell the main program something."""
        self._wire.send(message)

    def _take(self, message: ToEngine) -> None:
        """Do what the main program says."""
        match message:
            case OpenTrunk():
                self._open(message)
            case CloseTrunk(trunk):
                task = asyncio.get_running_loop().create_task(self._close(trunk))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            case PlaceCall():
                self._place(message)
            case HangUp(call):
                if (leg := self._legs.get(call)) is not None:
                    leg.hang_up()

    def ended(self, call: int, outcome: Outcome, detail: str) -> None:
        """Tell that a call is over, and forget it."""
        self._legs.pop(call, None)
        self._last_words.pop(call, None)
        self.send(CallOver(call, outcome, detail[:DETAIL_CHARACTERS_MAX]))

    def tell_last_words(self, call: int) -> None:
        """Tell what would end a call now, where that was not told yet."""
        words = self._legs[call].last_words if call in self._legs else None
        if words is not None and words != self._last_words.get(call):
            self._last_words[call] = words
            self.send(CallLastWords(call, words))

    async def _pulse(self) -> None:
        """Show that the loop turns, and tell what nobody waits for."""
        while True:
            self.send(Pulse())
            for trunk, kept in self._trunks.items():
                if more := kept.take_junk():
                    self.send(TrunkJunk(trunk, more))
            for call in self._legs:
                self.tell_last_words(call)
            await asyncio.sleep(PULSE_S)

    async def _end(self) -> None:
        """Hang up everything, and wait a moment for the trunks to have heard it."""
        loop = asyncio.get_running_loop()
        closing = [loop.create_task(self._close(trunk)) for trunk in tuple(self._trunks)]
        closing += self._closing
        if closing:
            await asyncio.wait(closing, timeout=FAREWELL_S_MAX)

    def _open(self, wanted: OpenTrunk) -> None:
        stands = partial(self._stands, wanted.trunk)
        try:
            self._trunks[wanted.trunk] = keep_trunk(wanted.settings, speech_of=self._speech_of, tell=stands)
        except OSError as error:
            stands(False, f"its TLS files cannot be used: {error}")
            return
        except ValueError as error:
            stands(False, f"its settings cannot be used: {error}")
            return
        self._calls_max[wanted.trunk] = wanted.settings.calls_max
        self._files.want_calls(sum(self._calls_max.values()))

    def _stands(self, trunk: int, is_open: bool, reason: str) -> None:
        self.send(TrunkStands(trunk, is_open, reason[:DETAIL_CHARACTERS_MAX]))

    async def _close(self, trunk: int) -> None:
        self._calls_max.pop(trunk, None)
        kept = self._trunks.pop(trunk, None)
        try:
            if kept is not None:
                await kept.close()
        except OSError:
            log.exception("a trunk was not closed in order")
        self.send(TrunkClosed(trunk))

    def _place(self, wanted: PlaceCall) -> None:
        trunk = self._trunks.get(wanted.trunk)
        if trunk is None:
            self.ended(wanted.call, Outcome.NETWORK_TEMPORARY, "the trunk is not open")
            return
        try:
            self._legs[wanted.call] = trunk.line.dial(wanted.dial, _Teller(self, wanted.call))
        except CarrierError as error:
            self.ended(wanted.call, Outcome.NETWORK_TEMPORARY, error.detail)


class _Teller:
    """Tells the main program of one call; a `dastak.voice.line.Hearer`."""

    def __init__(self, engine: VoiceEngine, call: int) -> None:
        self._engine, self._call = engine, call

    def on_ringing(self, detail: str) -> None:
        self._engine.tell_last_words(self._call)
        self._engine.send(CallRings(self._call, detail[:DETAIL_CHARACTERS_MAX]))

    def on_answered(self, detail: str) -> None:
        self._engine.tell_last_words(self._call)
        self._engine.send(CallAnswered(self._call, detail[:DETAIL_CHARACTERS_MAX]))

    def on_step(self, step: Step, typed: str) -> None:
        self._engine.send(CallStepped(self._call, step, typed))

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        self._engine.ended(self._call, outcome, detail)
