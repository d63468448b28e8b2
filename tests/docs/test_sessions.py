"""Every terminal session on the how-to pages is what the program really prints, but for times and ids.

A session stands in a block below a line `<!-- session: NAME -->`. To capture them anew:
`DASTAK_WRITE_SESSIONS=1 make test ARGS=tests/docs/test_sessions.py`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.terminal_session import Terminal, same

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
PAGES = [
    HOW_TO / name
    for name in ("connect-a-carrier.md", "find-out-why.md", "add-an-http-carrier.md", "add-a-sip-trunk.md")
]
SESSION = re.compile(r"<!-- session: ([a-z-]+) -->\n```text\n(.*?)\n```", re.DOTALL)
WRITE = os.environ.get("DASTAK_WRITE_SESSIONS") == "1"

# Carriers as slow as real ones, and numbers that do not work.
FAULTS = """
[[faults]]
number = "+919876543205"
response = 0.03
stat = "REJECTD"
err = "633"
receipt = 0.4
[[faults]]
number = "+919876543203"
status = 8
[[faults]]
response = 0.03
receipt = 0.8
"""
PHONES = {"template": "+919876543205", "moved": "+919876543203"}


def shown() -> dict[str, str]:
    return {name: text for page in PAGES for name, text in SESSION.findall(page.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    home = tmp_path_factory.mktemp("sessions")
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    installation = Installation(home / "otp", port=port, DASTAK__SERVER__PUBLIC_URL=public_url)
    vendor = CarrierProcess(home / "vendor", faults=FAULTS, over_http=True)
    with (
        vendor,
        CarrierProcess(home / "airtel", faults=FAULTS) as airtel,
        CarrierProcess(home / "jio", faults="[[faults]]\nresponse = 0.02\nreceipt = 0.3\n") as jio,
    ):
        for name, secret in (("airtel", "sim"), ("jio", "sim"), ("typo", "sin"), ("voice", "s")):
            (installation.directory / f"{name}.password").write_text(secret)
        places = {str(airtel): "2775", str(jio): "2776"}
        sessions = dict(before_the_server(installation, places))
        with installation:
            sessions |= with_the_server(installation, places, vendor.http_url)
    if WRITE:
        write(sessions)
    return sessions


def before_the_server(installation: Installation, places: Mapping[str, str]) -> dict[str, str]:
    terminal = Terminal(installation.directory, environment={}, shown_as=places)
    account = "--host 127.0.0.1 --port 2775 --system-id sim"
    sessions = {
        "add": terminal.type(
            f"dastak carrier add airtel {account} --secret-file password=typo.password --set rate_per_s=50"
        ),
        "wrong-password": terminal.type(
            "dastak carrier test airtel",
            "dastak carrier set airtel --secret-file password=airtel.password --why mistyped",
            "dastak carrier test airtel",
        ),
        "send": terminal.type("dastak carrier test airtel --to +919876543210 --from ACMEOT"),
        "refused": terminal.type("dastak carrier test airtel --to +919876543205 --from ACMEOT"),
    }
    terminal.type(
        "dastak carrier set airtel --lane priority=10 --why 'first choice'",
        "dastak carrier add jio --host 127.0.0.1 --port 2776 --system-id sim --lane priority=20 "
        "--secret-file password=jio.password",
    )
    sessions["trunk"] = terminal.type(
        "dastak carrier add voice --kind sip --set host=sip.example.in --set transport=tls "
        "--set username=acme "
        "--secret-file password=voice.password --set caller=+911600123456 --set calls_max=10",
        "dastak carrier drain voice --why 'the trunk is moved tonight'",
    )
    terminal.type("dastak carrier remove voice --why 'only shown'")
    return sessions


def with_the_server(installation: Installation, places: Mapping[str, str], vendor_url: str) -> dict[str, str]:
    made = installation.command(
        *(
            "keys",
            "create",
            "--name",
            "ops",
            "--mode",
            "live",
            "--scope",
            "operator",
            "--scope",
            "start",
            "--scope",
            "read",
        )
    )
    api = ApiClient(installation.url, made["key"])
    until(lambda: api.get("/v1/admin/carriers").status == 200)
    until(lambda: links(api) == [1, 1])
    environment = {"DASTAK_URL": installation.url, "DASTAK_API_KEY": made["key"]}
    terminal = Terminal(installation.directory, environment=environment, shown_as=places)
    sessions = {}
    for name, phone in PHONES.items():
        verification = api.start(phone).body["id"]
        until(lambda verification=verification: ended(api, verification))
        sessions[f"why-{name}"] = terminal.type(f"dastak why {phone}")
    sessions["drain"] = terminal.type(
        "dastak carrier drain airtel --why 'receipts are late since noon'",
        "dastak carrier list",
        "dastak carrier show airtel",
        "dastak carrier restore airtel --why 'they mended it'",
        "dastak carrier history airtel",
    )
    add_twilio(api, vendor_url)
    sessions["over-http"] = terminal.type("dastak carrier test twilio_us --to +12025550123 --on-server")
    return sessions


def add_twilio(api: ApiClient, url: str) -> None:
    account = "AC" + "1".rjust(32, "0")
    settings = {
        "profile": "twilio",
        "account": account,
        "secret": "sim",
        "sender": "+12025550150",
        "base_url": url,
    }
    added = api.post("/v1/admin/carriers", {"name": "twilio_us", "kind": "http", "settings": settings})
    assert added.status == 201, added
    until(lambda: api.get("/v1/admin/carriers/twilio_us").body["available"])


def links(api: ApiClient) -> list[int]:
    carriers = api.get("/v1/admin/carriers").body["carriers"]
    return [sum(bind["state"] == "bound" for bind in carrier["binds"]) for carrier in carriers]


def ended(api: ApiClient, verification: str) -> Any:
    return [event for event in api.timeline(verification) if event["type"] in ("delivered", "undelivered")]


def write(sessions: Mapping[str, str]) -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fresh = SESSION.sub(
            lambda found: f"<!-- session: {found[1]} -->\n```text\n{sessions[found[1]]}\n```", text
        )
        page.write_text(fresh, encoding="utf-8")


def test_every_session_that_is_captured_is_shown(captured: Mapping[str, str]) -> None:
    assert set(shown()) == set(captured)


def test_session_is_what_the_program_prints(captured: Mapping[str, str]) -> None:
    for name, text in shown().items():
        assert same(text) == same(captured[name]), name


def test_no_session_shows_a_secret_or_a_whole_number_that_was_not_typed(captured: Mapping[str, str]) -> None:
    seen = [line for text in captured.values() for line in text.splitlines() if not line.startswith("$ ")]

    assert not any(phone in line for line in seen for phone in ("9876543210", *PHONES.values()))
    assert not any("dk_live" in line for line in seen)
