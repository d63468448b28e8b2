"""Whether answers about one verification can have been given one after the other: a register of attempts.

1. The register holds how many attempts are left and whether the code was approved; each answer is a step.
2. A step happens at one moment between the question and its answer. One whose answer was lost may have
   happened at any later moment, or never.
3. Histories are short, so every order that the clock allows is tried, but for orders that come to the same:
   what changes nothing happens at once, and of equal steps that which must end first is the first.
"""

from collections.abc import Sequence
from functools import cache
from math import inf
from typing import Final, NamedTuple

from chaos.asked_calls import ATTEMPTS_MAX, NO_ANSWER, Call

# Answers about one verification that are looked at; more than these are not a small history.
STEPS_MAX: Final = 30
# Refusals that may come although the attempt was judged.
LOST: Final = (500, 502, 503, 504)
# States that end a verification without its register.
ENDED: Final = frozenset({"expired", "canceled", "failed"})


class _Register(NamedTuple):
    left: int = ATTEMPTS_MAX
    approved: bool = False

    @property
    def open(self) -> bool:
        return self.left > 0 and not self.approved

    @property
    def state(self) -> str:
        if self.approved:
            return "approved"
        return "pending" if self.left else "exhausted"


class _Step(NamedTuple):
    call: Call
    begins_s: float
    ends_s: float

    @property
    def lost(self) -> bool:
        return self.ends_s == inf


def in_some_order(calls: Sequence[Call], state: str) -> bool:
    """Say whether some order of these requests gives the answers that were given.

    Args:
        calls: All checks and reads of one verification.
        state: What the program tells of it when all is over.
    """
    steps = [_step(call) for call in calls if _says_something(call)]
    # Of lost checks one is enough to approve, and the one that was asked first could do it first.
    lost = sorted((step for step in steps if step.lost and step.call.kind == "check"), key=_begin)
    steps = [step for step in steps if step not in lost[1:]]
    assert len(steps) <= STEPS_MAX, f"{len(steps)} answers about one verification"
    needed = sum(1 << n for n, step in enumerate(steps) if not step.lost)

    @cache
    def ends_well(done: int, register: _Register) -> bool:
        if done & needed == needed and state in {register.state, *ENDED}:
            return True
        tried = set()
        for n in _next(steps, done):
            after = _after(register, steps[n], ended=state in ENDED)
            if after == register:
                return ends_well(done | 1 << n, register)
            if after is None or (steps[n].call.kind, after, steps[n].lost) in tried:
                continue
            tried.add((steps[n].call.kind, after, steps[n].lost))
            if ends_well(done | 1 << n, after):
                return True
        return False

    return ends_well(0, _Register())


def _begin(step: _Step) -> float:
    return step.begins_s


def _next(steps: Sequence[_Step], done: int) -> Sequence[int]:
    """Return which steps may be the next: nobody was answered before they were asked."""
    waiting = sorted((n for n in range(len(steps)) if not done >> n & 1), key=lambda n: steps[n].ends_s)
    first_end_s = steps[waiting[0]].ends_s if waiting else inf
    return [n for n in waiting if steps[n].begins_s <= first_end_s]


def _says_something(call: Call) -> bool:
    if call.replayed:
        return False  # an answer that was given before, said again
    if call.kind == "read":
        return call.status == 200 and bool(call.state)
    return call.kind in ("wrong", "check") and call.status in (200, 409, NO_ANSWER, *LOST)


def _step(call: Call) -> _Step:
    lost = call.status in (NO_ANSWER, *LOST)
    return _Step(call, call.asked_s, inf if lost else call.answered_s)


def _after(register: _Register, step: _Step, *, ended: bool) -> _Register | None:
    """Return the register after a step, or None where it cannot have been answered so."""
    call = step.call
    if call.kind == "read":
        return register if call.state in {register.state, *ENDED} else None
    if step.lost:
        return _lost(register, call)
    if call.status == 409:
        return register if ended or not register.open else None
    if call.approved:
        right = register.open and call.kind == "check"
        return register._replace(approved=True) if right else None
    missed = register.open and call.kind == "wrong"
    return register._replace(left=register.left - 1) if missed else None


def _lost(register: _Register, call: Call) -> _Register | None:
    if not register.open:
        return None  # it changed nothing, so it need not have happened
    return (
        register._replace(approved=True)
        if call.kind == "check"
        else register._replace(left=register.left - 1)
    )
