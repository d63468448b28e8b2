"""Run the service with the settings of this installation."""

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

import click

from dastak import config_secrets
from dastak.commands.printing import progress
from dastak.config import ConfigError, Settings
from dastak.config_read import load

if TYPE_CHECKING:
    from dastak.app import Running

T = TypeVar("T")


@click.command()
@click.option("--listen", help="Address and port instead of server.listen.")
@click.option("--role", type=click.Choice(["all"]), help="What this process does.")
@click.pass_context
def serve(context: click.Context, listen: str | None, role: str | None) -> None:
    """Run the service until SIGTERM or Ctrl-C; what is queued stays in the database."""
    loaded = load(context.obj, os.environ, {"server.listen": listen, "server.role": role})
    refuse_unsafe(loaded.settings)
    run_app(loaded.settings, dev=False, ready=_say)


def run_app(
    settings: Settings, *, dev: bool, ready: "Callable[[Running], None]", test_key: str | None = None
) -> None:
    """Run the program to its end, with logs; see `app.run`.

    Raises:
        ConfigError: Its address is taken.
    """
    # The whole program: help, and an error in the settings, do without it.
    from dastak import app  # noqa: PLC0415
    from dastak.telemetry.logs import setup_logs  # noqa: PLC0415

    setup_logs(settings.log.level, settings.log.format)
    try:
        run_coroutine(app.run(settings, dev=dev, ready=ready, test_key=test_key))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigError(
            f"server.listen: {settings.server.listen} is in use. Next: set another port, or stop the other."
        ) from error


def refuse_unsafe(settings: Settings) -> None:
    """Refuse to begin when that would leak or lose something.

    Raises:
        ConfigError: A secret is missing, short, open to everybody or only a placeholder.
    """
    config_secrets.read_keys(settings)
    config_secrets.check_carrier_secrets(settings)


def run_coroutine(program: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end on uvloop, where there is one, and return its result."""
    if sys.platform == "win32":
        return asyncio.run(program)
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.run(program)


def _say(running: "Running") -> None:
    progress(f"Dastak answers at {running.url}")
