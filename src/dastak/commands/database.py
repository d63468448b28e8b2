"""Bring the database to this version, copy it while it is used, and put a copy back."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dastak.app_store import sqlite_file_of
from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json, progress
from dastak.config import Settings
from dastak.config_read import load
from dastak.store import backup as copies
from dastak.store import migrate as migrations
from dastak.store import restore as restoring


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when something is to be done.")
@click.option("--plan", is_flag=True, help="Change nothing; print what would be done.")
@json_option
@click.pass_context
def migrate(context: click.Context, *, check: bool, plan: bool, as_json: bool) -> int:
    """Bring the database to this version's schema; what is in it is copied beside it first."""
    path = sqlite_file_of(_settings(context))
    names = migrations.plan(path) if check or plan else migrations.upgrade(path)
    _tell_migrations(path, names, done=not (check or plan), as_json=as_json)
    return Exit.NO if check and names else Exit.OK


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_context
def backup(context: click.Context, *, file: Path, as_json: bool) -> None:
    """Copy the database to FILE while it is used.

    The key file is not in it: a backup beside its keys protects nothing. Keep that one elsewhere.
    """
    settings = _settings(context)
    path = sqlite_file_of(settings)
    copies.copy(path, file)
    remember_backup(path, file, datetime.now(UTC))
    if as_json:
        print_json({"file": file.resolve(), "octets": file.stat().st_size})
        return
    click.echo(file)
    progress(
        f"Keep the key file elsewhere; without it no code in the copy can be checked: {settings.secrets.file}"
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="The database may be overwritten.")
@json_option
@click.pass_context
def restore(context: click.Context, *, file: Path, replace: bool, as_json: bool) -> None:
    """Put the copy FILE in the place of the database of a stopped service.

    Codes on their way when the copy was made are void, because they may have been used since.
    """
    path = sqlite_file_of(_settings(context))
    voided = restoring.restore(file, path, now=datetime.now(UTC), replace=replace)
    if as_json:
        print_json({"database": path, "voided": voided})
        return
    click.echo(path)
    progress(f"{voided} pending verifications were canceled. Next: dastak doctor, then dastak serve")


def remember_backup(database: Path, file: Path, at: datetime) -> None:
    """Write down beside the database when it was last copied, for the doctor."""
    told = {"at": at.isoformat(timespec="seconds"), "file": str(file.resolve())}
    _note(database).write_text(json.dumps(told) + "\n")


def last_backup(database: Path) -> tuple[datetime, Path] | None:
    """Return when the database was last copied, and to which file; None when never."""
    try:
        told: Any = json.loads(_note(database).read_text())
        return datetime.fromisoformat(told["at"]), Path(told["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(database: Path) -> Path:
    return database.with_name(f"{database.name}.last-backup")


def _settings(context: click.Context) -> Settings:
    return load(context.obj, os.environ).settings


def _tell_migrations(path: Path, names: Sequence[str], *, done: bool, as_json: bool) -> None:
    if as_json:
        print_json({"database": path, "applied" if done else "pending": names})
        return
    for name in names:
        click.echo(name)
    if not names:
        progress(f"{path} is up to date")
    elif not done:
        progress("Next: dastak migrate")
