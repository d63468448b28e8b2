"""Keys that a person presses during a call, by RTP or by SIP INFO: each press is counted once.

1. One press is one RTP timestamp, however many packets say so; it counts with the first of them.
2. A key held for longer than one event can say goes on in a further event; that is still one press.
3. A peer may send a press both ways. The second way is then the same press, if it comes soon enough.

Source: RFC 4733, sections 2.3 and 2.5.
"""

import re
from collections import deque
from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal, TypeAlias

_EVENT: Final = Struct(">BBH")
EVENT_OCTETS: Final = _EVENT.size
_END: Final = 0x80
_VOLUME_MAX: Final = 0x3F
DURATION_MAX: Final = 0xFFFF
EVENT_MAX: Final = 255
_TIMESTAMPS: Final = 1 << 32

KEYS: Final = "0123456789*#"

# Packets of a press may come behind those of the next, but not behind those of so many.
_PRESSES_KEPT_MAX: Final = 8
# A gateway that turns a tone into INFO waits for its end, and INFO may be sent again after half a second.
BOTH_WAYS_S: Final = 2.0
_INFO_OCTETS_MAX: Final = 256
# RFC 2976 names no body; these two are what gateways send: `Signal=5` and lines more, or the key alone.
_SIGNAL: Final = re.compile(r"^[ \t]*Signal[ \t]*=[ \t]*([0-9*#]|1[01])[ \t]*$", re.IGNORECASE | re.MULTILINE)
_ALONE: Final = re.compile(r"\s*([0-9*#]|1[01])\s*")

Way: TypeAlias = Literal["rtp", "info"]


class MalformedEvent(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets are no telephone event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephoneEvent:
    """One packet's word on an event.

    Attributes:
        event: 0 to 9, 10 for `*`, 11 for `#`; others are no keys.
        end: Whether it is over.
        volume: In dBm0, without its minus.
        duration: Until now, in samples.
    """

    event: int
    end: bool
    volume: int
    duration: int

    @property
    def key(self) -> str | None:
        """The key, if it is one of a phone."""
        return KEYS[self.event] if self.event < len(KEYS) else None


def write_event(event: TelephoneEvent) -> bytes:
    """Write the payload of a packet."""
    return _EVENT.pack(event.event, (_END if event.end else 0) | event.volume & _VOLUME_MAX, event.duration)


def read_event(payload: bytes) -> TelephoneEvent:
    """Read the payload of a packet; of several events the first.

    Raises:
        MalformedEvent: It is too short.
    """
    if len(payload) < EVENT_OCTETS:
        raise MalformedEvent(f"{len(payload)} octets are no event")
    event, second, duration = _EVENT.unpack_from(payload)
    return TelephoneEvent(event=event, end=second >= _END, volume=second & _VOLUME_MAX, duration=duration)


def read_info(body: bytes) -> str | None:
    """Return the key that the body of a SIP INFO names, if it names one."""
    if len(body) > _INFO_OCTETS_MAX:
        return None
    text = body.decode("ascii", "replace").replace("\r\n", "\n")
    found = _SIGNAL.search(text) or _ALONE.fullmatch(text)
    if found is None:
        return None
    return {"10": "*", "11": "#"}.get(found[1], found[1])


class KeyPresses:
    """What one callee has pressed in one call."""

    __slots__ = ("_alone", "_begun")

    def __init__(self) -> None:
        # Presses heard: the timestamp, that at which a longer one would go on, and the event.
        self._begun: deque[tuple[int, int, int]] = deque(maxlen=_PRESSES_KEPT_MAX)
        # Presses heard by one way only, each with the way and its time.
        self._alone: deque[tuple[str, Way, float]] = deque(maxlen=_PRESSES_KEPT_MAX)

    def hear_rtp(self, event: TelephoneEvent, *, timestamp: int, at_s: float) -> str | None:
        """Return the key if this packet is the first of a new press."""
        for begun, _, _ in self._begun:
            if begun == timestamp:
                return None
        goes_on = (timestamp + DURATION_MAX) % _TIMESTAMPS
        held = any(number == event.event and next_at == timestamp for _, next_at, number in self._begun)
        self._begun.append((timestamp, goes_on, event.event))
        return None if held or event.key is None else self._count(event.key, "rtp", at_s)

    def hear_info(self, key: str, *, at_s: float) -> str | None:
        """Return the key if it did not come by RTP as well."""
        return self._count(key, "info", at_s)

    def _count(self, key: str, way: Way, at_s: float) -> str | None:
        for press in self._alone:
            if press[0] == key and press[1] != way and at_s - press[2] <= BOTH_WAYS_S:
                self._alone.remove(press)
                return None
        self._alone.append((key, way, at_s))
        return key
