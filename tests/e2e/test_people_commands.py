"""What an operator does for people of a service from the command line, while the server runs."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, BEHIND_PROXY, LOGIN, LoginClient, some_number, with_number

Command = Callable[..., str]


@pytest.fixture
def dastak(tmp_path: Path) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path / "data", environment=BEHIND_PROXY) as process:
        yield process


@pytest.fixture
def command(dastak: DastakProcess) -> Command:
    def run(*arguments: str) -> str:
        words = [sys.executable, "-m", "dastak", "--config", str(dastak.data_dir / "dastak.toml"), *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    return run


def test_login_of_a_service_is_shown_and_changed(dastak: DastakProcess, command: Command) -> None:
    before = json.loads(command("login", "show", "--json"))
    changed = json.loads(command("login", "set", "--closed", "--factor", "sms", "--factor", "totp", "--json"))
    secret = json.loads(command("login", "set", "--check-url", "https://bank.example/check", "--json"))
    with LoginClient(dastak.url) as browser:
        closed = browser.get(f"{LOGIN}/sign-up").status_code

    assert (before["mode"], before["open_sign_up"]) == ("test", True)
    assert (changed["open_sign_up"], changed["factors"]) == (False, ["sms", "totp"])
    assert secret["check_secret"].startswith("whsec_")
    assert "check_secret" not in json.loads(command("login", "show", "--json"))
    assert closed == 404


def test_person_is_listed_blocked_and_let_in_again(dastak: DastakProcess, command: Command) -> None:
    person = with_number(dastak.url, api := ApiClient(dastak.url, dastak.api_key))
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        inside = browser.is_in()
        listed = json.loads(command("login", "people", "--json"))
        command("login", "block", person["name"])
        blocked = browser.is_in()
        refused = browser.pass_password(person["name"]).status_code
        command("login", "block", "--undo", person["name"])
        again = browser.pass_password(person["name"]).headers["location"]

    assert [one["username"] for one in listed] == [person["name"]]
    assert person["number"] not in str(listed)
    assert (inside, blocked, refused) == (True, False, 422)
    assert again == f"{LOGIN}/code"


def test_person_without_phone_and_codes_begins_anew(dastak: DastakProcess, command: Command) -> None:
    person = with_number(dastak.url, api := ApiClient(dastak.url, dastak.api_key))
    command("login", "reset", person["name"])
    with LoginClient(dastak.url) as browser:
        entered = browser.pass_password(person["name"]).headers["location"]
        codes = browser.add_number(api, some_number())

    assert entered == ACCOUNT
    assert len(set(codes) - set(person["codes"])) == 10
