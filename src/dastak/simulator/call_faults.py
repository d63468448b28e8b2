"""What goes wrong in a call to a virtual phone: as data, and the script that each call is given.

What a script does follows from the fault and one seed alone; how calls overlap does not matter to it.
"""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Annotated, Final, NamedTuple

import msgspec

from dastak.simulator.delays import Delay, Seconds, Share, draw_delay

FORKS_MAX: Final = 4
LOST_MAX: Final = 20
_SEED_BITS: Final = 64


class CallFate(StrEnum):
    """What a phone does when it is called."""

    RING = "ring"  # until somebody answers
    ANSWER = "answer"  # by itself
    VOICEMAIL = "voicemail"  # answers by itself with a tone, and its greeting may play keys
    NO_ANSWER = "no_answer"  # rings, until the network ends it
    DECLINE = "decline"
    BUSY = "busy"
    BUSY_EVERYWHERE = "busy_everywhere"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    CONGESTION = "congestion"
    REDIRECT = "redirect"


class Refusal(NamedTuple):
    """How the exchange says that a call will not be answered: SIP status, its words, the cause of Q.850."""

    status: int
    reason: str
    cause: int | None

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


# Source: RFC 3261, section 21; ITU-T Q.850.
REFUSALS: Final[Mapping[CallFate, Refusal]] = {
    CallFate.NO_ANSWER: Refusal(480, "Temporarily Unavailable", 19),
    CallFate.DECLINE: Refusal(603, "Decline", 21),
    CallFate.BUSY: Refusal(486, "Busy Here", 17),
    CallFate.BUSY_EVERYWHERE: Refusal(600, "Busy Everywhere", 17),
    CallFate.UNREACHABLE: Refusal(480, "Temporarily Unavailable", 20),
    CallFate.UNKNOWN: Refusal(404, "Not Found", 1),
    CallFate.CONGESTION: Refusal(503, "Service Unavailable", 34),
    CallFate.REDIRECT: Refusal(302, "Moved Temporarily", None),
}
# These are let ring first.
RINGING_FATES: Final = frozenset(
    {CallFate.RING, CallFate.ANSWER, CallFate.VOICEMAIL, CallFate.NO_ANSWER, CallFate.DECLINE}
)
# What a phone that does something by itself waits before it does; the others do it at once.
_AFTER_S: Final[Mapping[CallFate, float]] = {
    CallFate.ANSWER: 0.3,
    CallFate.VOICEMAIL: 1.0,
    CallFate.DECLINE: 0.3,
    CallFate.NO_ANSWER: 15.0,
}


class CallFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How calls to some numbers go. The default rings until somebody answers.

    Attributes:
        does: What the phone or its network does.
        after: How long it rings, or the caller waits, before that; None is what is usual.
        keys: What a phone presses that answers by itself, one after the other.
        hang_up_s: When a phone that was answered hangs up; None leaves it to the caller.
        slow: How long the exchange says nothing at all to an INVITE.
        early_media: The network plays a ringing tone before the answer, by a 183.
        late_answer: The phone answers at the moment the caller gives up, so that 200 and CANCEL cross.
        forks: So many phones answer the one call.
        lost_acks: So many ACKs get lost, so that the 200 is said again.
        lost_byes: So many of the caller's BYEs get lost.
        loss_to_phone: The share of sound that does not reach the phone; 1 makes it deaf.
        loss_from_phone: The share of sound that does not leave it, keys included; 1 makes it mute.
    """

    does: CallFate = CallFate.RING
    after: Delay | None = None
    keys: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]{0,40}$")] = ""
    hang_up_s: Seconds | None = None
    slow: Delay = 0.0
    early_media: bool = False
    late_answer: bool = False
    forks: Annotated[int, msgspec.Meta(ge=1, le=FORKS_MAX)] = 1
    lost_acks: Annotated[int, msgspec.Meta(ge=0, le=LOST_MAX)] = 0
    lost_byes: Annotated[int, msgspec.Meta(ge=0, le=LOST_MAX)] = 0
    loss_to_phone: Share = 0.0
    loss_from_phone: Share = 0.0


class CallScript(msgspec.Struct, frozen=True, kw_only=True):
    """What one call meets: its fault, with what was drawn.

    Attributes:
        seed: Of the call's own chance, which loses packets.
    """

    fault: CallFault = CallFault()
    slow_s: float = 0.0
    after_s: float = 0.0
    seed: int = 0

    @property
    def refusal(self) -> Refusal | None:
        """How it ends unless somebody answers or gives up before; None where nobody ends it."""
        return REFUSALS.get(self.fault.does)

    @property
    def rings(self) -> bool:
        """Whether the phone makes a sound."""
        return self.fault.does in RINGING_FATES

    @property
    def answers(self) -> bool:
        """Whether the phone answers by itself."""
        return self.fault.does in {CallFate.ANSWER, CallFate.VOICEMAIL}


def draw_call(fault: CallFault, chance: Random) -> CallScript:
    """Draw what one fault does to one call."""
    usual_s = _AFTER_S.get(fault.does, 0.0)
    return CallScript(
        fault=fault,
        slow_s=draw_delay(fault.slow, chance),
        after_s=usual_s if fault.after is None else draw_delay(fault.after, chance),
        seed=chance.getrandbits(_SEED_BITS),
    )
