"""Choose the trunks that may carry a call: by lane, price, caller and the rules of the country it goes to.

1. A trunk with a price list calls only what is on it: what nobody priced is what fraud calls.
2. Two trunks of one priority are asked in the order of their names; there is no score of calls yet.
3. Why none may carry a call is told by the first trunk that would be asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dastak.core.call_price import CallPrice, price_for, worst_micros
from dastak.core.call_rules import CallRules
from dastak.core.call_terms import CallBar, CallTerms
from dastak.core.callers import indian, is_promotional, is_service
from dastak.core.carrier import Carrier, Lane
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Route
from dastak.delivery.lane_rules import fits
from dastak.delivery.networks import Place, country_of

INDIA: Final = "IN"


class CallWays:
    """The trunks."""

    def __init__(self) -> None:
        self._entries: Sequence[tuple[Carrier, Route]] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        return tuple(route for _, route in self._entries)

    def replace(self, entries: Iterable[tuple[Carrier, Route]]) -> None:
        """Call by these from now on."""
        self._entries = sorted(entries, key=lambda entry: (entry[0].lane.priority, entry[0].name))

    def order(self, tenant: int, rules: CallRules, msisdn: Msisdn) -> tuple[Route, ...]:
        """Return the trunks that may carry a call, best first."""
        return tuple(
            route for carrier, route in self._entries if bar_of(carrier, tenant, rules, msisdn) is None
        )

    def terms(self, tenant: int, rules: CallRules, msisdn: Msisdn) -> CallTerms:
        """Say whether a number may be called, and at which price."""
        bars = [(carrier, bar_of(carrier, tenant, rules, msisdn)) for carrier, _ in self._entries]
        prices = [price_of(carrier.lane, msisdn) for carrier, bar in bars if bar is None]
        if not prices:
            return CallTerms(bar=next((bar for _, bar in bars), CallBar.LANE))
        known = [price for price in prices if price is not None]
        capped = max(
            (price for price in known if price.daily_cap_micros is not None),
            key=lambda price: (len(price.prefix), -(price.daily_cap_micros or 0)),
            default=None,
        )
        return CallTerms(
            worst_micros=max(map(worst_micros, known), default=0),
            prefix="" if capped is None else capped.prefix,
            prefix_cap_micros=None if capped is None else capped.daily_cap_micros,
        )


def price_of(lane: Lane, msisdn: Msisdn) -> CallPrice | None:
    """Return what a carrier takes for calls to a number; None if its list has no row for it."""
    if not lane.calls:
        return CallPrice(unit_micros=lane.price_micros)
    return price_for(lane.calls, msisdn)


def caller_of(settings: Mapping[str, Any], rules: CallRules) -> str:
    """Return the number that calls of a service by a trunk come from; empty if it was not allotted there."""
    own = str(settings.get("caller", ""))
    if not rules.caller or rules.caller == own:
        return own
    return rules.caller if rules.caller in settings.get("callers", ()) else ""


def bar_of(carrier: Carrier, tenant: int, rules: CallRules, msisdn: Msisdn) -> CallBar | None:
    """Say why a trunk may not carry a call; None if it may."""
    lane, country = carrier.lane, country_of(msisdn)
    if not _fits(lane, tenant, country, msisdn):
        return CallBar.LANE
    price = price_of(lane, msisdn)
    if price is None:
        return CallBar.NO_PRICE
    if worst_micros(price) > rules.price_max_micros:
        return CallBar.PRICE
    return _bar_of_caller(caller_of(carrier.settings, rules), rules, country)


def _bar_of_caller(caller: str, rules: CallRules, country: str) -> CallBar | None:
    if not caller and rules.caller:
        return CallBar.CALLER
    if is_promotional(caller):
        return CallBar.PROMOTIONAL_CALLER
    if country == INDIA and not indian(caller):
        return CallBar.FOREIGN_CALLER
    if country == INDIA and rules.bfsi and not is_service(caller):
        return CallBar.NO_SERVICE_CALLER
    return None


def _fits(lane: Lane, tenant: int, country: str, msisdn: Msisdn) -> bool:
    digits = msisdn.removeprefix("+")
    return fits(lane, tenant=tenant, place=Place(country), digits=digits, at_home=country == INDIA)
