"""What sites were given before this version ends with all sessions of its person as well."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dastak.store import migrate, rows, sqlite_file
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import connect
from tests.support.oidc_samples import some_client, some_grant, some_login
from tests.support.postgres_server import shared_server

BEFORE = {name: text for name, text in migrate.scripts().items() if name < "0016"}
ACCOUNT = "a1" * 16
NASTY = '"account":"' + "b2" * 16
INSERT = "INSERT INTO oidc_grant (id, client, ends_at, record) VALUES ({}, 1, 0, {})"

Old = Callable[[list[str]], list[str | None]]


def _sqlite(path: Path, records: list[str], later: Callable[[], None]) -> list[str | None]:
    migrate.upgrade(path)
    with closing(sqlite_file.connect(path)) as database:
        for n, record in enumerate(records):
            database.execute(INSERT.format("?", "?"), (bytes([n]), record))
    later()
    migrate.upgrade(path)
    with closing(sqlite_file.connect(path)) as database:
        return [account for (account,) in database.execute("SELECT account FROM oidc_grant ORDER BY id")]


def _postgres(records: list[str], later: Callable[[], None]) -> list[str | None]:
    url = shared_server().new_database()
    postgres_migrate.upgrade(connect(url))
    with closing(connect(url)) as database:
        for n, record in enumerate(records):
            database.execute(INSERT.format("$1", "$2"), (bytes([n]), record))
    later()
    postgres_migrate.upgrade(connect(url))
    with closing(connect(url)) as database:
        return [account for (account,) in database.execute("SELECT account FROM oidc_grant ORDER BY id")]


@pytest.fixture(params=["sqlite", "postgres"])
def moved(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    """Write grants into a database of the version before, and read whose they are in this one."""
    monkeypatch.setattr(migrate, "scripts", lambda: BEFORE)
    if request.param == "sqlite":
        yield lambda records: _sqlite(tmp_path / "d.db", records, monkeypatch.undo)
    else:
        yield lambda records: _postgres(records, monkeypatch.undo)


def test_grants_of_before_are_found_by_their_account(moved: Old) -> None:
    client = some_client(n=1)
    grants = [
        some_grant(client, login=some_login(account=ACCOUNT)),
        some_grant(client, login=some_login()),
        some_grant(client, login=some_login(), nonce=NASTY),
        some_grant(client, login=some_login(account=ACCOUNT), nonce=NASTY),
    ]

    found = moved([rows.text(grant) for grant in grants])

    assert found == [ACCOUNT, None, None, ACCOUNT]
