"""Send the code once more, by the same way or another; attempts stay as they are."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import msgspec

from dastak.core import verification as rules
from dastak.core.errors import InvalidRequest, Overloaded, Refused
from dastak.core.events import (
    AnyEvent,
    Event,
    MessageDelivered,
    MessageQueued,
    MessageSubmitted,
    MessageUndelivered,
)
from dastak.core.ids import VerificationId
from dastak.core.message import Message, MessageKey
from dastak.core.msisdn import parse
from dastak.core.policy import Channel
from dastak.core.ports import Change, Held, Once, Ports, Replayed
from dastak.core.spend import reserve_of
from dastak.core.tenant import Caller
from dastak.core.verification import State, Verification
from dastak.delivery.failover import Action, Silence, Situation, next_step
from dastak.flows.compose import segments_of
from dastak.flows.fall_back import why_no_call
from dastak.flows.hear import refuse_stopped
from dastak.flows.phone_back import AWAY
from dastak.flows.record import looked_for
from dastak.flows.spending import spend_of, uncount_send
from dastak.flows.start import check_register, choose_channel
from dastak.guard.destinations import check_destination


class Resent(msgspec.Struct, frozen=True):
    """A verification with one more message on its way."""

    verification: Verification
    message: Message
    events: tuple[Event, ...]


async def resend(
    ports: Ports,
    caller: Caller,
    verification_id: VerificationId,
    channel: Channel | None = None,
    *,
    once: Once | None = None,
) -> Resent | Replayed:
    """Queue one more message; by the first channel that works, if none is named.

    Raises:
        NotFound: The tenant has no such verification.
        Conflict: It is over, or all its resends are used.
        InvalidRequest: It asks for a code of the person's own, and no channel is named.
        RateLimited: The wait after the last send is not over, or another limit is met.
        Refused: No route serves the channel, the destination is closed, or the spend cap is reached.
        TemplateMismatch: No template of India's register carries the text any more.
        NumberStopped: The person asked this tenant for no more.
    """
    now = ports.clock.now()
    held = await ports.store.find(caller.tenant.n, verification_id)
    told = await ports.store.timeline(caller.tenant.n, verification_id)
    lost = newest_is_lost(told)
    way, _ = _allowed(ports, held.verification, channel, now, lost=lost)
    if rules.asks_factor(held.verification):  # nothing was sent yet, so nobody has looked
        check_destination(parse(held.verification.msisdn), service=caller.service, mode=caller.key.mode)
    # The register may have changed since, or the code was only spoken so far.
    check_register(ports, caller, held.verification, way)
    await refuse_stopped(ports, caller.tenant.n, held.verification.mode, held.verification.msisdn)
    await ports.limits.take(caller, held.verification.msisdn, None, now=now)
    # Who asks again was not helped by the routes before.
    tried = tuple(dict.fromkeys(event.route for event in told if isinstance(event, MessageSubmitted)))
    rule = partial(_rule, ports, caller, asked=channel, tried=tried, now=now, lost=lost)
    try:
        with looked_for(ports, rule, lambda sent: sent.message) as noted:
            sent = await ports.store.decide(
                verification_id,
                noted,
                tenant=caller.tenant.n,
                once=once,
                judge=ports.limits.judge(caller, held.verification.msisdn, now=now),
            )
    except (Refused, Overloaded) as why:
        uncount_send(ports, caller, held.verification.msisdn, None, why)
        raise
    if isinstance(sent, Resent):
        ports.publish(sent.verification, sent.events)
        ports.hand_over(sent.verification, sent.message)
    return sent


def newest_is_lost(timeline: Sequence[AnyEvent]) -> bool:
    """Say whether the newest message is known not to arrive, at a phone that a call may still ring.

    One that is off or out of reach rings for nobody: its text comes when it is back (`phone_back.py`).
    """
    newest = max((event.ordinal for event in timeline if isinstance(event, MessageQueued)), default=None)
    ends = [
        event
        for event in timeline
        if isinstance(event, MessageDelivered | MessageUndelivered) and event.ordinal == newest
    ]
    end = ends[-1] if ends else None
    return isinstance(end, MessageUndelivered) and end.outcome not in AWAY


def _allowed(
    ports: Ports, verification: Verification, asked: Channel | None, now: datetime, *, lost: bool
) -> tuple[Channel, rules.Step]:
    current = rules.expire(verification, now=now).verification
    if asked is None and current.state is State.PENDING and rules.asks_factor(current):
        # Whoever repeats what was sent does not mean to put a text in the place of an authenticator.
        raise InvalidRequest(
            "Nothing was sent that could be sent again: the verification asks for a code that the person "
            "has already. Name the `channel` to send one instead.",
            field="channel",
        )
    channel = choose_channel(
        ports,
        verification.mode,
        verification.tenant,
        verification.msisdn,
        asked=asked or _preferred(ports, verification, now),
        allowed=verification.policy.channels,
        calls=ports.service_of(verification.service).calls,
    )
    return channel, rules.resend(current, channel, now=now, lost=lost)


def _preferred(ports: Ports, verification: Verification, now: datetime) -> Channel | None:
    """Prefer the call when somebody asks so often that another text will not help.

    Where numbers are matched only a call can ask for one.
    """
    if verification.particulars.match:
        return Channel.VOICE
    asking = Situation(
        remaining_s=(verification.expires_at - now).total_seconds(),
        channels=verification.policy.channels,
        attempts=verification.sends + verification.fallbacks,
        call_ready=not why_no_call(ports, verification, now),
        asked=verification.sends + 1,
    )
    return Channel.VOICE if next_step(Silence.ASKED_AGAIN, asking).action is Action.VOICE else None


def _rule(
    ports: Ports,
    caller: Caller,
    held: Held,
    *,
    asked: Channel | None,
    tried: tuple[str, ...],
    now: datetime,
    lost: bool,
) -> Change[Resent]:
    verification = held.verification
    channel, step = _allowed(ports, verification, asked, now, lost=lost)
    segments = segments_of(ports, verification)
    spend = spend_of(ports, caller.tenant, verification, channel=channel, segments=segments, now=now)
    owner, due_at = ports.lease(now)
    message = Message(
        key=MessageKey(verification.id, verification.sends + verification.fallbacks),
        channel=channel,
        generation=step.verification.generation,
        segments=segments,
        due_at=due_at,
        owner=owner,
        tried=tried,
        reserve=reserve_of(spend) if channel is Channel.VOICE else None,
    )
    queued = MessageQueued(int(now.timestamp() * 1000), message.key.ordinal, channel, segments)
    return Change(
        answer=Resent(step.verification, message, (*step.events, queued)),
        verification=step.verification,
        events=step.events,
        message=message,
        trace=(queued,),
        spend=spend,
    )
