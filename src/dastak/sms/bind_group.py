"""Several binds to one carrier as one way out: the least loaded takes a message, and another takes over.

1. A message is on one bind at a time, and never again on one that refused it.
2. What one bind refuses for now goes to another at once; its caller hears of it when all have refused.
3. What a lost bind had not sent moves to another; what the carrier may have is sent again, the same text, a
   few times at most, and counted: a text that comes twice does no harm, a lost one does.
4. What may be with the carrier is never called refused for now: its outcome stays unknown.
5. Nothing is handed on when its life is over.
6. Where nodes share an allowance of binds, a group holds the slots it is given, and gives one back closed.
7. A group that takes the place of another connects when that one is over, and is over no earlier itself.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum
from functools import partial
from itertools import cycle, islice
from types import TracebackType
from typing import Final, Self

import msgspec

from dastak.core.errors import CarrierError, CarrierFull, CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.sms.esme import BindState, Esme, over
from dastak.sms.pdu_bodies import AlertNotification
from dastak.sms.pdu_words import Seen, see
from dastak.sms.smpp_settings import BindKind, SmppSettings
from dastak.sms.submission import Accepted, Delivery, Done, Submission, SubmitResult

# Carriers count binds that come too fast as an attack; each waits this much longer than the one before.
STAGGER_S: Final = 0.2
# How often one message may move, and how many copies of it may be in doubt.
MOVES_MAX: Final = 16
COPIES_MAX: Final = 3
# A watch that nobody ends shall not cost for ever.
WATCHED_MAX: Final = 1000


class Count(StrEnum):
    """What a group counts."""

    SUBMITTED = "submitted"  # handed to a bind for the first time
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"  # ended without an answer
    THROTTLED = "throttled"  # each time a bind said so
    MOVED = "moved"  # refused for now, or not sent on a lost bind, and handed to another
    RESUBMITTED = "resubmitted"  # in doubt on a lost bind, sent again on another


class BindView(msgspec.Struct, frozen=True, kw_only=True):
    """One bind as it stands.

    Attributes:
        rate_per_s: What it may send at present; None as fast as the window allows.
    """

    name: str
    kind: BindKind
    state: BindState
    reason: str
    in_flight: int
    rate_per_s: float | None


class BindGroup:
    """The binds of one route, kept up while the context lasts.

    Args:
        settings: `binds` says how many, `bind_kind` of what kind.
        slots: Which of them to hold at first, counted from 0; None is all.
        on_deliver: Takes receipts and texts of all binds; it must not wait.
        on_alert: Told when a phone is back.
        on_state: Told the name of a bind, its state and the reason in words.
        chance: Spreads the times of connecting.

    Attributes:
        counts: Since the start.
    """

    def __init__(
        self,
        settings: SmppSettings,
        *,
        on_deliver: Callable[[Delivery], None],
        on_alert: Callable[[AlertNotification], None] | None = None,
        on_state: Callable[[str, BindState, str], None] | None = None,
        chance: random.Random | None = None,
        slots: Collection[int] | None = None,
    ) -> None:
        self.counts: Counter[Count] = Counter()
        self._on_state = on_state
        self._up = asyncio.Event()
        self._turn = 0
        self._watch: Callable[[str, bool, tuple[int, int, int, bytes]], None] | None = None
        chance = chance or random.SystemRandom()
        self._make = partial(Esme, on_deliver=on_deliver, on_alert=on_alert, chance=chance)
        self._stagger_s = partial(chance.uniform, STAGGER_S * 0.5, STAGGER_S)
        self._planned = _plan(settings)
        self._account = settings.system_id, settings.password, settings.system_type, settings.addresses
        # The binds that the carrier took before, by name.
        self._proved: set[str] = set()
        self._before: asyncio.Future[None] | None = None
        self._stopped = False
        self._binds: dict[str, Esme] = {}
        self._senders: list[Esme] = []
        self._add(range(settings.binds) if slots is None else slots)

    def follow(self, older: "BindGroup", ended: asyncio.Future[None], slots: Collection[int]) -> None:
        """Connect these only when an older group is over; to be said before the start."""
        self._before = ended
        if older._account == self._account:
            self._proved |= older._proved
        self._binds.clear()
        self._add(slots)

    async def __aenter__(self) -> Self:
        """Begin to connect, one bind after the other; see `wait_bound`."""
        self._loop = asyncio.get_running_loop()
        for bind in self._binds.values():
            await bind.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way end on all binds at once, unbind and close; stopping twice is fine."""
        self._stopped = True
        ends = (bind.__aexit__(kind, error, trace) for bind in self._binds.values())
        await asyncio.gather(*ends, over(self._before))

    async def hold(self, slots: Collection[int]) -> None:
        """Keep these binds up and no other one; return when those that were too many are closed.

        Those of an older group are among them, if it is not over yet. One that is stopped opens none.
        """
        surplus = [
            self._binds.pop(name)
            for name, slot, _ in self._planned
            if name in self._binds and slot not in slots
        ]
        fresh = [] if self._stopped else self._add(slots)
        self._look()
        for bind in fresh:
            await bind.__aenter__()
        await asyncio.gather(*(bind.__aexit__(None, None, None) for bind in surplus), over(self._before))

    async def wait_bound(self) -> None:
        """Return as soon as one bind can send."""
        await self._up.wait()

    @property
    def available(self) -> bool:
        """Whether one bind can send."""
        return self._up.is_set()

    @property
    def in_flight_max(self) -> int:
        """How many messages may be under way at once, on all binds."""
        return sum(bind.in_flight_max for bind in self._senders if bind.sending)

    @property
    def reason(self) -> str:
        """How many binds are up, and why the first one is not, in words."""
        if not self._binds:
            return "this node holds none of its binds"
        if len(self._binds) == 1:
            return next(iter(self._binds.values())).reason
        down = [(name, bind) for name, bind in self._binds.items() if bind.state is not BindState.BOUND]
        up = f"{len(self._binds) - len(down)} of {len(self._binds)} binds are up"
        return f"{up}; {down[0][0]}: {down[0][1].reason}" if down else up

    @property
    def in_flight(self) -> int:
        """How many messages wait for an answer or for room."""
        return sum(bind.in_flight for bind in self._senders)

    def binds(self) -> tuple[BindView, ...]:
        """Return every bind as it stands."""
        return tuple(
            BindView(
                name=name,
                kind=bind.settings.bind_kind,
                state=bind.state,
                reason=bind.reason,
                in_flight=bind.in_flight,
                rate_per_s=bind.rate_per_s,
            )
            for name, bind in self._binds.items()
        )

    def watch(self, tap: Callable[[Seen], None]) -> Callable[[], None]:
        """Show every PDU of all binds, in words, until so many went by or the answer is called.

        One watch replaces the other.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        left = WATCHED_MAX

        def end() -> None:
            if self._watch is tell:
                self._watch = None
                for bind in self._binds.values():
                    bind.watch(None)

        def tell(name: str, sent: bool, frame: tuple[int, int, int, bytes]) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                end()
            tap(see(frame, sent=sent, bind=name, at_ms=int((loop.time() - began_at) * 1000)))

        self._watch = tell
        for name, bind in self._binds.items():
            bind.watch(partial(tell, name))
        return end

    def submit_nowait(self, submission: Submission, done: Done) -> None:
        """Hand a message over; `done` is called once, with what became of it.

        Raises:
            CarrierRejected: The message cannot be written for this carrier.
            CarrierUnavailable: All binds are down, or (CarrierFull) take no more now.
        """
        refusal = self._offer(_Attempt(self._on_result, submission, done, self._loop.time()))
        if refusal is not None:
            raise refusal
        self.counts[Count.SUBMITTED] += 1

    def _offer(self, attempt: "_Attempt") -> CarrierError | None:
        """Hand a message to the best bind that may have it; return why none took it."""
        refusal: CarrierError | None = None
        while (bind := self._best(attempt.refused)) is not None:
            attempt.bind = bind
            try:
                bind.submit_nowait(attempt.submission, attempt)
            except CarrierUnavailable as full:
                attempt.refused.append(bind)
                refusal = full
            except CarrierRejected as unwritable:
                return unwritable
            else:
                return None
        return refusal or CarrierUnavailable(f"no bind can send: {self.reason}")

    def _best(self, refused: list[Esme]) -> Esme | None:
        """Return the least loaded bind that can send; among equals they take turns."""
        senders = self._senders
        if not senders:
            return None
        if len(senders) == 1:
            return senders[0] if not refused and senders[0].sending else None
        self._turn = (self._turn + 1) % len(senders)
        now = self._loop.time()
        ready = [
            bind
            for bind in senders[self._turn :] + senders[: self._turn]
            if bind.sending and bind not in refused
        ]
        return min(ready, key=lambda bind: bind.load(now), default=None)

    def _on_result(self, attempt: "_Attempt", result: SubmitResult) -> None:
        if isinstance(result, Accepted):
            self.counts[Count.ACCEPTED] += 1
            attempt.done(result)
            return
        moved = None
        if isinstance(result, CarrierRejected):
            if result.outcome == Outcome.THROTTLED:
                self.counts[Count.THROTTLED] += 1
                attempt.refused.append(attempt.bind)
                moved = Count.MOVED
        elif isinstance(result, CarrierFull):
            attempt.refused.append(attempt.bind)
            moved = Count.MOVED
        elif isinstance(result, CarrierUnavailable):
            attempt.in_doubt += result.outcome_unknown
            if not attempt.bind.sending:
                moved = Count.RESUBMITTED if result.outcome_unknown else Count.MOVED
        if moved is not None and attempt.may_move(self._loop.time()) and self._offer(attempt) is None:
            self.counts[moved] += 1
            return
        if attempt.in_doubt and (moved is not None or isinstance(result, CarrierUnavailable)):
            result = CarrierUnavailable(result.detail, outcome_unknown=True)
        rejected = isinstance(result, CarrierRejected)
        self.counts[Count.REJECTED if rejected else Count.UNAVAILABLE] += 1
        attempt.done(result)

    def _add(self, slots: Collection[int]) -> list[Esme]:
        """Make the binds of slots that are not there yet."""
        fresh: list[Esme] = []
        for name, slot, planned in self._planned:
            if slot in slots and name not in self._binds:
                after_s = len(fresh) * self._stagger_s()
                bind = self._make(planned, on_state=partial(self._moved, name), start_after_s=after_s)
                bind.before, bind.proved = self._before, name in self._proved
                self._binds[name] = bind
                fresh.append(bind)
        self._senders = [
            bind for bind in self._binds.values() if bind.settings.bind_kind is not BindKind.RECEIVER
        ]
        return fresh

    def _look(self) -> None:
        if any(bind.state is BindState.BOUND for bind in self._senders):
            self._up.set()
        else:
            self._up.clear()

    def _moved(self, name: str, state: BindState, reason: str) -> None:
        if state is BindState.BOUND:
            self._proved.add(name)
        self._look()
        if self._on_state is not None:
            self._on_state(name, state, reason)


class _Attempt:
    """One message on its way through the group; called by a bind with what became of it there.

    Attributes:
        bind: Where it is.
        refused: The binds that did not take it.
        moves: How often it was handed on.
        in_doubt: How many copies of it the carrier may have.
    """

    __slots__ = ("_began_at", "_on_result", "bind", "done", "in_doubt", "moves", "refused", "submission")

    bind: Esme

    def __init__(
        self,
        on_result: Callable[["_Attempt", SubmitResult], None],
        submission: Submission,
        done: Done,
        now: float,
    ) -> None:
        self.submission = submission
        self.done = done
        self.refused: list[Esme] = []
        self.moves = 0
        self.in_doubt = 0
        self._on_result = on_result
        self._began_at = now

    def __call__(self, result: SubmitResult) -> None:
        self._on_result(self, result)

    def may_move(self, now: float) -> bool:
        """Count one more move, and take what went by from the life of the message; False at its end."""
        elapsed_s = int(now - self._began_at)
        left_s = self.submission.validity_s - elapsed_s
        if self.moves >= MOVES_MAX or self.in_doubt >= COPIES_MAX or left_s <= 0:
            return False
        self.moves += 1
        if elapsed_s:
            self.submission = msgspec.structs.replace(self.submission, validity_s=left_s)
            self._began_at += elapsed_s
        return True


def _plan(settings: SmppSettings) -> list[tuple[str, int, SmppSettings]]:
    """Name and number the binds, and say what kind each is and where it leads; a pair leads to one place."""
    kinds = (
        # The receivers come first, so that no receipt of the first messages finds nobody.
        (BindKind.RECEIVER, BindKind.TRANSMITTER)
        if settings.bind_kind is BindKind.PAIR
        else (settings.bind_kind,)
    )
    places = list(islice(cycle(settings.addresses), settings.binds))
    return [
        (
            str(number) if len(kinds) == 1 else f"{number}-{kind}",
            number - 1,
            msgspec.structs.replace(settings, bind_kind=kind, host=host, port=port),
        )
        for kind in kinds
        for number, (host, port) in enumerate(places, 1)
    ]
