"""What the native API takes and gives, as records; the OpenAPI document is made from them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from dastak.core import ids
from dastak.core.events import Event
from dastak.core.msisdn import mask
from dastak.core.policy import Channel, Narrowing, compliance_warnings
from dastak.core.verification import (
    Judgement,
    Particulars,
    Reason,
    State,
    Verification,
    attempts_remaining,
    resend_at,
)
from dastak.flows.start import Started

# A person may paste a whole text: ten segments of the longest kind are more than enough.
TYPED_CHARACTERS_MAX: Final = 1600
EXAMPLE_ID: Final = "ver_5f0c1d2e3b4a59687786a5b4c3d2e1f0"

Text64 = Annotated[str, Meta(min_length=1, max_length=64)]
Purpose = Literal["login", "signup", "payment", "reset", "generic"]


class StartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Start a verification."""

    to: (
        Annotated[
            str,
            Meta(max_length=64, description="The number in E.164: + and digits.", examples=["+919876543210"]),
        ]
        | None
    ) = None
    factor: (
        Annotated[
            str,
            Meta(
                max_length=36,
                description="A factor to ask for; then `to` may be left out. See `/v1/factors`.",
            ),
        ]
        | None
    ) = None
    service: Annotated[Text64, Meta(description="A service of yours; your key's own if absent.")] | None = (
        None
    )
    channel: Annotated[
        Literal["sms", "voice", "totp", "hotp", "hash_chain", "auto"],
        Meta(description="`auto` leaves the choice to the service's policy; the last three send nothing."),
    ] = "auto"
    code: (
        Annotated[str, Meta(min_length=4, max_length=10, description="Your own code, letters and digits.")]
        | None
    ) = None
    match: (
        Annotated[
            bool,
            Meta(
                description="Call, and have the person type into the phone the `match_number` that your page "
                "shows; no code is spoken. The policy decides if absent."
            ),
        ]
        | None
    ) = None
    locale: (
        Annotated[str, Meta(max_length=35, description="Language of the text.", examples=["hi-IN"])] | None
    ) = None
    client_ip: (
        Annotated[str, Meta(max_length=45, description="Address of the person, for the limits.")] | None
    ) = None
    client_reference: Annotated[Text64, Meta(description="Yours; given back, never sent.")] | None = None
    app_hash: Annotated[str, Meta(max_length=11, description="Android SMS Retriever hash.")] | None = None
    domain: Annotated[str, Meta(max_length=253, description="Host for the autofill line.")] | None = None
    purpose: (
        Annotated[Purpose, Meta(description="What the text says; `payment` where an amount is given.")] | None
    ) = None
    amount: (
        Annotated[str, Meta(max_length=16, description="Binds the code to it.", examples=["1250.00"])] | None
    ) = None
    currency: Annotated[str, Meta(max_length=3, description="Of the amount.")] = "INR"
    payee: Annotated[str, Meta(max_length=40, description="Binds the code to it.")] | None = None
    policy: (
        Annotated[Narrowing, Meta(description="What shall be stricter than the service's policy.")] | None
    ) = None


class CheckBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Check what the person typed."""

    code: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=TYPED_CHARACTERS_MAX,
            description="As typed or pasted: spaces, hyphens, any digits, or the whole text.",
            examples=["123456"],
        ),
    ]
    amount: (
        Annotated[str, Meta(max_length=16, description="As started, if the code is bound to it.")] | None
    ) = None
    payee: (
        Annotated[str, Meta(max_length=40, description="As started, if the code is bound to it.")] | None
    ) = None
    at: (
        Annotated[
            int,
            Meta(
                ge=0, le=2**40, description="For test keys: judge a code by time at this second since 1970."
            ),
        ]
        | None
    ) = None


class ResendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send the code once more."""

    channel: Literal["sms", "voice", "auto"] = "auto"


