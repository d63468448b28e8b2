"""Show the settings as they are used, their JSON Schema, or a commented sample file."""

import os

import click

from dastak import config_pages
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config_read import load


@click.group()
def config() -> None:
    """Show the settings, their schema, or a sample file."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@json_option
@click.pass_context
def show(context: click.Context, origin: bool, as_json: bool) -> None:
    """Print every setting as it is used; secrets are masked."""
    shown = config_pages.effective(load(context.obj, os.environ))
    if as_json:
        print_json(shown)
    elif origin:
        rows = [(item.path, _text(item.value), item.origin) for item in shown]
        print_table(("setting", "value", "from"), rows)
    else:
        print_table(("setting", "value"), [(item.path, _text(item.value)) for item in shown])


@config.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    print_json(config_pages.json_schema())


@config.command()
def sample() -> None:
    """Print a commented sample file."""
    click.echo(config_pages.sample(), nl=False)


def _text(value: object) -> str:
    return "-" if value is None else str(value)
