"""What a call says and asks, turn by turn, for carriers that fetch a script: keys in, the next turn out.

1. It is pure, knows no vendor and holds no code: `CODE` stands where it is said.
2. The rules are those of `voice.ivr`: nothing secret before the right digit, which is another one for each
   call and is asked for twice at most; wrong or none ends the call.
3. Nothing interrupts the code: that the turn behind it is fetched proves that it was said to its end.
4. Every dialogue ends within `TURNS_MAX` turns, whatever is pressed.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dastak.core.outcome import Outcome
from dastak.voice.ivr import AGAIN_KEY, AGAIN_MAX, GATE_ROUNDS, REPORT_KEY, Ended, Step

# What stands for words that only the call knows.
CODE: Final = "code"
BRAND: Final = "brand"

# From the end of the prompt. A vendor counts whole seconds.
GATE_WAIT_S: Final = 5
MENU_WAIT_S: Final = 4
# To begin to type what the page shows, and for each digit after; and how often it is asked for.
MATCH_WAIT_S: Final = 10
MATCH_ROUNDS: Final = 2
# How often the menu is said again after a key that means nothing.
STRAY_MAX: Final = 2
# The gate, the first reading, the menu after each reading, and its repeats; and the goodbye.
TURNS_MAX: Final = GATE_ROUNDS + 1 + (1 + AGAIN_MAX) + STRAY_MAX + 1

OUTCOMES: Final[Mapping[Ended, Outcome]] = {
    Ended.COMPLETED: Outcome.DELIVERED,
    Ended.TYPED: Outcome.DELIVERED,
    Ended.NO_HUMAN: Outcome.NO_HUMAN,
    Ended.WRONG_KEY: Outcome.WRONG_KEY,
    Ended.HUNG_UP: Outcome.HUNG_UP,
    Ended.REPORTED: Outcome.REPORTED,
}
assert OUTCOMES.keys() == set(Ended)


class Then(StrEnum):
    """What follows when a turn was said."""

    KEYS = "keys"  # the next turn is fetched with what was pressed
    GO_ON = "go_on"  # the next turn is fetched at once
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer to the carrier.

    Attributes:
        says: Names of clips, `CODE` or `BRAND`; keys that are pressed meanwhile do not count.
        asked: The same, but a key interrupts it.
        keys: How many keys are waited for.
        wait_s: How long for each.
    """

    says: tuple[str, ...]
    asked: tuple[str, ...] = ()
    then: Then = Then.HANG_UP
    keys: int = 0
    wait_s: int = 0


Turns = Generator[Turn, str, None]
_HANG_UP: Final = Turn(says=())


class CallScript:
    """One call.

    Args:
        gate: The digit that this call asks for.
        typed: How many digits the page shows, where the person types them and no code is spoken. No number
            begins with 9, so that a 9 comes first only from somebody who did not ask.
        tell: Told of each step as it happens, with what was typed.
    """

    def __init__(
        self, *, gate: str, typed: int = 0, tell: Callable[[Step, str], None] = lambda _step, _typed: None
    ) -> None:
        self._gate, self._typed, self._tell = gate, typed, tell
        self._readings = 0
        self._ended: Ended | None = None
        self._begun = self._over = False
        self._turns = self._dialogue()

    def next(self, keys: str = "") -> Turn:
        """Return what comes next, after what was pressed; when all is said, an order to hang up."""
        try:
            turn = self._turns.send(keys) if self._begun else next(self._turns)
        except StopIteration:
            return _HANG_UP
        self._begun = True
        self._over = turn.then is Then.HANG_UP
        return turn

    @property
    def begun(self) -> bool:
        """Whether the first turn was fetched: somebody or something answered."""
        return self._begun

    @property
    def over(self) -> bool:
        """Whether the last turn was fetched."""
        return self._over

    @property
    def ended(self) -> Ended:
        """What came of the call if it ends now. Who hung up after a whole reading has heard the code."""
        if self._ended is not None:
            return self._ended
        return Ended.COMPLETED if self._readings else Ended.HUNG_UP

    def _dialogue(self) -> Turns:
        if self._typed:
            yield from self._take_digits()
        elif (yield from self._is_somebody_there()):
            yield from self._speak()

    def _is_somebody_there(self) -> Generator[Turn, str, bool]:
        says: tuple[str, ...] = ("greeting", BRAND)
        for _ in range(GATE_ROUNDS):
            pressed = yield _asks((*says, f"gate_{self._gate}"), GATE_WAIT_S)
            if pressed == self._gate:
                self._tell(Step.RIGHT_KEY, "")
                return True
            if pressed:
                self._end(Step.WRONG_KEY, Ended.WRONG_KEY)
                yield Turn(says=("wrong_key", "goodbye"))
                return False
            says = ()
        self._end(Step.NO_KEY, Ended.NO_HUMAN)
        yield Turn(says=("goodbye",))
        return False

    def _speak(self) -> Turns:
        yield Turn(says=("code_is", CODE), then=Then.GO_ON)
        self._was_said()
        strays = 0
        says: tuple[str, ...] = ("once_more", CODE)
        for again in range(AGAIN_MAX + 1):
            while (pressed := (yield _menu(says))) not in ("", AGAIN_KEY, REPORT_KEY) and strays < STRAY_MAX:
                self._was_said(when=bool(says))
                strays, says = strays + 1, ()
            self._was_said(when=bool(says))
            if pressed == REPORT_KEY:
                self._end(Step.REPORTED, Ended.REPORTED)
                yield Turn(says=("reported", "goodbye"))
                return
            if pressed != AGAIN_KEY or again == AGAIN_MAX:
                break
            self._tell(Step.AGAIN, "")
            says = ("once_more", CODE)
        self._ended = Ended.COMPLETED
        yield Turn(says=("goodbye",))

    def _take_digits(self) -> Turns:
        says: tuple[str, ...] = ("greeting", BRAND)
        for _ in range(MATCH_ROUNDS):
            typed = yield _match(says, self._typed)
            if typed.startswith(REPORT_KEY):
                self._end(Step.REPORTED, Ended.REPORTED)
                yield Turn(says=("reported", "goodbye"))
                return
            if len(typed) == self._typed and typed.isdecimal():
                self._ended = Ended.TYPED
                self._tell(Step.TYPED, typed)
                break
            says = ()
        else:
            self._end(Step.NO_KEY, Ended.NO_HUMAN)
        yield Turn(says=("goodbye",))

    def _was_said(self, *, when: bool = True) -> None:
        if when:
            self._readings += 1
            self._tell(Step.SPOKEN, "")

    def _end(self, step: Step, ended: Ended) -> None:
        self._ended = ended
        self._tell(step, "")


def _match(says: tuple[str, ...], digits: int) -> Turn:
    return Turn(says=says, asked=("match", "unasked"), then=Then.KEYS, keys=digits, wait_s=MATCH_WAIT_S)


def _asks(says: tuple[str, ...], wait_s: int) -> Turn:
    return Turn(says=says, then=Then.KEYS, keys=1, wait_s=wait_s)


def _menu(says: tuple[str, ...]) -> Turn:
    return Turn(says=says, asked=("menu",), then=Then.KEYS, keys=1, wait_s=MENU_WAIT_S)
