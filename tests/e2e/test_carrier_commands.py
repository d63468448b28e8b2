"""What an operator types: try a carrier, look at it, drain it under traffic and restore it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.program import clean_environment, typed
from tests.support.serve_installation import Installation

CARRIERS = "/v1/admin/carriers"
TO = "+919876543210"
# Steady traffic, not a flood: some fifty a second at most.
PAUSE_S = 0.02
STEPS = ["connect", "bind", "submit", "answer", "receipt", "unbind"]
# One number's text is never reported; another's is delivered after a while.
FAULTS = """
[[faults]]
number = "*0104"
missing_receipt = 1.0
[[faults]]
number = "*0011"
status = 11
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with CarrierProcess(tmp_path / "carrier", faults=FAULTS) as port:
        yield port


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    """An installation whose server does not run."""
    return Installation(tmp_path / "dastak", **PLENTY)


def add(installation: Installation, name: str, port: int, *options: str, password: str = "sim") -> None:
    secret = installation.directory / "password"
    secret.write_text(password)
    installation.command(
        *("carrier", "add", name, "--host", "127.0.0.1", "--port", str(port), "--system-id", "sim"),
        *("--secret-file", f"password={secret}", *options),
    )


def operator_of(installation: Installation) -> ApiClient:
    made = installation.command(
        "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
    )
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


def test_test_shows_pdus_in_words_and_ends_with_success(installed: Installation, port: int) -> None:
    add(installed, "north", port)

    done = typed("carrier", "test", "north", "--to", TO, "--from", "ACMEOT", cwd=installed.directory)

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("ms", 1)[1].split()[0] for line in done.stdout.splitlines() if " ms  " in line]
    assert [word for word in lines if word not in ("->", "<-")] == STEPS
    assert "-> submit_sm: from ACMEOT to +9198******10" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("north: delivered, all in ")
    assert TO[1:] not in done.stdout
    assert "password hidden" in done.stdout


def test_exit_code_tells_refused_from_unreachable(installed: Installation, port: int) -> None:
    add(installed, "north", port)
    add(installed, "nobody", free_port())
    add(installed, "locked", port, password="wrong")
    sent = ("north", "--to")

    codes = [
        typed("carrier", "test", *arguments, cwd=installed.directory).returncode
        for arguments in (
            ("north",),
            (*sent, "+919876500011"),
            (*sent, "+919876500104", "--timeout", "1"),
            ("nobody",),
            ("locked",),
            ("unknown",),
            (*sent, "+91123"),
        )
    ]

    assert codes == [0, 1, 1, 4, 4, 1, 2]


def test_what_failed_stands_beside_what_to_do(installed: Installation, port: int) -> None:
    add(installed, "locked", port, password="wrong")

    done = typed("carrier", "test", "locked", "--to", TO, cwd=installed.directory)

    told = " ".join(done.stdout.split())
    assert "bind failed ESME_RINVPASWD" in told
    assert "next the password is wrong: dastak carrier set locked --secret-file password=FILE" in told
    assert done.stdout.splitlines()[-1] == "locked: no link"


