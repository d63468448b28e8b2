"""A call of ours on a clock that is moved by hand, with a peer that says what the test has it say."""

import itertools

from dastak.voice.sip.call_events import CallEvent
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import SipCall
from dastak.voice.sip.sip_dialog import Packet, SipTrunk
from dastak.voice.sip.sip_digest import Credentials, DigestClient
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_message import Header, SipMessage, parse
from tests.support import sip_samples

PEER = ("127.0.0.1", 5066)
TRUNK = SipTrunk(sent_by="127.0.0.1:5070", contact="sip:dastak@127.0.0.1:5070")
CALLEE = Callee(
    uri="sip:+919876543210@trunk.example",
    caller=NameAddr("sip:+911600100200@trunk.example", "Shop"),
    offer=b"our offer",
)


class Conversation:
    """One call, everything it said, and the time."""

    def __init__(
        self, trunk: SipTrunk = TRUNK, *, callee: Callee = CALLEE, digest: DigestClient | None = None
    ) -> None:
        numbers = itertools.count()
        self.draw = lambda: f"tok{next(numbers)}"
        self.now = 0.0
        self.digest = digest or DigestClient(Credentials("shop", "secret"), self.draw)
        self.call = SipCall(trunk, callee, self.digest, self.draw, now=0.0)
        self.events: list[CallEvent] = []
        (packet,) = self.packets()
        self.invite = parse(packet.octets)
        assert packet.to is None

    def packets(self) -> list[Packet]:
        """Take away what the call has to say."""
        packets = list(self.call.packets)
        self.call.packets.clear()
        return packets

    def said(self) -> list[SipMessage]:
        """Take away what the call has to say, read."""
        return [parse(packet.octets) for packet in self.packets()]

    def news(self) -> list[CallEvent]:
        """Take away what the call has to tell."""
        events = list(self.call.events)
        self.call.events.clear()
        return events

    def hear(self, octets: bytes) -> list[SipMessage]:
        """Have the call receive a message; return what it says to that."""
        self.call.receive(parse(octets), PEER, self.now)
        return self.said()

    def reply(
        self,
        status: int,
        request: SipMessage | None = None,
        *,
        tag: str = "theirs",
        headers: tuple[Header, ...] = (),
        body: bytes = b"",
        contact: str = "<sip:callee@127.0.0.1:5066>",
    ) -> list[SipMessage]:
        """Answer the INVITE, or another request of ours."""
        octets = sip_samples.reply(
            request or self.invite, status, tag=tag, headers=headers, body=body, contact=contact
        )
        return self.hear(octets)

    def ask(self, method: str, **how: object) -> list[SipMessage]:
        """Ask something in the dialog."""
        return self.hear(sip_samples.ask(self.invite, method, **how))  # type: ignore[arg-type]

    def answered(self, **how: object) -> SipMessage:
        """Answer the call and return the ACK."""
        (ack,) = self.reply(200, **({"body": b"their answer"} | how))  # type: ignore[arg-type]
        self.news()
        return ack

    def wait(self, until: float) -> list[SipMessage]:
        """Move the clock from deadline to deadline; return what the call says meanwhile."""
        said: list[SipMessage] = []
        while (deadline := self.call.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.call.tick(self.now)
            said += self.said()
        self.now = until
        return said
