"""One outgoing call without I/O: messages and time in, packets and events out.

1. States change by `CALL_TRANSITIONS` alone.
2. A call ends exactly once, in `Ended`. What comes later is answered still: a late 2xx gets its ACK and a
   BYE in whatever state it comes, so that no phone stays off the hook.
3. Nothing of a code is handed to this machine, so that none can be in a header.
4. It is `finished`, and may be forgotten, when no message of it may have to be repeated.
5. A redirect (3xx) is not followed: a trunk shall not choose whom we call and pay for.

Source: RFC 3261, sections 9, 13, 15 and 22; RFC 3262 PRACK.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from dastak.voice.sip.call_events import Answered, CallEvent, EarlyMedia, Ended, Ringing, Trying
from dastak.voice.sip.call_outcomes import CallOutcome, call_outcome
from dastak.voice.sip.sip_asking import Asking, Callee, OwnRequests
from dastak.voice.sip.sip_dialog import CallParty, Dialog, Packet, SipTrunk
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_message import CSEQ_MAX, Address, SipMessage
from dastak.voice.sip.sip_served import PeerRequests

CHALLENGES_MAX: Final = 2
# One INVITE may be answered by several phones; more are left to their own time-outs.
FORKS_MAX: Final = 8
# How many kinds of progress are told; a trunk may repeat itself without end.
NEWS_MAX: Final = 32
# How many provisional answers are acknowledged by PRACK, each of which is repeated for half a minute.
PRACKS_MAX: Final = 32
# How long the answer to a CANCEL is waited for before the call counts as over.
CANCEL_PATIENCE_S: Final = 8.0


class CallState(StrEnum):
    """Where a call stands."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    ABANDONED = "abandoned"  # called off before anything was heard: there is nothing to cancel yet
    CANCELING = "canceling"
    ANSWERED = "answered"
    HANGING_UP = "hanging_up"
    OVER = "over"


class CallInput(StrEnum):
    """What can happen to a call."""

    PROVISIONAL = "provisional"
    CHALLENGED = "challenged"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SILENCE = "silence"
    CALLED_OFF = "called_off"
    PEER_HUNG_UP = "peer_hung_up"
    BYE_ENDED = "bye_ended"


_RSEQ: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_S, _I = CallState, CallInput

CALL_TRANSITIONS: Final[Mapping[tuple[CallState, CallInput], CallState]] = {
    (_S.CALLING, _I.PROVISIONAL): _S.PROCEEDING,
    (_S.CALLING, _I.CHALLENGED): _S.CALLING,
    (_S.CALLING, _I.ACCEPTED): _S.ANSWERED,
    (_S.CALLING, _I.REFUSED): _S.OVER,
    (_S.CALLING, _I.SILENCE): _S.OVER,
    (_S.CALLING, _I.CALLED_OFF): _S.ABANDONED,
    (_S.PROCEEDING, _I.PROVISIONAL): _S.PROCEEDING,
    (_S.PROCEEDING, _I.CHALLENGED): _S.CALLING,
    (_S.PROCEEDING, _I.ACCEPTED): _S.ANSWERED,
    (_S.PROCEEDING, _I.REFUSED): _S.OVER,
    (_S.PROCEEDING, _I.SILENCE): _S.OVER,
    (_S.PROCEEDING, _I.CALLED_OFF): _S.CANCELING,
    (_S.ABANDONED, _I.PROVISIONAL): _S.CANCELING,
    (_S.ABANDONED, _I.ACCEPTED): _S.HANGING_UP,
    (_S.ABANDONED, _I.REFUSED): _S.OVER,
    (_S.ABANDONED, _I.SILENCE): _S.OVER,
    (_S.CANCELING, _I.ACCEPTED): _S.HANGING_UP,
    (_S.CANCELING, _I.REFUSED): _S.OVER,
    (_S.CANCELING, _I.SILENCE): _S.OVER,
    (_S.ANSWERED, _I.CALLED_OFF): _S.HANGING_UP,
    (_S.ANSWERED, _I.PEER_HUNG_UP): _S.OVER,
    (_S.ANSWERED, _I.SILENCE): _S.OVER,
    (_S.HANGING_UP, _I.BYE_ENDED): _S.OVER,
    (_S.HANGING_UP, _I.SILENCE): _S.OVER,
}

