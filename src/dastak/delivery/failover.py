"""Decide what follows an answer, a receipt or a silence: stop, the same route, another one, or the call.

1. What may follow an outcome stands in `core/outcome.py` and nowhere else; here stand the silences.
2. Whatever follows is bounded: in number, in cost, and by the life that the code has left.
3. Every decision says why.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.outcome import OUTCOMES, Advice, Outcome, When
from dastak.core.policy import Channel

# How long a route may think about a submit before the next one gets the same code.
ANSWER_WITHIN_S: Final = 1.5
# Texts and calls for one code, those included that the person asked for.
ATTEMPTS_MAX: Final = 6
# A phone rings some fifteen seconds, and the code is spoken twice.
CALL_S: Final = 20.0
# A text that arrives with less life than this only confuses.
USEFUL_LIFE_S: Final = 5.0
BACK_OFFS_S: Final = (2.0, 4.0, 8.0)
# What nobody has is offered again after these; the last wait repeats while the code lives.
RETRY_S: Final = (1.0, 2.0, 5.0, 10.0)
# Who asks for the third time is not helped by a third text.
ASKED_FOR_A_CALL: Final = 3


class Silence(StrEnum):
    """What is no outcome but calls for a decision as well."""

    NOT_TAKEN = "not_taken"  # no route could be asked, or its link was lost: no answer will come any more
    NO_ANSWER = "no_answer"  # to the submit, in time; it may have been taken
    NO_RECEIPT = "no_receipt"  # by the learned deadline
    ASKED_AGAIN = "asked_again"  # the person did, before anything was known


Cause = Outcome | Silence

SILENCES: Final[Mapping[Silence, Advice]] = {
    Silence.NOT_TAKEN: Advice(False, When.UNTIL_TAKEN, When.NOW, When.IF_NO_ROUTE),
    Silence.NO_ANSWER: Advice(False, When.NEVER, When.NOW, When.IF_NO_ROUTE),
    Silence.NO_RECEIPT: Advice(False, When.NEVER, When.NOW, When.BY_CLOCK),
    Silence.ASKED_AGAIN: Advice(False, When.IF_NO_ROUTE, When.NOW, When.IF_ASKED),
}


class Action(StrEnum):
    """What to do next."""

    STOP = "stop"
    SAME_ROUTE = "same_route"
    OTHER_ROUTE = "other_route"
    VOICE = "voice"


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision depends on besides its cause.

    Attributes:
        remaining_s: The life the code has left.
        channels: What the policy allows.
        attempts: Texts and calls for this code so far, and how many there may be.
        other_routes: How many routes are up that have not had this code.
        median_s: How long such a route needs to the phone, half of the time.
        same_route_tries: How often the same route was tried again.
        followed: How many texts followed by themselves already.
        calls: How many calls there were already.
        call_ready: Whether a call may be made that nobody asked for.
        no_call: Why not, in words; empty as well where there is no way for calls at all.
        call_in_s: How long the policy wants to wait until a call; zero or less once it may start.
        receipt_in_s: How long the receipt may still take.
        asked: How often the person asked, the start included.
        affordable: Whether the caps of cost allow another one.
    """

    remaining_s: float
    channels: tuple[Channel, ...] = (Channel.SMS, Channel.VOICE)
    attempts: int = 1
    attempts_max: int = ATTEMPTS_MAX
    other_routes: int = 0
    median_s: float = 4.0
    same_route_tries: int = 0
    followed: int = 0
    calls: int = 0
    call_ready: bool = False
    no_call: str = ""
    call_in_s: float = 0.0
    receipt_in_s: float = 0.0
    asked: int = 1
    affordable: bool = True


class Next(msgspec.Struct, frozen=True):
    """What follows.

    Attributes:
        at_s: In how many seconds.
    """

    action: Action
    at_s: float
    why: str


def _done_before(situation: Situation, action: Action) -> int:
    return {
        Action.SAME_ROUTE: situation.same_route_tries,
        Action.OTHER_ROUTE: situation.followed,
        Action.VOICE: situation.calls,
        Action.STOP: 0,
    }[action]


def _retry_s(situation: Situation, _action: Action) -> float:
    return RETRY_S[min(situation.same_route_tries, len(RETRY_S) - 1)]


def _back_off_s(situation: Situation, _action: Action) -> float | None:
    tries = situation.same_route_tries
    return BACK_OFFS_S[tries] if tries < len(BACK_OFFS_S) else None


# In how many seconds a step may follow; None is never.
_WAITS: Final[Mapping[When, Callable[[Situation, Action], float | None]]] = {
    When.NEVER: lambda _situation, _action: None,
    When.NOW: lambda _situation, _action: 0.0,
    When.ONCE: lambda situation, action: None if _done_before(situation, action) else 0.0,
    When.BY_CLOCK: lambda situation, _action: max(0.0, situation.receipt_in_s),
    When.AFTER_BACK_OFF: _back_off_s,
    When.IF_ASKED: lambda situation, _action: 0.0 if situation.asked >= ASKED_FOR_A_CALL else None,
    When.UNTIL_TAKEN: _retry_s,
    When.IF_NO_ROUTE: lambda situation, _action: None if situation.other_routes else 0.0,
    # Which entities a sender may use is not known here.
    When.WITH_ANOTHER_ENTITY: lambda _situation, _action: None,
}
# A call that was asked for, or that another one's failure made due, does not wait for the policy's clock.
_WAITS_FOR_POLICY: Final = frozenset({When.BY_CLOCK})


