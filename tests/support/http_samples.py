"""Build carriers and messages for tests of HTTP carriers; what a test does not name is ordinary."""

from datetime import UTC, datetime
from typing import Any

from dastak.core.message import MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_profile import Profile
from dastak.http_carriers.http_render import HttpRequest, Surroundings, render
from dastak.http_carriers.http_settings import PROFILES, HttpCarrier, read_http_settings
from dastak.sms.gsm7 import first_foreign
from tests.support.samples import some_id

NOW = datetime(2026, 11, 28, 3, 0, 0, tzinfo=UTC)
CALLBACK_URL = "https://otp.example.in/hooks/carriers/main/s3cr3t"
TEXT = "Your Acme code is 482913."
DLT = {
    "pe_id": "1101172974420810001",
    "template_id": "1107161234567890123",
    "chain": "1101172974420830004",
    "var1": "482913",
    "var2": "5",
}


def is_foreign(text: str) -> bool:
    """Say whether a text needs UCS-2, as the wired program does."""
    return first_foreign(text) is not None


def some_outgoing(text: str = TEXT, **changes: Any) -> Outgoing:
    """Return a text for a phone in India that lives five minutes."""
    plain = {
        "key": MessageKey(some_id(7), 0),
        "msisdn": Msisdn("+919876543210"),
        "text": text,
        "sender": "ACMEIN",
        "validity_s": 300,
        "dlt": DLT,
        "code": "482913",
    }
    return Outgoing(**{**plain, **changes})


def settings_of(profile: Profile, **changes: Any) -> dict[str, Any]:
    """Return settings that a profile is content with."""
    plain = {
        "account": "acc0unt" if profile.account else "",
        "secret": "k3y" if profile.secret else "",
        "proof_secret": "s1gn" if profile.proof_secret else "",
        "options": dict(profile.sample),
    }
    return {**plain, **changes}


def some_carrier(name: str, **changes: Any) -> HttpCarrier:
    """Return a carrier of a profile that comes with Dastak."""
    return read_http_settings({"profile": name, **settings_of(PROFILES.shipped(name), **changes)})


def rendered(carrier: HttpCarrier, outgoing: Outgoing | None = None) -> HttpRequest:
    """Write the request of a message at NOW."""
    return render(outgoing or some_outgoing(), carrier, Surroundings(NOW, is_foreign, CALLBACK_URL))


def some_hook(body: bytes | str = b"", *, method: str = "POST", query: str = "", **headers: str) -> Hook:
    """Return a webhook; a header's underscores are hyphens. A text that begins like JSON is JSON."""
    octets = body.encode() if isinstance(body, str) else body
    kind = "application/json" if octets[:1] in (b"{", b"[") else "application/x-www-form-urlencoded"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hook(
        method=method, url=CALLBACK_URL, query=query, headers={"content-type": kind, **named}, body=octets
    )
