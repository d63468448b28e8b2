"""Whether carriers and the public address answer, and whether what may be sent is bounded."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from dastak import config_secrets
from dastak.carriers.carrier_book import revealed
from dastak.carriers.trial import Opener, Trial, opener, opener_of_file, refuse
from dastak.carriers.trial_report import Errand
from dastak.commands.checks.diagnosis import Check, Fault, Scene, database_read
from dastak.config import smpp_settings
from dastak.core.carrier import Carrier
from dastak.core.errors import DastakError
from dastak.core.tenant import Mode
from dastak.store.seal import AesGcmSealer
from dastak.tenancy.keys import is_live

TLS_TIMEOUT_S: Final = 5.0
# Renewal by ACME is tried from 30 days on; two weeks before the end it has failed for long.
CERTIFICATE_LIFE_MIN: Final = timedelta(days=14)
# How a carrier of the database is named; one of the settings file has the path of its settings.
STORED: Final = "carrier "


def has_carriers(scene: Scene) -> bool:
    """Apply where there is a carrier."""
    return scene.has_carriers


def has_https(scene: Scene) -> bool:
    """Apply where the public address has TLS."""
    url = urlsplit(scene.settings.server.public_url or "")
    return url.scheme == "https" and url.hostname is not None


def carriers(scene: Scene) -> Fault | None:
    """Find carriers that do not take our bind."""
    reasons = asyncio.run(_bind_all(scene))
    bad = {name: reason for name, reason in reasons.items() if reason is not None}
    if not bad:
        return None
    command = "dastak config show --origin  (compare host, system_id and password)"
    if all(name.startswith(STORED) for name in bad):
        command = f"dastak carrier test {next(iter(bad)).removeprefix(STORED)}"
    return Fault("; ".join(f"{name}: {reason}" for name, reason in bad.items()), command)


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
    for stored in scene.stored:
        if not stored.lane.price_micros and not stored.lane.calls:
            what = f"price_micros of {STORED}{stored.name} is 0, so the spend cap counts nothing"
            command = f"dastak carrier set {stored.name} --lane price_micros=... --why 'its price'"
            return Fault(what, command, warning=True)
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
    """Return why each carrier does not take our bind, those of the settings file first."""
    tries = {
        f"carriers.{name}": _try(name, opener_of_file(name, smpp_settings(carrier)))
        for name, carrier in scene.settings.carriers.items()
    }
    tries |= {f"{STORED}{carrier.name}": _try_stored(scene, carrier) for carrier in scene.stored}
    return dict(zip(tries, await asyncio.gather(*tries.values()), strict=True))


async def _try_stored(scene: Scene, carrier: Carrier) -> str | None:
    try:
        sealer = AesGcmSealer(config_secrets.read_keys(scene.settings))
        open_one = opener(carrier, revealed(carrier, sealer))
    except DastakError as error:
        return error.detail
    return await _try(carrier.name, open_one)


async def _try(name: str, open_one: Opener) -> str | None:
    """Bind and unbind as `dastak carrier test` does; return why that does not go, in words.

    An HTTP carrier has no bind: its settings are read, and nothing is sent.
    """
    report = await Trial(name, open_one, Errand(), tell=lambda _: None, others=refuse).run()
    return None if report.linked else report.steps[-1].words


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
