"""Run everything in one process: a carrier and phones in a box, one key, nothing to set up."""

import os
import shutil
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from dastak import __version__
from dastak.app_store import open_store, sqlite_file_of
from dastak.commands.admin_people import invite_first, link_of
from dastak.commands.bank_process import BRAND, HOST, SENDER, SERVICE, BankProcess, bank_beside
from dastak.commands.init import make_installation
from dastak.commands.printing import print_json
from dastak.commands.running_server import DEV_FILE, DevServer
from dastak.commands.serve import run_app, run_coroutine
from dastak.config import Settings
from dastak.config_read import load
from dastak.config_secrets import write_private
from dastak.core.errors import Conflict
from dastak.core.login_settings import LoginSettings
from dastak.core.policy import Channel
from dastak.core.tenant import Mode, Scope, Service
from dastak.store.open_database import Database
from dastak.store.sqlite_file import served_alone
from dastak.telemetry.logs import setup_logs
from dastak.tenancy import issuance, operators
from dastak.tenancy.keys import digest, is_live

if TYPE_CHECKING:
    from dastak.app import Running

# A test of somebody's own may ask for many codes at once; only a number is held to what it is held to live.
_PLENTY: Final = {
    f"limits.test.{limit}.{field}": value
    for limit in ("key", "service", "tenant")
    for field, value in (("count", 10_000), ("per_s", 1))
}

TRY_MSISDN: Final = "+919876543210"
KEY_NAME: Final = "dev"


class DevReady(msgspec.Struct, frozen=True):
    """What `dastak dev --json` prints when everything runs; scripts rely on it."""

    url: str
    api_key: str
    phones_url: str | None
    data_dir: str
    bank_url: str | None = None
    console_setup_url: str | None = None


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dastak"),
    show_default=True,
    help="Where keys and database are kept.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line when everything runs, and nothing else."
)
@click.option("--no-browser", is_flag=True, help="Do not open the phones in a browser.")
@click.option("--no-bank", is_flag=True, help="Leave out the demo site, a small bank that is a customer.")
def dev(*, port: int, data_dir: Path, as_json: bool, no_browser: bool, no_bank: bool) -> None:
    """Run everything in one process, with a carrier and phones in a box, and a demo site beside it.

    It listens on this machine only, knows no carrier, and its key is a test key: nothing leaves this machine.
    """
    directory = data_dir.resolve()
    settings = dev_settings(directory, port, os.environ)
    setup_logs(settings.log.level, settings.log.format)
    # A second one is refused before it has written anything.
    with served_alone(sqlite_file_of(settings)):
        api_key = run_coroutine(dev_setup(settings, directory, bank=not no_bank))
        token = run_coroutine(invite_first(settings))
    browser = not (no_browser or as_json) and _has_desktop(os.environ)
    with nullcontext() if no_bank else bank_beside(port + 1 if port else 0) as bank:
        tell_bank = None if bank is None else partial(_tell, bank, settings, directory, api_key)
        ready = partial(
            _ready,
            directory,
            api_key,
            tell_bank=tell_bank,
            console_url=settings.server.console_url,
            token=token,
            as_json=as_json,
            browser=browser,
        )
        run_app(settings, dev=True, ready=ready, test_key=api_key)


