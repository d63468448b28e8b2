"""Recognise the code of an earlier message to the same number, so that a person is told to use the newest."""

from datetime import timedelta
from typing import Final

from dastak.core import codes
from dastak.core.ports import Filter, Ports
from dastak.core.verification import State, Verification, asks_factor

# Carriers bring a text hours late, but nobody who waits reads one from before that.
EARLIER_WITHIN: Final = timedelta(hours=1)
EARLIER_MAX: Final = 10


async def is_earlier_code(ports: Ports, verification: Verification, typed: str) -> bool:
    """Say whether a code is none of this verification's newest message, but was sent shortly before it.

    Only codes that are over are recognised: one that still opens something else, as a payment, is never
    confirmed. A code that the caller chose is not known any more.

    Args:
        ports: The outside world.
        verification: The one that is asked for now.
        typed: As codes are written.
    """
    if asks_factor(verification) or verification.own_code_digest is not None:
        return False
    if _has(ports, verification, verification.generation, typed):
        return False
    wanted = Filter(
        tenant=verification.tenant,
        service=verification.service,
        msisdn=verification.msisdn,
        created_from=verification.created_at - EARLIER_WITHIN,
        limit=EARLIER_MAX,
    )
    sent = (await ports.store.list(wanted)).verifications
    over = [one for one in sent if one.mode is verification.mode and one.state is not State.PENDING]
    replaced = range(verification.generation)
    return any(_has(ports, verification, generation, typed) for generation in replaced) or any(
        _has(ports, one, generation, typed) for one in over for generation in range(one.generation + 1)
    )


def _has(ports: Ports, verification: Verification, generation: int, typed: str) -> bool:
    key = ports.keys.keys.get(verification.key_id)
    if key is None:
        return False
    code = codes.derive(
        key,
        verification_id=verification.id,
        generation=generation,
        length=verification.policy.length,
        alphabet=verification.policy.alphabet,
    )
    return codes.matches(code, typed)
