"""How fast one bind may send: a token bucket; its rate halves when the carrier throttles and rises slowly."""

from typing import Final

# A burst of refusals within this time is one answer to one burst of ours, not many.
_SAME_THROTTLE_S: Final = 1.0
# After a throttle the full rate is back within this time.
_RECOVERY_S: Final = 20.0
_RATE_MIN_SHARE: Final = 0.01
# What may be sent at once after silence, in seconds of the present rate.
_BURST_S: Final = 0.2


class Pace:
    """Tokens for one bind.

    Args:
        rate_per_s: The rate in the carrier's contract; never exceeded.
        now: The monotonic time, in seconds, here and everywhere below.
    """

    def __init__(self, rate_per_s: float, now: float) -> None:
        self.rate_per_s = rate_per_s
        self._ceiling_per_s = rate_per_s
        self._tokens = 1.0
        self._counted_at = now
        self._throttled_at = now - _SAME_THROTTLE_S

    def take(self, now: float) -> bool:
        """Take the token for one message, if there is one."""
        elapsed_s = now - self._counted_at
        self._counted_at = now
        risen = self.rate_per_s + elapsed_s * self._ceiling_per_s / _RECOVERY_S
        self.rate_per_s = min(self._ceiling_per_s, risen)
        self._tokens = min(max(1.0, self.rate_per_s * _BURST_S), self._tokens + elapsed_s * self.rate_per_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def open(self, now: float) -> bool:
        """Say whether there is a token, and take none."""
        return self._tokens + (now - self._counted_at) * self.rate_per_s >= 1.0

    def throttled(self, now: float) -> None:
        """Halve the rate: the carrier said ESME_RTHROTTLED or ESME_RMSGQFUL."""
        if now - self._throttled_at < _SAME_THROTTLE_S:
            return
        self._throttled_at = now
        self._tokens = 0.0
        self.rate_per_s = max(self._ceiling_per_s * _RATE_MIN_SHARE, self.rate_per_s / 2)
