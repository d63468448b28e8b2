"""`dastak health` tells a server that works from one that only lives; `init` parts keys and data."""

import json
import subprocess
import sys
from pathlib import Path

from bench.processes import free_port
from tests.support.dastak_process import DastakProcess
from tests.support.deployed import run
from tests.support.program import clean_environment
from tests.support.serve_installation import Installation


def health(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-m", "dastak", "health", *arguments, cwd=cwd, env=clean_environment())


def test_health_is_zero_when_the_server_works(dastak: DastakProcess, tmp_path: Path) -> None:
    done = health("--ready", "--url", dastak.url, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "ready\n")


def test_health_names_the_part_that_does_not_work(tmp_path: Path) -> None:
    ops = f"127.0.0.1:{free_port()}"
    otp = Installation(tmp_path / "otp", DASTAK__SERVER__OPS_LISTEN=ops)
    otp.add_carrier("north", host="127.0.0.1", port=free_port(), system_id="x", password="s3cret-7")

    with otp:
        alive = health(cwd=otp.directory)
        ready = health("--ready", "--url", f"http://{ops}", cwd=otp.directory)
        as_json = health("--ready", "--json", "--url", otp.url, cwd=otp.directory)

    assert alive.returncode == 4, "the settings' address is another than the one on the command line"
    assert (ready.returncode, ready.stdout) == (1, "alive, but not ready\n")
    assert "north: " in ready.stderr
    assert (as_json.returncode, json.loads(as_json.stdout)) == (1, {"ready": False})


def test_health_is_four_when_nobody_answers(tmp_path: Path) -> None:
    done = health("--url", f"http://127.0.0.1:{free_port()}", cwd=tmp_path)

    assert done.returncode == 4
    assert "No Dastak answers" in done.stderr


def test_health_is_four_when_another_program_answers(dastak: DastakProcess, tmp_path: Path) -> None:
    # Some address of ours that is no Dastak's root.
    done = health("--url", f"{dastak.url}/sim", cwd=tmp_path)

    assert done.returncode == 4
    assert "is no Dastak" in done.stderr


def test_init_puts_the_database_where_it_is_told(tmp_path: Path) -> None:
    keys, data = tmp_path / "etc", tmp_path / "data"
    data.mkdir()
    made = subprocess.run(
        [sys.executable, "-m", "dastak", "init", "--yes", "--json", "--directory", str(keys),
         "--database", str(data / "dastak.db")],
        env=clean_environment(), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    assert json.loads(made.stdout)["database"] == str(data / "dastak.db")
    assert sorted(path.name for path in keys.iterdir()) == [
        "dastak.schema.json",
        "dastak.toml",
        "secrets.json",
    ]
    assert (data / "dastak.db").is_file()
    assert f"sqlite://{data / 'dastak.db'}" in (keys / "dastak.toml").read_text()