class VerificationView(msgspec.Struct, frozen=True, kw_only=True):
    """A verification as its tenant sees it."""

    id: Annotated[str, Meta(examples=[EXAMPLE_ID])]
    state: State
    channel: Channel
    to_masked: Annotated[str, Meta(examples=["+9198******10"])]
    service: str
    mode: str
    locale: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    resend_at: Annotated[datetime, Meta(description="When a resend is allowed; null when none is.")] | None
    attempts_remaining: int
    sends: int
    client_reference: str | None
    factor: Annotated[str, Meta(description="The factor that is asked for.")] | None
    match_number: (
        Annotated[
            str,
            Meta(
                description="Show it to the person, who types it into the phone; null when there is none or "
                "it is over, in lists, and in the kept answer to an Idempotency-Key.",
                examples=["407"],
            ),
        ]
        | None
    )
    warnings: Annotated[tuple[str, ...], Meta(description="Where the policy falls short of NIST SP 800-63B.")]


class StartedView(VerificationView, frozen=True, kw_only=True):
    """A verification just started, with the size of its text; 0 and empty where nothing is sent."""

    segments: int
    alphabet: str
    challenge: (
        Annotated[
            str,
            Meta(
                description="What to ask a person with a printed list for; the number is that of the code.",
                examples=["otp-sha1 98 f0c1"],
            ),
        ]
        | None
    ) = None


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """What a check came to."""

    id: str
    state: State
    approved: bool
    attempts_remaining: int
    reason: Reason | None = None


class ListView(msgspec.Struct, frozen=True, kw_only=True):
    """One page of verifications, newest first."""

    verifications: tuple[VerificationView, ...]
    next_cursor: (
        Annotated[str, Meta(description="Give it as `cursor` for the next page; null at the end.")] | None
    )


class TimelineView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that happened to a verification and its messages, in order."""

    id: str
    events: Annotated[
        tuple[dict[str, Any], ...], Meta(description="Each has `type` and `at`; see events.md.")
    ]


def particulars_of(body: StartBody, default_locale: str) -> Particulars:
    """Take from a start request what the text and the answer need."""
    return Particulars(
        locale=body.locale or default_locale,
        purpose=body.purpose or ("login" if body.amount is None else "payment"),
        domain=body.domain,
        app_hash=body.app_hash,
        amount=body.amount,
        currency=None if body.amount is None else body.currency,
        payee=body.payee,
        client_reference=body.client_reference,
    )


def channel_of(asked: str) -> Channel | None:
    """Read a channel; `auto` is nobody's wish."""
    return None if asked == "auto" else Channel(asked)


def view(verification: Verification, service: str, match_number: str | None = None) -> VerificationView:
    """Show a verification to its tenant."""
    return VerificationView(**_shared(verification, service, match_number))


def started_view(started: Started, service: str, match_number: str | None = None) -> StartedView:
    """Show a verification just started."""
    shared = _shared(started.verification, service, match_number)
    if started.trivial:
        shared["warnings"] = (*shared["warnings"], "trivial_code")
    return StartedView(
        **shared, segments=started.segments, alphabet=started.alphabet, challenge=started.challenge
    )


def check_view(judgement: Judgement) -> CheckView:
    """Show what an attempt came to."""
    verification = judgement.step.verification
    return CheckView(
        id=ids.show(verification.id),
        state=verification.state,
        approved=judgement.approved,
        attempts_remaining=attempts_remaining(verification),
        reason=judgement.reason,
    )


def event_view(event: Event) -> dict[str, Any]:
    """Show one event: its type, its instant, and its own fields."""
    fields = msgspec.structs.asdict(event)
    at_ms = fields.pop("at_ms")
    return {"type": type(event).__struct_config__.tag, "at": _instant(at_ms), **fields}


def _shared(verification: Verification, service: str, match_number: str | None) -> dict[str, Any]:
    said = verification.particulars
    # Three digits are fewer bits than any code has.
    short = ("short_match_number",) if said.match else ()
    return {
        "id": ids.show(verification.id),
        "state": verification.state,
        "channel": said.channel,
        "to_masked": mask(verification.msisdn),
        "service": service,
        "mode": verification.mode,
        "locale": said.locale,
        "purpose": said.purpose,
        "created_at": verification.created_at,
        "expires_at": verification.expires_at,
        "resend_at": resend_at(verification),
        "attempts_remaining": attempts_remaining(verification),
        "sends": verification.sends,
        "client_reference": said.client_reference,
        "factor": None if said.factor is None else ids.FACTOR_PREFIX + said.factor,
        "match_number": match_number,
        "warnings": (*compliance_warnings(verification.policy), *short),
    }


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
