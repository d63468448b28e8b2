"""How many texts of a route may be followed by a second one because the route has not answered yet.

1. So many as trip its breaker, and no more: from then on the route as a whole is left, not text by text.
2. Whoever finds the budget used up waits for the answer. A route that is only slow gives it; who is dead is
   known to be dead by then.
"""

from collections import defaultdict, deque
from typing import Final

import msgspec

from dastak.core.events import MessageSubmitted
from dastak.core.verification import Verification
from dastak.delivery.breaker import HEDGE_SHARE_MAX, HEDGES_MIN, TIMEOUTS_IN_A_ROW, WINDOW_S
from dastak.delivery.failover import ANSWER_WITHIN_S

# No answer for so long, and the next route gets the code even beyond the budget: a person waits five seconds.
SILENT_S: Final = 4.5
SLOT_S: Final = 5
SLOTS: Final = WINDOW_S // SLOT_S
# A breaker opens before the budget is used up.
assert TIMEOUTS_IN_A_ROW <= HEDGES_MIN
assert ANSWER_WITHIN_S < SILENT_S


class _Slot(msgspec.Struct):
    """What happened in one piece of the window."""

    n: int
    sends: int = 0
    hedges: int = 0


class HedgeBudget:
    """Counts what each route took of late, and what followed it unanswered."""

    hears: Final = (MessageSubmitted,)

    def __init__(self) -> None:
        self._slots: defaultdict[str, deque[_Slot]] = defaultdict(lambda: deque(maxlen=SLOTS))

    def on_event(self, verification: Verification, event: MessageSubmitted) -> None:
        """Count what was taken."""
        del verification
        self._slot(event.route, event.at_ms / 1000).sends += 1

    def take(self, route: str, now_s: float) -> bool:
        """Say whether one more text may be followed, and count it then."""
        slot = self._slot(route, now_s)
        slots = self._slots[route]
        hedges = sum(one.hedges for one in slots)
        handed = hedges + sum(one.sends for one in slots)
        if hedges >= HEDGES_MIN and hedges > HEDGE_SHARE_MAX * handed:
            return False
        slot.hedges += 1
        return True

    def _slot(self, route: str, now_s: float) -> _Slot:
        n = int(now_s // SLOT_S)
        slots = self._slots[route]
        if not slots or slots[-1].n < n:
            slots.append(_Slot(n))
        while slots[0].n <= n - SLOTS:
            slots.popleft()
        return slots[-1]
