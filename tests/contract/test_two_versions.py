"""Two versions on one schema: the older one goes on while the newer one expands it, and is never misled."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dastak.core.errors import Conflict, Overloaded
from dastak.core.verification import Typed
from dastak.store import migrate
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import Connection, connect
from dastak.store.postgres.postgres_store import PostgresStore
from dastak.store.sqlite import SqliteStore
from tests.support.postgres_server import shared_server
from tests.support.samples import checking, some_id, some_msisdn, some_opening, some_verification
from tests.support.schema_ahead import INDEX, contracted, expanded

ADDED = ["9001_later.sql", "9002_later_index.sql"]
WRITES = "UPDATE message SET tries = tries + 1"
# Whether somebody waits for a lock of this table, or an index of it is being built.
AT_WORK = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND (query LIKE '%CONCURRENTLY%' OR query LIKE '%ADD COLUMN%')"
)


@pytest.fixture
def url() -> str:
    return shared_server().new_database()


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    """What somebody else does in the database meanwhile; their waits are bounded as those of callers."""
    postgres_migrate.upgrade(connect(url))
    with closing(connect(url)) as connection:
        yield connection


def planned(url: str, known: Mapping[str, str]) -> Sequence[str]:
    with closing(connect(url)) as connection:
        return postgres_migrate.plan(connection, known)


async def upgrading(url: str) -> "asyncio.Task[Any]":
    """Let a newer program expand the schema, and return when it waits for somebody."""
    task = asyncio.create_task(asyncio.to_thread(postgres_migrate.upgrade, connect(url), expanded()))
    with closing(connect(url)) as looking:
        async with asyncio.timeout(20):
            while looking.execute(AT_WORK).fetchone() == (0,):
                assert not task.done(), "it waited for nobody"
                await asyncio.sleep(0.01)
    return task


# PostgreSQL.


async def test_older_program_goes_on_and_comes_again_on_a_schema_that_a_newer_one_expanded(url: str) -> None:
    first, second, third = (some_verification(id=some_id(), msisdn=some_msisdn(n)) for n in range(3))
    async with PostgresStore(url) as store:
        await store.open(some_opening(first))
        added = await asyncio.to_thread(postgres_migrate.upgrade, connect(url), expanded())
        await store.open(some_opening(second))
        judged = [await store.decide(one.id, checking(Typed.RIGHT)) for one in (first, second)]
    async with PostgresStore(url) as again:
        await again.open(some_opening(third))
        judged.append(await again.decide(third.id, checking(Typed.RIGHT)))

    assert added == ADDED
    assert [one.approved for one in judged] == [True, True, True]


async def test_newer_program_takes_over_what_an_older_one_keeps_up_to_date(url: str) -> None:
    async with PostgresStore(url) as store:
        await store.open(some_opening())

        plan = planned(url, expanded())
        await asyncio.to_thread(postgres_migrate.upgrade, connect(url), expanded())
        with closing(connect(url)) as connection:
            rows = connection.execute("SELECT later, later_count FROM message").fetchall()

    assert plan == ADDED
    assert rows == [(None, 0)]


async def test_change_of_a_table_lets_nobody_wait_behind_it_for_long(url: str, other: Connection) -> None:
    with closing(connect(url)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message")
        task = await upgrading(url)
        # Each of them waits behind the change at most as long as that waits itself.
        for _ in range(5):
            other.execute(WRITES)
        reader.execute("COMMIT")

    assert await task == ADDED


async def test_index_is_built_beside_those_who_write(url: str, other: Connection) -> None:
    columns_only = dict(list(expanded().items())[:-1])
    postgres_migrate.upgrade(connect(url), columns_only)
    with closing(connect(url)) as writer:
        writer.execute("BEGIN")
        writer.execute(WRITES)
        task = await upgrading(url)
        other.execute(WRITES)
        writer.execute("COMMIT")
        await task
        valid = writer.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = $1::regclass", (INDEX,)
        ).fetchone()

    assert valid == (True,)


async def test_index_whose_building_was_interrupted_is_built_again(url: str, other: Connection) -> None:
    columns_only = dict(list(expanded().items())[:-1])
    postgres_migrate.upgrade(connect(url), columns_only)
    other.execute(f"CREATE INDEX {INDEX} ON message (tries)")

    postgres_migrate.upgrade(connect(url), expanded())

    (definition,) = other.execute("SELECT pg_get_indexdef($1::regclass)", (INDEX,)).fetchone() or ("",)
    assert "(later)" in definition


async def test_what_shuts_older_programs_out_waits_until_none_is_connected(url: str) -> None:
    async with PostgresStore(url) as store:
        with pytest.raises(Conflict, match=r"older version are up .* on: 127\.0\.0\.1\. Nothing was changed"):
            await asyncio.to_thread(postgres_migrate.upgrade, connect(url), contracted())
        await store.open(some_opening())
    left = planned(url, contracted())
    applied = postgres_migrate.upgrade(connect(url), contracted())

    assert left == applied == ["9003_gone.sql"]
    with pytest.raises(Conflict, match="for programs that know"):
        async with PostgresStore(url):
            pass


async def test_older_program_that_was_cut_off_does_not_write_into_a_schema_it_does_not_know(url: str) -> None:
    async with PostgresStore(url) as store:
        await store.open(some_opening())
        with closing(connect(url)) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        postgres_migrate.upgrade(connect(url), contracted())

        for _ in range(4):  # each connection finds out that it was cut, and is opened again
            with pytest.raises(Overloaded):
                await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(1))))
        healthy = store.healthy

    assert not healthy


def test_nobody_arrives_while_older_programs_are_shut_out(url: str, other: Connection) -> None:
    with closing(connect(url)) as contracting, contracting.transaction():
        postgres_migrate._refuse_if_older(contracting, "9003_gone.sql", len(contracted()))

        with pytest.raises(psycopg.OperationalError, match="lock timeout"):
            postgres_migrate.arrive(lambda: connect(url))


# SQLite.


async def test_older_program_uses_a_file_that_a_newer_one_expanded(tmp_path: Path) -> None:
    path, one = tmp_path / "d.db", some_verification()
    async with SqliteStore(path) as store:
        await store.open(some_opening(one))

    added = migrate.upgrade(path, expanded())

    async with SqliteStore(path) as store:
        judged = await store.decide(one.id, checking(Typed.RIGHT))
        await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(1))))
    assert (added, judged.approved) == (ADDED, True)
    assert (tmp_path / "d.db.before-9001").exists()


async def test_older_program_is_refused_by_a_file_that_it_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    migrate.upgrade(path)
    migrate.upgrade(path, contracted())

    with pytest.raises(Conflict, match="run the newer program, or restore the copy"):
        async with SqliteStore(path):
            pass


async def test_file_in_use_is_expanded_but_not_taken_from_under_its_user(tmp_path: Path) -> None:
    path, one = tmp_path / "d.db", some_verification()
    async with SqliteStore(path) as store:
        await store.open(some_opening(one))
        added = migrate.upgrade(path, expanded())
        with pytest.raises(Conflict, match="in use"):
            migrate.upgrade(path, contracted())
        judged = await store.decide(one.id, checking(Typed.RIGHT))

    assert (added, judged.approved) == (ADDED, True)
