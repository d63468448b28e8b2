"""The command line: a complete table, light imports, exit codes, and what each command prints."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from dastak import cli
from dastak.cli import Exit
from dastak.commands import explain_error
from dastak.commands.printing import print_table
from dastak.core import errors

# What only a running server needs; each costs tens of milliseconds.
HEAVY = {"asyncio", "msgspec", "sqlite3", "ssl", "uvicorn", "starlette", "phonenumbers", "cryptography"}


class Ran(NamedTuple):
    """One run of the command line."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its standard output, which must be one JSON document on one line."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: str) -> Ran:
        status = cli.run(arguments)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return ran


@pytest.fixture
def installed(run: Run) -> Run:
    """Run the command line in the directory of a fresh installation."""
    run("init", "--yes")
    return run


def commands(group: click.Group, context: click.Context) -> list[tuple[str, click.Command]]:
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {below}", below_it) for below, below_it in commands(command, context)]
    return found


ALL = commands(cli.cli, click.Context(cli.cli))


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_is_there_and_says_what_it_does(name: str, command: click.Command) -> None:
    assert command.help
    assert command.get_short_help_str(200)
    assert command.name == name.rpartition(" ")[2]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    line = cli.COMMANDS[name][1]

    assert line.endswith(".")
    assert len(line) <= 80


def test_the_table_has_no_command_twice() -> None:
    targets = [target for target, _ in cli.COMMANDS.values()]

    assert len(set(targets)) == len(targets)


def imported_by(statement: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_importing_dastak_imports_nothing_else() -> None:
    loaded = imported_by("import dastak")

    assert {name for name in loaded if name.startswith("dastak")} == {"dastak"}
    assert not loaded & (HEAVY | {"click"})


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_help_and_version_import_no_command(arguments: list[str]) -> None:
    loaded = imported_by(f"from dastak import cli; cli.run({arguments})")

    assert not loaded & HEAVY
    assert "dastak.commands" not in loaded


def test_no_command_is_a_usage_error(run: Run) -> None:
    assert run("nonsense").status == Exit.USAGE
    assert run("send").status == Exit.USAGE
    assert run("--help").status == Exit.OK


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), Exit.USAGE),
        (errors.NotFound("x"), Exit.NO),
        (errors.Conflict("x"), Exit.NO),
        (errors.Refused("x", reason="y"), Exit.REFUSED),
        (errors.RateLimited("x", limit="y", retry_after_s=1), Exit.REFUSED),
        (errors.CarrierUnavailable("x"), Exit.UNREACHABLE),
        (errors.Overloaded("x"), Exit.UNREACHABLE),
    ],
)
def test_an_error_has_its_exit_code(error: errors.DastakError, status: Exit) -> None:
    assert cli.exit_of(error) is status


def test_a_bad_setting_is_exit_code_three_and_names_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dastak.toml").write_text("[servr]\n")

    ran = run("config", "show")

    assert ran.status == Exit.CONFIGURATION
    assert ran.out == ""
    assert "did you mean `server`?" in ran.err


def test_a_server_that_is_not_there_is_exit_code_four_and_names_the_next_command(run: Run) -> None:
    ran = run("check", "ver_x", "123456", "--url", "http://127.0.0.1:9", "--key", "dk_test_x")

    assert ran.status == Exit.UNREACHABLE
    assert "Next: dastak dev" in ran.err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "127.0.0.1:8080"])
def test_only_http_is_spoken(run: Run, url: str) -> None:
    assert run("send", "--to", "+919876543210", "--url", url, "--key", "k").status == Exit.USAGE


def test_without_a_server_the_next_command_is_named(run: Run) -> None:
    ran = run("send", "--to", "+919876543210")

    assert (ran.status, "Next: dastak dev" in ran.err) == (Exit.USAGE, True)


def test_init_makes_private_files_once(run: Run, tmp_path: Path) -> None:
    made = run("init", "--yes", "--json")
    again = run("init", "--yes")

    assert made.status == Exit.OK
    for path in made.document.values():
        assert Path(path).stat().st_mode & 0o077 == 0
    assert again.status == Exit.CONFIGURATION
    assert "not overwritten" in again.err
    schema = json.loads((tmp_path / "dastak.schema.json").read_text())
    assert schema["$defs"]["Settings"]["properties"]["server"]


