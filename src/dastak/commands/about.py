"""Say what runs here, and print a shell's completion script."""

import platform
import sqlite3
from importlib.metadata import version as installed

import click
from click.shell_completion import get_completion_class

from dastak import __version__
from dastak.commands.printing import json_option, print_json


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the versions of Dastak and what it stands on."""
    versions = {
        "dastak": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "uvicorn": installed("uvicorn"),
    }
    if as_json:
        print_json(versions)
        return
    for name, number in versions.items():
        click.echo(f"{name} {number}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the shell's completion script.

    For bash: dastak completion bash > ~/.local/share/bash-completion/completions/dastak
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "dastak", "_DASTAK_COMPLETE").source())
