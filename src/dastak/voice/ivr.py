"""The call as the person hears it: a greeting, a digit to be pressed, the code twice, and what to press then.

1. It is pure, and its clock is the audio: each frame that is pulled is 20 ms of the call.
2. Before the right digit is pressed nothing secret is said. The digit is another one for each call, for a
   voicemail greeting may hold key tones; only the first key after the digit was named counts.
3. Where the person shall type what the page shows, no code is spoken at all. No number begins with 9, so
   that a 9 comes first only from somebody who did not ask; keys from before the question do not count.
4. Who is spoken to in another language than the one that was asked for is told so.
5. A reading that would not end within the longest call is not begun: nobody is cut off in the middle of it.

Source: facts of the field on voicemail interception (M. Vigo, DEF CON 26).
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, Protocol

from dastak.core.call_price import TALK_S_MAX
from dastak.core.outcome import Outcome
from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS
from dastak.voice.sound.g711 import SILENT_FRAME as SILENCE

FRAMES_PER_S: Final = 1_000 // FRAME_MS
# Until the phone is at the ear.
LEAD_IN_S: Final = 0.4
GATE_ROUNDS: Final = 2
# From the beginning of the prompt to the end of its round.
GATE_ROUND_S: Final = 9.0
# The end of the prompt, where the digit was named and its sound fades; 0.3 s.
TAIL_FRAMES: Final = 15
READINGS: Final = 2
BETWEEN_READINGS_S: Final = 0.5
MENU_WAIT_S: Final = 4.0
# How often the code is said again when asked for.
AGAIN_MAX: Final = 3
# How often the page's number is asked for, how long its first digit is waited for, and each of the others.
MATCH_ROUNDS: Final = 2
MATCH_WAIT_S: Final = 10.0
MATCH_DIGIT_S: Final = 8.0
AGAIN_KEY: Final = "1"
REPORT_KEY: Final = "9"

# Frames, and at its end what the person pressed.
Heard = Generator[bytes, None, str]


class Step(StrEnum):
    """What happens in a call once it is answered."""

    RIGHT_KEY = "right_key"
    WRONG_KEY = "wrong_key"
    NO_KEY = "no_key"
    SPOKEN = "spoken"  # the whole code, once
    AGAIN = "again"
    REPORTED = "reported"  # "I did not ask for this"
    TYPED = "typed"
    OTHER_LANGUAGE = "other_language"  # than the one that was asked for


class Ended(StrEnum):
    """What came of a call that was answered."""

    COMPLETED = "completed"
    NO_HUMAN = "no_human"
    WRONG_KEY = "wrong_key"
    HUNG_UP = "hung_up"
    REPORTED = "reported"
    TYPED = "typed"


_OUTCOMES: Final[Mapping[Ended, Outcome]] = {
    Ended.COMPLETED: Outcome.DELIVERED,
    Ended.TYPED: Outcome.DELIVERED,
    Ended.NO_HUMAN: Outcome.NO_HUMAN,
    Ended.WRONG_KEY: Outcome.WRONG_KEY,
    Ended.HUNG_UP: Outcome.HUNG_UP,
    Ended.REPORTED: Outcome.REPORTED,
}
assert _OUTCOMES.keys() == set(Ended)


class Speech(Protocol):
    """The recordings of one language, as whole frames of G.711 µ-law."""

    @property
    def asked(self) -> str:
        """The language that was asked for."""

    @property
    def language(self) -> str:
        """The one that is heard."""

    def brand(self, name: str) -> bytes:
        """Return how a brand is spoken; nothing where nobody has recorded or rendered it."""

    def clip(self, name: str) -> bytes:
        """Return one recording."""

    def code(self, text: str) -> Iterable[bytes]:
        """Return the recordings of a code with the pauses between them."""


# How a locale is spoken to the people of a tenant; 0 has no recordings of its own.
SpeechOf = Callable[[str, int], Speech]


class Ivr:
    """One call.

    Args:
        speech: The language.
        gate: The digit that this call asks for.
        code: What is spoken; empty where the person types what the page shows.
        typed: How many digits the page shows, where the person types them.
        brand: On whose behalf it calls.
        talk_s_max: How long the call may last.
        tell: Told of each step as it happens, with what was typed or the language that is spoken instead.
    """

    def __init__(
        self,
        speech: Speech,
        *,
        gate: str,
        code: str = "",
        typed: int = 0,
        brand: str = "",
        talk_s_max: float = TALK_S_MAX,
        tell: Callable[[Step, str], None] = lambda _step, _typed: None,
    ) -> None:
        if bool(code) == bool(typed):
            raise ValueError("a call speaks a code or takes digits, and not both")
        self._speech, self._gate, self._code, self._typed = speech, gate, code, typed
        self._brand, self._tell = brand, tell
        self._frames_max = talk_s_max * FRAMES_PER_S
        self._keys: list[str] = []
        self._pulled = self._readings = 0
        self._ended: Ended | None = None
        self._frames = self._script()

    def frame(self) -> bytes | None:
        """Return the next 20 ms; None to hang up."""
        self._pulled += 1
        return next(self._frames, None)

    def key(self, digit: str) -> None:
        """Take a key that the person pressed."""
        self._keys.append(digit)

    @property
    def ended(self) -> Ended:
        """What came of the call if it ends now. Who hung up after a whole reading has heard the code."""
        if self._ended is not None:
            return self._ended
        return Ended.COMPLETED if self._readings else Ended.HUNG_UP

    @property
    def outcome(self) -> Outcome:
        """`ended`, in the words of messages."""
        return _OUTCOMES[self.ended]

    def _script(self) -> Iterator[bytes]:
        yield from _silence(LEAD_IN_S)
        if self._speech.language != self._speech.asked:
            self._tell(Step.OTHER_LANGUAGE, self._speech.language)
            yield from self._say("instead")
        if self._brand:
            yield from _frames(self._speech.brand(self._brand))
        yield from self._say("greeting")
        if self._typed:
            yield from self._take_digits()
        elif (yield from self._is_somebody_there()):
            yield from self._speak()
        yield from self._say("goodbye")

    def _is_somebody_there(self) -> Generator[bytes, None, bool]:
        for _ in range(GATE_ROUNDS):
            prompt = list(_frames(self._speech.clip(f"gate_{self._gate}")))
            yield from prompt[:-TAIL_FRAMES]
            # Who pressed before the digit was named did not hear it.
            self._keys.clear()
            yield from prompt[-TAIL_FRAMES:]
            pressed = yield from self._key_within(GATE_ROUND_S - len(prompt) / FRAMES_PER_S)
            if pressed == self._gate:
                self._tell(Step.RIGHT_KEY, "")
                return True
            if pressed:
                self._end(Step.WRONG_KEY, Ended.WRONG_KEY)
                yield from self._say("wrong_key")
                return False
        self._end(Step.NO_KEY, Ended.NO_HUMAN)
        return False

    def _speak(self) -> Iterator[bytes]:
        for again in range(AGAIN_MAX + 1):
            for _ in range(READINGS if not again else 1):
                if self._readings and not self._has_time():
                    break
                yield from self._say("code_is" if not self._readings else "once_more")
                for clip in self._speech.code(self._code):
                    yield from _frames(clip)
                self._readings += 1
                self._tell(Step.SPOKEN, "")
                yield from _silence(BETWEEN_READINGS_S)
            pressed = yield from self._choice()
            if pressed == REPORT_KEY:
                self._end(Step.REPORTED, Ended.REPORTED)
                yield from self._say("reported")
            if pressed != AGAIN_KEY or again == AGAIN_MAX or not self._has_time():
                break
            self._tell(Step.AGAIN, "")
        if self._ended is None:
            self._ended = Ended.COMPLETED

    def _has_time(self) -> bool:
        """Say whether one more reading ends within the longest call, with all that may come after it."""
        names = ("once_more", "menu", "reported", "goodbye")
        clips = (*map(self._speech.clip, names), *self._speech.code(self._code))
        frames = sum(map(len, clips)) // FRAME_OCTETS
        pauses = int((BETWEEN_READINGS_S + MENU_WAIT_S) * FRAMES_PER_S)
        return self._pulled + frames + pauses <= self._frames_max

    def _choice(self) -> Heard:
        """Return which of the two keys of the menu was pressed; while the code was spoken counts as well."""
        for frame in (*_frames(self._speech.clip("menu")), *_silence(MENU_WAIT_S)):
            while self._keys:
                if (pressed := self._keys.pop(0)) in (AGAIN_KEY, REPORT_KEY):
                    self._keys.clear()
                    return pressed
            yield frame
        return ""

    def _take_digits(self) -> Iterator[bytes]:
        for _ in range(MATCH_ROUNDS):
            self._keys.clear()
            first = yield from self._digit_within(
                *_frames(self._speech.clip("match")),
                *_frames(self._speech.clip("unasked")),
                *_silence(MATCH_WAIT_S),
            )
            if first == REPORT_KEY:
                self._end(Step.REPORTED, Ended.REPORTED)
                yield from self._say("reported")
                return
            if first:
                yield from self._take_rest(first)
                return
        self._end(Step.NO_KEY, Ended.NO_HUMAN)

    def _take_rest(self, typed: str) -> Iterator[bytes]:
        while len(typed) < self._typed:
            digit = yield from self._digit_within(*_silence(MATCH_DIGIT_S))
            if not digit:
                self._end(Step.NO_KEY, Ended.NO_HUMAN)
                return
            typed += digit
        self._ended = Ended.TYPED
        self._tell(Step.TYPED, typed)

    def _digit_within(self, *frames: bytes) -> Heard:
        """Return the first digit that is pressed while these frames sound; `*` and `#` are passed over."""
        for frame in frames:
            while self._keys:
                if (pressed := self._keys.pop(0)).isdecimal():
                    return pressed
            yield frame
        return ""

    def _key_within(self, seconds: float) -> Heard:
        for frame in _silence(seconds):
            if self._keys:
                return self._keys.pop(0)
            yield frame
        return ""

    def _say(self, name: str) -> Iterator[bytes]:
        return _frames(self._speech.clip(name))

    def _end(self, step: Step, ended: Ended) -> None:
        self._ended = ended
        self._tell(step, "")


def _frames(clip: bytes) -> Iterator[bytes]:
    return (clip[at : at + FRAME_OCTETS] for at in range(0, len(clip), FRAME_OCTETS))


def _silence(seconds: float) -> Iterator[bytes]:
    return (SILENCE for _ in range(int(seconds * FRAMES_PER_S)))
