"""What a call costs: by where it goes and how long it lasted, in begun units, as telephone companies bill."""

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.core.msisdn import Msisdn

# From the answer on; then the call is hung up. What is set aside for a call before the dial counts with it.
TALK_S_MAX: Final = 90.0
PRICES_MAX: Final = 500


class CallPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a price list of calls, in millionths of the currency.

    Attributes:
        prefix: Leading digits of the number, country code first, without plus; empty is everywhere else.
        call_micros: For each call that is answered.
        unit_micros: For each begun unit of it.
        unit_s: How long a unit is: 60 bills by the minute, 1 by the second.
        daily_cap_micros: What all calls there may cost in a UTC day, over all tenants; null is no bound.
    """

    prefix: Annotated[str, Meta(pattern="^([1-9][0-9]{0,14})?$")] = ""
    call_micros: Annotated[int, Meta(ge=0, le=2**40)] = 0
    unit_micros: Annotated[int, Meta(ge=0, le=2**40)] = 0
    unit_s: Annotated[int, Meta(ge=1, le=600)] = 60
    daily_cap_micros: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None


def price_for(rows: Sequence[CallPrice], msisdn: Msisdn) -> CallPrice | None:
    """Return the row of the longest prefix that a number begins with, if there is one."""
    digits = msisdn.removeprefix("+")
    fitting = [row for row in rows if digits.startswith(row.prefix)]
    return max(fitting, key=lambda row: len(row.prefix), default=None)


def cost_micros(price: CallPrice, answered_s: float) -> int:
    """Return what a call costs that lasted so long from the answer on; one that was not answered is free."""
    if answered_s <= 0:
        return 0
    return price.call_micros + math.ceil(answered_s / price.unit_s) * price.unit_micros


def worst_micros(price: CallPrice) -> int:
    """Return what a call costs at most."""
    return cost_micros(price, TALK_S_MAX)
