"""What the peer of a call may ask within its dialog, and what it is answered.

1. Every request is answered once; a repeated one gets the same octets again, from a bounded store.
2. What the shell has to decide, other media, waits in `pending`; everything else is answered here.
3. A session timer is agreed to where the peer refreshes: it notices by that if we die.

Source: RFC 3261, sections 8.2, 12.2.2 and 14.2; RFC 6086 INFO; RFC 3311 UPDATE; RFC 4028 session timers.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from dastak.voice.sip.call_events import CallEvent, Key, Offered, Settled
from dastak.voice.sip.sip_dialog import ALLOW, ALLOWED, SDP, CallParty, Dialog, Packet
from dastak.voice.sip.sip_message import Address, Header, SipMessage, answer, answer_to
from dastak.voice.sip.sip_transactions import Effect, Input, State, Transaction, happened_by

# Each is kept for 32 s; a person who types into the phone may send an INFO a key.
REQUESTS_MAX: Final = 64

_REASONS: Final = {
    200: "OK",
    405: "Method Not Allowed",
    420: "Bad Extension",
    481: "Call/Transaction Does Not Exist",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
}
_SUPPORTED: Final = frozenset({"timer"})
_SESSION: Final = re.compile(r"([0-9]{1,9})\s*(;.*)?", re.ASCII)
_SIGNAL: Final = re.compile(r"^\s*Signal\s*=\s*([0-9]{1,2}|[*#A-D])\s*$", re.IGNORECASE | re.MULTILINE)
_BARE: Final = re.compile(r"\s*([0-9*#A-D])\s*", re.IGNORECASE)
# Some gateways count the keys as RFC 4733 does.
_COUNTED: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


class _Asked(NamedTuple):
    transaction: Transaction
    request: SipMessage
    source: Address


class PeerRequests:
    """The requests of one peer and our answers.

    Args:
        party: Our side of the call.
        send: Where answers go.
        tell: Where events go.
    """

    def __init__(
        self, party: CallParty, send: Callable[[Packet], None], tell: Callable[[CallEvent], None]
    ) -> None:
        self._party = party
        self._send = send
        self._tell = tell
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._pending: _Asked | None = None

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due."""
        times = (asked.transaction.deadline for asked in self._asked.values())
        return min((time for time in times if time is not None), default=None)

    @property
    def idle(self) -> bool:
        """Whether no answer may have to be repeated."""
        return not self._asked

    def take(
        self, request: SipMessage, source: Address, dialog: Dialog | None, *, talking: bool, now: float
    ) -> bool:
        """Answer a request, or have it wait for the shell.

        Args:
            request: Not an ACK.
            source: Where it came from.
            dialog: The one it belongs to, None if it belongs to none.
            talking: Whether this is the answered dialog of the call.
            now: The monotonic time.

        Returns:
            Whether it was the BYE of this dialog, for the first time.
        """
        known = self._asked.get((request.branch, request.method))
        if known is not None:
            self._carry_out(known, known.transaction.take(Input.REQUEST, now))
            return False
        if len(self._asked) >= REQUESTS_MAX and not (talking and request.method == "BYE"):
            self._send(Packet(self._answered(request, source, 503), answer_to(request, source)))
            return False
        begun = State.INVITED_PROCEEDING if request.method == "INVITE" else State.ASKED_TRYING
        transaction = Transaction(
            begun, self._party.trunk.timing, reliable=self._party.trunk.reliable, now=now
        )
        asked = _Asked(transaction, request, source)
        self._asked[request.branch, request.method] = asked
        refusal = self._refusal(request, dialog)
        if refusal is not None:
            self._answer(asked, *refusal, now=now)
            return False
        assert dialog is not None
        dialog.remote_cseq = max(dialog.remote_cseq, request.cseq)
        return self._serve(asked, dialog, talking=talking, now=now)

    def acknowledge(self, request: SipMessage, now: float) -> None:
        """Take an ACK: it ends the repeats of our answer to a re-INVITE, and may hold the peer's media."""
        for asked in self._asked.values():
            if asked.request.method == "INVITE" and asked.request.cseq == request.cseq:
                effect = asked.transaction.take(Input.ACK, now)
                if effect is Effect.TELL and request.body and not asked.request.body:
                    self._tell(Settled(request.body))

    def answer_offer(self, sdp: bytes | None, now: float) -> None:
        """Answer what `Offered` told of; None refuses it. Without anything pending this does nothing."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if sdp is None:
            self._answer(pending, 488, now=now)
        else:
            contact = ("Contact", f"<{self._party.trunk.contact}>")
            headers = [contact, ALLOW, *_session(pending.request), SDP]
            self._answer(pending, 200, headers, sdp, now=now)

    def forget(self) -> None:
        """Repeat nothing any more."""
        self._asked.clear()
        self._pending = None

    def tick(self, now: float) -> bool:
        """Repeat what is due; True when the peer never acknowledged a 2xx and so is gone."""
        gone = False
        for key, asked in list(self._asked.items()):
            for effect in asked.transaction.tick(now):
                gone |= effect is Effect.TIMED_OUT
                self._carry_out(asked, effect)
            if asked.transaction.terminated:
                del self._asked[key]
        return gone

    def _refusal(self, request: SipMessage, dialog: Dialog | None) -> tuple[int, Sequence[Header]] | None:
        if dialog is None:
            return 481, ()
        if request.method not in ALLOWED:
            return 405, (ALLOW,)
        unknown = request.tokens("Require") - _SUPPORTED
        if unknown and request.method != "CANCEL":
            return 420, (("Unsupported", ", ".join(sorted(unknown))),)
        if request.cseq <= dialog.remote_cseq and request.method != "CANCEL":
            return 500, ()
        return None

    def _serve(self, asked: _Asked, dialog: Dialog, *, talking: bool, now: float) -> bool:
        request = asked.request
        match request.method:
            case "BYE":
                self._answer(asked, 200, now=now)
                return True
            case "CANCEL":
                known = (request.branch, "INVITE") in self._asked
                self._answer(asked, 200 if known else 481, now=now)
            case "INFO":
                self._answer(asked, 200, now=now)
                digit = info_digit(request)
                if talking and digit is not None:
                    self._tell(Key(digit))
            case "INVITE" | "UPDATE":
                self._offered(asked, dialog, talking=talking, now=now)
            case _:
                self._answer(asked, 200, [ALLOW, ("Accept", SDP[1])], now=now)
        return False

    def _offered(self, asked: _Asked, dialog: Dialog, *, talking: bool, now: float) -> None:
        request = asked.request
        if request.method == "UPDATE" and not request.body:
            dialog.follow(request)
            contact = ("Contact", f"<{self._party.trunk.contact}>")
            self._answer(asked, 200, [contact, ALLOW, *_session(request)], now=now)
        elif not talking:
            self._answer(asked, 488, now=now)
        elif self._pending is not None:
            self._answer(asked, 500, [("Retry-After", "1")], now=now)
        else:
            dialog.follow(request)
            self._pending = asked
            self._tell(Offered(request.body))

    def _answer(
        self,
        asked: _Asked,
        status: int,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        *,
        now: float,
    ) -> None:
        asked.transaction.octets = self._answered(asked.request, asked.source, status, headers, body)
        self._carry_out(asked, asked.transaction.take(happened_by(status), now))

    def _answered(
        self,
        request: SipMessage,
        source: Address,
        status: int,
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> bytes:
        tag = self._party.local.tag
        return answer(
            request, status, _REASONS[status], source=source, to_tag=tag, headers=headers, body=body
        )

    def _carry_out(self, asked: _Asked, effect: Effect) -> None:
        if effect is Effect.REPEAT and asked.transaction.octets:
            self._send(Packet(asked.transaction.octets, answer_to(asked.request, asked.source)))


def info_digit(request: SipMessage) -> str | None:
    """Return the key that an INFO tells of, None where it tells of none.

    Source: the de facto `application/dtmf-relay` and `application/dtmf`.
    """
    kind = request.first("Content-Type").partition(";")[0].strip().lower()
    text = request.body[:64].decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        found = _SIGNAL.search(text)
    elif kind == "application/dtmf":
        found = _BARE.fullmatch(text) or _SIGNAL.search(text)
    else:
        return None
    if found is None:
        return None
    signal = found[1].upper()
    return _COUNTED.get(signal) if len(signal) == 2 else signal


def _session(request: SipMessage) -> list[Header]:
    """Agree to the peer's session timer if it refreshes by itself."""
    found = _SESSION.fullmatch(request.first("Session-Expires"))
    supported = request.tokens("Supported") | request.tokens("Require")
    if found is None or "timer" not in supported or "refresher=uas" in (found[2] or "").lower():
        return []
    return [("Require", "timer"), ("Session-Expires", f"{int(found[1])};refresher=uac")]
