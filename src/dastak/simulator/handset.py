"""What a handset makes of short messages: it joins their parts and reads their alphabet.

1. Parts are joined as octets and read afterwards, so that a character cut in two is whole again.
2. What cannot be read is shown with replacement characters, never refused: a handset has nobody to tell.
3. Unfinished texts are bounded; the oldest is forgotten.
"""

from datetime import datetime
from typing import Final, NamedTuple

from dastak.core.msisdn import Msisdn
from dastak.simulator.phone import Text, read_number
from dastak.sms.pdu_bodies import Sm
from dastak.sms.user_data import part_of, read_text, user_data

UNFINISHED_MAX: Final = 256
# Longer parts do not come over the air (140 octets) nor in a short_message (254).
PART_OCTETS_MAX: Final = 254


class _Key(NamedTuple):
    msisdn: Msisdn
    sender: str
    reference: int
    total: int


class _Unfinished(NamedTuple):
    submitted_at: datetime
    parts: dict[int, bytes]


class Handset:
    """Takes the submit_sm of all virtual phones and gives back whole texts."""

    def __init__(self) -> None:
        self._unfinished: dict[_Key, _Unfinished] = {}

    def receive(self, sm: Sm, *, route: str, submitted_at: datetime, received_at: datetime) -> Text | None:
        """Take one submit_sm.

        Args:
            sm: Read from a PDU; its text may be in `short_message` or in the TLV message_payload.
            route: The way it came, for people to read.
            submitted_at: When the carrier got it.
            received_at: When the phone gets it.

        Returns:
            The text, once all its parts are there.

        Raises:
            InvalidMsisdn: It is addressed to something that is no number.
        """
        msisdn = read_number(sm.destination_addr)
        elements, octets = user_data(sm)
        part = part_of(sm, elements)
        segments = 1
        if part is not None:
            key = _Key(msisdn, sm.source_addr, part.reference, part.total)
            whole = self._join(key, part.number, octets, submitted_at)
            if whole is None:
                return None
            segments = part.total
            submitted_at, octets = whole
        return Text(
            msisdn=msisdn,
            sender=sm.source_addr,
            text=read_text(octets, sm.data_coding, elements),
            route=route,
            data_coding=sm.data_coding,
            segments=segments,
            submitted_at=submitted_at,
            received_at=received_at,
        )

    def _join(
        self, key: _Key, number: int, octets: bytes, submitted_at: datetime
    ) -> tuple[datetime, bytes] | None:
        """Keep a part; a repeated one replaces itself. Returns the whole once it is whole."""
        unfinished = self._unfinished.setdefault(key, _Unfinished(submitted_at, {}))
        unfinished.parts[number] = octets[:PART_OCTETS_MAX]
        if len(unfinished.parts) == key.total:
            del self._unfinished[key]
            return unfinished.submitted_at, b"".join(octets for _, octets in sorted(unfinished.parts.items()))
        if len(self._unfinished) > UNFINISHED_MAX:
            del self._unfinished[next(iter(self._unfinished))]
        return None
