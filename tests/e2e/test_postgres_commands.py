"""An operator's commands do the same on both databases, and what only one of them can do is told."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.processes import free_port
from dastak import cli
from dastak.config_read import DATABASE_URL, load
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.postgres_server import PostgresServer, shared_server
from tests.support.program import typed
from tests.support.serve_installation import Installation

PASSWORD = "s3cret-of-a-db"


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    settings = {DATABASE_URL: shared_server().new_database()} if request.param == "postgres" else {}
    return Installation(tmp_path / "dastak", **settings)


def names(listed: Any) -> list[str]:
    return [one["name"] for one in listed]


def test_an_installation_is_managed_on_either_database(installation: Installation) -> None:
    give = installation.command
    give("tenants", "create", "acme")
    give("services", "create", "login", "--tenant", "acme")
    key = give("keys", "create", "--name", "first", "--tenant", "acme", "--service", "login")
    secret = installation.directory / "airtel.password"
    secret.touch(mode=0o600)
    secret.write_text("s3cret-7")
    at = ("--host", "127.0.0.1", "--port", "1", "--system-id", "ACME")
    give("carrier", "add", "airtel", *at, "--secret-file", f"password={secret}")
    give("carrier", "off", "airtel", "--why", "contract ended")

    assert names(give("tenants", "list")) == ["default", "acme"]
    assert "login" in names(give("services", "list", "--tenant", "acme"))
    assert [one["id"] for one in give("keys", "list", "--tenant", "acme")] == [key["id"]]
    assert names(give("carrier", "list")) == ["airtel"]
    give("keys", "revoke", key["id"])
    assert give("migrate", "--check")["pending"] == []


def dastak(home: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return typed(*arguments, cwd=home, environment=settings)


@pytest.fixture
def locked() -> Iterator[str]:
    """Give the URL of a database whose user needs a password."""
    server: PostgresServer = shared_server()
    url = server.new_database()
    name = url.rpartition("/")[2]
    role = f"keeper_{name}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f"ALTER DATABASE {name} OWNER TO {role}")
        rules = server.data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    yield url.replace("postgres@", f"{role}:{PASSWORD}@")
    rules.write_text(before)


def test_init_keeps_the_password_of_a_server_in_a_file_of_its_own(locked: str, tmp_path: Path) -> None:
    done = dastak(tmp_path, "init", "--yes", "--database", locked)

    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr + (tmp_path / "dastak.toml").read_text()
    kept = tmp_path / "database-password"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (f"{PASSWORD}\n", 0o600)
    assert not (tmp_path / "dastak.db").exists()
    shown = load(tmp_path / "dastak.toml", {}).settings.store
    assert shown.password is not None
    assert shown.password.reveal() == PASSWORD
    assert '"name":"default"' in dastak(tmp_path, "tenants", "list", "--json").stdout.replace(" ", "")


def test_init_leaves_a_password_in_the_environment_there(locked: str, tmp_path: Path) -> None:
    done = dastak(tmp_path, "init", "--yes", **{DATABASE_URL: locked})

    assert done.returncode == 0, done.stderr
    assert not [file for file in tmp_path.iterdir() if PASSWORD in file.read_text()]
    assert "scram" not in done.stderr


def test_copies_of_a_server_are_left_to_its_own_programs(tmp_path: Path) -> None:
    url = shared_server().new_database()

    copied = dastak(tmp_path, "backup", "copy", **{DATABASE_URL: url})
    put_back = dastak(tmp_path, "restore", "copy", **{DATABASE_URL: url})

    assert (copied.returncode, put_back.returncode) == (cli.Exit.CONFIGURATION,) * 2
    assert "Next: pg_basebackup -D copy" in copied.stderr
    assert "Next: dastak restore --void" in put_back.stderr


def test_codes_of_a_server_that_was_put_back_are_void(tmp_path: Path) -> None:
    url = shared_server().new_database()
    installation = Installation(
        tmp_path / "dastak", **{DATABASE_URL: url, "DASTAK__SIMULATOR__ENABLED": "true"}
    )
    key = installation.command("keys", "create", "--mode", "test", "--name", "t")["key"]

    with installation:
        api = ApiClient(installation.url, key)
        one = api.start("+919876543210").body["id"]
        code = api.next_text("+919876543210")["code"]
        refused = dastak(installation.directory, "restore", "--void", **{DATABASE_URL: url})
    voided = installation.command("restore", "--void")
    with installation:
        api = ApiClient(installation.url, key)
        answer = api.check(one, code)
        told = [event["type"] for event in api.timeline(one)]
        state = api.get(f"/v1/verifications/{one}").body["state"]

    assert (refused.returncode, "stop all of its nodes first" in refused.stderr) == (cli.Exit.NO, True)
    assert voided["voided"] == 1
    assert (answer.status, state) == (409, "canceled")
    assert any("ancel" in kind for kind in told)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone() == (1,)


def test_a_service_whose_server_is_away_ends_with_what_to_type(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "dastak")
    url = f"postgresql://dastak@127.0.0.1:{free_port()}/dastak"

    done = dastak(installation.directory, "serve", "--listen", "127.0.0.1:0", **{DATABASE_URL: url})

    assert done.returncode == cli.Exit.UNREACHABLE
    assert done.stderr.splitlines()[-1].startswith("error: PostgreSQL at 127.0.0.1:")
    assert "Next: pg_isready -h 127.0.0.1 -p " in done.stderr
    assert "Traceback" not in done.stderr


def test_dev_stays_on_a_file_of_its_own(tmp_path: Path) -> None:
    nowhere = f"postgresql://dastak@127.0.0.1:{free_port()}/dastak"

    with DastakProcess(tmp_path / "dev", environment={DATABASE_URL: nowhere}) as dev:
        started = ApiClient(dev.url, dev.api_key).start("+919876543210")

    assert started.status == 201
    assert (tmp_path / "dev" / "dastak.db").exists()


def test_a_move_needs_a_server_to_go_to_and_a_file_to_come_from(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "dastak")
    to_server = {DATABASE_URL: shared_server().new_database()}

    to_file = dastak(installation.directory, "migrate", "--from", "sqlite:dastak.db")
    checked = dastak(installation.directory, "migrate", "--check", "--from", "sqlite:dastak.db")
    from_server = dastak(installation.directory, "migrate", "--from", "postgresql://h/d", **to_server)
    from_nothing = dastak(installation.directory, "migrate", "--from", "sqlite:absent.db", **to_server)
    planned = dastak(installation.directory, "migrate", "--plan", "--from", "sqlite:dastak.db", **to_server)

    assert [one.returncode for one in (to_file, checked, from_server, from_nothing, planned)] == [
        cli.Exit.CONFIGURATION,
        cli.Exit.USAGE,
        cli.Exit.CONFIGURATION,
        cli.Exit.NO,
        cli.Exit.OK,
    ]
    assert "Next: export DASTAK_DATABASE_URL=postgresql://" in to_file.stderr
    assert "rows would be moved to postgresql://" in planned.stderr
    assert dastak(installation.directory, "migrate", "--check", **to_server).returncode == cli.Exit.NO
