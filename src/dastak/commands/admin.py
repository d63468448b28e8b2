"""Make and change tenants and services; a running server sees it within a second."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, TypeVar, cast

import click
import msgspec

from dastak.app_store import open_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.core.call_rules import CallRules
from dastak.core.errors import InvalidRequest, NotFound
from dastak.core.msisdn import mask
from dastak.core.policy import Policy
from dastak.core.ports import Tenancy
from dastak.core.tenant import Service, Tenant
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import Database
from dastak.telemetry.logs import handler_to
from dastak.tenancy import operators
from dastak.tenancy.domains.domain_rules import DomainGrant, own_hosts_of

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", Policy, CallRules)

MICROS: Final = 1_000_000
# What says in the audit log on what a command worked.
# Options that hold rules of their own.
_BELOW: Final = ("policy", "calls")
NAMED: Final = ("tenant", "service", "name", "key_id", "client_id", "number", "route")


def audited(command: F) -> F:
    """Have what a command changed written to standard error, as the server writes it to its audit log."""

    @wraps(command)
    def change(context: click.Context, **given: Any) -> Any:
        try:
            answer = command(context, **given)
        except SystemExit:  # not all of it is done
            _tell(context, command.__name__, given)
            raise
        _tell(context, command.__name__, given)
        return answer

    return cast(F, change)


def _tell(context: click.Context, action: str, given: Mapping[str, Any]) -> None:
    settings = load(context.obj, os.environ).settings.log
    if settings.level not in ("debug", "info") or given.get("dry_run"):
        return
    parts = [str(given[name]) for name in NAMED if given.get(name)]
    line = {
        "name": "dastak.audit",
        "levelno": logging.INFO,
        "levelname": "INFO",
        "msg": f"{action}: done",
        "action": action,
        "result": "done",
        "actor": "cli",
        "uid": os.getuid(),
        # What has no letter may be a number.
        "on": "/".join(part if any(map(str.isalpha, part)) else mask(part) for part in parts),
    }
    handler_to(sys.stderr, settings.format).handle(logging.makeLogRecord(line))


@click.group()
def tenants() -> None:
    """Create, list, show and change tenants."""


@tenants.command("create")
@click.argument("name")
@click.option("--daily-cap", type=click.FloatRange(0), help="What its messages may cost in a UTC day.")
@json_option
@click.pass_context
@audited
def create_tenant(context: click.Context, *, name: str, daily_cap: float | None, as_json: bool) -> None:
    """Make a tenant."""
    cap = operators.DAILY_SPEND_CAP_MICROS if daily_cap is None else round(daily_cap * MICROS)

    async def create(store: Database) -> Tenant:
        return await operators.create_tenant(store, name, daily_spend_cap_micros=cap)

    _print_records([with_store(context, create)], as_json=as_json, many=False)


@tenants.command("set")
@click.argument("name")
@click.option("--daily-cap", type=click.FloatRange(0), help="What its messages may cost in a UTC day.")
@click.option("--suspend/--resume", "suspended", default=None, help="Refuse its keys, or take them again.")
@json_option
@click.pass_context
@audited
def set_tenant(
    context: click.Context, *, name: str, daily_cap: float | None, suspended: bool | None, as_json: bool
) -> None:
    """Change a tenant."""
    cap = None if daily_cap is None else round(daily_cap * MICROS)

    async def change(store: Database) -> Tenant:
        n = tenant_named(await store.tenancy(), name).n
        return await operators.change_tenant(store, n, daily_spend_cap_micros=cap, suspended=suspended)

    _print_records([with_store(context, change)], as_json=as_json, many=False)


@tenants.command("list")
@json_option
@click.pass_context
def list_tenants(context: click.Context, *, as_json: bool) -> None:
    """List all tenants."""
    _print_records(with_store(context, lambda store: store.tenancy()).tenants, as_json=as_json)


@tenants.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show_tenant(context: click.Context, *, name: str, as_json: bool) -> None:
    """Show one tenant."""
    found = tenant_named(with_store(context, lambda store: store.tenancy()), name)
    _print_records([found], as_json=as_json, many=False)


@click.group()
def services() -> None:
    """Create, list and change services."""


def service_options(command: F) -> F:
    """Give a command the options that say what a service is like."""
    for option in (
        click.option("--policy", multiple=True, metavar="NAME=VALUE", help="Such as length=6, or ttl_s=300."),
        click.option(
            "--calls", multiple=True, metavar="NAME=VALUE", help="Such as hours=08:00-21:00 Asia/Kolkata."
        ),
        click.option("--domains", help="Hosts that are its own, for texts and pages, with commas."),
        click.option("--team-numbers", help="The only numbers a team key reaches, with commas."),
        click.option("--countries", help="Where it may send to, as IN,US."),
        click.option("--locale", help="Language of its texts."),
        click.option("--sender", help="The header or number its texts come from."),
        click.option("--brand", help="The name in its texts."),
        click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True),
    ):
        command = option(command)
    return command


@services.command("create")
@click.argument("name")
@service_options
@json_option
@click.pass_context
@audited
def create_service(context: click.Context, /, *, name: str, tenant: str, as_json: bool, **given: Any) -> None:
    """Make a service; no country is open unless you open it."""

    async def create(store: Database) -> Service:
        n = tenant_named(await store.tenancy(), tenant).n
        fresh = Service(n=0, tenant=n, name=name, brand=name, policy=Policy())
        return await operators.create_service(store, changed(fresh, given), grant=_grant(context, given))

    _print_records([with_store(context, create)], as_json=as_json, many=False)


@services.command("set")
@click.argument("name")
@service_options
@json_option
@click.pass_context
@audited
def set_service(context: click.Context, /, *, name: str, tenant: str, as_json: bool, **given: Any) -> None:
    """Change a service; what is not given stays."""

    async def change(store: Database) -> Service:
        found = service_named(await store.tenancy(), tenant, name)
        return await operators.change_service(store, changed(found, given), grant=_grant(context, given))

    _print_records([with_store(context, change)], as_json=as_json, many=False)


@services.command("list")
@click.option("--tenant", help="Only of this tenant.")
@json_option
@click.pass_context
def list_services(context: click.Context, *, tenant: str | None, as_json: bool) -> None:
    """List services."""
    tenancy = with_store(context, lambda store: store.tenancy())
    n = None if tenant is None else tenant_named(tenancy, tenant).n
    _print_records([found for found in tenancy.services if n in (None, found.tenant)], as_json=as_json)


def _grant(context: click.Context, given: Mapping[str, Any]) -> DomainGrant:
    """Return which domains may be given here: any that is no other tenant's, for this is an operator."""
    shared = own_hosts_of(load(context.obj, os.environ).settings.server.public_url)
    return DomainGrant(shared=shared, confirms=given["domains"] is not None)


