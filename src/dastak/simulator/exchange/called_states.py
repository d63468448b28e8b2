"""Where a call to a phone stands, what can happen to it, and the one table that says what follows."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class CalledState(StrEnum):
    """Where a call stands."""

    INVITED = "invited"
    RINGING = "ringing"
    ANSWERED = "answered"
    TALKING = "talking"
    HANGING_UP = "hanging_up"
    OVER = "over"


class CalledInput(StrEnum):
    """What can happen to a call."""

    RINGS = "rings"
    ANSWERS = "answers"
    REFUSES = "refuses"
    CANCEL = "cancel"
    ACK = "ack"
    NO_ACK = "no_ack"
    HANGS_UP = "hangs_up"
    BYE = "bye"
    BYE_ENDED = "bye_ended"


_S, _I = CalledState, CalledInput
CALLED_TRANSITIONS: Final[Mapping[tuple[CalledState, CalledInput], CalledState]] = {
    (_S.INVITED, _I.RINGS): _S.RINGING,
    (_S.INVITED, _I.ANSWERS): _S.ANSWERED,
    (_S.INVITED, _I.REFUSES): _S.OVER,
    (_S.INVITED, _I.CANCEL): _S.OVER,
    (_S.RINGING, _I.RINGS): _S.RINGING,
    (_S.RINGING, _I.ANSWERS): _S.ANSWERED,
    (_S.RINGING, _I.REFUSES): _S.OVER,
    (_S.RINGING, _I.CANCEL): _S.OVER,
    (_S.ANSWERED, _I.ACK): _S.TALKING,
    (_S.ANSWERED, _I.NO_ACK): _S.HANGING_UP,
    (_S.ANSWERED, _I.BYE): _S.OVER,
    (_S.TALKING, _I.HANGS_UP): _S.HANGING_UP,
    (_S.TALKING, _I.BYE): _S.OVER,
    (_S.HANGING_UP, _I.BYE): _S.HANGING_UP,
    (_S.HANGING_UP, _I.BYE_ENDED): _S.OVER,
}
