"""Check what a person typed: one attempt, judged once, under the store's lock."""

import msgspec

from dastak.core import codes
from dastak.core.errors import InvalidRequest
from dastak.core.ids import VerificationId
from dastak.core.ports import Change, Held, Once, Ports, Replayed
from dastak.core.verification import Judgement, Typed, Verification, gate, judge


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What the person typed, and the transaction the caller is about to carry out with it."""

    code: str
    amount: str | None = None
    payee: str | None = None


async def check(
    ports: Ports, tenant: int, verification_id: VerificationId, attempt: Attempt, *, once: Once | None = None
) -> Judgement | Replayed:
    """Judge one attempt. It is approved exactly once, whatever runs in parallel.

    Raises:
        NotFound: The tenant has no such verification.
        InvalidRequest: The code is bound to a transaction and the attempt does not name it.
        Overloaded: The attempt cannot be counted now, so it was not judged.
    """
    now = ports.clock.now()

    def rule(held: Held) -> Change[Judgement]:
        verification = held.verification
        judgement = gate(verification, held.tally, now=now)
        if judgement is None:
            judgement = judge(verification, _compare(ports, verification, attempt), held.tally, now=now)
        step = judgement.step
        return Change(
            answer=judgement,
            verification=None if step.verification is verification else step.verification,
            events=step.events,
            tally=None if judgement.tally == held.tally else judgement.tally,
        )

    judged = await ports.store.decide(verification_id, rule, tenant=tenant, once=once)
    if isinstance(judged, Judgement) and judged.step.events:
        ports.publish(judged.step.verification, judged.step.events)
    return judged


def _compare(ports: Ports, verification: Verification, attempt: Attempt) -> Typed:
    if _transaction_changed(verification, attempt):
        return Typed.TRANSACTION_CHANGED
    policy = verification.policy
    if verification.own_code_digest is not None:
        typed = codes.read_typed(attempt.code, length=policy.length, alphabet=None)
        expected = verification.own_code_digest
        offered = codes.digest(
            ports.keys.keys[verification.key_id],
            tenant=verification.tenant,
            verification_id=verification.id,
            code=typed or "",
        )
        return Typed.RIGHT if codes.matches(expected, offered) else Typed.WRONG
    typed = codes.read_typed(attempt.code, length=policy.length, alphabet=policy.alphabet)
    if typed is None:
        return Typed.WRONG
    for generation in range(verification.generation, -1, -1):
        code = codes.derive(
            ports.keys.keys[verification.key_id],
            verification_id=verification.id,
            generation=generation,
            length=policy.length,
            alphabet=policy.alphabet,
        )
        if codes.matches(code, typed):
            return Typed.RIGHT if generation == verification.generation else Typed.OLDER
    return Typed.WRONG


def _transaction_changed(verification: Verification, attempt: Attempt) -> bool:
    """Compare the transaction word for word: a code is good for one amount and one payee."""
    said = verification.particulars
    pairs = {"amount": (said.amount, attempt.amount), "payee": (said.payee, attempt.payee)}
    for field, (bound, named) in pairs.items():
        if (bound is None) is not (named is None):
            rule = "is bound to a transaction; say its" if named is None else "is bound to no"
            raise InvalidRequest(f"This code {rule} `{field}`.", field=field)
    return any(bound != named for bound, named in pairs.values())
