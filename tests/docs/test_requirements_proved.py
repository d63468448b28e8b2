"""The tests that SECURITY.md gives as proof are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (S-\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
NOT_YET = "not yet"


def rows() -> list[tuple[str, str]]:
    return ROW.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def proofs(cell: str) -> list[str]:
    return re.findall(r"`([\w/.:]+)`", cell)


def exists(proof: str) -> bool:
    """Return whether `tests/…/file.py::name` names a test function or a state machine."""
    path, _, name = proof.partition("::")
    file = ROOT / "tests" / path
    if not file.is_file():
        return False
    return name in {
        node.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def test_table_of_requirements_is_read() -> None:
    assert len(rows()) > 50


def test_requirement_stands_once() -> None:
    ids = [requirement for requirement, _ in rows()]

    assert sorted(set(ids)) == sorted(ids)


def test_requirement_names_tests_that_exist_or_says_not_yet() -> None:
    unproved = [
        f"{requirement}: {cell}"
        for requirement, cell in rows()
        if not (proofs(cell) and all(map(exists, proofs(cell)))) and not cell.startswith(NOT_YET)
    ]

    assert unproved == []
