"""Keep messages away from a route that fails, and let single ones try whether it works again.

1. A breaker decides who is asked last; it never takes the only way away.
2. While it is half open, one message at a time goes to the route.
3. A fault of configuration stays until an operator acts, or a message that had no other way was accepted.
4. One tenant's wrong sender does not break the route of the others.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.errors import OUTCOME_UNKNOWN, CarrierUnavailable
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.delivery.failover import Silence

TIMEOUTS_IN_A_ROW: Final = 3
WINDOW_S: Final = 30
ERROR_SHARE_MAX: Final = 0.3
ANSWERS_MIN: Final = 20
# Who waits 1.5 s in vain is helped by a second route. When so many wait, a second one for each would double
# the load of a system that is in trouble already.
HEDGE_SHARE_MAX: Final = 0.05
HEDGES_MIN: Final = 5
CONFIG_FAULTS_IN_A_ROW: Final = 5
BACK_OFF_FIRST_S: Final = 5.0
BACK_OFF_S_MAX: Final = 300.0
# A route that fails again within this time has not recovered, and waits longer than the last time.
STEADY_S: Final = 60.0
PROBES_TO_CLOSE: Final = 3
# A probe that is not answered in this time is lost; the next one may go.
PROBE_S: Final = 10.0

_SLOT_S: Final = 5
_SLOTS: Final = WINDOW_S // _SLOT_S
assert _SLOTS * _SLOT_S == WINDOW_S
assert BACK_OFF_FIRST_S < BACK_OFF_S_MAX


class BreakerState(StrEnum):
    """What a route may have."""

    CLOSED = "closed"  # every message
    OPEN = "open"  # none, while there is another way
    HALF_OPEN = "half_open"  # one at a time
    BROKEN = "broken"  # none, until an operator acts


class Turn(StrEnum):
    """What can happen to a breaker."""

    TRIPPED = "tripped"
    MISCONFIGURED = "misconfigured"
    WAITED = "waited"
    PROVEN = "proven"
    OPERATOR_ACTED = "operator_acted"


# Every pair that is not here leaves the state as it is.
BREAKER_TRANSITIONS: Final[Mapping[tuple[BreakerState, Turn], BreakerState]] = {
    (BreakerState.CLOSED, Turn.TRIPPED): BreakerState.OPEN,
    (BreakerState.CLOSED, Turn.MISCONFIGURED): BreakerState.BROKEN,
    (BreakerState.OPEN, Turn.WAITED): BreakerState.HALF_OPEN,
    (BreakerState.OPEN, Turn.MISCONFIGURED): BreakerState.BROKEN,
    (BreakerState.OPEN, Turn.OPERATOR_ACTED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Turn.PROVEN): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Turn.TRIPPED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, Turn.MISCONFIGURED): BreakerState.BROKEN,
    (BreakerState.HALF_OPEN, Turn.OPERATOR_ACTED): BreakerState.CLOSED,
    (BreakerState.BROKEN, Turn.PROVEN): BreakerState.HALF_OPEN,
    (BreakerState.BROKEN, Turn.OPERATOR_ACTED): BreakerState.CLOSED,
}


class Answer(StrEnum):
    """What a route did with a message, as far as the route is to blame."""

    ACCEPTED = "accepted"
    NOT_ITS_FAULT = "not_its_fault"  # it answered: a wrong number, a text without template, a throttle
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    MISCONFIGURED = "misconfigured"  # credentials, balance, sender


# How far a route is to blame for a refusal; for what is not here it is not.
_BLAME: Final[Mapping[str, Answer]] = {
    Outcome.NETWORK_TEMPORARY: Answer.FAILED,
    Outcome.UNKNOWN: Answer.FAILED,
    Outcome.ROUTE_CONFIG: Answer.MISCONFIGURED,
}


class _Slot(msgspec.Struct, frozen=True):
    """What was answered in one piece of the window."""

    n: int
    answers: int = 0
    errors: int = 0
    timeouts: int = 0


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker of one route.

    Attributes:
        why: Why it is in its state, with figures.
        since_s: Since when.
        back_off_s: How long it waited, or waits.
        wait_until_s: When an open one lets a message try, and a half open one the next.
        timeouts: In a row, and so the two below.
        proofs: Messages that a half open one accepted.
        misconfigured: The tenants whose messages met a fault of configuration.
        served: Two tenants at most whose messages were accepted.
    """

    state: BreakerState = BreakerState.CLOSED
    why: str = ""
    since_s: float = 0.0
    back_off_s: float = BACK_OFF_FIRST_S
    wait_until_s: float = 0.0
    timeouts: int = 0
    proofs: int = 0
    misconfigured: tuple[int, ...] = ()
    served: tuple[int, ...] = ()
    slots: tuple[_Slot, ...] = ()

    @property
    def trips(self) -> bool:
        """Whether messages should go elsewhere."""
        return self.state is not BreakerState.CLOSED


def blame(outcome: str, status: str) -> Answer:
    """Say what a refusal tells of the route."""
    if status in (CarrierUnavailable.code, OUTCOME_UNKNOWN, Silence.NO_ANSWER):
        return Answer.TIMED_OUT
    return _BLAME.get(outcome, Answer.NOT_ITS_FAULT)


def may_be_its_fault(outcome: str) -> bool:
    """Say whether another route might have done better; else it was the phone, the text or the number."""
    return bool(OUTCOMES[Outcome(outcome)].other_route)


