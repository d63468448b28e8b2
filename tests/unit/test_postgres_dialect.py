"""What SQLite's files say is said to PostgreSQL in its own words, and no word of it is lost."""

import pytest

from dastak.store import migrate
from dastak.store.postgres.dialect import parameters, schema, statement, statements
from dastak.store.statements import load


@pytest.mark.parametrize(
    ("sqlite", "postgres"),
    [
        ("SELECT a WHERE b = ?2 AND c = ?1 AND d = ?2", "SELECT a WHERE b = $2 AND c = $1 AND d = $2"),
        ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO t (a, b) VALUES ($1, $2)"),
        ("SELECT a FROM t INDEXED BY i CROSS JOIN u ON u.n = t.n", "SELECT a FROM t JOIN u ON u.n = t.n"),
        ("SELECT r.record ->> 'kind' FROM r", "SELECT (r.record::jsonb) ->> 'kind' FROM r"),
        ("-- Why?\nSELECT instr(a, ?1)", "SELECT strpos(a, $1)"),
    ],
)  # fmt: skip
def test_statement_is_said_in_the_words_of_postgresql(sqlite: str, postgres: str) -> None:
    assert statement(sqlite) == postgres


def test_every_statement_of_sqlite_has_one_of_the_same_name() -> None:
    assert set(load()) <= set(statements())


def test_no_word_of_sqlite_alone_is_left_in_the_schema() -> None:
    said = "\n".join(map(schema, migrate.scripts().values()))

    words = ("STRICT", "WITHOUT ROWID", "BLOB", "AUTOINCREMENT", "CREATE TRIGGER", "x''")
    assert [word for word in words if word in said] == []


def test_truth_is_a_number() -> None:
    assert parameters((True, False, 2, "x", None)) == [1, 0, 2, "x", None]
