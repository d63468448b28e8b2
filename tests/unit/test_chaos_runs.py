"""One command plays the faults on both stores, where PostgreSQL is installed."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.__main__ import KEPT, POSTGRES, SQLITE, Run, arguments, runs
from chaos.fault_list import FAULTS, OWN_DATABASE

BESIDE = KEPT.with_name("latest-postgres.json")


def of(*given: str, has_postgres: bool = True) -> Sequence[Run]:
    return runs(arguments(given), has_postgres=has_postgres)


def test_all_is_played_on_both_stores_and_what_has_its_own_database_once() -> None:
    on_file = [fault for fault in FAULTS if fault not in OWN_DATABASE]

    assert of() == [Run(SQLITE, on_file, KEPT), Run(POSTGRES, list(FAULTS), BESIDE)]
    assert [run.database for run in of()] == ["SQLite", "PostgreSQL"]


def test_nothing_is_played_on_a_store_for_want_of_faults() -> None:
    [run] = of("--only", "F5")

    assert (run.faults, run.database) == (["F5"], "a PostgreSQL of each scene's own")


def test_without_postgresql_the_file_alone_is_played() -> None:
    assert of(has_postgres=False) == [Run(SQLITE, list(FAULTS), KEPT)]


@pytest.mark.parametrize(
    ("given", "store"),
    [
        (("--store", "sqlite"), SQLITE),
        (("--store", "postgres"), POSTGRES),
        (("--database-url", "postgresql://postgres@127.0.0.1/postgres"), POSTGRES),
    ],
)
def test_one_store_may_be_chosen(given: tuple[str, str], store: str) -> None:
    file = Path("mine.json")

    assert of(*given, "--only", "F1,F2", "--json", str(file)) == [Run(store, ["F1", "F2"], file)]


def test_a_server_that_runs_already_is_no_store_to_be_started(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--store", "postgres", "--database-url", "postgresql://127.0.0.1/postgres"])

    assert "not allowed with" in capsys.readouterr().err
