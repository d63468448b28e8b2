"""Say how people sign in to a service, and invite those who run things, while a server runs."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from dastak import config_secrets
from dastak.app_store import open_store
from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config import Settings
from dastak.config_read import load
from dastak.core.errors import NotFound
from dastak.core.factor import remove
from dastak.core.ids import FactorId
from dastak.core.login_settings import REMEMBER_DAYS_MAX, LoginSettings
from dastak.core.msisdn import mask
from dastak.core.person import Person, name_key
from dastak.core.policy import Channel
from dastak.core.sign_in_state import SignInLine
from dastak.core.tenant import Mode
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer
from dastak.telemetry.logs import escaped
from dastak.tenancy import invitations, operators
from dastak.tenancy.console_service import ensure_console
from dastak.tenancy.login_changes import Changed, change_login

_tenant = click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True)
_service = click.option("--service", default=operators.DEFAULT_NAME, show_default=True)
PEOPLE_MAX: Final = 1_000
_MODES = click.Choice([Mode.TEST.value, Mode.LIVE.value])


@click.group()
def login() -> None:
    """Show and change how people sign in to a service."""


@login.command("show")
@_tenant
@_service
@json_option
@click.pass_context
def show_login(context: click.Context, *, tenant: str, service: str, as_json: bool) -> None:
    """Show how people sign in to a service."""

    async def read(store: Database) -> LoginSettings:
        return await _login_of(store, tenant, service)

    _print(with_store(context, read), tenant, service, as_json=as_json)


@login.command("set")
@_tenant
@_service
@click.option("--mode", type=_MODES, help="`test` sends codes to the virtual phones, `live` to carriers.")
@click.option("--open/--closed", "open_sign_up", default=None, help="Whether anybody may make an account.")
@click.option("--required/--invited", default=None, help="Whether nobody is in without a second factor.")
@click.option(
    "--factor",
    "factors",
    multiple=True,
    type=click.Choice([channel.value for channel in Channel]),
    help="What counts as one, in the order in which it is asked for; give it several times.",
)
@click.option(
    "--remember-days",
    type=click.IntRange(0, REMEMBER_DAYS_MAX),
    help="For how long a browser may be remembered; 0 is never.",
)
@click.option("--check-url", help="Your own check of passwords, https; an empty one is our directory again.")
@json_option
@click.pass_context
@audited
def set_login(
    context: click.Context,
    /,
    *,
    tenant: str,
    service: str,
    factors: tuple[str, ...],
    as_json: bool,
    **said: Any,
) -> None:
    """Open the login of a service, or change it; what you do not say stays."""
    settings = load(context.obj, os.environ).settings
    changes = {name: value for name, value in said.items() if value is not None}
    if factors:
        changes["factors"] = tuple(map(Channel, factors))
    if "mode" in changes:
        changes["mode"] = Mode(changes["mode"])

    async def change(store: Database) -> Changed:
        return await change_login(
            store.people,
            await _service_number(store, tenant, service),
            changes,
            sealer=AesGcmSealer(config_secrets.read_keys(settings)),
            entropy=os.urandom,
            private=settings.login.private_checks,
        )

    changed = with_store(context, change)
    _print(changed.settings, tenant, service, as_json=as_json, secret=changed.secret)


@login.command("people")
@_tenant
@_service
@click.option("--limit", type=click.IntRange(1, PEOPLE_MAX), default=50, show_default=True)
@json_option
@click.pass_context
def list_people(context: click.Context, *, tenant: str, service: str, limit: int, as_json: bool) -> None:
    """List the people of a service, newest first. Numbers are masked."""

    async def read(store: Database) -> Sequence[Person]:
        return await store.people.people_of(await _service_number(store, tenant, service), limit=limit)

    shown = [_shown(person) for person in with_store(context, read)]
    if as_json:
        print_json(shown)
        return
    rows = [
        (
            escaped(one["username"]),
            one["number"],
            ", ".join(one["factors"]),
            one["mode"],
            "blocked" if one["blocked"] else "",
            f"{one['since']:%Y-%m-%d}",
        )
        for one in shown
    ]
    print_table(("username", "number", "factors", "mode", "", "since"), rows)


@login.command("block")
@click.argument("name")
@_tenant
@_service
@click.option("--undo", is_flag=True, help="Let the person in again.")
@click.pass_context
@audited
def block_person(context: click.Context, *, name: str, tenant: str, service: str, undo: bool) -> None:
    """Shut a person out, at once and in every browser."""

    async def block(store: Database) -> None:
        person = await _person(store, tenant, service, name)
        await store.people.move_person(person.id, lambda one: msgspec.structs.replace(one, blocked=not undo))
        if not undo:
            await store.people.end_sessions(person.id, but=None, line=_line("blocked"))

    with_store(context, block)
    click.echo(f"{escaped(name)} may {'sign in again' if undo else 'not sign in any more'}.")


@login.command("reset")
@click.argument("name")
@_tenant
@_service
@click.pass_context
@audited
def reset_person(context: click.Context, *, name: str, tenant: str, service: str) -> None:
    """Take all second factors of a person away, whose phone and recovery codes are lost.

    Be sure who asks for it: from then the password alone opens the account, and whoever comes first sets up
    the factors anew.
    """

    async def reset(store: Database) -> None:
        person = await _person(store, tenant, service, name)
        owner = tenant_named(await store.tenancy(), tenant).n
        for one in person.owned:
            with suppress(NotFound):
                await store.factors.move_factor(owner, FactorId(bytes.fromhex(one.factor)), remove)
        await store.people.move_person(
            person.id,
            lambda one: msgspec.structs.replace(one, msisdn=None, proved_at=None, owned=(), prefers=None),
        )
        await store.people.put_recovery_codes(person.id, [], line=_line("factors_reset"))
        await store.people.end_sessions(person.id, but=None, line=_line("signed_out_everywhere"))

    with_store(context, reset)
    click.echo(f"{escaped(name)} has no second factor any more.")


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


def _shown(person: Person) -> dict[str, Any]:
    proved = person.msisdn is not None and person.proved_at is not None
    return {
        "username": person.username,
        "number": mask(person.msisdn) if person.msisdn and proved else "",
        "factors": [one.kind for one in person.owned],
        "mode": person.mode,
        "blocked": person.blocked,
        "since": person.created_at,
    }


def _line(what: str) -> SignInLine:
    return SignInLine(at=datetime.now(UTC), what=what, agent="dastak")


async def _person(store: Database, tenant: str, service: str, name: str) -> Person:
    settings = await _login_of(store, tenant, service)
    found = await store.people.person_named(settings.service, settings.mode, name_key(name))
    if found is None:
        raise NotFound("There is no such person. Next: dastak login people")
    return found


async def _service_number(store: Database, tenant: str, service: str) -> int:
    tenancy = await store.tenancy()
    return operators.find_service(tenancy, tenant_named(tenancy, tenant).n, service).n


async def _login_of(store: Database, tenant: str, service: str) -> LoginSettings:
    found = await store.people.login_of(await _service_number(store, tenant, service))
    if found is None:
        raise NotFound("Nobody signs in to this service yet. Next: dastak login set")
    return found


def _print(
    settings: LoginSettings, tenant: str, service: str, *, as_json: bool, secret: str | None = None
) -> None:
    shown = {
        "tenant": tenant,
        "service": service,
        "mode": settings.mode,
        "open_sign_up": settings.open_sign_up,
        "required": settings.required,
        "factors": list(settings.factors),
        "remember_days": settings.remember_days,
        "check_url": settings.check_url,
        **({} if secret is None else {"check_secret": secret}),
    }
    if as_json:
        print_json(shown)
        return
    rows = [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in shown.items()]
    print_table(("setting", "value"), rows)
