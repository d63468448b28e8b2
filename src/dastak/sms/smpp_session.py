"""One SMPP session without I/O, for either side: octets and time in, events and octets out.

1. States change by `TRANSITIONS` alone; who may ask what in which state stands in `OPERATIONS`.
2. Every request of ours ends exactly once: in `Answered`, in `TimedOut`, or in `Closed.pending`.
3. Every request of the peer is answered exactly once, here or by `respond`; alert_notification never is.
4. What waits for an answer is bounded in both directions.

Source: SMPP Protocol Specification v3.4, sections 2.2 and 2.3.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from dastak.sms.pdu import Framer, decode_body, encode_body, frame
from dastak.sms.pdu_bodies import AlertNotification, Body
from dastak.sms.smpp_codes import RESPONSE_BIT, Command, Status
from dastak.sms.tlv import MalformedPdu

SEQUENCE_NUMBER_MAX: Final = 0x7FFFFFFF


class Role(Enum):
    """Which side of the link this is."""

    ESME = "esme"
    SMSC = "smsc"


class State(StrEnum):
    """The states of the standard, and UNBOUND: one side has said unbind and nothing new may start."""

    OPEN = "open"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


# An accepted bind, an unbind from either side, the answer to it; every other pair leaves the state as it is.
# A lost link closes any state.
TRANSITIONS: Final[Mapping[tuple[State, int], State]] = {
    (State.OPEN, Command.BIND_TRANSMITTER): State.BOUND_TX,
    (State.OPEN, Command.BIND_RECEIVER): State.BOUND_RX,
    (State.OPEN, Command.BIND_TRANSCEIVER): State.BOUND_TRX,
    (State.BOUND_TX, Command.UNBIND): State.UNBOUND,
    (State.BOUND_RX, Command.UNBIND): State.UNBOUND,
    (State.BOUND_TRX, Command.UNBIND): State.UNBOUND,
    (State.UNBOUND, Command.UNBIND_RESP): State.CLOSED,
}

_SENDING: Final = frozenset({State.BOUND_TX, State.BOUND_TRX})
_RECEIVING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})
_BOUND: Final = _SENDING | _RECEIVING
_NEVER: Final[frozenset[State]] = frozenset()


class _By(NamedTuple):
    esme: frozenset[State]
    smsc: frozenset[State]


# In which states each side may send a request. (An enquire_link before the bind is a courtesy of SMPP 5.0.)
OPERATIONS: Final[Mapping[int, _By]] = {
    Command.BIND_TRANSMITTER: _By(frozenset({State.OPEN}), _NEVER),
    Command.BIND_RECEIVER: _By(frozenset({State.OPEN}), _NEVER),
    Command.BIND_TRANSCEIVER: _By(frozenset({State.OPEN}), _NEVER),
    Command.UNBIND: _By(_BOUND, _BOUND),
    Command.SUBMIT_SM: _By(_SENDING, _NEVER),
    Command.DATA_SM: _By(_SENDING, _RECEIVING),
    Command.QUERY_SM: _By(_SENDING, _NEVER),
    Command.CANCEL_SM: _By(_SENDING, _NEVER),
    Command.REPLACE_SM: _By(_SENDING, _NEVER),
    Command.DELIVER_SM: _By(_NEVER, _RECEIVING),
    Command.ALERT_NOTIFICATION: _By(_NEVER, _RECEIVING),
    Command.ENQUIRE_LINK: _By(_BOUND | {State.OPEN}, _BOUND | {State.OPEN}),
}
_BINDS: Final = frozenset({Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})
_NEVER_WAIT: Final = frozenset({Command.ENQUIRE_LINK, Command.UNBIND, Command.ALERT_NOTIFICATION})


class Answered(msgspec.Struct, frozen=True):
    """The peer answered a request; `context` is what the request was made with."""

    context: Any
    command_status: int
    body: Body


class TimedOut(msgspec.Struct, frozen=True):
    """The peer did not answer a request in time; it may have done what was asked."""

    context: Any


class Requested(msgspec.Struct, frozen=True):
    """The peer asks; answer with `respond`."""

    command_id: int
    sequence_number: int
    body: Body


class Alerted(msgspec.Struct, frozen=True):
    """A phone is back."""

    body: AlertNotification


class Closed(msgspec.Struct, frozen=True):
    """The session is over; `pending` are the contexts of requests whose outcome nobody knows."""

    reason: str
    pending: tuple[Any, ...]


Tap: TypeAlias = Callable[[bool, tuple[int, int, int, bytes]], None]
Event: TypeAlias = Answered | TimedOut | Requested | Alerted | Closed


class SmppSession:
    """The state of one session.

    Args:
        window: How many of our requests may wait for an answer.
        inbound_max: How many of the peer's may wait for ours; more are refused at once.
        bind_timeout_s: How long a link may stay without a bind.
        response_timeout_s: How long the peer may take to answer.
        enquire_link_s: After so much silence the peer is asked; after as much again it is gone.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        output: What is to be sent; the shell takes it away.
        tap: Told of every PDU, whether it is ours and as the framer yields it; None in everyday life.
    """

    def __init__(
        self,
        role: Role,
        *,
        window: int,
        inbound_max: int,
        bind_timeout_s: float,
        response_timeout_s: float,
        enquire_link_s: float,
        now: float,
        sequence_number: int = 1,
    ) -> None:
        self.state = State.OPEN
        self.output: list[bytes] = []
        self.tap: Tap | None = None
        self._role = role
        self._window = window
        self._inbound_max = inbound_max
        self._bind_by = now + bind_timeout_s
        self._response_timeout_s = response_timeout_s
        self._enquire_link_s = enquire_link_s
        self._framer = Framer()
        self._sequence_number = sequence_number
        # sequence_number -> command, deadline, context. Deadlines rise, for all have the same time to be met.
        self._pending: dict[int, tuple[int, float, Any]] = {}
        # The peer's sequence_number -> command.
        self._unanswered: dict[int, int] = {}
        self._heard_at = now
        self._enquired = False

    @property
    def bound(self) -> bool:
        """Whether messages may flow."""
        return self.state in _BOUND

    @property
    def room(self) -> int:
        """How many more requests the window takes."""
        return self._window - len(self._pending)

    @property
    def idle(self) -> bool:
        """Whether all our requests have ended."""
        return not self._pending

    def may(self, command_id: int) -> bool:
        """Say whether this side may send a request now."""
        by = OPERATIONS[command_id]
        return self.state in (by.esme if self._role is Role.ESME else by.smsc)

    def request(self, command_id: int, body: bytes = b"", *, context: Any = None, now: float) -> None:
        """Send a request; the caller looks at `may` and `room` before.

        Args:
            command_id: Which.
            body: As `encode_body` writes it.
            context: Comes back with the event that ends the request.
            now: The monotonic time.
        """
        assert self.may(command_id), (command_id, self.state)
        sequence_number = self._next_sequence_number()
        self._say(command_id, 0, sequence_number, body)
        if command_id == Command.ALERT_NOTIFICATION:
            return
        deadline = self._bind_by if command_id in _BINDS else now + self._response_timeout_s
        self._pending[sequence_number] = (command_id, deadline, context)
        if command_id == Command.UNBIND:
            self._move(command_id)

    def respond(self, sequence_number: int, command_status: int = 0, body: Body = None) -> bool:
        """Answer a request of the peer; False when it was answered before or nobody is there to hear."""
        command_id = self._unanswered.pop(sequence_number, None)
        if command_id is None:
            return False
        octets = b"" if command_status else encode_body(body)
        self._answer(command_id, command_status, sequence_number, octets)
        if command_id in _BINDS and not command_status:
            self._move(command_id)
        return True

    def receive(self, octets: bytes, now: float) -> Iterator[Event]:
        """Take octets from the peer, in pieces of any size.

        Lazily, so that a request is answered before the next one is judged: run the iterator to its end.
        """
        self._heard_at = now
        self._enquired = False
        try:
            for command_id, command_status, sequence_number, body in self._framer.feed(octets):
                if self.state is State.CLOSED:
                    return
                if self.tap is not None:
                    self.tap(False, (command_id, command_status, sequence_number, body))
                if command_id & RESPONSE_BIT:
                    yield from self._take_response(command_id, command_status, sequence_number, body)
                else:
                    yield from self._take_request(command_id, sequence_number, body)
        except MalformedPdu as error:
            yield from self.close(str(error))

    def tick(self, now: float) -> list[Event]:
        """Find what was not answered in time, and ask a silent peer whether it is there."""
        events: list[Event] = []
        while self._pending:
            sequence_number, (command_id, deadline, context) = next(iter(self._pending.items()))
            if deadline > now:
                break
            del self._pending[sequence_number]
            events.append(TimedOut(context))
            if command_id == Command.UNBIND:
                events += self.close("no answer to unbind")
        silence_s = now - self._heard_at
        if self.state is State.OPEN and now >= self._bind_by:
            events += self.close("no bind in time")
        elif silence_s >= 2 * self._enquire_link_s:
            events += self.close("no answer to enquire_link")
        elif silence_s >= self._enquire_link_s and not self._enquired and self.bound:
            self._enquired = True
            self._say(Command.ENQUIRE_LINK, 0, self._next_sequence_number(), b"")
        return events

    def close(self, reason: str) -> list[Event]:
        """End the session, whatever state it is in; a second time does nothing."""
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        pending = tuple(context for _, _, context in self._pending.values())
        self._pending.clear()
        self._unanswered.clear()
        return [Closed(reason, pending)]

    def _take_response(
        self, command_id: int, command_status: int, sequence_number: int, body: bytes
    ) -> Iterator[Event]:
        """End the request that this answers; enquire_link_resp did its work by being heard."""
        asked = self._pending.get(sequence_number)
        nacked = command_id == Command.GENERIC_NACK
        if asked is None or not (nacked or command_id == asked[0] | RESPONSE_BIT):
            return
        del self._pending[sequence_number]
        if nacked:
            command_status = command_status or Status.ESME_RUNKNOWNERR
        if asked[0] in _BINDS and not command_status:
            self._move(asked[0])
        yield Answered(asked[2], command_status, decode_body(command_id, command_status, body))
        if asked[0] == Command.UNBIND:
            yield from self.close("unbound")

    def _take_request(self, command_id: int, sequence_number: int, octets: bytes) -> Iterator[Event]:
        refusal = self._refusal(command_id, sequence_number)
        body: Body = None
        if refusal is None:
            try:
                body = decode_body(command_id, 0, octets)
            except MalformedPdu:
                refusal = Status.ESME_RINVCMDLEN
        if command_id == Command.ALERT_NOTIFICATION:
            if isinstance(body, AlertNotification):
                yield Alerted(body)
        elif refusal is not None or command_id == Command.ENQUIRE_LINK:
            self._answer(command_id, refusal or 0, sequence_number)
        elif command_id == Command.UNBIND:
            self._answer(command_id, 0, sequence_number)
            self._move(command_id)
            yield from self.close("unbound by the peer")
        else:
            self._unanswered[sequence_number] = command_id
            yield Requested(command_id, sequence_number, body)

    def _refusal(self, command_id: int, sequence_number: int) -> int | None:
        """Return why the peer may not ask this now; None when it may."""
        by = OPERATIONS.get(command_id)
        if by is None:
            return Status.ESME_RINVCMDID
        if self.state not in (by.smsc if self._role is Role.ESME else by.esme):
            return Status.ESME_RALYBND if command_id in _BINDS else Status.ESME_RINVBNDSTS
        if command_id in _NEVER_WAIT:
            return None
        if len(self._unanswered) >= self._inbound_max or sequence_number in self._unanswered:
            return Status.ESME_RTHROTTLED if self._role is Role.SMSC else Status.ESME_RMSGQFUL
        return None

    def _answer(
        self, command_id: int, command_status: int, sequence_number: int, octets: bytes = b""
    ) -> None:
        response = command_id | RESPONSE_BIT if command_id in OPERATIONS else Command.GENERIC_NACK
        self._say(response, command_status, sequence_number, octets)

    def _say(self, command_id: int, command_status: int, sequence_number: int, body: bytes) -> None:
        if self.tap is not None:
            self.tap(True, (command_id, command_status, sequence_number, body))
        self.output.append(frame(command_id, command_status, sequence_number, body))

    def _move(self, command_id: int) -> None:
        self.state = TRANSITIONS.get((self.state, command_id), self.state)

    def _next_sequence_number(self) -> int:
        """Return the next free number, beginning again at 1."""
        while True:
            sequence_number = self._sequence_number
            self._sequence_number = sequence_number % SEQUENCE_NUMBER_MAX + 1
            if sequence_number not in self._pending:
                return sequence_number
