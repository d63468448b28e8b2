"""Whether the settings are safe and mean what they should."""

import stat
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dastak import config_secrets
from dastak.commands.checks.diagnosis import Check, Fault, Scene, database_read
from dastak.config import ConfigError, address_of, is_loopback
from dastak.core.tenant import Mode
from dastak.tenancy import operators
from dastak.tenancy.domains.domain_rules import not_its_own, own_hosts_of, taken_as_it_is
from dastak.tenancy.keys import is_live


def file_modes(scene: Scene) -> Fault | None:
    """Find a file with secrets that others may read or write."""
    files = [scene.database if scene.in_a_file else None, scene.settings.secrets.file]
    if any(path.endswith(".password") for path in scene.loaded.origins):
        files.append(scene.loaded.file)
    files += [carrier.tls.key_file for carrier in scene.settings.carriers.values()]
    tls = [carrier.settings.get("tls") or {} for carrier in scene.stored]
    files += [Path(files_of["key_file"]) for files_of in tls if files_of.get("key_file")]
    for path in filter(None, files):
        mode = _mode(path)
        if mode & 0o007:
            what = f"{path} has mode {mode:04o}: everybody on this machine may open it"
            return Fault(what, f"chmod 600 {path}", mend=partial(path.chmod, 0o600))
    return _writable_by_others(scene.loaded.file)


def _mode(path: Path) -> int:
    """Return a file's mode; nothing of one that we cannot look at, since who reads it says why."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def secrets(scene: Scene) -> Fault | None:
    """Find a key or password that is missing, short or a placeholder."""
    try:
        config_secrets.read_keys(scene.settings)
        config_secrets.check_carrier_secrets(scene.settings)
    except ConfigError as error:
        what, _, command = error.detail.partition(" Next: ")
        return Fault(
            what.removesuffix("."), command or "edit the file that `dastak config show --origin` names"
        )
    return None


def public_url(scene: Scene) -> Fault | None:
    """Find an address that people cannot or should not use."""
    settings = scene.settings.server
    if settings.public_url is None:
        if is_loopback(address_of(settings.listen)[0]):
            return None
        what = f"server.listen is {settings.listen}, reachable from outside, but server.public_url is not set"
        return Fault(what, "export DASTAK__SERVER__PUBLIC_URL=https://otp.example.in", warning=True)
    url = urlsplit(settings.public_url)
    if url.scheme != "https" and not is_loopback(url.hostname):
        what = f"server.public_url is {settings.public_url}, without TLS"
        return Fault(what, f"export DASTAK__SERVER__PUBLIC_URL=https://{url.netloc}", warning=True)
    return None


def proxies(scene: Scene) -> Fault | None:
    """Find a proxy in front whose callers all seem to come from one address."""
    settings = scene.settings
    url = urlsplit(settings.server.public_url or "")
    behind = url.scheme == "https" and is_loopback(address_of(settings.server.listen)[0])
    if not behind or is_loopback(url.hostname) or settings.login.trusted_proxies:
        return None
    what = (
        f"people reach {settings.server.public_url} through a proxy of yours, but login.trusted_proxies is 0"
    )
    return Fault(what, "export DASTAK__LOGIN__TRUSTED_PROXIES=1", warning=True)


def live_keys(scene: Scene) -> Fault | None:
    """Find live keys that no carrier serves."""
    assert scene.tenancy is not None
    live = [key.id for key in scene.tenancy.keys if key.mode is not Mode.TEST and is_live(key, scene.now)]
    if not live or scene.has_carriers:
        return None
    what = f"{len(live)} live or team keys are given out, but there is no carrier"
    return Fault(what, "dastak carrier add NAME --host HOST --port PORT --system-id ACCOUNT")


def phones(scene: Scene) -> Fault | None:
    """Find phones in a box that strangers could read beside real carriers."""
    settings, listen = scene.settings, scene.settings.server.listen
    if not settings.simulator.enabled or not scene.has_carriers or is_loopback(address_of(listen)[0]):
        return None
    what = f"simulator.enabled is true: everybody who reaches {listen} can read its phones"
    return Fault(what, "export DASTAK__SIMULATOR__ENABLED=false")


def domains(scene: Scene) -> Fault | None:
    """Find domains from before there was a rule, which two tenants have or nobody is known to have given.

    The default tenant is the operator's own, who need not confirm what they gave themselves.
    """
    assert scene.tenancy is not None
    shared, services = own_hosts_of(scene.settings.server.public_url), scene.tenancy.services
    tenants = {tenant.n: tenant.name for tenant in scene.tenancy.tenants}
    twice = {domain for one in services for domain in not_its_own(one, services)} - shared
    unknown = {
        f"{domain} of {tenants[one.tenant]}"
        for one in services
        if tenants[one.tenant] != operators.DEFAULT_NAME
        for domain in taken_as_it_is(one, services)
        if domain not in shared
    }
    what = [f"{domain} is a domain of two tenants" for domain in sorted(twice)]
    if unknown:
        what.append(f"nobody is known to have proved or given {', '.join(sorted(unknown))}")
    if not what:
        return None
    command = "dastak services set NAME --tenant TENANT --domains ... with those that are the tenant's"
    return Fault("; ".join(what), command, warning=True)


def _writable_by_others(path: Path | None) -> Fault | None:
    if path is None or not path.stat().st_mode & 0o022:
        return None
    return Fault(f"others may write {path}", f"chmod go-w {path}", mend=partial(path.chmod, 0o600))


CHECKS: Final = (
    Check(
        "config.file_modes",
        "files with secrets are their owner's only",
        "whoever reads the key file can make every code; whoever writes the settings can send elsewhere",
        file_modes,
    ),
    Check(
        "config.secrets",
        "keys and passwords are there and not placeholders",
        "with a guessable key anybody can make valid codes; the service refuses to start",
        secrets,
    ),
    Check(
        "config.public_url",
        "the public address is set and has TLS",
        "codes and keys travel in clear without TLS; without an address no page can make a link",
        public_url,
    ),
    Check(
        "config.proxies",
        "the addresses of people come through the proxy",
        "all people share one budget of wrong passwords: a few who mistype lock all others out",
        proxies,
    ),
    Check(
        "config.live_keys",
        "live keys have a carrier",
        "every start with such a key is refused with `no_route`",
        live_keys,
        applies=database_read,
    ),
    Check(
        "config.domains",
        "a domain is one tenant's, who proved it or was given it",
        "texts of one tenant end in the host of another one, whose pages and login are not shown there",
        domains,
        applies=database_read,
    ),
    Check(
        "config.phones",
        "no stranger can read the phones in a box",
        "they show codes without asking who reads; with carriers beside them the service refuses to start",
        phones,
    ),
)

# What would leak something from the first request on.
REFUSED_AT_START: Final = (file_modes, secrets, phones)
