"""A newer version of the program, as files: this one, with a schema that it has expanded and makes use of."""

import shutil
from pathlib import Path
from typing import Final

import dastak
from tests.support.schema_ahead import expanded

MARK: Final = "newer"
_HOUSE: Final = Path(dastak.__file__).parent


def newer_program(home: Path) -> dict[str, str]:
    """Write it below a folder, and return the environment in which `python -m dastak` is that version.

    Its messages bear a mark in a column that the expansion adds.
    """
    package = home / "newer" / "dastak"
    package.mkdir(parents=True)
    for part in _HOUSE.iterdir():
        if part.name == "store":
            shutil.copytree(part, package / "store", ignore=shutil.ignore_patterns("__pycache__"))
        elif part.name != "__pycache__":
            (package / part.name).symlink_to(part)
    for name, script in expanded().items():
        (package / "store" / "migrations" / name).write_text(script, encoding="utf-8")
    _mark(package / "store" / "postgres" / "postgres.sql")
    return {"PYTHONPATH": str(package.parent)}


def _mark(statements: Path) -> None:
    """Have each message written with the mark."""
    before, name, after = statements.read_text(encoding="utf-8").partition("-- name: insert_messages\n")
    after = after.replace("INSERT INTO message (", "INSERT INTO message (later, ", 1)
    after = after.replace("SELECT ", f"SELECT '{MARK}', ", 1)
    assert f"SELECT '{MARK}', " in after.partition("-- name:")[0], "the statement has another form now"
    statements.write_text(before + name + after, encoding="utf-8")
