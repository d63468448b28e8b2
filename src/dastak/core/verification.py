"""One question to one person: do you hold this number? Its states, and the rules that move it.

1. It is approved at most once; a final state is left by nothing.
2. Whether a code may be judged at all (`gate`) is decided before the code is looked at.
3. Expiry beats approval when both fall on the same instant.
4. A receipt never approves or reopens it; a resend never gives attempts back.
5. Where the person types the number of the page into the phone, only that is judged and no code; once a text
   was asked for instead, only the code and no number.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core import lockout
from dastak.core.errors import Conflict, RateLimited
from dastak.core.events import (
    AttemptMissed,
    Event,
    MatchEnded,
    NumberLocked,
    VerificationApproved,
    VerificationCanceled,
    VerificationExhausted,
    VerificationExpired,
    VerificationFailed,
)
from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.policy import CALL_AFTER_S, FACTORS, Channel, Policy, ResendCode, resend_wait_s
from dastak.core.tenant import Mode


class State(StrEnum):
    """Where a verification stands."""

    PENDING = "pending"
    APPROVED = "approved"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    CANCELED = "canceled"
    FAILED = "failed"


class Input(StrEnum):
    """What can happen to a verification."""

    MATCHED = "matched"
    MISSED = "missed"
    LAST_MISSED = "last_missed"
    LIFETIME_OVER = "lifetime_over"
    CALLED_OFF = "called_off"
    RESENT = "resent"
    UNREACHABLE = "unreachable"


# Every pair that is not here leaves the state as it is.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.PENDING, Input.MATCHED): State.APPROVED,
    (State.PENDING, Input.MISSED): State.PENDING,
    (State.PENDING, Input.LAST_MISSED): State.EXHAUSTED,
    (State.PENDING, Input.LIFETIME_OVER): State.EXPIRED,
    (State.PENDING, Input.CALLED_OFF): State.CANCELED,
    (State.PENDING, Input.RESENT): State.PENDING,
    (State.PENDING, Input.UNREACHABLE): State.FAILED,
}


class Typed(StrEnum):
    """What the comparison said of the code a person typed."""

    RIGHT = "right"
    OLDER = "older"  # the code of an earlier text, which a resend replaced
    WRONG = "wrong"
    TRANSACTION_CHANGED = "transaction_changed"  # the amount or payee is not the one the code was made for


class Reason(StrEnum):
    """Why a check did not approve, for the authenticated caller."""

    WRONG_CODE = "wrong_code"
    OLDER_CODE = "older_code"
    WRONG_NUMBER = "wrong_number"  # typed into the phone, and not the one that the page shows
    EXPIRED = "expired"
    CONSUMED = "consumed"
    EXHAUSTED = "exhausted"
    LOCKED = "locked"
    CANCELED = "canceled"
    FAILED = "failed"


_CLOSED: Final[Mapping[State, Reason]] = {
    State.APPROVED: Reason.CONSUMED,
    State.EXHAUSTED: Reason.EXHAUSTED,
    State.EXPIRED: Reason.EXPIRED,
    State.CANCELED: Reason.CANCELED,
    State.FAILED: Reason.FAILED,
}
assert set(_CLOSED) == set(State) - {State.PENDING}


class Particulars(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a start request said that only the text and the answer need.

    Attributes:
        channel: The way its newest message took.
        locale: The language of the text; one of `core.template.LOCALES`.
        match: No code is spoken: the person types into the phone what the page shows.
        amount: With `currency` and `payee`: the transaction this code is good for, and for no other.
        factor: The id of the factor that is asked for, in hexadecimal digits.
    """

    channel: Channel = Channel.SMS
    locale: str = "en"
    match: bool = False
    purpose: str = "login"
    domain: str | None = None
    app_hash: str | None = None
    amount: str | None = None
    currency: str | None = None
    payee: str | None = None
    client_reference: str | None = None
    factor: str | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One verification as it stands.

    A `msgspec.Struct`, because starts and checks make thousands a second and it costs a fifth of a dataclass.

    Attributes:
        key_id: Which key its code is derived with.
        attempts: How many were wrong so far.
        generation: Which code it carries; a resend with a new code raises it.
        sends: How many texts and calls were asked for so far.
        fallbacks: How many more followed by themselves, because one did not arrive.
        own_code_digest: Set when the caller brought the code; then nothing is derived.
        own_code_sealed: The caller's code, until it has been submitted for the last time.
    """

    id: VerificationId
    tenant: int
    service: int
    mode: Mode
    msisdn: Msisdn
    policy: Policy
    particulars: Particulars
    key_id: int
    created_at: datetime
    expires_at: datetime
    last_sent_at: datetime
    state: State = State.PENDING
    attempts: int = 0
    generation: int = 0
    sends: int = 1
    fallbacks: int = 0
    own_code_digest: bytes | None = None
    own_code_sealed: bytes | None = None


class Step(msgspec.Struct, frozen=True):
    """What a rule decided: the verification as it shall stand, and the events that tell of it."""

    verification: Verification
    events: tuple[Event, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """What a check came to.

    Attributes:
        step: The verification after it.
        tally: The number's wrong attempts after it.
        approved: True exactly once in a verification's life.
        reason: Why not, if not.
        lock: The lock that was met, if any.
    """

    step: Step
    tally: lockout.Tally
    approved: bool = False
    reason: Reason | None = None
    lock: lockout.Lock | None = None


def asks_factor(verification: Verification) -> bool:
    """Say whether it asks for a code of the person's own now; a resend may have sent one since."""
    return verification.particulars.channel in FACTORS


