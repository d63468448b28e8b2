"""What a call tells: one record for each thing that can happen between the INVITE and its end."""

from typing import TypeAlias

import msgspec

from dastak.voice.sip.call_outcomes import CallOutcome


class Trying(msgspec.Struct, frozen=True):
    """The trunk has the call; no phone rings yet."""


class Ringing(msgspec.Struct, frozen=True):
    """The phone rings, is forwarded or queued: 180, 181 or 182."""

    status: int


class EarlyMedia(msgspec.Struct, frozen=True):
    """The network plays something before the answer. It is no answer, and nothing is played into it."""

    sdp: bytes


class Answered(msgspec.Struct, frozen=True):
    """Somebody or something answered; `sdp` is its answer to our offer, empty where it gave none."""

    sdp: bytes


class Key(msgspec.Struct, frozen=True):
    """A key was pressed, told by SIP INFO."""

    digit: str


class Offered(msgspec.Struct, frozen=True):
    """The peer wants other media, such as hold: say `answer_offer`. An empty one asks for our offer."""

    sdp: bytes


class Settled(msgspec.Struct, frozen=True):
    """The peer's answer to the offer that an empty `Offered` asked for."""

    sdp: bytes


class Ended(msgspec.Struct, frozen=True):
    """The call is over; nothing else follows.

    Attributes:
        status: The final SIP status; 0 where there was none, 200 for a call that was answered.
        cause: That of Q.850, where the peer gave one.
    """

    outcome: CallOutcome
    status: int = 0
    cause: int | None = None


CallEvent: TypeAlias = Trying | Ringing | EarlyMedia | Answered | Key | Offered | Settled | Ended
