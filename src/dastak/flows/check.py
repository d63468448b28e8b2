"""Check what a person typed: one attempt, judged once, under the store's lock."""

from datetime import datetime

import msgspec

from dastak.core import codes
from dastak.core.errors import InvalidRequest, NothingToCheck
from dastak.core.factor import Factor, FactorState
from dastak.core.ids import VerificationId
from dastak.core.lockout import Tally
from dastak.core.ports import Change, Held, Once, Ports, Replayed
from dastak.core.tenant import Mode
from dastak.core.verification import (
    Judgement,
    Reason,
    Typed,
    Verification,
    asks_factor,
    call_off,
    gate,
    judge,
)
from dastak.flows.factors import accepted


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What the person typed, and the transaction the caller is about to carry out with it.

    Attributes:
        at_s: For a test key: the time to judge a code by time at, in seconds since 1970; None is now.
    """

    code: str
    amount: str | None = None
    payee: str | None = None
    at_s: int | None = None


async def check(
    ports: Ports, tenant: int, verification_id: VerificationId, attempt: Attempt, *, once: Once | None = None
) -> Judgement | Replayed:
    """Judge one attempt. It is approved exactly once, whatever runs in parallel.

    Raises:
        NotFound: The tenant has no such verification.
        NothingToCheck: The person types a number into the phone instead; nothing was counted.
        InvalidRequest: The code is bound to a transaction and the attempt does not name it.
        Overloaded: The attempt cannot be counted now, so it was not judged.
    """
    now = ports.clock.now()

    def rule(held: Held) -> Change[Judgement]:
        if asks_factor(held.verification):
            return _judge_factor(ports, held, attempt, now)
        verification = held.verification
        if verification.particulars.match:
            raise NothingToCheck(
                "The person types the number that your page shows into the phone, and no code is spoken. "
                "Look at the verification; it is approved once the right number was typed."
            )
        judgement = gate(verification, held.tally, now=now)
        if judgement is None:
            judgement = judge(verification, _compare(ports, verification, attempt), held.tally, now=now)
        tally = None if judgement.tally == held.tally else judgement.tally
        return _written(held, judgement, tally=tally)

    judged = await ports.store.decide(verification_id, rule, tenant=tenant, once=once)
    if isinstance(judged, Judgement) and judged.step.events:
        ports.publish(judged.step.verification, judged.step.events)
    return judged


def _judge_factor(ports: Ports, held: Held, attempt: Attempt, now: datetime) -> Change[Judgement]:
    """Judge a code of the person's own; its factor moves on in the same commit, and keeps its own tally."""
    verification, factor = held.verification, held.factor
    assert factor is not None
    if attempt.at_s is not None and verification.mode is not Mode.TEST:
        raise InvalidRequest("Only a test key may choose the time.", field="at")
    if factor.state is FactorState.REMOVED:
        step = call_off(verification, "factor_removed", now=now)
        return _written(held, Judgement(step, factor.tally, reason=Reason.CANCELED))
    judgement = gate(verification, factor.tally, now=now)
    moved: Factor | None = None
    if judgement is None:
        at_s = int(now.timestamp()) if attempt.at_s is None else attempt.at_s
        typed = Typed.TRANSACTION_CHANGED
        if not _transaction_changed(verification, attempt):
            moved = accepted(ports, factor, attempt.code, at_s=at_s)
            typed = Typed.WRONG if moved is None else Typed.RIGHT
        judgement = judge(verification, typed, factor.tally, now=now)
        moved = msgspec.structs.replace(moved or factor, tally=judgement.tally)
    return _written(held, judgement, factor=moved)


def _written(
    held: Held, judgement: Judgement, *, tally: Tally | None = None, factor: Factor | None = None
) -> Change[Judgement]:
    step = judgement.step
    return Change(
        answer=judgement,
        verification=None if step.verification is held.verification else step.verification,
        events=step.events,
        tally=tally,
        factor=factor,
    )


def _compare(ports: Ports, verification: Verification, attempt: Attempt) -> Typed:
    if _transaction_changed(verification, attempt):
        return Typed.TRANSACTION_CHANGED
    policy = verification.policy
    if verification.own_code_digest is not None:
        typed = codes.read_typed(attempt.code, length=policy.length, alphabet=None)
        expected = verification.own_code_digest
        offered = codes.digest(
            ports.keys.key(verification.key_id),
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
            ports.keys.key(verification.key_id),
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
