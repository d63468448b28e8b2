"""How often a number may be called: a phone that rings is louder than one that buzzes, and calls cost more.

1. Counted over all tenants, so that many of them together cannot let a phone ring.
2. Test keys have counts of their own: no test eats what is left for a real phone.
3. Nothing here is the truth. A restart forgets it, and `seed` brings back what the database knows. Where
   other nodes call as well, the database judges each call, and here is only what this node has seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.core.call_report import COOLING, CallReport
from dastak.core.errors import RateLimited
from dastak.core.events import CallReported
from dastak.core.message import MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge, PastCall
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.guard.buckets import Buckets, Rate, forget_oldest, longest_met, take

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
KEPT_MAX: Final = 100_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)

# The public name of each limit, which an answer gives as its `reason`, and what the caller is told.
LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "call_apart": "This number was called a moment ago; wait, or send a text.",
        "call_hourly": "This number was called as often as it may be in an hour; wait, or send a text.",
        "call_daily": "This number was called as often as it may be in a day; wait, or send a text.",
    }
)


class CallRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one number is called, over all tenants, by live and team keys together.

    Attributes:
        apart_s: Seconds from one call to the next at least.
        hourly: Calls in an hour at most.
        daily: Calls in a day at most.
    """

    apart_s: Annotated[int, Meta(ge=30, le=HOUR_S)] = 60
    hourly: Annotated[int, Meta(ge=1, le=10)] = 2
    daily: Annotated[int, Meta(ge=1, le=30)] = 5


class CallSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of each limit, as it is counted."""

    apart: Rate
    hourly: Rate
    daily: Rate


# Who tries it out calls a phone on the desk again and again.
TEST: Final = CallSettings(
    apart=Rate(count=10, per_s=10),
    hourly=Rate(count=600, per_s=HOUR_S),
    daily=Rate(count=5_000, per_s=HOUR_S),
)


def counted(rates: CallRates) -> CallSettings:
    """Return the limits of the settings as they are counted."""
    return CallSettings(
        apart=Rate(count=1, per_s=rates.apart_s),
        hourly=Rate(count=rates.hourly, per_s=HOUR_S),
        daily=Rate(count=rates.daily, per_s=DAY_S),
    )


class CallLimits:
    """The limits on calls, in the memory of one process.

    Args:
        live: The rates of live and team keys together.
        test: Those of test keys.
        judged: Whether other nodes call as well, so that the database judges.
    """

    hears: Final = (CallReported,)

    def __init__(
        self, *, live: CallSettings | None = None, test: CallSettings = TEST, judged: bool = False
    ) -> None:
        shared = _buckets(live or counted(CallRates()))
        self._buckets = {Mode.LIVE: shared, Mode.TEAM: shared, Mode.TEST: _buckets(test)}
        # Until which microsecond, for real phones and for virtual ones.
        self._resting: dict[int, int] = {}
        self._judged = judged

    def refusal(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> RateLimited | None:
        """Return why a number may not be called now, by the limit with the longest wait; count nothing."""
        now_us, number = _us(now), int(msisdn)
        waits = [
            (one.full_at_us.get(number, 0) - one.slack_us - now_us, one.limit) for one in self._buckets[mode]
        ]
        longest_us, limit = max(waits)
        return _refused(limit, -(-longest_us // 1_000_000)) if longest_us > 0 else None

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
            raise _refused(met.limit, met.retry_after_s)

    def judge(self, mode: Mode, msisdn: Msisdn, key: MessageKey, *, now: datetime) -> Judge | None:
        """See `Calls.judge`; what it is shown is what is known here from then on."""
        if not self._judged:
            return None
        buckets, number = self._buckets[mode], int(msisdn)
        asked = [(one, number) for one in buckets]

        def rule(past: Sequence[PastCall], _whole: bool) -> None:
            for one in buckets:
                one.full_at_us.pop(number, None)
            self.seed(call for call in past if self._buckets[call.mode] is buckets)
            if any(call.key == key for call in past):
                return  # counted before its node died
            met = longest_met(asked, _us(now))
            if met is not None:
                raise _refused(met.limit, met.retry_after_s)
            for one in buckets:
                one.spend(number, _us(now))

        return Judge(PastCall(mode, msisdn, now, key), None, rule)

    def rest_s(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> int:
        """Return for how many seconds a number that reported a call is not called unasked; 0 is none."""
        until_us = 0 if mode is Mode.TEST else self._resting.get(int(msisdn), 0)
        return max(0, -(-(until_us - _us(now)) // 1_000_000))

    def on_event(self, verification: Verification, event: CallReported) -> None:
        """Let a phone rest whose person reported a call."""
        self._rest(verification.mode, verification.msisdn, event.at_ms * 1_000)

    def _rest(self, mode: Mode, msisdn: Msisdn, at_us: int) -> None:
        if mode is Mode.TEST:
            return  # a virtual phone, whose next caller tries something else
        self._resting[int(msisdn)] = at_us + COOLING // _US
        forget_oldest(self._resting, keep=KEPT_MAX)

    def seed_reports(self, reports: Iterable[CallReport]) -> None:
        """Let phones rest that reported a call before a restart."""
        for report in reports:
            self._rest(report.mode, report.msisdn, _us(report.at))

    def seed(self, calls: Iterable[PastCall]) -> None:
        """Count calls against their numbers, whether the limits allow them or not."""
        for call in sorted(calls, key=lambda call: call.at):
            for one in self._buckets[call.mode]:
                one.spend(int(call.msisdn), _us(call.at))
                forget_oldest(one.full_at_us, keep=KEPT_MAX)


def _refused(limit: str, retry_after_s: int) -> RateLimited:
    return RateLimited(LIMITS[limit], limit=limit, retry_after_s=retry_after_s)


def _buckets(settings: CallSettings) -> tuple[Buckets, ...]:
    rates = (settings.apart, settings.hourly, settings.daily)
    return tuple(Buckets(limit, rate) for limit, rate in zip(LIMITS, rates, strict=True))


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // _US
