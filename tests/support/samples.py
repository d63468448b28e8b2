"""Build the records that tests are about; what a test does not name is ordinary."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count
from typing import Any

from msgspec.structs import replace

from dastak.core import message as message_rules
from dastak.core import verification as rules
from dastak.core.codes import KeyRing
from dastak.core.events import MessageQueued, VerificationStarted
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy
from dastak.core.ports import Change, Held, Once, Opening
from dastak.core.tenant import ApiKey, Mode, Scope, Service, Tenant
from dastak.core.verification import Judgement, Particulars, Typed, Verification

NOW = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)
MSISDN = Msisdn("+919876543210")
RING = KeyRing(current=2, keys={1: bytes(range(32)), 2: bytes(range(32, 64))})
LEASE = timedelta(seconds=30)

_numbers = count(1)


def some_id(n: int | None = None) -> VerificationId:
    """Return an id that looks random; the same for the same n, a new one without."""
    return VerificationId(blake2b(b"%d" % (next(_numbers) if n is None else -n), digest_size=16).digest())


def some_msisdn(n: int) -> Msisdn:
    """Return the n-th of a range of Indian mobile numbers."""
    return Msisdn(f"+9198{n:08d}")


def some_verification(**changes: Any) -> Verification:
    """Return a pending verification that was created at NOW and lives five minutes."""
    created_at = changes.get("created_at", NOW)
    plain = Verification(
        id=some_id(),
        tenant=1,
        service=1,
        mode=Mode.LIVE,
        msisdn=MSISDN,
        policy=Policy(),
        particulars=Particulars(),
        key_id=2,
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=300),
        last_sent_at=created_at,
    )
    return replace(plain, **changes)


def some_message(verification: Verification, ordinal: int = 0, **changes: Any) -> Message:
    """Return a queued text of a verification, handed over to the worker and leased."""
    plain = Message(
        key=MessageKey(verification.id, ordinal),
        channel=Channel.SMS,
        generation=verification.generation,
        segments=1,
        due_at=verification.created_at + LEASE,
    )
    return replace(plain, **changes)


def some_opening(verification: Verification | None = None, **changes: Any) -> Opening[Verification]:
    """Return what the start flow hands to the store; a pending one for the same purpose is superseded."""
    verification = verification or some_verification()
    at_ms = ms(verification.created_at)

    def supersede(old: Verification) -> Change[None]:
        step = rules.call_off(old, "superseded", now=verification.created_at)
        return Change(answer=None, verification=step.verification, events=step.events)

    plain: Opening[Verification] = Opening(
        answer=verification,
        verification=verification,
        message=some_message(verification),
        events=(VerificationStarted(at_ms, "sms"),),
        trace=(MessageQueued(at_ms, 0, "sms", 1),),
        supersede=supersede,
    )
    return replace(plain, **changes)


def some_once(key: str = "key", fingerprint: str = "body", answer: bytes = b"201 {}") -> Once:
    """Return an Idempotency-Key whose kept answer is `answer`."""
    return Once(digest(key, 32), digest(fingerprint, 16), NOW, lambda _: answer)


def some_tenant(name: str = "acme", **changes: Any) -> Tenant:
    """Return a tenant that the store has not numbered yet."""
    return replace(Tenant(n=0, name=name, daily_spend_cap_micros=1_000_000), **changes)


def some_service(tenant: int = 1, name: str = "login", **changes: Any) -> Service:
    """Return a service that the store has not numbered yet."""
    return replace(Service(n=0, tenant=tenant, name=name, brand="Acme", policy=Policy()), **changes)


def some_key(key_id: str = "key_1", **changes: Any) -> ApiKey:
    """Return a live key of tenant 1."""
    plain = ApiKey(
        id=key_id,
        digest=digest(key_id, 32),
        tenant=1,
        service=1,
        mode=Mode.LIVE,
        scopes=(Scope.START, Scope.CHECK),
        name="backend",
        created_at=NOW,
    )
    return replace(plain, **changes)


def checking(typed: Typed, now: datetime = NOW) -> "Any":
    """Return the rule of the check flow for a code that was compared already."""

    def rule(held: Held) -> Change[Judgement]:
        judgement = rules.gate(held.verification, held.tally, now=now)
        if judgement is None:
            judgement = rules.judge(held.verification, typed, held.tally, now=now)
        step = judgement.step
        return Change(
            answer=judgement,
            verification=None if step.verification is held.verification else step.verification,
            events=step.events,
            tally=None if judgement.tally == held.tally else judgement.tally,
        )

    return rule


def submitting(carrier: CarrierRef, now: datetime = NOW) -> "Any":
    """Return the rule of the deliver flow for a message that a carrier took."""

    def rule(held: Held) -> Change[MessageState]:
        assert held.message is not None
        step = message_rules.submitted(held.message, carrier, latency_ms=12, now=now)
        return Change(answer=step.message.state, message=step.message, trace=step.events)

    return rule


def settling(carrier: CarrierRef, outcome: Outcome, now: datetime = NOW) -> "Any":
    """Return the rule of the settle flow for one receipt; its answer says whether it changed anything."""

    def rule(held: Held) -> Change[bool]:
        assert held.message is not None
        step = message_rules.settle(held.message, Receipt(carrier, outcome, "stat:DELIVRD"), now=now)
        message = None if step.message is held.message else step.message
        return Change(answer=bool(step.events), message=message, trace=step.events)

    return rule


def ms(instant: datetime) -> int:
    """Return whole milliseconds since 1970 UTC."""
    return round(instant.timestamp() * 1000)


def digest(text: str, octets: int) -> bytes:
    """Return a digest of so many octets."""
    return blake2b(text.encode(), digest_size=octets).digest()