def test_config_show_names_origins_and_masks_secrets(installed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASTAK__CARRIERS__AIRTEL__HOST", "smsc.example.net")
    monkeypatch.setenv("DASTAK__CARRIERS__AIRTEL__SYSTEM_ID", "ACME")
    monkeypatch.setenv("DASTAK__CARRIERS__AIRTEL__PASSWORD", "hunter22")

    plain = installed("config", "show", "--origin")
    document = installed("config", "show", "--json").document

    assert "hunter22" not in plain.out + json.dumps(document)
    assert re.search(r"store.url +sqlite://\S+ +dastak.toml", plain.out)
    shown = {item["path"]: item for item in document}
    assert shown["carriers.airtel.password"]["origin"] == "environment DASTAK__CARRIERS__AIRTEL__PASSWORD"
    assert shown["log.level"] == {"path": "log.level", "value": "info", "origin": "default"}


def test_the_sample_and_the_schema_are_printed(run: Run) -> None:
    assert run("config", "sample").out.startswith("#:schema ./dastak.schema.json\n")
    assert run("config", "schema").document["$ref"] == "#/$defs/Settings"


def test_a_key_is_shown_once_rotated_and_revoked(installed: Run) -> None:
    made = installed("keys", "create", "--name", "shop", "--mode", "live", "--json").document
    listed = installed("keys", "list", "--json").document
    rotated = installed("keys", "rotate", made["id"], "--json").document
    revoked = installed("keys", "revoke", made["id"], "--json").document
    left = installed("keys", "list", "--json").document

    assert re.fullmatch(r"dk_live_[0-9A-Za-z_]+", made["key"])
    assert made["scopes"] == ["start", "check", "read"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in json.dumps(listed)
    assert revoked["revoked_at"] is not None
    assert [key["id"] for key in left] == [rotated["id"]]


def test_the_key_alone_goes_to_standard_output(installed: Run) -> None:
    ran = installed("keys", "create", "--name", "shop")

    assert re.fullmatch(r"dk_test_\w+\n", ran.out)
    assert "once" in ran.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["keys", "create", "--name", "UPPER"], Exit.USAGE),
        (["keys", "create", "--name", "a", "--scope", "everything"], Exit.USAGE),
        (["keys", "create", "--name", "a", "--tenant", "nobody"], Exit.NO),
        (["keys", "revoke", "nope"], Exit.NO),
        (["tenants", "show", "nobody"], Exit.NO),
        (["tenants", "create", "default"], Exit.NO),
        (["services", "set", "nothing"], Exit.NO),
        (["services", "set", "default", "--countries", "XX"], Exit.USAGE),
        (["services", "set", "default", "--policy", "lenght=6"], Exit.USAGE),
        (["services", "set", "default", "--policy", "length=3"], Exit.USAGE),
        (["services", "set", "default", "--policy", "length=six"], Exit.USAGE),
        (["services", "set", "default", "--calls", "hours=8-21"], Exit.USAGE),
        (["services", "set", "default", "--calls", "houres=08:00-21:00 Asia/Kolkata"], Exit.USAGE),
    ],
)
def test_what_cannot_be_is_refused(installed: Run, arguments: list[str], status: Exit) -> None:
    ran = installed(*arguments)

    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith("error: ")


def test_tenants_and_services_are_made_and_changed(installed: Run) -> None:
    tenant = installed("tenants", "create", "acme", "--daily-cap", "12.5", "--json").document
    suspended = installed("tenants", "set", "acme", "--suspend", "--json").document
    made = installed(
        "services", "create", "shop", "--tenant", "acme", "--brand", "Acme", "--countries", "IN,US", "--json"
    ).document
    policy = ["--policy", "length=8", "--policy", 'resend_code="new"']
    policy += ["--calls", "hours=08:00-21:00 Asia/Kolkata"]
    changed = installed("services", "set", "shop", "--tenant", "acme", *policy, "--json").document
    tenants = installed("tenants", "list", "--json").document
    services = installed("services", "list", "--tenant", "acme", "--json").document

    assert (tenant["daily_spend_cap_micros"], tenant["suspended"]) == (12_500_000, False)
    assert suspended == {**tenant, "suspended": True}
    assert (made["brand"], made["countries"], made["policy"]["length"]) == ("Acme", ["IN", "US"], 6)
    assert changed == {
        **made,
        "policy": {**made["policy"], "length": 8, "resend_code": "new"},
        "calls": {**made["calls"], "hours": "08:00-21:00 Asia/Kolkata"},
    }
    assert [found["name"] for found in tenants] == ["default", "acme"]
    assert [found["name"] for found in services] == ["shop"]


