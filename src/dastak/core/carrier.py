"""One way out as its operator wrote it down: what it may carry, and how much of it.

How to reach the carrier stands in `settings`, whose form is that of its kind; only the part that speaks to it
reads them. Every change is kept with who made it and why.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from dastak.core.call_price import PRICES_MAX, CallPrice

# Two sandboxes, the real ones, and room for those that are being tried.
CARRIERS_MAX: Final = 200
WEIGHT_MAX: Final = 1000


class CarrierKind(StrEnum):
    """What is spoken with it."""

    SMPP = "smpp"
    HTTP = "http"
    SIP = "sip"  # calls
    HTTP_VOICE = "http_voice"  # calls


# Kinds that carry calls and no texts.
SPEAKING: Final = frozenset({CarrierKind.SIP, CarrierKind.HTTP_VOICE})


class CarrierState(StrEnum):
    """Whether its operator wants it used."""

    ACTIVE = "active"
    DRAINING = "draining"  # takes nothing new; its receipts are still understood
    OFF = "off"  # not even connected


class Lane(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages a carrier may take, and in which order it is asked; an empty list allows all.

    Attributes:
        priority: Lower is asked first.
        weight: Its share among those of one priority; 0 is for probes and second attempts only.
        price_micros: What one segment costs, in millionths of the currency; of a carrier of calls, what each
            begun minute costs wherever it goes, unless it has a price list.
        calls: The price list of calls. With one, only numbers are called that it has a row for.
        countries: ISO regions of the number.
        prefixes: Leading digits of the number, country code first, without plus.
        operators: MCC and MNC of the number's network, as far as it is known.
        tenants: Numbers of the tenants that may use it.
        international: It leaves the country of its sender (India's ILDO): not for senders established there.
    """

    priority: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100
    weight: Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)] = 100
    price_micros: Annotated[int, msgspec.Meta(ge=0)] = 0
    calls: Annotated[tuple[CallPrice, ...], msgspec.Meta(max_length=PRICES_MAX)] = ()
    countries: tuple[Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")], ...] = ()
    prefixes: tuple[Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,14}$")], ...] = ()
    operators: tuple[Annotated[str, msgspec.Meta(pattern="^[0-9]{5,6}$")], ...] = ()
    tenants: tuple[int, ...] = ()
    international: bool = False


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """One carrier.

    Attributes:
        n: Its number in the store; 0 for one of the settings file.
        name: Its name as a route: lower-case letters, digits and single _.
        reason: Why it is in its state, in its operator's words.
        settings: How to reach it, as its kind wants it; without secrets.
        sealed: Its secrets, encrypted, as a JSON object of their names.
        revision: Rises with every change of it.
    """

    n: int = 0
    name: str
    kind: CarrierKind
    state: CarrierState = CarrierState.ACTIVE
    reason: str = ""
    lane: Lane = Lane()
    settings: dict[str, Any] = {}
    sealed: bytes = b""
    revision: int = 0


class CarrierChange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a carrier's history.

    Attributes:
        who: A key's id, `cli`, or the rule of the program that made it.
        what: `added`, `settings`, `state`, `lane`, `removed`, `demoted`, `recovered`, `tested`, or of its
            link `down` and `up`.
        before: What it was, as JSON; empty for a new one. Never a secret.
    """

    carrier: str
    at: datetime
    who: str
    what: str
    why: str
    before: str = ""
    after: str = ""
