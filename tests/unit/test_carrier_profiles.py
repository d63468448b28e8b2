"""What the command line shows of profiles and webhook addresses."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dastak import cli
from dastak.carriers.callback_address import callback_of
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.core.codes import KeyRing
from dastak.http_carriers.http_settings import HttpSettings
from tests.support.samples import RING

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return ran


def test_profile_shows_what_it_wants_and_would_send(run: Run) -> None:
    status, out, _ = run("carrier", "profile", "twilio", "--to", "+12025550123")

    assert status == 0
    assert "account: the Account SID" in out
    assert "not verified: No request was sent to a live account." in out
    assert "POST https://api.twilio.com/2010-04-01/Accounts/ACCOUNT/Messages.json" in out
    assert "To=%2B12025550123&From=SENDER&Body=Your%20code%20is%20482913." in out


def test_profile_as_json_has_both_requests(run: Run) -> None:
    status, out, _ = run("carrier", "profile", "aws", "--json")

    requests = json.loads(out)["requests"]
    assert status == 0
    assert [json.loads(request["body"])["TimeToLive"] for request in requests] == [300, 300]


def test_wrong_profile_is_refused_with_its_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('titel = "x"')

    wrong = run("carrier", "profile", "mine.toml")
    none = run("carrier", "profile", "nobody.toml")

    assert (wrong[0], none[0]) == (cli.Exit.USAGE, cli.Exit.USAGE)
    assert "mine.toml: there is no key `titel`. Did you mean `title`?" in wrong[2]
    assert "nobody.toml" in none[2]


def test_every_setting_stands_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "add-an-http-carrier.md").read_text()

    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(HttpSettings.__struct_fields__)


def test_hook_is_printed_when_people_can_reach_us(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "--yes")
    Path("key").write_text("k3y")
    added = run(
        *("carrier", "add", "tw", "--kind", "http", "--set", "profile=twilio", "--set", "account=AC01"),
        *("--secret-file", "secret=key"),
    )
    without = run("carrier", "hook", "tw")
    monkeypatch.setenv("DASTAK__SERVER__PUBLIC_URL", "https://otp.example.in/")
    with_url = run("carrier", "hook", "tw")
    nobody = run("carrier", "hook", "other")

    assert added[0] == 0, added
    assert (without[0], nobody[0]) == (cli.Exit.USAGE, cli.Exit.NO)
    assert re.fullmatch(r"https://otp\.example\.in/hooks/carriers/tw/[A-Za-z0-9_-]{32}\n", with_url[1])


def test_secret_of_an_address_is_another_for_each_carrier_and_key() -> None:
    one, other = (callback_of(RING, "https://otp.example.in", name) for name in ("one", "other"))
    rotated = callback_of(KeyRing(current=3, keys={**RING.keys, 3: bytes(range(7, 39))}), None, "one")

    assert not set(one.tokens) & set(other.tokens)
    assert len(set(one.tokens)) == len(RING.keys)
    assert set(one.tokens) < set(rotated.tokens)
    assert rotated.url == ""
    assert one.tokens[0] not in repr(one)


@pytest.mark.parametrize("name", ["node.1", "a/b", "node 1", "n" * 33])
def test_name_of_a_node_that_would_break_an_address_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.node"):
        load(None, {"DASTAK__SERVER__NODE": name})


@pytest.mark.parametrize("name", ["twilio", "vonage", "plivo"])
def test_profile_of_calls_shows_its_requests_and_all_of_a_dialogue(run: Run, name: str) -> None:
    status, out, _ = run("carrier", "profile", name, "--calls", "--to", "+12025550123")

    assert status == 0
    assert "not verified: No call was made with a live account." in out
    assert out.count("it fetches application/") == 4
    assert "press seven" in out
    # The code is in a script, and in no request.
    before, _, scripts = out.partition("it fetches")
    assert ("four" in before, "482913" in out, scripts.count("four")) == (False, False, 2)


def test_profile_of_calls_without_a_digit_says_so(run: Run) -> None:
    _, out, _ = run("carrier", "profile", "exotel", "--calls")
    _, told, _ = run("carrier", "profile", "infobip", "--calls", "--json")
    status, _, err = run("carrier", "profile", "msg91", "--calls")

    assert "without a digit before the code: set without_gate = true" in out
    assert "four, eight, two" in json.loads(told)["requests"][0]["body"]
    assert status != 0
    assert "msg91" in err
