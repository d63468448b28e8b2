"""The doctor: for each of its checks a fault is injected, found by name, and mended where that is allowed."""

import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dastak import cli
from dastak.commands.checks import server_checks, store_checks
from dastak.commands.checks.host_facts import look_at_host
from dastak.commands.database import remember_backup
from dastak.commands.doctor import CHECKS, READABLE, look_at, run_check
from dastak.config_read import load
from dastak.config_secrets import make_key_file, read_keys
from dastak.core.call_rules import CallRules
from dastak.core.carrier import CarrierState
from dastak.core.tenant import Mode
from dastak.store.sqlite import SqliteStore
from dastak.tenancy import issuance, operators
from tests.support.installed import AIRTEL, Installation, unsent


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "installed")


def give_live_key(installation: Installation) -> None:
    wanted = issuance.WantedKey(name="live", mode=Mode.LIVE)
    installation.act(
        lambda store: issuance.create_key(
            store, 1, wanted, maker=None, now=datetime.now(UTC), entropy=os.urandom
        )
    )


def test_a_fresh_installation_has_no_fault(installation: Installation) -> None:
    found = installation.examine()

    assert [finding for finding in found.values() if finding.status == "failed"] == []
    # Whether this machine's clock is kept is not ours to say.
    warnings = {name for name, finding in found.items() if finding.status == "warning"}
    assert warnings <= {"host.clock", "host.open_files", "host.memory"}


def break_settings(installation: Installation) -> str:
    installation.add("[servr]\n")
    return "did you mean `server`?"


def open_key_file(installation: Installation) -> str:
    installation.secrets.chmod(0o644)
    return "secrets.json has mode 0644"


def open_database(installation: Installation) -> str:
    installation.database.chmod(0o606)
    return "dastak.db has mode 0606"


def let_others_write_settings(installation: Installation) -> str:
    installation.file.chmod(0o666)
    return "others may write"


def type_a_key(installation: Installation) -> str:
    installation.secrets.write_text(json.dumps({"current": 1, "keys": {"1": "ab" * 32}}))
    return "not random"


def lose_the_keys(installation: Installation) -> str:
    installation.secrets.unlink()
    return "cannot be read"


def leave_a_placeholder(installation: Installation) -> str:
    installation.add(AIRTEL.format(port=1, password="changeme"))
    return "carriers.airtel.password is a placeholder"


def go_public_without_tls(installation: Installation) -> str:
    installation.set_public_url("http://otp.example.in")
    return "without TLS"


def hide_people_behind_a_proxy(installation: Installation) -> str:
    installation.set_public_url("https://otp.example.in")
    return "login.trusted_proxies is 0"


def give_a_live_key_without_a_carrier(installation: Installation) -> str:
    give_live_key(installation)
    return "there is no carrier"


def lose_the_database(installation: Installation) -> str:
    installation.database.unlink()
    return "there is no database"


def damage_the_database(installation: Installation) -> str:
    installation.database.write_bytes(b"no database" * 1000)
    return "cannot be opened"


