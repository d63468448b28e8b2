"""What the admin API takes and gives, as records; whose it is stands in the path and never in a body."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dastak.core.call_rules import MICROS_MAX, CallRules
from dastak.core.codes import Alphabet
from dastak.core.policy import Channel, Policy, ResendCode, compliance_warnings
from dastak.core.tenant import NAME_CHARACTERS_MAX, ApiKey, Mode, Scope, Service, Tenant
from dastak.tenancy.issuance import APPLICATION_SCOPES
from dastak.tenancy.keys import OVERLAP_MAX
from dastak.tenancy.operators import DAILY_SPEND_CAP_MICROS, DEFAULT_NAME

OVERLAP_S_DEFAULT: Final = 86_400

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_CHARACTERS_MAX,
        description="Lower-case letters, digits and inner hyphens.",
    ),
]
Micros = Annotated[
    int,
    Meta(
        ge=0,
        le=2**53 - 1,
        description="What its messages may cost in a UTC day, in millionths of the currency.",
    ),
]
CallMicros = Annotated[
    int, Meta(ge=0, le=MICROS_MAX, description="What one call may cost, in millionths of the currency.")
]
Instant = Annotated[datetime, Meta(tz=True)]


class TenantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a tenant."""

    name: Name
    daily_spend_cap_micros: Micros = DAILY_SPEND_CAP_MICROS


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a tenant; what is absent or null stays."""

    daily_spend_cap_micros: Micros | None = None
    suspended: Annotated[bool, Meta(description="Whether its keys are refused.")] | None = None


class TenantView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    name: str
    daily_spend_cap_micros: int
    suspended: bool


class TenantsView(msgspec.Struct, frozen=True, kw_only=True):
    """All tenants."""

    tenants: tuple[TenantView, ...]


class PolicyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change rules of a policy; what is absent or null stays."""

    length: int | None = None
    alphabet: Alphabet | None = None
    ttl_s: int | None = None
    attempts_max: int | None = None
    resends_max: int | None = None
    resend_waits_s: tuple[int, ...] | None = None
    resend_code: ResendCode | None = None
    channels: tuple[Channel, ...] | None = None
    call_after_s: int | None = None
    legacy: bool | None = None
    match: bool | None = None


assert PolicyChange.__struct_fields__ == Policy.__struct_fields__


class CallRulesChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the rules of a service's calls; what is absent or null stays."""

    hours: (
        Annotated[
            str,
            Meta(
                max_length=60,
                description="When calls may be made that nobody asked for; empty is always.",
                examples=["08:00-21:00 Asia/Kolkata"],
            ),
        ]
        | None
    ) = None
    caller: (
        Annotated[str, Meta(description="A number that a trunk was allotted; empty is the trunk's first.")]
        | None
    ) = None
    bfsi: (
        Annotated[bool, Meta(description="A bank or the like: calls to India come from 1600 or 1601 only.")]
        | None
    ) = None
    price_max_micros: CallMicros | None = None
    daily_cap_micros: (
        Annotated[int, Meta(ge=0, le=MICROS_MAX, description="What its calls may cost in a UTC day.")] | None
    ) = None


assert CallRulesChange.__struct_fields__ == CallRules.__struct_fields__


class CallRulesView(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a service's calls, all of them."""

    hours: str
    caller: str
    bfsi: bool
    price_max_micros: int
    daily_cap_micros: int


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a service; what is absent or null stays, and a list is replaced whole."""

    brand: Annotated[str, Meta(description="The name in its texts.")] | None = None
    policy: PolicyChange | None = None
    sender: Annotated[str, Meta(description="The header or number its texts come from.")] | None = None
    locale: Annotated[str, Meta(description="Language of its texts.", examples=["hi"])] | None = None
    countries: (
        Annotated[tuple[str, ...], Meta(description="ISO regions it may send to.", examples=[["IN"]])] | None
    ) = None
    domains: (
        Annotated[
            tuple[str, ...],
            Meta(
                description="Hosts that are its own: for the autofill line, its pages, and where they lead "
                "back to. One that is new to the tenant is proved, or given by an operator.",
                examples=[["login.acme.in"]],
            ),
        ]
        | None
    ) = None
    team_numbers: (
        Annotated[tuple[str, ...], Meta(description="The only numbers a team key reaches.")] | None
    ) = None
    calls: CallRulesChange | None = None


class ServiceBody(ServiceChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a service; no country is open unless it is named, and the brand is the name if it is absent."""

    name: Name


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """A service."""

    name: str
    brand: str
    policy: Policy
    sender: str
    locale: str
    countries: tuple[str, ...]
    domains: tuple[str, ...]
    team_numbers: tuple[str, ...]
    calls: CallRulesView
    warnings: Annotated[tuple[str, ...], Meta(description="Where the policy falls short of NIST SP 800-63B.")]


class ServicesView(msgspec.Struct, frozen=True, kw_only=True):
    """All services of a tenant."""

    services: tuple[ServiceView, ...]


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a key, which reaches no further than the one that asks for it."""

    name: Annotated[Name, Meta(description="What it is for; unique among the live keys of one mode.")]
    service: Annotated[Name, Meta(description="Used when a request names none.")] = DEFAULT_NAME
    mode: Mode = Mode.TEST
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)] = APPLICATION_SCOPES
    expires_at: Instant | None = None


class RotateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a key's successor."""

    overlap_s: Annotated[
        int,
        Meta(ge=0, le=int(OVERLAP_MAX.total_seconds()), description="How long the old key counts as well."),
    ] = OVERLAP_S_DEFAULT


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its text."""

    id: str
    name: str
    service: str
    mode: Mode
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A key just made."""

    key: Annotated[str, Meta(description="Its text, this once; null in the answer to a repeat.")] | None
    replayed: bool = False


class KeysView(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a tenant that count now."""

    keys: tuple[KeyView, ...]


class UnlockView(msgspec.Struct, frozen=True, kw_only=True):
    """What an unlock came to."""

    unlocked: Annotated[bool, Meta(description="Whether there were wrong attempts to forget.")]


def changed(service: Service, change: ServiceChange) -> Service:
    """Return a service with what was given."""
    given = _given(change)
    if change.policy is not None:
        given["policy"] = msgspec.structs.replace(service.policy, **_given(change.policy))
    if change.calls is not None:
        given["calls"] = msgspec.structs.replace(service.calls, **_given(change.calls))
    return msgspec.structs.replace(service, **given)


def tenant_view(tenant: Tenant) -> TenantView:
    """Show a tenant."""
    return TenantView(
        name=tenant.name,
        daily_spend_cap_micros=tenant.daily_spend_cap_micros,
        suspended=tenant.suspended,
    )


def service_view(service: Service) -> ServiceView:
    """Show a service."""
    fields = msgspec.structs.asdict(service)
    shown = {name: fields[name] for name in ServiceView.__struct_fields__ if name in fields}
    shown["calls"] = CallRulesView(**msgspec.structs.asdict(service.calls))
    return ServiceView(**shown, warnings=compliance_warnings(service.policy))


def key_view(key: ApiKey, service: str) -> KeyView:
    """Show a key."""
    return KeyView(**_key_fields(key, service))


def new_key_view(key: ApiKey, service: str, text: str | None) -> NewKeyView:
    """Show a key just made; a repeat of its request comes without the text, which nobody kept."""
    return NewKeyView(**_key_fields(key, service), key=text, replayed=text is None)


def _key_fields(key: ApiKey, service: str) -> dict[str, Any]:
    fields = {name: getattr(key, name) for name in KeyView.__struct_fields__}
    return {**fields, "service": service}


def _given(change: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
