"""Keep the product moving: deliver what was handed over, pick up what is due, sweep what is over.

The message row is the queue. A hand-over only saves the time until the next look into it; whatever is lost
here (a crash, a full house) is found there again when its lease is over. What other nodes leave to this one
is found there too, at once where a bell rings. A commit whose answer was lost is asked for by its key.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Final, Self

from dastak.core.errors import Conflict, NotFound, Overloaded
from dastak.core.events import MessageDelivered, MessageUndelivered
from dastak.core.message import Message, MessageKey, MessageState
from dastak.core.node import LEASE_S
from dastak.core.ports import Change, Held, Ports
from dastak.core.verification import Verification
from dastak.core.way_out import Queue
from dastak.flows.dispatch import Dispatch
from dastak.flows.settle import receipt_overdue

DUE_EVERY_S: Final = 0.5
DUE_MAX: Final = 1_000
# Of receipts that do not come. More at once can be more than a second's work, and others would be refused.
OVERDUE_AT_ONCE: Final = 64
# Of how many it is asked whether they were committed; past it their leases bring them back.
DOUBTED_MAX: Final = 1_000
# Of how many in one look: they stand in the batches of who starts and checks now.
DOUBTS_ASKED_MAX: Final = 100
SWEEP_EVERY_S: Final = 1.0
# So many rows hold the loop for some five milliseconds.
SWEEP_MAX: Final = 250
# Of the five seconds that a stop may take.
DRAIN_S: Final = 1.5

log = logging.getLogger("dastak.worker")


class Worker:
    """The one place where messages leave from, as an async context."""

    hears: Final = (MessageDelivered, MessageUndelivered)

    def __init__(self, *, retention: timedelta) -> None:
        self._retention = retention
        self._dispatch: Dispatch | None = None
        self._jobs = AsyncExitStack()
        self._bell = asyncio.Event()
        self._doubted: dict[MessageKey, Message] = {}
        # Why messages could not be offered since the last look.
        self._broken: list[Exception] = []

    @property
    def in_flight(self) -> int:
        """How many messages are being delivered now."""
        return 0 if self._dispatch is None else self._dispatch.in_flight

    @property
    def waiting(self) -> int:
        """How many messages wait until a route has room."""
        return 0 if self._dispatch is None else self._dispatch.waiting

    @property
    def in_doubt(self) -> int:
        """How many messages are looked for, which may be in the hands of this node or not."""
        return len(self._doubted)

    def queues(self) -> Mapping[str, Queue]:
        """Return who waits for which route."""
        return {} if self._dispatch is None else self._dispatch.queues()

    def queue_of(self, route: str) -> Queue | None:
        """Return who waits for a route; None is nobody."""
        return None if self._dispatch is None else self._dispatch.queue_of(route)

    def hand_over(self, verification: Verification, message: Message) -> None:
        """Deliver a message that was just committed, as soon as a route has room for it.

        One that cannot be offered now, as of a service that is news to this node, holds up no other.
        """
        if self._dispatch is None:
            return
        try:
            self._dispatch.offer(verification, message)
        except Exception as error:
            self._broken.append(error)
            self.look_for(message)

    def look_for(self, message: Message) -> None:
        """Deliver a message that may be committed, once the store can tell; past the bound its lease does."""
        if self._dispatch is not None and len(self._doubted) < DOUBTED_MAX:
            self._doubted[message.key] = message

    def on_event(self, _verification: Verification, _event: MessageDelivered | MessageUndelivered) -> None:
        """Let the next one leave when a call is over: it kept its channel until now."""
        if self._dispatch is not None and self._dispatch.waiting:
            self._dispatch.go_on()

    def look_now(self) -> None:
        """Look for what is due without waiting; whoever rings may be wrong."""
        self._bell.set()

    def let_go(self) -> None:
        """Give up what waits here: others may take this node for dead, and its messages over.

        What turns out to be in its hands still is handed over again; see `look_for`.
        """
        if self._dispatch is not None:
            for message in self._dispatch.let_go():
                self.look_for(message)

    async def run(self, ports: Ports) -> None:
        """Begin: what an earlier process left queued is due now."""
        self._dispatch = Dispatch(ports)
        waiting = await ports.store.recover(ports.clock.now())
        if waiting:
            log.info("continuing %d queued messages of an earlier run", waiting)
        await self._jobs.enter_async_context(
            every(DUE_EVERY_S, lambda: self._take_due(ports), bell=self._bell)
        )
        await self._jobs.enter_async_context(every(SWEEP_EVERY_S, lambda: self._sweep(ports)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop taking messages and let those under way finish; the rest stays queued."""
        dispatch, self._dispatch = self._dispatch, None
        await self._jobs.aclose()
        if dispatch is not None:
            await dispatch.drain(DRAIN_S)

    async def _take_due(self, ports: Ports) -> None:
        now = ports.clock.now()
        ended: Collection[MessageKey] = () if self._dispatch is None else self._dispatch.note_ends()
        due = await ports.store.due(now, lease_until=now + timedelta(seconds=LEASE_S), limit=DUE_MAX)
        overdue = []
        for held in due:
            assert held.message is not None
            if held.message.state is not MessageState.QUEUED:
                overdue.append(held)
            elif held.message.key in ended:
                # It may have been written down as sent since it was read.
                self.look_for(held.message)
            else:
                ports.hand_over(held.verification, held.message)
        # A route may have come back since.
        if self._dispatch is not None:
            self._dispatch.go_on(afresh=True)
        if self._doubted:
            await self._clear_doubts(ports)
        broken, self._broken = self._broken, []
        _tell_broken(broken, "messages cannot be offered now, and are looked for")
        for first in range(0, len(overdue), OVERDUE_AT_ONCE):
            some = overdue[first : first + OVERDUE_AT_ONCE]
            notes = (receipt_overdue(ports, held) for held in some)
            answers = await asyncio.gather(*notes, return_exceptions=True)
            _tell_broken(answers, "receipts that are overdue could not be written down")

    async def _clear_doubts(self, ports: Ports) -> None:
        """Hand over what was committed after all, where its row is as it was written.

        Then nobody has offered it since: a look at what is due, which is over now, would have renewed its
        lease, and another node would have raised its fence. A node that is lost waits until it is heard:
        another may take it for dead as soon as it has looked.
        """
        now = ports.clock.now()
        self._doubted = {key: doubted for key, doubted in self._doubted.items() if _has_lease(doubted, now)}
        owner = ports.lease(now).owner
        own = (doubted for doubted in self._doubted.values() if doubted.owner == owner)
        asked = tuple(islice(own, DOUBTS_ASKED_MAX))
        answers = await asyncio.gather(*(_found(ports, one) for one in asked), return_exceptions=True)
        _tell_broken(answers, "messages in doubt could not be looked for")
        for doubted, answer in zip(asked, answers, strict=True):
            if self._doubted.get(doubted.key) is not doubted:
                continue  # it was looked for anew meanwhile
            del self._doubted[doubted.key]
            if isinstance(answer, Held):
                if answer.message is not None and _is_as_written(answer.message, doubted):
                    ports.hand_over(answer.verification, answer.message)
                continue
            # It may still come, as from a server that waits for its standby. The others are asked first.
            self._doubted[doubted.key] = doubted

    async def _sweep(self, ports: Ports) -> None:
        """Sweep until nothing is left, a little at a time so that nobody waits behind it."""
        busy = True
        while busy:
            now = ports.clock.now()
            swept = await ports.store.sweep(now, keep_after=now - self._retention, limit=SWEEP_MAX)
            for verification, events in swept.expired:
                ports.publish(verification, events)
            busy = SWEEP_MAX in (len(swept.expired), swept.deleted)


