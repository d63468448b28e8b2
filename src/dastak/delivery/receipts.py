"""Keep receipts that came before the answer to their submit, until that answer names their message.

Source: SMPP 3.4 promises no order between submit_sm_resp and the deliver_sm that reports on it.
"""

from datetime import datetime, timedelta
from typing import Final

from dastak.core.message import CarrierRef, Receipt

EARLY_MAX: Final = 10_000
# On its way, a final state, and repeats of both; a carrier that says more has nothing new to say.
EARLY_EACH_MAX: Final = 8
EARLY_LIFE: Final = timedelta(minutes=10)
# An answer that another node has is written down in a moment; so many are asked for at once.
LOOKED_FOR: Final = timedelta(minutes=1)
LOOKED_FOR_MAX: Final = 200


class EarlyReceipts:
    """A shelf with room for so many messages; the oldest go first, and none stays longer than ten minutes."""

    def __init__(self) -> None:
        self._shelf: dict[CarrierRef, list[tuple[datetime, Receipt]]] = {}

    def __len__(self) -> int:
        return len(self._shelf)

    def keep(self, receipt: Receipt, *, now: datetime) -> None:
        """Put a receipt away whose message is not known, under every ref that this message may have."""
        for ref in receipt.refs:
            while len(self._shelf) >= EARLY_MAX or (self._shelf and self._oldest() <= now - EARLY_LIFE):
                del self._shelf[next(iter(self._shelf))]
            early = self._shelf.setdefault(ref, [])
            early.append((now, receipt))
            del early[:-EARLY_EACH_MAX]

    def claim(self, carrier: CarrierRef) -> list[Receipt]:
        """Take out what came for a message, in the order it came."""
        claimed = [receipt for _, receipt in self._shelf.pop(carrier, [])]
        for other in {ref for receipt in claimed for ref in receipt.refs} & self._shelf.keys():
            rest = [(at, receipt) for at, receipt in self._shelf[other] if receipt not in claimed]
            if rest:
                self._shelf[other] = rest
            else:
                del self._shelf[other]
        return claimed

    def waiting(self, *, now: datetime) -> list[Receipt]:
        """Return what came within the last minute, each once, in the order it came."""
        young = (receipt for early in self._shelf.values() for at, receipt in early if at > now - LOOKED_FOR)
        return list(dict.fromkeys(young))[:LOOKED_FOR_MAX]

    def _oldest(self) -> datetime:
        return next(iter(self._shelf.values()))[0][0]
