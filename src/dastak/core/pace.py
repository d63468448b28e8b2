"""How fast one link may send: a token bucket whose rate halves when the carrier throttles and rises slowly.

1. The rate of the contract is never exceeded; without one there is no limit until the first throttle.
2. A throttle halves what is really sent at that time, not what would be allowed.
3. The rate never falls so low that a message would wait in vain.
"""

from typing import Final

# So much of its rate a link has in hand; all else is better off on another one.
IN_HAND_S: Final = 0.25
# What has not left by then goes elsewhere, before it is taken for unanswered.
ROOM_WITHIN_S: Final = 1.0

# A burst of refusals within this time is one answer to one burst of ours, not many.
_SAME_THROTTLE_S: Final = 1.0
# The rate is counted over this time, so that a burst after silence is not taken for a stream.
_MEASURED_S: Final = 1.0
# After a throttle the full rate is back within this time.
_RECOVERY_S: Final = 20.0
_RISE_MIN_PER_S: Final = 1.0
_RATE_MIN_PER_S: Final = 1.0
_RATE_MIN_SHARE: Final = 0.01
# Without a contract, so many times the rate that was throttled is no limit any more.
_FREE_AGAIN: Final = 2.0
# What may be sent at once after silence, in seconds of the present rate.
_BURST_S: Final = 0.2


class Pace:
    """Tokens for one link, such as a bind.

    Args:
        rate_per_s: The rate in the carrier's contract; None when there is none.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        rate_per_s: The present limit; None is none.
    """

    def __init__(self, rate_per_s: float | None, now: float) -> None:
        self.rate_per_s = rate_per_s
        self._contracted_per_s = rate_per_s
        self._rise_per_s = rate_per_s / _RECOVERY_S if rate_per_s else _RISE_MIN_PER_S
        self._ceiling_per_s = rate_per_s or 0.0
        self._tokens = 1.0
        self._counted_at = now
        self._throttled_at = now - _SAME_THROTTLE_S
        # What was sent since `_second_at`, and in the time of the same length before it.
        self._second_at = now
        self._sent = 0
        self._sent_before = 0

    def take(self, now: float) -> bool:
        """Take the token for one message, if there is one."""
        if now - self._second_at >= _MEASURED_S:
            self._sent_before = self._sent if now - self._second_at < 2 * _MEASURED_S else 0
            self._sent = 0
            self._second_at = now
        if self.rate_per_s is not None and not self._pay(self.rate_per_s, now):
            return False
        self._sent += 1
        return True

    def open(self, now: float) -> bool:
        """Say whether there is a token, and take none."""
        return self.rate_per_s is None or self.tokens(now) >= 1

    def tokens(self, now: float) -> int:
        """Return how many messages a limited rate lets go now."""
        rate_per_s = self.rate_per_s or 0.0
        return int(min(max(1.0, rate_per_s * _BURST_S), self._tokens + (now - self._counted_at) * rate_per_s))

    def wait_s(self, now: float) -> float:
        """Return how long it takes until there is a token, at the present rate."""
        rate_per_s = self.rate_per_s
        if rate_per_s is None:
            return 0.0
        return max(0.0, (1.0 - self._tokens) / rate_per_s - (now - self._counted_at))

    def throttled(self, now: float) -> None:
        """Halve the rate: the carrier said ESME_RTHROTTLED, ESME_RMSGQFUL or 429."""
        if now - self._throttled_at < _SAME_THROTTLE_S:
            return
        self._throttled_at = now
        self._tokens = 0.0
        self._counted_at = now
        measured_per_s = self._measured_per_s(now)
        allowed_per_s = self.rate_per_s
        present_per_s = measured_per_s or allowed_per_s or _RATE_MIN_PER_S
        if allowed_per_s is not None:
            present_per_s = min(present_per_s, allowed_per_s)
        contracted_per_s = self._contracted_per_s
        if contracted_per_s is None:
            self._ceiling_per_s = _FREE_AGAIN * max(_RATE_MIN_PER_S, present_per_s)
            self._rise_per_s = max(_RISE_MIN_PER_S, present_per_s / _RECOVERY_S)
        floor_per_s = max(min(_RATE_MIN_PER_S, self._ceiling_per_s), self._ceiling_per_s * _RATE_MIN_SHARE)
        self.rate_per_s = max(floor_per_s, present_per_s / 2)

    def _pay(self, rate_per_s: float, now: float) -> bool:
        elapsed_s = now - self._counted_at
        self._counted_at = now
        rate_per_s = min(self._ceiling_per_s, rate_per_s + elapsed_s * self._rise_per_s)
        self.rate_per_s = rate_per_s
        self._tokens = min(max(1.0, rate_per_s * _BURST_S), self._tokens + elapsed_s * rate_per_s)
        if self._contracted_per_s is None and rate_per_s >= self._ceiling_per_s:
            self.rate_per_s = None
            return True
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _measured_per_s(self, now: float) -> float:
        """Return what was sent in the last second, half of it by proportion."""
        gone = (now - self._second_at) / _MEASURED_S
        if gone >= 2.0:
            return 0.0
        return (self._sent + self._sent_before * max(0.0, 1.0 - gone)) / max(_MEASURED_S, gone * _MEASURED_S)


def in_hand_max(rate_per_s: float) -> int:
    """Return how many messages may wait before a link of such a rate."""
    return max(1, int(rate_per_s * IN_HAND_S))
