"""Judge the number that a person typed into the phone: one attempt, judged once, under the store's lock."""

from typing import Final

from dastak.core import codes
from dastak.core.errors import Overloaded
from dastak.core.ids import VerificationId
from dastak.core.ports import Change, Held, Ports
from dastak.core.verification import Judgement, Typed, gate, judge
from dastak.flows.compose import match_number_of
from dastak.flows.record import pause

# A store that cannot write now is asked again after the wait it names; then the person must be called again.
TRIES_MAX: Final = 4


async def match(ports: Ports, verification_id: VerificationId, typed: str) -> Judgement | None:
    """Judge what was typed. It is approved exactly once, whatever runs in parallel.

    Returns:
        What it came to; None where no number is asked for any more, and nothing was counted.

    Raises:
        Overloaded: The store could not write for a while; nothing was counted or approved.
    """
    for left in range(TRIES_MAX - 1, -1, -1):
        try:
            return await _judged(ports, verification_id, typed)
        except Overloaded as full:
            if not left:
                raise
            await pause(ports, full.retry_after_s)
    raise AssertionError("the last try returns or raises")


async def _judged(ports: Ports, verification_id: VerificationId, typed: str) -> Judgement | None:
    now = ports.clock.now()

    def rule(held: Held) -> Change[Judgement | None]:
        verification = held.verification
        if not verification.particulars.match:
            return Change(answer=None)
        judgement = gate(verification, held.tally, now=now)
        if judgement is None:
            shown = match_number_of(ports, verification) or ""
            right = codes.matches(shown, typed)
            judgement = judge(verification, Typed.RIGHT if right else Typed.WRONG, held.tally, now=now)
        step = judgement.step
        return Change(
            answer=judgement,
            verification=None if step.verification is verification else step.verification,
            events=step.events,
            tally=None if judgement.tally == held.tally else judgement.tally,
        )

    judged = await ports.store.decide(verification_id, rule)
    if isinstance(judged, Judgement) and judged.step.events:
        ports.publish(judged.step.verification, judged.step.events)
    return judged if isinstance(judged, Judgement) else None