_TRYING: Final = frozenset({_S.CALLING, _S.PROCEEDING})


class _Alarm(StrEnum):
    RING = "ring"
    PATIENCE = "patience"
    TALK = "talk"
    FORGET = "forget"


class _Leg:
    """One phone that answered our INVITE, provisionally or for good."""

    __slots__ = ("ack", "body", "dialog", "rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.ack: Packet | None = None
        self.body = b""
        self.rseq = 0


class SipCall:
    """The state of one call; its INVITE is sent at once.

    Args:
        trunk: How we look to the trunk.
        callee: Whom to call.
        digest: The proofs of the trunk, shared by its calls.
        draw: Gives a new unguessable token at each call.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        packets: What is to be sent; the shell takes it away.
        events: What has happened; the shell takes it away.
        last_words: What ends the call when this process is gone and another one says it from the same port: a
            CANCEL once it can be canceled, a BYE once it is answered. None over TCP and TLS, where the
            connection is gone as well.
        noted: The deadline that whoever watches the clock knows of.

    Raises:
        MalformedSip: A number or name would end its line.
    """

    def __init__(
        self, trunk: SipTrunk, callee: Callee, digest: DigestClient, draw: Callable[[], str], *, now: float
    ) -> None:
        self.state = CallState.CALLING
        self.packets: list[Packet] = []
        self.events: list[CallEvent] = []
        self.last_words: Packet | None = None
        self.noted: float | None = None
        local = NameAddr(callee.caller.uri, callee.caller.display, {"tag": draw()})
        self.party = CallParty(trunk=trunk, call_id=draw(), local=local, digest=digest, draw=draw)
        self._trunk = trunk
        self._callee = callee
        rings_until = min(now + trunk.ring_s, callee.rings_until)
        self._own = OwnRequests(self.party, callee, self.packets.append, rings_until=rings_until)
        self._served = PeerRequests(self.party, self.packets.append, self.events.append)
        self._legs: dict[str, _Leg] = {}
        self._talking: _Leg | None = None
        self._alarms: dict[_Alarm, float] = {_Alarm.RING: rings_until}
        self._challenges = self._pracks = 0
        self._told: set[tuple[int, str]] = set()
        self._wished: CallOutcome | None = None
        self._ended = False
        self._own.invite(now)

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due, None when nothing is waited for."""
        times = (self._own.deadline, self._served.deadline, *self._alarms.values())
        return min((time for time in times if time is not None), default=None)

    @property
    def finished(self) -> bool:
        """Whether it has ended and nothing of it may have to be repeated."""
        return self.state is CallState.OVER and self._own.idle and self._served.idle

    def receive(self, message: SipMessage, source: Address, now: float) -> None:
        """Take a message with our Call-ID."""
        if not message.status:
            self._take_request(message, source, now)
        elif (asking := self._own.take(message, now)) is not None:
            if asking.method == "INVITE":
                self._take_answer(asking, message, now)
            else:
                self._take_other(asking, message, now)

    def hang_up(self, outcome: CallOutcome, now: float) -> None:
        """End the call in the way its state allows; once it is ending this does nothing.

        Args:
            outcome: What `Ended` shall say; where the trunk was never heard of, no answer is unreachable.
            now: The monotonic time.
        """
        if not self._move(CallInput.CALLED_OFF):
            return
        self._wished = outcome
        self._alarms.clear()
        if self.state is CallState.ABANDONED:
            self._end(CallOutcome.UNREACHABLE if outcome is CallOutcome.NO_ANSWER else outcome)
        elif self.state is CallState.CANCELING:
            self._cancel(now)
        elif self._talking is not None:
            self._own.ask("BYE", self._talking.dialog, now=now)
            self._end(outcome, 200)

    def answer_offer(self, sdp: bytes | None, now: float) -> None:
        """Answer what `Offered` told of; None refuses it."""
        self._served.answer_offer(sdp, now)

    def lose(self) -> None:
        """Learn that the connection to the trunk is lost: nothing can be said or heard any more."""
        self._own.forget()
        self._served.forget()
        self._alarms.clear()
        if self._move(CallInput.SILENCE):
            self._end(self._wished or CallOutcome.TRUNK_DOWN, 0 if self._wished else 503)

    def tick(self, now: float) -> None:
        """Do what time asks for."""
        for asking in self._own.tick(now):
            if asking.method == "BYE":
                self._move(CallInput.BYE_ENDED)
            elif asking.method == "INVITE" and self._move(CallInput.SILENCE):
                self._alarms.clear()
                self._end(CallOutcome.UNREACHABLE)
        if self._served.tick(now):
            self.hang_up(CallOutcome.FAILED, now)
        for alarm in [alarm for alarm, at in self._alarms.items() if at <= now]:
            if self._alarms.pop(alarm, None) is not None:
                self._ring_out(alarm, now)

    def _ring_out(self, alarm: _Alarm, now: float) -> None:
        match alarm:
            case _Alarm.RING:
                self.hang_up(CallOutcome.NO_ANSWER, now)
            case _Alarm.TALK:
                self.hang_up(CallOutcome.MAX_DURATION, now)
            case _Alarm.PATIENCE:
                if self._move(CallInput.SILENCE):
                    self._end(self._wished or CallOutcome.CANCELED)
            case _Alarm.FORGET:
                self._own.forget(but="BYE")

    def _take_answer(self, invite: Asking, response: SipMessage, now: float) -> None:
        if response.status < 200:
            self._progress(invite, response, now)
        elif response.status < 300:
            self._accepted(invite, response, now)
        else:
            self._refused(response, now)

    def _progress(self, invite: Asking, response: SipMessage, now: float) -> None:
        was = self.state
        self._move(CallInput.PROVISIONAL)
        if was is CallState.ABANDONED:
            self._cancel(now)
        elif was is CallState.CALLING and not self._trunk.reliable:
            self.last_words = self._own.cancel_packet()
        leg = self._leg(invite, response) if response.to_tag else None
        if leg is not None:
            self._acknowledge_progress(leg, invite, response, now)
            leg.body = response.body or leg.body
        news = (response.status, response.to_tag)
        if self.state is CallState.PROCEEDING and news not in self._told and len(self._told) < NEWS_MAX:
            self._told.add(news)
            self._tell_progress(response)

    def _tell_progress(self, response: SipMessage) -> None:
        if response.status == 100:
            self.events.append(Trying())
        elif response.status in {180, 181, 182}:
            self.events.append(Ringing(response.status))
        if response.status == 183 or response.body:
            self.events.append(EarlyMedia(response.body))

    def _acknowledge_progress(self, leg: _Leg, invite: Asking, response: SipMessage, now: float) -> None:
        """Say PRACK to a provisional that asks for it, but once and in order."""
        rseq = response.first("RSeq")
        if "100rel" not in response.tokens("Require") or not _RSEQ.fullmatch(rseq):
            return
        number = int(rseq)
        if 0 < number <= CSEQ_MAX and leg.rseq in {0, number - 1} and self._pracks < PRACKS_MAX:
            leg.rseq = number
            self._pracks += 1
            self._own.ask("PRACK", leg.dialog, [("RAck", f"{number} {invite.cseq} INVITE")], now=now)

    def _accepted(self, invite: Asking, response: SipMessage, now: float) -> None:
        leg = self._leg(invite, response)
        if leg is None:
            return
        if leg.ack is not None:
            self.packets.append(leg.ack)
            return
        leg.dialog.confirm(response)
        leg.ack = leg.dialog.request(
            "ACK", cseq=invite.cseq, branch=self.party.new_branch(), proofs=invite.proofs
        )
        self.packets.append(leg.ack)
        if self._move(CallInput.ACCEPTED) and self.state is CallState.ANSWERED:
            self._talking = leg
            self._alarms = {_Alarm.TALK: now + self._trunk.talk_s_max}
            self._foresee_bye(leg.dialog)
            self.events.append(Answered(response.body or leg.body))
            return
        self._own.ask("BYE", leg.dialog, now=now)
        if self.state is CallState.HANGING_UP:
            self._alarms.pop(_Alarm.PATIENCE, None)
            self._end(self._wished or CallOutcome.CANCELED, response.status)

    def _refused(self, response: SipMessage, now: float) -> None:
        if self.state in _TRYING and self._challenges < CHALLENGES_MAX and self._mends(response):
            self._challenges += 1
            self._move(CallInput.CHALLENGED)
            self._own.invite(now)
            return
        if self._move(CallInput.REFUSED):
            self._alarms.clear()
            outcome = self._wished or call_outcome(response.status, response.cause, self._trunk.overrides)
            self._end(outcome, response.status, response.cause)

    def _mends(self, refusal: SipMessage) -> bool:
        """Say whether the INVITE can be said again as the refusal wants it."""
        if refusal.status in {401, 407}:
            return self.party.digest.challenged(refusal)
        return refusal.status == 422 and self._own.lengthen(refusal)

    def _take_other(self, asking: Asking, response: SipMessage, now: float) -> None:
        """Take an answer to PRACK, CANCEL or BYE: only a challenge and the end of a BYE mean anything."""
        if response.status < 200 or asking.dialog is None:
            return
        challenged = response.status in {401, 407} and not asking.anew
        if challenged and self.party.digest.challenged(response):
            self._own.ask(asking.method, asking.dialog, asking.headers, anew=True, now=now)
        elif asking.method == "BYE":
            self._move(CallInput.BYE_ENDED)

    def _take_request(self, request: SipMessage, source: Address, now: float) -> None:
        leg = self._legs.get(request.from_tag) if request.to_tag == self.party.local.tag else None
        if request.method == "ACK":
            self._served.acknowledge(request, now)
            return
        talking = leg is not None and leg is self._talking and self.state is CallState.ANSWERED
        dialog = leg.dialog if leg else None
        target = dialog.target if dialog else ""
        hung_up = self._served.take(request, source, dialog, talking=talking, now=now)
        if dialog is not None and talking and dialog.target != target:
            self._foresee_bye(dialog)
        if hung_up and talking and self._move(CallInput.PEER_HUNG_UP):
            self._alarms.clear()
            self._end(CallOutcome.REMOTE_HANGUP, 200, request.cause)

    def _leg(self, invite: Asking, response: SipMessage) -> _Leg | None:
        leg = self._legs.get(response.to_tag)
        if leg is None and len(self._legs) < FORKS_MAX:
            dialog = Dialog(self.party, response, asked_uri=self._callee.uri, cseq=invite.cseq)
            leg = self._legs[response.to_tag] = _Leg(dialog)
        return leg

    def _cancel(self, now: float) -> None:
        self._own.cancel(now)
        self._alarms[_Alarm.PATIENCE] = now + CANCEL_PATIENCE_S
        self._alarms[_Alarm.FORGET] = now + 64 * self._trunk.timing.t1_s

    def _foresee_bye(self, dialog: Dialog) -> None:
        if not self._trunk.reliable:
            self.last_words = dialog.farewell()

    def _move(self, happened: CallInput) -> bool:
        """Change the state by the table; False when nothing stands there."""
        to = CALL_TRANSITIONS.get((self.state, happened))
        if to is not None:
            self.state = to
        return to is not None

    def _end(self, outcome: CallOutcome, status: int = 0, cause: int | None = None) -> None:
        if not self._ended:
            self._ended = True
            self.last_words = None
            self.events.append(Ended(outcome, status, cause))
