"""The search of the fault tests for codes in files: it finds a planted one wherever it lies."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chaos import code_traces
from chaos.code_traces import traces

CODES = ("4242424242", "1234567890")


@pytest.mark.parametrize(
    "text", ["code=4242424242 sent", '{"code":"4242424242"}', "4242424242", "a4242424242b\n"]
)
def test_code_in_a_log_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"all is well\n{text}")

    assert traces(CODES, tmp_path) == {"log": 1}


def test_code_in_a_database_or_only_in_its_wal_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "dastak.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE message (text TEXT)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("INSERT INTO message VALUES ('4242424242 is your code')")

        in_wal = traces(CODES, tmp_path)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        in_file = traces(CODES, tmp_path)

    assert (in_wal, in_file) == ({"dastak.db-wal": 1}, {"dastak.db": 1})


def test_code_across_two_pieces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_traces, "PIECE_OCTETS_MAX", 16)
    for before in range(32):
        (tmp_path / "log").write_text("-" * before + CODES[0] + "-" * 32)

        assert traces(CODES, tmp_path) == {"log": 1}, before


def test_number_of_somebody_and_other_digits_are_no_code(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("+914242424242 at 1764381600123456, 4242 424242")

    assert traces(CODES, tmp_path) == {}


def test_digits_of_an_id_are_no_code(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"id":"ver_00a4242424242b11111111111111111111","code":"1234567890"}')

    assert traces(CODES, tmp_path) == {"log": 1}
