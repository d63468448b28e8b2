"""Start and check verifications from the shell, on a running server."""

import click

from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json, progress
from dastak.commands.running_server import call, find_server, server_options, tell_refusal


@click.command()
@click.option("--to", required=True, help="The number, as +919876543210.")
@click.option("--service", help="A service of the tenant; else the key's own.")
@click.option("--channel", type=click.Choice(["auto", "sms", "voice"]), default="auto")
@click.option("--locale", help="Language of the text, such as hi-IN.")
@server_options
@json_option
def send(
    *,
    to: str,
    service: str | None,
    channel: str,
    locale: str | None,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> int:
    """Start a verification: make a code and bring it to a phone."""
    asked = {"to": to, "channel": channel, "service": service, "locale": locale}
    body = {name: value for name, value in asked.items() if value is not None}
    answer = call(find_server(url, api_key), "POST", "/v1/verifications", body)
    if answer.status >= 400:
        return tell_refusal(answer, as_json=as_json)
    started = answer.body
    if as_json:
        print_json(started)
        return Exit.OK
    click.echo(started["id"])
    progress(f"to {started['to_masked']}, expires {started['expires_at']}")
    progress(f"Next: dastak check {started['id']} CODE")
    return Exit.OK


@click.command()
@click.argument("verification_id")
@click.argument("code")
@server_options
@json_option
def check(*, verification_id: str, code: str, url: str | None, api_key: str | None, as_json: bool) -> int:
    """Check a code; the exit code is 0 when it was right."""
    path = f"/v1/verifications/{verification_id}/check"
    answer = call(find_server(url, api_key), "POST", path, {"code": code})
    if answer.status >= 400:
        return tell_refusal(answer, as_json=as_json)
    checked = answer.body
    if as_json:
        print_json(checked)
    elif checked["approved"]:
        click.echo(checked["state"])
    else:
        click.echo(f"{checked['state']}: {checked['reason']}")
        progress(f"{checked['attempts_remaining']} attempts remain")
    return Exit.OK if checked["approved"] else Exit.NO
