"""Keep receipts that came before the answer to their submit, until that answer names their message.

Source: SMPP 3.4 promises no order between submit_sm_resp and the deliver_sm that reports on it.
"""

from datetime import datetime, timedelta
from heapq import nsmallest
from typing import Final

import msgspec

from dastak.core.message import CarrierRef, Receipt

EARLY_MAX: Final = 10_000
# On its way, a final state, and repeats of both; a carrier that says more has nothing new to say.
EARLY_EACH_MAX: Final = 8
EARLY_LIFE: Final = timedelta(minutes=10)
# An answer that another node has is written down in a moment, so each is looked for at once, and again after
# 1, 2, 4 … 32 s: for a minute in all. Most are never found: they tell of parts whose ids only the sender has.
LOOKS_MAX: Final = 7
# One batch of the store has room for so many.
LOOKED_FOR_MAX: Final = 200


class _Early(msgspec.Struct):
    """A receipt with what was done to find its message."""

    receipt: Receipt
    came_at: datetime
    look_at: datetime
    looks: int = 0


class EarlyReceipts:
    """A shelf with room for so many messages; the oldest go first, and none stays longer than ten minutes."""

    def __init__(self) -> None:
        self._shelf: dict[CarrierRef, list[_Early]] = {}

    def __len__(self) -> int:
        return len(self._shelf)

    def keep(self, receipt: Receipt, *, now: datetime) -> None:
        """Put a receipt away whose message is not known, under every ref that this message may have."""
        kept = _Early(receipt, came_at=now, look_at=now)
        for ref in receipt.refs:
            while len(self._shelf) >= EARLY_MAX or (self._shelf and self._oldest() <= now - EARLY_LIFE):
                del self._shelf[next(iter(self._shelf))]
            early = self._shelf.setdefault(ref, [])
            early.append(kept)
            del early[:-EARLY_EACH_MAX]

    def claim(self, carrier: CarrierRef) -> list[Receipt]:
        """Take out what came for a message, in the order it came."""
        claimed = [early.receipt for early in self._shelf.pop(carrier, [])]
        for other in {ref for receipt in claimed for ref in receipt.refs} & self._shelf.keys():
            rest = [early for early in self._shelf[other] if early.receipt not in claimed]
            if rest:
                self._shelf[other] = rest
            else:
                del self._shelf[other]
        return claimed

    def waiting(self, *, now: datetime) -> list[Receipt]:
        """Return whose messages to look for now: who was asked for least, and of these the youngest first."""
        newest_first = (early for kept in reversed(self._shelf.values()) for early in reversed(kept))
        due = {id(early): early for early in newest_first if early.looks < LOOKS_MAX and early.look_at <= now}
        chosen = nsmallest(LOOKED_FOR_MAX, due.values(), key=lambda early: early.looks)
        for early in chosen:
            early.look_at = now + timedelta(seconds=2**early.looks)
            early.looks += 1
        return list(dict.fromkeys(early.receipt for early in chosen))

    def _oldest(self) -> datetime:
        return next(iter(self._shelf.values()))[0].came_at
