"""Start a verification: refuse what must be refused, decide everything, write it once, hand it over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec

from dastak.core import codes
from dastak.core import verification as rules
from dastak.core.call_rules import CallRules
from dastak.core.call_terms import barred
from dastak.core.errors import InvalidRequest, NotFound, Overloaded, Refused
from dastak.core.events import Event, MatchAsked, MessageQueued, VerificationStarted
from dastak.core.factor import Factor, challenge
from dastak.core.ids import ID_OCTETS, FactorId, VerificationId
from dastak.core.message import Message, MessageKey
from dastak.core.msisdn import Msisdn, Number, parse
from dastak.core.past_use import Judge
from dastak.core.policy import FACTORS, Channel, Narrowing, Policy, for_match, for_own_code, narrow
from dastak.core.ports import Change, Once, Opening, Ports, Replayed
from dastak.core.spend import Spend, reserve_of
from dastak.core.template import best_locale, render
from dastak.core.tenant import Caller, Mode
from dastak.core.verification import Particulars, Verification
from dastak.flows import factors
from dastak.flows.compose import code_of, measure_wording, wording_of
from dastak.flows.hear import refuse_stopped
from dastak.flows.record import look_for
from dastak.flows.spending import spend_of, uncount_send
from dastak.guard.destinations import check_destination


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for.

    Attributes:
        to: May be left out where `factor` says whom to ask.
        channel: None leaves the choice to the policy.
        factor: The one to ask for; one that was not proved yet is proved by it.
        code: The caller's own code, which is then only delivered and checked.
        match: Whether the person types the number of the page into the phone; None leaves it to the policy.
        policy: What shall be stricter than the service's policy.
    """

    to: str | None = None
    channel: Channel | None = None
    factor: FactorId | None = None
    code: str | None = None
    client_ip: str | None = None
    match: bool | None = None
    policy: Narrowing | None = None
    particulars: Particulars = Particulars()


class Started(msgspec.Struct, frozen=True):
    """A verification that was started, and the size of its text; none where nothing is sent.

    Attributes:
        trivial: The caller's own code is among the first that anybody would try.
        challenge: What the person with a printed list is asked for.
    """

    verification: Verification
    segments: int = 0
    alphabet: str = ""
    trivial: bool = False
    challenge: str | None = None


class _Way(NamedTuple):
    """Whom to ask for a code, and where it comes from."""

    msisdn: Msisdn
    channel: Channel
    factor: str | None = None
    match: bool = False


async def start(ports: Ports, caller: Caller, ask: Ask, *, once: Once | None = None) -> Started | Replayed:
    """Start one verification; when this returns it is durable, and no carrier was waited for.

    Raises:
        InvalidRequest: The number, the code, the policy or a value of the text is not valid.
        NotFound: The tenant has no such factor.
        Refused: The destination is closed, no route serves it, the number has no such factor, or the spend
            cap is reached.
        NumberStopped: The person asked this tenant for no more.
        RateLimited: A limit is met; nothing was written or sent.
        TooLate: It could not leave in time; nothing was counted.
        Overloaded: The store cannot write now.
    """
    now = ports.clock.now()
    factor = None if ask.factor is None else await factors.find(ports, caller, ask.factor)
    number = _number(ask, factor)
    if factor is None:
        asked = _asked_channel(ask, caller.service.policy)
        factor = await factors.choose(ports, caller, number.msisdn, asked)
    if factor is None:
        answer = await _of_code(ports, caller, ask, number, now)
    else:
        answer = _of_factor(ports, caller, ask, factor, now)
    verification = answer.verification

    # By id: when the store must run its batch again, the same one is superseded again.
    superseded: dict[VerificationId, rules.Step] = {}
    opening = _opening(ports, caller, answer, superseded)
    try:
        started = await ports.store.open(opening, once=once)
    except (Refused, Overloaded) as why:
        if not rules.asks_factor(verification):
            uncount_send(ports, caller, verification.msisdn, ask.client_ip, why)
        look_for(ports, opening.message, why)
        raise
    if isinstance(started, Started):
        for ended in superseded.values():
            ports.publish(ended.verification, ended.events)
        ports.publish(verification, (*opening.events, *opening.trace))
        if opening.message is not None:
            ports.hand_over(verification, opening.message)
    return started


def _number(ask: Ask, factor: Factor | None) -> Number:
    if factor is None and ask.to is None:
        raise InvalidRequest("Say whom to ask: `to`, or `factor`.", field="to")
    number = parse(ask.to or (factor.msisdn if factor else ""))
    if factor is not None and number.msisdn != factor.msisdn:
        raise NotFound("There is no such factor.")
    return number


async def _of_code(ports: Ports, caller: Caller, ask: Ask, number: Number, now: datetime) -> Started:
    """Prepare one that sends a code; every refusal ends here."""
    check_destination(number, service=caller.service, mode=caller.key.mode)
    await refuse_stopped(ports, caller.tenant.n, caller.key.mode, number.msisdn)
    channel = choose_channel(
        ports,
        caller.key.mode,
        caller.tenant.n,
        number.msisdn,
        asked=_asked_channel(ask, caller.service.policy),
        allowed=caller.service.policy.channels,
        calls=caller.service.calls,
    )
    way = _Way(number.msisdn, channel, match=_matches(ask, caller.service.policy, channel))
    verification = _verification(ports, caller, ask, way, now)
    measured = measure_wording(wording_of(verification, caller.service), verification.policy.length)
    check_register(ports, caller, verification, verification.particulars.channel)
    late = ports.too_late(verification)
    if late is not None:
        raise late
    await ports.limits.take(caller, verification.msisdn, ask.client_ip, now=now)
    return Started(
        verification,
        measured.segments,
        measured.alphabet,
        trivial=ask.code is not None and codes.trivial(ask.code),
    )


