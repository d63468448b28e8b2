"""Whether a trunk is there, without I/O: OPTIONS at a steady pace, for UDP itself tells of no dead one.

1. Any final answer is a sign of life, a refusal too: what counts is that somebody answers.
2. A trunk that is silent is asked again soon, so that it is back soon; one that answers is asked seldom.

Source: RFC 3261, section 11.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from dastak.voice.sip.sip_dialog import CallParty, Packet, SipTrunk
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_message import CSEQ_MAX, SipMessage
from dastak.voice.sip.sip_transactions import Effect, State, Transaction, happened_by

# Between the end of one silence and the next question.
AGAIN_S: Final = 5.0


class Reached(StrEnum):
    """What is known of a trunk."""

    UNKNOWN = "unknown"
    YES = "yes"
    SILENT = "silent"


class Probe:
    """The questions to one trunk; the first is sent at once.

    Args:
        trunk: How we look to it.
        uri: Whom to ask, such as `sip:trunk.example`.
        every_s: From one question to the next.
        draw: Gives a new unguessable token at each call.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        state: What is known; it stays while the next question is under way.
        status: The newest final SIP status, 0 before any.
        took_s: How long that answer took.
        silences: How many questions were not answered, all together.
        packets: What is to be sent; the shell takes it away.

    Raises:
        MalformedSip: The URI would end its line.
    """

    def __init__(
        self, trunk: SipTrunk, uri: str, every_s: float, draw: Callable[[], str], *, now: float
    ) -> None:
        self.state = Reached.UNKNOWN
        self.status = 0
        self.took_s = 0.0
        self.silences = 0
        self.packets: list[Packet] = []
        self._uri, self._every_s, self._draw = uri, every_s, draw
        self._cseq = 0
        self._asked_at = now
        self._again_at: float | None = None
        self._asking: tuple[str, Transaction] | None = None
        self.restart(trunk, now)

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due."""
        times = (self._again_at, self._asking[1].deadline if self._asking else None)
        return min((time for time in times if time is not None), default=None)

    def restart(self, trunk: SipTrunk, now: float) -> None:
        """Ask at once: there is another connection, or another place to ask."""
        local = NameAddr(self._uri, "", {"tag": self._draw()})
        digest = DigestClient(None, self._draw)
        self.party = CallParty(trunk=trunk, call_id=self._draw(), local=local, digest=digest, draw=self._draw)
        self._ask(now)

    def hurry(self, now: float) -> None:
        """Ask at once unless a question is under way: a call was not answered."""
        if self._asking is None or self._asking[1].state is State.ASKING_COMPLETED:
            self._ask(now)

    def pause(self) -> None:
        """Ask nothing until `restart`: there is no connection."""
        self._asking = self._again_at = None

    def receive(self, message: SipMessage, now: float) -> None:
        """Take a message with our Call-ID."""
        if self._asking is None or not message.status or message.branch != self._asking[0]:
            return
        effect = self._asking[1].take(happened_by(message.status), now)
        if effect is Effect.TELL and message.status >= 200 and message.cseq == self._cseq:
            self.state, self.status = Reached.YES, message.status
            self.took_s = now - self._asked_at
            self._again_at = now + self._every_s

    def tick(self, now: float) -> None:
        """Repeat what is due, and ask anew in time."""
        if self._asking is not None:
            for effect in self._asking[1].tick(now):
                if effect is Effect.REPEAT:
                    self.packets.append(Packet(self._asking[1].octets, self.party.trunk.target))
                elif effect is Effect.TIMED_OUT:
                    self.state = Reached.SILENT
                    self.silences += 1
                    self._again_at = now + min(AGAIN_S, self._every_s)
            if self._asking[1].terminated:
                self._asking = None
        if self._again_at is not None and self._again_at <= now:
            self._ask(now)

    def _ask(self, now: float) -> None:
        self._again_at = None
        self._asked_at = now
        self._cseq = self._cseq % CSEQ_MAX + 1
        trunk = self.party.trunk
        branch = self.party.new_branch()
        octets = self.party.request(
            "OPTIONS",
            self._uri,
            to=str(NameAddr(self._uri)),
            cseq=self._cseq,
            branch=branch,
            routes=trunk.routes,
            headers=[("Contact", f"<{trunk.contact}>"), ("Accept", "application/sdp")],
        )
        transaction = Transaction(
            State.ASKING_TRYING, trunk.timing, reliable=trunk.reliable, octets=octets, now=now
        )
        self._asking = (branch, transaction)
        self.packets.append(Packet(octets, trunk.target))