def test_lines_come_while_it_happens(installed: Installation, port: int) -> None:
    add(installed, "north", port)
    command = ["carrier", "test", "north", "--to", "+919876500104", "--timeout", "600"]
    with subprocess.Popen(
        [sys.executable, "-m", "dastak", *command],
        cwd=installed.directory,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = next(line for line in process.stdout if "answer" in line)
        process.kill()

    assert "the carrier took it as" in told


def test_carrier_of_the_settings_file_can_be_tried(installed: Installation, port: int) -> None:
    installed.add_carrier("filed", host="127.0.0.1", port=port, system_id="sim", password="sim")

    report = installed.command("carrier", "test", "filed", "--to", TO)

    assert ([step["name"] for step in report["steps"]], report["delivered"]) == (STEPS, True)


def test_trial_over_http_gives_the_same_steps_and_happens_once_per_key(
    installed: Installation, port: int
) -> None:
    add(installed, "north", port)
    add(installed, "nobody", free_port())
    installed.command("carrier", "off", "north", "--why", "not signed yet")
    with installed:
        operator = operator_of(installed)
        path, body = f"{CARRIERS}/north/test", {"to": TO, "sender": "ACMEOT"}
        first, again = (operator.post(path, body, idempotency_key="one") for _ in range(2))
        only_bound = operator.post(path)
        nobody = operator.post(f"{CARRIERS}/nobody/test").body
        refused = operator.post(path, {"to": "+91123"})
        history = operator.get(f"{CARRIERS}/north/history").body["changes"]
        state = operator.get(f"{CARRIERS}/north").body["state"]

    assert (first.status, first.body["delivered"]) == (200, True)
    assert [step["name"] for step in first.body["steps"]] == STEPS
    assert first.body["pdus"][0]["words"].startswith("bind_transceiver: system_id sim, password hidden")
    assert again.body == first.body
    assert [step["name"] for step in only_bound.body["steps"]] == ["connect", "bind", "unbind"]
    assert (refused.status, refused.body["code"]) == (422, "invalid_msisdn")
    assert nobody["steps"][0]["next"].startswith("nobody listens there")
    assert [change["what"] for change in history] == ["tested", "tested", "state", "added"]
    assert state == "off"


def test_server_can_be_told_to_try_it(installed: Installation, port: int) -> None:
    add(installed, "north", port)
    with installed:
        operator = operator_of(installed)
        asked = ("--on-server", "--url", installed.url, "--key", str(operator.key))
        tried = typed("carrier", "test", "north", "--to", TO, *asked, cwd=installed.directory)
        unknown = typed("carrier", "test", "south", *asked, cwd=installed.directory)

    lines = [line.split("ms", 1)[1].split()[0] for line in tried.stdout.splitlines() if " ms  " in line]
    assert tried.returncode == 0
    # Which bind gets the receipt is the carrier's choice.
    assert [word for word in lines if word not in ("->", "<-")] == STEPS
    assert lines[:4] == ["connect", "->", "<-", "bind"]
    assert unknown.returncode == 1


def test_server_stops_in_time_while_it_tries_a_carrier(installed: Installation, tmp_path: Path) -> None:
    with CarrierProcess(tmp_path / "silent", faults="[[faults]]\nmissing_receipt = 1.0\n") as port:
        add(installed, "north", port)
        with installed:
            operator = operator_of(installed)
            asked = threading.Thread(target=ask_and_be_left, args=(operator, f"{CARRIERS}/north/test"))
            asked.start()
            # The trial's bind is the second of the account.
            until(lambda: installed.program.log().count("bind 1 is bound") == 2)
            # Leaving the context holds the server to its five seconds.
        asked.join(10)

    assert not asked.is_alive()
    assert "Traceback" not in installed.program.log()


def ask_and_be_left(client: ApiClient, path: str) -> None:
    """Ask for a trial that takes long, of a server that stops meanwhile."""
    with suppress(OSError, HTTPException):
        client.post(path, {"to": TO, "timeout_s": 60})


def test_look_at_carriers_tells_links_of_the_running_server(installed: Installation, port: int) -> None:
    add(installed, "north", port, "--set", "binds=2", "--lane", "priority=10", "--lane", "weight=70")
    add(installed, "locked", port, password="wrong")
    before = {one["name"]: one for one in installed.command("carrier", "list")}
    with installed:
        operator = operator_of(installed)
        asked = ("--url", installed.url, "--key", str(operator.key))

        def links() -> dict[str, Any]:
            return {one["name"]: one for one in installed.command("carrier", "list", *asked)}

        until(lambda: [bind["state"] for bind in links()["north"]["binds"]] == ["bound", "bound"])
        until(lambda: links()["locked"]["link"] == "ESME_RINVPASWD")
        table = typed("carrier", "list", *asked, cwd=installed.directory).stdout.splitlines()
        shown = " ".join(typed("carrier", "show", "north", *asked, cwd=installed.directory).stdout.split())

    assert before["north"]["lane"]["weight"] == 70
    assert before["north"]["binds"] is None
    assert table[1].split() == ["north", "smpp", "active", "10", "70", "all", "2", "of", "2", "up"]
    assert table[2].startswith("locked")
    assert table[2].endswith("0 of 1 up: ESME_RINVPASWD")
    assert "bind 1 transceiver bound: bound bind 2 transceiver bound: bound" in shown


def test_look_at_carriers_without_a_server_says_so(installed: Installation, port: int) -> None:
    add(installed, "north", port)
    installed.add_carrier("filed", host="127.0.0.1", port=port, system_id="sim", password="sim")

    done = typed("carrier", "list", "--url", installed.url, "--key", "dk_live_x", cwd=installed.directory)

    assert done.returncode == 0
    assert f"no server answers at {installed.url}" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["filed", "north"]


class Traffic(threading.Thread):
    """Starts one verification after the other, each for another number, until the context ends."""

    def __init__(self, api: ApiClient) -> None:
        super().__init__()
        self.started: list[str] = []
        self._api = api
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PAUSE_S):
            answer = self._api.start(f"+9198765{len(self.started):05d}")
            assert answer.status == 201, answer
            self.started.append(answer.body["id"])

    def __enter__(self) -> "Traffic":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self.join()


