"""Choose what follows a message that did not arrive: another route, the call, or nothing.

1. Only the newest message of a verification is followed; an older one already was.
2. What follows carries the same code, so that a late first text is still right.
3. So many follow by themselves and no more: a storm of failures does not become a storm of messages.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core import verification as verification_rules
from dastak.core.events import Event, FallbackDue, MessageQueued
from dastak.core.message import Message, MessageKey
from dastak.core.outcome import OUTCOMES, Advice, Outcome, When
from dastak.core.policy import Channel
from dastak.core.ports import Held, Ports, Spend, Wanted
from dastak.core.verification import State, Verification
from dastak.flows.compose import segments_of
from dastak.flows.spending import spend_of

FALLBACKS_MAX: Final = 3
# A text that arrives with less life than this only confuses.
USEFUL_LIFE_S: Final = 5
# A message that its process took over but did not settle in this time is offered again.
LEASE_S: Final = 30

# No receipt at all says as little as one that settles nothing.
NO_RECEIPT: Final = "no_receipt"
_SILENCE: Final = OUTCOMES[Outcome.ACCEPTED]


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """What follows a message that did not arrive.

    Attributes:
        verification: As it shall stand.
        events: For its timeline.
        trace: For the events of the message that did not arrive.
        follow_up: The message that comes after it, if one does.
        follow_up_trace: The events that one begins with.
        spend: What it costs.
    """

    verification: Verification
    events: tuple[Event, ...] = ()
    trace: tuple[Event, ...] = ()
    follow_up: Message | None = None
    follow_up_trace: tuple[Event, ...] = ()
    spend: Spend | None = None


def wanted(verification: Verification, message: Message, now: datetime) -> Wanted:
    """Say what a way out is wanted for."""
    return Wanted(
        mode=verification.mode,
        channel=message.channel,
        tenant=verification.tenant,
        msisdn=verification.msisdn,
        remaining_s=(verification.expires_at - now).total_seconds(),
        tried=message.tried,
        anew=message.key.ordinal > 0,
    )


def fall_back(ports: Ports, held: Held, failed: Message, cause: str, now: datetime) -> Aftermath:
    """Decide what follows a message that failed for a cause: an outcome, or `NO_RECEIPT`."""
    verification = held.verification
    if verification.state is State.PENDING and cause == Outcome.UNKNOWN_NUMBER:
        ended = verification_rules.give_up(verification, cause, now=now)
        return Aftermath(verification=ended.verification, events=ended.events)
    if not _is_worth_it(verification, failed, now):
        return Aftermath(verification=verification)
    due = [channel for channel in _due(failed, _advice(cause)) if _wants(verification, channel)]
    for channel in due:
        if _has_way(ports, verification, failed, channel, now):
            return _followed(ports, verification, failed, channel, cause=cause, now=now)
    if not due:
        return Aftermath(verification=verification)
    # There is no way to take. Its operator shall see what would have been done.
    nowhere = FallbackDue(_ms(now), failed.key.ordinal, due[-1], cause)
    return Aftermath(verification=verification, trace=(nowhere,))


def _is_worth_it(verification: Verification, failed: Message, now: datetime) -> bool:
    waited_for = verification.state is State.PENDING and is_newest(verification, failed)
    lives = verification.expires_at - now >= timedelta(seconds=USEFUL_LIFE_S)
    return waited_for and lives and verification.fallbacks < FALLBACKS_MAX


def is_newest(verification: Verification, message: Message) -> bool:
    """Say whether no other message came after this one."""
    return message.key.ordinal == verification.sends + verification.fallbacks - 1


def may_follow(ports: Ports, verification: Verification, message: Message, now: datetime) -> bool:
    """Say whether anything could follow this message by itself."""
    return verification.fallbacks < FALLBACKS_MAX and any(
        _wants(verification, channel) and _has_way(ports, verification, message, channel, now)
        for channel in _due(message, _SILENCE)
    )


def calls_at_once(ports: Ports, verification: Verification, message: Message, cause: str) -> bool:
    """Say whether a refusal is answered by a call now, and not by offering the text again later."""
    urgent = OUTCOMES[Outcome(cause)].voice in (When.NOW, When.IF_NO_ROUTE)
    may = message.channel is Channel.SMS and _wants(verification, Channel.VOICE)
    return (
        urgent
        and may
        and verification.fallbacks < FALLBACKS_MAX
        and ports.routes.carry(verification.mode, Channel.VOICE, verification.tenant, verification.msisdn)
    )


def _advice(cause: str) -> Advice:
    return _SILENCE if cause == NO_RECEIPT else OUTCOMES[Outcome(cause)]


def _due(failed: Message, advice: Advice) -> list[Channel]:
    """Return the channels that may follow, most urgent first; after a call that failed, none."""
    if failed.channel is not Channel.SMS:
        return []
    text = Channel.SMS if advice.other_route in (When.NOW, When.ONCE, When.BY_CLOCK) else None
    call = Channel.VOICE if advice.voice else None
    call_first = advice.voice is When.NOW and advice.other_route is not When.NOW
    return [channel for channel in ((call, text) if call_first else (text, call)) if channel is not None]


def _wants(verification: Verification, channel: Channel) -> bool:
    return channel in verification.policy.channels


def _has_way(
    ports: Ports, verification: Verification, failed: Message, channel: Channel, now: datetime
) -> bool:
    if channel is not failed.channel:
        return ports.routes.carry(verification.mode, channel, verification.tenant, verification.msisdn)
    return another_text(ports, verification, failed, now)


def another_text(ports: Ports, verification: Verification, message: Message, now: datetime) -> bool:
    """Say whether there is a route for texts, up now, that has not had this code."""
    asked, tried = wanted(verification, message, now), _handed_to(message)
    return any(route.available and route.name not in tried for route in ports.routes.order(asked))


def _handed_to(message: Message) -> tuple[str, ...]:
    """Return the routes that have had this code, by this message or one before."""
    if message.carrier is None or message.carrier.route in message.tried:
        return message.tried
    return (*message.tried, message.carrier.route)


def _followed(
    ports: Ports, verification: Verification, failed: Message, channel: Channel, *, cause: str, now: datetime
) -> Aftermath:
    at_ms, ordinal = _ms(now), verification.sends + verification.fallbacks
    segments = segments_of(ports, verification)
    message = Message(
        key=MessageKey(verification.id, ordinal),
        channel=channel,
        generation=failed.generation,
        segments=segments,
        due_at=now + timedelta(seconds=LEASE_S),
        tried=_handed_to(failed),
    )
    return Aftermath(
        verification=msgspec.structs.replace(
            verification,
            fallbacks=verification.fallbacks + 1,
            particulars=msgspec.structs.replace(verification.particulars, channel=channel),
        ),
        trace=(FallbackDue(at_ms, failed.key.ordinal, channel, cause, ordinal),),
        follow_up=message,
        follow_up_trace=(MessageQueued(at_ms, ordinal, channel, segments),),
        spend=spend_of(ports, ports.tenant_of(verification.tenant), verification.mode, segments, now),
    )


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
