"""Say where a number is: its country by its digits, its network as far as receipts told.

Numbers move between networks, so digits do not name the network. What a receipt told is believed for a while,
and is kept in memory only: a list of who is with which network is nobody's business after a restart.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers

from dastak.core import msisdn as numbers
from dastak.core.errors import InvalidMsisdn
from dastak.core.msisdn import Msisdn

OPERATORS_MAX: Final = 50_000
# Who ports a number waits at least three months before the next time (India: 90 days).
OPERATOR_LIFE_S: Final = 30 * 86_400

# Calling codes that belong to one region alone; the others need the whole number.
_REGIONS: Final[Mapping[str, str]] = {
    str(calling_code): regions[0]
    for calling_code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
    if len(regions) == 1
}


class Place(NamedTuple):
    """Where a number is: ISO region, and MCC with MNC where it is known."""

    country: str
    operator: str = ""


class Networks:
    """What is known of numbers; the oldest knowledge goes first."""

    def __init__(self) -> None:
        self._known: dict[Msisdn, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, msisdn: Msisdn, operator: str, *, now_s: float) -> None:
        """Believe a receipt that names the number's network."""
        if not operator:
            return
        self._known.pop(msisdn, None)
        self._known[msisdn] = operator, now_s
        self.forget(now_s=now_s)

    def forget(self, *, now_s: float) -> None:
        """Drop what is too old or too much."""
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) <= OPERATORS_MAX and self._known[oldest][1] > now_s - OPERATOR_LIFE_S:
                return
            del self._known[oldest]

    def operator_of(self, msisdn: Msisdn) -> str:
        """Return the network of a number; nothing when it is not known."""
        known = self._known.get(msisdn)
        return "" if known is None else known[0]

    def place_of(self, msisdn: Msisdn) -> Place:
        """Return where a number is."""
        return Place(country_of(msisdn), self.operator_of(msisdn))


def country_of(msisdn: Msisdn) -> str:
    """Return the region of a number in E.164; nothing when no numbering plan knows it."""
    regions = _REGIONS
    # No calling code is the start of another one, and most have two digits.
    return (
        regions.get(msisdn[1:3])
        or regions.get(msisdn[1:4])
        or regions.get(msisdn[1:2])
        or _country_of(msisdn)
    )


@lru_cache(maxsize=10_000)
def _country_of(msisdn: Msisdn) -> str:
    try:
        return numbers.parse(msisdn).country
    except InvalidMsisdn:
        return ""
