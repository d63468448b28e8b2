"""Make, list, rotate and revoke API keys; a running server sees it within a second."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.core.errors import NotFound
from dastak.core.ports import Tenancy
from dastak.core.tenant import ApiKey, Mode
from dastak.store.open_database import Database
from dastak.tenancy import issuance, operators
from dastak.tenancy.keys import NewKey, is_live, read_scopes

# As text: of an enumeration click would take the names of its members.
MODES: Final = tuple(mode.value for mode in Mode)


@click.group()
def keys() -> None:
    """Create, list, rotate and revoke API keys."""


@keys.command("create")
@click.option("--name", required=True, help="What it is for.")
@click.option("--mode", type=click.Choice(MODES), default=Mode.TEST.value, show_default=True)
@click.option("--scope", "scopes", multiple=True, help="What it may do; else start, check and read.")
@click.option("--expires-days", type=click.IntRange(1), help="Days until it ends by itself.")
@click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True)
@click.option("--service", default=operators.DEFAULT_NAME, show_default=True)
@json_option
@click.pass_context
@audited
def create_key(
    context: click.Context,
    *,
    name: str,
    mode: str,
    scopes: tuple[str, ...],
    expires_days: int | None,
    tenant: str,
    service: str,
    as_json: bool,
) -> None:
    """Make a key. Its text is shown once, now."""
    now = datetime.now(UTC)
    wanted = issuance.WantedKey(
        name=name,
        service=service,
        mode=Mode(mode),
        scopes=read_scopes(scopes) if scopes else issuance.APPLICATION_SCOPES,
        expires_at=None if expires_days is None else now + timedelta(days=expires_days),
    )

    async def create(store: Database) -> NewKey:
        n = tenant_named(await store.tenancy(), tenant).n
        return await issuance.create_key(store, n, wanted, maker=None, now=now, entropy=os.urandom)

    _show_once(with_store(context, create), as_json=as_json)


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option("--overlap-hours", type=click.IntRange(0), default=24, show_default=True)
@json_option
@click.pass_context
@audited
def rotate_key(context: click.Context, *, key_id: str, overlap_hours: int, as_json: bool) -> None:
    """Make a key's successor; the old one counts until the overlap is over."""

    async def rotate(store: Database) -> NewKey:
        return await issuance.rotate_key(
            store,
            key_with(await store.tenancy(), key_id).tenant,
            key_id,
            overlap=timedelta(hours=overlap_hours),
            maker=None,
            now=datetime.now(UTC),
            entropy=os.urandom,
        )

    _show_once(with_store(context, rotate), as_json=as_json)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@click.pass_context
@audited
def revoke_key(context: click.Context, *, key_id: str, as_json: bool) -> None:
    """End a key, everywhere within a second."""

    async def revoke(store: Database) -> ApiKey:
        tenant = key_with(await store.tenancy(), key_id).tenant
        return await issuance.revoke_key(store, tenant, key_id, now=datetime.now(UTC))

    revoked = with_store(context, revoke)
    if as_json:
        print_json(_shown(revoked))
    else:
        click.echo(revoked.id)


@keys.command("list")
@click.option("--tenant", help="Only of this tenant.")
@click.option("--all", "everything", is_flag=True, help="Those that ended as well.")
@json_option
@click.pass_context
def list_keys(context: click.Context, *, tenant: str | None, everything: bool, as_json: bool) -> None:
    """List keys; their texts are kept nowhere."""
    tenancy = with_store(context, lambda store: store.tenancy())
    n = None if tenant is None else tenant_named(tenancy, tenant).n
    now = datetime.now(UTC)
    found = [key for key in tenancy.keys if n in (None, key.tenant) and (everything or is_live(key, now))]
    if as_json:
        print_json([_shown(key) for key in found])
        return
    names = {tenant.n: tenant.name for tenant in tenancy.tenants}
    rows = [(key.id, key.name, key.mode, names[key.tenant], ",".join(key.scopes), _end(key)) for key in found]
    print_table(("id", "name", "mode", "tenant", "scopes", "ends"), rows)


def key_with(tenancy: Tenancy, key_id: str) -> ApiKey:
    """Return a key by its id. Raises: NotFound."""
    for key in tenancy.keys:
        if key.id == key_id:
            return key
    raise NotFound("There is no key with this id. Next: dastak keys list")


def _show_once(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": made.text, **_shown(made.key)})
        return
    click.echo(made.text)
    progress("This is shown once; keep it where your other secrets are.")


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "mode": key.mode,
        "scopes": key.scopes,
        "tenant": key.tenant,
        "service": key.service,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _end(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    return "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d}"
