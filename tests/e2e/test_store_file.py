"""The SQLite file itself: private, small, found by its indexes, migrated, copied and put back."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dastak.core.errors import Conflict, NotFound, Overloaded
from dastak.core.events import VerificationCanceled
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.ports import Filter
from dastak.core.verification import State, Typed, Verification
from dastak.store import backup, migrate, rows, sqlite_file
from dastak.store.restore import restore
from dastak.store.sqlite import SqliteStore
from dastak.store.statements import load
from tests.support.patience import let_in
from tests.support.samples import (
    NOW,
    checking,
    ms,
    settling,
    some_msisdn,
    some_opening,
    some_verification,
    submitting,
)

ROOT = Path(__file__).parents[2]
OCTETS_PER_VERIFICATION_MAX = 325
PAGE_OCTETS = 4096


async def opened(store: SqliteStore, count: int, first: int = 0) -> list[Verification]:
    """Start that many verifications of as many numbers, one a millisecond."""
    verifications = [
        some_verification(msisdn=some_msisdn(n * 7_919 % 10**8), created_at=NOW + timedelta(milliseconds=n))
        for n in range(first, first + count)
    ]
    for start in range(0, count, 64):
        openings = [some_opening(v) for v in verifications[start : start + 64]]
        await asyncio.gather(*(let_in(partial(store.open, opening)) for opening in openings))
    return verifications


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The file.


async def test_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    async with SqliteStore(home / "d.db") as store:
        await opened(store, 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}

    assert modes == {"d.db": 0o600, "d.db-wal": 0o600, "d.db-shm": 0o600}
    assert home.stat().st_mode & 0o777 == 0o700


async def test_pending_verification_and_its_delivered_message_take_few_octets(tmp_path: Path) -> None:
    count = 6_400
    path = tmp_path / "d.db"
    async with SqliteStore(path) as store:
        empty = path.stat().st_size
        for start in range(0, count, 640):
            carriers = {
                v.id: CarrierRef("simulator", v.id.hex()[:8]) for v in await opened(store, 640, start)
            }
            submits = [(MessageKey(id_, 0), submitting(carrier)) for id_, carrier in carriers.items()]
            receipts = [(each, settling(each, Outcome.DELIVERED)) for each in carriers.values()]
            for decided in (submits, receipts):
                for some in range(0, len(decided), 64):
                    await asyncio.gather(*(store.decide(*one) for one in decided[some : some + 64]))

    # A file grows by whole pages, so the last one may be empty but for a row.
    assert (path.stat().st_size - empty - PAGE_OCTETS) / count <= OCTETS_PER_VERIFICATION_MAX


async def test_file_shrinks_again_when_old_verifications_are_deleted(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    async with SqliteStore(path) as store:
        pass
    baseline = path.stat().st_size
    async with SqliteStore(path) as store:
        await opened(store, 3_000)
        later = NOW + timedelta(minutes=10)
        deleted = [(await store.sweep(later, keep_after=later, limit=500)).deleted for _ in range(7)]

    assert deleted == [500] * 6 + [0]
    # The tables' first pages and a few that map the others stay.
    assert path.stat().st_size <= baseline + 4 * 4096


async def test_every_hot_statement_finds_its_row_by_an_index(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    migrate.upgrade(path)
    hot = (
        "held_by_id",
        "held_by_message",
        "held_by_carrier",
        "held_due",
        "pending_of_number",
        "expiring",
        "list_of_number",
        "timelines",
        "delete_answers",
        "delete_tallies",
        "leads_after",
        "keep_leads",
    )
    sql = load()
    with closing(sqlite_file.connect(path)) as connection:
        plans = {
            name: [
                row[3]
                for row in connection.execute(
                    f"EXPLAIN QUERY PLAN {sql[name]}",
                    [None] * max(map(int, re.findall(r"\?(\d)", sql[name]))),
                )
            ]
            for name in hot
        }

    scans = {name: plan for name, plan in plans.items() if any(step.startswith("SCAN") for step in plan)}
    assert scans == {}


def test_what_says_that_a_file_is_served_belongs_to_the_owner_of_the_database(tmp_path: Path) -> None:
    path, mark = tmp_path / "d.db", tmp_path / f"d.db{sqlite_file.SERVED_MARK}"
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, 12_345, 12_345)
    with sqlite_file.served_alone(path):
        assert mark.stat().st_uid == path.stat().st_uid
        assert mark.stat().st_mode & 0o777 == 0o600
    mark.unlink()
    mark.mkdir()

    with pytest.raises(Conflict, match="cannot be opened"), sqlite_file.served_alone(path):
        pass


def test_what_a_number_had_is_found_by_the_number_however_many_tenants_there_are(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    migrate.upgrade(path)
    with closing(sqlite_file.connect(path)) as connection:
        asked = f"EXPLAIN QUERY PLAN {load()['newest_of_number']}"
        plan = [row[3] for row in connection.execute(asked, (1, None, 9))]

    assert any("USING COVERING INDEX verification_number (msisdn=?)" in step for step in plan), plan
    # What is found is gone through, and nothing else.
    assert [step for step in plan if step.startswith("SCAN")] in ([], ["SCAN newest"])


async def test_database_that_cannot_be_read_says_try_again(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "dastak.db") as store:
        (started,) = await opened(store, 1)
        with closing(sqlite3.connect(tmp_path / "dastak.db")) as vandal:
            vandal.execute("DROP VIEW held_by_mode")
            vandal.execute("DROP TABLE message")

        with pytest.raises(Overloaded):
            await store.find(started.tenant, started.id)
        with pytest.raises(Overloaded):
            await store.timeline(started.tenant, started.id)


async def test_list_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dastak.core.errors import Overloaded
    from dastak.store import sqlite_desk

    monkeypatch.setattr(sqlite_desk, "LIST_S_MAX", 0.05)
    endless = (
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n WHERE n < ?7 - ?7"
    )
    async with SqliteStore(tmp_path / "d.db") as store:
        desk = store._sqlite
        usual, desk._listed = (
            desk._listed,
            sqlite_desk.executing(desk._lister, {**desk.sql, "list_of_tenant": endless}),
        )
        with pytest.raises(Overloaded):
            await store.list(Filter(tenant=1))
        desk._listed = usual
        page = await store.list(Filter(tenant=1))

    assert page.verifications == ()


# Migrations.


def test_new_database_has_the_schema_of_this_program(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    planned = migrate.plan(path)

    applied = migrate.upgrade(path)

    assert planned == applied == list(migrate.scripts())
    assert (migrate.plan(path), migrate.upgrade(path)) == ([], [])


@pytest.mark.parametrize("needed", ["UPDATE meta SET value = 99", "DELETE FROM meta"])
def test_newer_schema_that_does_not_say_it_can_be_used_is_refused_and_left_alone(
    tmp_path: Path, needed: str
) -> None:
    path = tmp_path / "d.db"
    migrate.upgrade(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 99")
        database.execute(f"{needed} WHERE name = 'runs_from'")

    with pytest.raises(Conflict, match="schema 99, for programs that know 99 of its migrations"):
        migrate.upgrade(path)


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (n INTEGER)")

    with pytest.raises(Conflict, match="another program"):
        migrate.upgrade(path)


async def test_upgrade_copies_a_database_with_data_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.db"
    async with SqliteStore(path) as store:
        (verification,) = await opened(store, 1)
    known = len(migrate.scripts())
    next_one = tmp_path / "9999_more.sql"
    next_one.write_text(
        "-- One; with a semicolon in a comment.\nCREATE TABLE more (n INTEGER);\nCREATE INDEX i ON more (n);"
    )
    _know_also(monkeypatch, next_one)

    applied = migrate.upgrade(path)

    copy = tmp_path / "d.db.before-9999"
    assert applied == ["9999_more.sql"]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as before, closing(sqlite3.connect(path)) as after:
        assert [database.execute("PRAGMA user_version").fetchone() for database in (before, after)] == [
            (known,),
            (known + 1,),
        ]
        assert after.execute("SELECT count(*) FROM more").fetchone() == (0,)
    async with SqliteStore(path) as store:
        assert (await store.find(1, verification.id)).verification == verification


async def test_database_of_the_first_version_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.db"
    first = dict(list(migrate.scripts().items())[:1])
    with monkeypatch.context() as earlier:
        earlier.setattr(migrate, "scripts", lambda: first)
        migrate.upgrade(path)
    verification = some_verification()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(load()["insert_policy"], (rows.text(verification.policy),))
        database.execute(load()["insert_verification"], rows.verification_row(verification, 1, ()))
        for ordinal, state in enumerate((0, 1)):
            database.execute(
                "INSERT INTO message VALUES (1, ?, 0, 0, 1, ?, 0, ?, 'north', ?, '')",
                (ordinal, state, rows.to_ms(NOW), f"id-{ordinal}"),
            )

    async with SqliteStore(path) as store:
        due = await store.due(NOW, lease_until=NOW, limit=10)

    assert [(held.verification, held.message.key.ordinal) for held in due] == [(verification, 0)]


def test_migration_that_fails_leaves_the_schema_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.db"
    migrate.upgrade(path)
    known = len(migrate.scripts())
    broken = tmp_path / "9999_broken.sql"
    broken.write_text("CREATE TABLE half (n INTEGER);\nCREATE NONSENSE;")
    _know_also(monkeypatch, broken)

    with pytest.raises(sqlite3.OperationalError):
        migrate.upgrade(path)

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (known,)
        assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)


def _know_also(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    scripts = {**migrate.scripts(), file.name: file.read_text()}
    monkeypatch.setattr(migrate, "scripts", lambda: scripts)


# Copies.


def test_copy_taken_while_another_process_writes_is_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tests.support.store_driver", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout is not None
            before = [driver.stdout.readline() for _ in range(300)]
            backup.copy(home / "dastak.db", tmp_path / "copy.db")
            driver.stdout.readline()
        finally:
            driver.kill()

    with closing(sqlite3.connect(tmp_path / "copy.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        there = {id_.hex() for (id_,) in database.execute("SELECT id FROM verification")}
    assert {line.split()[1] for line in before if line.startswith("opened")} <= there
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["copy.db", "home"]


def test_copy_never_overwrites_and_needs_a_source(tmp_path: Path) -> None:
    migrate.upgrade(tmp_path / "d.db")
    (tmp_path / "taken.db").touch()

    with pytest.raises(Conflict):
        backup.copy(tmp_path / "d.db", tmp_path / "taken.db")
    with pytest.raises(NotFound):
        backup.copy(tmp_path / "none.db", tmp_path / "copy.db")


async def test_restored_copy_brings_no_code_back_to_life(tmp_path: Path) -> None:
    path, copy = tmp_path / "d.db", tmp_path / "copy.db"
    async with SqliteStore(path) as store:
        used_before, used_after = await opened(store, 2)
        await store.decide(used_before.id, checking(Typed.RIGHT))
        backup.copy(path, copy)
        await store.decide(used_after.id, checking(Typed.RIGHT))

    voided = restore(copy, path, now=NOW + timedelta(minutes=1), replace=True)

    assert voided == 1
    async with SqliteStore(path) as store:
        assert (await store.find(1, used_before.id)).verification.state is State.APPROVED
        assert not (await store.decide(used_after.id, checking(Typed.RIGHT))).approved
        told = await store.timeline(1, used_after.id)
        assert told[-1] == VerificationCanceled(ms(NOW + timedelta(minutes=1)), "restored")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone() == (1,)
    assert names(tmp_path) == ["copy.db", "d.db"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_restore_makes_a_database_where_none_is(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "d.db") as store:
        await opened(store, 3)
    target = tmp_path / "new" / "d.db"

    assert restore(tmp_path / "d.db", target, now=NOW) == 3
    async with SqliteStore(target) as store:
        assert len((await store.list(Filter(tenant=1))).verifications) == 3


async def test_restore_never_touches_a_database_in_use(tmp_path: Path) -> None:
    copy, path = tmp_path / "copy.db", tmp_path / "d.db"
    migrate.upgrade(copy)
    async with SqliteStore(path) as store:
        (verification,) = await opened(store, 1)

        with pytest.raises(Conflict, match="in use"):
            restore(copy, path, now=NOW, replace=True)
        assert (await store.decide(verification.id, checking(Typed.RIGHT))).approved


async def test_restore_replaces_only_when_told(tmp_path: Path) -> None:
    migrate.upgrade(tmp_path / "copy.db")
    migrate.upgrade(tmp_path / "d.db")

    with pytest.raises(Conflict, match="may be replaced"):
        restore(tmp_path / "copy.db", tmp_path / "d.db", now=NOW)


def test_file_that_is_no_copy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear database, " * 1000)

    with pytest.raises(Conflict, match="damaged"):
        restore(tmp_path / "letter.txt", tmp_path / "d.db", now=NOW)
    with pytest.raises(NotFound):
        restore(tmp_path / "none.db", tmp_path / "d.db", now=NOW)
    assert names(tmp_path) == ["letter.txt"]


async def test_damaged_copy_is_refused_and_the_database_stays(tmp_path: Path) -> None:
    path, copy = tmp_path / "d.db", tmp_path / "copy.db"
    async with SqliteStore(path) as store:
        verifications = await opened(store, 500)
    backup.copy(path, copy)
    octets = bytearray(copy.read_bytes())
    for page in range(5, len(octets) // 4096, 3):
        octets[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    copy.write_bytes(octets)

    with pytest.raises(Conflict, match="damaged"):
        restore(copy, path, now=NOW, replace=True)

    async with SqliteStore(path) as store:
        assert (await store.find(1, verifications[-1].id)).verification == verifications[-1]
    assert names(tmp_path) == ["copy.db", "d.db"]