def replaces(new: Verification, old: Verification) -> bool:
    """Say whether the start of one ends another: of the codes sent for one purpose only the newest is good.

    A question for a factor ends those for that factor alone: who has a code sent to the number of somebody
    else leaves the authenticator filed under it as it is. Modes never meet.

    Args:
        new: As it starts, so nothing is sent if it names a factor.
        old: Any other; nothing that is over is ended.
    """
    if old.state is not State.PENDING or (old.tenant, old.service, old.mode, old.msisdn) != (
        new.tenant,
        new.service,
        new.mode,
        new.msisdn,
    ):
        return False
    before, said = old.particulars, new.particulars
    if before.purpose != said.purpose:
        return False
    return not asks_factor(old) if said.factor is None else before.factor == said.factor


def attempts_remaining(verification: Verification) -> int:
    """Return how many wrong attempts are left; none once it is over."""
    if verification.state is not State.PENDING:
        return 0
    return verification.policy.attempts_max - verification.attempts


def resend_at(verification: Verification) -> datetime | None:
    """Return when the next resend is allowed; None when none ever is."""
    if verification.state is not State.PENDING or verification.sends > verification.policy.resends_max:
        return None
    if asks_factor(verification):
        return verification.created_at  # nothing was sent yet
    return verification.last_sent_at + timedelta(
        seconds=resend_wait_s(verification.policy, verification.sends)
    )


def call_at(verification: Verification, *, lost: bool) -> datetime | None:
    """Return when a call may be asked for; None when never.

    Who waits for a text in vain needs not wait as long as for another text.

    Args:
        verification: As it stands.
        lost: Whether its newest text is known not to arrive.
    """
    allowed_at = resend_at(verification)
    if allowed_at is None or verification.particulars.channel is not Channel.SMS:
        return allowed_at
    patience = timedelta(seconds=0 if lost else verification.policy.call_after_s or CALL_AFTER_S)
    return min(allowed_at, verification.last_sent_at + patience)


def gate(verification: Verification, tally: lockout.Tally, *, now: datetime) -> Judgement | None:
    """Say no before the code is looked at, or None when it may be judged."""
    lapsed = expire(verification, now=now)
    if lapsed.verification.state is not State.PENDING:
        return Judgement(lapsed, tally, reason=_CLOSED[lapsed.verification.state])
    lock = lockout.lock(tally, now=now, legacy=verification.policy.legacy)
    if lock is None:
        return None
    return Judgement(Step(verification), tally, reason=Reason.LOCKED, lock=lock)


