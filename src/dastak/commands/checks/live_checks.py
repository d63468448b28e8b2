"""Whether carriers and the public address answer, and whether what may be sent is bounded."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from dastak.commands.checks.diagnosis import Check, Fault, Scene, database_read
from dastak.config import CarrierSettings, smpp_settings
from dastak.core.tenant import Mode
from dastak.sms.esme import BindState, Esme
from dastak.sms.submission import Delivery
from dastak.tenancy.keys import is_live

TLS_TIMEOUT_S: Final = 5.0
# Renewal by ACME is tried from 30 days on; two weeks before the end it has failed for long.
CERTIFICATE_LIFE_MIN: Final = timedelta(days=14)


def has_carriers(scene: Scene) -> bool:
    """Apply where there is a carrier."""
    return bool(scene.settings.carriers)


def has_https(scene: Scene) -> bool:
    """Apply where the public address has TLS."""
    url = urlsplit(scene.settings.server.public_url or "")
    return url.scheme == "https" and url.hostname is not None


def carriers(scene: Scene) -> Fault | None:
    """Find carriers that do not take our bind."""
    reasons = asyncio.run(_bind_all(scene))
    told = [f"carriers.{name}: {reason}" for name, reason in reasons.items() if reason is not None]
    if not told:
        return None
    return Fault("; ".join(told), "dastak config show --origin  (compare host, system_id and password)")


def certificate(scene: Scene) -> Fault | None:
    """Find a public address that does not resolve, or whose certificate is not valid for long."""
    url = urlsplit(scene.settings.server.public_url or "")
    assert url.hostname is not None
    address = (url.hostname, url.port or 443)
    see = f"openssl s_client -connect {address[0]}:{address[1]} -servername {address[0]}"
    try:
        with (
            socket.create_connection(address, TLS_TIMEOUT_S) as plain,
            _tls().wrap_socket(plain, server_hostname=address[0]) as secured,
        ):
            shown = secured.getpeercert() or {}
    except socket.gaierror:
        return Fault(f"the name {address[0]} of server.public_url is unknown", f"getent hosts {address[0]}")
    except ssl.SSLError as error:
        return Fault(f"the certificate of {address[0]} is not valid: {error.reason}", see)
    except OSError as error:
        return Fault(f"{address[0]}:{address[1]} does not answer: {error}", see)
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    if ends_at - scene.now > CERTIFICATE_LIFE_MIN:
        return None
    return Fault(f"the certificate of {address[0]} ends on {ends_at:%Y-%m-%d}", see, warning=True)


def countries(scene: Scene) -> Fault | None:
    """Find services that may send nowhere."""
    assert scene.tenancy is not None
    closed = [service.name for service in scene.tenancy.services if not service.countries]
    if not closed:
        return None
    what = f"no country is open for {', '.join(closed)}"
    return Fault(what, f"dastak services set {closed[0]} --countries IN", warning=True)


def spend_cap(scene: Scene) -> Fault | None:
    """Find live traffic that nothing stops from becoming expensive."""
    assert scene.tenancy is not None
    live = {key.tenant for key in scene.tenancy.keys if key.mode is not Mode.TEST and is_live(key, scene.now)}
    if not live:
        return None
    for name, carrier in scene.settings.carriers.items():
        if not carrier.price_micros:
            what = f"carriers.{name}.price_micros is 0, so the spend cap counts nothing"
            return Fault(what, f"export DASTAK__CARRIERS__{name.upper()}__PRICE_MICROS=...", warning=True)
    capless = [
        found.name for found in scene.tenancy.tenants if found.n in live and not found.daily_spend_cap_micros
    ]
    if not capless:
        return None
    return Fault(
        f"the daily cap of {', '.join(capless)} is 0: nothing is sent",
        "dastak tenants set NAME --daily-cap 1000",
    )


async def _bind_all(scene: Scene) -> dict[str, str | None]:
    found = scene.settings.carriers
    reasons = await asyncio.gather(*(_bind(carrier) for carrier in found.values()))
    return dict(zip(found, reasons, strict=True))


async def _bind(carrier: CarrierSettings) -> str | None:
    """Bind and unbind; return why that does not go, in words."""
    settings = smpp_settings(carrier)
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def on_state(state: BindState, reason: str) -> None:
        if not answer.done():
            answer.set_result(None if state is BindState.BOUND else reason)

    try:
        esme = Esme(settings, on_deliver=_ignore, on_state=on_state)
    except OSError as error:
        return f"its TLS files cannot be used: {error}"
    # It tells within its own time limits for connecting and binding.
    async with esme:
        return await answer


def _ignore(_: Delivery) -> None:
    """Leave a receipt that comes now unanswered: the carrier brings it again to the service."""


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


CHECKS: Final = (
    Check(
        "carriers.bind",
        "every carrier takes our bind",
        "texts of live keys go another way, or wait until their code is over",
        carriers,
        applies=has_carriers,
    ),
    Check(
        "web.certificate",
        "the public address has a valid certificate",
        "customers' programs refuse to talk to it",
        certificate,
        applies=has_https,
    ),
    Check(
        "policy.countries",
        "every service may send somewhere",
        "every start of such a service is refused",
        countries,
        applies=database_read,
    ),
    Check(
        "policy.spend_cap",
        "live traffic has a price and a cap",
        "a stolen key or a pumping attack costs without end",
        spend_cap,
        applies=database_read,
    ),
)
