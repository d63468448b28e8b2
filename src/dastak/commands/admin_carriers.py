"""Add, look at, change, drain, restore and remove carriers; a running server follows within a second."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from dastak.carriers.carrier_book import Act, CarrierBook, Wish
from dastak.carriers.carrier_kinds import KINDS
from dastak.commands.carrier_profiles import show_hook, show_profile
from dastak.commands.carrier_records import (
    list_carriers,
    print_view,
    show_carrier,
    show_history,
    view,
    with_book,
)
from dastak.commands.carrier_trial import try_carrier
from dastak.commands.printing import json_option, progress
from dastak.core.carrier import Carrier, CarrierKind, CarrierState
from dastak.core.errors import InvalidRequest

F = TypeVar("F", bound=Callable[..., Any])

WHO: Final = "cli"
# As text: of an enumeration click would take the names of its members.
KIND_NAMES: Final = tuple(kind.value for kind in KINDS)


@click.group()
def carrier() -> None:
    """Add, test, change, drain and restore carriers."""


def wish_options(command: F) -> F:
    """Give a command the options that say what a carrier is like."""
    for option in (
        click.option("--secret-file", "secret_files", multiple=True, metavar="NAME=FILE", help="A secret."),
        click.option("--lane", "lanes", multiple=True, metavar="NAME=VALUE", help="Such as priority=10."),
        click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Such as window=20."),
        click.option("--system-id", help="The account it gave you (SMPP)."),
        click.option("--port", type=click.IntRange(1, 65535), help="Its TCP port (SMPP)."),
        click.option("--host", help="Its name or address (SMPP)."),
    ):
        command = option(command)
    return command


@carrier.command("add")
@click.argument("name")
@click.option("--kind", type=click.Choice(KIND_NAMES), default=CarrierKind.SMPP.value, show_default=True)
@wish_options
@click.option("--why", default="added", show_default=True, help="Stands in its history.")
@json_option
@click.pass_context
def add_carrier(
    context: click.Context, /, *, name: str, kind: str, why: str, as_json: bool, **given: Any
) -> None:
    """Add a carrier. A secret is read from its file, or asked for; it never stands on the command line."""
    wish = wished(given)
    secrets = {
        secret: click.prompt(secret, hide_input=True, err=True)
        for secret in sorted(KINDS[CarrierKind(kind)].asked(wish.settings or {}) - set(wish.settings or {}))
    }
    full = msgspec.structs.replace(wish, settings={**(wish.settings or {}), **secrets})

    async def add(book: CarrierBook) -> Carrier:
        return await book.add(name, CarrierKind(kind), full, _act(why))

    _show(with_book(context, add), as_json=as_json)
    progress(f"Next: dastak carrier test {name} --to +91…")


@carrier.command("set")
@click.argument("name")
@wish_options
@click.option("--why", required=True, help="Stands in its history.")
@json_option
@click.pass_context
def set_carrier(context: click.Context, /, *, name: str, why: str, as_json: bool, **given: Any) -> None:
    """Change a carrier's settings or lane; what is not given stays, null takes a setting back."""
    _change(context, name, wished(given), why, as_json=as_json)


@carrier.command("drain")
@click.argument("name")
@click.option("--why", required=True, help="Is kept with it.")
@json_option
@click.pass_context
def drain_carrier(context: click.Context, *, name: str, why: str, as_json: bool) -> None:
    """Give a carrier nothing new; its receipts are still understood."""
    _move(context, name, CarrierState.DRAINING, why, as_json=as_json)


@carrier.command("off")
@click.argument("name")
@click.option("--why", required=True, help="Is kept with it.")
@json_option
@click.pass_context
def turn_carrier_off(context: click.Context, *, name: str, why: str, as_json: bool) -> None:
    """Disconnect a carrier."""
    _move(context, name, CarrierState.OFF, why, as_json=as_json)


@carrier.command("restore")
@click.argument("name")
@click.option("--why", required=True, help="Is kept with it.")
@json_option
@click.pass_context
def restore_carrier(context: click.Context, *, name: str, why: str, as_json: bool) -> None:
    """Use a carrier again that was drained or turned off."""
    _move(context, name, CarrierState.ACTIVE, why, as_json=as_json)


@carrier.command("remove")
@click.argument("name")
@click.option("--why", required=True, help="Stands in its history, which stays.")
@click.pass_context
def remove_carrier(context: click.Context, *, name: str, why: str) -> None:
    """Remove a carrier that was drained or turned off before."""
    with_book(context, lambda book: book.remove(name, _act(why)))
    click.echo(name)


def wished(given: Mapping[str, Any]) -> Wish:
    """Put together what the command line says of a carrier.

    Raises:
        InvalidRequest: A secret's file cannot be read, or a value has no name.
    """
    settings = {name: given[name] for name in ("host", "port", "system_id") if given[name] is not None}
    settings |= dict(map(_named, given["settings"]))
    for secret in given["secret_files"]:
        name, _, path = secret.partition("=")
        try:
            settings[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"--secret-file {name}: {error}") from error
    lane = dict(map(_named, given["lanes"]))
    return Wish(settings=settings or None, lane=lane or None)


def _change(context: click.Context, name: str, wish: Wish, why: str, *, as_json: bool) -> None:
    _show(with_book(context, lambda book: book.change(name, wish, _act(why))), as_json=as_json)


def _move(context: click.Context, name: str, state: CarrierState, why: str, *, as_json: bool) -> None:
    moved = with_book(context, lambda book: book.change(name, Wish(state=state), _act(why)))
    if as_json:
        _show(moved, as_json=True)
    else:
        click.echo(f"{moved.name} is {moved.state}: {moved.reason}")


def _act(why: str) -> Act:
    return Act(who=WHO, why=why, at=datetime.now(UTC))


def _named(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE, the value as JSON or else as text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidRequest(f"{text!r} is not NAME=VALUE.")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _show(one: Carrier, *, as_json: bool) -> None:
    print_view(view(one), as_json=as_json)


for command in (try_carrier, list_carriers, show_carrier, show_history, show_hook, show_profile):
    carrier.add_command(command)
