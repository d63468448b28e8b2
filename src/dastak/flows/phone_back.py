"""Send a code once more, at once, when its carrier says that the phone that was away is back.

1. Only a text that failed because the phone was away, only the newest one, and once in a verification's life.
2. It is the same code, and it takes the place of one of the messages that may follow by themselves.
3. What is lost here was an offer: without it the person asks again, as they would have to anyway.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core.errors import DastakError, Refused
from dastak.core.events import AnyEvent, Event, MessageQueued, MessageUndelivered, PhoneReturned
from dastak.core.message import Message, MessageKey, MessageState
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel
from dastak.core.ports import Change, Held, Ports
from dastak.core.reply_store import ReplyStore
from dastak.core.tenant import Mode
from dastak.core.verification import State, Verification
from dastak.delivery.failover import ATTEMPTS_MAX, USEFUL_LIFE_S
from dastak.flows.compose import segments_of
from dastak.flows.fall_back import is_newest
from dastak.flows.record import looked_for
from dastak.flows.spending import spend_of

# A network that comes back tells of all its phones at once.
UNDER_WAY_MAX: Final = 1_000
AWAY: Final = frozenset({Outcome.ABSENT_SUBSCRIBER, Outcome.HANDSET_OFF})

log = logging.getLogger("dastak.replies")


class SentAgain(msgspec.Struct, frozen=True):
    """A verification with the message that was queued for it, and what is told of that."""

    verification: Verification
    message: Message
    events: tuple[Event, ...]


class Returns:
    """Takes word from the routes that phones are back."""

    def __init__(self) -> None:
        self._begun: tuple[Ports, ReplyStore] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ports: Ports, store: ReplyStore) -> None:
        """Listen from now on."""
        self._begun = (ports, store)

    def take(self, route: str, msisdn: str, *, test: bool = False) -> None:
        """Send again what failed while this phone was away; past the bound, nothing.

        Args:
            route: Who says so.
            msisdn: The phone that is back.
            test: It is a virtual one.
        """
        if self._begun is None or len(self._tasks) >= UNDER_WAY_MAX:
            return
        task = asyncio.get_running_loop().create_task(self._send(route, Msisdn(msisdn), test=test))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, route: str, msisdn: Msisdn, *, test: bool) -> None:
        assert self._begun is not None
        ports, store = self._begun
        try:
            await phone_back(ports, store, route, msisdn, test=test)
        except DastakError as error:
            log.warning("a phone is back, and nothing was sent again: %s", error.detail)


async def phone_back(
    ports: Ports, store: ReplyStore, route: str, msisdn: Msisdn, *, test: bool
) -> tuple[SentAgain, ...]:
    """Queue once more what failed because this phone was away.

    Raises:
        Overloaded: The store cannot be read or written now.
    """
    sent = []
    for verification in await store.pending_of(msisdn):
        if (verification.mode is Mode.TEST) != test:
            continue
        told = await ports.store.timeline(verification.tenant, verification.id)
        ordinal = verification.sends + verification.fallbacks - 1
        if not _was_away(told, ordinal):
            continue
        if await ports.is_stopped(verification.tenant, verification.mode, msisdn):
            continue
        again = await _send_again(ports, MessageKey(verification.id, ordinal), route)
        if again is not None:
            ports.publish(again.verification, again.events)
            ports.hand_over(again.verification, again.message)
            sent.append(again)
    return tuple(sent)


def _was_away(told: Sequence[AnyEvent], ordinal: int) -> bool:
    """Say whether this message failed because the phone was away, and none was sent for its return yet."""
    if any(isinstance(event, PhoneReturned) for event in told):
        return False
    return any(
        isinstance(event, MessageUndelivered) and event.ordinal == ordinal and event.outcome in AWAY
        for event in told
    )


async def _send_again(ports: Ports, key: MessageKey, route: str) -> SentAgain | None:
    now = ports.clock.now()

    def rule(held: Held) -> Change[SentAgain | None]:
        failed = held.message
        assert failed is not None
        if not _is_wanted(held.verification, failed, now):
            return Change(answer=None)
        return _change(ports, held.verification, failed, route, now)

    try:
        with looked_for(ports, rule, _queued) as noted:
            again = await ports.store.decide(key, noted)
    except Refused:  # the spend cap
        return None
    return again if isinstance(again, SentAgain) else None


def _queued(again: SentAgain | None) -> Message | None:
    return None if again is None else again.message


def _is_wanted(verification: Verification, failed: Message, now: datetime) -> bool:
    erased = verification.own_code_digest is not None and verification.own_code_sealed is None
    return (
        verification.state is State.PENDING
        and verification.expires_at - now >= timedelta(seconds=USEFUL_LIFE_S)
        and verification.sends + verification.fallbacks < ATTEMPTS_MAX
        and failed.state is MessageState.UNDELIVERED
        and failed.channel is Channel.SMS
        and is_newest(verification, failed)
        and not erased
    )


def _change(
    ports: Ports, verification: Verification, failed: Message, route: str, now: datetime
) -> Change[SentAgain | None]:
    at_ms, ordinal = int(now.timestamp() * 1000), failed.key.ordinal + 1
    segments = segments_of(ports, verification)
    owner, due_at = ports.lease(now)
    message = Message(
        key=MessageKey(verification.id, ordinal),
        channel=Channel.SMS,
        generation=failed.generation,
        segments=segments,
        due_at=due_at,
        owner=owner,
        # The route that failed knew of the phone; it is as good as before.
        tried=failed.tried,
    )
    after = msgspec.structs.replace(verification, fallbacks=verification.fallbacks + 1)
    returned = PhoneReturned(at_ms, failed.key.ordinal, route, ordinal)
    queued = MessageQueued(at_ms, ordinal, Channel.SMS, segments)
    return Change(
        answer=SentAgain(after, message, (returned, queued)),
        verification=after,
        message=failed,
        trace=(returned,),
        follow_up=message,
        follow_up_trace=(queued,),
        spend=spend_of(
            ports,
            ports.tenant_of(verification.tenant),
            verification,
            channel=Channel.SMS,
            segments=segments,
            now=now,
        ),
    )
