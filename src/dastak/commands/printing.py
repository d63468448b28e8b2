"""How commands print: JSON for machines, aligned columns for people, progress to standard error."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Give a command the option `--json`, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")(command)


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    click.echo(msgspec.json.encode(value, enc_hook=str))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns, each as wide as its widest cell."""
    lines = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def progress(text: str) -> None:
    """Say what is going on, to a person who waits."""
    click.echo(text, err=True)
