"""Invite those who run things, list and remove them, while a server runs."""

import os
from datetime import UTC, datetime

import click

from dastak.app_store import open_store
from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config import Settings
from dastak.config_read import load
from dastak.core.errors import NotFound
from dastak.core.person import Person, name_key
from dastak.core.tenant import Mode
from dastak.store.open_database import Database
from dastak.tenancy import invitations
from dastak.tenancy.console_service import ensure_console

_MODES = click.Choice([Mode.TEST.value, Mode.LIVE.value])


@click.group("operators")
def console_operators() -> None:
    """Invite, list and remove the people who run things."""


@console_operators.command("invite")
@click.argument("name")
@click.option("--tenant", help="The one tenant to look after; all of them if absent.")
@click.option("--mode", type=_MODES, default=Mode.LIVE.value, show_default=True, help="Where codes go.")
@json_option
@click.pass_context
@audited
def invite_operator(
    context: click.Context, *, name: str, tenant: str | None, mode: str, as_json: bool
) -> None:
    """Print a link by which somebody becomes an operator: good once, and for 24 hours.

    The mode counts for the first one invited, and then for all of them.
    """
    settings = load(context.obj, os.environ).settings.server

    async def invite(store: Database) -> invitations.Invited:
        of = None if tenant is None else tenant_named(await store.tenancy(), tenant).n
        return await invitations.invite(
            store,
            store.people,
            name,
            mode=Mode(mode),
            tenant=of,
            now=datetime.now(UTC),
            entropy=os.urandom,
        )

    made = with_store(context, invite)
    url = settings.console_url or settings.public_url or f"http://{settings.listen}"
    base = url.rstrip("/")
    if as_json:
        print_json({"link": link_of(base, made.token), "expires_at": made.invitation.expires_at})
    else:
        click.echo(link_of(base, made.token))


@console_operators.command("list")
@json_option
@click.pass_context
def list_operators(context: click.Context, *, as_json: bool) -> None:
    """List the operators."""

    async def read(store: Database) -> list[tuple[Person, str]]:
        service = await ensure_console(store)
        names = {tenant.n: tenant.name for tenant in (await store.tenancy()).tenants}
        found = await store.people.people_of(service.n, limit=invitations.OPERATORS_MAX)
        return [(one, "all" if one.tenant is None else names.get(one.tenant, "-")) for one in found]

    found = with_store(context, read)
    if as_json:
        print_json(
            [{"name": one.username, "tenant": tenant, "since": one.created_at} for one, tenant in found]
        )
        return
    rows = [(one.username, tenant, f"{one.created_at:%Y-%m-%d}") for one, tenant in found]
    print_table(("name", "tenant", "since"), rows)


@console_operators.command("remove")
@click.argument("name")
@click.pass_context
@audited
def remove_operator(context: click.Context, *, name: str) -> None:
    """Remove an operator; every browser that is signed in as this one is out at once."""

    async def remove(store: Database) -> None:
        service = await ensure_console(store)
        settings = await store.people.login_of(service.n)
        mode = Mode.LIVE if settings is None else settings.mode
        found = await store.people.person_named(service.n, mode, name_key(name))
        if found is None:
            raise NotFound(f"There is no operator {name!r}. Next: dastak operators list")
        await store.people.remove_person(found.id)

    with_store(context, remove)
    click.echo(f"{name} is no operator any more.")


def link_of(base: str, token: str) -> str:
    """Return the address that a token opens."""
    return f"{base}/console/setup/{token}"


async def invite_first(settings: Settings) -> str | None:
    """Invite the first operator of a sandbox; return the token, or None when there is one."""
    async with open_store(settings) as store:
        service = await invitations.ensure_console_login(store, store.people, mode=Mode.TEST)
        if await store.people.people_of(service.n, limit=1):
            return None
        made = await invitations.invite(
            store,
            store.people,
            "operator",
            mode=Mode.TEST,
            tenant=None,
            now=datetime.now(UTC),
            entropy=os.urandom,
        )
    return made.token