def _tell_broken(answers: Iterable[object], what: str) -> None:
    """Tell how many broke, and why the first one did; their leases bring them back.

    Raises:
        Overloaded: One was put off, and so would be what comes after it.
    """
    errors = (answer for answer in answers if isinstance(answer, BaseException))
    # What another node has taken over is that one's to write down.
    broken = [error for error in errors if not isinstance(error, Conflict)]
    for error in broken:
        if isinstance(error, Overloaded):
            raise error
    if broken:
        log.error("%d %s", len(broken), what, exc_info=broken[0])


async def _found(ports: Ports, doubted: Message) -> Held | None:
    """Return a message as it stands; None: it is not there, or cannot be read now."""
    try:
        held = await ports.store.decide(doubted.key, lambda held: Change(answer=held))
    except (NotFound, Overloaded):
        return None
    assert isinstance(held, Held)
    return held


def _has_lease(doubted: Message, now: datetime) -> bool:
    return doubted.due_at is not None and doubted.due_at > now


def _is_as_written(found: Message, doubted: Message) -> bool:
    """Say whether a message is in the same hands by the same lease; the store rounds instants down."""
    return (
        found.state is MessageState.QUEUED
        and (found.owner, found.fence) == (doubted.owner, doubted.fence)
        and found.due_at is not None
        and doubted.due_at is not None
        and found.due_at <= doubted.due_at
    )


@asynccontextmanager
async def every(
    period_s: float, job: Callable[[], Awaitable[object] | None], *, bell: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Do something again and again while the context lasts; a failure is written down and does not end it.

    Args:
        period_s: How long to wait between.
        job: What to do.
        bell: Ends a wait early.
    """

    async def again() -> None:
        while True:
            await _wait(period_s, bell)
            try:
                if (done := job()) is not None:
                    await done
            except Overloaded as overloaded:
                log.warning("what is done every %s s is put off: %s", period_s, overloaded.detail)
            except Exception:
                log.exception("what is done every %s s failed", period_s)

    doing = asyncio.create_task(again())
    try:
        yield
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def _wait(period_s: float, bell: asyncio.Event | None) -> None:
    if bell is None:
        await asyncio.sleep(period_s)
        return
    # Not `wait_for`, which forgets that it was cancelled when the bell rings at the same time.
    with suppress(TimeoutError):
        async with asyncio.timeout(period_s):
            await bell.wait()
    bell.clear()