def changed(service: Service, given: dict[str, Any]) -> Service:
    """Return a service with what the command line gave.

    Raises:
        InvalidRequest: The policy has no such rule, or not such a value.
    """
    said = {name: value for name, value in given.items() if value is not None and name not in _BELOW}
    lists = ("countries", "domains", "team_numbers")
    said |= {name: tuple(filter(None, said[name].split(","))) for name in lists if name in said}
    policy = _ruled(service.policy, "policy", given["policy"])
    return msgspec.structs.replace(
        service, policy=policy, calls=_ruled(service.calls, "calls", given["calls"]), **said
    )


def _ruled(rules: R, option: str, given: Sequence[str]) -> R:
    """Change rules by what the command line says: NAME=VALUE, the value as JSON or else as text."""
    try:
        said = {name: _value(text) for name, _, text in (rule.partition("=") for rule in given)}
        return msgspec.convert({**msgspec.structs.asdict(rules), **said}, type(rules), str_keys=True)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"--{option}: {error}; write NAME=VALUE with a JSON value.") from error


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def with_store(context: click.Context, act: Callable[[Database], Awaitable[T]]) -> T:
    """Do one thing with the database of this installation.

    Raises:
        ConfigError: There is no database yet.
    """
    settings = load(context.obj, os.environ).settings
    if not is_postgres(settings.store.url) and not (path := sqlite_path(settings.store.url)).exists():
        raise ConfigError(f"store.url: there is no database {path}. Next: dastak init, or dastak migrate")

    async def acted() -> T:
        async with open_store(settings) as store:
            return await act(store)

    return asyncio.run(acted())


def tenant_named(tenancy: Tenancy, name: str) -> Tenant:
    """Return a tenant by its name. Raises: NotFound."""
    for tenant in tenancy.tenants:
        if tenant.name == name:
            return tenant
    raise NotFound(f"There is no tenant `{name}`. Next: dastak tenants list")


def service_named(tenancy: Tenancy, tenant: str, name: str) -> Service:
    """Return a tenant's service by its name. Raises: NotFound."""
    n = tenant_named(tenancy, tenant).n
    for service in tenancy.services:
        if (service.tenant, service.name) == (n, name):
            return service
    raise NotFound(f"The tenant `{tenant}` has no service `{name}`. Next: dastak services list")


def _print_records(records: Sequence[Tenant | Service], *, as_json: bool, many: bool = True) -> None:
    if as_json:
        print_json(records if many else records[0])
        return
    shown = [msgspec.to_builtins(record) for record in records]
    if not many:
        print_table(("field", "value"), [(name, _cell(value)) for name, value in shown[0].items()])
    elif shown:
        heads = [name for name, value in shown[0].items() if not isinstance(value, dict)]
        print_table(heads, [[_cell(record[name]) for name in heads] for record in shown])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(below)}" for name, below in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
