"""Call a verification off: its code will never be approved."""

from dastak.core import verification as rules
from dastak.core.errors import Conflict
from dastak.core.ids import VerificationId
from dastak.core.ports import Change, Held, Once, Ports, Replayed
from dastak.core.verification import State, Step


async def cancel(
    ports: Ports, tenant: int, verification_id: VerificationId, *, once: Once | None = None
) -> Step | Replayed:
    """End a pending verification.

    Raises:
        NotFound: The tenant has no such verification.
        Conflict: It is over already.
    """
    now = ports.clock.now()

    def rule(held: Held) -> Change[Step]:
        step = rules.expire(held.verification, now=now)
        if step.verification.state is not State.PENDING:
            raise Conflict("The verification is over already; there is nothing to cancel.")
        step = rules.call_off(step.verification, "canceled", now=now)
        return Change(answer=step, verification=step.verification, events=step.events)

    step = await ports.store.decide(verification_id, rule, tenant=tenant, once=once)
    if isinstance(step, Step):
        ports.publish(step.verification, step.events)
    return step
