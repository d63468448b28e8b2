"""Who asks: tenants, the services they run, and the keys they ask with."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.call_rules import CallRules
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Policy

NAME_CHARACTERS_MAX: Final = 40


class Mode(StrEnum):
    """How far a key reaches."""

    TEST = "test"  # only the virtual phones; never a carrier
    TEAM = "team"  # carriers, but only to the numbers the service lists
    LIVE = "live"  # carriers, to every country the service opened


class Scope(StrEnum):
    """What a key may do."""

    START = "start"
    CHECK = "check"
    READ = "read"
    ADMIN = "admin"  # its own tenant's services, keys and numbers
    OPERATOR = "operator"  # every tenant


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of this installation.

    Attributes:
        n: Its number in the store.
        name: Its name in the API: lower-case letters, digits and hyphens.
        daily_spend_cap_micros: What its messages may cost in a UTC day, in millionths of the currency.
    """

    n: int
    name: str
    daily_spend_cap_micros: int
    suspended: bool = False


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of a tenant that people log in to.

    Attributes:
        n: Its number in the store.
        tenant: Its tenant's number.
        name: Its name in the API, unique in its tenant.
        brand: The name in the text.
        sender: The header or number texts come from.
        countries: ISO regions it may send to; none is open by default.
        domains: Hosts it may put into the autofill line.
        granted_domains: Those of them that were proved or that an operator gave; the others are from before
            that was asked, or are nobody's.
        team_numbers: The only numbers a team key reaches.
        calls: The rules of its calls.
    """

    n: int
    tenant: int
    name: str
    brand: str
    policy: Policy
    sender: str = "DASTAK"
    locale: str = "en"
    countries: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    granted_domains: tuple[str, ...] = ()
    team_numbers: tuple[Msisdn, ...] = ()
    calls: CallRules = CallRules()


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A credential; its secret is shown once and kept only as a digest.

    Attributes:
        id: Public part, named in lists and logs.
        digest: SHA-256 of the whole key; it has 160 random bits, so a plain hash is enough.
        service: The service used when a request names none.
    """

    id: str
    digest: bytes
    tenant: int
    service: int
    mode: Mode
    scopes: tuple[Scope, ...]
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Caller(msgspec.Struct, frozen=True):
    """A request's key, with what it stands for."""

    key: ApiKey
    tenant: Tenant
    service: Service
