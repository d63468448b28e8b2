"""Each alert has its page, and every command of the pages does something on a running Dastak."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from tests.support.carrier_process import CarrierProcess
from tests.support.deployed import ROOT, RUNBOOKS, alert_rules, run, runbook_of
from tests.support.patience import until
from tests.support.program import clean_environment
from tests.support.serve_installation import Installation

PAGES: Final = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
SECTIONS: Final = ["Look first", "Do", "It is over when"]
COMMANDS: Final = re.compile(r"^```bash shown: on your server\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_SYSTEMD: Final = re.compile(r"^```bash shown: needs systemd\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Well, or: the answer is no. Anything else is a command that does not work.
ANSWERED: Final = (0, 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Dastak with the carrier that the pages name, and the environment in which they are read."""
    folder = tmp_path_factory.mktemp("runbooks")
    ops = f"127.0.0.1:{free_port()}"
    with CarrierProcess(folder / "carrier") as port:
        otp = Installation(folder / "otp", DASTAK__SERVER__OPS_LISTEN=ops)
        with otp:
            otp.command("carrier", "add", "north", "--host", "127.0.0.1", "--port", str(port),
                        "--system-id", "sim", "--secret-file", f"password={password_in(folder)}")  # fmt: skip
            scopes = ("--scope", "read", "--scope", "start", "--scope", "operator")
            key = otp.command("keys", "create", "--name", "operator", "--mode", "live", *scopes)["key"]
            environment = clean_environment({
                "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin",
                "DASTAK_URL": otp.url,
                "DASTAK_OPS_URL": f"http://{ops}",
                "DASTAK_API_KEY": key,
                "PWD": str(otp.directory),
            })  # fmt: skip
            until(lambda: ask("dastak health --ready", environment).returncode == 0, within_s=30)
            start = "dastak send --to +919876543210 --json"
            until(lambda: ask(start, environment).returncode == 0, within_s=30)  # the key may be news to it
            yield environment


def password_in(folder: Path) -> Path:
    file = folder / "password"
    file.write_text("sim")
    file.chmod(0o600)
    return file


def ask(line: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return run("bash", "-o", "pipefail", "-c", line, cwd=environment["PWD"], env=environment)


def commands(page: Path) -> list[str]:
    return [line for block in COMMANDS.findall(page.read_text()) for line in block.splitlines()]


def test_alerts_and_pages_are_one_to_one() -> None:
    assert {str(page.relative_to(ROOT)) for page in PAGES} == {runbook_of(alert) for alert in alert_rules()}


@pytest.mark.parametrize("alert", alert_rules())
def test_alert_leads_to_its_page(alert: str) -> None:
    rule, page = alert_rules()[alert], ROOT / runbook_of(alert)

    assert rule["annotations"]["runbook_url"] == runbook_of(alert)
    assert page.read_text().startswith(f"# {alert}\n")
    assert f"[{alert}]({page.name}) | {rule['labels']['severity']} |" in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_says_what_it_means_and_what_to_do(page: Path) -> None:
    text = page.read_text()

    title, means, *_ = text.split("\n\n")
    assert title.startswith("# ")
    assert not means.startswith(("#", "-", "`"))
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert len(text.splitlines()) <= 50, "nobody reads more at night"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_page_work(page: Path, server: dict[str, str]) -> None:
    wanted = commands(page)
    assert wanted, "there is nothing to look at"

    failed = {}
    for line in wanted:
        done = ask(line, server)
        if done.returncode not in ANSWERED or "Traceback" in done.stderr:
            failed[line] = f"{done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"

    assert failed == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_systemd_are_well_formed(page: Path) -> None:
    for block in OF_SYSTEMD.findall(page.read_text()):
        assert run("bash", "-n", input=block).stderr == ""
