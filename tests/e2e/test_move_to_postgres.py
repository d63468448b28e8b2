"""A SQLite database is moved to PostgreSQL with every row of every table, or not at all."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from dastak.config_read import DATABASE_URL
from dastak.core.errors import Conflict, NotFound
from dastak.store import migrate, sqlite_file
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.moving import TOLD_ROWS, move, plan, tables
from dastak.store.postgres.postgres_lane import connect
from tests.support.api_client import ApiClient
from tests.support.postgres_server import shared_server
from tests.support.program import Program, clean_environment
from tests.support.serve_installation import Installation

SEED = 7
ROWS = 20


def told_nobody(_table: str, _rows: int) -> None:
    pass


def fill(path: Path, chance: random.Random) -> None:
    """Put rows into every table, with nothing where nothing may be, and with what is hard to copy."""
    migrate.upgrade(path)
    makers: dict[str, Callable[[], Any]] = {
        "INTEGER": lambda: chance.choice((-(2**63), 0, 2**63 - 1, chance.randrange(2**62))),
        "TEXT": lambda: f"{chance.random()}" + chance.choice(("", "\\N\t\r\n", "कोड ", "\U0001f511'\"", " ")),
        "BLOB": lambda: chance.randbytes(chance.choice((1, 16, 300))) + b"\x00\\",
    }
    with closing(sqlite3.connect(path)) as connection:
        for table in tables(connection):
            asked = 'SELECT type, "notnull" FROM pragma_table_info(?)'
            described = connection.execute(asked, (table.name,)).fetchall()
            for n in range(ROWS):
                row = [
                    None if not needed and n % 3 == 0 and column != "n" else makers[kind]()
                    for column, (kind, needed) in zip(table.columns, described, strict=True)
                ]
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT OR IGNORE INTO {table.name} VALUES ({places})", row)
        connection.execute("INSERT OR IGNORE INTO oidc_seed VALUES (1, x'00')")
        connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'oidc_client'", (2**62,))
        connection.execute("DELETE FROM oidc_client WHERE n > 1000")
        connection.execute("UPDATE message SET trace = trace || '      '")
        connection.commit()


def all_rows(execute: Callable[[str], Any], wanted: Any, *, source: bool = False) -> dict[str, list[Any]]:
    return {t.name: sorted(execute(t.select(source=source)).fetchall(), key=repr) for t in wanted}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "dastak.db"
    fill(path, random.Random(SEED))
    return path


def test_every_row_of_every_table_arrives_as_it_was(source: Path) -> None:
    url = shared_server().new_database()
    with closing(sqlite3.connect(source)) as connection:
        wanted = tables(connection)
        before = all_rows(connection.execute, wanted, source=True)

    moved = move(source, url, tell=told_nobody)

    with closing(connect(url)) as connection:
        after = all_rows(connection.execute, wanted)
    assert after == before
    assert {table.table: table.rows for table in moved} == {name: len(rows) for name, rows in before.items()}
    assert min(len(rows) for rows in before.values()) > 0
    [message] = [table for table in wanted if table.name == "message"]
    trace = list(message.columns).index("trace")
    assert not any(row[trace].endswith(" ") for row in after["message"])


def test_new_rows_are_numbered_after_the_moved_and_the_deleted(source: Path) -> None:
    url = shared_server().new_database()
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("DELETE FROM policy WHERE n > 2000000")
        connection.execute("DELETE FROM reply")
        connection.execute("INSERT INTO policy VALUES (1999, 'last')")
        connection.commit()

    move(source, url, tell=told_nobody)

    with closing(connect(url)) as connection:
        policy = connection.execute("INSERT INTO policy (body) VALUES ('new') RETURNING n").fetchone()
        client = connection.execute(
            "INSERT INTO oidc_client (id, tenant, record) VALUES ('x', 1, '{}') RETURNING n"
        ).fetchone()
        reply = connection.execute(
            "INSERT INTO reply (tenant, msisdn, at, record) VALUES (1, 1, 1, '{}') RETURNING n"
        ).fetchone()
    assert (policy, client, reply) == ((2000,), (2**62 + 1,), (1,))


def test_a_move_that_is_killed_leaves_nothing_and_is_done_again(source: Path) -> None:
    url = shared_server().new_database()
    with closing(sqlite3.connect(source)) as connection:
        many = ((5, n, "[]", n) for n in range(TOLD_ROWS + 50_000))
        connection.executemany("INSERT INTO tally VALUES (?, ?, ?, ?)", many)
        connection.commit()
    command = [sys.executable, "-m", "dastak", "migrate", "--from", f"sqlite://{source}"]
    environment = clean_environment({DATABASE_URL: url})

    with subprocess.Popen(command, cwd=source.parent, env=environment, stderr=subprocess.PIPE) as moving:
        assert moving.stderr is not None
        assert any(f"tally: {TOLD_ROWS} rows" in line.decode() for line in moving.stderr)
        moving.kill()

    with closing(connect(url)) as connection:
        assert connection.execute("SELECT count(*) FROM tally").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM carrier").fetchone() == (0,)
    done = subprocess.run(
        command, cwd=source.parent, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    with closing(connect(url)) as connection:
        assert connection.execute("SELECT count(*) >= 150000 FROM tally").fetchone() == (True,)


def test_a_row_that_the_target_keeps_otherwise_stops_all(source: Path) -> None:
    url = shared_server().new_database()
    postgres_migrate.upgrade(connect(url))
    with closing(connect(url)) as connection:
        connection.execute(
            "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.record := NEW.record || ' '; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER change BEFORE INSERT ON service FOR EACH ROW EXECUTE FUNCTION change()"
        )

    with pytest.raises(Conflict, match=r"service: .* not the same; nothing was moved"):
        move(source, url, tell=told_nobody)

    with closing(connect(url)) as connection:
        assert connection.execute("SELECT count(*) FROM policy").fetchone() == (0,)


def test_a_text_that_cannot_be_kept_is_told_by_its_row(source: Path) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("INSERT INTO policy VALUES (5, 'a' || char(0) || 'b')")
        connection.commit()

    with pytest.raises(
        Conflict, match="of policy has a text that PostgreSQL does not keep; nothing was moved"
    ):
        move(source, shared_server().new_database(), tell=told_nobody)


def test_what_must_not_be_moved_is_refused(source: Path, tmp_path: Path) -> None:
    full, busy, empty = (shared_server().new_database() for _ in range(3))
    move(source, full, tell=told_nobody)
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(next(iter(migrate.scripts().values())))
        connection.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")

    with pytest.raises(Conflict, match="The target is not empty: rows in api_key, browser_session, "):
        move(source, full, tell=told_nobody)
    with closing(connect(busy)), pytest.raises(Conflict, match="A service runs on this database"):
        move(source, busy, tell=told_nobody)
    with closing(sqlite_file.connect(source)) as used:
        used.execute("SELECT count(*) FROM tenant")
        with pytest.raises(Conflict, match="stop the service first"):
            move(source, empty, tell=told_nobody)
    with pytest.raises(Conflict, match=r"still needs 0002_carriers\.sql"):
        move(old, empty, tell=told_nobody)
    with pytest.raises(NotFound):
        move(tmp_path / "absent.db", empty, tell=told_nobody)
    assert sum(plan(source).values()) > 100


def test_a_code_that_was_started_before_the_move_is_approved_after_it(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "old", DASTAK__SIMULATOR__ENABLED="true")
    key = installation.command("keys", "create", "--mode", "test", "--name", "t")["key"]
    with installation:
        api = ApiClient(installation.url, key)
        ids = [api.start(f"+91987654{n:04}").body["id"] for n in range(30)]
        codes = [api.next_text(f"+91987654{n:04}")["code"] for n in range(30)]
        assert api.check(ids[0], codes[0]).body["approved"] is True
    url = shared_server().new_database()
    settings = {DATABASE_URL: url, "DASTAK__SIMULATOR__ENABLED": "true"}
    moving = [sys.executable, "-m", "dastak", "migrate", "--json", "--from", "sqlite:dastak.db"]
    subprocess.run(
        moving, cwd=installation.directory, env=clean_environment(settings), check=True, capture_output=True
    )
    port = free_port()
    program = Program(
        *("serve", "--listen", f"127.0.0.1:{port}"),
        cwd=installation.directory,
        log_file=installation.directory / "log2",
        environment=settings,
    )
    moved = installation
    moved.program, moved.url = program, f"http://127.0.0.1:{port}"

    with moved:
        api = ApiClient(moved.url, key)
        answers = [api.check(one, code) for one, code in zip(ids, codes, strict=True)]
        later = api.start("+919876549999")
        listed = api.get("/v1/verifications?limit=5").body

    assert answers[0].status == 409
    assert [answer.body["approved"] for answer in answers[1:]] == [True] * 29
    assert later.status == 201
    assert next(iter(listed.values()))[0]["id"] == later.body["id"]