def come_from_a_newer_program(installation: Installation) -> str:
    pragma(installation.database, "PRAGMA user_version = 99")
    # How new a program must be to run on it.
    pragma(
        installation.database,
        "INSERT INTO meta (name, value) VALUES ('runs_from', '99')"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    return "schema 99"


def come_from_an_older_program(installation: Installation) -> str:
    installation.database.write_bytes(b"")
    return "still needs 0001"


def use_no_log(installation: Installation) -> str:
    pragma(installation.database, "PRAGMA journal_mode = DELETE")
    return "journal mode is delete"


def leave_a_message(installation: Installation) -> str:
    installation.act(lambda store: store.open(unsent(datetime.now(UTC) - timedelta(minutes=2))))
    return "nobody sends them"


def forget_to_copy(installation: Installation) -> str:
    remember_backup(installation.database, installation.file, datetime.now(UTC) - timedelta(days=3))
    return "3 days old"


def never_copy(installation: Installation) -> str:
    installation.database.with_name("dastak.db.last-backup").unlink()
    return "never copied"


def call_nobody(installation: Installation) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    installation.add(AIRTEL.format(port=port, password="s3cret-7"))
    return "carriers.airtel: cannot connect"


def call_nobody_by_the_database(installation: Installation) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    installation.add_stored(port=port)
    return "carrier airtel: cannot connect"


def seal_under_lost_keys(installation: Installation) -> str:
    installation.add_stored()
    installation.secrets.unlink()
    make_key_file(installation.secrets)
    return "carrier airtel: "


def use_other_keys(installation: Installation) -> str:
    ring = read_keys(load(installation.file, {}).settings)
    installation.act(lambda store: store.note_keys(ring.marks()))
    installation.secrets.unlink()
    make_key_file(installation.secrets)
    return "is not the key 1 that this database was used with"


def lack_the_newest_key(installation: Installation) -> str:
    ring = read_keys(load(installation.file, {}).settings)
    installation.act(lambda store: store.note_keys(ring.marks() | {2: b"of another node"}))
    return "lacks key 2"


def close_all_countries(installation: Installation) -> str:
    installation.act(lambda store: operators.close_country(store, 1, "default", "IN"))
    return "no country is open for default"


def pay_nothing(installation: Installation) -> str:
    give_live_key(installation)
    installation.add(AIRTEL.format(port=1, password="s3cret-7"))
    return "carriers.airtel.price_micros is 0"


def pay_nothing_for_the_database(installation: Installation) -> str:
    give_live_key(installation)
    installation.add_stored()
    return "price_micros of carrier airtel is 0"


def allow_no_spending(installation: Installation) -> str:
    give_live_key(installation)
    installation.act(lambda store: operators.change_tenant(store, 1, daily_spend_cap_micros=0))
    return "the daily cap of default is 0"


def show_phones_to_strangers(installation: Installation) -> str:
    installation.add(AIRTEL.format(port=1, password="s3cret-7"))
    installation.show_phones("0.0.0.0:8080")
    return "can read its phones"


def show_phones_beside_the_database(installation: Installation) -> str:
    installation.add_stored()
    installation.show_phones("0.0.0.0:8080")
    return "can read its phones"


def open_a_stored_key_file(installation: Installation) -> str:
    key = installation.file.with_name("client.pem")
    key.write_text("")
    key.chmod(0o644)
    installation.add_stored(tls={"key_file": str(key), "cert_file": str(key)})
    return "client.pem has mode 0644"


def rule_calls(installation: Installation, **rules: Any) -> None:
    async def change(store: SqliteStore) -> None:
        [service] = (await store.tenancy()).services
        await operators.change_service(store, msgspec.structs.replace(service, calls=CallRules(**rules)))

    installation.act(change)


def call_from_a_number_of_nobody(installation: Installation) -> str:
    installation.add_trunk(auto_dialler_declared_on="2026-11-20")
    rule_calls(installation, caller="+911600999999")
    return "calls from +911600999999, which no trunk was allotted"


def call_india_from_abroad(installation: Installation) -> str:
    installation.add_trunk(caller="+12025550100")
    return "no trunk has an Indian number"


def call_for_a_bank_from_an_ordinary_number(installation: Installation) -> str:
    installation.add_trunk(caller="+918012345678")
    rule_calls(installation, bfsi=True)
    return "is a bank's, and no trunk has a number of 1600 or 1601"


def declare_no_dialler(installation: Installation) -> str:
    installation.add_trunk()
    return "auto_dialler_declared_on of the carrier voice is empty"


def record_nothing_useful(installation: Installation) -> str:
    folder = installation.file.with_name("own")
    (folder / "ta").mkdir(parents=True)
    (folder / "ta" / "7.wav").write_bytes(b"ID3")
    installation.set_recordings(folder)
    return "1 cannot be used; " + str(folder / "ta" / "7.wav")


def call_in_nobodys_name(installation: Installation) -> str:
    installation.add_trunk()
    return "calls do not name Dastak"


def call_in_assamese(installation: Installation) -> str:
    installation.add_trunk()

    async def change(store: SqliteStore) -> None:
        service = operators.find_service(await store.tenancy(), 1, "default")
        await operators.change_service(store, msgspec.structs.replace(service, locale="as"))

    installation.act(change)
    return "Assamese by Bengali"


def give_a_domain_to_two_tenants(installation: Installation) -> str:
    async def give(store: SqliteStore) -> None:
        service = operators.find_service(await store.tenancy(), 1, "default")
        rival = await operators.create_tenant(store, "rival")
        for tenant, n in ((1, service.n), (rival.n, 0)):
            # As a program before the rule wrote it.
            await store.put_service(
                msgspec.structs.replace(service, n=n, tenant=tenant, domains=("bank.example",))
            )

    installation.act(give)
    return "bank.example is a domain of two tenants"


def keep_a_domain_from_before_the_rule(installation: Installation) -> str:
    async def give(store: SqliteStore) -> None:
        service = operators.find_service(await store.tenancy(), 1, "default")
        await store.put_service(msgspec.structs.replace(service, domains=("otp.example.in",)))
        rival = await operators.create_tenant(store, "rival")
        domains = ("localhost", "login.bank.in", "pay.bank.in")
        await store.put_service(msgspec.structs.replace(service, n=0, tenant=rival.n, domains=domains))

    installation.act(give)
    return "nobody is known to have proved or given login.bank.in of rival, pay.bank.in of rival"


def count_where_nobody_is(installation: Installation) -> str:
    given = installation.file.read_text().replace(
        "[limits]\n", '[limits]\nvalkey_url = "valkey://127.0.0.1:1"\n'
    )
    installation.file.write_text(given)
    return "does not answer: ConnectionError"


FAULTS = (
    (READABLE, break_settings, False),
    ("config.file_modes", open_key_file, True),
    ("config.file_modes", open_database, True),
    ("config.file_modes", let_others_write_settings, True),
    ("config.file_modes", open_a_stored_key_file, True),
    ("config.secrets", type_a_key, False),
    ("config.secrets", lose_the_keys, False),
    ("config.secrets", leave_a_placeholder, False),
    ("config.public_url", go_public_without_tls, False),
    ("config.proxies", hide_people_behind_a_proxy, False),
    ("config.live_keys", give_a_live_key_without_a_carrier, False),
    ("config.domains", give_a_domain_to_two_tenants, False),
    ("config.domains", keep_a_domain_from_before_the_rule, False),
    ("config.phones", show_phones_to_strangers, False),
    ("config.phones", show_phones_beside_the_database, False),
    ("store.reachable", lose_the_database, True),
    ("store.reachable", damage_the_database, False),
    ("store.schema", come_from_a_newer_program, False),
    ("store.schema", come_from_an_older_program, True),
    ("store.journal", use_no_log, True),
    ("store.queue", leave_a_message, False),
    ("store.keys", use_other_keys, False),
    ("store.keys", lack_the_newest_key, False),
    ("store.backup", forget_to_copy, False),
    ("store.backup", never_copy, False),
    ("limits.shared", count_where_nobody_is, False),
    ("voice.recordings", record_nothing_useful, False),
    ("voice.brands", call_in_nobodys_name, False),
    ("voice.languages", call_in_assamese, False),
    ("carriers.bind", call_nobody, False),
    ("carriers.bind", call_nobody_by_the_database, False),
    ("carriers.bind", seal_under_lost_keys, False),
    ("policy.countries", close_all_countries, False),
    ("policy.spend_cap", pay_nothing, False),
    ("policy.spend_cap", pay_nothing_for_the_database, False),
    ("policy.spend_cap", allow_no_spending, False),
    ("calls.callers", call_from_a_number_of_nobody, False),
    ("calls.callers", call_india_from_abroad, False),
    ("calls.callers", call_for_a_bank_from_an_ordinary_number, False),
    ("calls.auto_dialler", declare_no_dialler, False),
)


@pytest.mark.parametrize(("check", "inject", "mended"), FAULTS, ids=[fault[1].__name__ for fault in FAULTS])
def test_a_fault_is_found_named_and_mended_if_safe(
    installation: Installation, check: str, inject: Callable[[Installation], str], mended: bool
) -> None:
    words = inject(installation)

    before = installation.examine()[check]
    after = installation.examine(fix=True)[check]
    again = installation.examine()[check]

    assert before.status in {"failed", "warning"}
    assert words in before.what
    assert before.why
    assert before.command
    assert before.docs.startswith("docs/reference/doctor.md#")
    assert after.status == ("fixed" if mended else before.status)
    assert again.status == ("ok" if mended else before.status)


def test_domain_from_before_the_rule_is_well_when_an_operator_named_it(installation: Installation) -> None:
    keep_a_domain_from_before_the_rule(installation)
    change = ["--config", str(installation.file), "services", "set", "default", "--tenant", "rival"]

    statuses = [cli.run([*change, "--brand", "Rival"])]
    unnamed = installation.examine()["config.domains"]
    statuses.append(cli.run([*change, "--domains", "login.bank.in"]))
    named = installation.examine()["config.domains"]

    assert statuses == [cli.Exit.OK, cli.Exit.OK]
    assert (unnamed.status, named.status) == ("warning", "ok")


def test_trunk_as_india_wants_it_and_with_a_price_list_is_well(installation: Installation) -> None:
    give_live_key(installation)
    installation.add_trunk(
        auto_dialler_declared_on="2026-11-20", lane={"calls": [{"prefix": "91", "unit_micros": 6000}]}
    )
    rule_calls(installation, bfsi=True, caller="+911600123456")

    found = installation.examine()

    names = ("calls.callers", "calls.auto_dialler", "policy.spend_cap")
    assert [found[name].status for name in names] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("state", "found"),
    [(CarrierState.ACTIVE, ("ok", "failed")), (CarrierState.OFF, ("failed", "skipped"))],
)
def test_live_keys_are_served_by_a_carrier_of_the_database_unless_it_is_off(
    installation: Installation, state: CarrierState, found: tuple[str, str]
) -> None:
    give_live_key(installation)
    installation.add_stored(state=state)

    findings = installation.examine()

    assert (findings["config.live_keys"].status, findings["carriers.bind"].status) == found


