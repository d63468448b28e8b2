"""Ask a running server whether it lives and can work; a container has no other program to ask with."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final

import click

from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json, progress
from dastak.commands.running_server import find_server, server_option
from dastak.core.errors import CarrierUnavailable

# Container engines ask every few seconds and give up after five.
HEALTH_TIMEOUT_S: Final = 4
ANSWER_OCTETS_MAX: Final = 65_536


@click.command()
@click.option("--ready", is_flag=True, help="Exit 1 when it lives but cannot work.")
@server_option
@json_option
def health(ready: bool, url: str | None, as_json: bool) -> int:
    """Ask a running server whether it lives: exit 0 if so, 4 if nobody answers.

    At the address of server.ops_listen it names the parts that do not work.
    """
    found = find_server(url, keyed=False)
    answer = _ask(found.url)
    if as_json:
        print_json(answer)
    else:
        click.echo("ready" if answer["ready"] else "alive, but not ready")
        for part, fault in answer.get("parts", {}).items():
            if fault is not None:
                progress(f"{part}: {fault}")
    return Exit.NO if ready and not answer["ready"] else Exit.OK


def _ask(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=HEALTH_TIMEOUT_S) as answer:  # noqa: S310 - http(s)
            octets = answer.read(ANSWER_OCTETS_MAX)
    except urllib.error.HTTPError as refusal:
        # Not ready is told with 503, and why in the body.
        with refusal:
            octets = refusal.read(ANSWER_OCTETS_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise CarrierUnavailable(f"No Dastak answers at {url}. Next: dastak serve") from error
    try:
        told = json.loads(octets)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("ready"), bool):
        raise CarrierUnavailable(f"What answers at {url} is no Dastak. Next: dastak serve")
    return told
