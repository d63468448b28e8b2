"""Systemd itself starts the unit, finds it ready, and stops it: in namespaces, on a copy of this machine."""

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from tests.support.deployed import ROOT
from tests.support.needed import missing, program

BOOT_S_MAX: Final = 180
SCRIPT: Final = ROOT / "tests" / "support" / "boot_systemd.sh"


def can_boot(folder: Path) -> bool:
    """Say whether this machine lets us have a systemd, its mounts and the Python it would run."""
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists():
        return False
    version = f"/usr/bin/python{sysconfig.get_python_version()}"
    tried = "mount -t cgroup -o none,name=systemd cgroup " + str(folder)
    done = subprocess.run(
        ["unshare", "--pid", "--mount", "--fork", "sh", "-c", tried], capture_output=True, check=False
    )
    return Path(version).exists() and done.returncode == 0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Boot it, and return what the probe found."""
    folder = tmp_path_factory.mktemp("systemd")
    for name in ("layers", "found", "try"):
        (folder / name).mkdir()
    if not can_boot(folder / "try"):
        return missing("needs root, systemd's own files, namespaces, and the system's Python of this version")
    packages = sysconfig.get_path("purelib")
    isolated = ("--pid", "--mount", "--fork", "--kill-child", "--propagation", "private", "--mount-proc")
    booted = subprocess.run(
        [program("unshare"), *isolated, str(SCRIPT), str(ROOT), packages, str(folder), str(free_port())],
        capture_output=True,
        text=True,
        timeout=BOOT_S_MAX,
        check=False,
    )
    file = folder / "found" / "told"
    log = folder / "found" / "log"
    assert file.exists(), booted.stdout[-2000:] + booted.stderr[-2000:]
    return file.read_text() + (log.read_text() if log.exists() else "")


def test_service_is_active_only_when_it_is_ready(told: str) -> None:
    assert "ActiveState=active\n" in told, told
    assert "SubState=running\n" in told
    assert "NRestarts=0\n" in told
    assert "\nready\n" in told


def test_service_has_no_privilege_and_a_filter_of_system_calls(told: str) -> None:
    lines = dict(
        line.split(":", 1) for line in told.splitlines() if line.startswith(("Cap", "NoNew", "Sec", "Uid"))
    )

    assert int(lines["CapEff"], 16) == 0, told
    assert lines["NoNewPrivs"].strip() == "1"
    assert lines["Seccomp"].strip() == "2"
    assert "0" not in lines["Uid"].split()


def test_service_stops_well_and_has_written_to_its_own_folder_alone(told: str) -> None:
    assert "Result=success\n" in told, told
    assert "ExecMainStatus=0\n" in told
    written = [line for line in told.splitlines() if line.startswith("/")]
    assert written, "it kept nothing"
    assert [path for path in written if not path.startswith("/var/lib/dastak/")] == []
