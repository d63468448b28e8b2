"""Hear what people write back: keep it, and let STOP and START count for the tenant they are meant for.

1. A carrier is answered once a reply is durable; what is not kept, it shall bring again.
2. STOP counts for one tenant. START takes back the stops of all who write as the sender it answers.
3. After STOP nothing leaves for that number: no start, no resend, and nothing that was queued before.
4. A code that the person already has can still be checked: that sends nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final

from dastak.core.errors import DastakError, NumberStopped
from dastak.core.events import Event, ReplyHeard
from dastak.core.msisdn import Msisdn
from dastak.core.ports import Ports
from dastak.core.reply import HeardReply, Reply
from dastak.core.reply_store import ReplyStore
from dastak.core.tenant import Mode
from dastak.core.verification import Verification

# Each waits for one commit. Past this the carrier keeps them for us.
UNDER_WAY_MAX: Final = 1_000

log = logging.getLogger("dastak.replies")

Acknowledge = Callable[[bool], None]
# The tenants whose services write as this sender.
OwnersOf = Callable[[str], Collection[int]]


class Hearing:
    """Takes replies from the routes.

    Args:
        on_reply: Told of each reply that is new, once it is durable.
    """

    def __init__(self, on_reply: Callable[[HeardReply], None]) -> None:
        self._on_reply = on_reply
        self._begun: tuple[Ports, ReplyStore, OwnersOf] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ports: Ports, store: ReplyStore, owners_of: OwnersOf) -> None:
        """Hear from now on; earlier replies are asked for again."""
        self._begun = (ports, store, owners_of)

    def take(self, reply: Reply, acknowledge: Acknowledge, *, test: bool = False) -> None:
        """Keep a reply; the carrier is told once it is durable, or that it must come again.

        Args:
            reply: What came.
            acknowledge: Told whether it is kept.
            test: A virtual phone wrote it.
        """
        if self._begun is None or len(self._tasks) >= UNDER_WAY_MAX:
            acknowledge(False)
            return
        task = asyncio.get_running_loop().create_task(self._keep(reply, acknowledge, test=test))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, reply: Reply, acknowledge: Acknowledge, *, test: bool) -> None:
        assert self._begun is not None
        ports, store, owners_of = self._begun
        try:
            heard = await hear(ports, store, owners_of, reply, test=test)
        except DastakError:
            acknowledge(False)
            return
        acknowledge(True)
        if heard is not None:
            whose = "no known tenant" if heard.tenant is None else f"tenant {heard.tenant}"
            log.info("reply %s to %s by route %s", reply.kind, whose, reply.route)
            self._on_reply(heard)


async def hear(
    ports: Ports, store: ReplyStore, owners_of: OwnersOf, reply: Reply, *, test: bool
) -> HeardReply | None:
    """Write one reply down with what it asks for; when this returns it is durable.

    Returns:
        The reply as it is kept; None when the carrier brought it before.

    Raises:
        Overloaded: The store cannot write now; the carrier shall bring it again.
    """
    now = ports.clock.now()
    latest = await store.answered_by(Msisdn(reply.msisdn), route=reply.route)
    sent = [verification for verification in latest if (verification.mode is Mode.TEST) == test]

    owners = owners_of(reply.to)
    tenant, answered = meant_for(sent, owners)
    heard = HeardReply(reply=reply, at=now, tenant=tenant, test=test)
    events: tuple[Event, ...] = ()
    if answered is not None:
        events = (ReplyHeard(int(now.timestamp() * 1000), reply.kind, reply.route),)

    answers = None if answered is None else answered.id
    new = await store.keep_reply(heard, answers=answers, events=events, lifts=who_write(sent, owners))
    if new and answered is not None:
        ports.publish(answered, events)
    return heard if new else None


def meant_for(
    sent: Sequence[Verification], owners: Collection[int]
) -> tuple[int | None, Verification | None]:
    """Say whom a reply is meant for, and what it answers.

    Args:
        sent: What went to the number by the route of the reply, likeliest first.
        owners: The tenants who write as the sender it is addressed to; none where the carrier wrote another
            sender than we asked for.
    """
    for verification in sent:
        if not owners or verification.tenant in owners:
            return verification.tenant, verification
    if len(owners) == 1:
        return next(iter(owners)), None
    return None, None


def who_write(sent: Sequence[Verification], owners: Collection[int]) -> frozenset[int]:
    """Return the tenants whose texts come to a person from the sender they answer.

    They cannot tell those tenants apart, so a START means all of them. It needs no text that is still known:
    a stop outlives it, and there is one only of a tenant that wrote.

    Args:
        sent: As `meant_for` takes it.
        owners: Likewise; without them all who wrote by the route of the reply.
    """
    return frozenset(owners or (verification.tenant for verification in sent))


async def refuse_stopped(ports: Ports, tenant: int, mode: Mode, msisdn: Msisdn) -> None:
    """Let a number pass that did not ask a tenant for no more.

    Raises:
        NumberStopped: It did.
    """
    if await ports.is_stopped(tenant, mode, msisdn):
        raise NumberStopped(
            "The person wrote STOP to you, so nothing goes to this number. They may write START to the "
            "sender; or lift it with DELETE /v1/stops/{msisdn}, if they asked you to.",
            reason="stopped",
        )
