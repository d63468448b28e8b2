"""What the main program and the voice process say to each other, and how it is framed on their socket.

1. Codes, digits to be pressed and passwords of trunks cross here and nowhere else: no message shows itself.
2. Each message is four octets of its length and MessagePack. What is longer than `MESSAGE_OCTETS_MAX`, or
   none of the messages below, ends the connection: both ends are the same program.
"""

import struct
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

from dastak.core.outcome import Outcome
from dastak.voice.ivr import Step
from dastak.voice.line import Dial
from dastak.voice.sip.line_call import LastWords
from dastak.voice.sip_settings import SipSettings

# The settings of a trunk are the longest; the body of a request that brings them is bounded far below.
MESSAGE_OCTETS_MAX: Final = 1024 * 1024
# A trunk's words are for a person to read, and a hostile one may send many.
DETAIL_CHARACTERS_MAX: Final = 200
_LENGTH: Final = struct.Struct(">I")


class MalformedEngineMessage(ValueError):  # noqa: N818 - what it is
    """Octets that are no message; what they were is not told."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    def __repr__(self) -> str:
        """Show the kind alone."""
        return f"{type(self).__name__}(...)"


class OpenTrunk(_Message, frozen=True):
    """Reach a trunk, and keep it reachable. Each opening has a number of its own."""

    trunk: int
    settings: SipSettings


class CloseTrunk(_Message, frozen=True):
    """Hang up what is under way on it and leave it; answered by `TrunkClosed`."""

    trunk: int


class PlaceCall(_Message, frozen=True):
    """Ring a phone, and say what is to be said. Each call has a number of its own."""

    call: int
    trunk: int
    dial: Dial


class HangUp(_Message, frozen=True):
    """End a call, ringing or speaking."""

    call: int


class TrunkStands(_Message, frozen=True):
    """How a trunk stands from now on, and why, in words."""

    trunk: int
    open: bool
    reason: str


class TrunkJunk(_Message, frozen=True):
    """How many messages at a trunk's SIP port were thrown away since this was last told, by reason."""

    trunk: int
    more: dict[str, int]


class TrunkClosed(_Message, frozen=True):
    """A trunk is left."""

    trunk: int


class CallRings(_Message, frozen=True):
    """See `Hearer.on_ringing`."""

    call: int
    detail: str


class CallAnswered(_Message, frozen=True):
    """See `Hearer.on_answered`."""

    call: int
    detail: str


class CallStepped(_Message, frozen=True):
    """See `Hearer.on_step`."""

    call: int
    step: Step
    typed: str


class CallLastWords(_Message, frozen=True):
    """What ends a call should the voice process be killed now; in the place of what was told before."""

    call: int
    words: LastWords


class CallOver(_Message, frozen=True):
    """See `Hearer.on_ended`."""

    call: int
    outcome: Outcome
    detail: str


class Pulse(_Message, frozen=True):
    """The voice process lives and its loop turns."""


ToEngine = OpenTrunk | CloseTrunk | PlaceCall | HangUp
OfCall = CallRings | CallAnswered | CallStepped | CallLastWords | CallOver
FromEngine = TrunkStands | TrunkJunk | TrunkClosed | OfCall | Pulse

TO_ENGINE: Final[msgspec.msgpack.Decoder[ToEngine]] = msgspec.msgpack.Decoder(ToEngine)
FROM_ENGINE: Final[msgspec.msgpack.Decoder[FromEngine]] = msgspec.msgpack.Decoder(FromEngine)

M = TypeVar("M")


def framed(message: ToEngine | FromEngine) -> bytes:
    """Return a message as it goes over the socket.

    Raises:
        MalformedEngineMessage: It is too long.
    """
    octets = msgspec.msgpack.encode(message)
    if len(octets) > MESSAGE_OCTETS_MAX:
        raise MalformedEngineMessage("a message to or from the voice process is too long")
    return _LENGTH.pack(len(octets)) + octets


class MessageFramer(Generic[M]):
    """Cuts what arrives into messages, however it was cut on the way.

    Args:
        decoder: `TO_ENGINE` or `FROM_ENGINE`.
    """

    def __init__(self, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._decoder = decoder
        self._pending = bytearray()

    def feed(self, octets: bytes) -> Iterator[M]:
        """Return what is complete; pending is never more than one message and what was fed.

        Raises:
            MalformedEngineMessage: This is no message; there is no way to go on after it.
        """
        self._pending += octets
        at = 0
        try:
            while len(self._pending) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._pending, at)
                if length > MESSAGE_OCTETS_MAX:
                    raise MalformedEngineMessage("a message of the voice process says that it is too long")
                end = at + _LENGTH.size + length
                if len(self._pending) < end:
                    break
                yield self._read(bytes(self._pending[at + _LENGTH.size : end]))
                at = end
        finally:
            del self._pending[:at]

    def _read(self, octets: bytes) -> M:
        try:
            return self._decoder.decode(octets)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # Without its cause, which may show what it could not read.
            raise MalformedEngineMessage("a message of the voice process cannot be read") from None
