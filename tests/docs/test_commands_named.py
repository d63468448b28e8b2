"""Every `make` target and `dastak` command that the docs name is there."""

import re
from pathlib import Path

import pytest

from dastak.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

# As typed: at the start of a line of code, or of a span of code, perhaps after a prompt or a pipe.
MAKE = re.compile(r"(?:^ *|`|[|&] )make ([a-z]+)", re.MULTILINE)
DASTAK = re.compile(r"(?:^ *|`|[|&(] ?)(?:\.venv/bin/)?dastak ([a-z]+(?:-[a-z]+)*)", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_target_named_is_there(page: Path) -> None:
    assert set(MAKE.findall(page.read_text(encoding="utf-8"))) - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_named_is_there(page: Path) -> None:
    assert set(DASTAK.findall(page.read_text(encoding="utf-8"))) - set(COMMANDS) == set()
