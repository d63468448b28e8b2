"""The unit is what systemd takes and as shut as the docs say, and the program runs under what it forbids."""

import ctypes
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from dastak.api.door import DESCRIPTORS_RESERVED
from dastak.config import Settings
from tests.support.deployed import DEPLOY, ROOT, run
from tests.support.needed import missing, program
from tests.support.patience import until
from tests.support.program import STOP_S_MAX, clean_environment
from tests.support.serve_installation import START_S_MAX, Installation

UNIT: Final = DEPLOY / "systemd" / "dastak.service"
HOW_TO: Final = ROOT / "docs" / "how-to" / "deploy.md"
DASTAK: Final = Path(sys.executable).with_name("dastak")
# Of prctl(2), since Linux 6.3: what MemoryDenyWriteExecute= asks for.
PR_SET_MDWE: Final = 65
PR_MDWE_REFUSE_EXEC_GAIN: Final = 1


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/dastak/bin/dastak", str(DASTAK)))

    done = run(analyze, "verify", "--man=no", unit)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_exposure_is_what_the_docs_say() -> None:
    analyze = program("systemd-analyze")

    done = run(analyze, "security", "--offline=true", "--no-pager", UNIT)

    found = re.search(r"exposure level for dastak.service: ([\d.]+)", done.stdout)
    said = re.search(r"exposure of ([\d.]+)", HOW_TO.read_text())
    assert found, done.stdout + done.stderr
    assert said, "the how-to does not say it"
    # Newer systemd may count other things; it never counts what is said here as worse than that.
    assert float(found[1]) <= float(said[1])


def test_user_of_the_unit_is_the_one_that_is_made(tmp_path: Path) -> None:
    sysusers = program("systemd-sysusers")
    (tmp_path / "etc").mkdir()

    subprocess.run(
        [sysusers, f"--root={tmp_path}", str(UNIT.with_name("dastak.sysusers"))], check=True, timeout=60
    )

    user, *_, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert [user] == setting("User") == setting("Group")
    assert (home, shell) == ("/var/lib/dastak", "/usr/sbin/nologin")


def test_as_many_files_may_be_open_as_connections_need() -> None:
    needed = Settings().server.door.connections_max + DESCRIPTORS_RESERVED

    assert [int(limit) >= needed for limit in setting("LimitNOFILE")] == [True]


def test_stop_has_the_time_that_the_program_takes() -> None:
    assert [int(seconds) > STOP_S_MAX for seconds in setting("TimeoutStopSec")] == [True]


def test_service_is_tried_again_as_long_as_its_database_is_away(tmp_path: Path) -> None:
    otp = Installation(tmp_path / "otp")
    nobody = {"DASTAK_DATABASE_URL": f"postgresql://dastak@127.0.0.1:{free_port()}/dastak"}

    done = run(DASTAK, "serve", "--listen", "127.0.0.1:0", cwd=otp.directory, env=clean_environment(nobody))

    given_up = {int(code) for codes in setting("RestartPreventExitStatus") for code in codes.split()}
    assert done.returncode not in {0, *given_up}, done.stderr
    assert setting("Restart") == ["on-failure"]
    # Without this systemd gives up after so many tries, however far apart.
    assert setting("StartLimitIntervalSec") == ["0"]


def test_program_says_ready_to_the_service_manager_when_it_answers(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(START_S_MAX)
        with Installation(tmp_path / "otp", NOTIFY_SOCKET=str(address)) as otp:
            assert manager.recv(4096) == b"READY=1"
            assert otp.command("health", "--url", otp.url)["ready"] is True


def test_keys_come_from_the_credential_alone(tmp_path: Path) -> None:
    """The setting in the unit wins over the one in the file, whose key file the service cannot see."""
    credential = tmp_path / "credentials" / "secrets.json"
    credential.parent.mkdir()
    [variable] = [line for line in setting("Environment") if "%d" in line]
    name, _, path = variable.partition("=")
    otp = Installation(tmp_path / "otp", **{name: path.replace("%d", str(credential.parent))})
    # As systemd gives it: readable by the service and nobody else, and not to be written.
    (otp.directory / "secrets.json").rename(credential)
    credential.chmod(0o400)

    with otp:
        assert otp.command("health", "--ready", "--url", otp.url) == {"ready": True}


def test_keys_that_cannot_be_looked_at_are_told_of_in_a_sentence(tmp_path: Path) -> None:
    otp = Installation(tmp_path / "otp")
    # For root no directory is shut; a name this long cannot be looked at by anybody.
    elsewhere = clean_environment({"DASTAK__SECRETS__FILE": str(tmp_path / ("x" * 300))})

    done = run(DASTAK, "serve", "--listen", "127.0.0.1:0", cwd=otp.directory, env=elsewhere)

    # What systemd does not try again.
    assert done.returncode in [
        int(code) for codes in setting("RestartPreventExitStatus") for code in codes.split()
    ]
    assert "secrets.file" in done.stderr
    assert "Traceback" not in done.stderr


def test_program_runs_without_memory_that_is_written_and_executed(tmp_path: Path) -> None:
    if "MemoryDenyWriteExecute=true" not in UNIT.read_text().splitlines():
        pytest.fail("the unit does not ask for it any more")
    if run(sys.executable, "-c", refusing("pass")).returncode != 0:
        missing("needs a kernel with PR_SET_MDWE")
    ops = f"127.0.0.1:{free_port()}"
    settings = {"DASTAK__SIMULATOR__ENABLED": "true", "DASTAK__SERVER__OPS_LISTEN": ops}
    otp = Installation(tmp_path / "otp", **settings)
    key = otp.command("keys", "create", "--name", "try")["key"]
    serve = ["serve", "--listen", otp.url.removeprefix("http://")]
    code = refusing(f"os.execv(sys.executable, [sys.executable, '-m', 'dastak', *{serve!r}])")

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=otp.directory, env=clean_environment(settings), stderr=log
        )
    try:
        until(lambda: process.poll() is not None or answers(otp), within_s=START_S_MAX)
        started = otp.command("send", "--to", "+919876543210", "--url", otp.url, "--key", key)
        parts = otp.command("health", "--url", f"http://{ops}")["parts"]
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_S_MAX + 5)

    assert started["state"] == "pending"
    assert {part: fault for part, fault in parts.items() if fault is not None} == {}
    assert status == 0, (tmp_path / "log").read_text()[-2000:]


def refusing(then: str) -> str:
    """Return a program that gives up such memory for good, and goes on with something else."""
    assert ctypes.sizeof(ctypes.c_ulong) == 8, "prctl takes long arguments"
    return (
        "import ctypes, os, sys\n"
        f"refused = ctypes.CDLL(None).prctl({PR_SET_MDWE}, ctypes.c_ulong({PR_MDWE_REFUSE_EXEC_GAIN}), "
        "ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))\n"
        "refused and sys.exit(1)\n"
        f"{then}\n"
    )


def answers(otp: Installation) -> bool:
    return run(DASTAK, "health", "--ready", "--url", otp.url).returncode == 0
