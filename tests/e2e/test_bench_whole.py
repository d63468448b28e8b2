"""`python -m bench --quick` runs every case to its end; what it measures is not judged here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

RUN_S_MAX: Final = 900


def test_quick_bench_runs_whole_and_keeps_what_it_measured(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    command = [
        sys.executable,
        "-m",
        "bench",
        "--quick",
        "--json",
        str(kept),
        "--data-dir",
        str(tmp_path / "d"),
    ]

    run = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)

    assert run.returncode == 0, run.stderr[-2_000:]
    report = json.loads(kept.read_bytes())
    assert report["failures"] == {}
    assert report["footprint"]["pending"] > 0
    assert str(report["machine"]["python"]) in run.stdout
