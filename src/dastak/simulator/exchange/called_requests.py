"""The requests of one call to a phone beside its INVITE: those that come, each answered once, and our own.

Source: RFC 3261, section 17.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from dastak.simulator.exchange.called_dialog import Hop, Packet
from dastak.voice.sip.sip_message import SipMessage
from dastak.voice.sip.sip_transactions import Effect, Input, State, Timing, Transaction, happened_by

# Each is kept for 32 s.
REQUESTS_MAX: Final = 64

# Branch and method name a transaction.
Key: TypeAlias = tuple[str, str]


class Asked(NamedTuple):
    """A request of who called, under way."""

    transaction: Transaction
    request: SipMessage
    hop: Hop

    @property
    def key(self) -> Key:
        """What names it."""
        return self.request.branch, self.request.method


class CalledRequests:
    """All of one call.

    Args:
        timing: The times of SIP.
        reliable: Whether the call runs over TCP.
        send: Where packets go.
    """

    def __init__(self, timing: Timing, *, reliable: bool, send: Callable[[Packet], None]) -> None:
        self._timing, self._reliable, self._send = timing, reliable, send
        self._asked: dict[Key, Asked] = {}
        self._asking: dict[Key, tuple[Transaction, Packet]] = {}

    def transactions(self) -> list[Transaction]:
        """Return all that are kept."""
        theirs = [asked.transaction for asked in self._asked.values()]
        return [*theirs, *(transaction for transaction, _ in self._asking.values())]

    def begin(self, request: SipMessage, hop: Hop, now: float) -> Asked | None:
        """Take a request that came; None where it is a repeat, answered as before, or too many."""
        key = (request.branch, request.method)
        known = self._asked.get(key)
        if known is not None:
            if known.transaction.take(Input.REQUEST, now) is Effect.REPEAT and known.transaction.octets:
                self._send(Packet(known.transaction.octets, known.hop))
            return None
        if len(self._asked) >= REQUESTS_MAX:
            return None
        begun = State.INVITED_PROCEEDING if request.method == "INVITE" else State.ASKED_TRYING
        transaction = Transaction(begun, self._timing, reliable=self._reliable, now=now)
        asked = self._asked[key] = Asked(transaction, request, hop)
        return asked

    def conclude(self, asked: Asked, status: int, packet: Packet, now: float) -> None:
        """Answer a request for good."""
        asked.transaction.octets = packet.octets
        asked.transaction.take(happened_by(status), now)
        self._asked[asked.key] = asked._replace(hop=packet.to)
        self._send(packet)

    def acknowledge(self, ack: SipMessage, now: float) -> bool:
        """Take an ACK; False when it is for none of these."""
        for asked in self._asked.values():
            if asked.request.method == "INVITE" and asked.request.cseq == ack.cseq:
                asked.transaction.take(Input.ACK, now)
                return True
        return False

    def ask(self, method: str, branch: str, packet: Packet, now: float) -> None:
        """Send a request of ours."""
        transaction = Transaction(
            State.ASKING_TRYING, self._timing, reliable=self._reliable, octets=packet.octets, now=now
        )
        self._asking[branch, method] = transaction, packet
        self._send(packet)

    def answered(self, response: SipMessage, now: float) -> bool:
        """Take an answer; say whether it is the first word on a request of ours."""
        asking = self._asking.get((response.branch, response.method))
        return asking is not None and asking[0].take(happened_by(response.status), now) is Effect.TELL

    def tick(self, now: float) -> list[str]:
        """Say again what is due; return the methods of ours that were never answered."""
        for key, asked in list(self._asked.items()):
            for effect in asked.transaction.tick(now):
                if effect is Effect.REPEAT:
                    self._send(Packet(asked.transaction.octets, asked.hop))
            if asked.transaction.terminated:
                del self._asked[key]
        unanswered: list[str] = []
        for key, (transaction, packet) in list(self._asking.items()):
            for effect in transaction.tick(now):
                if effect is Effect.REPEAT:
                    self._send(packet)
                elif effect is Effect.TIMED_OUT:
                    unanswered.append(key[1])
            if transaction.terminated:
                del self._asking[key]
        return unanswered