def answered(breaker: Breaker, answer: Answer, *, tenant: int, now_s: float, messages: int = 1) -> Breaker:
    """Count what a route did with messages, each the same, and open or close by it."""
    counted = _count(breaker, answer, tenant, now_s, messages)
    if answer is Answer.ACCEPTED:
        proven = breaker.state is not BreakerState.HALF_OPEN or counted.proofs >= PROBES_TO_CLOSE
        return _turn(counted, Turn.PROVEN, "messages are accepted again", now_s) if proven else counted
    if _misconfigured(counted):
        why = f"{len(counted.misconfigured)} messages in a row met a fault of configuration"
        return _turn(counted, Turn.MISCONFIGURED, why, now_s)
    why = _too_bad(counted, answer)
    return _turn(counted, Turn.TRIPPED, why, now_s) if why else counted


def passed(breaker: Breaker, *, now_s: float) -> Breaker:
    """Let time pass: after its wait an open breaker is half open."""
    if breaker.state is BreakerState.OPEN and now_s >= breaker.wait_until_s:
        return _turn(breaker, Turn.WAITED, f"waited {breaker.back_off_s:.0f} s", now_s)
    return breaker


def operator_acted(breaker: Breaker, *, now_s: float) -> Breaker:
    """Start afresh, because somebody mended or restored the route."""
    return _turn(breaker, Turn.OPERATOR_ACTED, "an operator acted", now_s)


def may_probe(breaker: Breaker, *, now_s: float) -> bool:
    """Say whether the next message may be the one that tries."""
    return breaker.state is BreakerState.HALF_OPEN and now_s >= breaker.wait_until_s


def probing(breaker: Breaker, *, now_s: float) -> Breaker:
    """Note that a message is trying; the next one waits for its answer."""
    return msgspec.structs.replace(breaker, wait_until_s=now_s + PROBE_S)


def _count(breaker: Breaker, answer: Answer, tenant: int, now_s: float, messages: int) -> Breaker:
    accepted, timed_out = answer is Answer.ACCEPTED, answer is Answer.TIMED_OUT
    faults = breaker.misconfigured
    if answer is Answer.MISCONFIGURED:
        faults = (*faults, tenant)[-CONFIG_FAULTS_IN_A_ROW:]
    elif accepted:
        faults = ()
    served = breaker.served
    if accepted and tenant not in served:
        served = (*served, tenant)[-2:]
    half_open = breaker.state is BreakerState.HALF_OPEN
    return msgspec.structs.replace(
        breaker,
        timeouts=breaker.timeouts + messages if timed_out else 0,
        proofs=breaker.proofs + messages if accepted and half_open else breaker.proofs,
        # The probe was answered, whatever the answer.
        wait_until_s=0.0 if half_open else breaker.wait_until_s,
        misconfigured=faults,
        served=served,
        slots=_slotted(breaker.slots, answer, now_s, messages),
    )


def _slotted(slots: tuple[_Slot, ...], answer: Answer, now_s: float, messages: int) -> tuple[_Slot, ...]:
    n = int(now_s // _SLOT_S)
    if slots and slots[-1].n >= n:
        last, kept = slots[-1], slots[:-1]
    else:
        last, kept = _Slot(n), tuple(slot for slot in slots if slot.n > n - _SLOTS)
    timed_out = answer is Answer.TIMED_OUT
    error = timed_out or answer is Answer.FAILED
    counted = _Slot(
        last.n,
        last.answers + messages,
        last.errors + error * messages,
        last.timeouts + timed_out * messages,
    )
    return (*kept, counted)


def _misconfigured(breaker: Breaker) -> bool:
    """Say whether it is the route's configuration, and not that of one of several tenants."""
    if len(breaker.misconfigured) < CONFIG_FAULTS_IN_A_ROW:
        return False
    faulty = set(breaker.misconfigured)
    return len(faulty) > 1 or faulty >= set(breaker.served)


def _too_bad(breaker: Breaker, answer: Answer) -> str:
    """Say why a breaker trips; nothing if it does not."""
    if answer not in (Answer.FAILED, Answer.TIMED_OUT):
        return ""
    if breaker.state is BreakerState.HALF_OPEN:
        return f"the message that tried: {answer.replace('_', ' ')}"
    if breaker.timeouts >= TIMEOUTS_IN_A_ROW:
        return f"{breaker.timeouts} messages in a row were not answered"
    answers = sum(slot.answers for slot in breaker.slots)
    errors = sum(slot.errors for slot in breaker.slots)
    timeouts = sum(slot.timeouts for slot in breaker.slots)
    if answers >= ANSWERS_MIN and errors > ERROR_SHARE_MAX * answers:
        return f"{errors} of {answers} messages failed in {WINDOW_S} s"
    if timeouts >= HEDGES_MIN and timeouts > HEDGE_SHARE_MAX * answers:
        return f"{timeouts} of {answers} messages were not answered in {WINDOW_S} s"
    return ""


def _turn(breaker: Breaker, turn: Turn, why: str, now_s: float) -> Breaker:
    to = BREAKER_TRANSITIONS.get((breaker.state, turn))
    if to is None:
        return breaker
    back_off_s, wait_until_s = breaker.back_off_s, 0.0
    if to is BreakerState.OPEN:
        relapse = breaker.state is BreakerState.HALF_OPEN or now_s - breaker.since_s < STEADY_S
        first = breaker.since_s == 0.0 or not relapse
        back_off_s = BACK_OFF_FIRST_S if first else min(2 * back_off_s, BACK_OFF_S_MAX)
        wait_until_s = now_s + back_off_s
    # Each state judges by what it sees itself.
    return Breaker(
        state=to,
        why=why,
        since_s=now_s,
        back_off_s=back_off_s,
        wait_until_s=wait_until_s,
        served=breaker.served,
    )
