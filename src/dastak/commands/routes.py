"""Show what a running server has learned of its routes, and ask it what other rules would change."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import click
import msgspec

from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.commands.running_server import DevServer, call, find_server, server_options, tell_refusal
from dastak.core.errors import InvalidRequest

PATH: Final = "/v1/admin/routes"
SIDES: Final = ("now", "then")
_KINDS: Final = ("arrived", "entered", "cost")
_AT_PLACE: Final = ("place", "score", "left", "deadline", "entered")
Found = Mapping[str, Any]
# Method, path and body.
_Asked = tuple[str, str] | tuple[str, str, Any]


@click.group()
def route() -> None:
    """Show how good each route is, and what other rules would change; needs an operator's key."""


@route.command("list")
@server_options
@json_option
@click.pass_context
def list_routes(context: click.Context, *, url: str | None, api_key: str | None, as_json: bool) -> None:
    """List the routes with their scores in each country."""
    found = _ask(context, find_server(url, api_key), ("GET", PATH), as_json=as_json)
    if as_json:
        print_json(found)
        return
    heads = ("route", "state", "weight", "breaker", "believed", *_AT_PLACE)
    print_table(heads, [row for one in found["routes"] for row in _rows(one)])


@route.command("show")
@click.argument("name")
@server_options
@json_option
@click.pass_context
def show_route(
    context: click.Context, *, name: str, url: str | None, api_key: str | None, as_json: bool
) -> None:
    """Show what a score is made of, at each place, and why receipts are or are not believed."""
    asked = ("GET", f"{PATH}/{quote(name, safe='')}")
    found = _ask(context, find_server(url, api_key), asked, as_json=as_json)
    if as_json:
        print_json(found)
        return
    places, breaker, mark = found.pop("places"), found.pop("breaker"), found.pop("mark")
    rows = [*found.items(), *((f"breaker.{key}", value) for key, value in breaker.items())]
    rows += [] if mark is None else [(f"mark.{key}", value) for key, value in mark.items()]
    print_table(("field", "value"), [(field, _cell(value)) for field, value in rows])
    for place in places:
        click.echo()
        print_table((_place(place), ""), [(field, _cell(value)) for field, value in _figures(place)])


@route.command("what-if")
@click.option(
    "--lane",
    "lanes",
    multiple=True,
    required=True,
    metavar="NAME:FIELD=VALUE",
    help="What would be another: weight, priority, price_micros, countries, …, or state.",
)
@click.option("--hours", type=click.IntRange(1, 24), default=24, show_default=True, help="Replay so many.")
@server_options
@json_option
@click.pass_context
def what_if(
    context: click.Context,
    *,
    lanes: tuple[str, ...],
    hours: int,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Replay recorded texts against other rules, before they apply. Nothing is changed by asking.

    For example: dastak route what-if --lane north:weight=30 --lane south:state=draining
    """
    body = {"lanes": _changes(lanes), "hours": hours}
    found = _ask(context, find_server(url, api_key), ("POST", f"{PATH}/what-if", body), as_json=as_json)
    if as_json:
        print_json(found)
        return
    outlook = found["outlook"]
    heads = ("route", "took", "down", *(f"{what} {side}" for what in ("share", *_KINDS) for side in SIDES))
    routes = [(one["route"], one["took"], one["down"], *_compared(one)) for one in outlook["routes"]]
    took = sum(one["took"] for one in outlook["routes"])
    print_table(heads, [*routes, ("all", took, "", *_compared(outlook))])
    progress(
        f"{outlook['texts']} texts since {found['since']}"
        + ("" if found["complete"] else ", the newest of more")
        + f"; without a route: {outlook['without_route_now']} now, {outlook['without_route_then']} then"
    )


def _ask(context: click.Context, server: DevServer, asked: _Asked, *, as_json: bool) -> dict[str, Any]:
    answer = call(server, *asked)
    if answer.status >= 300:
        context.exit(tell_refusal(answer, as_json=as_json))
    found: dict[str, Any] = answer.body
    return found


def _changes(lanes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Read NAME:FIELD=VALUE, the value as JSON or else as text. Raises: InvalidRequest."""
    changes: dict[str, dict[str, Any]] = {}
    for lane in lanes:
        name, colon, change = lane.partition(":")
        field, equals, value = change.partition("=")
        if not (name and colon and field and equals):
            raise InvalidRequest(f"{lane!r} is not NAME:FIELD=VALUE, such as north:weight=30.")
        try:
            changes.setdefault(name, {})[field] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            changes.setdefault(name, {})[field] = value
    return changes


def _rows(one: Found) -> Iterator[tuple[object, ...]]:
    begin = (one["name"], one["state"], one["weight"], one["breaker"]["state"], _cell(one["believed"]))
    countries = [place for place in one["places"] if not place["operator"]]
    for place in countries:
        figures = (_cell(place["score"]), _cell(place["weight_left"]), f"{place['deadline_s']:.1f} s")
        yield (*begin, _place(place), *figures, _interval(place))
    if not countries:
        yield (*begin, *[""] * len(_AT_PLACE))


def _figures(place: Found) -> Iterator[tuple[str, object]]:
    for field, value in place.items():
        if field == "entered_low":
            yield "entered, 95 %", _interval(place)
        elif field not in ("country", "operator", "entered_high"):
            yield field, value


def _place(place: Found) -> str:
    return " ".join(part for part in (place["country"] or "nowhere", place["operator"]) if part)


def _interval(place: Found) -> str:
    return f"{place['entered_low']:.2f}-{place['entered_high']:.2f}"


def _compared(one: Found) -> Iterator[str]:
    """Yield each figure of now beside that of then."""
    for side in SIDES:
        yield f"{one[side]['share']:.1%}"
    for kind in _KINDS[:2]:
        for side in SIDES:
            yield f"{one[side][kind]:.0f}"
    for side in SIDES:
        yield f"{one[side]['cost_micros'] / 1e6:.2f}"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
