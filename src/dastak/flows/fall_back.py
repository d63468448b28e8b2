"""Choose what follows a message that did not arrive: another route, the call, or nothing.

1. Only the newest message of a verification is followed; an older one already was.
2. What follows carries the same code, so that a late first text is still right.
3. What follows is decided in `delivery/failover.py`; here stands what that decision has to know.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core import verification as verification_rules
from dastak.core.call_rules import closed_now
from dastak.core.call_terms import CALL_BARS, CallBar
from dastak.core.events import CallReported, Event, FallbackDue, MessageQueued
from dastak.core.message import Message, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.policy import CALL_AFTER_S, Channel
from dastak.core.ports import Held, Ports
from dastak.core.spend import Spend, reserve_of
from dastak.core.verification import State, Verification
from dastak.core.way_out import Wanted
from dastak.delivery.failover import (
    Action,
    Cause,
    Next,
    Silence,
    Situation,
    channel_of,
    next_step,
)
from dastak.flows.compose import segments_of
from dastak.flows.spending import spend_of

NO_TRUNK: Final = "no trunk carries it"


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """What follows a message that did not arrive.

    Attributes:
        verification: As it shall stand.
        events: For its timeline.
        trace: For the events of the message that did not arrive.
        follow_up: The message that comes after it, if one does.
        follow_up_trace: The events that one begins with.
        at_once: Whether that one may leave now; else it is offered when it is due.
        spend: What it costs.
    """

    verification: Verification
    events: tuple[Event, ...] = ()
    trace: tuple[Event, ...] = ()
    follow_up: Message | None = None
    follow_up_trace: tuple[Event, ...] = ()
    at_once: bool = True
    spend: Spend | None = None


def wanted(ports: Ports, verification: Verification, message: Message, now: datetime) -> Wanted:
    """Say what a way out is wanted for."""
    return Wanted(
        mode=verification.mode,
        channel=message.channel,
        tenant=verification.tenant,
        msisdn=verification.msisdn,
        remaining_s=(verification.expires_at - now).total_seconds(),
        tried=message.tried,
        calls=ports.service_of(verification.service).calls,
        anew=message.key.ordinal > 0,
    )


def situation(
    ports: Ports,
    verification: Verification,
    message: Message,
    now: datetime,
    *,
    other_routes: int | None = None,
    affordable: bool = True,
    no_call: str = "",
) -> Situation:
    """Say what a decision about a message depends on.

    Args:
        ports: The outside world.
        verification: Whose message it is.
        message: What did not arrive, so far.
        now: The present instant.
        other_routes: How many routes are left to ask, while it is offered to them. It is no attempt before
            one of them takes it.
        affordable: Whether the caps of cost allow another message.
        no_call: Why a call is out of the question, if that is known already.
    """
    call_at = verification.last_sent_at + timedelta(seconds=_patience_s(ports, verification, message))
    attempts = verification.sends + verification.fallbacks
    if other_routes is None:
        other_routes = _routes_left(ports, verification, message, now)
    else:
        attempts -= 1
    no_call = no_call or why_no_call(ports, verification, now)
    return Situation(
        remaining_s=(verification.expires_at - now).total_seconds(),
        channels=verification.policy.channels,
        attempts=attempts,
        other_routes=other_routes,
        same_route_tries=message.tries,
        followed=verification.fallbacks,
        call_ready=not no_call,
        no_call="" if no_call == NO_TRUNK else no_call,
        call_in_s=(call_at - now).total_seconds(),
        asked=verification.sends,
        affordable=affordable,
    )


def _patience_s(ports: Ports, verification: Verification, message: Message) -> int:
    """Return how long a text is waited for at least before a call that only its silence asks for.

    A learned deadline is patience enough. Before, a merely slow text would be called after.
    """
    wanted_s = verification.policy.call_after_s
    if wanted_s or message.carrier is None:
        return wanted_s or CALL_AFTER_S
    route = message.carrier.route
    learned = ports.believes(route) and ports.deadline_is_learned(route, verification.msisdn)
    return 0 if learned else CALL_AFTER_S


def why_no_call(ports: Ports, verification: Verification, now: datetime) -> str:
    """Say why a call that nobody asked for may not be made now; empty if it may."""
    mode, msisdn = verification.mode, verification.msisdn
    if not ports.routes.carry(mode, Channel.VOICE, verification.tenant, msisdn):
        return NO_TRUNK
    refusal = ports.calls.refusal(mode, msisdn, now=now)
    if refusal is not None:
        return f"{refusal.limit}, for {refusal.retry_after_s} s more"
    rest_s = ports.calls.rest_s(mode, msisdn, now=now)
    if rest_s:
        return f"{CallBar.REST}, {CALL_BARS[CallBar.REST].means}, for {rest_s} s more"
    rules = ports.service_of(verification.service).calls
    terms = ports.call_terms(mode, verification.tenant, rules, msisdn)
    if terms.bar is not None:
        return f"{terms.bar}, {CALL_BARS[terms.bar].means}"
    return closed_now(rules.hours, now)


def fall_back(
    ports: Ports,
    held: Held,
    failed: Message,
    cause: Cause,
    now: datetime,
    *,
    affordable: bool = True,
    no_call: str = "",
) -> Aftermath:
    """Decide what follows a message that failed for a cause, and write down by which rule."""
    verification = held.verification
    if verification.state is State.PENDING and cause is Outcome.UNKNOWN_NUMBER:
        ended = verification_rules.give_up(verification, cause, now=now)
        return Aftermath(verification=ended.verification, events=ended.events)
    if cause is Outcome.REPORTED:
        told_of_report = CallReported(_ms(now), failed.key.ordinal)
        ended = verification_rules.call_off(verification, cause, now=now)
        return Aftermath(verification=ended.verification, events=(told_of_report, *ended.events))
    # After a call that failed, nothing follows by itself.
    waited_for = verification.state is State.PENDING and is_newest(verification, failed)
    channel = channel_of(cause, verification.policy.channels)
    if not waited_for or failed.channel is not Channel.SMS or channel is None:
        return Aftermath(verification=verification)
    step = next_step(
        cause, situation(ports, verification, failed, now, affordable=affordable, no_call=no_call)
    )
    if step.action is not Action.STOP:
        return _followed(ports, verification, failed, step, cause=cause, now=now)
    # There is no way to take. Its operator shall see what would have been done.
    nowhere = FallbackDue(_ms(now), failed.key.ordinal, channel, cause, why=step.why)
    return Aftermath(verification=verification, trace=(nowhere,))


def is_newest(verification: Verification, message: Message) -> bool:
    """Say whether no other message came after this one."""
    return message.key.ordinal == verification.sends + verification.fallbacks - 1


def may_follow(ports: Ports, verification: Verification, message: Message, now: datetime) -> bool:
    """Say whether anything could follow this message by itself."""
    if message.channel is not Channel.SMS:
        return False
    step = next_step(Silence.NO_RECEIPT, situation(ports, verification, message, now))
    return step.action is not Action.STOP


def _routes_left(ports: Ports, verification: Verification, message: Message, now: datetime) -> int:
    """Count the routes for texts, up now, that have not had this code."""
    had = _handed_to(message)
    ways = ports.routes.order(wanted(ports, verification, message, now))
    return sum(route.available and route.name not in had for route in ways)


def _handed_to(message: Message) -> tuple[str, ...]:
    """Return the routes that have had this code, by this message or one before."""
    if message.carrier is None or message.carrier.route in message.tried:
        return message.tried
    return (*message.tried, message.carrier.route)


def _followed(
    ports: Ports, verification: Verification, failed: Message, step: Next, *, cause: Cause, now: datetime
) -> Aftermath:
    at_ms, ordinal = _ms(now), verification.sends + verification.fallbacks
    channel = Channel.VOICE if step.action is Action.VOICE else Channel.SMS
    segments = segments_of(ports, verification)
    tenant = ports.tenant_of(verification.tenant)
    spend = spend_of(ports, tenant, verification, channel=channel, segments=segments, now=now)
    lease = ports.lease(now)
    message = Message(
        key=MessageKey(verification.id, ordinal),
        channel=channel,
        generation=failed.generation,
        segments=segments,
        # The next back-off is longer than this one.
        tries=failed.tries + 1 if step.action is Action.SAME_ROUTE else 0,
        due_at=now + timedelta(seconds=step.at_s) if step.at_s else lease.due_at,
        owner=0 if step.at_s else lease.owner,
        tried=failed.tried if step.action is Action.SAME_ROUTE else _handed_to(failed),
        reserve=reserve_of(spend) if channel is Channel.VOICE else None,
    )
    return Aftermath(
        verification=msgspec.structs.replace(
            verification,
            fallbacks=verification.fallbacks + 1,
            particulars=msgspec.structs.replace(verification.particulars, channel=channel),
        ),
        trace=(FallbackDue(at_ms, failed.key.ordinal, channel, cause, ordinal, step.why),),
        follow_up=message,
        follow_up_trace=(MessageQueued(at_ms, ordinal, channel, segments),),
        at_once=not step.at_s,
        spend=spend,
    )


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
