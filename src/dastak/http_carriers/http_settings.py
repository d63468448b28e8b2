"""What an operator writes down of one HTTP carrier: whose profile, which account, which secrets."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from dastak.core.outcome import Outcome
from dastak.http_carriers.http_profile import Profile, read_profile
from dastak.http_carriers.placeholders import nearest
from dastak.http_carriers.profile_shelf import ProfileShelf, all_options, secrets_of

PROFILES: Final = ProfileShelf(Path(__file__).with_name("profiles"), read_profile)
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

# Settings that are numbers; all others are texts, even if they look like numbers.
FIGURES: Final = frozenset({"window", "rate_per_s", "connect_s", "total_s"})
# What a message waits for a connection, and in all; a code that is late by more has a better way by then.
CONNECT_S: Final = 0.3
TOTAL_S: Final = 2.0
assert CONNECT_S < TOTAL_S


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One HTTP carrier.

    Attributes:
        profile: One of those that come with Dastak, such as `twilio`.
        profile_file: Another one, of yours; then without `profile`.
        account: Who we are there; the profile says what the vendor calls it.
        secret: What proves it.
        proof_secret: What the vendor signs receipts with, where that is another one.
        sender: The one it knows us by; empty leaves each message its own.
        options: What the profile asks for beside.
        base_url: Scheme and host, where they are not the profile's; without TLS only on this machine.
        outcomes: What codes of the carrier mean, before all tables of the profile.
        window: Requests that may be under way; past that a message goes elsewhere.
        rate_per_s: The contracted rate; without it the profile's, and without that no limit until a throttle.
        connect_s: For a connection.
        total_s: For the whole answer; past that its outcome is unknown.
    """

    profile: Annotated[str, Meta(max_length=40)] = ""
    profile_file: str = ""
    account: Annotated[str, Meta(max_length=200)] = ""
    secret: Annotated[str, Meta(max_length=500)] = ""
    proof_secret: Annotated[str, Meta(max_length=500)] = ""
    sender: Annotated[str, Meta(max_length=40)] = ""
    options: dict[str, str] = {}
    base_url: str = ""
    outcomes: Mapping[str, Outcome] = {}
    window: Annotated[int, Meta(ge=1, le=1000)] = 50
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    connect_s: Annotated[float, Meta(gt=0, le=10)] = CONNECT_S
    total_s: Annotated[float, Meta(gt=0, le=30)] = TOTAL_S

    def __repr__(self) -> str:
        """Show which carrier, and no secret."""
        return f"HttpSettings({self.profile or self.profile_file!r})"


class HttpCarrier(msgspec.Struct, frozen=True):
    """A carrier's settings with the profile they are for.

    Attributes:
        options: The operator's and the profile's defaults together.
        shared_codes: The table that the profile's receipts refer to.
    """

    settings: HttpSettings
    profile: Profile
    options: Mapping[str, str]
    shared_codes: Mapping[str, Outcome]

    def __repr__(self) -> str:
        """Show which carrier, and no secret."""
        return f"HttpCarrier({self.profile.title!r})"

    @property
    def rate_per_s(self) -> float | None:
        """How many requests may be sent; None has no limit until the carrier throttles."""
        return self.settings.rate_per_s or self.profile.rate_per_s


def read_http_settings(given: Mapping[str, Any]) -> HttpCarrier:
    """Check settings against their profile.

    Raises:
        ValueError: Something is missing, unknown or out of its range.
        OSError: The profile's file cannot be read.
    """
    settings = msgspec.convert(as_texts(given), HttpSettings)
    profile = PROFILES.of(settings)
    options = all_options(settings, profile)
    check_base(settings.base_url)
    codes = profile.receipt.codes_of if profile.receipt else ""
    return HttpCarrier(settings, profile, options, shared_codes(codes))


def wanted_secrets(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the secrets that a carrier with such settings needs; none when they are no settings."""
    try:
        return secrets_of(PROFILES.of(msgspec.convert(as_texts(given), HttpSettings)))
    except (ValueError, OSError):
        return frozenset()


@lru_cache(maxsize=16)
def shared_codes(name: str) -> Mapping[str, Outcome]:
    """Read a table of codes that several profiles share; none for no name. Raises: ValueError."""
    if not name:
        return {}
    path = PROFILES.folder / "codes" / f"{name}.toml"
    known = [path.stem for path in (PROFILES.folder / "codes").glob("*.toml")]
    if name not in known:
        raise ValueError(f"receipt: there is no table of codes `{name}`.{nearest(name, known)}")
    return msgspec.toml.decode(path.read_bytes(), type=dict[str, Outcome])


def as_texts(given: Mapping[str, Any], figures: Collection[str] = FIGURES) -> dict[str, Any]:
    """Take an account or option that is all digits for the text that it is."""
    return {
        name: {key: _as_text(item) for key, item in value.items()}
        if name == "options" and isinstance(value, dict)
        else value
        if name in figures
        else _as_text(value)
        for name, value in given.items()
    }


def _as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def check_base(base_url: str) -> None:
    """Refuse an address that would send secrets in clear over a network."""
    if not base_url:
        return
    url = urlsplit(base_url)
    if not url.hostname or url.path not in ("", "/") or url.query or "@" in url.netloc:
        raise ValueError("base_url is a scheme and a host, such as https://api.example.com")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise ValueError("base_url must begin with https://, for the request has a secret in it")