def advice_of(cause: Cause) -> Advice:
    """Return what may follow a cause."""
    return SILENCES[cause] if isinstance(cause, Silence) else OUTCOMES[cause]


def next_step(cause: Cause, situation: Situation) -> Next:
    """Decide what follows."""
    if situation.attempts >= situation.attempts_max:
        return _stop(f"{cause}: {situation.attempts} attempts are the most there may be")
    if not situation.affordable:
        return _stop(f"{cause}: the cap of cost is reached")
    advice = advice_of(cause)
    steps = [step for action in _order(advice, situation) if (step := _step(action, cause, situation))]
    if not steps:
        return _stop(f"{cause}: {_lack(advice, situation)}")
    # The first in order, unless it waits for a clock and another one need not.
    return min(steps, key=lambda step: step.at_s)


def channel_of(cause: Cause, channels: tuple[Channel, ...]) -> Channel | None:
    """Return the channel that a cause calls for, of those allowed, whether or not there is a way."""
    advice = advice_of(cause)
    if advice.voice and Channel.VOICE in channels:
        return Channel.VOICE
    text = advice.other_route not in (When.NEVER, When.WITH_ANOTHER_ENTITY)
    return Channel.SMS if text and Channel.SMS in channels else None


def _order(advice: Advice, situation: Situation) -> tuple[Action, ...]:
    """Say what is tried first; where two are due at one time, that is what happens."""
    urgent_call = advice.voice is When.NOW and advice.other_route is not When.NOW
    wanted_call = advice.voice is When.IF_ASKED and situation.asked >= ASKED_FOR_A_CALL
    if urgent_call or wanted_call:
        return Action.VOICE, Action.OTHER_ROUTE, Action.SAME_ROUTE
    return Action.OTHER_ROUTE, Action.VOICE, Action.SAME_ROUTE


def _step(action: Action, cause: Cause, situation: Situation) -> Next | None:
    advice = advice_of(cause)
    when = {
        Action.SAME_ROUTE: advice.same_route,
        Action.OTHER_ROUTE: advice.other_route,
        Action.VOICE: advice.voice,
    }[action]
    at_s = _WAITS[when](situation, action)
    if at_s is None or not _possible(action, situation):
        return None
    if action is Action.VOICE and when in _WAITS_FOR_POLICY:
        at_s = max(at_s, situation.call_in_s)
    needed_s = CALL_S if action is Action.VOICE else _needed_s(situation)
    if situation.remaining_s - at_s < needed_s:
        return None
    why = f"{cause}: {_WORDS[action]} {_WHY[when]}; {_figures(situation)}"
    return Next(action, at_s, why if action is Action.VOICE else why + _without_call(advice, situation))


def _needed_s(situation: Situation) -> float:
    return max(situation.median_s, USEFUL_LIFE_S)


def _figures(situation: Situation) -> str:
    return (
        f"{situation.attempts} of {situation.attempts_max} attempts, {situation.other_routes} other routes, "
        f"{situation.remaining_s:.0f} s to live"
    )


def _possible(action: Action, situation: Situation) -> bool:
    if action is Action.VOICE:
        return Channel.VOICE in situation.channels and situation.call_ready
    texts = Channel.SMS in situation.channels
    return texts and (action is Action.SAME_ROUTE or situation.other_routes > 0)


def _lack(advice: Advice, situation: Situation) -> str:
    if not (advice.same_route or advice.other_route or advice.voice):
        return "nothing that follows would arrive"
    if situation.remaining_s < _needed_s(situation):
        needed_s = _needed_s(situation)
        return f"the code lives {situation.remaining_s:.0f} s more, and a text needs {needed_s:.0f} s"
    words = f"no route and no call is left that may follow; {_figures(situation)}"
    return words + _without_call(advice, situation)


def _without_call(advice: Advice, situation: Situation) -> str:
    """Say why it is no call that follows, where one would help."""
    due = advice.voice in (When.NOW, When.ONCE, When.BY_CLOCK)
    last = advice.voice is When.IF_NO_ROUTE and not situation.other_routes
    if not (due or last) or Channel.VOICE not in situation.channels or not situation.no_call:
        return ""
    return f"; no call: {situation.no_call}"


def _stop(why: str) -> Next:
    return Next(Action.STOP, 0.0, why)


_WORDS: Final[Mapping[Action, str]] = {
    Action.SAME_ROUTE: "the same route",
    Action.OTHER_ROUTE: "another route",
    Action.VOICE: "the call",
}
_WHY: Final[Mapping[When, str]] = {
    When.NEVER: "never",
    When.NOW: "at once",
    When.ONCE: "once",
    When.BY_CLOCK: "when its time has come",
    When.AFTER_BACK_OFF: "after a while",
    When.IF_ASKED: "because the person asked so often",
    When.UNTIL_TAKEN: "after a while, as nobody has it",
    When.IF_NO_ROUTE: "because no other route is left",
    When.WITH_ANOTHER_ENTITY: "with another entity",
}
assert set(_WAITS) == set(_WHY) == set(When)
