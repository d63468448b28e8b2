"""Make, list, prove and remove authenticators and printed lists of a number, on a running server."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import click
import segno

from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.commands.running_server import DevServer, call, find_server, server_options, tell_refusal

PATH: Final = "/v1/factors"
_PRINTED_COLUMNS: Final = 3
_HEADS: Final = ("factor", "kind", "state", "number", "label", "left")
Found = dict[str, Any]
# Method, path and body.
_Asked = tuple[str, str] | tuple[str, str, Any]


@click.group()
def factors() -> None:
    """Authenticators and printed lists of a number, which a login asks for instead of a text."""


@factors.command("list")
@click.argument("number")
@server_options
@json_option
@click.pass_context
def list_factors(
    context: click.Context, *, number: str, url: str | None, api_key: str | None, as_json: bool
) -> None:
    """List the factors of a number, newest first."""
    asked = ("GET", f"{PATH}?{urlencode({'to': number})}")
    found = _ask(context, find_server(url, api_key), asked, as_json=as_json)
    if as_json:
        print_json(found)
        return
    print_table(_HEADS, [_row(one) for one in found["factors"]])


@factors.command("add")
@click.argument("number")
@click.option(
    "--kind", type=click.Choice(["totp", "hotp", "hash_chain"]), default="totp", show_default=True,
    help="By time, by counter, or a printed list.",
)  # fmt: skip
@click.option("--label", help="What its person calls it.")
@click.option("--account", help="What the authenticator shows it as; else the number.")
@click.option(
    "--secret-file",
    type=click.File(),
    help="The base32 of an authenticator that exists already; - is standard input.",
)
@click.option("--digits", type=click.IntRange(6, 10), help="Of its codes.")
@click.option("--codes", type=click.IntRange(10, 500), help="How many a printed list has.")
@server_options
@json_option
@click.pass_context
def add(
    context: click.Context,
    *,
    number: str,
    kind: str,
    label: str | None,
    account: str | None,
    secret_file: io.TextIOBase | None,
    digits: int | None,
    codes: int | None,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Make one, and show its QR code, secret or list, this once."""
    secret = None if secret_file is None else secret_file.read().strip()
    asked = {
        "to": number,
        "kind": kind,
        "label": label,
        "account": account,
        "secret": secret,
        "digits": digits,
        "codes": codes,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    made = _ask(context, find_server(url, api_key), ("POST", PATH, body), as_json=as_json)
    if as_json:
        print_json(made)
        return
    click.echo(made["id"])
    for line in _shown_once(made):
        click.echo(line)
    progress(f"Next: dastak factors prove {made['id']} CODE")


@factors.command("prove")
@click.argument("factor")
@click.argument("code")
@server_options
@json_option
@click.pass_context
def prove(
    context: click.Context, *, factor: str, code: str, url: str | None, api_key: str | None, as_json: bool
) -> int:
    """Ask for a code of it and check this one; the exit code is 0 when it was right."""
    server = find_server(url, api_key)
    started = _ask(context, server, ("POST", "/v1/verifications", {"factor": factor}), as_json=as_json)
    path = f"/v1/verifications/{started['id']}/check"
    checked = _ask(context, server, ("POST", path, {"code": code}), as_json=as_json)
    if as_json:
        print_json(checked)
    else:
        click.echo(checked["state"] if checked["approved"] else f"{checked['state']}: {checked['reason']}")
    if not checked["approved"] and not as_json:
        progress(f"If its clock or counter is off: dastak factors resync {factor} CODE NEXT-CODE")
    return Exit.OK if checked["approved"] else Exit.NO


@factors.command("resync")
@click.argument("factor")
@click.argument("codes", nargs=-1, required=True)
@server_options
@json_option
@click.pass_context
def resync(
    context: click.Context,
    *,
    factor: str,
    codes: tuple[str, ...],
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Bring an authenticator into step by two or three codes in a row; that opens a lock as well."""
    asked = ("POST", f"{_path(factor)}/resync", {"codes": codes})
    _tell(_ask(context, find_server(url, api_key), asked, as_json=as_json), as_json=as_json)


@factors.command("remove")
@click.argument("factor")
@server_options
@json_option
@click.pass_context
def remove(
    context: click.Context, *, factor: str, url: str | None, api_key: str | None, as_json: bool
) -> None:
    """Take one away, and its secret with it."""
    asked = ("DELETE", _path(factor))
    _tell(_ask(context, find_server(url, api_key), asked, as_json=as_json), as_json=as_json)


def qr_lines(text: str) -> list[str]:
    """Draw a QR code of half blocks. It paints its own ground, for a terminal may be light or dark."""
    drawn = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(drawn, border=2, compact=True)
    return [click.style(line, fg="bright_white", bg="black") for line in drawn.getvalue().splitlines()]


def _shown_once(made: Found) -> Iterator[str]:
    if made.get("uri"):
        yield from qr_lines(made["uri"])
        yield f"Scan it, or type: {_spaced(made['secret'])}"
        yield made["uri"]
    codes: Sequence[str] = made.get("printed") or ()
    for begin in range(0, len(codes), _PRINTED_COLUMNS):
        row = enumerate(codes[begin : begin + _PRINTED_COLUMNS], begin + 1)
        # Their numbers fall to 0, as challenges name them.
        yield "   ".join(f"{len(codes) - place:3}  {code}" for place, code in row)


def _spaced(secret: str) -> str:
    """Write a secret in groups of four, as it is read and typed."""
    return " ".join(secret[begin : begin + 4] for begin in range(0, len(secret), 4))


def _ask(context: click.Context, server: DevServer, asked: _Asked, *, as_json: bool) -> Found:
    answer = call(server, *asked)
    if answer.status >= 300:
        context.exit(tell_refusal(answer, as_json=as_json))
    found: Found = answer.body
    return found


def _tell(factor: Found, *, as_json: bool) -> None:
    if as_json:
        print_json(factor)
    else:
        print_table(_HEADS, [_row(factor)])


def _row(factor: Mapping[str, Any]) -> tuple[object, ...]:
    left = factor["codes_left"]
    kind, state = factor["kind"], factor["state"]
    return factor["id"], kind, state, factor["to_masked"], factor["label"], "" if left is None else left


def _path(factor: str) -> str:
    return f"{PATH}/{quote(factor, safe='')}"
