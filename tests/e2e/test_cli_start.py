"""Starting and stopping the real program: how fast, what it prints, and that this works when pasted."""

import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.installed import AIRTEL

MSISDN = "+919876543210"
SLOW_TO_LOAD = {
    "uvicorn",
    "uvloop",
    "starlette",
    "msgspec",
    "phonenumbers",
    "cryptography",
    "sqlite3",
    "httpx",
}
SHORT_KEY = '{"current": 1, "keys": {"1": "00"}}'
START_S_MAX = 30
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("DASTAK_")}


def dastak(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dastak", *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
        stdin=subprocess.DEVNULL,
        check=False,
    )


class Started:
    """A program that runs until the test is over, with what it has printed so far."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "dastak", *arguments],
            cwd=cwd,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.printed = ""

    def until(self, words: str) -> str:
        """Read until it has printed these words."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        ends_at = time.monotonic() + START_S_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while words not in self.printed:
                assert selector.select(max(0.0, ends_at - time.monotonic())), self.printed
                piece = os.read(pipe, 65536)
                assert piece, self.printed
                self.printed += piece.decode()
        return self.printed

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(5)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Started]:
    started = Started("dev", "--port", "0", "--no-browser", cwd=tmp_path)
    try:
        started.until("Ctrl-C ends it")
        yield started
    finally:
        started.close()


