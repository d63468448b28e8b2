"""Run the service with the settings of this installation."""

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

import click

from dastak.commands.checks import config_checks, host_checks, server_checks
from dastak.commands.doctor import look_at
from dastak.config import ConfigError, Settings
from dastak.config_read import Loaded, load
from dastak.precedence import go_first
from dastak.telemetry.logs import setup_logs
from dastak.telemetry.no_memory import end_without_memory

if TYPE_CHECKING:
    from dastak.app import Running

T = TypeVar("T")

log = logging.getLogger("dastak.serve")


@click.command()
@click.option("--listen", help="Address and port instead of server.listen.")
@click.option("--role", help="What this process does: all, or some of api,worker,carrier,voice.")
@click.pass_context
def serve(context: click.Context, listen: str | None, role: str | None) -> None:
    """Run the service until SIGTERM or Ctrl-C; what is queued stays in the database."""
    loaded = load(context.obj, os.environ, {"server.listen": listen, "server.role": role})
    setup_logs(loaded.settings.log.level, loaded.settings.log.format)
    end_without_memory()
    refuse_unsafe(loaded)
    if loaded.settings.server.realtime and not go_first():
        log.warning("server.realtime: this system does not allow it. Next: docs/how-to/deploy.md, one core")
    run_app(loaded.settings, dev=False, ready=_say)


def run_app(
    settings: Settings, *, dev: bool, ready: "Callable[[Running], None]", test_key: str | None = None
) -> None:
    """Run the program to its end; see `app.run`.

    Raises:
        ConfigError: Its address is taken.
    """
    # The whole program: help, and an error in the settings, do without it.
    from dastak import app  # noqa: PLC0415

    try:
        run_coroutine(app.run(settings, dev=dev, ready=ready, test_key=test_key))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigError(
            f"server.listen: {settings.server.listen} is in use. Next: set another port, or stop the other."
        ) from error


def refuse_unsafe(loaded: Loaded) -> None:
    """Refuse to begin where that would leak something, and log what else a quick look finds.

    Raises:
        ConfigError: A secret is missing, short, open to everybody or only a placeholder.
    """
    scene = look_at(loaded)
    for check in (*config_checks.CHECKS, *host_checks.CHECKS, *server_checks.AT_START):
        fault = check.run(scene) if check.applies(scene) else None
        if fault is None:
            continue
        if check.run in (*config_checks.REFUSED_AT_START, *server_checks.REFUSED_AT_START):
            raise ConfigError(f"{fault.what}. Next: {fault.command}")
        log.warning("%s. Next: %s", fault.what, fault.command)


def run_coroutine(program: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end on uvloop, where there is one, and return its result."""
    if sys.platform == "win32":
        return asyncio.run(program)
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.run(program)


def _say(running: "Running") -> None:
    log.info("ready at %s", running.url)
    tell_manager(os.environ.get("NOTIFY_SOCKET"), b"READY=1")


def tell_manager(address: str | None, state: bytes) -> None:
    """Tell the service manager how we are, if one listens.

    Source: sd_notify(3).
    """
    if not address:
        return
    # An address that begins with @ is in the abstract namespace, where the first octet is zero.
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        try:
            teller.sendto(state, name)
        except OSError as error:
            log.warning("the service manager does not hear us at %s: %s", address, error.strerror)
