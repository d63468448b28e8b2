"""Whether a number may be called, why not, and what the call costs at most."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import Refused


class CallBar(StrEnum):
    """Why no trunk may carry a call; the `reason` of the refusal of one that was asked for."""

    LANE = "call_lane"
    NO_PRICE = "call_no_price"
    PRICE = "call_price"
    CALLER = "call_caller"
    FOREIGN_CALLER = "call_foreign_caller"
    PROMOTIONAL_CALLER = "call_promotional_caller"
    NO_SERVICE_CALLER = "call_no_service_caller"
    SERVICE_CAP = "call_service_cap"
    PREFIX_CAP = "call_prefix_cap"
    REST = "call_rest"  # only of calls that nobody asked for


class BarWords(NamedTuple):
    """What a bar means, as a sentence, and what to do, as a command."""

    means: str
    action: str


CALL_BARS: Final[Mapping[CallBar, BarWords]] = {
    CallBar.LANE: BarWords(
        "no trunk may carry calls of this tenant to this number",
        "look at countries, prefixes and tenants in the lanes: dastak carrier list",
    ),
    CallBar.NO_PRICE: BarWords(
        "the trunk has a price list, and no row of it is for this number",
        "add the row of its contract, or one without a prefix: dastak carrier set NAME --lane 'calls=[…]'",
    ),
    CallBar.PRICE: BarWords(
        "a call to this number may cost more than the service pays for one",
        "send a text; if such numbers shall be called, raise it: "
        "dastak services set NAME --calls price_max_micros=…",
    ),
    CallBar.CALLER: BarWords(
        "no trunk was allotted the number that the service calls from",
        "choose one of the trunk's callers, or add it there once the operator allotted it",
    ),
    CallBar.FOREIGN_CALLER: BarWords(
        "calls to India leave by a trunk with an Indian number; others are dropped at the border",
        "add a trunk of an Indian operator with its number as caller: +91…",
    ),
    CallBar.PROMOTIONAL_CALLER: BarWords(
        "numbers of India's 140 series are for promotion, and a code never comes from there",
        "have the operator allot a number of the 1600 series, and set it as caller",
    ),
    CallBar.NO_SERVICE_CALLER: BarWords(
        "the service is a bank's or the like, which must call from a number of 1600 or 1601",
        "add a trunk with such a number, or choose it: dastak services set NAME --calls caller=+911600…",
    ),
    CallBar.SERVICE_CAP: BarWords(
        "with what the service's calls have cost today, this one at its worst would pass their cap",
        "wait for the next UTC day, or raise it: dastak services set NAME --calls daily_cap_micros=…",
    ),
    CallBar.PREFIX_CAP: BarWords(
        "with what calls to such numbers have cost today, this one at its worst would pass their cap",
        "look who calls there, for that is what toll fraud looks like; then wait for the next UTC day, or "
        "raise daily_cap_micros in the price list: dastak carrier show NAME",
    ),
    CallBar.REST: BarWords(
        "the person pressed 9 in a call: they had not asked for it, so none is made unasked",
        "look who started that verification: dastak reports; who asks for a call gets it",
    ),
}
assert set(CALL_BARS) == set(CallBar)


def barred(bar: CallBar) -> Refused:
    """Return the refusal of a call that was asked for."""
    means, action = CALL_BARS[bar]
    return Refused(f"No call: {means}. Next: {action}", reason=bar)


class CallTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a call to one number.

    Attributes:
        bar: Why it may not be made; None if it may.
        worst_micros: What it costs at most, whichever trunk carries it.
        prefix: The digits whose daily cap it counts against, and `prefix_cap_micros` that cap, if any.
    """

    bar: CallBar | None = None
    worst_micros: int = 0
    prefix: str = ""
    prefix_cap_micros: int | None = None


FREE: Final = CallTerms()
