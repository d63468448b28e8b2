"""One call over a line as the rest of the program sees it, wherever the trunk takes it."""

import asyncio
from typing import Final, NamedTuple, Protocol

from dastak.voice.sip.call_events import CallEvent
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import SipCall
from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_sockets import is_address

EVENTS_MAX: Final = 256
# Kept for each call. A BYE says by which way the answer came, and a hostile trunk may record a long one.
LAST_WORDS_OCTETS_MAX: Final = 4096


class LastWords(NamedTuple):
    """A datagram that ends a call when the process that speaks it is gone, and another one says it.

    Attributes:
        octets: A CANCEL or a BYE.
        here: From where the call was spoken.
        there: Where it goes; where that is a name, which nobody has time to look up, it goes to the trunk.
        trunk: Where the INVITE went.
    """

    octets: bytes
    here: Address
    there: Address
    trunk: Address

    @property
    def to(self) -> Address:
        """Where it is sent."""
        return self.there if is_address(self.there[0]) else self.trunk


class Flushes(Protocol):
    """What a call is over: the line."""

    @property
    def local(self) -> Address:
        """Return where we speak from."""

    def now(self) -> float:
        """Return the monotonic time."""

    def flush(self, call: SipCall) -> None:
        """Send and tell what a call has to say."""


class LineCall:
    """One call as the rest of the program sees it: its events, and three things to say.

    Attributes:
        events: What happens; `Ended` is the last.
        callee: Whom it rings.
        tried: Where it was tried.
        settled: Whether it stays where it is: it rang there, or is being hung up.
    """

    def __init__(self, line: Flushes, callee: Callee, call: SipCall) -> None:
        self.events: asyncio.Queue[CallEvent] = asyncio.Queue(EVENTS_MAX)
        self.callee = callee
        self.tried: set[Address | None] = {call.party.trunk.target}
        self.settled = False
        self._line = line
        self._call = call

    def goes_on(self, call: SipCall) -> None:
        """Go on elsewhere."""
        self._call = call
        self.tried.add(call.party.trunk.target)

    @property
    def last_words(self) -> LastWords | None:
        """Return what ends it when this process is gone; None is nothing."""
        packet, trunk = self._call.last_words, self._call.party.trunk.target
        if packet is None or trunk is None or len(packet.octets) > LAST_WORDS_OCTETS_MAX:
            return None
        return LastWords(packet.octets, self._line.local, packet.to or trunk, trunk)

    def hang_up(self, outcome: CallOutcome) -> None:
        """End it, whatever state it is in."""
        self.settled = True
        self._call.hang_up(outcome, self._line.now())
        self._line.flush(self._call)

    def answer_offer(self, sdp: bytes | None) -> None:
        """Answer what `Offered` told of; None refuses it."""
        self._call.answer_offer(sdp, self._line.now())
        self._line.flush(self._call)
