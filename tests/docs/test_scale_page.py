"""The page about shards tells of every statement of the hot path by what it is found, and that is so."""

import re
from pathlib import Path

from dastak.store.statements import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "to-internet-scale.md"
# What a batch of the program runs takes its rows as a set.
IN_SETS = {name: sql for name, sql in load("postgres").items() if "jsonb_to_recordset(" in sql}
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
WORD = re.compile(r"`(\w+)`")


def told() -> dict[str, list[str]]:
    """Return by which columns each statement of the page is found."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: WORD.findall(found_by) for names, found_by, _ in rows for name in WORD.findall(names)}


def test_every_statement_of_a_batch_is_on_the_page() -> None:
    assert set(told()) == set(IN_SETS)


def test_statement_is_asked_by_the_columns_that_the_page_names() -> None:
    asked = {
        name: set(re.findall(r"[(,]\s*(\w+) (?:text|int|bigint)\b", sql)) for name, sql in IN_SETS.items()
    }

    assert {name: [c for c in columns if c not in asked[name]] for name, columns in told().items()} == {
        name: [] for name in told()
    }
    assert all(told().values())