@pytest.mark.parametrize(
    ("check", "facts", "words"),
    [
        ("host.clock", {"clock_synchronised": False}, "nothing keeps its clock right"),
        ("host.disk", {"disk_free_octets": 50 * 2**20}, "has 50 MiB free"),
        ("host.disk", {"inodes_free": 3}, "only 3 inodes"),
        ("host.open_files", {"files_max": 1024}, "1024 files may be open"),
        ("host.memory", {"memory_octets": 64 * 2**20}, "64 MiB of memory"),
    ],
)
def test_a_poor_machine_is_found(
    installation: Installation, check: str, facts: dict[str, Any], words: str
) -> None:
    scene = look_at(load(installation.file, {}))
    poor = msgspec.structs.replace(scene, host=msgspec.structs.replace(scene.host, **facts))

    finding = run_check(next(row for row in CHECKS if row.name == check), poor)

    assert finding.status in {"failed", "warning"}
    assert words in finding.what


def test_a_clock_that_went_back_is_found(installation: Installation) -> None:
    scene = look_at(load(installation.file, {}))
    back = msgspec.structs.replace(scene, latest_at=scene.now + timedelta(seconds=90))

    finding = run_check(next(row for row in CHECKS if row.name == "host.clock"), back)

    assert (finding.status, "90 s behind" in finding.what) == ("failed", True)


