"""Make what an installation needs before it can start, and give it new keys later."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from dastak import config_pages, config_secrets
from dastak.commands.printing import json_option, print_json, progress
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.store.sqlite import SqliteStore
from dastak.tenancy import operators

# What an installation is asked for: setting, question, default.
QUESTIONS: Final = (
    ("server.listen", "Address and port to listen on", "127.0.0.1:8080"),
    ("server.public_url", "Address people reach it at (empty: none yet)", ""),
)


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing, take the defaults.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the configuration, keys and database go; else here.",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The database, where it shall not be beside its keys.",
)
@json_option
def init(yes: bool, directory: Path, database: Path | None, as_json: bool) -> None:
    """Make a configuration, random keys, and a database with one tenant and one service.

    Nothing that exists is overwritten. There is no default password or key: `dastak keys create` makes one.
    """
    directory = directory.resolve()
    file = directory / "dastak.toml"
    if file.exists():
        raise ConfigError(f"{file} exists and is not overwritten. Next: dastak doctor")
    answers = {path: _ask(text, default, yes) for path, text, default in QUESTIONS}
    country = _ask("Country your people are in", "IN", yes)
    database = (database or directory / "dastak.db").resolve()
    values = {path: answer for path, answer in answers.items() if answer}
    made = make_installation(directory, values, database)
    asyncio.run(make_default(database, country))
    if as_json:
        print_json({"config": made, "keys": directory / "secrets.json", "database": database})
        return
    click.echo(f"{made}\n{directory / 'secrets.json'}\n{database}")
    progress(f"Next: cd {directory}, then: dastak carrier add NAME, dastak doctor")
    progress("      dastak keys create --mode live --name NAME, then: dastak serve")


def make_installation(directory: Path, values: dict[str, Any], database: Path | None = None) -> Path:
    """Write the settings, their schema and a key file into a directory; return the settings' file.

    Args:
        directory: Made if absent, for its owner only. A key file in it is kept.
        values: Settings besides the paths of database and keys, by dotted path.
        database: The database's file, if it is not in the directory.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = directory / "secrets.json"
    if not keys.exists():
        config_secrets.make_key_file(keys)
    paths = {"store.url": f"sqlite://{database or directory / 'dastak.db'}", "secrets.file": str(keys)}
    schema = msgspec.json.format(msgspec.json.encode(config_pages.json_schema()), indent=2)
    (directory / config_pages.SCHEMA_FILE).write_bytes(schema + b"\n")
    file = directory / "dastak.toml"
    # A password may be written into it later.
    config_secrets.write_private(file, config_pages.sample({**values, **paths}))
    return file


@click.group()
def secrets() -> None:
    """Rotate the keys that codes are derived with."""


@secrets.command()
@json_option
@click.pass_context
def rotate(context: click.Context, as_json: bool) -> None:
    """Add a new random key; codes made from now on use it, those on their way keep theirs.

    A running server reads the key file at its start.
    """
    file = load(context.obj, os.environ).settings.secrets.file
    if file is None:
        raise ConfigError("secrets.file is not set. Next: dastak init")
    number = config_secrets.add_key(file)
    if as_json:
        print_json({"current": number, "file": file})
        return
    click.echo(f"key {number} in {file}")
    progress("Next: restart dastak serve")


async def make_default(database: Path, country: str) -> None:
    """Make a database with one tenant and one service that may send to one country."""
    async with SqliteStore(database) as store:
        await operators.ensure_default(store, home_country=country)


def _ask(text: str, default: str, yes: bool) -> str:
    if yes or not sys.stdin.isatty():
        return default
    answer: str = click.prompt(text, default=default, show_default=bool(default), err=True)
    return answer
