"""What a stream that we hear tells by its numbers: how much of it was lost, and how unevenly it came.

Source: RFC 3550, appendices A.1, A.3 and A.8.
"""

from typing import Final

_SEQUENCES: Final = 1 << 16
_TIMESTAMPS: Final = 1 << 32
# A number this far ahead, or more than so far behind, is a sender that started anew and no loss (A.1).
_DROPOUT_MAX: Final = 3_000
_MISORDER_MAX: Final = 100
# Jitter is kept in sixteenths, so that whole numbers can average it (A.8).
_SIXTEENTHS: Final = 4
_FRACTION_MAX: Final = 255


class Reception:
    """One stream, from its first packet on.

    Attributes:
        ssrc: Who sends it.
        received: Packets heard, twins included.
        highest: The highest sequence number, with what it rolled over above its 16 bits.
    """

    __slots__ = (
        "_bad",
        "_expected_before",
        "_expected_earlier",
        "_first",
        "_jitter",
        "_received_before",
        "_transit",
        "highest",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._expected_earlier = 0
        self._expected_before = 0
        self._received_before = 0
        self._first = self.highest = sequence
        self._bad = -1
        self._transit: int | None = None
        self._jitter = 0

    @property
    def lost(self) -> int:
        """Packets that were sent and never came; negative if more came twice than were lost."""
        return self._expected - self.received

    @property
    def jitter(self) -> int:
        """How unevenly packets come, in samples."""
        return self._jitter >> _SIXTEENTHS

    @property
    def _expected(self) -> int:
        return self._expected_earlier + self.highest - self._first + 1

    def hear(self, sequence: int, timestamp: int, arrival: int) -> None:
        """Count a packet that came at this time of ours, in samples."""
        ahead = (sequence - self.highest) % _SEQUENCES
        if ahead < _DROPOUT_MAX:
            self.highest += ahead
        elif ahead <= _SEQUENCES - _MISORDER_MAX:
            if sequence != self._bad:
                # One stray packet changes nothing; a second in a row is a new beginning.
                self._bad = (sequence + 1) % _SEQUENCES
                return
            self._expected_earlier = self._expected
            self._first = self.highest = sequence
            self._bad, self._transit = -1, None
        self.received += 1
        self._measure((arrival - timestamp) % _TIMESTAMPS)

    def interval_fraction(self) -> int:
        """Return which share was lost since the last call, in 256ths."""
        expected, received = self._expected, self.received
        due = expected - self._expected_before
        lost = due - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        return min(_FRACTION_MAX, (lost << 8) // due) if lost > 0 else 0

    def _measure(self, transit: int) -> None:
        if self._transit is not None:
            moved = (transit - self._transit) % _TIMESTAMPS
            moved = min(moved, _TIMESTAMPS - moved)
            self._jitter += moved - ((self._jitter + 8) >> _SIXTEENTHS)
        self._transit = transit
