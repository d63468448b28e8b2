"""The commands of the page about many machines do what it says, on a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.postgres_server import own_server
from tests.support.program import clean_environment
from tests.support.serve_installation import Installation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "grow-to-many-machines.md"
BLOCK = re.compile(
    r"```bash shown: needs PostgreSQL; tests/docs/test_grow_page\.py runs it\n(.*?)```", re.DOTALL
)


def test_the_commands_of_the_page_move_an_installation(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "dastak")
    server = own_server()
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    script = "\n".join(("set -e", *blocks))
    script = script.replace("postgresql://dastak@db.example.in/dastak", server.new_database())
    script = script.replace("/var/lib/dastak/dastak.db", str(installation.directory / "dastak.db"))
    folder = Path(sys.executable).parent

    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=installation.directory,
            env=clean_environment({"PATH": f"{folder}:{os.environ['PATH']}"}),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.remove()

    assert done.returncode == 0, done.stderr
    assert len(blocks) == 3
    assert "rows were moved and compared" in done.stderr
    assert "0 pending verifications were canceled" in done.stderr
