"""One SIP transaction without I/O, of either side: what is sent again, until when, and what ends it.

1. States change by `TRANSITIONS` alone; what has no row there changes nothing and has no effect.
2. Over TCP and TLS nothing is repeated but the 2xx to an INVITE, and the time-outs stay.
3. A client is told of one final (but of every 2xx to an INVITE) or of silence, never of both.

A 2xx to an INVITE ends the transaction in RFC 3261 and keeps it for repeats in RFC 6026; here it keeps it.
A server repeats its 2xx until the ACK, so that whoever answers a re-INVITE need not.

Source: RFC 3261, section 17; RFC 6026, sections 7 and 8.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec


class State(StrEnum):
    """Where a transaction stands; the four machines of the standard have their own names each."""

    INVITE_CALLING = "invite_calling"
    INVITE_PROCEEDING = "invite_proceeding"
    INVITE_ACCEPTED = "invite_accepted"
    INVITE_COMPLETED = "invite_completed"
    ASKING_TRYING = "asking_trying"
    ASKING_PROCEEDING = "asking_proceeding"
    ASKING_COMPLETED = "asking_completed"
    INVITED_PROCEEDING = "invited_proceeding"
    INVITED_ACCEPTED = "invited_accepted"
    INVITED_COMPLETED = "invited_completed"
    INVITED_CONFIRMED = "invited_confirmed"
    ASKED_TRYING = "asked_trying"
    ASKED_COMPLETED = "asked_completed"
    TERMINATED = "terminated"


class Input(StrEnum):
    """What can happen to a transaction: a message, or a timer with its letter of the standard."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    REQUEST = "request"
    ACK = "ack"
    TIMER_A = "A"
    TIMER_B = "B"
    TIMER_D = "D"
    TIMER_E = "E"
    TIMER_F = "F"
    TIMER_G = "G"
    TIMER_H = "H"
    TIMER_I = "I"
    TIMER_J = "J"
    TIMER_K = "K"
    TIMER_M = "M"


class Effect(StrEnum):
    """What a transition asks of whoever holds the transaction."""

    NONE = "nothing"
    REPEAT = "send again"  # the request of a client, the last response of a server
    ACKNOWLEDGE = "send the ACK"
    TELL = "tell"
    TELL_AND_ACKNOWLEDGE = "tell, send the ACK"
    TIMED_OUT = "tell that nobody answers"


class Move(NamedTuple):
    """One row of the table."""

    to: State
    effect: Effect = Effect.NONE


_S, _I, _E = State, Input, Effect

