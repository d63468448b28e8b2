"""Find the running server that a command means, and talk to it over HTTP as any customer does."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from dastak.cli import Exit
from dastak.commands.printing import print_json, progress
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.core.errors import CarrierUnavailable, InvalidRequest

DEV_FILE: Final = Path(".dastak/dev.json")
TIMEOUT_S: Final = 10

F = TypeVar("F", bound=Callable[..., Any])

# What a refusal by HTTP means for the exit code; any other from 400 upwards is "no", from 500 "unreachable".
EXITS: Final = {400: Exit.USAGE, 401: Exit.REFUSED, 403: Exit.REFUSED, 422: Exit.USAGE, 429: Exit.REFUSED}


class DevServer(msgspec.Struct, frozen=True):
    """What `dastak dev` remembers of itself, so that commands in its directory find it."""

    url: str
    api_key: str

    def __repr__(self) -> str:
        return f"DevServer(url={self.url!r})"


class Answer(NamedTuple):
    """One HTTP answer; an empty body is None."""

    status: int
    body: Any


def server_options(command: F) -> F:
    """Give a command the options that say which server and which key."""
    key = click.option("--key", "api_key", envvar="DASTAK_API_KEY", help="The API key; else DASTAK_API_KEY.")
    return server_option(key(command))


def server_option(command: F) -> F:
    """Give a command the option that says which server."""
    return click.option("--url", envvar="DASTAK_URL", help="The server; else the one of here.")(command)


def find_server(url: str | None, api_key: str | None = None, *, keyed: bool = True) -> DevServer:
    """Return the server and key: as given, else of `dastak dev` in this directory, else as its settings say.

    Args:
        url: As given.
        api_key: As given.
        keyed: Whether a key is needed.

    Raises:
        InvalidRequest: There is none, or the address is none.
    """
    if not (url and (api_key or not keyed)) and DEV_FILE.is_file():
        remembered = msgspec.json.decode(DEV_FILE.read_bytes(), type=DevServer)
        # A key goes only to the server it is for.
        if url in (None, remembered.url):
            url, api_key = remembered.url, api_key or remembered.api_key
    url = url or _listening_here()
    if not url or (keyed and not api_key):
        raise InvalidRequest(
            "No server is known here. Next: dastak dev, or set DASTAK_URL and DASTAK_API_KEY to one that runs"
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidRequest(f"{url!r} is no address of a server; write http://127.0.0.1:8080")
    return DevServer(url.rstrip("/"), api_key or "")


def _listening_here() -> str | None:
    """Return where the installation listens whose settings the command has, if there is one."""
    context = click.get_current_context(silent=True)
    try:
        loaded = load(None if context is None else context.obj, os.environ)
    except ConfigError:
        return None
    return None if loaded.file is None else f"http://{loaded.settings.server.listen}"


def call(
    server: DevServer, method: str, path: str, body: Any = None, *, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Send a request with JSON and return the answer.

    Raises:
        CarrierUnavailable: Nobody answers at that address, or not as Dastak does.
    """
    octets = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if body is not None else {}
    if server.api_key:
        headers["authorization"] = f"Bearer {server.api_key}"
    request = urllib.request.Request(server.url + path, octets, headers, method=method)  # noqa: S310 - http(s)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - as above
            return Answer(answer.status, _read(answer.read()))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, _problem(refusal))
    except (OSError, http.client.HTTPException, ValueError) as error:
        sentence = f"No Dastak answers at {server.url}. Next: dastak dev, or dastak serve"
        raise CarrierUnavailable(sentence) from error


def tell_refusal(answer: Answer, *, as_json: bool) -> int:
    """Print a refusal and return its exit code."""
    if as_json:
        print_json(answer.body)
    else:
        problem = answer.body
        click.secho(f"error: {problem['title']}: {problem['detail']}", err=True, fg="red")
        progress(f"Next: dastak explain {problem['code']}")
    return EXITS.get(answer.status, Exit.UNREACHABLE if answer.status >= 500 else Exit.NO)


def _read(octets: bytes) -> Any:
    return json.loads(octets) if octets else None


def _problem(refusal: urllib.error.HTTPError) -> Any:
    try:
        problem = json.load(refusal)
    except ValueError:
        problem = None
    if isinstance(problem, dict) and {"code", "title", "detail"} <= problem.keys():
        return problem
    detail = f"The server answered {refusal.code} and no problem by RFC 9457."
    return {"code": "internal", "title": "This is no Dastak", "detail": detail}
