"""Register sites that log people in by OpenID Connect, renew their secrets and rotate the keys that sign."""

import os
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.config_read import load
from dastak.config_secrets import read_keys
from dastak.core import oidc_keys
from dastak.core.oidc import Client, LoginWay, SubjectType
from dastak.core.oidc_client_rules import check_client
from dastak.core.oidc_keys import SigningKey
from dastak.core.oidc_store import Keys
from dastak.core.tenant import Mode
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer
from dastak.tenancy import oidc_clients, operators, signing_keys
from dastak.tenancy.oidc_clients import NewClient, WantedClient

_MODES: Final = tuple(mode.value for mode in Mode)
_WAYS: Final = tuple(way.value for way in LoginWay)
_SUBJECTS: Final = tuple(kind.value for kind in SubjectType)
_tenant = click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True)
_redirects = click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers may go.")
_logouts = click.option("--logout-uri", "logout_uris", multiple=True, help="Where people may go afterwards.")
_id = click.argument("client_id", metavar="CLIENT_ID")


@click.group()
def clients() -> None:
    """Register sites that log people in by OpenID Connect."""


@clients.command("add")
@click.argument("name")
@_redirects
@_logouts
@click.option("--login", type=click.Choice(_WAYS), default=LoginWay.PHONE.value, show_default=True)
@click.option("--mode", type=click.Choice(_MODES), default=Mode.TEST.value, show_default=True)
@click.option(
    "--subject", type=click.Choice(_SUBJECTS), default=SubjectType.PAIRWISE.value, show_default=True
)
@click.option("--sector", default="", help="The host that names of people are made for.")
@click.option("--public", is_flag=True, help="It keeps no secret: an app, or a page.")
@click.option("--no-consent", is_flag=True, help="The site is your own: people are not asked.")
@click.option("--service", default=operators.DEFAULT_NAME, show_default=True)
@_tenant
@json_option
@click.pass_context
@audited
def add_client(
    context: click.Context, /, *, tenant: str, no_consent: bool, as_json: bool, **given: Any
) -> None:
    """Register a site. Its secret is shown once, now."""
    wanted = msgspec.convert({**given, "ask_consent": not no_consent}, WantedClient)

    async def add(store: Database) -> NewClient:
        n = tenant_named(await store.tenancy(), tenant).n
        now = datetime.now(UTC)
        return await oidc_clients.create(
            store, store.oidc, n, wanted, maker=None, now=now, entropy=os.urandom
        )

    _show_once(with_store(context, add), as_json=as_json)


@clients.command("list")
@_tenant
@json_option
@click.pass_context
def list_clients(context: click.Context, *, tenant: str, as_json: bool) -> None:
    """List a tenant's sites."""

    async def read(store: Database) -> tuple[Client, ...]:
        return await store.oidc.clients(tenant_named(await store.tenancy(), tenant).n)

    found = with_store(context, read)
    if as_json:
        print_json([_shown(client) for client in found])
        return
    rows = [(one.id, one.name, one.login, one.mode, " ".join(one.redirect_uris)) for one in found]
    print_table(("client_id", "name", "login", "mode", "redirect_uris"), rows)


@clients.command("show")
@_id
@json_option
@click.pass_context
def show_client(context: click.Context, *, client_id: str, as_json: bool) -> None:
    """Show one site."""
    _print(with_store(context, lambda store: oidc_clients.find(store.oidc, client_id)), as_json=as_json)


@clients.command("set")
@_id
@_redirects
@_logouts
@click.option("--name", help="What people read of it.")
@click.option("--login", type=click.Choice(_WAYS), help="What its people do to log in.")
@click.option("--consent/--no-consent", "ask_consent", default=None, help="Whether people are asked.")
@json_option
@click.pass_context
@audited
def set_client(context: click.Context, /, *, client_id: str, as_json: bool, **given: Any) -> None:
    """Change a site; what is not given stays."""
    said = {name: value for name, value in given.items() if value not in (None, ())}
    if "login" in said:
        said["login"] = LoginWay(said["login"])

    async def change(store: Database) -> Client:
        found = await oidc_clients.find(store.oidc, client_id)
        return await store.oidc.put_client(check_client(msgspec.structs.replace(found, **said)))

    _print(with_store(context, change), as_json=as_json)


@clients.command("rotate-secret")
@_id
@json_option
@click.pass_context
@audited
def rotate_client_secret(context: click.Context, *, client_id: str, as_json: bool) -> None:
    """Give a site another secret; the old one opens nothing from now on."""

    async def rotate(store: Database) -> NewClient:
        found = await oidc_clients.find(store.oidc, client_id)
        return await oidc_clients.rotate_secret(store.oidc, found, entropy=os.urandom)

    _show_once(with_store(context, rotate), as_json=as_json)


@clients.command("remove")
@_id
@json_option
@click.pass_context
@audited
def remove_client(context: click.Context, *, client_id: str, as_json: bool) -> None:
    """Remove a site; what it was given opens nothing from now on."""

    async def remove(store: Database) -> Client:
        return await store.oidc.remove_client(await oidc_clients.find(store.oidc, client_id))

    _print(with_store(context, remove), as_json=as_json)


@clients.command("rotate-keys")
@json_option
@click.pass_context
@audited
def rotate_signing_keys(context: click.Context, *, as_json: bool) -> None:
    """Sign with the next key from now on, and publish a fresh one."""
    sealer, now = AesGcmSealer(read_keys(load(context.obj, os.environ).settings)), datetime.now(UTC)

    async def rotate(store: Database) -> Keys:
        return await signing_keys.rotate(store.oidc, sealer, now=now, entropy=os.urandom)

    shown = [_key(key) for key in oidc_keys.published(with_store(context, rotate), now=now)]
    if as_json:
        print_json(shown)
    else:
        print_table(("kid", "state", "made"), [tuple(key.values()) for key in shown])


def _show_once(made: NewClient, *, as_json: bool) -> None:
    if as_json:
        print_json({**_shown(made.client), "client_secret": made.secret})
        return
    _print(made.client, as_json=False)
    if made.secret is not None:
        click.echo(made.secret)
        progress("The secret is shown once; keep it where your other secrets are.")


def _print(client: Client, *, as_json: bool) -> None:
    if as_json:
        print_json(_shown(client))
        return
    rows = [
        (name, " ".join(value) if isinstance(value, tuple) else str(value))
        for name, value in _shown(client).items()
    ]
    print_table(("field", "value"), rows)


def _shown(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "name": client.name,
        "redirect_uris": client.redirect_uris,
        "logout_uris": client.logout_uris,
        "login": client.login,
        "mode": client.mode,
        "subject": client.subject,
        "sector": client.sector,
        "ask_consent": client.ask_consent,
        "public": client.secret_digest is None,
        "created_at": client.created_at,
    }


def _key(key: SigningKey) -> dict[str, Any]:
    state = "next" if key.signs_from is None else "signs" if key.retired_at is None else "retired"
    return {"kid": key.kid, "state": state, "made_at": key.made_at}