def judge(verification: Verification, typed: Typed, tally: lockout.Tally, *, now: datetime) -> Judgement:
    """Judge one attempt on a verification that `gate` let through."""
    if typed is Typed.RIGHT:
        step = _move(verification, Input.MATCHED, VerificationApproved(_ms(now)))
        return Judgement(step, lockout.matched(tally), approved=True)
    tally = lockout.missed(tally, now=now)
    if typed is Typed.TRANSACTION_CHANGED:
        step = call_off(verification, "transaction_changed", now=now)
        return Judgement(step, tally, reason=Reason.WRONG_CODE)
    reason = _missed_by(verification, typed)
    spent = msgspec.structs.replace(verification, attempts=verification.attempts + 1)
    told: tuple[Event, ...] = (AttemptMissed(_ms(now), reason, attempts_remaining(spent)),)
    lock = lockout.lock(tally, now=now, legacy=verification.policy.legacy)
    if lock is not None:
        told = (*told, NumberLocked(_ms(now), lock.limit))
    if attempts_remaining(spent) > 0:
        return Judgement(_move(spent, Input.MISSED, *told), tally, reason=reason)
    step = _move(spent, Input.LAST_MISSED, *told, VerificationExhausted(_ms(now)))
    return Judgement(step, tally, reason=reason)


def expire(verification: Verification, *, now: datetime) -> Step:
    """Close a pending verification whose time is over; leave any other as it is."""
    if verification.state is not State.PENDING or now < verification.expires_at:
        return Step(verification)
    return _move(verification, Input.LIFETIME_OVER, VerificationExpired(_ms(now)))


def call_off(verification: Verification, cause: str, *, now: datetime) -> Step:
    """End a pending verification without an answer: `canceled`, `superseded`, `reported` and the like."""
    return _move(verification, Input.CALLED_OFF, VerificationCanceled(_ms(now), cause))


def give_up(verification: Verification, cause: str, *, now: datetime) -> Step:
    """Fail a pending verification whose number cannot be reached in any way."""
    return _move(verification, Input.UNREACHABLE, VerificationFailed(_ms(now), cause))


def resend(verification: Verification, channel: Channel, *, now: datetime, lost: bool = False) -> Step:
    """Allow one more send by `channel`, with the same code or a new one as its policy says.

    A text carries a code, so asking for one ends the matching of numbers for good.

    Args:
        verification: As it stands.
        channel: The way of the new message.
        now: The time.
        lost: Whether its newest text is known not to arrive; then a call need not be waited for.

    Raises:
        Conflict: It is over, or all resends are used.
        RateLimited: The wait after the last send is not over.
    """
    if verification.state is not State.PENDING:
        raise Conflict(f"The verification is {verification.state}; start a new one.")
    calls = channel is Channel.VOICE
    allowed_at = call_at(verification, lost=lost) if calls else resend_at(verification)
    if allowed_at is None:
        raise Conflict(f"All {verification.policy.resends_max} resends are used.")
    if now < allowed_at:
        wait_s = int((allowed_at - now).total_seconds()) + 1
        raise RateLimited("Wait before the next resend.", limit="resend_wait", retry_after_s=wait_s)
    said = verification.particulars
    told: tuple[Event, ...] = ()
    if said.match and channel is not Channel.VOICE:
        said, told = msgspec.structs.replace(said, match=False), (MatchEnded(_ms(now)),)
    fresh = verification.policy.resend_code is ResendCode.NEW and verification.own_code_digest is None
    return _move(
        msgspec.structs.replace(
            verification,
            sends=verification.sends + 1,
            generation=verification.generation + fresh,
            last_sent_at=now,
            particulars=msgspec.structs.replace(said, channel=channel),
        ),
        Input.RESENT,
        *told,
    )


def _missed_by(verification: Verification, typed: Typed) -> Reason:
    if verification.particulars.match:
        return Reason.WRONG_NUMBER
    return Reason.OLDER_CODE if typed is Typed.OLDER else Reason.WRONG_CODE


def _move(verification: Verification, happened: Input, *events: Event) -> Step:
    """Follow the table. A final state stays as it is, and nothing is told of it."""
    to = TRANSITIONS.get((verification.state, happened))
    if to is None:
        return Step(verification)
    if to is State.PENDING:
        return Step(verification, events)
    # What a code could be checked against goes with the last pending moment (S-15).
    ended = msgspec.structs.replace(verification, state=to, own_code_digest=None, own_code_sealed=None)
    return Step(ended, events)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
