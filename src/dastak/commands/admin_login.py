"""Say how people sign in to a service, and help those who cannot, while a server runs."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from dastak import config_secrets
from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config_read import load
from dastak.core.errors import NotFound
from dastak.core.factor import remove
from dastak.core.ids import FactorId
from dastak.core.login_settings import REMEMBER_DAYS_MAX, LoginSettings
from dastak.core.msisdn import mask
from dastak.core.person import Person
from dastak.core.policy import Channel
from dastak.core.sign_in_state import SignInLine
from dastak.core.signing_secret import OVERLAP_S, OVERLAP_S_MAX
from dastak.core.tenant import Mode
from dastak.flows.sign_in import person_called
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer
from dastak.telemetry.logs import escaped
from dastak.tenancy import operators, password_links
from dastak.tenancy.login_changes import Changed, change_login, rotate_check_secret

_tenant = click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True)
_service = click.option("--service", default=operators.DEFAULT_NAME, show_default=True)
PEOPLE_MAX: Final = 1_000
HOUR_S: Final = 3600
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
@click.option("--site-url", help="Where the pages lead back to, https; an empty one is nowhere.")
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
            tenant,
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
    the factors anew. For a forgotten password see `dastak login password-link`.
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


@login.command("password-link")
@click.argument("name")
@_tenant
@_service
@click.option(
    "--minutes",
    type=click.IntRange(password_links.LIFE_S_MIN // 60, password_links.LIFE_S_MAX // 60),
    default=password_links.LIFE_S // 60,
    show_default=True,
    help="For how long it is good.",
)
@json_option
@click.pass_context
@audited
def make_password_link(
    context: click.Context, *, name: str, tenant: str, service: str, minutes: int, as_json: bool
) -> None:
    """Print a link by which a person sets a forgotten password anew: good once, and with one proof more.

    Look first at who asks for it, and give it to nobody else. The page wants the phone, an authenticator or a
    recovery code besides; all sessions end with the new password.
    """
    settings = load(context.obj, os.environ).settings.server

    async def make(store: Database) -> password_links.MadeLink:
        return await password_links.make_password_link(
            store.people,
            await _login_of(store, tenant, service),
            tenant,
            name,
            now=datetime.now(UTC),
            entropy=os.urandom,
            life_s=minutes * 60,
        )

    made = with_store(context, make)
    url = (settings.public_url or f"http://{settings.listen}").rstrip("/")
    link = password_links.address_of(url, tenant, service, made.token)
    if as_json:
        print_json({"link": link, "expires_at": made.link.expires_at})
    else:
        click.echo(link)


@login.command("rotate")
@_tenant
@_service
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, OVERLAP_S_MAX // HOUR_S),
    default=OVERLAP_S // HOUR_S,
    show_default=True,
    help="For how long both secrets sign; 0 where the old one is in wrong hands.",
)
@json_option
@click.pass_context
@audited
def rotate_check(
    context: click.Context, *, tenant: str, service: str, overlap_hours: int, as_json: bool
) -> None:
    """Make a new secret for your check of passwords; for a while requests carry both signatures."""
    settings = load(context.obj, os.environ).settings

    async def rotate(store: Database) -> Changed:
        return await rotate_check_secret(
            store.people,
            await _service_number(store, tenant, service),
            sealer=AesGcmSealer(config_secrets.read_keys(settings)),
            entropy=os.urandom,
            now=datetime.now(UTC),
            overlap_s=overlap_hours * HOUR_S,
        )

    changed = with_store(context, rotate)
    _print(changed.settings, tenant, service, as_json=as_json, secret=changed.secret)


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
    found = await person_called(store.people, settings, name)
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
        "site_url": settings.site_url,
        **({} if secret is None else {"check_secret": secret}),
    }
    if as_json:
        print_json(shown)
        return
    rows = [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in shown.items()]
    print_table(("setting", "value"), rows)
