"""Every block of code in the docs is run as it stands, or says beside it why it is not.

The word after the language decides:

- ```` ```bash run ```` and ```` ```python run ````: run against a `dastak dev`, in the order of the page.
- ```` ```bash shown: needs a carrier ````: only shown, for the reason given.
- ```` ```json ```` and ```` ```toml ````: must be well formed.
- ```` ```text ````, `mermaid` and the like are no code of ours.

A block that runs finds DASTAK_URL, DASTAK_API_KEY and PHONES_URL set. The bash blocks of one page are one
script, so that a later block may use a variable of an earlier one.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.dastak_process import DastakProcess

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^( *)```(\w+)?([^\n]*)\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)

RUNNABLE = {"bash", "python"}
SPELLED_OTHERWISE = {"sh", "shell", "console", "zsh", "py", "python3"}
PAGE_S_MAX = 60


class Block(NamedTuple):
    """One fenced block: its language, the word after it, its text and the line it begins at."""

    language: str
    word: str
    text: str
    line: int


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        indent, language, word, body = match.groups()
        plain = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        found.append(Block(language or "", word.strip(), plain, text.count("\n", 0, match.start()) + 1))
    return found


def run_in(dastak: DastakProcess, command: list[str], text: str, directory: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DASTAK_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DASTAK_URL": dastak.url,
        "DASTAK_API_KEY": dastak.api_key,
        "PHONES_URL": dastak.phones_url,
    }
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=environment,
        timeout=PAGE_S_MAX,
    )

    assert done.returncode == 0, (
        f"{text}\n--- it said\n{done.stdout}{done.stderr}\n--- dastak said\n{dastak.log()}"
    )


PAGES_THAT_RUN = [page for page in PAGES if any(block.word == "run" for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_block_is_run_or_says_why_not(page: Path) -> None:
    undecided = [
        f"line {block.line}: {block.language} {block.word}"
        for block in blocks(page)
        if block.language in SPELLED_OTHERWISE
        or not block.language
        or (
            block.language in RUNNABLE
            and block.word != "run"
            and not re.fullmatch(r"shown: \S.*", block.word)
        )
        or (block.word == "run" and block.language not in RUNNABLE)
    ]

    assert undecided == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_data_in_block_is_well_formed(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.text)
        if block.language == "toml":
            tomllib.loads(block.text)


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=name_of)
def test_page_runs_as_it_stands(page: Path, dastak: DastakProcess, tmp_path: Path) -> None:
    running = [block for block in blocks(page) if block.word == "run"]
    script = "\n".join(block.text for block in running if block.language == "bash")

    if script:
        run_in(dastak, ["bash", "-euo", "pipefail", "-s"], script, tmp_path)
    for block in running:
        if block.language == "python":
            run_in(dastak, [sys.executable, "-W", "error", "-"], block.text, tmp_path)
