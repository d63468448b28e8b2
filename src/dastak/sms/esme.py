"""Our side of one SMPP bind: it stays bound, takes messages through a window, and hands on what comes back.

1. A message that may have reached the carrier before the link was lost is unknown, never failed.
2. Nothing waits without bound: the window, the queue before it and the receipts behind it are limited.
3. A receipt is acknowledged when its owner says so, never before.
4. Refused credentials are tried again slowly: somebody has to change something first.
5. It does not connect before the bind is over whose place it takes: the carrier counts both.
"""

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Final, Self

from dastak.core.errors import CarrierFull, CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.core.pace import Pace
from dastak.sms.in_hand import InHand
from dastak.sms.last_address import LastAddress
from dastak.sms.pdu import CSTRING_OCTETS_MAX, LONG_PASSWORD, encode_body
from dastak.sms.pdu_bodies import AlertNotification, Bind, DataSm, MessageIdResp, Sm, as_sm
from dastak.sms.smpp_codes import Command, Status, refuses_credentials, status_name, status_outcome
from dastak.sms.smpp_link import SmppLink
from dastak.sms.smpp_session import (
    Alerted,
    Answered,
    Closed,
    Event,
    Requested,
    Role,
    SmppSession,
    Tap,
    TimedOut,
)
from dastak.sms.smpp_settings import BIND_COMMANDS, SmppSettings
from dastak.sms.submission import Accepted, Delivery, Done, Submission, SubmitResult, encode_submission

# A lost link is tried again at once, then the waits double. Chance shortens each to a half at most, so that
# many binds do not come back together.
RETRY_FIRST_S: Final = 0.2
RETRY_MIN_S: Final = 1.0
RETRY_MAX_S: Final = 30.0
RETRY_REFUSED_S: Final = 60.0
# A bind that did not answer in time may be a black hole; for so long others are better.
SUSPECT_S: Final = 5.0
# Of the five seconds that a stop may take: for what is under way, and for the carrier's answer to unbind.
DRAIN_S: Final = 1.0
UNBIND_S: Final = 0.3
# Whoever takes the place of others waits no longer for their end.
OVER_S_MAX: Final = 2.0
assert DRAIN_S + UNBIND_S < OVER_S_MAX


class BindState(StrEnum):
    """Whether messages can go out."""

    DOWN = "down"
    BOUND = "bound"
    REFUSED = "refused"  # the credentials; an operator has to act