def _of_factor(ports: Ports, caller: Caller, ask: Ask, factor: Factor, now: datetime) -> Started:
    """Prepare one that asks for a code the person has already: nothing is sent, and nothing is charged."""
    if ask.code is not None or ask.match or ask.channel not in (None, factor.kind):
        raise InvalidRequest(
            "A factor makes its own code: leave out `code`, `channel` and `match`.", field="factor"
        )
    verification = _verification(ports, caller, ask, _Way(factor.msisdn, factor.kind, factor.id.hex()), now)
    return Started(verification, challenge=challenge(factor))


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
    at_ms = int(now.timestamp() * 1000)
    began: tuple[Event, ...] = (VerificationStarted(at_ms, channel),)
    message: Message | None = None
    trace: tuple[Event, ...] = ()
    spend: Spend | None = None
    judge: Judge | None = None
    if not rules.asks_factor(verification):
        judge = ports.limits.judge(caller, verification.msisdn, now=now)
        spend = spend_of(
            ports, caller.tenant, verification, channel=channel, segments=answer.segments, now=now
        )
        owner, due_at = ports.lease(now)
        message = Message(
            key=MessageKey(verification.id, 0),
            channel=channel,
            generation=0,
            segments=answer.segments,
            due_at=due_at,
            owner=owner,
            reserve=reserve_of(spend) if channel is Channel.VOICE else None,
        )
        trace = (MessageQueued(at_ms, 0, channel, answer.segments),)
    return Opening(
        answer=answer,
        verification=verification,
        message=message,
        events=(*began, MatchAsked(at_ms)) if verification.particulars.match else began,
        trace=trace,
        supersede=partial(_supersede, superseded, now),
        spend=spend,
        judge=judge,
    )


def _supersede(
    superseded: dict[VerificationId, rules.Step], now: datetime, old: Verification
) -> Change[None]:
    step = superseded[old.id] = rules.call_off(old, "superseded", now=now)
    return Change(answer=None, verification=step.verification, events=step.events)


def _verification(ports: Ports, caller: Caller, ask: Ask, way: _Way, now: datetime) -> Verification:
    policy = narrow(caller.service.policy, ask.policy) if ask.policy else caller.service.policy
    if way.match:
        policy = for_match(policy)
    verification_id = VerificationId(ports.entropy(ID_OCTETS))
    digest = sealed = None
    if ask.code is not None:
        policy = for_own_code(policy, codes.check_own_code(ask.code))
        digest = codes.digest(
            ports.keys.key(ports.keys.current),
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
        msisdn=way.msisdn,
        policy=policy,
        particulars=_particulars(caller, ask, way),
        key_id=ports.keys.current,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.ttl_s),
        last_sent_at=now,
        own_code_digest=digest,
        own_code_sealed=sealed,
    )


def _particulars(caller: Caller, ask: Ask, way: _Way) -> Particulars:
    said = ask.particulars
    tried_out = caller.key.mode is Mode.TEST
    if said.domain is not None and said.domain not in caller.service.domains and not tried_out:
        raise InvalidRequest(
            "`domain` is not one of this service's domains; add it to the service first.", field="domain"
        )
    return msgspec.structs.replace(
        said,
        channel=way.channel,
        locale=best_locale(said.locale),
        factor=way.factor,
        match=way.match,
    )


def _asked_channel(ask: Ask, policy: Policy) -> Channel | None:
    """Return the channel that is asked for; matching numbers needs the call.

    Raises:
        InvalidRequest: `match` fits neither the channel nor the policy.
    """
    if ask.match and ask.channel not in (None, Channel.VOICE):
        raise InvalidRequest("`match` needs a call; a text would carry a code.", field="match")
    if ask.match is False and policy.match:
        raise InvalidRequest("This service's policy wants `match`; its calls speak no code.", field="match")
    return Channel.VOICE if ask.match else ask.channel


def _matches(ask: Ask, policy: Policy, channel: Channel) -> bool:
    """Say whether the person types a number into the phone.

    Raises:
        InvalidRequest: A code of the caller would never be spoken, and no check could name a transaction.
    """
    if channel is not Channel.VOICE or not (policy.match if ask.match is None else ask.match):
        return False
    said = ask.particulars
    for field, value in (("code", ask.code), ("amount", said.amount), ("payee", said.payee)):
        if value is not None:
            raise InvalidRequest(
                f"`{field}` cannot go with `match`: no code is spoken and none is checked.", field=field
            )
    return True


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
        if channel in FACTORS:
            continue  # nothing carries it
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
        raise barred(bar)
    raise Refused(
        f"No route can carry a code by {' or '.join(wanted)} for a {mode} key; "
        "ask for another channel, or add a carrier.",
        reason="no_route",
    )
