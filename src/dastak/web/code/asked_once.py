"""What a page does once, however often its form comes: begin anew after a late code, take an approval."""

from hashlib import sha256

from dastak.core.ids import FactorId, VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.policy import FACTORS, Channel, Narrowing, Policy
from dastak.core.ports import Change, Once, Ports, Replayed
from dastak.core.tenant import Caller
from dastak.core.verification import Judgement, Step, Verification, asks_factor
from dastak.flows.start import Ask, start


async def renew(ports: Ports, caller: Caller, old: Verification) -> VerificationId:
    """Start what comes after a verification whose time is over; a repeat returns the same one.

    Raises:
        DastakError: As `start` does; nothing was sent.
    """
    ask = ask_again(caller.service.policy, old)
    once = Once(
        key=sha256(b"dastak/page/renew\0" + old.id).digest(),
        fingerprint=old.id,
        asked_at=ports.clock.now(),
        render=lambda started: started.verification.id,
    )
    answer = await start(ports, caller, ask, once=once)
    return VerificationId(answer.answer) if isinstance(answer, Replayed) else answer.verification.id


async def take_matched(ports: Ports, tenant: int, verification_id: VerificationId) -> bool:
    """Take the approval of a number that was typed into the phone; True for the first who asks."""
    once = Once(
        key=sha256(b"dastak/page/matched\0" + verification_id).digest(),
        fingerprint=verification_id,
        asked_at=ports.clock.now(),
        render=lambda _judged: b"",
    )
    taken = await ports.store.decide(
        verification_id,
        lambda held: Change(answer=Judgement(Step(held.verification), held.tally, approved=True)),
        tenant=tenant,
        once=once,
    )
    return isinstance(taken, Judgement)


def ask_again(policy: Policy, old: Verification, *, to: Msisdn | None = None) -> Ask:
    """Ask for what an earlier verification asked for, as strictly, of its number or of another one.

    A number that is typed has its own authenticator asked for where the policy asks for one first: else a
    text would come in its place.
    """
    said = old.particulars
    sent = Channel.SMS if Channel.SMS in policy.channels else Channel.VOICE
    if to is None and asks_factor(old) and said.factor is not None:
        return Ask(factor=FactorId(bytes.fromhex(said.factor)), particulars=said)
    return Ask(
        to=to or old.msisdn,
        channel=None if to is not None and policy.channels[0] in FACTORS else sent,
        policy=Narrowing(
            length=max(old.policy.length, policy.length),
            ttl_s=min(old.policy.ttl_s, policy.ttl_s),
            attempts_max=min(old.policy.attempts_max, policy.attempts_max),
            resends_max=min(old.policy.resends_max, policy.resends_max),
        ),
        particulars=said,
    )
