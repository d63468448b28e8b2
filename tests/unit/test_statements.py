"""Named statements: one namespace over all files; none is asked for that is not there, none is in vain."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dastak.store
from dastak.store.statements import load

STORE = Path(dastak.store.__file__).parent
MODULES = sorted(STORE.rglob("*.py"))
# Their first argument is the name of a statement.
ASKING = {"execute", "newest", "_one", "_many", "_write", "_changed"}


def words(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def asked(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if (
                name in ASKING
                and isinstance(first, ast.Constant)
                and re.fullmatch("[a-z_]+", str(first.value))
            ):
                yield str(first.value)


def test_every_statement_that_is_asked_for_is_there() -> None:
    names = {name for module in MODULES for name in asked(module)}

    assert len(names) > 50
    assert names - load().keys() - load("postgres").keys() == set()


def test_every_statement_is_named_by_some_module() -> None:
    named = {word for module in MODULES for word in words(module)}

    assert load().keys() - named == set()


def test_one_name_for_two_statements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "-- name: visit\nSELECT 1\n\n-- name: other\nSELECT 2\n", encoding="utf-8"
    )
    (tmp_path / "b.sql").write_text("-- name: visit\nSELECT 3\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"visit.*b\.sql"):
        load(str(tmp_path))


def test_statements_of_a_folder_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- Why.\n\n-- name: one\n-- Which.\nSELECT 1\n", encoding="utf-8")
    (tmp_path / "b.sql").write_text("-- name: two\nSELECT 2\n", encoding="utf-8")
    (tmp_path / "c.txt").write_text("-- name: three\nSELECT 3\n", encoding="utf-8")

    assert load(str(tmp_path)) == {"one": "-- Which.\nSELECT 1", "two": "SELECT 2"}
