"""Start a verification: refuse what must be refused, decide everything, write it once, hand it over."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from dastak.core import codes
from dastak.core import verification as rules
from dastak.core.call_rules import CallRules
from dastak.core.call_terms import CALL_BARS, CallBar
from dastak.core.errors import InvalidRequest, Refused
from dastak.core.events import MessageQueued, VerificationStarted
from dastak.core.ids import ID_OCTETS, VerificationId
from dastak.core.message import Message, MessageKey
from dastak.core.msisdn import Msisdn, parse
from dastak.core.policy import Channel, Narrowing, Policy, for_own_code, narrow
from dastak.core.ports import Change, Once, Opening, Ports, Replayed
from dastak.core.template import best_locale, render
from dastak.core.tenant import Caller, Mode
from dastak.core.verification import Particulars, Verification
from dastak.flows.compose import code_of, measure_wording, wording_of
from dastak.flows.fall_back import LEASE_S
from dastak.flows.hear import refuse_stopped
from dastak.flows.spending import spend_of
from dastak.guard.destinations import check_destination


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for.

    Attributes:
        channel: None leaves the choice to the policy.
        code: The caller's own code, which is then only delivered and checked.
        policy: What shall be stricter than the service's policy.
    """

    to: str
    channel: Channel | None = None
    code: str | None = None
    client_ip: str | None = None
    policy: Narrowing | None = None
    particulars: Particulars = Particulars()


class Started(msgspec.Struct, frozen=True):
    """A verification that was started, and the size of its text.

    Attributes:
        trivial: The caller's own code is among the first that anybody would try.
    """

    verification: Verification
    segments: int
    alphabet: str
    trivial: bool = False


async def start(ports: Ports, caller: Caller, ask: Ask, *, once: Once | None = None) -> Started | Replayed:
    """Start one verification; when this returns it is durable, and no carrier was waited for.

    Raises:
        InvalidRequest: The number, the code, the policy or a value of the text is not valid.
        Refused: The destination is closed, no route serves it, or the spend cap is reached.
        NumberStopped: The person asked this tenant for no more.
        RateLimited: A limit is met; nothing was written or sent.
        Overloaded: The store cannot write now.
    """
    now = ports.clock.now()
    number = parse(ask.to)
    check_destination(number, service=caller.service, mode=caller.key.mode)
    await refuse_stopped(ports, caller.tenant.n, caller.key.mode, number.msisdn)
    verification = _verification(ports, caller, ask, number.msisdn, now)
    measured = measure_wording(wording_of(verification, caller.service), verification.policy.length)
    check_register(ports, caller, verification, verification.particulars.channel)
    ports.limits.take(caller, verification.msisdn, ask.client_ip, now=now)

    answer = Started(
        verification,
        measured.segments,
        measured.alphabet,
        trivial=ask.code is not None and codes.trivial(ask.code),
    )
    # By id: when the store must run its batch again, the same one is superseded again.
    superseded: dict[VerificationId, rules.Step] = {}
    opening = _opening(ports, caller, answer, superseded)
    started = await ports.store.open(opening, once=once)
    if isinstance(started, Started):
        for ended in superseded.values():
            ports.publish(ended.verification, ended.events)
        ports.publish(verification, (*opening.events, *opening.trace))
        ports.hand_over(verification, opening.message)
    return started


def check_register(ports: Ports, caller: Caller, verification: Verification, channel: Channel) -> None:
    """Refuse a text that India's scrubbers would refuse. Raises: TemplateMismatch."""
    if channel is not Channel.SMS or not ports.dlt.applies(verification):
        return
    code = code_of(ports, verification, 0)
    text = render(wording_of(verification, caller.service), code)
    ports.dlt.check(verification, caller.service.sender, text, code)