class Esme:
    """One bind that is kept up while the context lasts.

    Args:
        on_deliver: Takes receipts and texts; called in the read loop, so it must not wait.
        on_alert: Told when a phone is back.
        on_state: Told of every change, with its reason in words.
        chance: Spreads the times of reconnecting.
        start_after_s: How long to wait before the first try, for one of several binds.

    Attributes:
        before: What has to be over before the first try; None is nothing.
        proved: Whether the carrier took this bind before, with these credentials.
    """

    def __init__(
        self,
        settings: SmppSettings,
        *,
        on_deliver: Callable[[Delivery], None],
        on_alert: Callable[[AlertNotification], None] | None = None,
        on_state: Callable[[BindState, str], None] | None = None,
        chance: random.Random | None = None,
        start_after_s: float = 0.0,
    ) -> None:
        self.settings = settings
        self.state, self.reason = BindState.DOWN, "not started"
        self.before: asyncio.Future[None] | None = None
        self.proved = False
        self._on_deliver = on_deliver
        self._on_alert = on_alert
        self._on_state = on_state
        self._chance = chance or random.SystemRandom()
        self._start_after_s = start_after_s
        self._statuses = settings.statuses
        self._carrier = LastAddress(settings)
        self._in_hand = InHand(settings.queue_max, settings.response_timeout_s)
        self._link: SmppLink | None = None
        self._tap: Tap | None = None
        self._unanswered_at = -math.inf  # when a message was last given up for want of an answer
        self._up = asyncio.Event()
        self._closed = asyncio.Event()
        self._drained = asyncio.Event()
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect; see `wait_bound`."""
        self._loop = asyncio.get_running_loop()
        # It outlives a link: the carrier remembers how fast we were.
        self._pace = Pace(self.settings.rate_per_s, self._loop.time())
        self._keeper = self._loop.create_task(self._keep_bound())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let submits under way end, unbind, and close; stopping twice is fine.

        Receipts that are not acknowledged by then come again with the next bind.
        """
        self._stopping.set()
        try:
            if self._link is not None and self._link.session.bound:
                if self.in_flight:
                    await _wait(self._drained, DRAIN_S)
                self._unbind()
                await _wait(self._closed, UNBIND_S)
        finally:
            # Also for who is in a hurry: another node may have the slot at once.
            if self._link is not None:
                self._link.close("stopped")
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    def watch(self, tap: Tap | None) -> None:
        """Let somebody see every PDU of this link and the next ones; None ends it."""
        self._tap = tap
        if self._link is not None:
            self._link.session.tap = tap

    async def wait_bound(self) -> None:
        """Return as soon as the bind is up."""
        await self._up.wait()

    @property
    def in_flight(self) -> int:
        """How many messages wait for an answer or for room."""
        link = self._link
        return len(self._in_hand) + (self.settings.window - link.session.room if link else 0)

    @property
    def in_flight_max(self) -> int:
        """How many messages may be under way at once: those in the window, and as many in hand.

        At a rate: those under way, and what leaves soon.
        """
        at_most = 2 * self.settings.window
        if self.rate_per_s is None:
            return at_most
        soon = self._in_hand.room(self.rate_per_s) + self._pace.tokens(self._loop.time())
        return min(at_most, self.in_flight + max(0, soon))

    @property
    def rate_per_s(self) -> float | None:
        """What it may send at present; None as fast as the window allows."""
        return self._pace.rate_per_s if self._keeper is not None else self.settings.rate_per_s

    @property
    def sending(self) -> bool:
        """Whether it is bound for sending and takes messages."""
        link = self._link
        return link is not None and link.session.may(Command.SUBMIT_SM) and not self._stopping.is_set()

    def load(self, now: float) -> float:
        """Return how busy it is: below 1 a message goes at once, above it waits, above 10 it may be lost."""
        link = self._link
        if link is None:
            return math.inf
        waits = not link.writable or link.session.room <= 0 or not self._pace.open(now)
        suspect = now - self._unanswered_at < SUSPECT_S
        return 10 * suspect + waits + self.in_flight / self.settings.window

    async def submit(self, submission: Submission) -> Accepted:
        """Hand a message over and wait for the carrier's answer.

        Raises:
            CarrierRejected: The carrier said no, or the message cannot be written for it.
            CarrierUnavailable: No answer; with `outcome_unknown` the carrier may have it.
        """
        answer: asyncio.Future[SubmitResult] = self._loop.create_future()
        self.submit_nowait(submission, lambda result: None if answer.done() else answer.set_result(result))
        result = await answer
        if isinstance(result, Accepted):
            return result
        raise result

    def submit_nowait(self, submission: Submission, done: Done) -> None:
        """Hand a message over; `done` is called once, with what became of it.

        Raises:
            CarrierRejected: The message cannot be written for this carrier.
            CarrierUnavailable: The bind is down, or (CarrierFull) it takes no more now.
        """
        link = self._link
        if link is None or not self.sending:
            raise CarrierUnavailable(f"bind {self.settings.system_id} is down: {self.reason}")
        body = encode_submission(submission, self.settings, now=_utc_now)
        now = self._loop.time()
        if not self._in_hand and self._may_send(link, now):
            link.session.request(Command.SUBMIT_SM, body, context=done, now=now)
            link.flush()
        elif self._in_hand.room(self.rate_per_s) > 0:
            self._in_hand.add(body, done, now)
        else:
            raise CarrierFull(f"window and queue of bind {self.settings.system_id} are full")

    def _may_send(self, link: SmppLink, now: float) -> bool:
        return link.writable and link.session.room > 0 and self._pace.take(now)

    def _pump(self, link: SmppLink, now: float) -> None:
        """Send what waits, as far as window and rate allow."""
        while self._in_hand and link.session.may(Command.SUBMIT_SM) and self._may_send(link, now):
            queued = self._in_hand.take()
            link.session.request(Command.SUBMIT_SM, queued.body, context=queued.done, now=now)

    def _on_tick(self, link: SmppLink, now: float) -> None:
        self._in_hand.put_out(self.rate_per_s, now)
        self._pump(link, now)
        link.flush()
        if self._stopping.is_set() and not self._in_hand and link.session.idle:
            self._drained.set()

    def _on_event(self, link: SmppLink, event: Event) -> None:
        if isinstance(event, Answered):
            self._on_answer(link, event)
        elif isinstance(event, Requested):
            sm = as_sm(event.body) if isinstance(event.body, DataSm) else event.body
            assert isinstance(sm, Sm)  # the session lets nothing else through to this side
            self._on_deliver(Delivery(sm, partial(_acknowledge, link, event.sequence_number)))
        elif isinstance(event, TimedOut):
            self._unanswered_at = self._loop.time()
            _tell(event.context, CarrierUnavailable("no submit_sm_resp in time", outcome_unknown=True))
        elif isinstance(event, Alerted):
            if self._on_alert is not None:
                self._on_alert(event.body)
        else:
            self._on_closed(event)

    def _on_answer(self, link: SmppLink, answer: Answered) -> None:
        status = answer.command_status
        if answer.context is None:
            self._on_bind_answer(link, status)
        elif status == Status.ESME_ROK and isinstance(answer.body, MessageIdResp):
            self._unanswered_at = -math.inf
            answer.context(Accepted(answer.body.message_id))
        else:
            name, outcome = status_name(status), self._statuses.get(status) or status_outcome(status)
            if outcome is Outcome.THROTTLED:
                now = self._loop.time()
                self._pace.throttled(now)
                self._in_hand.put_out(self.rate_per_s, now)
            answer.context(CarrierRejected(f"submit_sm was answered {name}", status=name, outcome=outcome))
        if self._in_hand:
            self._pump(link, self._loop.time())

    def _on_bind_answer(self, link: SmppLink, command_status: int) -> None:
        """Take the answer to bind or unbind."""
        if command_status:
            refused = refuses_credentials(command_status, proved=self.proved)
            self._move(BindState.REFUSED if refused else BindState.DOWN, status_name(command_status))
            link.close(status_name(command_status))
        elif link.session.bound:
            self.proved = True
            self._move(BindState.BOUND, "bound")

    def _on_closed(self, closed: Closed) -> None:
        if self.state is not BindState.REFUSED:
            self._move(BindState.DOWN, closed.reason)
        self._link = None
        self._closed.set()
        self._drained.set()
        for done in closed.pending:
            _tell(done, CarrierUnavailable(f"link lost: {closed.reason}", outcome_unknown=True))
        for waiting in self._in_hand.take_all():
            waiting.done(CarrierUnavailable(f"link lost before sending: {closed.reason}"))

    def _move(self, state: BindState, reason: str) -> None:
        self.state, self.reason = state, reason
        if state is BindState.BOUND:
            self._up.set()
        else:
            self._up.clear()
        if self._on_state is not None:
            self._on_state(state, reason)

    async def _keep_bound(self) -> None:
        lost = 0
        await over(self.before)
        if self._start_after_s > 0:
            await _wait(self._stopping, self._start_after_s)
        while not self._stopping.is_set():
            began_at = self._loop.time()
            await self._bind_once()
            lost = 0 if self._loop.time() - began_at > RETRY_MAX_S else lost
            wait_s = min(RETRY_MAX_S, RETRY_MIN_S * 2 ** (lost - 1)) if lost else RETRY_FIRST_S
            if self.state is BindState.REFUSED:
                wait_s = RETRY_REFUSED_S
            await _wait(self._stopping, wait_s * self._chance.uniform(0.5, 1.0))
            lost += 1

    async def _bind_once(self) -> None:
        """Connect, bind, and return when the link is gone."""
        settings = self.settings
        self._closed.clear()
        self._drained.clear()
        try:
            link = await self._carrier.connect(self._new_link)
        except OSError as error:  # refused, no such name, a certificate not believed, no answer in time
            self._move(BindState.DOWN, f"cannot connect: {_words(error)}")
            return
        if not link.session.may(BIND_COMMANDS[settings.bind_kind]):
            return  # it is lost already
        self._link = link
        limits = LONG_PASSWORD if settings.long_password else CSTRING_OCTETS_MAX
        bind = Bind(
            system_id=settings.system_id, password=settings.password, system_type=settings.system_type
        )
        body = encode_body(bind, limits)
        link.session.request(BIND_COMMANDS[settings.bind_kind], body, now=self._loop.time())
        link.flush()
        await self._closed.wait()

    def _new_link(self) -> SmppLink:
        settings = self.settings
        session = SmppSession(
            Role.ESME,
            window=settings.window,
            inbound_max=settings.inbound_max,
            bind_timeout_s=settings.bind_timeout_s,
            response_timeout_s=settings.response_timeout_s,
            enquire_link_s=settings.enquire_link_s,
            now=self._loop.time(),
        )
        session.tap = self._tap
        link = SmppLink(
            session,
            on_event=lambda event: self._on_event(link, event),
            on_tick=lambda now: self._on_tick(link, now),
        )
        return link

    def _unbind(self) -> None:
        link = self._link
        if link is not None and link.session.may(Command.UNBIND):
            link.session.request(Command.UNBIND, now=self._loop.time())
            link.flush()


def _words(error: OSError) -> str:
    """Tell an error, where it has words; the two that come without any mean these."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else "the peer hung up")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _acknowledge(link: SmppLink, sequence_number: int, command_status: int = 0) -> None:
    if link.session.respond(sequence_number, command_status, MessageIdResp()):
        link.flush()


def _tell(done: Done | None, result: SubmitResult) -> None:
    """End a request; a bind or unbind has nobody to be told."""
    if done is not None:
        done(result)


async def over(before: asyncio.Future[None] | None) -> None:
    """Wait for the end of what was before, but not longer than that can take."""
    if before is not None:
        await asyncio.wait({before}, timeout=OVER_S_MAX)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
