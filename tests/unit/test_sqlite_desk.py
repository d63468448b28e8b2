"""The desk of a SQLite file: one read sees one state, and a broken rule is not taken for a taken name."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dastak.store import sqlite_file
from dastak.store.desk import Execute
from dastak.store.sqlite_desk import SqliteDesk
from dastak.store.statements import load


async def test_read_sees_one_state_whatever_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "d.db"

    def look(execute: Execute) -> tuple[int, int]:
        (before,) = execute("tenancy_revision").fetchone()
        with closing(sqlite_file.connect(path)) as other:
            other.execute(load()["raise_tenancy_revision"])
        (after,) = execute("tenancy_revision").fetchone()
        return before, after

    async with SqliteDesk(path) as desk:
        seen = await desk.read(look)
        (later,) = await desk.read(lambda execute: execute("tenancy_revision").fetchone())

    assert seen == (0, 0)
    assert later == 1


async def test_missing_value_is_no_taken_one(tmp_path: Path) -> None:
    async with SqliteDesk(tmp_path / "d.db") as desk:
        with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
            await desk.write(lambda execute: execute("learn", ("scores", None)).rowcount)
