"""The command `dastak`: one table of what it can do, each part imported only when it is asked for.

1. Data goes to standard output, everything else to standard error.
2. The exit code is the answer: see `Exit`.
3. An error ends with the next command to type.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

import click

from dastak import __version__
from dastak.core import errors

# Every command, the module and name of its code, and its line in the help.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "dev": ("dev:dev", "Run everything in one process, with a carrier and phones in a box."),
    "init": ("init:init", "Make a configuration, keys and a database."),
    "serve": ("serve:serve", "Run the service."),
    "health": ("ask_health:health", "Ask a running server whether it lives and can work."),
    "doctor": ("doctor:doctor", "Look for what is wrong, and say what mends it."),
    "send": ("send:send", "Start a verification on a running server."),
    "check": ("send:check", "Check a code on a running server."),
    "factors": (
        "authenticators:factors",
        "List, add, prove and remove authenticators and printed lists.",
    ),
    "why": ("why:why", "Tell why a code did or did not arrive, and what to do next."),
    "dead-letters": ("dead_letters:dead_letters", "List the messages that could not be written, and why."),
    "keys": ("admin_keys:keys", "Create, list, rotate and revoke API keys."),
    "tenants": ("admin:tenants", "Create, list, show and change tenants."),
    "services": ("admin:services", "Create, list and change services."),
    "login": ("admin_login:login", "Show and change how people sign in to a service."),
    "operators": ("admin_people:console_operators", "Invite, list and remove the people who run things."),
    "clients": ("admin_clients:clients", "Register sites that log people in by OpenID Connect."),
    "carrier": ("admin_carriers:carrier", "Add, test, change, drain and restore carriers."),
    "dlt": ("admin_dlt:dlt", "India's DLT register: show, import, replace, lint."),
    "replies": ("admin_replies:replies", "List replies and the numbers that said STOP, and lift a stop."),
    "voice": ("voice:voice", "Show what calls speak, check your recordings, and hear a call."),
    "reports": ("admin_replies:reports", "List the people who were called and had not asked for it."),
    "route": ("routes:route", "Show how good each route is, and what other rules would change."),
    "secrets": ("init:secrets", "Rotate the keys that codes are derived with."),
    "nodes": ("nodes_up:nodes", "List the nodes that share the database, and what each holds."),
    "sim": ("sim:sim", "Run the carrier simulator alone, or tell a running one what to do."),
    "migrate": ("database:migrate", "Bring the database to this version."),
    "backup": ("database:backup", "Copy the database while it is used."),
    "restore": ("database:restore", "Put a backup in the place of the database."),
    "config": ("show_config:config", "Show the settings, their schema, or a sample file."),
    "explain": ("explain_error:explain", "Explain an error code, ours, a carrier's or one of DLT, offline."),
    "completion": ("about:completion", "Print the shell's completion script."),
    "version": ("about:version", "Print the versions of Dastak and what it stands on."),
}


class Exit(IntEnum):
    """What the exit code means."""

    OK = 0
    NO = 1  # the answer is no, or a check failed
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    REFUSED = 5  # by a policy
    INTERRUPTED = 130  # 128 and SIGINT, as shells have it


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"dastak.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="dastak %(version)s")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DASTAK_CONFIG",
    help="The settings; else dastak.toml here, .dastak/dastak.toml, or the one in /etc/dastak.",
)
@click.pass_context
def cli(context: click.Context, config_file: Path | None) -> None:
    """Dastak brings one-time codes to phones and checks them once.

    Begin with `dastak dev`: everything in one process, nothing leaves this machine.
    """
    context.obj = config_file
    context.color = _colour()


def main() -> None:
    """Run the command line and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        answer = cli.main(args=list(arguments), prog_name="dastak", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except errors.DastakError as error:
        click.secho(f"error: {error.detail}", err=True, fg="red", color=_colour())
        return exit_of(error)
    return answer if isinstance(answer, int) else Exit.OK


def exit_of(error: errors.DastakError) -> Exit:
    """Return the exit code that stands for an error."""
    if error.code == "configuration":
        return Exit.CONFIGURATION
    if isinstance(error, errors.CarrierUnavailable | errors.Overloaded):
        return Exit.UNREACHABLE
    if isinstance(error, errors.Refused):
        return Exit.REFUSED
    return Exit.USAGE if isinstance(error, errors.InvalidRequest) else Exit.NO


def _colour() -> bool | None:
    """Return False where colours are unwanted (no-color.org); None leaves it to the terminal."""
    return False if os.environ.get("NO_COLOR") else None
