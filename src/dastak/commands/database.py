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
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.config import ConfigError, Settings
from dastak.config_read import load
from dastak.store import backup as copies
from dastak.store import restore as restoring
from dastak.store.database_url import is_postgres, sqlite_path
from dastak.store.open_database import move, pending, planned, upgrade
from dastak.store.open_database import void as void_pending


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when something is to be done.")
@click.option("--plan", is_flag=True, help="Change nothing; print what would be done.")
@click.option("--from", "source", metavar="URL", help="Move this SQLite database to PostgreSQL.")
@json_option
@click.pass_context
def migrate(context: click.Context, *, check: bool, plan: bool, source: str | None, as_json: bool) -> int:
    """Bring the database to this version's schema; a file is copied beside itself first.

    With --from, every row of a stopped SQLite installation is copied into the PostgreSQL database of the
    settings, read back and compared. If anything differs, or it is interrupted, nothing is moved.
    """
    settings = _settings(context)
    if source is not None:
        if check:
            raise click.UsageError("--from takes --plan, and no --check")
        _move(settings, source, plan=plan, as_json=as_json)
        return Exit.OK
    asked = pending if check or plan else upgrade
    names = asked(settings.store.url, _password(settings))
    _tell_migrations(settings.store.url, names, done=not (check or plan), as_json=as_json)
    return Exit.NO if check and names else Exit.OK


def _move(settings: Settings, source: str, *, plan: bool, as_json: bool) -> None:
    """Move a database, and print its tables."""
    url = settings.store.url
    if not is_postgres(url):
        raise ConfigError(
            "store.url: a move goes to PostgreSQL. Next: export DASTAK_DATABASE_URL=postgresql://USER@HOST/NAME"
        )
    try:
        path = sqlite_path(source)
    except ValueError as error:
        raise ConfigError(f"--from: {error}.") from error
    if plan:
        counts = planned(path)
        if as_json:
            print_json({"from": path, "to": url, "tables": counts})
            return
        print_table(("table", "rows"), list(counts.items()))
        progress(f"{sum(counts.values())} rows would be moved to {url}")
        return
    moved = move(path, url, _password(settings), tell=lambda table, rows: progress(f"{table}: {rows} rows"))
    if as_json:
        print_json({"from": path, "to": url, "tables": [table._asdict() for table in moved]})
        return
    print_table(("table", "rows", "digest"), moved)
    progress(f"{sum(table.rows for table in moved)} rows were moved and compared. Next: dastak doctor")
    progress(f"Start the old database never again: codes used since would be good in it once more ({path})")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_context
def backup(context: click.Context, *, file: Path, as_json: bool) -> None:
    """Copy the database to FILE while it is used.

    The key file is not in it: a backup beside its keys protects nothing. Keep that one elsewhere.
    """
    settings = _settings(context)
    if is_postgres(settings.store.url):
        raise ConfigError(
            "store.url: PostgreSQL is copied by its own programs, while it is used: pg_basebackup with "
            f"archived WAL, or pgBackRest. Next: pg_basebackup -D {file} -X stream -d '{settings.store.url}'"
        )
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
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--replace", is_flag=True, help="The database may be overwritten.")
@click.option("--void", is_flag=True, help="PostgreSQL was put back already: make old codes void, no more.")
@json_option
@click.pass_context
def restore(context: click.Context, *, file: Path | None, replace: bool, void: bool, as_json: bool) -> None:
    """Put the copy FILE in the place of the database of a stopped service.

    Codes on their way when the copy was made are void, because they may have been used since. PostgreSQL is
    put back by its own programs; then --void does the same there, before any node starts.
    """
    settings, now = _settings(context), datetime.now(UTC)
    database: Path | str
    if is_postgres(settings.store.url):
        if not void or file is not None:
            raise ConfigError(
                "store.url: PostgreSQL is put back by its own programs, such as pgBackRest; then its pending "
                "codes must be made void. Next: dastak restore --void"
            )
        database = settings.store.url
        voided = void_pending(database, _password(settings), now=now)
    else:
        if void or file is None:
            raise click.UsageError("name the copy to restore; its pending codes are made void by that alone")
        database = sqlite_file_of(settings)
        voided = restoring.restore(file, database, now=now, replace=replace)
    if as_json:
        print_json({"database": database, "voided": voided})
        return
    click.echo(database)
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


def _password(settings: Settings) -> str | None:
    return None if settings.store.password is None else settings.store.password.reveal()


def _settings(context: click.Context) -> Settings:
    return load(context.obj, os.environ).settings


def _tell_migrations(database: str, names: Sequence[str], *, done: bool, as_json: bool) -> None:
    if as_json:
        print_json({"database": database, "applied" if done else "pending": names})
        return
    for name in names:
        click.echo(name)
    if not names:
        progress(f"{database} is up to date")
    elif not done:
        progress("Next: dastak migrate")