# For a client SUCCESS and FAILURE came from the peer; for a server they are what we answer.
TRANSITIONS: Final[Mapping[tuple[State, Input], Move]] = {
    # We invite: figure 5 of RFC 3261 with RFC 6026.
    (_S.INVITE_CALLING, _I.TIMER_A): Move(_S.INVITE_CALLING, _E.REPEAT),
    (_S.INVITE_CALLING, _I.TIMER_B): Move(_S.TERMINATED, _E.TIMED_OUT),
    (_S.INVITE_CALLING, _I.PROVISIONAL): Move(_S.INVITE_PROCEEDING, _E.TELL),
    (_S.INVITE_CALLING, _I.SUCCESS): Move(_S.INVITE_ACCEPTED, _E.TELL),
    (_S.INVITE_CALLING, _I.FAILURE): Move(_S.INVITE_COMPLETED, _E.TELL_AND_ACKNOWLEDGE),
    (_S.INVITE_PROCEEDING, _I.PROVISIONAL): Move(_S.INVITE_PROCEEDING, _E.TELL),
    (_S.INVITE_PROCEEDING, _I.SUCCESS): Move(_S.INVITE_ACCEPTED, _E.TELL),
    (_S.INVITE_PROCEEDING, _I.FAILURE): Move(_S.INVITE_COMPLETED, _E.TELL_AND_ACKNOWLEDGE),
    (_S.INVITE_ACCEPTED, _I.SUCCESS): Move(_S.INVITE_ACCEPTED, _E.TELL),
    (_S.INVITE_ACCEPTED, _I.TIMER_M): Move(_S.TERMINATED),
    (_S.INVITE_COMPLETED, _I.FAILURE): Move(_S.INVITE_COMPLETED, _E.ACKNOWLEDGE),
    (_S.INVITE_COMPLETED, _I.TIMER_D): Move(_S.TERMINATED),
    # We ask anything else: figure 6.
    (_S.ASKING_TRYING, _I.TIMER_E): Move(_S.ASKING_TRYING, _E.REPEAT),
    (_S.ASKING_TRYING, _I.TIMER_F): Move(_S.TERMINATED, _E.TIMED_OUT),
    (_S.ASKING_TRYING, _I.PROVISIONAL): Move(_S.ASKING_PROCEEDING, _E.TELL),
    (_S.ASKING_TRYING, _I.SUCCESS): Move(_S.ASKING_COMPLETED, _E.TELL),
    (_S.ASKING_TRYING, _I.FAILURE): Move(_S.ASKING_COMPLETED, _E.TELL),
    (_S.ASKING_PROCEEDING, _I.TIMER_E): Move(_S.ASKING_PROCEEDING, _E.REPEAT),
    (_S.ASKING_PROCEEDING, _I.TIMER_F): Move(_S.TERMINATED, _E.TIMED_OUT),
    (_S.ASKING_PROCEEDING, _I.PROVISIONAL): Move(_S.ASKING_PROCEEDING, _E.TELL),
    (_S.ASKING_PROCEEDING, _I.SUCCESS): Move(_S.ASKING_COMPLETED, _E.TELL),
    (_S.ASKING_PROCEEDING, _I.FAILURE): Move(_S.ASKING_COMPLETED, _E.TELL),
    (_S.ASKING_COMPLETED, _I.TIMER_K): Move(_S.TERMINATED),
    # We are invited: figure 7 with RFC 6026. Only a re-INVITE comes here.
    (_S.INVITED_PROCEEDING, _I.REQUEST): Move(_S.INVITED_PROCEEDING, _E.REPEAT),
    (_S.INVITED_PROCEEDING, _I.SUCCESS): Move(_S.INVITED_ACCEPTED, _E.REPEAT),
    (_S.INVITED_PROCEEDING, _I.FAILURE): Move(_S.INVITED_COMPLETED, _E.REPEAT),
    (_S.INVITED_ACCEPTED, _I.REQUEST): Move(_S.INVITED_ACCEPTED, _E.REPEAT),
    (_S.INVITED_ACCEPTED, _I.TIMER_G): Move(_S.INVITED_ACCEPTED, _E.REPEAT),
    (_S.INVITED_ACCEPTED, _I.TIMER_H): Move(_S.TERMINATED, _E.TIMED_OUT),
    (_S.INVITED_ACCEPTED, _I.ACK): Move(_S.INVITED_CONFIRMED, _E.TELL),
    (_S.INVITED_COMPLETED, _I.REQUEST): Move(_S.INVITED_COMPLETED, _E.REPEAT),
    (_S.INVITED_COMPLETED, _I.TIMER_G): Move(_S.INVITED_COMPLETED, _E.REPEAT),
    (_S.INVITED_COMPLETED, _I.TIMER_H): Move(_S.TERMINATED),
    (_S.INVITED_COMPLETED, _I.ACK): Move(_S.INVITED_CONFIRMED),
    (_S.INVITED_CONFIRMED, _I.TIMER_I): Move(_S.TERMINATED),
    # We are asked anything else: figure 8.
    (_S.ASKED_TRYING, _I.SUCCESS): Move(_S.ASKED_COMPLETED, _E.REPEAT),
    (_S.ASKED_TRYING, _I.FAILURE): Move(_S.ASKED_COMPLETED, _E.REPEAT),
    (_S.ASKED_COMPLETED, _I.REQUEST): Move(_S.ASKED_COMPLETED, _E.REPEAT),
    (_S.ASKED_COMPLETED, _I.TIMER_J): Move(_S.TERMINATED),
}