def test_lists_for_people_are_columns(installed: Run) -> None:
    lines = installed("services", "list").out.splitlines()

    assert lines[0].split()[:3] == ["n", "tenant", "name"]
    assert "default" in lines[1]
    assert installed("tenants", "show", "default").out.startswith("field")


def test_a_database_is_copied_and_put_back(installed: Run, tmp_path: Path) -> None:
    copied = installed("backup", "copy.db", "--json").document
    installed("tenants", "create", "later")
    refused = installed("restore", "copy.db")
    restored = installed("restore", "copy.db", "--replace", "--json").document

    assert copied["octets"] == (tmp_path / "copy.db").stat().st_size
    assert refused.status == Exit.NO
    assert restored["voided"] == 0
    assert [found["name"] for found in installed("tenants", "list", "--json").document] == ["default"]


def test_migrate_says_what_is_to_be_done(installed: Run, tmp_path: Path) -> None:
    (tmp_path / "dastak.db").unlink()

    check = installed("migrate", "--check")
    plan = installed("migrate", "--plan", "--json")
    done = installed("migrate", "--json")
    after = installed("migrate", "--check")

    assert (check.status, plan.status, done.status, after.status) == (Exit.NO, Exit.OK, Exit.OK, Exit.OK)
    assert plan.document["pending"] == done.document["applied"] != []


def test_secrets_are_rotated_and_the_audit_log_has_it(installed: Run, tmp_path: Path) -> None:
    rotated = installed("secrets", "rotate", "--json")

    assert rotated.document["current"] == 2
    assert json.loads((tmp_path / "secrets.json").read_text())["keys"].keys() == {"1", "2"}
    assert ("dastak.audit" in rotated.err, "rotate_keys" in rotated.err) == (True, True)


def test_a_key_is_added_for_all_nodes_before_it_is_used(installed: Run, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"

    added = installed("secrets", "add")
    unused = json.loads(file.read_text())["current"]
    installed("secrets", "use", "2")
    missing = installed("secrets", "use", "7")

    assert f"Next: copy {file} to all other nodes" in added.err
    assert (unused, json.loads(file.read_text())["current"]) == (1, 2)
    assert (missing.status, "has no key 7, but 1, 2" in missing.err) == (Exit.CONFIGURATION, True)


def test_commands_that_need_an_installation_name_the_next_command(run: Run) -> None:
    for arguments in (["keys", "list"], ["secrets", "rotate"], ["serve"]):
        ran = run(*arguments)

        assert ran.status == Exit.CONFIGURATION
        assert "dastak init" in ran.err


def test_every_error_code_has_its_page() -> None:
    pages, titles = explain_error.error_pages(), explain_error.error_titles()

    assert pages.keys() == titles.keys()
    for code, page in pages.items():
        assert page.causes, code
        assert page.fix.endswith("."), code


def test_a_code_is_explained(run: Run) -> None:
    known = run("explain", "locked", "--json")
    plain = run("explain", "locked")
    mistyped = run("explain", "lokced")

    assert known.document["title"] == "The number is locked"
    assert plain.out.startswith("locked: The number is locked\n")
    assert (mistyped.status, "did you mean `locked`?" in mistyped.err) == (Exit.NO, True)


def test_why_a_call_is_not_made_and_a_delivery_outcome_are_explained(run: Run) -> None:
    bar = run("explain", "call_foreign_caller")
    outcome = run("explain", "busy", "--json").document
    plain = run("explain", "busy")

    assert "Indian number" in bar.out
    assert "next: add a trunk" in bar.out
    assert (outcome["code"], outcome["terminal"], outcome["voice"]) == ("busy", True, "if_asked")
    assert "a call: if asked" in plain.out


def test_a_dlt_code_is_explained_by_every_family_that_has_it(run: Run) -> None:
    plain = run("explain", "614")
    by_machine = run("explain", "633", "--json")

    assert plain.out.startswith("614 (common): Chain hash not received\n")
    assert "614 (authkey): " in plain.out
    assert "--route NAME" in plain.out
    assert [meaning["outcome"] for meaning in by_machine.document] == ["dlt_template"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(run: Run, shell: str) -> None:
    assert "_DASTAK_COMPLETE" in run("completion", shell).out


def test_versions_are_printed(run: Run) -> None:
    assert run("version", "--json").document.keys() == {"dastak", "python", "sqlite", "uvicorn"}
    assert run("version").out.startswith("dastak ")


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "b"), [("long", 1), ("x", 22)])

    assert capsys.readouterr().out == "a     b\nlong  1\nx     22\n"


def test_no_color_is_honoured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    assert "\x1b" not in run("explain", "nope").err
