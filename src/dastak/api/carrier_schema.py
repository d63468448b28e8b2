"""What the admin API takes and gives of carriers; secrets go in and never come out."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dastak.carriers.carrier_book import NAME_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from dastak.carriers.fleet import Fleet
from dastak.carriers.trial import Observed
from dastak.carriers.trial_report import TEXT
from dastak.core.carrier import Carrier, CarrierChange, CarrierKind, CarrierState, Lane
from dastak.sms.bind_group import BindView

# A request that waits is no place for a carrier's slowest receipts; the command line waits longer.
TRIAL_S: Final = 20.0
TRIAL_S_MAX: Final = 60.0
# Ten parts, and as many facts as a template has variables.
TRIAL_TEXT_MAX: Final = 1530
FIELDS_MAX: Final = 32

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_CHARACTERS_MAX,
        description="Lower-case letters, digits and single _, a letter first.",
        examples=["airtel_otp"],
    ),
]
Why = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=WHY_CHARACTERS_MAX,
        description="Stands in its history for who comes after you.",
        examples=["receipts are late since noon"],
    ),
]
SettingsPart = Annotated[
    dict[str, Any],
    Meta(
        description="How to reach it, as its kind wants it; null takes a setting back to its default.",
        examples=[{"host": "smsc.example.in", "port": 2775, "system_id": "acme", "password": "s3cret"}],
    ),
]
LanePart = Annotated[
    dict[str, Any],
    Meta(
        description="Which messages it may take: priority, weight, price_micros, countries, prefixes, "
        "operators, tenants (their numbers), international.",
        examples=[{"priority": 10, "weight": 70, "countries": ["IN"]}],
    ),
]


class CarrierBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Add a carrier."""

    name: Name
    kind: CarrierKind = CarrierKind.SMPP
    settings: SettingsPart
    lane: LanePart = {}
    why: Why = "added"


class CarrierPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a carrier; what is absent or null stays."""

    settings: SettingsPart | None = None
    lane: LanePart | None = None
    state: (
        Annotated[
            CarrierState,
            Meta(description="`draining` takes nothing new; `off` is not even connected; `active` restores."),
        ]
        | None
    ) = None
    why: Why


class RemoveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove a carrier."""

    why: Why


class TrialBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Try a carrier, in whatever state it is."""

    to: Annotated[
        str | None,
        Meta(description="In E.164; it gets one text. Absent, it only binds and unbinds."),
    ] = None
    sender: Annotated[
        str,
        Meta(max_length=20, description="The header or number it comes from; else what its settings say."),
    ] = ""
    text: Annotated[
        str,
        Meta(min_length=1, max_length=TRIAL_TEXT_MAX, description="Such as a registered wording; no code."),
    ] = TEXT
    dlt: Annotated[
        dict[str, str], Meta(description="Such as `pe_id` and `template_id`.", max_length=FIELDS_MAX)
    ] = {}
    timeout_s: Annotated[
        float, Meta(ge=1, le=TRIAL_S_MAX, description="How long to wait for the receipt.")
    ] = TRIAL_S


class CarrierView(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier, as it is written down and as it lives in this process."""

    name: str
    kind: CarrierKind
    state: CarrierState
    reason: Annotated[str, Meta(description="Why it is in its state.")]
    lane: Lane
    settings: Annotated[dict[str, Any], Meta(description="Without its secrets.")]
    from_file: Annotated[bool, Meta(description="It stands in the settings file and changes only there.")]
    available: Annotated[bool, Meta(description="Whether it can take a message now.")]
    link: Annotated[str, Meta(description="Why it can or cannot, in words.")]
    in_flight: Annotated[int, Meta(description="How many messages wait for its answer.")]
    binds: Annotated[tuple[BindView, ...], Meta(description="Each of them; none where it has none.")]


class CarriersView(msgspec.Struct, frozen=True, kw_only=True):
    """All carriers, in the order they are asked."""

    carriers: tuple[CarrierView, ...]


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a carrier's history."""

    at: datetime
    who: Annotated[str, Meta(description="A key's id, `cli`, or the rule of the program that did it.")]
    what: str
    why: str
    before: Annotated[str, Meta(description="As JSON, without secrets.")]
    after: str


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a carrier, newest first."""

    changes: tuple[ChangeView, ...]


class RemovedView(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier that is no more."""

    removed: str


def carrier_view(carrier: Carrier, fleet: Fleet) -> CarrierView:
    """Show a carrier with what its route says of itself."""
    opened = fleet.find(carrier.name)
    route = None if opened is None else opened[1]
    closed = fleet.faults.get(
        carrier.name, "it is off" if carrier.state is CarrierState.OFF else "not open yet"
    )
    return CarrierView(
        name=carrier.name,
        kind=carrier.kind,
        state=carrier.state,
        reason=carrier.reason,
        lane=carrier.lane,
        settings=carrier.settings,
        from_file=carrier.n == 0,
        available=route is not None and route.available,
        link=closed if route is None else route.reason,
        in_flight=0 if route is None else route.in_flight,
        binds=route.binds() if isinstance(route, Observed) else (),
    )


def change_view(change: CarrierChange) -> ChangeView:
    """Show one line of a carrier's history."""
    return ChangeView(
        at=change.at,
        who=change.who,
        what=change.what,
        why=change.why,
        before=change.before,
        after=change.after,
    )
