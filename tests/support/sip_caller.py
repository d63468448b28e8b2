"""Who calls a virtual phone, on a clock that is moved by hand: it says what the test has it say."""

import itertools
from collections.abc import Sequence

from dastak.simulator.call_faults import CallFault, CallScript
from dastak.simulator.exchange.called_call import CalledCall
from dastak.simulator.exchange.called_dialog import Hop, Packet, Place
from dastak.simulator.exchange.called_events import CalledEvent
from dastak.voice.sip.sip_message import Header, SipMessage, encode_request, encode_response, parse
from dastak.voice.sip.sip_transactions import Timing

HOP = Hop("UDP", ("127.0.0.1", 5070))
PLACE = Place("127.0.0.1", 5060)
NUMBER = "+919876543210"


def invite(
    *,
    number: str = NUMBER,
    branch: str = "z9hG4bKinvite",
    cseq: int = 1,
    call_id: str = "call1",
    headers: Sequence[Header] = (),
    body: bytes = b"an offer",
) -> bytes:
    """Write an INVITE."""
    return request(
        "INVITE", number=number, branch=branch, cseq=cseq, call_id=call_id, headers=headers, body=body
    )


def request(
    method: str,
    *,
    number: str = NUMBER,
    branch: str = "",
    cseq: int = 2,
    call_id: str = "call1",
    tag: str = "",
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> bytes:
    """Write a request of who calls; with the tag of a phone within its dialog."""
    to = f"<sip:{number}@exchange.example>"
    return encode_request(
        method,
        f"sip:{number}@127.0.0.1:5060",
        [
            ("Via", f"SIP/2.0/UDP 127.0.0.1:5070;branch={branch or f'z9hG4bK{method}{cseq}'};rport"),
            ("From", '"Shop" <sip:+911600100200@shop.example>;tag=caller'),
            ("To", f"{to};tag={tag}" if tag else to),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", "<sip:shop@127.0.0.1:5071>"),
            *headers,
        ],
        body,
    )


class SipCaller:
    """One call of it, everything the phone said, and the time."""

    def __init__(
        self,
        fault: CallFault | None = None,
        *,
        hop: Hop = HOP,
        timing: Timing | None = None,
        first: bytes = b"",
    ) -> None:
        numbers = itertools.count()
        self.now = 0.0
        self.invite = parse(first or invite())
        self.call = CalledCall(
            self.invite,
            hop,
            PLACE,
            CallScript(fault=fault or CallFault()),
            lambda: f"tok{next(numbers)}",
            timing=timing or Timing(),
            now=0.0,
        )

    def packets(self) -> list[Packet]:
        """Take away what the phone has to say."""
        packets = list(self.call.packets)
        self.call.packets.clear()
        return packets

    def said(self) -> list[SipMessage]:
        """Take away what the phone has to say, read."""
        return [parse(packet.octets) for packet in self.packets()]

    def statuses(self) -> list[int]:
        """Take away what the phone has to say, and return the statuses."""
        return [message.status for message in self.said()]

    def news(self) -> list[CalledEvent]:
        """Take away what the call has to tell."""
        events = list(self.call.events)
        self.call.events.clear()
        return events

    def say(self, octets: bytes) -> list[SipMessage]:
        """Say something; return what the phone says to that."""
        self.call.receive(parse(octets), self.call.hop, self.now)
        return self.said()

    def ask(self, method: str, *, tag: str = "tok0", **how: object) -> list[SipMessage]:
        """Ask something in the dialog."""
        return self.say(request(method, tag=tag, **how))  # type: ignore[arg-type]

    def ack(self, *, tag: str = "tok0", cseq: int = 1, body: bytes = b"") -> list[SipMessage]:
        """Acknowledge an answer."""
        return self.ask("ACK", tag=tag, cseq=cseq, body=body)

    def reply(self, of: SipMessage, status: int) -> list[SipMessage]:
        """Answer a request of the phone."""
        lines = [(name, of.first(name)) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        return self.say(encode_response(status, "Said So", lines))

    def answered(self) -> None:
        """Have the phone answer, and acknowledge that."""
        self.call.accept(b"an answer", self.now)
        self.ack()
        self.news()
        self.packets()

    def wait(self, until: float) -> list[SipMessage]:
        """Move the clock from deadline to deadline; return what the phone says meanwhile."""
        said: list[SipMessage] = []
        while (deadline := self.call.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.call.tick(self.now)
            said += self.said()
        self.now = until
        return said
