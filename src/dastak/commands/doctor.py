"""Look for what is wrong with this installation, and say for each thing what mends it."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from dastak.app_store import sqlite_file_of
from dastak.cli import Exit
from dastak.commands.checks import (
    call_checks,
    config_checks,
    host_checks,
    limit_checks,
    live_checks,
    node_checks,
    server_checks,
    store_checks,
    voice_checks,
)
from dastak.commands.checks.diagnosis import Check, Scene
from dastak.commands.checks.host_facts import look_at_host
from dastak.commands.checks.server_facts import look_at_server
from dastak.commands.printing import json_option, print_json, progress
from dastak.config import ConfigError
from dastak.config_read import Loaded, load
from dastak.core.carrier import Carrier, CarrierState
from dastak.core.ports import Tenancy
from dastak.store import carrier_tables, rows, sqlite_file, statements, tenancy_tables
from dastak.store.database_url import is_postgres
from dastak.store.desk import Execute
from dastak.store.past_tables import read_latest
from dastak.store.sqlite_desk import executing, snapshot

CHECKS: Final = (
    *config_checks.CHECKS,
    *host_checks.CHECKS,
    *store_checks.CHECKS,
    *server_checks.CHECKS,
    *node_checks.CHECKS,
    *limit_checks.CHECKS,
    *voice_checks.CHECKS,
    *live_checks.CHECKS,
    *call_checks.CHECKS,
)
DOCS: Final = "docs/reference/doctor.md"

# The first check is made by reading the settings at all.
READABLE: Final = "config.readable"
READABLE_TITLE: Final = "the settings can be read and have no unknown keys"
READABLE_WHY: Final = "the service does not start"

COLOURS: Final[Mapping[str, str]] = {"ok": "green", "fixed": "green", "warning": "yellow", "failed": "red"}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one check came to.

    Attributes:
        status: `ok`, `warning`, `failed`, `fixed`, or `skipped` where it does not apply.
        what: What is wrong; likewise why it matters, what to type, and where it is explained.
    """

    check: str
    status: str
    title: str
    what: str = ""
    why: str = ""
    command: str = ""
    docs: str = ""


class _Records(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the database; see `Scene`."""

    tenancy: Tenancy
    stored: tuple[Carrier, ...]
    latest_at: datetime | None
    due_at: datetime | None
    key_marks: Mapping[int, bytes]


@click.command()
@click.option(
    "--fix", is_flag=True, help="Do what is safe: file modes, a missing database, its schema and log."
)
@json_option
@click.pass_context
def doctor(context: click.Context, *, fix: bool, as_json: bool) -> int:
    """Look for what is wrong; exit 1 when something is. Warnings alone are no failure."""
    # Links that are tried tell their state to the log as well; here the findings do.
    logging.getLogger("dastak").addHandler(logging.NullHandler())
    findings = examine(context.obj, os.environ, fix=fix)
    failed = sum(finding.status == "failed" for finding in findings)
    if as_json:
        print_json({"healthy": not failed, "checks": findings})
    else:
        for finding in findings:
            _print(finding)
        progress(f"{len(findings)} checks, {failed} failed")
    return Exit.NO if failed else Exit.OK


def examine(file: Path | None, environment: Mapping[str, str], *, fix: bool = False) -> Sequence[Finding]:
    """Run all checks of an installation, and mend what may be mended unasked."""
    try:
        loaded = load(file, environment)
    except ConfigError as error:
        what, _, command = error.detail.partition(" Next: ")
        readable = Finding(
            check=READABLE,
            status="failed",
            title=READABLE_TITLE,
            what=what,
            why=READABLE_WHY,
            command=command or "dastak config sample",
            docs=f"{DOCS}#configreadable",
        )
        return (readable, *(_skipped(check) for check in CHECKS))
    findings = [Finding(check=READABLE, status="ok", title=READABLE_TITLE)]
    scene = look_at(loaded)
    for check in CHECKS:
        findings.append(run_check(check, scene, fix=fix))
        if findings[-1].status == "fixed":
            scene = look_at(loaded)
    return findings


def look_at(loaded: Loaded) -> Scene:
    """Look at an installation, and into its database if it can be read as it is."""
    now, store = datetime.now(UTC), loaded.settings.store
    if is_postgres(store.url):
        password = None if store.password is None else store.password.reveal()
        server, read = look_at_server(store.url, password, partial(_read, now=now))
        scene = Scene(loaded=loaded, host=look_at_host(Path.cwd()), now=now, server=server)
    else:
        database, read = sqlite_file_of(loaded.settings), None
        scene = Scene(loaded=loaded, host=look_at_host(database.parent), now=now)
        if store_checks.opens(scene) and store_checks.schema(scene) is None:
            read = _read_file(database, now)
    return scene if read is None else msgspec.structs.replace(scene, **msgspec.structs.asdict(read))


def run_check(check: Check, scene: Scene, *, fix: bool = False) -> Finding:
    """Run one check, and mend what it finds if that is wished and safe."""
    if not check.applies(scene):
        return _skipped(check)
    fault = check.run(scene)
    if fault is None:
        return Finding(check=check.name, status="ok", title=check.title)
    fixed = fix and fault.mend is not None
    if fixed:
        assert fault.mend is not None
        fault.mend()
        left = check.run(scene)
        fixed, fault = left is None, left or fault
    return Finding(
        check=check.name,
        status="fixed" if fixed else "warning" if fault.warning else "failed",
        title=check.title,
        what=fault.what,
        why=check.why,
        command=fault.command,
        docs=f"{DOCS}#{check.name.replace('.', '')}",
    )


def _read_file(database: Path, now: datetime) -> _Records:
    """Read a file as it is; the store itself would change how it is kept."""
    with closing(sqlite_file.connect(database, read_only=True)) as connection, snapshot(connection):
        return _read(executing(connection, statements.load()), now)


def _read(execute: Execute, now: datetime) -> _Records:
    """Read what the checks look at."""
    known = carrier_tables.read(execute).carriers
    due = execute("held_due", (rows.to_ms(now), 1)).fetchone()
    message = None if due is None else rows.held_of(due).message
    return _Records(
        tenancy=tenancy_tables.read(execute),
        stored=tuple(carrier for carrier in known if carrier.state is not CarrierState.OFF),
        latest_at=read_latest(execute),
        due_at=None if message is None else message.due_at,
        key_marks=tenancy_tables.key_marks(execute),
    )


def _skipped(check: Check) -> Finding:
    return Finding(check=check.name, status="skipped", title=check.title)


def _print(finding: Finding) -> None:
    status = click.style(f"{finding.status:<8}", fg=COLOURS.get(finding.status))
    click.echo(f"{status}{finding.check:<20} {finding.what or finding.title}")
    if finding.what and finding.status != "fixed":
        click.echo(f"        why   {finding.why}")
        click.echo(f"        next  {finding.command}")
        click.echo(f"        see   {finding.docs}")
