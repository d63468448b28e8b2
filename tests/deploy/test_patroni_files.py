"""The files of deploy/patroni agree with each other; `tests/e2e/test_chaos_patroni.py` starts them."""

import os
import re
from typing import Final

import pytest
import yaml

from chaos.patroni_cluster import USERS
from tests.support.deployed import DEPLOY, ROOT, run
from tests.support.needed import program

PATRONI: Final = DEPLOY / "patroni"
NODES: Final = ("db1", "db2", "db3")
PAGE: Final = ROOT / "docs" / "how-to" / "run-the-database-so-that-it-survives.md"


def variables(name: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (PATRONI / name).read_text(), re.MULTILINE))


def settings() -> dict[str, object]:
    return yaml.safe_load((PATRONI / "patroni.yml").read_text())["bootstrap"]["dcs"]


def test_haproxy_takes_the_file_without_a_warning() -> None:
    done = run(program("haproxy"), "-c", "-f", PATRONI / "haproxy.cfg", env=dict(os.environ))

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "Configuration file is valid", "")


def test_haproxy_leads_to_the_machines_that_etcd_knows() -> None:
    known = dict(re.findall(r"(db\d)=http://([\d.]+):2380", variables("etcd.env")["ETCD_INITIAL_CLUSTER"]))
    leads = re.findall(r"server (db\d) ([\d.]+):5432", (PATRONI / "haproxy.cfg").read_text())

    assert dict(leads) == known
    assert tuple(known) == NODES


@pytest.mark.parametrize("node", NODES)
def test_machine_says_its_own_name_and_address_throughout(node: str) -> None:
    own = variables(f"{node}.env")
    (address,) = re.findall(rf"{node}=http://([\d.]+):", variables("etcd.env")["ETCD_INITIAL_CLUSTER"])

    names = {name for name in own.values() if not re.search(r"[:/]", name)}
    assert names == {node}
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", " ".join(own.values()))) == {address}


def test_passwords_are_of_the_users_that_tests_use_and_none_is_shipped() -> None:
    shipped = variables("secrets.env.example")

    assert {shipped[f"PATRONI_{role}_USERNAME"] for role in USERS} == set(USERS.values())
    assert {value for name, value in shipped.items() if name.endswith("PASSWORD")} == {""}
    assert "password:" not in (PATRONI / "patroni.yml").read_text()


def test_lease_outlasts_a_round_with_two_slow_answers() -> None:
    found = settings()

    assert found["ttl"] >= found["loop_wait"] + 2 * found["retry_timeout"]
    assert (found["synchronous_mode"], found["synchronous_mode_strict"]) == (True, True)


def test_page_names_every_file() -> None:
    page = PAGE.read_text()

    assert [path.name for path in sorted(PATRONI.iterdir()) if path.name not in page] == []


def test_page_sets_in_an_older_cluster_what_a_new_one_begins_with() -> None:
    postgresql = settings()["postgresql"]
    assert isinstance(postgresql, dict)
    told = dict(re.findall(r"edit-config --force --pg (\w+)=(\w+)", PAGE.read_text()))

    assert told == {"max_locks_per_transaction": str(postgresql["parameters"]["max_locks_per_transaction"])}
