"""Build carriers for tests of calls over HTTP; what a test does not name is ordinary."""

from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_render import HttpRequest
from dastak.http_voice.call_requests import Ways, create_request
from dastak.http_voice.call_settings import CALL_PROFILES, CallCarrier, read_call_settings
from dastak.http_voice.call_words import Voice
from tests.support.http_samples import NOW, some_outgoing

HOOK = "https://otp.example.in/hooks/carriers/main/s3cr3t"
WAYS = Ways("t0ken", f"{HOOK}/calls/t0ken/0", f"{HOOK}/calls/t0ken/status")
TEXT = "Your code is: four, eight."


@lru_cache(maxsize=1)
def some_rsa_key() -> RSAPrivateKey:
    """Return a private key; making one takes its time."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def some_pem() -> str:
    """Return it as a vendor's console gives it out."""
    return some_rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def call_settings_of(name: str, **changes: Any) -> dict[str, Any]:
    """Return settings that a profile is content with."""
    profile = CALL_PROFILES.shipped(name)
    plain = {
        "profile": name,
        "caller": "+12025550100",
        "account": "acc0unt" if profile.account else "",
        "secret": some_pem() if "{jwt}" in profile.auth.value else "k3y",
        "proof_secret": "s1gn" if profile.proof_secret else "",
        "options": dict(profile.sample),
        "without_gate": not profile.gated,
    }
    return {**plain, **changes}


def some_call_carrier(name: str, **changes: Any) -> CallCarrier:
    """Return a carrier of a profile that comes with Dastak."""
    return read_call_settings(call_settings_of(name, **changes))


def some_call(**changes: Any) -> Outgoing:
    """Return a call to a phone in India whose code lives five minutes."""
    return some_outgoing(**{"text": "", "locale": "en", "brand": "Acme", **changes})


def created(carrier: CallCarrier, outgoing: Outgoing | None = None, **changes: Any) -> HttpRequest:
    """Write the request of a call at NOW."""
    profile = carrier.profile
    ways = WAYS if profile.gated else WAYS._replace(script_url="")
    plain: dict[str, Any] = {
        "text": "" if profile.gated or profile.fetches_text else TEXT,
        "voice": Voice(language="en"),
        "now": NOW,
    }
    return create_request(carrier, outgoing or some_call(), ways, **{**plain, **changes})


def abroad() -> Outgoing:
    """Return a call to another country."""
    return some_call(msisdn=Msisdn("+12025550123"))
