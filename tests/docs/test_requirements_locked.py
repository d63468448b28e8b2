"""Everything that is installed is named with its version and its hashes, and nothing says from where."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==\S+[^\n]*((?:\n +--hash=sha256:[0-9a-f]{64}[ \\]*)+)", re.MULTILINE)


def pinned(path: Path) -> set[str]:
    return {name.lower().replace("_", "-") for name, _ in PINNED.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_requirement_has_a_hash(path: Path) -> None:
    named = re.findall(r"^([A-Za-z0-9_.-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert {name.lower().replace("_", "-") for name in named} == pinned(path)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_list_names_no_place_to_fetch_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert re.findall(r"://|--index|--find-links|--trusted-host|^-e ", text, re.MULTILINE) == []


def test_lists_have_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = re.compile(r"^[A-Za-z0-9-]+")

    run = {names.match(line)[0] for line in project["dependencies"]}
    dev = {names.match(line)[0] for line in project["optional-dependencies"]["dev"]}

    assert run - pinned(ROOT / "requirements" / "run.txt") == set(), "run `make lock`"
    assert run | dev <= pinned(ROOT / "requirements" / "dev.txt"), "run `make lock`"


def test_what_is_tested_is_what_is_run() -> None:
    version = re.compile(r"^([a-z0-9_.-]+==[^ \\\n]+)", re.MULTILINE)
    run, dev = (
        set(version.findall((ROOT / "requirements" / name).read_text())) for name in ("run.txt", "dev.txt")
    )

    assert run - dev == set()