# Which timers a state is entered with. One that repeats is wound up again whenever it fires.
ARMED: Final[Mapping[State, tuple[Input, ...]]] = {
    State.INVITE_CALLING: (Input.TIMER_A, Input.TIMER_B),
    State.INVITE_ACCEPTED: (Input.TIMER_M,),
    State.INVITE_COMPLETED: (Input.TIMER_D,),
    State.ASKING_TRYING: (Input.TIMER_E, Input.TIMER_F),
    State.ASKING_COMPLETED: (Input.TIMER_K,),
    State.INVITED_ACCEPTED: (Input.TIMER_G, Input.TIMER_H),
    State.INVITED_COMPLETED: (Input.TIMER_G, Input.TIMER_H),
    State.INVITED_CONFIRMED: (Input.TIMER_I,),
    State.ASKED_COMPLETED: (Input.TIMER_J,),
}
# E and F run on from one state into the other.
_KEEPS_TIMERS: Final = frozenset({State.ASKING_PROCEEDING})
_REPEATING: Final = frozenset({Input.TIMER_A, Input.TIMER_E, Input.TIMER_G})


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The times of RFC 3261, table 4, for one trunk.

    Attributes:
        t1_s: The round trip that is expected.
        t2_s: The longest pause between repeats, except for INVITE.
        t4_s: The longest that a message stays in the network.
        silence_s: Timers B and F. Over UDP nothing else shows a dead trunk: 4 to 6 s suit failover.
    """

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    silence_s: float = 32.0

    def first_s(self, timer: Input, *, reliable: bool) -> float:
        """Return what a timer is wound up to."""
        if timer in {Input.TIMER_B, Input.TIMER_F}:
            return self.silence_s
        if timer in _REPEATING:
            return self.t1_s
        if timer in {Input.TIMER_H, Input.TIMER_M}:
            return 64 * self.t1_s
        if reliable:  # nothing can come late: D, I, J and K are over at once
            return 0.0
        return self.t4_s if timer in {Input.TIMER_I, Input.TIMER_K} else 64 * self.t1_s


class Transaction:
    """One transaction.

    Args:
        state: One of the four that a transaction begins in.
        timing: The times of the trunk.
        reliable: Whether it runs over TCP or TLS.
        octets: What a client sends; a server has nothing yet.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        octets: What is sent again: the request of a client, the last response of a server.
        ack: The ACK to a failed INVITE, set by the holder when it is told of the failure.
    """

    __slots__ = ("_due", "_pause_s", "_reliable", "_timing", "ack", "octets", "state")

    def __init__(
        self, state: State, timing: Timing, *, reliable: bool, octets: bytes = b"", now: float
    ) -> None:
        self.state = state
        self.octets = octets
        self.ack = b""
        self._timing = timing
        self._reliable = reliable
        self._pause_s = timing.t1_s
        self._due: dict[Input, float] = {}
        self._wind(now)

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due, None when no timer runs."""
        return min(self._due.values(), default=None)

    @property
    def terminated(self) -> bool:
        """Whether it is over and may be forgotten."""
        return self.state is State.TERMINATED

    def take(self, happened: Input, now: float) -> Effect:
        """Let something happen, and return what is to be done about it."""
        move = TRANSITIONS.get((self.state, happened))
        if move is None:
            return Effect.NONE
        entered = move.to is not self.state
        self.state = move.to
        if self.state in _KEEPS_TIMERS:
            self._pause_s = self._timing.t2_s
        elif entered:
            self._wind(now)
        return move.effect

    def tick(self, now: float) -> list[Effect]:
        """Let every timer fire that is due."""
        effects: list[Effect] = []
        while self._due:
            timer = min(self._due, key=self._due.__getitem__)
            if self._due[timer] > now:
                break
            del self._due[timer]
            if timer in _REPEATING:
                self._pause_s *= 2
                if timer is not Input.TIMER_A:
                    self._pause_s = min(self._pause_s, self._timing.t2_s)
                self._due[timer] = now + self._pause_s
            effects.append(self.take(timer, now))
        return effects

    def _wind(self, now: float) -> None:
        self._due.clear()
        self._pause_s = self._timing.t1_s
        for timer in ARMED.get(self.state, ()):
            repeats_2xx = timer is Input.TIMER_G and self.state is State.INVITED_ACCEPTED
            if not self._reliable or timer not in _REPEATING or repeats_2xx:
                self._due[timer] = now + self._timing.first_s(timer, reliable=self._reliable)


def happened_by(status: int) -> Input:
    """Return what a response with this status is to a transaction."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE
