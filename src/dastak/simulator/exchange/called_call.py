"""One call to a virtual phone without I/O, as the called side of SIP: messages in, packets and news out.

1. States change by `CALLED_TRANSITIONS` alone, and a call is told to be over exactly once.
2. A final answer is said again until its ACK comes; without one the call ends after 32 s.
3. A phone stops ringing when its invitation expires, whether or not anybody says CANCEL.
4. What shall go wrong is in the fault that the call is given, and stands in its log when it does.
5. What was said before the call was ours to answer, such as a challenge, is no business of this machine.

Source: RFC 3261, sections 9.2, 13.3, 14.2, 15, 17.2 and 20.19; RFC 4028 session timers.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from dastak.simulator.call_faults import CallScript, Refusal
from dastak.simulator.exchange.called_dialog import CalledDialog, Hop, Packet, Place
from dastak.simulator.exchange.called_events import (
    CalledEvent,
    Confirmed,
    Crossed,
    KeyTold,
    Over,
    Redescribed,
)
from dastak.simulator.exchange.called_requests import Asked, CalledRequests
from dastak.simulator.exchange.called_states import CALLED_TRANSITIONS, CalledInput, CalledState
from dastak.simulator.exchange.session_timer import SessionTimer
from dastak.voice.sip.sip_message import Header, SipMessage
from dastak.voice.sip.sip_transactions import Effect, Input, State, Timing, Transaction, happened_by

ALLOW: Final[Header] = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE")
SDP: Final[Header] = ("Content-Type", "application/sdp")
CANCELED: Final = Refusal(487, "Request Terminated", None)
GONE: Final = (481, "Call/Transaction Does Not Exist")
LOG_MAX: Final = 200
_EXPIRES: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_UNANSWERED: Final = frozenset({CalledState.INVITED, CalledState.RINGING})


class _Phone:
    """One of the phones that answer: mostly there is one."""

    __slots__ = ("dialog", "invited", "said")

    def __init__(self, dialog: CalledDialog, invited: Transaction) -> None:
        self.dialog, self.invited = dialog, invited
        self.said: Packet | None = None


class CalledCall:
    """The state of one call.

    Args:
        invite: What began it.
        hop: Where that came from.
        place: Where we are.
        script: What it meets.
        draw: Gives a new unguessable token at each call.
        timing: The times of SIP.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        packets: What is to be sent; the shell takes it away.
        events: What has happened; the shell takes it away.
        log: What was said, what came and what was lost, in order; the same fault and caller give the same.
    """

    def __init__(
        self,
        invite: SipMessage,
        hop: Hop,
        place: Place,
        script: CallScript,
        draw: Callable[[], str],
        *,
        timing: Timing,
        now: float,
    ) -> None:
        self.state = CalledState.INVITED
        self.invite, self.hop, self.script = invite, hop, script
        self.packets: list[Packet] = []
        self.events: list[CalledEvent] = []
        self.log: list[str] = ["INVITE"]
        self._contact = place.contact(invite.uri.partition(":")[2].partition("@")[0], hop.transport)
        self._phones = [
            _Phone(
                CalledDialog(invite, hop, place, draw),
                Transaction(State.INVITED_PROCEEDING, timing, reliable=hop.reliable, now=now),
            )
            for _ in range(script.fault.forks)
        ]
        self._first = self._phones[0]
        expires_s = invite.first("Expires")
        self._expires_at = now + int(expires_s) if _EXPIRES.fullmatch(expires_s) else None
        self._timer = SessionTimer(invite)
        self._acks_to_lose, self._byes_to_lose = script.fault.lost_acks, script.fault.lost_byes
        self._requests = CalledRequests(timing, reliable=hop.reliable, send=self.packets.append)
        self._pending: Asked | None = None
        self._leaves_at_ack = self._told = False

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due, None when nothing is waited for."""
        times = [one.deadline for one in self._transactions()]
        if self.state is CalledState.TALKING:
            times.append(self._timer.deadline)
        elif self.state in _UNANSWERED:
            times.append(self._expires_at)
        return min((time for time in times if time is not None), default=None)

    @property
    def finished(self) -> bool:
        """Whether it is over and nothing of it may have to be said again."""
        return self.state is CalledState.OVER and all(one.terminated for one in self._transactions())

    def trying(self, now: float) -> None:
        """Say that we have the call."""
        if self.state is CalledState.INVITED:
            self._provisional(100, "Trying", (), b"", now)

    def ring(self, now: float) -> None:
        """Say that the phone rings."""
        if self._move(CalledInput.RINGS):
            self._provisional(180, "Ringing", (), b"", now)

    def progress(self, sdp: bytes, now: float) -> None:
        """Say that there is something to hear before the answer."""
        if self._move(CalledInput.RINGS):
            self._provisional(183, "Session Progress", (SDP,), sdp, now)

    def accept(self, sdp: bytes, now: float) -> None:
        """Answer: one phone, or as many as the fault wants."""
        if not self._move(CalledInput.ANSWERS):
            return
        for number, phone in enumerate(self._phones, 1):
            headers = (self._contact, ALLOW, *self._timer.agreed, SDP)
            self._conclude(phone, 200, "OK", headers, sdp, now=now)
            self.note("200 OK" if number == 1 else f"200 OK of phone {number}")

    def refuse(self, refusal: Refusal, headers: Sequence[Header], now: float) -> None:
        """Let it end before it was answered."""
        if self._move(CalledInput.REFUSES):
            self._refuse(refusal, headers, now)
            self._over(str(refusal))

    def hang_up(self, now: float) -> None:
        """End an answered call, as soon as that may be."""
        if self.state is CalledState.ANSWERED:
            self._leaves_at_ack = True
        elif self._move(CalledInput.HANGS_UP):
            self._bye(now)

    def answer_offer(self, sdp: bytes | None, now: float) -> None:
        """Answer what `Redescribed` told of; None refuses it."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if sdp is None:
            self._answer(pending, 488, "Not Acceptable Here", now=now)
        else:
            self._answer(pending, 200, "OK", (self._contact, ALLOW, *self._timer.agreed, SDP), sdp, now=now)

    def receive(self, message: SipMessage, hop: Hop, now: float) -> None:
        """Take a message of this call."""
        if message.status:
            self._take_answer(message, now)
        elif message.method == "ACK":
            self._take_ack(message, now)
        elif message.method == "INVITE" and message.branch == self.invite.branch:
            self._say_again(self._first, self._first.invited.take(Input.REQUEST, now))
        elif message.method == "CANCEL":
            self._take_cancel(message, hop, now)
        else:
            self._take_request(message, hop, now)

    def tick(self, now: float) -> None:
        """Do what time asks for."""
        for phone in self._phones:
            for effect in phone.invited.tick(now):
                self._say_again(phone, effect)
                if effect is Effect.TIMED_OUT and phone is self._first and self._move(CalledInput.NO_ACK):
                    self.note("no ACK")
                    self._bye(now)
        for method in self._requests.tick(now):
            self._unanswered(method, now)
        if self._expires_at is not None and self._expires_at <= now and self._move(CalledInput.REFUSES):
            self.note("the invitation expired")
            self._refuse(CANCELED, (), now)
            self._over("expired")
        if self.state is CalledState.TALKING:
            if self._timer.refresh_due(now):
                self._ask("UPDATE", self._timer.refreshing, now)
            elif self._timer.expired(now) and self._move(CalledInput.HANGS_UP):
                self.note("the session was not refreshed")
                self._bye(now)

    def note(self, word: str) -> None:
        """Write down what happened."""
        if len(self.log) < LOG_MAX:
            self.log.append(word)

    def _take_ack(self, ack: SipMessage, now: float) -> None:
        phone = next((one for one in self._phones if one.dialog.tag == ack.to_tag), None)
        if phone is None:
            return
        if self._requests.acknowledge(ack, now):
            return
        if phone.invited.state is State.INVITED_ACCEPTED and self._acks_to_lose:
            self._acks_to_lose -= 1
            self.note("ACK lost")
            return
        told = phone.invited.take(Input.ACK, now) is Effect.TELL
        if not told or phone is not self._first:
            return
        self.note("ACK")
        if self._move(CalledInput.ACK):
            self._timer.wind(now)
            self.events.append(Confirmed(b"" if self.invite.body else ack.body))
            if self._leaves_at_ack:
                self.hang_up(now)

    def _take_cancel(self, cancel: SipMessage, hop: Hop, now: float) -> None:
        asked = self._requests.begin(cancel, hop, now)
        if asked is None:
            return
        if cancel.branch != self.invite.branch:
            self._answer(asked, *GONE, now=now)
            return
        self._answer(asked, 200, "OK", now=now)
        self.note("CANCEL")
        crosses = self.script.fault.late_answer and self.state in _UNANSWERED
        if crosses:
            self.events.append(Crossed())
        elif self._move(CalledInput.CANCEL):
            self._refuse(CANCELED, (), now)
            self._over("CANCEL")

    def _take_request(self, request: SipMessage, hop: Hop, now: float) -> None:
        phone = next((one for one in self._phones if one.dialog.tag == request.to_tag), None)
        if request.method == "BYE" and phone is not None and self._byes_to_lose:
            self._byes_to_lose -= 1
            self.note("BYE lost")
            return
        asked = self._requests.begin(request, hop, now)
        if asked is None:
            return
        if phone is None:
            self._answer(asked, *GONE, now=now)
        elif request.cseq <= phone.dialog.remote_cseq:
            self._answer(asked, 500, "Server Internal Error", now=now)
        else:
            phone.dialog.remote_cseq = request.cseq
            self._serve(asked, phone, now)

    def _serve(self, asked: Asked, phone: _Phone, now: float) -> None:
        request = asked.request
        match request.method:
            case "BYE":
                self._answer(asked, 200, "OK", now=now)
                self._take_bye(phone, now)
            case "INFO":
                self._answer(asked, 200, "OK", now=now)
                self.events.append(KeyTold(request.body))
            case "UPDATE" | "INVITE" if phone is not self._first or self._pending is not None:
                self._answer(asked, 500, "Server Internal Error", (("Retry-After", "1"),), now=now)
            case "UPDATE" if not request.body:
                phone.dialog.follow(request)
                self._timer.refreshed(request, now)
                self._answer(asked, 200, "OK", (self._contact, ALLOW, *self._timer.agreed), now=now)
            case "UPDATE" | "INVITE":
                phone.dialog.follow(request)
                self._timer.refreshed(request, now)
                self.note(f"re-{request.method}")
                self._pending = asked
                self.events.append(Redescribed(request.body))
            case "OPTIONS":
                self._answer(asked, 200, "OK", (ALLOW, ("Accept", SDP[1])), now=now)
            case _:
                self._answer(asked, 405, "Method Not Allowed", (ALLOW,), now=now)

    def _take_bye(self, phone: _Phone, now: float) -> None:
        phone.invited.take(Input.ACK, now)
        if phone is not self._first:
            self.note(f"BYE of phone {self._phones.index(phone) + 1}")
            return
        self.note("BYE")
        if self._move(CalledInput.BYE):
            self._over("BYE")

    def _take_answer(self, response: SipMessage, now: float) -> None:
        """Take the answer to a request of ours."""
        if not self._requests.answered(response, now):
            return
        if response.method == "BYE" and response.status >= 200:
            self._move(CalledInput.BYE_ENDED)
        elif response.status in {408, 481}:
            self._unanswered(response.method, now)

    def _unanswered(self, method: str, now: float) -> None:
        """Know that who called is not there any more."""
        if method == "BYE":
            self._move(CalledInput.BYE_ENDED)
        elif self._move(CalledInput.HANGS_UP):
            self.note(f"no answer to {method}")
            self._bye(now)

    def _bye(self, now: float) -> None:
        self.note("our BYE")
        self._ask("BYE", (), now)
        self._over("BYE")

    def _ask(self, method: str, headers: Sequence[Header], now: float) -> None:
        branch, packet = self._first.dialog.request(method, headers)
        self._requests.ask(method, branch, packet, now)

    def _provisional(
        self, status: int, reason: str, headers: Sequence[Header], body: bytes, now: float
    ) -> None:
        shown = () if status == 100 else (self._contact, *headers)
        self._conclude(self._first, status, reason, shown, body, now=now)
        self.note(f"{status} {reason}")

    def _refuse(self, refusal: Refusal, headers: Sequence[Header], now: float) -> None:
        cause = () if refusal.cause is None else (("Reason", f"Q.850;cause={refusal.cause}"),)
        self._conclude(self._first, refusal.status, refusal.reason, (*headers, *cause), b"", now=now)
        self.note(str(refusal))

    def _conclude(
        self,
        phone: _Phone,
        status: int,
        reason: str,
        headers: Sequence[Header],
        body: bytes,
        *,
        now: float,
    ) -> None:
        packet = phone.dialog.answer(self.invite, self.hop, status, reason, headers, body=body)
        phone.said = packet
        phone.invited.take(happened_by(status), now)
        self.packets.append(packet)

    def _answer(
        self,
        asked: Asked,
        status: int,
        reason: str,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        *,
        now: float,
    ) -> None:
        packet = self._first.dialog.answer(asked.request, asked.hop, status, reason, headers, body=body)
        self._requests.conclude(asked, status, packet, now)

    def _say_again(self, phone: _Phone, effect: Effect) -> None:
        if effect is Effect.REPEAT and phone.said is not None:
            self.packets.append(phone.said)

    def _transactions(self) -> list[Transaction]:
        said = [phone.invited for phone in self._phones if phone is self._first or phone.said]
        return [*said, *self._requests.transactions()]

    def _move(self, happened: CalledInput) -> bool:
        """Change the state by the table; False when nothing stands there."""
        to = CALLED_TRANSITIONS.get((self.state, happened))
        if to is not None:
            self.state = to
        return to is not None

    def _over(self, why: str) -> None:
        if not self._told:
            self._told = True
            self.events.append(Over(why))
