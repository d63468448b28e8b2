"""Let requests to a carrier through at its rate: a few wait a moment, and what does not fit is told at once.

That is better off on another route or in the lane, where the code that ends first leaves first.
"""

import asyncio
import time
from collections.abc import Callable

from dastak.core.errors import CarrierFull
from dastak.core.pace import ROOM_WITHIN_S, Pace, in_hand_max


class Turnstile:
    """The turns of one carrier.

    Args:
        rate_per_s: How many requests its contract allows; None has no limit until it throttles.
        clock: Tells the monotonic time in seconds.
    """

    def __init__(self, rate_per_s: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(rate_per_s, clock())
        self._contracted_per_s = rate_per_s
        self._waiting = 0
        # Who came first leaves first.
        self._turn = asyncio.Lock()

    @property
    def rate_per_s(self) -> float | None:
        """The present limit; None is none."""
        return self._pace.rate_per_s

    @property
    def slowed(self) -> bool:
        """Whether fewer are let through than the contract allows, because the carrier throttles."""
        return self._pace.rate_per_s != self._contracted_per_s

    @property
    def room(self) -> int | None:
        """How many more may come now: those who pass at once, and those who wait a moment; None is any."""
        if self._pace.rate_per_s is None:
            return None
        return self._pace.tokens(self._clock()) + max(0, self._in_hand_max() - self._waiting)

    async def take(self) -> None:
        """Return when it is this request's turn. Raises: CarrierFull (it does not fit now)."""
        if not self._waiting and self._pace.take(self._clock()):
            return
        if self._waiting >= self._in_hand_max():
            raise CarrierFull("The rate of this carrier is used up at this moment.")
        self._waiting += 1
        try:
            async with asyncio.timeout(ROOM_WITHIN_S), self._turn:
                while not self._pace.take(self._clock()):  # noqa: ASYNC110 - only time brings a token
                    await asyncio.sleep(self._pace.wait_s(self._clock()))
        except TimeoutError as error:
            raise CarrierFull("The carrier throttles, and it was not this request's turn in time.") from error
        finally:
            self._waiting -= 1

    def throttled(self) -> None:
        """Halve the rate, for the carrier said that requests come too fast."""
        self._pace.throttled(self._clock())

    def _in_hand_max(self) -> int:
        """Return how many may wait: nobody whose turn is too far away."""
        if self._pace.wait_s(self._clock()) > ROOM_WITHIN_S:
            return 0
        return in_hand_max(self._pace.rate_per_s or 0.0)
