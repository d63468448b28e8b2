"""Make what an installation needs before it can start, and give it new keys later."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from click.core import ParameterSource

from dastak import config_pages, config_secrets
from dastak.commands.admin import audited, with_store
from dastak.commands.printing import json_option, print_json, progress
from dastak.config import ConfigError
from dastak.config_read import DATABASE_URL, load
from dastak.store import database_url
from dastak.store.open_database import open_database
from dastak.tenancy import operators

# What an installation is asked for: setting, question, default.
QUESTIONS: Final = (
    ("server.listen", "Address and port to listen on", "127.0.0.1:8080"),
    ("server.public_url", "Address people reach it at (empty: none yet)", ""),
)

RESTART: Final = "restart dastak serve"
PASSWORD_FILE: Final = "database-password"  # noqa: S105 - the name of a file


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
    "url",
    envvar=DATABASE_URL,
    metavar="FILE|URL",
    help="A file elsewhere than beside the keys, or an empty PostgreSQL database.",
)
@json_option
@click.pass_context
def init(context: click.Context, yes: bool, directory: Path, url: str | None, as_json: bool) -> None:
    """Make a configuration, random keys, and a database with one tenant and one service.

    Nothing that exists is overwritten. There is no default password or key: `dastak keys create` makes one.
    """
    directory = directory.resolve()
    file = directory / "dastak.toml"
    if file.exists():
        raise ConfigError(f"{file} exists and is not overwritten. Next: dastak doctor")
    answers = {path: _ask(text, default, yes) for path, text, default in QUESTIONS}
    country = _ask("Country your people are in", "IN", yes)
    database, password = _database(directory, url)
    settings = {path: answer for path, answer in answers.items() if answer}
    # What comes from the environment stays there.
    kept = password is not None and context.get_parameter_source("url") is not ParameterSource.ENVIRONMENT
    if kept:
        settings["store.password_file"] = str(directory / PASSWORD_FILE)
    made = make_installation(directory, {**settings, "store.url": database})
    if kept:
        config_secrets.write_private(directory / PASSWORD_FILE, f"{password}\n")
    asyncio.run(make_default(database, country, password))
    shown = database.removeprefix("sqlite://")
    if as_json:
        print_json({"config": made, "keys": directory / "secrets.json", "database": shown})
        return
    click.echo(f"{made}\n{directory / 'secrets.json'}\n{shown}")
    progress(f"Next: cd {directory}, then: dastak carrier add NAME, dastak doctor")
    progress("      dastak keys create --mode live --name NAME, then: dastak serve")


def make_installation(directory: Path, values: dict[str, Any]) -> Path:
    """Write the settings, their schema and a key file into a directory; return the settings' file.

    Args:
        directory: Made if absent, for its owner only. A key file in it is kept.
        values: Settings by dotted path; database and keys are files here unless they say otherwise.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = directory / "secrets.json"
    if not keys.exists():
        config_secrets.make_key_file(keys)
    paths = {"store.url": f"sqlite://{directory / 'dastak.db'}", "secrets.file": str(keys), **values}
    schema = msgspec.json.format(msgspec.json.encode(config_pages.json_schema()), indent=2)
    (directory / config_pages.SCHEMA_FILE).write_bytes(schema + b"\n")
    file = directory / "dastak.toml"
    # A password may be written into it later.
    config_secrets.write_private(file, config_pages.sample(paths))
    return file


@click.group()
def secrets() -> None:
    """Rotate the keys that codes are derived with.

    A running server reads the key file at its start. Where nodes share a database each needs the new key
    before one of them uses it: `add`, copy the file, restart all; then `use` on each, and restart it.
    """


@secrets.command("rotate")
@json_option
@click.pass_context
@audited
def rotate_keys(context: click.Context, as_json: bool) -> None:
    """Add a new random key and use it: for an installation of one node.

    Codes made from now on use it, those on their way keep theirs.
    """
    file = _key_file(context)
    number = config_secrets.add_key(file)
    config_secrets.use_key(file, number)
    _told({"current": number, "file": file}, f"key {number} in {file}", as_json=as_json)


@secrets.command("add")
@json_option
@click.pass_context
@audited
def add_key(context: click.Context, as_json: bool) -> None:
    """Add a new random key that nothing is made with yet."""
    file = _key_file(context)
    number = config_secrets.add_key(file)
    then = f"copy {file} to all other nodes, restart every node, then dastak secrets use {number} on each"
    _told({"added": number, "file": file}, f"key {number} in {file}, not used yet", then, as_json=as_json)


@secrets.command("use")
@click.argument("number", type=int)
@json_option
@click.pass_context
@audited
def use_key(context: click.Context, number: int, as_json: bool) -> None:
    """Use a key of the file: codes made from now on use it, those on their way keep theirs."""
    file = _key_file(context)
    config_secrets.use_key(file, number)
    _told({"current": number, "file": file}, f"key {number} in {file}", as_json=as_json)


@secrets.command("adopt")
@click.confirmation_option(
    prompt="Codes on their way, passwords of carriers and authenticators that were kept with other keys are"
    " lost. Go on?"
)
@json_option
@click.pass_context
@audited
def adopt_keys(context: click.Context, as_json: bool) -> None:
    """Have the database take this key file for the right one, where the file it was used with is lost."""
    marks = config_secrets.read_keys(load(context.obj, os.environ).settings).marks()
    with_store(context, lambda store: store.adopt_keys(marks))
    told = ", ".join(map(str, sorted(marks)))
    _told({"adopted": sorted(marks)}, f"the keys of this database are now: {told}", as_json=as_json)


def _key_file(context: click.Context) -> Path:
    """Return the key file of an installation. Raises: ConfigError: It has none."""
    file = load(context.obj, os.environ).settings.secrets.file
    if file is None:
        raise ConfigError("secrets.file is not set. Next: dastak init")
    return file


def _told(done: dict[str, Any], text: str, then: str = RESTART, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    click.echo(text)
    progress(f"Next: {then}")


async def make_default(url: str, country: str, password: str | None = None) -> None:
    """Make a database with one tenant and one service that may send to one country."""
    async with open_database(url, password) as store:
        await operators.ensure_default(store, home_country=country)


def _database(directory: Path, url: str | None) -> tuple[str, str | None]:
    """Return the URL of the database to make, without its password, and that."""
    if url is None:
        return f"sqlite://{directory / 'dastak.db'}", None
    if "://" not in url and not url.startswith("sqlite:"):
        return f"sqlite://{Path(url).resolve()}", None
    bare, password = database_url.apart(url)
    try:
        database_url.check(bare)
    except ValueError as error:
        raise ConfigError(f"--database: {error}.") from error
    return bare, password


def _ask(text: str, default: str, yes: bool) -> str:
    if yes or not sys.stdin.isatty():
        return default
    answer: str = click.prompt(text, default=default, show_default=bool(default), err=True)
    return answer
