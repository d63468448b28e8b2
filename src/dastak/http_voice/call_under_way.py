"""One call that a vendor makes for us: what it says, which turn may be fetched next, and how far it is."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from dastak.core.message import CarrierRef
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.http_voice.call_markup import Markup, Page, Spoken, plain, write
from dastak.http_voice.call_script import BRAND, CODE, OUTCOMES, CallScript, Then, Turn
from dastak.http_voice.call_status import Phase
from dastak.http_voice.call_words import Voice, recorded, said, words_of
from dastak.voice.ivr import Speech, SpeechOf
from dastak.voice.prompts import LAST_RESORT

# A vendor may look at a sound before it plays it, and again.
SOUND_FETCHES_MAX: Final = 3
SOUND_TYPE: Final = "audio/wav"
# The two sounds of a turn: what it says, and what it asks.
SAYS: Final = "says"
ASKED: Final = "asked"
# All that a vendor says that asks for nothing.
UNGATED: Final = ("greeting", BRAND, "code_is", CODE, "once_more", CODE, "goodbye")


class CallUnderWay:
    """One call.

    Args:
        token: Unguessable; whoever has it may fetch what the call says next.
        outgoing: What is said, and to whom.
        ends_s: When its code ends, and with it all its addresses (`time.monotonic`).
        gate: The digit that it asks for.
        language: In which it speaks.
        url: Where its turns are, without a slash at the end.
        voice: The vendor's; None has our recordings played.
        speech_of: Returns our recordings of a language.
        tell: Told of each step.

    Attributes:
        ref: The vendor's id of it, once that is known.
        heard_ref: The same, from a webhook that overtook the answer.
        phase: How far it is.
        machine: The vendor's hint whether a human answered.
        why_ended: Why we end it, once we do.
        settled: Whether it was told what came of it.
        came_of_it: What that is, while `ref` is not known.
    """

    timer: asyncio.TimerHandle

    def __init__(
        self,
        token: str,
        outgoing: Outgoing,
        *,
        ends_s: float,
        gate: str,
        language: str,
        url: str,
        voice: Voice | None,
        speech_of: SpeechOf,
        tell: Callable[[str, str], None],
    ) -> None:
        self.token, self.outgoing, self.ends_s = token, outgoing, ends_s
        self.url, self.voice = url, voice
        _, self._words = words_of(language)
        self._speech_of, self._tell = speech_of, tell
        self.script = CallScript(
            gate=gate, typed=outgoing.match_digits, instead=self._instead(language), tell=tell
        )
        self.ref: CarrierRef | None = None
        self.heard_ref, self.machine, self.why_ended = "", "", ""
        self.phase = Phase.NOTED
        self.settled = self.text_fetched = False
        self.came_of_it: tuple[Outcome, str] | None = None
        self._answered_at: float | None = None
        self._turn: Turn | None = None
        self._fetched = 0
        self._sounds_fetched: dict[str, int] = {}

    def __repr__(self) -> str:
        """Show no token: whoever has it may fetch a code."""
        return f"CallUnderWay({self.outgoing.key!r})"

    def _instead(self, language: str) -> str:
        """Return the language that is heard, if that is not the one that was asked for."""
        heard = language if self.voice else self._speech().language
        return heard if heard != (self.outgoing.locale or LAST_RESORT) else ""

    def _speech(self) -> Speech:
        return self._speech_of(self.outgoing.locale, self.outgoing.tenant)

    def is_next(self, number: int) -> bool:
        """Say whether a turn may be fetched now: each once, and in order."""
        hung_up = self._turn is not None and self._turn.then is Then.HANG_UP
        return number == self._fetched and not hung_up

    @property
    def answered_s(self) -> float | None:
        """How long it speaks by now, from when we were told of the answer; None where nobody told us."""
        return None if self._answered_at is None else time.monotonic() - self._answered_at

    def reaches(self, phase: Phase, detail: str) -> None:
        """Tell that it rings or was answered, once; what comes late changes nothing."""
        if phase > self.phase:
            self.phase = phase
            if phase is Phase.ANSWERED:
                self._answered_at = time.monotonic()
            if phase in (Phase.RINGING, Phase.ANSWERED):
                self._tell(phase.name.lower(), detail)

    def page(self, markup: Markup, keys: str) -> Page:
        """Return what is said next, after what was pressed."""
        self.reaches(Phase.ANSWERED, "")
        turn = Turn(says=()) if self.why_ended else self.script.next(keys)
        self._turn, self._fetched = turn, self._fetched + 1
        self._sounds_fetched = {}
        return write(markup, self._spoken(turn))

    def sound(self, number: int, part: str) -> bytes | None:
        """Return a sound of the turn that is being said; None when it is another turn's, or too often."""
        turn = self._turn
        if turn is None or number != self._fetched - 1 or self.voice is not None or self.why_ended:
            return None
        names = turn.says if part == SAYS else turn.asked if part == ASKED else ()
        fetched = self._sounds_fetched[part] = self._sounds_fetched.get(part, 0) + 1
        if not names or fetched > SOUND_FETCHES_MAX:
            return None
        return recorded(names, self._speech(), code=self.outgoing.code, brand=self.outgoing.brand)

    def text(self) -> str:
        """Return what a vendor without a script says."""
        return plain(said(UNGATED, self._words, code=self.outgoing.code, brand=self.outgoing.brand))

    def outcome(self, told: Outcome | None) -> Outcome:
        """Say what came of it if it is over now, by what was said, or else by what the vendor tells."""
        if self.script.begun:
            return OUTCOMES[self.script.ended]
        if told is not None:
            return told
        if self.text_fetched:
            return Outcome.DELIVERED
        return Outcome.HUNG_UP if self.phase >= Phase.ANSWERED else Outcome.NOT_ANSWERED

    def _spoken(self, turn: Turn) -> Spoken:
        follows = "" if turn.then is Then.HANG_UP else f"{self.url}/{self._fetched}"
        if self.voice is None:
            here = f"{self.url}/{self._fetched - 1}"
            says = (f"{here}/{SAYS}",) if turn.says else ()
            asked = (f"{here}/{ASKED}",) if turn.asked else ()
            return Spoken(turn, says, asked, Voice(language=""), follows)
        code, brand = self.outgoing.code, self.outgoing.brand
        return Spoken(
            turn,
            said(turn.says, self._words, code=code, brand=brand),
            said(turn.asked, self._words, code=code, brand=brand),
            self.voice,
            follows,
        )