def _opening(
    ports: Ports, caller: Caller, answer: Started, superseded: dict[VerificationId, rules.Step]
) -> Opening[Started]:
    """Put together what one commit writes; what it supersedes is noted in `superseded`."""
    verification = answer.verification
    now, channel = verification.created_at, verification.particulars.channel

    def supersede(old: Verification) -> Change[None]:
        step = superseded[old.id] = rules.call_off(old, "superseded", now=now)
        return Change(answer=None, verification=step.verification, events=step.events)

    at_ms = int(now.timestamp() * 1000)
    return Opening(
        answer=answer,
        verification=verification,
        message=Message(
            key=MessageKey(verification.id, 0),
            channel=channel,
            generation=0,
            segments=answer.segments,
            due_at=now + timedelta(seconds=LEASE_S),
        ),
        events=(VerificationStarted(at_ms, channel),),
        trace=(MessageQueued(at_ms, 0, channel, answer.segments),),
        supersede=supersede,
        spend=spend_of(ports, caller.tenant, caller.key.mode, answer.segments, now),
    )


def _verification(ports: Ports, caller: Caller, ask: Ask, msisdn: Msisdn, now: datetime) -> Verification:
    policy = narrow(caller.service.policy, ask.policy) if ask.policy else caller.service.policy
    verification_id = VerificationId(ports.entropy(ID_OCTETS))
    digest = sealed = None
    if ask.code is not None:
        policy = for_own_code(policy, codes.check_own_code(ask.code))
        digest = codes.digest(
            ports.keys.keys[ports.keys.current],
            tenant=caller.tenant.n,
            verification_id=verification_id,
            code=ask.code,
        )
        sealed = ports.sealer.seal(ask.code.encode(), bound_to=verification_id)
    return Verification(
        id=verification_id,
        tenant=caller.tenant.n,
        service=caller.service.n,
        mode=caller.key.mode,
        msisdn=msisdn,
        policy=policy,
        particulars=_particulars(ports, caller, ask, policy, msisdn),
        key_id=ports.keys.current,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.ttl_s),
        last_sent_at=now,
        own_code_digest=digest,
        own_code_sealed=sealed,
    )


def _particulars(ports: Ports, caller: Caller, ask: Ask, policy: Policy, msisdn: Msisdn) -> Particulars:
    said = ask.particulars
    tried_out = caller.key.mode is Mode.TEST
    if said.domain is not None and said.domain not in caller.service.domains and not tried_out:
        raise InvalidRequest(
            "`domain` is not one of this service's domains; add it to the service first.", field="domain"
        )
    mode, tenant = caller.key.mode, caller.tenant.n
    channel = choose_channel(
        ports, mode, tenant, msisdn, asked=ask.channel, allowed=policy.channels, calls=caller.service.calls
    )
    return msgspec.structs.replace(said, channel=channel, locale=best_locale(said.locale))


def choose_channel(
    ports: Ports,
    mode: Mode,
    tenant: int,
    msisdn: Msisdn,
    *,
    asked: Channel | None,
    allowed: Sequence[Channel],
    calls: CallRules,
) -> Channel:
    """Choose the first channel that is asked for, allowed and has a route.

    Raises:
        Refused: There is none, or no trunk may call the number.
        RateLimited: It is the call, and the number was called too often.
    """
    wanted, bar = allowed if asked is None else (asked,), None
    for channel in wanted:
        if channel in allowed and ports.routes.carry(mode, channel, tenant, msisdn):
            if channel is Channel.VOICE:
                refusal = ports.calls.refusal(mode, msisdn, now=ports.clock.now())
                if refusal is not None:
                    raise refusal
                bar = ports.call_terms(mode, tenant, calls, msisdn).bar
                if bar is not None:
                    continue
            return channel
    if bar is not None:
        raise _barred(bar)
    raise Refused(
        f"No route can carry a code by {' or '.join(wanted)} for a {mode} key; "
        "ask for another channel, or add a carrier.",
        reason="no_route",
    )


def _barred(bar: CallBar) -> Refused:
    means, action = CALL_BARS[bar]
    return Refused(f"No call: {means}. Next: {action}", reason=bar)