def test_drained_carrier_takes_nothing_new_and_its_receipts_still_count(tmp_path: Path) -> None:
    late = "[[faults]]\nreceipt = 2.0\n"
    installation = Installation(tmp_path / "dastak", **PLENTY)
    with (
        CarrierProcess(tmp_path / "one", faults=late) as one,
        CarrierProcess(tmp_path / "two") as two,
        installation,
    ):
        operator, api = operator_of(installation), installation.live_client()
        for name, port, priority in (("north", one, 10), ("south", two, 20)):
            add(installation, name, port, "--lane", f"priority={priority}")
            until(lambda name=name: operator.get(f"{CARRIERS}/{name}").body.get("available"))
        until(lambda: api.start("+919999900000").status == 201)

        with Traffic(api) as traffic:
            until(lambda: len(traffic.started) >= 25)
            drained = operator.patch(f"{CARRIERS}/north", {"state": "draining", "why": "late receipts"})
            before = len(traffic.started) + 1  # one may be under way
            until(lambda: len(traffic.started) >= before + 20)
            # The receipts of its texts come now, while it is draining.
            while_draining = [until(lambda one=one: end_of(api, one)) for one in traffic.started[:20]]
            restored = operator.patch(f"{CARRIERS}/north", {"state": "active", "why": "they are back"})
            after = len(traffic.started) + 1
            until(lambda: len(traffic.started) >= after + 20)
        taken = [until(lambda one=one: route_of(api, one)) for one in traffic.started]
        outcomes = [until(lambda one=one: end_of(api, one)) for one in traffic.started]
        log = installation.program.log()

    assert (drained.body["state"], drained.body["reason"]) == ("draining", "late receipts")
    assert (restored.body["state"], restored.body["reason"]) == ("active", "they are back")
    assert set(taken[:20]) == {"north"}
    assert set(taken[before : before + 20]) == {"south"}
    assert set(taken[after:]) == {"north"}
    assert set(while_draining) == set(outcomes) == {"delivered"}
    assert log.count("ready at") == 1


def route_of(api: ApiClient, verification: str) -> str:
    """Return the route that took the first text of a verification."""
    return next((event["route"] for event in api.timeline(verification) if event["type"] == "submitted"), "")


def end_of(api: ApiClient, verification: str) -> str:
    """Return what became of it."""
    ends = {"delivered", "undelivered", "dropped"}
    return next((event["type"] for event in api.timeline(verification) if event["type"] in ends), "")


def test_code_is_explained_as_the_carrier_means_it(installed: Installation) -> None:
    own = '{"614": "dlt_template"}'
    add(installed, "north", 2775, "--set", f"receipt_outcomes={own}")
    installed.add_carrier("south", host="127.0.0.1", system_id="sim", password="sim")

    by_north = installed.command("explain", "614", "--route", "north")
    by_south = typed("explain", "614", "--route", "south", cwd=installed.directory)
    unknown = typed("explain", "999", "--route", "north", cwd=installed.directory)
    nobody = typed("explain", "614", "--route", "nobody", cwd=installed.directory)

    assert [(one["where"], one["table"], one["outcome"]) for one in by_north] == [
        ("receipt", "receipt_outcomes", "dlt_template")
    ]
    assert "614 in a receipt of south: it does not accept the chain" in by_south.stdout
    assert "by the default" in by_south.stdout
    assert (unknown.returncode, "No table of the carrier north has" in unknown.stderr) == (1, True)
    assert (nobody.returncode, "There is no carrier 'nobody'" in nobody.stderr) == (1, True)
