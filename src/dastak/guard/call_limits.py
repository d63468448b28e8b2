"""How often a number may be called: a phone that rings is louder than one that buzzes, and calls cost more.

Counted over all tenants, so that many of them together cannot let a phone ring. A restart forgets it.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from dastak.core.errors import RateLimited
from dastak.core.msisdn import Msisdn
from dastak.core.tenant import Mode
from dastak.guard.buckets import Buckets, Rate, forget_oldest, take

HOUR_S: Final = 3_600
KEPT_MAX: Final = 100_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rate of each limit.

    Attributes:
        apart: How far apart two calls are at least.
        hourly: How many in an hour.
        daily: How many in a day.
    """

    apart: Rate = Rate(count=1, per_s=60)
    hourly: Rate = Rate(count=2, per_s=HOUR_S)
    daily: Rate = Rate(count=5, per_s=24 * HOUR_S)


# Who tries it out calls a phone on the desk again and again.
TEST: Final = CallSettings(
    apart=Rate(count=10, per_s=10),
    hourly=Rate(count=600, per_s=HOUR_S),
    daily=Rate(count=5_000, per_s=HOUR_S),
)


class CallLimits:
    """The limits on calls, in the memory of one process."""

    def __init__(self, *, live: CallSettings | None = None, test: CallSettings = TEST) -> None:
        shared = _buckets(live or CallSettings())
        self._buckets = {Mode.LIVE: shared, Mode.TEAM: shared, Mode.TEST: _buckets(test)}

    def wait_s(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> int:
        """Return the whole seconds until a number may be called; 0 is now."""
        now_us, number = _us(now), int(msisdn)
        waits = (one.full_at_us.get(number, 0) - one.slack_us - now_us for one in self._buckets[mode])
        return max(0, -(-max(waits) // 1_000_000))

    def take(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> None:
        """Count one call.

        Raises:
            RateLimited: The number was called too often; nothing was counted.
        """
        buckets = self._buckets[mode]
        met = take([(one, int(msisdn)) for one in buckets], _us(now))
        for one in buckets:
            forget_oldest(one.full_at_us, keep=KEPT_MAX)
        if met is not None:
            raise too_often(met.retry_after_s)


def too_often(retry_after_s: int) -> RateLimited:
    """Return the refusal of a call."""
    return RateLimited(
        "This number was called too often; wait, or send a text.", limit="call", retry_after_s=retry_after_s
    )


def _buckets(settings: CallSettings) -> tuple[Buckets, ...]:
    return tuple(Buckets("call", rate) for rate in (settings.apart, settings.hourly, settings.daily))


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // _US
