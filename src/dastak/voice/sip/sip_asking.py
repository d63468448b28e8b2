"""What we ask in one call, INVITE, CANCEL, PRACK and BYE, each until it is answered or given up.

1. The ACK to a refusal and a CANCEL go the very way of the INVITE: branch, number, URI and Route.
2. A challenged request is asked anew, with another number and branch.

Source: RFC 3261, sections 9.1, 13.2, 17.1 and 22; RFC 4028, section 7.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dastak.voice.sip.sip_dialog import ALLOW, SDP, CallParty, Dialog, Packet
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_message import Address, Header, SipMessage
from dastak.voice.sip.sip_transactions import Effect, State, Transaction, happened_by

# Our own CANCEL comes first: a proxy whose timer is faster says 408, as if the trunk were dead.
EXPIRES_LATER_S: Final = 2
_SECONDS: Final = re.compile(r"([0-9]{1,6})(?![0-9])", re.ASCII)


def expires_after(ring_s: float) -> Header:
    """Return what ends an invitation where it arrived, when nobody is left who could say CANCEL."""
    return "Expires", str(math.ceil(max(0.0, ring_s)) + EXPIRES_LATER_S)


class Callee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call and who calls.

    Attributes:
        uri: The Request-URI, such as `sip:+919876543210@trunk.example`.
        caller: From; without a tag.
        offer: Our SDP.
        rings_until: When it is given up at the latest, by the monotonic clock; the trunk may limit it more.
    """

    uri: str
    caller: NameAddr
    offer: bytes
    rings_until: float = math.inf


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request of ours under way.

    Attributes:
        to: Where its packets go.
        dialog: None for INVITE and CANCEL.
        headers: What it says beside what every request says.
        anew: Whether it was challenged once before.
        proofs: Those that the INVITE carried: its ACK repeats them.
    """

    method: str
    branch: str
    cseq: int
    to: Address | None
    transaction: Transaction
    dialog: Dialog | None = None
    headers: tuple[Header, ...] = ()
    anew: bool = False
    proofs: tuple[Header, ...] = ()


class OwnRequests:
    """Our requests of one call.

    Args:
        party: Our side of the call.
        callee: Whom to call.
        send: Where packets go.
        rings_until: When the call is given up if nobody answers, by the monotonic clock.
    """

    def __init__(
        self, party: CallParty, callee: Callee, send: Callable[[Packet], None], *, rings_until: float
    ) -> None:
        self._rings_until = rings_until
        self._party = party
        self._callee = callee
        self._send = send
        self._to = str(NameAddr(callee.uri))
        self._asking: dict[tuple[str, str], Asking] = {}
        self._cseq = 0
        self._session_s = party.trunk.session_s

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due."""
        times = (asking.transaction.deadline for asking in self._asking.values())
        return min((time for time in times if time is not None), default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._asking

    def invite(self, now: float) -> None:
        """Call, or call again with what a challenge asked for.

        Raises:
            MalformedSip: A number or name would end its line.
        """
        trunk = self._party.trunk
        self._cseq += 1
        branch = self._party.new_branch()
        proofs = self._party.digest.proofs("INVITE", self._callee.uri)
        expires = expires_after(self._rings_until - now)
        headers: list[Header] = [*proofs, ("Contact", f"<{trunk.contact}>"), ALLOW, expires]
        supported = [*(["100rel"] if trunk.prack else []), *(["timer"] if self._session_s else [])]
        if supported:
            headers.append(("Supported", ", ".join(supported)))
        if self._session_s:
            headers.append(("Session-Expires", f"{self._session_s};refresher=uas"))
        if trunk.assert_identity:
            caller = self._callee.caller
            headers.append(("P-Asserted-Identity", str(NameAddr(caller.uri, caller.display))))
        headers.append(SDP)
        octets = self._like_invite(
            "INVITE", branch, self._cseq, to=self._to, headers=headers, body=self._callee.offer
        )
        packet = Packet(octets, trunk.target)
        self._begin("INVITE", packet, branch=branch, cseq=self._cseq, proofs=tuple(proofs), now=now)

    def lengthen(self, refusal: SipMessage) -> bool:
        """Learn from a 422 how long a session has to be; False when it does not say."""
        said = _SECONDS.match(refusal.first("Min-SE"))
        if said is None or int(said[1]) <= self._session_s:
            return False
        self._session_s = int(said[1])
        return True

    def cancel(self, now: float) -> None:
        """Cancel the newest INVITE. The caller knows that it was answered provisionally."""
        invite, packet = self._newest_invite(), self.cancel_packet()
        self._begin("CANCEL", packet, branch=invite.branch, cseq=invite.cseq, now=now)

    def cancel_packet(self) -> Packet:
        """Write what cancels the newest INVITE, and say nothing yet."""
        invite = self._newest_invite()
        return Packet(self._like_invite("CANCEL", invite.branch, invite.cseq, to=self._to), invite.to)

    def ask(
        self,
        method: str,
        dialog: Dialog,
        headers: Sequence[Header] = (),
        *,
        anew: bool = False,
        now: float,
    ) -> None:
        """Ask something within a dialog."""
        cseq, branch = dialog.next_cseq(), self._party.new_branch()
        packet = dialog.request(method, cseq=cseq, branch=branch, headers=headers)
        self._begin(
            method,
            packet,
            branch=branch,
            cseq=cseq,
            dialog=dialog,
            headers=tuple(headers),
            anew=anew,
            now=now,
        )

    def take(self, response: SipMessage, now: float) -> Asking | None:
        """Take a response; return what it answers if the call is to be told of it, else None.

        A refused INVITE is acknowledged here, as often as the refusal comes.
        """
        asking = self._asking.get((response.branch, response.method))
        if asking is None or response.cseq != asking.cseq or response.from_tag != self._party.local.tag:
            return None
        effect = asking.transaction.take(happened_by(response.status), now)
        if effect is Effect.TELL_AND_ACKNOWLEDGE:
            asking.transaction.ack = self._like_invite(
                "ACK", asking.branch, asking.cseq, to=response.first("To")
            )
        if effect in {Effect.TELL_AND_ACKNOWLEDGE, Effect.ACKNOWLEDGE}:
            self._send(Packet(asking.transaction.ack, asking.to))
        return asking if effect in {Effect.TELL, Effect.TELL_AND_ACKNOWLEDGE} else None

    def tick(self, now: float) -> list[Asking]:
        """Repeat what is due; return what was not answered in time."""
        given_up: list[Asking] = []
        for key, asking in list(self._asking.items()):
            for effect in asking.transaction.tick(now):
                if effect is Effect.REPEAT:
                    self._send(Packet(asking.transaction.octets, asking.to))
                elif effect is Effect.TIMED_OUT:
                    given_up.append(asking)
            if asking.transaction.terminated:
                del self._asking[key]
        return given_up

    def forget(self, *, but: str = "") -> None:
        """Wait for no answer any more, but for those to one method."""
        self._asking = {key: asking for key, asking in self._asking.items() if asking.method == but}

    def _newest_invite(self) -> Asking:
        return next(one for one in self._asking.values() if one.method == "INVITE" and one.cseq == self._cseq)

    def _like_invite(
        self,
        method: str,
        branch: str,
        cseq: int,
        *,
        to: str,
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> bytes:
        return self._party.request(
            method,
            self._callee.uri,
            to=to,
            cseq=cseq,
            branch=branch,
            routes=self._party.trunk.routes,
            headers=headers,
            body=body,
        )

    def _begin(
        self,
        method: str,
        packet: Packet,
        *,
        branch: str,
        cseq: int,
        dialog: Dialog | None = None,
        headers: tuple[Header, ...] = (),
        anew: bool = False,
        proofs: tuple[Header, ...] = (),
        now: float,
    ) -> None:
        state = State.INVITE_CALLING if method == "INVITE" else State.ASKING_TRYING
        trunk = self._party.trunk
        self._asking[branch, method] = Asking(
            method=method,
            branch=branch,
            cseq=cseq,
            to=packet.to,
            transaction=Transaction(
                state, trunk.timing, reliable=trunk.reliable, octets=packet.octets, now=now
            ),
            dialog=dialog,
            headers=headers,
            anew=anew,
            proofs=proofs,
        )
        self._send(packet)
