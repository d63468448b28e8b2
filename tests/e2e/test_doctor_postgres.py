"""The doctor on PostgreSQL: faults of a real server, found by name, and told with what mends them."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from bench.processes import free_port
from dastak import cli
from dastak.commands.checks import server_checks
from dastak.commands.checks.server_facts import ServerFacts
from dastak.commands.doctor import look_at, run_check
from dastak.commands.init import make_installation
from dastak.commands.serve import refuse_unsafe
from dastak.config import ConfigError
from dastak.config_read import DATABASE_URL, load
from dastak.core.ids import ID_OCTETS, VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.node import Role
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.batches import BATCH_MAX
from dastak.store.postgres.postgres_lane import connect
from dastak.store.postgres.postgres_store import PostgresStore
from dastak.tenancy import operators
from tests.support.installed import Installation, unsent
from tests.support.patience import until
from tests.support.postgres_server import PostgresServer, own_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    one = own_server()
    yield one
    one.remove()


@pytest.fixture
def url(server: PostgresServer) -> str:
    url = server.new_database()
    asyncio.run(make_default(url))
    return url


async def make_default(url: str) -> None:
    async with PostgresStore(url) as store:
        await operators.ensure_default(store, home_country="IN")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "installed")


def test_a_database_on_a_server_has_no_fault(installation: Installation, url: str) -> None:
    found = installation.examine({DATABASE_URL: url})

    assert [finding for finding in found.values() if finding.status == "failed"] == []
    for check in server_checks.CHECKS:
        assert found[check.name].status == "ok"
    assert found["store.queue"].status == "ok"
    assert found["policy.countries"].status == "ok"
    assert {name for name, one in found.items() if name.startswith("store.") and one.status == "skipped"} == {
        "store.reachable",
        "store.schema",
        "store.journal",
        "store.commit",
        "store.keys",
        "store.backup",
    }


def test_checks_of_a_server_are_skipped_where_the_database_is_a_file(installation: Installation) -> None:
    found = installation.examine()

    assert {found[check.name].status for check in server_checks.CHECKS} == {"skipped"}


def test_each_refused_connection_is_told_with_what_mends_it(
    installation: Installation, server: PostgresServer
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody LOGIN CONNECTION LIMIT 0")
    told = {
        server.url.removesuffix("postgres") + "absent": ("no database absent", "createdb -h 127.0.0.1"),
        server.url.replace("postgres@", "stranger@"): ("no user stranger", "createuser -h 127.0.0.1"),
        server.url.replace("postgres@", "nobody@"): ("connections are taken", "SHOW max_connections"),
        server.url + "?sslmode=require": ("TLS fails", "sslmode"),
        server.url.replace("127.0.0.1", "absent.invalid"): (
            "nobody knows the name",
            "getent hosts absent.invalid",
        ),
        f"postgresql://dastak@127.0.0.1:{free_port()}/dastak": ("does not answer", "pg_isready -h 127.0.0.1"),
    }
    for url, (what, command) in told.items():
        found = installation.examine({DATABASE_URL: url})["postgres.reachable"]

        assert (found.status, found.what) == ("failed", found.what)
        assert what in found.what
        assert command in found.command


def test_a_wrong_password_is_told_and_not_shown(
    installation: Installation, server: PostgresServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
    rules = server.data / "pg_hba.conf"
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
    url = server.url.replace("postgres@", "locked:wr0ng-s3cret@")

    found = installation.examine({DATABASE_URL: url})["postgres.reachable"]

    assert found.what.endswith("the password of locked is wrong or missing")
    assert "wr0ng" not in repr(found) + "".join(capfd.readouterr())


def test_a_user_who_may_make_no_tables_is_told_so_at_the_start(
    installation: Installation,
    server: PostgresServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = server.new_database()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    monkeypatch.setenv(DATABASE_URL, url.replace("postgres@", "guest@"))

    code = cli.run(["--config", str(installation.file), "tenants", "list"])

    assert code == cli.Exit.UNREACHABLE
    assert "guest may not make tables" in capsys.readouterr().err


def test_a_server_that_acknowledges_too_early_is_found(installation: Installation) -> None:
    hasty = PostgresServer({"fsync": "off", "full_page_writes": "on"})
    try:
        found = installation.examine({DATABASE_URL: hasty.new_database()})
    finally:
        hasty.remove()

    assert (found["postgres.durable"].status, found["postgres.durable"].what) == (
        "failed",
        "fsync of the server is off",
    )
    assert found["postgres.durable"].command.endswith("'ALTER SYSTEM SET fsync = on'")


def test_an_empty_and_a_foreign_database_are_told_apart(
    installation: Installation, server: PostgresServer
) -> None:
    empty, foreign = server.new_database(), server.new_database()
    with psycopg.connect(foreign, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (n bigint)")

    found = installation.examine({DATABASE_URL: empty})["postgres.schema"]
    theirs = installation.examine({DATABASE_URL: foreign})["postgres.schema"]

    assert found.what.startswith("the database still needs 0001_verifications.sql")
    assert found.command == "dastak migrate"
    assert theirs.what == "This is a database of another program."


def test_what_an_extension_brought_is_no_other_program(
    installation: Installation, server: PostgresServer
) -> None:
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        # As pg_stat_statements brings views and PostGIS a table; plpgsql is in every database.
        connection.execute("CREATE TABLE brought (n bigint)")
        connection.execute("ALTER EXTENSION plpgsql ADD TABLE brought")
        connection.execute("CREATE VIEW looked_at AS SELECT * FROM brought")

    found = installation.examine({DATABASE_URL: url})["postgres.schema"]
    postgres_migrate.upgrade(connect(url))
    after = installation.examine({DATABASE_URL: url})["postgres.schema"]

    assert found.what.startswith("the database still needs 0001_verifications.sql")
    assert after.status == "ok"


@pytest.mark.parametrize(
    ("function", "does"),
    [
        ("pg_advisory_xact_lock(integer, integer) RETURNS void", ""),
        ("pg_try_advisory_xact_lock(integer, integer) RETURNS boolean", "SELECT true"),
    ],
)
def test_a_server_whose_locks_keep_nobody_out_is_found_and_refused(
    installation: Installation, server: PostgresServer, function: str, does: str
) -> None:
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE FUNCTION public.{function} LANGUAGE sql AS '{does}'")
        name = url.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")

    found = installation.examine({DATABASE_URL: url})["postgres.locks"]

    assert (found.status, found.what) == ("failed", found.what)
    assert "one advisory lock to two sessions" in found.what
    with pytest.raises(ConfigError, match="one advisory lock to two sessions"):
        refuse_unsafe(load(installation.file, {DATABASE_URL: url}))


def test_a_message_that_nobody_sends_is_found(installation: Installation, url: str) -> None:
    async def leave() -> None:
        async with PostgresStore(url) as store:
            await store.open(unsent(datetime.now(UTC) - timedelta(minutes=2)))

    asyncio.run(leave())

    assert installation.examine({DATABASE_URL: url})["store.queue"].status == "failed"


SOUND = {
    "server_version_num": "150004",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "server_encoding": "UTF8",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
}


@pytest.mark.parametrize(
    ("name", "changes", "status", "what"),
    [
        (
            "postgres.version",
            {"settings": SOUND | {"server_version_num": "120017"}},
            "failed",
            "PostgreSQL 12",
        ),
        ("postgres.version", {"settings": SOUND | {"server_encoding": "LATIN1"}}, "failed", "LATIN1"),
        (
            "postgres.durable",
            {"settings": SOUND | {"full_page_writes": "off"}},
            "failed",
            "full_page_writes",
        ),
        (
            "postgres.durable",
            {"settings": SOUND | {"synchronous_commit": "off"}},
            "failed",
            "though we ask",
        ),
        ("postgres.connections", {"others": 92}, "warning", "has 5 of 97 connections free; a node takes 9"),
        ("postgres.connections", {"others": 90}, "warning", "has 7 of 97 connections free"),
        ("postgres.connections", {"others": 89}, "warning", "has 8 of 97 connections free"),
        ("postgres.connections", {"others": 88}, "ok", ""),
        (
            "postgres.connections",
            {"settings": SOUND | {"max_connections": "100", "reserved_connections": "95"}},
            "failed",
            "has 2 of 2 connections free",
        ),
        ("postgres.commit", {"commit_ms": 250.0}, "warning", "takes 250 ms"),
        ("postgres.clock", {"clock_ahead_ms": 501.0}, "warning", "501 ms ahead of this machine's"),
        ("postgres.clock", {"clock_ahead_ms": -2001.0}, "failed", "2001 ms behind this machine's"),
        ("postgres.clock", {"clock_ahead_ms": -499.0}, "ok", ""),
        ("postgres.locks", {"excludes": False}, "failed", "a code could be approved twice"),
    ],
)
def test_what_a_server_says_is_judged(
    tmp_path: Path, name: str, changes: dict[str, object], status: str, what: str
) -> None:
    scene = look_at(load(make_installation(tmp_path / "judged", {}), {}))
    facts = msgspec.structs.replace(ServerFacts(settings=SOUND), **changes)
    [check] = [check for check in server_checks.CHECKS if check.name == name]

    found = run_check(check, msgspec.structs.replace(scene, server=facts))

    assert (found.status, what in found.what) == (status, True)


def test_a_node_opens_as_many_connections_as_are_counted_for_it(url: str) -> None:
    async def counted() -> int:
        async with PostgresStore(url) as store:
            await store.nodes.join("one", (Role.ALL,))
            await store.nodes.beat((), {})
            await store.nodes.listen(lambda: None)
            # More than one batch holds, so that both lanes of batches write.
            await asyncio.gather(*(store.unlock(1, Msisdn(f"+9198{n:08}")) for n in range(BATCH_MAX + 1)))
            await asyncio.gather(
                store.find(1, VerificationId(bytes(ID_OCTETS))),
                *(store.landing.pages(None) for _ in range(5)),
                *(store.latest_at() for _ in range(50)),
                *(store.recover(datetime.now(UTC)) for _ in range(5)),
                return_exceptions=True,
            )
            await store.sweep(datetime.now(UTC), keep_after=datetime.now(UTC), limit=5)
            # The one that listens comes by itself.
            until(lambda: connections_of_nodes(url) >= server_checks.NODE_CONNECTIONS)
            return connections_of_nodes(url)

    assert asyncio.run(counted()) == server_checks.NODE_CONNECTIONS


def connections_of_nodes(url: str) -> int:
    with psycopg.connect(url) as asking:
        row = asking.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'dastak'"
        ).fetchone()
    assert row is not None
    return int(row[0])
