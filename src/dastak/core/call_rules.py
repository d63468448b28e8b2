"""What a service wants of its calls: at which hours, from which number, under whose rules, at which price.

1. Hours bind only calls that nobody asked for: who presses "call me" is awake.
2. The zone is the operator's choice. A number does not tell where its phone is, nor, where a country has
   several zones, which of them is its home; the hours of a service are a promise about one clock.
"""

import re
from datetime import datetime, time
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from dastak.core.callers import check_callers
from dastak.core.errors import InvalidRequest

# As much as JSON can tell: no bound.
MICROS_MAX: Final = 2**53 - 1

_CALLER: Final = re.compile(r"\+?[0-9]{3,15}", re.ASCII)
_HOURS: Final = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d) ([A-Za-z][A-Za-z0-9_+/-]{1,40})", re.ASCII)


class CallRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one service's calls.

    Attributes:
        hours: When calls may be made that nobody asked for, as `08:00-21:00 Asia/Kolkata`; empty is always.
        caller: The number they come from, one of those that a trunk was allotted; empty is the trunk's first.
        bfsi: Whether it is a bank or the like (of RBI, SEBI, IRDAI, PFRDA), which calls from 1600 or 1601.
        price_max_micros: What one call may cost at most, in millionths of the currency.
        daily_cap_micros: What its calls may cost in a UTC day.
    """

    hours: str = ""
    caller: str = ""
    bfsi: bool = False
    price_max_micros: int = MICROS_MAX
    daily_cap_micros: int = MICROS_MAX


ANY_CALLS: Final = CallRules()


class _Window(NamedTuple):
    begins: time
    ends: time
    zone: ZoneInfo


def check_call_rules(rules: CallRules) -> CallRules:
    """Return rules that may be stored. Raises: InvalidRequest."""
    if rules.hours:
        _window(rules.hours)
    if rules.caller and not _CALLER.fullmatch(rules.caller):
        raise _refused("`caller` must be a number of 3 to 15 digits, as +911600123456.")
    try:
        check_callers((rules.caller,))
    except ValueError as error:
        raise _refused(f"{error}.") from error
    for name in ("price_max_micros", "daily_cap_micros"):
        if not 0 <= getattr(rules, name) <= MICROS_MAX:
            raise _refused(f"`{name}` must be 0 to 2^53 - 1.")
    return rules


def closed_now(hours: str, now: datetime) -> str:
    """Say why a call that nobody asked for may not be made now; empty if it may."""
    if not hours:
        return ""
    try:
        window = _window(hours)
    except InvalidRequest as error:  # this machine has not the zones of the one where it was set
        return error.detail
    there = now.astimezone(window.zone).time()
    if window.begins < window.ends:
        is_open = window.begins <= there < window.ends
    else:
        is_open = there >= window.begins or there < window.ends
    if is_open:
        return ""
    return f"it is {there:%H:%M} in {window.zone.key}, and calls that nobody asked for are made {hours}"


@lru_cache(maxsize=256)  # a service has one
def _window(hours: str) -> _Window:
    read = _HOURS.fullmatch(hours)
    if read is None:
        raise _refused("`hours` must be two times of the day and a time zone: 08:00-21:00 Asia/Kolkata.")
    try:
        # Midnight is the end of a day as well.
        begins, ends = (time.fromisoformat("00:00" if one == "24:00" else one) for one in read.groups()[:2])
    except ValueError as error:
        raise _refused("`hours` must be times from 00:00 to 24:00.") from error
    if begins == ends:
        raise _refused("`hours` must begin and end at different times; leave it empty for always.")
    try:
        return _Window(begins, ends, ZoneInfo(read[3]))
    except (ValueError, OSError, KeyError) as error:
        raise _refused(
            f"`hours`: this machine knows no time zone {read[3]}; write it as Asia/Kolkata."
        ) from error


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, field="calls")