def test_version_loads_nothing_that_takes_its_time() -> None:
    """What answers a word on the command line must not wait for the server's libraries."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dastak", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & SLOW_TO_LOAD


def test_the_printed_line_works_when_pasted(dev: Started) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    printed = dev.printed
    start = printed_line(printed, "start")
    phones = printed_line(printed, "phones").split()[0]

    answer = subprocess.run(["bash", "-c", start], capture_output=True, text=True, check=True, timeout=10)

    started = json.loads(answer.stdout)
    client = ApiClient(phones.removesuffix("/sim/phones"), None)
    text = client.next_text(MSISDN)
    check = printed_line(printed, "check").replace("CODE", text["code"]).replace("/ID/", f"/{started['id']}/")
    checked = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True, timeout=10)
    assert started["to_masked"] == "+9198******10"
    assert json.loads(checked.stdout)["approved"] is True


def test_the_printed_settings_work_when_pasted(dev: Started) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    [line] = [one for one in dev.printed.splitlines() if one.split()[:1] == ["export"]]
    ask = 'curl --silent --header "Authorization: Bearer $DASTAK_API_KEY" "$DASTAK_URL/v1/verifications"'
    listen = f'curl --silent "$PHONES_URL/{MSISDN}/messages"'

    pasted = subprocess.run(
        ["bash", "-c", f"{line}\n{ask} && echo && {listen}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )

    listed, texts = map(json.loads, pasted.stdout.splitlines())
    assert "verifications" in listed
    assert isinstance(texts, list)


def test_send_and_check_find_the_dev_server_of_their_directory(dev: Started, tmp_path: Path) -> None:
    sent = dastak("send", "--to", MSISDN, cwd=tmp_path)
    verification_id = sent.stdout.strip()
    listed = dastak("sim", "phones", MSISDN, "--json", cwd=tmp_path)
    code = json.loads(listed.stdout)[-1]["code"]
    wrong = dastak("check", verification_id, "000000" if code != "000000" else "111111", cwd=tmp_path)
    right = dastak("check", verification_id, code, cwd=tmp_path)
    again = dastak("check", verification_id, code, cwd=tmp_path)
    broken = dastak("send", "--to", "+12", cwd=tmp_path)

    assert re.fullmatch(r"ver_[0-9a-f]{32}", verification_id)
    assert (wrong.returncode, wrong.stdout) == (1, "pending: wrong_code\n")
    assert (right.returncode, right.stdout) == (0, "approved\n")
    assert (again.returncode, again.stdout) == (1, "")
    assert "Next: dastak explain consumed" in again.stderr
    assert broken.returncode == 2


def test_faults_of_the_carrier_are_set_and_cleared(dev: Started, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text('[[faults]]\nnumber = "+91*"\nthrottle = 0.5\n')

    given = dastak("sim", "fault", "--set", "faults.toml", cwd=tmp_path)
    shown = dastak("sim", "fault", cwd=tmp_path)
    cleared = dastak("sim", "fault", "--clear", cwd=tmp_path)

    assert json.loads(given.stdout) == json.loads(shown.stdout) == [{"number": "+91*", "throttle": 0.5}]
    assert json.loads(cleared.stdout) == []


def test_a_key_made_beside_a_running_server_counts_and_ends_within_a_second(
    dev: Started, tmp_path: Path
) -> None:
    url = printed_line(dev.printed, "API").removesuffix("/v1")
    made = json.loads(dastak("keys", "create", "--name", "late", "--json", cwd=tmp_path).stdout)
    client = ApiClient(url, made["key"])

    within_a_second(lambda: client.get("/v1/verifications").status == 200)
    dastak("keys", "revoke", made["id"], cwd=tmp_path)
    within_a_second(lambda: client.get("/v1/verifications").status == 401)


def test_ctrl_c_ends_it_cleanly(dev: Started) -> None:
    assert dev.stop(signal.SIGINT) == 0
    assert "Traceback" not in dev.printed


def test_json_is_one_line_and_the_key_stays_the_same_over_starts(tmp_path: Path) -> None:
    process = DastakProcess(tmp_path / "data")
    with process:
        first = process.api_key
    with process:
        second = process.api_key

    assert first == second
    assert first.startswith("dk_test_")
    for name in ("dev.json", "secrets.json", "dastak.db", "dastak.toml"):
        assert (process.data_dir / name).stat().st_mode & 0o077 == 0


def test_a_lost_key_file_makes_a_new_key_and_ends_the_old_one(tmp_path: Path) -> None:
    process = DastakProcess(tmp_path / "data")
    with process:
        first = process.api_key
    (process.data_dir / "dev.json").unlink()

    with process:
        assert process.api_key != first
        assert ApiClient(process.url, first).get("/v1/verifications").status == 401
        assert ApiClient(process.url, process.api_key).get("/v1/verifications").status == 200


def test_a_port_that_is_taken_is_told_with_the_next_command(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = dastak("dev", "--port", str(port), "--json", cwd=tmp_path)

    assert (ran.returncode, ran.stdout) == (3, "")
    assert f"127.0.0.1:{port} is in use. Next:" in ran.stderr


def test_second_process_on_one_file_is_refused_until_the_first_one_is_gone_however_it_went(
    tmp_path: Path,
) -> None:
    process = DastakProcess(tmp_path / "data")
    with process:
        second = dastak("dev", "--port", "0", "--json", "--data-dir", str(process.data_dir), cwd=tmp_path)
        listed = dastak("keys", "list", cwd=process.data_dir)
        process.kill()
        process.start()

    assert (second.returncode, second.stdout) == (1, "")
    assert "dastak.db is served by another process" in second.stderr
    assert "Traceback" not in second.stderr
    assert listed.returncode == 0


def test_dev_knows_no_carrier_whatever_the_environment_says(tmp_path: Path) -> None:
    environment = {
        "DASTAK__CARRIERS__AIRTEL__HOST": "127.0.0.1",
        "DASTAK__CARRIERS__AIRTEL__SYSTEM_ID": "ACME",
        "DASTAK__CARRIERS__AIRTEL__PASSWORD": "s3cret-7",
        "DASTAK__SERVER__LISTEN": "0.0.0.0:8080",
    }
    with DastakProcess(tmp_path / "data", environment=environment) as process:
        ready = ApiClient(process.url, None).get("/readyz")

    assert process.url.startswith("http://127.0.0.1:")
    assert "airtel" not in json.dumps(ready.body)


def test_serve_answers_logs_json_and_stops(tmp_path: Path) -> None:
    dastak("init", "--yes", cwd=tmp_path)
    started = Started("serve", "--listen", "127.0.0.1:0", cwd=tmp_path)
    try:
        printed = started.until("ready at http://")
        url = re.search(r"ready at (http://[0-9.:]+)", printed)
        assert url is not None
        alive = ApiClient(url[1], None).get("/healthz")
        status = started.stop()
    finally:
        started.close()

    assert alive.status == 200
    assert status == 0
    for line in printed.splitlines():
        assert json.loads(line).keys() >= {"at", "level", "logger", "message"}


def show_phones_beside_a_carrier(folder: Path) -> None:
    file = folder / "dastak.toml"
    settings, simulator, rest = file.read_text().partition("[simulator]")
    settings = settings.replace('listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:0"')
    carrier = AIRTEL.format(port=1, password="s3cret-7")
    file.write_text(settings + simulator + rest.replace("#enabled = false", "enabled = true") + carrier)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (show_phones_beside_a_carrier, "can read its phones"),
        (lambda folder: (folder / "secrets.json").chmod(0o644), "chmod 600"),
        (
            lambda folder: (folder / "secrets.json").write_text('{"current":1,"keys":{"1":"00"}}'),
            "shorter than",
        ),
        (lambda folder: (folder / "secrets.json").unlink(), "cannot be read"),
    ],
)
def test_serve_refuses_what_would_leak(tmp_path: Path, spoil: object, words: str) -> None:
    dastak("init", "--yes", cwd=tmp_path)
    assert callable(spoil)
    spoil(tmp_path)

    ran = dastak("serve", cwd=tmp_path)

    assert ran.returncode == 3
    assert words in ran.stderr


def test_the_carrier_runs_alone_and_prints_what_it_gets(tmp_path: Path) -> None:
    started = Started("sim", "run", "--listen", "127.0.0.1:0", "--json", cwd=tmp_path)
    try:
        port = re.search(r"listens on 127\.0\.0\.1:([0-9]+)", started.until("Ctrl-C"))
        assert port is not None
        send_one_text(int(port[1]))
        printed = started.until('"msisdn"')
        status = started.stop(signal.SIGINT)
    finally:
        started.close()

    assert '"text":"hello"' in printed
    assert status == 0


def send_one_text(port: int) -> None:
    """Be somebody else's SMPP client."""
    import smpplib.client

    client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)
    client.connect()
    client.bind_transceiver(system_id="sim", password="sim")
    client.send_message(source_addr="ACME", destination_addr="919876543210", short_message=b"hello")
    client.read_once()
    client.unbind()
    client.disconnect()


def printed_line(printed: str, name: str) -> str:
    found = re.search(rf"^  {name} +(.+)$", printed, re.MULTILINE)
    assert found is not None, printed
    return found[1]


def within_a_second(true: "object") -> None:
    assert callable(true)
    ends_at = time.monotonic() + 1
    while not true():
        assert time.monotonic() < ends_at
