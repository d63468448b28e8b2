"""Look at carriers: as they are written down, and how their links are if a running server can be asked."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click
import msgspec

from dastak import config_secrets
from dastak.carriers.carrier_book import CarrierBook
from dastak.commands.admin import with_store
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.commands.running_server import DevServer, call, server_options
from dastak.config import Settings, carrier_record
from dastak.config_read import load
from dastak.core.carrier import Carrier
from dastak.core.errors import CarrierUnavailable, NotFound
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer

T = TypeVar("T")
View = Mapping[str, Any]

# What only the running server knows.
UNKNOWN: Final[View] = {"available": None, "link": None, "in_flight": None, "binds": None}


@click.command("list")
@server_options
@json_option
@click.pass_context
def list_carriers(context: click.Context, *, url: str | None, api_key: str | None, as_json: bool) -> None:
    """List all carriers, first asked first, with their state, order, weight and links.

    Links are the running server's to tell: with an operator's key it is asked for them.
    """
    found = _views(context, url, api_key)
    if as_json:
        print_json(found)
        return
    heads = ("name", "kind", "state", "priority", "weight", "countries", "link", "reason")
    rows = [
        (
            *(one[name] for name in ("name", "kind", "state")),
            *(one["lane"][name] for name in ("priority", "weight")),
            ",".join(one["lane"]["countries"]) or "all",
            link_of(one),
            one["reason"] or ("stands in the settings file" if one["from_file"] else ""),
        )
        for one in found
    ]
    print_table(heads, rows)


@click.command("show")
@click.argument("name")
@server_options
@json_option
@click.pass_context
def show_carrier(
    context: click.Context, *, name: str, url: str | None, api_key: str | None, as_json: bool
) -> None:
    """Show one carrier without its secrets, and each of its binds if the server runs."""
    for one in _views(context, url, api_key):
        if one["name"] == name:
            print_view(one, as_json=as_json)
            return
    raise NotFound(f"There is no carrier {name[:40]!r}. Next: dastak carrier list")


@click.command("history")
@click.argument("name")
@json_option
@click.pass_context
def show_history(context: click.Context, *, name: str, as_json: bool) -> None:
    """Show what was done to a carrier: when, who, what and why."""
    found = with_book(context, lambda book: book.history(name))
    if as_json:
        print_json([msgspec.to_builtins(change) for change in found])
        return
    rows = [(f"{change.at:%Y-%m-%d %H:%M:%S}", change.who, change.what, change.why) for change in found]
    print_table(("at", "who", "what", "why"), rows)


def with_book(context: click.Context, act: Callable[[CarrierBook], Awaitable[T]]) -> T:
    """Do one thing with the carriers of this installation.

    Raises:
        ConfigError: There is no database or no key file yet.
    """
    settings = load(context.obj, os.environ).settings
    sealer = AesGcmSealer(config_secrets.read_keys(settings))

    async def acted(store: Database) -> T:
        return await act(CarrierBook(store, sealer, fixed=tuple(settings.carriers)))

    return with_store(context, acted)


def view(one: Carrier) -> dict[str, Any]:
    """Show a carrier as it is written down, in the form in which the server shows it."""
    return {
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "reason": one.reason,
        "lane": msgspec.to_builtins(one.lane),
        "settings": one.settings,
        "from_file": one.n == 0,
        **UNKNOWN,
    }


def print_view(one: View, *, as_json: bool) -> None:
    """Print one carrier."""
    if as_json:
        print_json(one)
        return
    apart = {"lane", "settings", *UNKNOWN}
    rows = [(name, value) for name, value in one.items() if name not in apart]
    rows += [("link", link_of(one))] if one["link"] is not None else []
    for bind in one["binds"] or ():
        rows.append((f"bind {bind['name']}", f"{bind['kind']} {bind['state']}: {bind['reason']}"))
    rows += [(f"lane.{name}", value) for name, value in one["lane"].items()]
    print_table(
        ("field", "value"), [(name, _cell(value)) for name, value in (*rows, *one["settings"].items())]
    )


def link_of(one: View) -> str:
    """Say in a few words how the links of a carrier are."""
    if one["link"] is None:
        return "?"
    binds = one["binds"]
    if not binds:
        return str(one["link"])
    down = [bind["reason"] for bind in binds if bind["state"] != "bound"]
    return f"{len(binds) - len(down)} of {len(binds)} up{f': {down[0]}' if down else ''}"


def _views(context: click.Context, url: str | None, api_key: str | None) -> Sequence[View]:
    settings = load(context.obj, os.environ).settings
    live = _ask_server(url or f"http://{settings.server.listen}", api_key)
    return live if live is not None else _written_down(context, settings)


def _written_down(context: click.Context, settings: Settings) -> Sequence[View]:
    listed = with_book(context, CarrierBook.listed)
    fixed = [carrier_record(name, carrier) for name, carrier in settings.carriers.items()]
    return [view(one) for one in sorted((*fixed, *listed), key=lambda one: one.lane.priority)]


def _ask_server(url: str, api_key: str | None) -> Sequence[View] | None:
    """Return the carriers as the running server has them; None when it cannot be asked, and say why."""
    if not api_key:
        progress("As written down; for the links give an operator's key: --key, or DASTAK_API_KEY")
        return None
    try:
        answer = call(DevServer(url.rstrip("/"), api_key), "GET", "/v1/admin/carriers")
    except CarrierUnavailable:
        progress(f"As written down; no server answers at {url}")
        return None
    if answer.status >= 400:
        progress(f"As written down; the server at {url} said: {answer.body['detail']}")
        return None
    carriers: Sequence[View] = answer.body["carriers"]
    return carriers


def _cell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