def test_a_slow_disk_is_found(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_checks, "COMMIT_MS_MAX", 0.0)

    finding = installation.examine()["store.commit"]

    assert finding.status == "warning"
    assert "median of 9" in finding.what


def test_the_machine_answers(tmp_path: Path) -> None:
    facts = look_at_host(tmp_path / "not" / "there" / "yet")

    assert facts.disk_free_octets > 0
    assert facts.files_max > 0
    assert facts.memory_octets is None or facts.memory_octets > 2**20


def test_every_check_has_an_injected_fault() -> None:
    elsewhere = {
        "host.clock",
        "host.disk",
        "host.open_files",
        "host.memory",
        "store.commit",
        "web.certificate",
        *(check.name for check in server_checks.CHECKS),
        *(check.name for check in CHECKS if check.name.startswith("nodes.")),  # in test_doctor_postgres.py
    }

    assert {check.name for check in CHECKS} == {fault[0] for fault in FAULTS} - {READABLE} | elsewhere


def test_the_answer_is_a_stable_document_and_an_exit_code(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy = cli.run(["--config", str(installation.file), "doctor", "--json"])
    well = json.loads(capsys.readouterr().out)
    lose_the_keys(installation)
    sick = cli.run(["--config", str(installation.file), "doctor", "--json"])
    ill = json.loads(capsys.readouterr().out)

    assert (healthy, well["healthy"]) == (cli.Exit.OK, True)
    assert (sick, ill["healthy"]) == (cli.Exit.NO, False)
    assert [found["check"] for found in ill["checks"]] == [READABLE, *(check.name for check in CHECKS)]
    failed = next(found for found in ill["checks"] if found["status"] == "failed")
    assert failed.keys() == {"check", "status", "title", "what", "why", "command", "docs"}


def test_settings_that_cannot_be_read_skip_the_rest(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    break_settings(installation)

    status = cli.run(["--config", str(installation.file), "doctor"])

    shown = capsys.readouterr().out
    assert status == cli.Exit.NO
    assert shown.count("skipped ") == len(CHECKS)


def pragma(database: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement)
