"""Write the requests that begin and end a call, as the vendor's profile wants them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from dastak.core.errors import CarrierRejected
from dastak.core.msisdn import parse
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_profile import RequestForm
from dastak.http_carriers.http_render import HttpRequest, own_id, write_request
from dastak.http_voice.application_jwt import sign_rs256
from dastak.http_voice.call_settings import CallCarrier
from dastak.http_voice.call_words import Voice


class Ways(NamedTuple):
    """Where a vendor reaches us for one call.

    Attributes:
        call: Our word for it.
        script_url: Where its first turn is; empty where there is none.
        status_url: Where it tells what becomes of it; empty when nobody outside can reach us.
    """

    call: str
    script_url: str
    status_url: str


def create_request(
    carrier: CallCarrier, outgoing: Outgoing, ways: Ways, *, text: str, voice: Voice | None, now: datetime
) -> HttpRequest:
    """Write the request that begins a call.

    Args:
        carrier: Settings and profile.
        outgoing: What is to be said to whom; of a gated profile nothing of it but the number is used.
        ways: Where the vendor reaches us.
        text: What it says, where it has no script; empty otherwise.
        voice: The vendor's, where it speaks.
        now: For what is signed.

    Raises:
        CarrierRejected: A value cannot be written as the profile asks.
    """
    settings = carrier.settings
    values = {
        **carrier.options,
        "msisdn": outgoing.msisdn,
        "country": parse(outgoing.msisdn).country,
        "caller": settings.caller_for(outgoing.sender),
        "ring_s": str(min(settings.ring_s, max(outgoing.validity_s, 1))),
        "script_url": ways.script_url,
        "status_url": ways.status_url,
        "call": ways.call,
        "own_id": own_id(outgoing),
        "text": text,
        "language": voice.language if voice else "",
        "voice": voice.voice if voice else "",
    }
    return _written(carrier, carrier.profile.create, values, now)


def end_request(carrier: CallCarrier, ref: str, *, answered: bool, now: datetime) -> HttpRequest | None:
    """Write the request that ends a call; None where the vendor knows none.

    Raises:
        CarrierRejected: It cannot be written.
    """
    profile = carrier.profile
    form = (profile.hang_up if answered else None) or profile.cancel
    return None if form is None else _written(carrier, form, {**carrier.options, "ref": ref}, now)


def _written(
    carrier: CallCarrier, form: RequestForm, values: Mapping[str, str], now: datetime
) -> HttpRequest:
    settings = carrier.settings
    jwt = ""
    if carrier.key is not None:
        # Of what the request is about and when, so that no two are the same.
        about = "\0".join((form.url, now.isoformat(), *values.values()))
        jti = hashlib.blake2b(about.encode(), digest_size=16).hexdigest()
        jwt = sign_rs256(settings.account, carrier.key, jti=jti, now=now)
    every = {**values, "account": settings.account, "secret": settings.secret, "jwt": jwt}
    try:
        return write_request(
            form,
            carrier.profile.auth,
            every,
            {values["country"]} if values.get("country") else (),
            base_url=settings.base_url,
            now=now,
        )
    except (ValueError, UnicodeError) as error:
        raise CarrierRejected(
            "The call cannot be written as the carrier's profile asks.",
            status="profile",
            outcome=Outcome.ROUTE_CONFIG,
        ) from error
