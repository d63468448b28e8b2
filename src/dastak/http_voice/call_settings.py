"""What an operator writes down of one HTTP carrier for calls: whose profile, which account, which number."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from msgspec import Meta

from dastak.core.callers import check_callers
from dastak.core.outcome import Outcome
from dastak.http_carriers.http_settings import as_texts, check_base
from dastak.http_carriers.profile_shelf import ProfileShelf, all_options, secrets_of
from dastak.http_voice.application_jwt import read_key
from dastak.http_voice.call_markup import check_voice
from dastak.http_voice.call_profile import CallProfile, read_call_profile
from dastak.http_voice.call_words import Voice

CALL_PROFILES: Final = ProfileShelf(
    Path(__file__).with_name("profiles"), read_call_profile, purpose=" for calls"
)
# A vendor looks into its account, its prices and its lines before it answers.
CONNECT_S: Final = 0.5
TOTAL_S: Final = 5.0
assert CONNECT_S < TOTAL_S
# Settings that are no texts.
FIGURES: Final = frozenset(
    {
        "calls_max",
        "ring_s",
        "rate_per_s",
        "connect_s",
        "total_s",
        "recordings",
        "without_gate",
        "voices",
        "callers",
    }
)


Number = Annotated[str, Meta(pattern=r"\A\+?[0-9]{3,15}\Z")]


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One HTTP carrier for calls.

    Attributes:
        profile: One of those that come with Dastak, such as `twilio`.
        profile_file: The whole path of one of yours, in its place.
        account: Who we are there; the profile says what the vendor calls it.
        secret: What proves it.
        proof_secret: What the vendor signs webhooks with, where that is another one.
        caller: The number that phones are shown; the vendor must have allotted it.
        callers: Other numbers that it allotted; a service may choose one of them.
        auto_dialler_declared_on: When its operator was told that a program dials, as India wants it.
        options: What the profile asks for beside.
        base_url: Scheme and host, where they are not the profile's; without TLS only on this machine.
        outcomes: What the vendor's words and codes mean, before the table of the profile.
        voices: The vendor's voices for languages, before those of the profile.
        recordings: Have our own recordings played in every language.
        without_gate: Accept a vendor that says the code to whoever answers, a voicemail too.
        calls_max: How many calls at once.
        ring_s: How long a phone may ring.
        rate_per_s: Calls that may be begun in a second; without it the profile's.
        connect_s: For a connection.
        total_s: For the whole answer.
    """

    profile: Annotated[str, Meta(max_length=40)] = ""
    profile_file: str = ""
    account: Annotated[str, Meta(max_length=200)] = ""
    secret: Annotated[str, Meta(max_length=5_000)] = ""
    proof_secret: Annotated[str, Meta(max_length=500)] = ""
    caller: Number
    callers: tuple[Number, ...] = ()
    auto_dialler_declared_on: date | None = None
    options: dict[str, str] = {}
    base_url: str = ""
    outcomes: Mapping[str, Outcome] = {}
    voices: Mapping[str, Voice] = {}
    recordings: bool = False
    without_gate: bool = False
    calls_max: Annotated[int, Meta(ge=1, le=500)] = 30
    ring_s: Annotated[int, Meta(ge=5, le=60)] = 25
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    connect_s: Annotated[float, Meta(gt=0, le=10)] = CONNECT_S
    total_s: Annotated[float, Meta(gt=0, le=30)] = TOTAL_S

    def caller_for(self, wanted: str) -> str:
        """Return the number that a call shows: the wanted one, if the vendor allotted it."""
        return wanted if wanted in self.callers else self.caller

    def __post_init__(self) -> None:
        check_callers((self.caller, *self.callers))

    def __repr__(self) -> str:
        """Show which carrier, and no secret."""
        return f"CallSettings({self.profile or self.profile_file!r})"


class CallCarrier(msgspec.Struct, frozen=True):
    """A carrier's settings with the profile they are for.

    Attributes:
        options: The operator's and the profile's defaults together.
        key: The private key, where the profile signs with one.
    """

    settings: CallSettings
    profile: CallProfile
    options: Mapping[str, str]
    key: RSAPrivateKey | None = None

    def __repr__(self) -> str:
        """Show which carrier, and no secret."""
        return f"CallCarrier({self.profile.title!r})"

    @property
    def rate_per_s(self) -> float | None:
        """How many calls may be begun in a second; None has no limit until the carrier throttles."""
        return self.settings.rate_per_s or self.profile.rate_per_s

    def voice_of(self, language: str) -> Voice | None:
        """Return the vendor's voice for a language; None where our recordings speak it."""
        if self.settings.recordings:
            return None
        return self.settings.voices.get(language) or self.profile.voices.get(language)


def read_call_settings(given: Mapping[str, Any]) -> CallCarrier:
    """Check settings against their profile.

    Raises:
        ValueError: Something is missing, unknown or out of its range.
        OSError: The profile's file cannot be read.
    """
    settings = msgspec.convert(as_texts(given, FIGURES), CallSettings)
    profile = CALL_PROFILES.of(settings)
    options = all_options(settings, profile)
    check_base(settings.base_url)
    check_callers((settings.caller, *settings.callers))
    _check_gate(profile, settings)
    for voice in settings.voices.values():
        check_voice(profile.markup, voice)
    key = read_key(settings.secret) if "{jwt}" in profile.auth.value else None
    return CallCarrier(settings, profile, options, key)


def wanted_call_secrets(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the secrets that a carrier with such settings needs; none when they are no settings."""
    try:
        return secrets_of(CALL_PROFILES.of(msgspec.convert(as_texts(given, FIGURES), CallSettings)))
    except (ValueError, OSError):
        return frozenset()


def _check_gate(profile: CallProfile, settings: CallSettings) -> None:
    """Have an operator say that a code may be spoken to whoever answers."""
    if not profile.gated and not settings.without_gate:
        raise ValueError(
            f"{profile.title} says the code to whoever answers, a voicemail too, for it asks for no digit "
            "before; set without_gate = true if you accept that"
        )
    if settings.recordings and not profile.gated:
        raise ValueError(f"{profile.title} plays no recordings; leave recordings away")
    if profile.gated and settings.without_gate:
        raise ValueError(f"{profile.title} asks for a digit before the code; leave without_gate away")
