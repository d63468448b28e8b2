"""A trial of an HTTP carrier by the command line, against a running server, to the receipt of its webhook."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.e2e.test_vendor_carrier_live import (
    CARRIERS,
    FLOW,
    TO,
    UNKNOWN_NUMBER,
    add,
    running,
    twilio_of,
)
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.serve_installation import Installation


def on_server(
    installation: Installation, operator: ApiClient, name: str, *options: str, expect: int = 0
) -> Any:
    assert operator.key is not None
    server = ("--on-server", "--url", installation.url, "--key", operator.key)
    return installation.command("carrier", "test", name, "--to", TO, *server, *options, expect=expect)


def names(report: dict[str, Any]) -> list[str]:
    """Return the steps that went well once each, and what failed."""
    return list(
        dict.fromkeys(step["name"] if step["ok"] else f"{step['name']} failed" for step in report["steps"])
    )


def offline(directory: Path, **settings: str) -> Installation:
    """Make an installation with an HTTP carrier, and no server."""
    installation = Installation(directory / "dastak")
    secret = directory / "secret"
    secret.write_text(settings.pop("secret"))
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    installation.command(
        "carrier", "add", "tw", "--kind", "http", *given, "--secret-file", f"secret={secret}"
    )
    return installation


@pytest.mark.parametrize("off", [False, True])
def test_trial_on_the_server_ends_with_the_receipt_of_the_webhook(tmp_path: Path, off: bool) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True)
    with carrier, running(tmp_path) as (installation, operator):
        add(operator, "tw", **twilio_of(carrier))
        if off:
            installation.command("carrier", "off", "tw", "--why", "not signed yet")
            until(lambda: operator.get(f"{CARRIERS}/tw").body["link"] == "it is off")
        report = on_server(installation, operator, "tw")
        (text,) = until(lambda: carrier.texts)

    assert names(report) == ["connect", "submit", "answer", "receipt"]
    assert (report["delivered"], report["outcome"], text["msisdn"]) == (True, "delivered", TO)
    assert report["steps"][-1]["words"].startswith("delivered (status:delivered)")
    assert TO not in json.dumps(report)


def test_trial_on_the_server_tells_the_code_of_a_bad_receipt(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True, faults=UNKNOWN_NUMBER)
    with carrier, running(tmp_path) as (installation, operator):
        add(operator, "tw", **twilio_of(carrier))
        report = on_server(installation, operator, "tw", expect=1)

    assert (report["delivered"], report["outcome"]) == (False, "unknown_number")
    assert report["steps"][-1]["words"].startswith("unknown_number (status:undelivered code:30005)")


def test_trial_of_a_vendors_own_template_fills_it_with_no_code(tmp_path: Path) -> None:
    with running(tmp_path, DASTAK__SIMULATOR__ENABLED="true") as (installation, operator):
        here = ApiClient(installation.url, None)
        access = here.get("/sim/vendors").body
        settings = {"profile": "msg91", "secret": access["authkey"], "base_url": access["url"]}
        add(operator, "msg", **settings, options=FLOW)
        hook = installation.command("carrier", "hook", "msg")["url"]
        assert here.put("/sim/vendors", {"webhook_url": hook}).status == 200
        report = on_server(installation, operator, "msg")
        text = here.next_text(TO)

    assert report["delivered"] is True
    assert "000000" in text["text"]


def test_trial_without_the_server_says_at_once_where_the_receipt_goes(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True)
    with carrier:
        installation = offline(tmp_path, **twilio_of(carrier))
        report = installation.command("carrier", "test", "tw", "--to", TO, expect=1)
        (text,) = until(lambda: carrier.texts)

    assert (names(report)[-1], report["outcome"], text["msisdn"]) == ("receipt failed", "accepted", TO)
    assert "--on-server" in report["steps"][-1]["next"]
    assert report["steps"][-1]["took_ms"] < 1000


def test_trial_with_a_wrong_secret_says_so(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True)
    with carrier:
        installation = offline(tmp_path, **twilio_of(carrier) | {"secret": "wrong"})
        report = installation.command("carrier", "test", "tw", "--to", TO, expect=1)

    assert (names(report)[-1], report["outcome"]) == ("answer failed", "route_config")
    assert carrier.texts == []


def test_trial_of_nobody_finds_no_link(tmp_path: Path) -> None:
    settings = {"profile": "twilio", "account": "AC01", "secret": "s", "sender": "+12025550150"}
    installation = offline(tmp_path, **settings, base_url=f"http://127.0.0.1:{free_port()}")

    report = installation.command("carrier", "test", "tw", "--to", TO, expect=4)

    assert (names(report), report["linked"]) == (["connect failed"], False)
    assert "base_url" in report["steps"][0]["next"]