def dev_settings(directory: Path, port: int, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a sandbox; its directory is made when it is not there."""
    file = directory / "dastak.toml"
    if not file.exists():
        make_installation(directory, {"simulator.enabled": True, "log.level": "warning", **_PLENTY})
        # It mostly stands in somebody's project, and has keys in it.
        (directory / ".gitignore").write_text("*\n")
    here: dict[str, Any] = {
        "server.listen": f"127.0.0.1:{port}",
        "simulator.enabled": True,
        # The directory may have been moved since its file was written.
        "store.url": f"sqlite://{directory / 'dastak.db'}",
        "secrets.file": str(directory / "secrets.json"),
    }
    settings = load(file, environment, here).settings
    return msgspec.structs.replace(settings, carriers={})


async def dev_setup(settings: Settings, directory: Path, *, bank: bool = False) -> str:
    """Make the tenant, services and test key of a sandbox, unless they are there; return the key.

    A key cannot be read back from the database, so it is kept beside it, as long as the database knows it.
    """
    now = datetime.now(UTC)
    async with open_store(settings) as store:
        service = await operators.ensure_default(store)
        if await store.people.login_of(service.n) is None:
            # Its codes go to the virtual phones.
            await store.people.put_login(LoginSettings(service=service.n, mode=Mode.TEST, open_sign_up=True))
        if bank:
            await _ensure_bank(store, service)
        live = [key for key in (await store.tenancy()).keys if is_live(key, now)]
        remembered = _remembered(directory)
        if remembered is not None and any(key.digest == digest(remembered.encode()) for key in live):
            return remembered
        for key in live:
            # Its text is lost; nobody can use it any more.
            if (key.tenant, key.name, key.mode) == (service.tenant, KEY_NAME, Mode.TEST):
                await issuance.revoke_key(store, key.tenant, key.id, now=now)
        wanted = issuance.WantedKey(name=KEY_NAME, scopes=(*issuance.APPLICATION_SCOPES, Scope.ADMIN))
        made = await issuance.create_key(
            store, service.tenant, wanted, maker=None, now=now, entropy=os.urandom
        )
    _remember(directory, DevServer("", made.text))
    return made.text


async def _ensure_bank(store: Database, default: Service) -> None:
    """Make the service of the demo bank, with a name and a host of its own in its texts."""
    # Whoever has an authenticator is asked for its code.
    policy = msgspec.structs.replace(default.policy, channels=(Channel.TOTP, *default.policy.channels))
    wanted = msgspec.structs.replace(
        default, name=SERVICE, brand=BRAND, sender=SENDER, domains=(HOST,), policy=policy
    )
    with suppress(Conflict):
        await operators.create_service(store, wanted)


def _ready(
    directory: Path,
    api_key: str,
    running: "Running",
    *,
    tell_bank: "Callable[[Running], str] | None",
    console_url: str | None,
    token: str | None,
    as_json: bool,
    browser: bool,
) -> None:
    write_private(
        directory / DEV_FILE.name, msgspec.json.encode(DevServer(running.url, api_key)).decode() + "\n"
    )
    bank_url = None if tell_bank is None else tell_bank(running)
    setup_url = None if token is None else link_of(console_url or running.url, token)
    if as_json:
        told = DevReady(running.url, api_key, running.phones_url, str(directory), bank_url, setup_url)
        print_json(told)
        return
    shown = banner(
        running.url, api_key, running.phones_url, directory, bank_url=bank_url, setup_url=setup_url
    )
    click.echo(shown)
    if browser and running.phones_url:
        # Some browsers return only when they are closed.
        threading.Thread(target=webbrowser.open, args=(running.phones_url,), daemon=True).start()


def _tell(bank: BankProcess, settings: Settings, directory: Path, api_key: str, running: "Running") -> str:
    """Tell the bank what it needs, and return where people find it."""
    bank.tell(
        dastak_url=running.url,
        people_url=settings.server.public_url or running.url,
        key=api_key,
        phones_url=running.phones_url,
        file=directory / "bank.db",
    )
    return bank.url


def banner(
    url: str,
    api_key: str,
    phones_url: str | None,
    directory: Path,
    *,
    bank_url: str | None = None,
    setup_url: str | None = None,
) -> str:
    """Return what a person needs for a first code, ready to be pasted."""
    console = f"{url}/console" if setup_url is None else f"{setup_url}  (makes the first operator, once)"
    curl = f"curl -H 'Authorization: Bearer {api_key}' --json"
    bank = () if bank_url is None else (f"  bank     {bank_url}  (a demo site with two-factor login)",)
    return "\n".join(
        (
            click.style(f"Dastak {__version__}", bold=True) + "  sandbox, nothing leaves this machine",
            f"  API      {url}/v1",
            f"  phones   {phones_url}",
            f"  login    {url}/login/{operators.DEFAULT_NAME}/{operators.DEFAULT_NAME}",
            *bank,
            f"  console  {console}",
            f"  API key  {api_key}  (test key: cannot reach a carrier)",
            f'  start    {curl} \'{{"to":"{TRY_MSISDN}"}}\' {url}/v1/verifications',
            f'  check    {curl} \'{{"code":"CODE"}}\' {url}/v1/verifications/ID/check',
            f"  or       {as_called()} send --to {TRY_MSISDN}",
            f"  export   DASTAK_URL={url} DASTAK_API_KEY={api_key} PHONES_URL={phones_url}",
            f"Ctrl-C ends it; everything is kept in {directory}",
        )
    )


def as_called() -> str:
    """Return how this program is called here: by its name only where the shell finds it."""
    if shutil.which("dastak") is not None:
        return "dastak"
    program = Path(sys.argv[0])
    return "python -m dastak" if program.name == "__main__.py" else os.path.relpath(program)


def _has_desktop(environment: Mapping[str, str]) -> bool:
    """Return whether somebody sits in front of a screen: a browser over ssh, or in a script, helps nobody."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in environment or environment.get("CI"):
        return False
    return sys.platform == "darwin" or "DISPLAY" in environment or "WAYLAND_DISPLAY" in environment


def _remember(directory: Path, server: DevServer) -> None:
    write_private(directory / DEV_FILE.name, msgspec.json.encode(server).decode() + "\n")


def _remembered(directory: Path) -> str | None:
    """Return the key of an earlier run."""
    try:
        return msgspec.json.decode((directory / DEV_FILE.name).read_bytes(), type=DevServer).api_key
    except (OSError, msgspec.DecodeError):
        return None
