"""The messages that were written last, each with its verification, so that its next step need not read them.

1. What is found here is what the database would give: every write of the one writer goes through here, and
   all is forgotten after a rollback, a sweep, or a write of another process.
2. It serves messages only. What may approve a code is read from the database each time.
3. Forgetting costs a SELECT, and nothing else.
"""

from typing import Final

import msgspec

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState
from dastak.core.verification import Verification

# In each of two generations. A receipt mostly comes within ten seconds, so this serves some 400 starts a
# second to their end, and any rate to the carrier's answer.
RECENT_MAX: Final = 4096

# Which of its messages a receipt can still move.
_AWAITED: Final = (MessageState.SUBMITTED, MessageState.UNDELIVERED)


class Known(msgspec.Struct, frozen=True):
    """A verification's row number, and it and its newest message as they stand."""

    n: int
    verification: Verification
    message: Message


class Recent:
    """Two generations of what is known; when the younger is full, the older goes."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._young: dict[VerificationId | CarrierRef, Known] = {}
        self._old: dict[VerificationId | CarrierRef, Known] = {}

    def find(self, key: MessageKey | CarrierRef) -> Known | None:
        """Return what is known of a message."""
        if isinstance(key, MessageKey):
            known = self._get(key.verification)
            return known if known is not None and known.message.key.ordinal == key.ordinal else None
        at = self._get(key)
        known = None if at is None else self._get(at.verification.id)
        if known is None or known.message.carrier != key or known.message.state not in _AWAITED:
            return None
        return known

    def keep(self, known: Known) -> None:
        """Remember a message as it was just written."""
        if len(self._young) >= RECENT_MAX:
            self._young, self._old = {}, self._young
        self._young[known.verification.id] = known
        if known.message.carrier is not None:
            self._young[known.message.carrier] = known

    def drop(self, verification_id: VerificationId) -> None:
        """Forget a verification that was written in another way."""
        self._young.pop(verification_id, None)
        self._old.pop(verification_id, None)

    def _get(self, key: VerificationId | CarrierRef) -> Known | None:
        return self._young.get(key) or self._old.get(key)
