"""Read what people wrote back or pressed, see who wants nothing more, and lift that while a server runs."""

from typing import Any

import click

from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.core.call_report import CallReport
from dastak.core.errors import NotFound
from dastak.core.ids import show
from dastak.core.msisdn import mask, parse
from dastak.core.reply import HeardReply, Stop
from dastak.core.reply_store import ReplyPage, StopPage
from dastak.store.desk import PAGE_MAX
from dastak.store.open_database import Database
from dastak.telemetry.logs import escaped
from dastak.tenancy import operators

_limit = click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=50, show_default=True)
_tenant = click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True)


@click.group()
def replies() -> None:
    """List replies and the numbers that said STOP, and lift a stop."""


@replies.command("list")
@_tenant
@click.option("--stray", is_flag=True, help="Those meant for no tenant we know, instead.")
@_limit
@json_option
@click.pass_context
def list_replies(context: click.Context, *, tenant: str, stray: bool, limit: int, as_json: bool) -> None:
    """List what phones wrote back, newest first. Numbers are masked but in JSON."""

    async def read(store: Database) -> ReplyPage:
        of = None if stray else tenant_named(await store.tenancy(), tenant).n
        return await store.replies(of, limit=limit)

    found = with_store(context, read).replies
    if as_json:
        print_json([_reply(heard) for heard in found])
        return
    rows = [
        (
            f"{heard.at:%Y-%m-%d %H:%M:%S}",
            mask(heard.reply.msisdn),
            escaped(heard.reply.to),
            heard.reply.kind,
            _mode(heard.test),
            heard.reply.route,
            escaped(heard.reply.text_masked),
        )
        for heard in found
    ]
    print_table(("at", "from", "to", "kind", "mode", "route", "text"), rows)


@replies.command("stops")
@_tenant
@_limit
@json_option
@click.pass_context
def list_stops(context: click.Context, *, tenant: str, limit: int, as_json: bool) -> None:
    """List the numbers that want nothing more of a tenant, newest first. Masked but in JSON."""

    async def read(store: Database) -> StopPage:
        return await store.stops(tenant_named(await store.tenancy(), tenant).n, limit=limit)

    found = with_store(context, read).stops
    if as_json:
        print_json([_stop(stop) for stop in found])
        return
    rows = [(f"{stop.since:%Y-%m-%d %H:%M:%S}", mask(stop.msisdn), _mode(stop.test)) for stop in found]
    print_table(("since", "number", "mode"), rows)


@replies.command("lift")
@click.argument("number")
@_tenant
@json_option
@click.pass_context
@audited
def lift_stop(context: click.Context, *, number: str, tenant: str, as_json: bool) -> None:
    """Let a tenant write to a number again that said STOP, because its owner asked for that."""
    msisdn = parse(number).msisdn

    async def lift(store: Database) -> bool:
        return await store.lift_stop(tenant_named(await store.tenancy(), tenant).n, msisdn)

    if not with_store(context, lift):
        raise NotFound(f"This number did not ask `{tenant}` to stop. Next: dastak replies stops")
    if as_json:
        print_json({"lifted": True})
    else:
        click.echo(f"{mask(msisdn)} gets texts of {tenant} again.")


def _reply(heard: HeardReply) -> dict[str, Any]:
    reply = heard.reply
    return {
        "at": heard.at,
        "msisdn": reply.msisdn,
        "to": reply.to,
        "kind": reply.kind,
        "text_masked": reply.text_masked,
        "route": reply.route,
        "mode": _mode(heard.test),
    }


def _stop(stop: Stop) -> dict[str, Any]:
    return {"msisdn": stop.msisdn, "since": stop.since, "mode": _mode(stop.test)}


@click.command()
@click.option("--tenant", help="Only of this tenant.")
@_limit
@json_option
@click.pass_context
def reports(context: click.Context, *, tenant: str | None, limit: int, as_json: bool) -> None:
    """List the people who were called and pressed 9: they had not asked for it. Masked but in JSON."""

    async def read(store: Database) -> list[tuple[str, CallReport]]:
        tenancy = await store.tenancy()
        tenants = [tenant_named(tenancy, tenant)] if tenant else tenancy.tenants
        found = [(of.name, one) for of in tenants for one in (await store.reports(of.n, limit=limit)).reports]
        return sorted(found, key=lambda named: named[1].at, reverse=True)[:limit]

    found = with_store(context, read)
    if as_json:
        print_json([
            {
                "at": one.at,
                "tenant": name,
                "verification": show(one.verification),
                "msisdn": one.msisdn,
                "mode": one.mode,
            }
            for name, one in found
        ])  # fmt: skip
        return
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", name, mask(one.msisdn), one.mode, show(one.verification))
        for name, one in found
    ]
    print_table(("at", "tenant", "number", "mode", "verification"), rows)


def _mode(test: bool) -> str:
    return "test" if test else "live"
