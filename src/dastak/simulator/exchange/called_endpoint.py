"""All calls to the exchange without I/O: octets to the call they belong to, and what belongs to none.

1. Junk is counted and never answered.
2. An INVITE becomes a call once it is known to be for a phone, proved where a password is set, and room for.
3. Refusals before that keep no state: a repeated INVITE is refused again.

Source: RFC 3261, sections 8.2 and 12.2.2.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from dastak.core.errors import InvalidMsisdn
from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import CallScript
from dastak.simulator.exchange.called_call import ALLOW, GONE, SDP, CalledCall
from dastak.simulator.exchange.called_dialog import Hop, Packet, Place, answer_from
from dastak.simulator.exchange.called_states import CalledState
from dastak.simulator.exchange.digest_gate import DigestGate
from dastak.simulator.exchange.session_timer import INTERVAL_S_MIN, too_short
from dastak.voice.sip.sip_headers import MalformedSip, read_uri
from dastak.voice.sip.sip_message import MESSAGE_OCTETS_MIN, Header, SipMessage, parse
from dastak.voice.sip.sip_transactions import Timing

CALLS_MAX: Final = 100
# Calls that are over, of which something may have to be said again.
ENDING_MAX: Final = 1_000
_SUPPORTED: Final = frozenset({"timer"})
_TRY_AGAIN_S: Final = 5

Refused = tuple[int, str, tuple[Header, ...]]


class CalledEndpoint:
    """The calls of one exchange.

    Args:
        look_up: Returns whose number is dialled and what the call meets, asked once for each call; raises
            `InvalidMsisdn` for what is no number.
        place_of: Returns where we are, as a peer at an address sees it.
        gate: What callers have to prove; None lets everybody call.
        draw: Gives a new unguessable token at each call.
        timing: The times of SIP.

    Attributes:
        packets: What is to be sent; the shell takes it away.
        arrived: Calls that are new, each with the number that is called; the shell takes them away.
        dropped: How many messages could not be read.
    """

    def __init__(
        self,
        look_up: Callable[[str], tuple[Msisdn, CallScript]],
        place_of: Callable[[str], Place],
        gate: DigestGate | None,
        draw: Callable[[], str],
        *,
        timing: Timing,
    ) -> None:
        self.packets: list[Packet] = []
        self.arrived: list[tuple[CalledCall, Msisdn]] = []
        self.dropped = 0
        self._look_up, self._place_of, self._gate = look_up, place_of, gate
        self._draw, self._timing = draw, timing
        # By Call-ID and the caller's tag.
        self._calls: dict[tuple[str, str], CalledCall] = {}

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due."""
        times = (call.deadline for call in self._calls.values())
        return min((time for time in times if time is not None), default=None)

    @property
    def under_way(self) -> int:
        """How many calls are not over."""
        return sum(call.state is not CalledState.OVER for call in self._calls.values())

    @property
    def kept(self) -> int:
        """How many calls are kept, those that only wait for repeats included."""
        return len(self._calls)

    def receive(self, octets: bytes, hop: Hop, now: float) -> None:
        """Take one message, whatever it may be."""
        if len(octets) < MESSAGE_OCTETS_MIN:
            return  # keep-alives
        try:
            message = parse(octets)
            call = self._calls.get((message.call_id, message.to_tag if message.status else message.from_tag))
            if call is not None and not _begins_anew(message, call):
                call.receive(message, hop, now)
                self.touched(call)
            elif not message.status and message.method != "ACK":
                self._take_other(message, hop, now)
        except MalformedSip:
            self.dropped += 1

    def tick(self, now: float) -> None:
        """Do what is due in every call."""
        for call in list(self._calls.values()):
            call.tick(now)
            self.touched(call)

    def touched(self, call: CalledCall) -> None:
        """Collect what a call has to say after something was done with it."""
        self.packets += call.packets
        call.packets.clear()
        if call.finished:
            self._calls.pop((call.invite.call_id, call.invite.from_tag), None)

    def _take_other(self, request: SipMessage, hop: Hop, now: float) -> None:
        """Take a request that belongs to no call."""
        if request.to_tag or request.method == "CANCEL":
            self._answer(request, hop, (*GONE, ()))
        elif request.method == "OPTIONS":
            self._answer(request, hop, (200, "OK", (ALLOW, ("Accept", SDP[1]))))
        elif request.method != "INVITE":
            self._answer(request, hop, (405, "Method Not Allowed", (ALLOW,)))
        elif (refused := self._refusal(request)) is not None:
            self._answer(request, hop, refused)
        else:
            self._begin(request, hop, now)

    def _refusal(self, invite: SipMessage) -> Refused | None:
        """Return why an INVITE does not become a call."""
        unknown = invite.tokens("Require") - _SUPPORTED
        known = self._calls.get((invite.call_id, invite.from_tag))
        if known is not None and known.state is not CalledState.OVER:
            return 482, "Loop Detected", ()
        if unknown:
            return 420, "Bad Extension", (("Unsupported", ", ".join(sorted(unknown))),)
        if too_short(invite):
            return 422, "Session Interval Too Small", (("Min-SE", str(INTERVAL_S_MIN)),)
        if self._gate is not None and not self._gate.admits(invite):
            return 407, "Proxy Authentication Required", (self._gate.challenge(invite),)
        if self.under_way >= CALLS_MAX or len(self._calls) >= ENDING_MAX:
            return 503, "Service Unavailable", (("Retry-After", str(_TRY_AGAIN_S)),)
        return None

    def _begin(self, invite: SipMessage, hop: Hop, now: float) -> None:
        try:
            msisdn, script = self._look_up(unquote(read_uri(invite.uri).user.partition(";")[0]))
        except (InvalidMsisdn, MalformedSip):
            self._answer(invite, hop, (404, "Not Found", (("Reason", "Q.850;cause=1"),)))
            return
        place = self._place_of(hop.address[0])
        call = CalledCall(invite, hop, place, script, self._draw, timing=self._timing, now=now)
        self._calls[invite.call_id, invite.from_tag] = call
        self.arrived.append((call, msisdn))

    def _answer(self, request: SipMessage, hop: Hop, said: Refused) -> None:
        status, reason, headers = said
        self.packets.append(answer_from(request, hop, status, reason, to_tag=self._draw(), headers=headers))


def _begins_anew(message: SipMessage, call: CalledCall) -> bool:
    """Say whether this is another INVITE than the one that began a call, outside of its dialog."""
    return (
        message.method == "INVITE"
        and not message.status
        and not message.to_tag
        and message.branch != call.invite.branch
    )
